//! The conversation with whoever holds the profile, in a task of its own: what is drawn never waits for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Start;
use crate::api::{Command, Error, ErrorCode, Event};
use crate::holder::{Opening, PAUSE, Session, Zeroizing};

/// Commands that wait to be given: more than anybody types.
const QUEUE: usize = 256;

/// Events that wait to be drawn; then the holder waits.
const HEARD: usize = 1024;

/// How often in a row another holder is looked for.
const MAX_HOLDERS: u32 = 200;

/// How long the end may take: others may still have something under way.
const FAREWELL: Duration = Duration::from_secs(3);

/// What comes of it.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it lives until it is drawn, and nearly all of them are events")]
pub(super) enum Heard {
    /// The profile is being opened, which takes a moment.
    Opening,
    /// A passphrase is needed; why the last one was none.
    Locked(Option<Error>),
    /// Commands are carried out from here on.
    Open,
    /// An event, with the number of the command that it answers.
    Told(Option<u64>, Event),
    /// It is over.
    Lost(Error),
}

/// What is said to the task.
enum Said {
    Command(u64, Box<Command>),
    Passphrase(Zeroizing<String>),
}

pub(super) struct Conversation {
    say: mpsc::Sender<Said>,
    heard: mpsc::Receiver<Heard>,
    task: JoinHandle<()>,
}

impl Conversation {
    pub(super) fn start(start: Start) -> Self {
        let (say, said) = mpsc::channel(QUEUE);
        let (tell, heard) = mpsc::channel(HEARD);
        let task = tokio::spawn(Keeper { said, tell, typed: Arc::default() }.keep(start));
        Self { say, heard, task }
    }

    /// Gives a command under a number of one's own. `false`: too many wait already.
    pub(super) fn give(&self, number: u64, command: Command) -> bool {
        self.say.try_send(Said::Command(number, Box::new(command))).is_ok()
    }

    pub(super) fn unlock(&self, passphrase: Zeroizing<String>) {
        let _ = self.say.try_send(Said::Passphrase(passphrase));
    }

    /// The next thing heard; `None` when it is over. Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Option<Heard> {
        self.heard.recv().await
    }

    /// The same, where it has been heard already.
    pub(super) fn ready(&mut self) -> Option<Heard> {
        self.heard.try_recv().ok()
    }

    /// Ends it; where this process holds the profile, others finish first.
    pub(super) async fn finish(self) {
        drop((self.say, self.heard));
        let _ = timeout(FAREWELL, self.task).await;
    }
}

/// A passphrase that was typed, until it is used; and whether one was asked for.
#[derive(Default)]
struct Typed {
    passphrase: Option<Zeroizing<String>>,
    missed: bool,
}

struct Keeper {
    said: mpsc::Receiver<Said>,
    tell: mpsc::Sender<Heard>,
    typed: Arc<Mutex<Typed>>,
}

/// Why a conversation with one holder ended.
enum Ended {
    /// The holder has gone.
    Gone,
    /// Nobody wants it any more.
    Left,
}

impl Keeper {
    async fn keep(mut self, start: Start) {
        let Start { dir, passphrase: source, chosen, proxy, downloads } = start;
        self.typed.lock().unwrap_or_else(PoisonError::into_inner).passphrase = chosen;
        let typed = Arc::clone(&self.typed);
        let passphrase = Box::new(move || match source.given()? {
            Some(given) => Ok(given),
            None => {
                let mut typed = typed.lock().unwrap_or_else(PoisonError::into_inner);
                let passphrase = typed.passphrase.take();
                typed.missed = passphrase.is_none();
                passphrase.ok_or_else(|| Error::new(ErrorCode::Locked, "a passphrase is needed"))
            }
        });
        let mut opening = Opening { dir, passphrase, proxy, downloads };
        let mut asked = false;
        let mut left = MAX_HOLDERS;
        loop {
            if self.tell.send(Heard::Opening).await.is_err() {
                return;
            }
            match Session::open(&mut opening).await {
                Ok(session) => {
                    asked = false;
                    let (ended, heard) = self.converse(session).await;
                    left = if heard { MAX_HOLDERS } else { left.saturating_sub(1) };
                    if matches!(ended, Ended::Left) {
                        return;
                    }
                    if left == 0 {
                        let _ = self.tell.send(Heard::Lost(crate::holder::gone())).await;
                        return;
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => {
                    let missed = std::mem::take(&mut self.typed.lock().unwrap_or_else(PoisonError::into_inner).missed);
                    let again = asked && error.code == ErrorCode::Locked;
                    if !(missed || again) {
                        let _ = self.tell.send(Heard::Lost(error)).await;
                        return;
                    }
                    let why = (!missed).then_some(error);
                    if self.tell.send(Heard::Locked(why)).await.is_err() || !self.passphrase().await {
                        return;
                    }
                    asked = true;
                }
            }
        }
    }

    /// Waits for a passphrase; `false` where none will come.
    async fn passphrase(&mut self) -> bool {
        loop {
            match self.said.recv().await {
                Some(Said::Passphrase(passphrase)) => {
                    self.typed.lock().unwrap_or_else(PoisonError::into_inner).passphrase = Some(passphrase);
                    return true;
                }
                // Nothing is carried out while the profile is closed.
                Some(Said::Command(..)) => {}
                None => return false,
            }
        }
    }

    /// Speaks with one holder until it goes; also says whether it ever said anything.
    async fn converse(&mut self, mut session: Session) -> (Ended, bool) {
        let mut numbers: HashMap<u64, u64> = HashMap::new();
        let mut heard = false;
        if self.tell.send(Heard::Open).await.is_err() {
            session.finish().await;
            return (Ended::Left, heard);
        }
        let ended = loop {
            tokio::select! {
                said = self.said.recv() => match said {
                    Some(Said::Command(number, command)) => {
                        // A holder that has just gone is noticed at the next event.
                        if let Ok(id) = session.give(*command).await {
                            numbers.insert(id, number);
                        }
                    }
                    Some(Said::Passphrase(_)) => {}
                    None => break Ended::Left,
                },
                event = session.next() => {
                    let Some((id, event)) = event else { break Ended::Gone };
                    heard = true;
                    let number = match (id, &event) {
                        (Some(id), Event::End) => numbers.remove(&id),
                        (Some(id), _) => numbers.get(&id).copied(),
                        (None, _) => None,
                    };
                    if self.tell.send(Heard::Told(number, event)).await.is_err() {
                        break Ended::Left;
                    }
                }
            }
        };
        session.finish().await;
        (ended, heard)
    }
}
