//! Line mode: what is typed or piped in goes out, what arrives is printed.

mod input;
mod lock;
mod talk;
mod terminal;

use std::time::Duration;

use tokio::time::Instant;

use super::Stop;
use super::cli::interrupted;
use super::notify::{Notifier, Notify};
use super::screen::Screen;
use crate::api::{Command, Error, ErrorCode, Event};
use crate::holder::{Opening, PAUSE, Session};
use input::{Input, Typed};
use talk::{Next, Talk};

/// At the end of piped input: how long what is queued may take to go out, where `--timeout` does not say.
const DRAIN: Duration = Duration::from_secs(10);

/// How often the end of piped input looks whether all has gone out.
const LOOK: Duration = Duration::from_millis(200);

/// How often in a row another holder is looked for.
const MAX_HOLDERS: u32 = 200;

pub(super) async fn run(
    mut opening: Opening,
    screen: Screen,
    drain: Option<Duration>,
    Options { may_ask, notify, lock }: Options,
) -> Result<u8, Stop> {
    let screen = Screen { slash: true, ..screen };
    let mut session = Session::open(&mut opening).await?;
    let mut input = Input::start(screen, may_ask);
    // What is piped in comes whether somebody is there or not.
    let lock = lock.filter(|_| input.is_typed());
    let mut talk = Talk::new(screen, input.printer());
    if screen.terminal && !screen.json {
        talk.notify_with(Notifier::new(notify, &std::env::var("TERM").unwrap_or_default()));
    }
    let drain = drain.unwrap_or(DRAIN);
    loop {
        let outcome = converse(&mut session, &mut opening, &mut input, &mut talk, (drain, lock)).await;
        // The terminal first: it must not stay raw, whatever happens next.
        input.pause().await;
        session.finish().await;
        match outcome? {
            After::Left => return Ok(0),
            After::Locked => {}
        }
        let Some(passphrase) = lock::opened(&opening.dir, screen).await? else { return Ok(0) };
        session = Session::open(&mut opening.with(passphrase)).await?;
        input.resume(&mut talk);
    }
}

/// How it is talked.
pub(super) struct Options {
    pub(super) may_ask: bool,
    pub(super) notify: Notify,
    /// After how long without a line it is locked; never where the passphrase was not asked for.
    pub(super) lock: Option<Duration>,
}

/// Why a conversation is over.
enum After {
    Left,
    /// Nobody was there for a while, or somebody is about to go.
    Locked,
}

async fn converse(
    session: &mut Session,
    opening: &mut Opening,
    input: &mut Input,
    talk: &mut Talk,
    (drain, lock): (Duration, Option<Duration>),
) -> Result<After, Stop> {
    let mut left = MAX_HOLDERS;
    talk.begin(session).await?;
    input.describe(talk);
    let stop = interrupted();
    tokio::pin!(stop);
    let mut ended: Option<Instant> = None;
    let mut look = Instant::now();
    let mut touched = Instant::now();
    loop {
        let open = ended.is_none() && talk.ready();
        tokio::select! {
            typed = input.next(), if open => match typed {
                Typed::Line(line) => {
                    touched = Instant::now();
                    let next = talk.typed(session, &line).await?;
                    match next {
                        Next::Stay => input.describe(talk),
                        Next::Leave => return Ok(After::Left),
                        Next::Lock if lock.is_some() => return Ok(After::Locked),
                        Next::Lock => {
                            talk.locks_nothing()?;
                            input.describe(talk);
                        }
                    }
                }
                Typed::Left => return Ok(After::Left),
                Typed::End => {
                    ended = Some(Instant::now() + drain);
                    look = Instant::now();
                }
            },
            event = session.next() => match event {
                Some((re, event)) => {
                    left = MAX_HOLDERS;
                    if ended.is_some() && matches!(event, Event::Progress(_)) {
                        // As long as a file moves, it is waited for.
                        ended = Some(Instant::now() + drain);
                    }
                    talk.heard(re, &event)?;
                    input.describe(talk);
                }
                None if left == 0 => return Err(crate::holder::gone().into()),
                None => {
                    // Whoever held the profile has let go; perhaps this process becomes the holder now.
                    left -= 1;
                    tokio::time::sleep(PAUSE).await;
                    input.pause().await;
                    let next = Session::open(opening).await?;
                    std::mem::replace(session, next).finish().await;
                    input.resume(talk);
                    talk.begin(session).await?;
                    input.describe(talk);
                }
            },
            () = &mut stop => return Err(Error::new(ErrorCode::Interrupted, "interrupted").into()),
            () = tokio::time::sleep_until(touched + lock.unwrap_or_default()), if lock.is_some() => return Ok(After::Locked),
            () = tokio::time::sleep_until(look), if ended.is_some() => {
                match talk.queued() {
                    Some(0) => return Ok(After::Left),
                    _ if ended.is_some_and(|end| Instant::now() >= end) => {
                        return Err(Error::new(ErrorCode::Waiting, "not everything has gone out yet; it stays queued")
                            .advise("sealpost status")
                            .into());
                    }
                    _ => {}
                }
                talk.ask_status(session).await?;
                look = Instant::now() + LOOK;
            }
        }
    }
}

/// Gives a command whose answers are shown as they come; a holder that has just gone is noticed at the next event.
async fn give(session: &mut Session, command: Command) -> Option<u64> {
    session.give(command).await.ok()
}

/// Whether an event says that the command is over.
fn is_end(event: &Event) -> bool {
    matches!(event, Event::End)
}
