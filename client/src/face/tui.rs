//! The full-screen interface. What is drawn is built from what was heard; nothing is waited for but the next key, the
//! next event or the end.

mod act;
mod answers;
mod composer;
mod conversations;
mod draw;
mod files;
mod help;
mod ink;
mod jump;
mod keys;
mod lock;
mod messages;
mod mouse;
mod people;
mod select;
mod session;
mod terminal;
mod theme;
mod unlock;
mod verify;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::time::Instant;

use super::Stop;
use super::cli::interrupted;
use super::duration::After;
use super::notify::{Notifier, Notify};
use super::passphrase::Source;
use super::view::{Entry, View};
use crate::api::{Command, Error, ErrorCode, Shown};
use crate::holder::Zeroizing;
use crate::link::Proxy;
use act::Asked;
use composer::Composer;
use files::Files;
use help::Help;
use jump::Jump;
use lock::Room;
use people::People;
use select::About;
use terminal::Taken;
use theme::{Background, Theme};
use unlock::Unlock;
use verify::Verify;

/// What is drawn at once, however much arrives meanwhile.
const AT_ONCE: usize = 512;

/// How often a conversation is read again whose messages go by themselves.
const AGAIN: Duration = Duration::from_secs(2);

/// How it looks.
#[derive(Args, Clone, Copy, Debug)]
pub(in crate::face) struct Look {
    /// Colours for a light or a dark background
    #[arg(long, value_enum, value_name = "BACKGROUND", default_value = "auto", env = "SEALPOST_THEME")]
    theme: Background,
    /// Draw lines and marks in ASCII
    #[arg(long, env = "SEALPOST_ASCII", value_parser = clap::builder::FalseyValueParser::new(), action = clap::ArgAction::SetTrue)]
    ascii: bool,
    /// Leave the mouse to the terminal
    #[arg(long, env = "SEALPOST_NO_MOUSE", value_parser = clap::builder::FalseyValueParser::new(), action = clap::ArgAction::SetTrue)]
    no_mouse: bool,
    /// Tell the desktop of messages that you do not look at: bell, on (nothing of them), content, off
    #[arg(long, value_enum, value_name = "HOW", default_value = "on", env = "SEALPOST_NOTIFY")]
    notify: Notify,
    /// Forget what is shown after so long without a key, and ask for the passphrase: 10m, 1h, off
    ///
    /// Where the passphrase is given by a file, a descriptor or the environment, nothing is locked.
    #[arg(long, value_name = "DUR|off", default_value = "15m", env = "SEALPOST_LOCK")]
    lock: After,
}

/// What opens the profile.
#[derive(Clone)]
pub(super) struct Start {
    pub(super) dir: PathBuf,
    pub(super) passphrase: Source,
    /// The passphrase of a profile that was made a moment ago.
    pub(super) chosen: Option<Zeroizing<String>>,
    pub(super) proxy: Option<Proxy>,
    pub(super) downloads: PathBuf,
}

/// Whether it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Stay,
    Leave,
    /// Let the shell have the terminal.
    Suspend,
    /// Draw everything anew.
    Redraw,
    /// Forget what is shown, and ask for the passphrase.
    Lock,
}

/// What stands over the conversation.
enum Panel {
    None,
    Help(Help),
    Jump(Jump),
    People(People),
    Files(Files),
    Verify(Verify),
}

/// How far the profile is open.
enum Stage {
    /// It is being opened.
    Opening,
    /// A passphrase is asked for.
    Locked(Unlock),
    Talking,
}

/// All that is drawn, and what is under way.
struct App {
    view: View,
    theme: Theme,
    stage: Stage,
    panel: Panel,
    composer: Composer,
    /// The person looks at the terminal, as far as it tells.
    looking: bool,
    /// When the other side was last told that one is typing.
    typing: Option<std::time::Instant>,
    /// Something came that was not looked at.
    unseen: bool,
    /// The message that is chosen, by its id.
    selected: Option<String>,
    /// What the line that is typed is about.
    about: Option<About>,
    /// Lines between the end of the messages and the lower edge of the screen.
    scroll: usize,
    /// Where things were drawn: for the mouse.
    areas: mouse::Areas,
    /// Rooms of the relay, as far as they were told.
    rooms: Vec<String>,
    asked: HashMap<u64, Asked>,
    given: u64,
    out: Vec<(u64, Command)>,
    /// The safety number shown last, and with whom.
    number: Option<(String, String)>,
    /// The beginning of what is known is in sight.
    wants_more: bool,
    unlocked: Option<Zeroizing<String>>,
    next: Next,
    failed: Option<Error>,
    notifier: Notifier,
    /// What the desktop is to be told.
    notice: Option<String>,
    dirty: bool,
}

impl App {
    fn new(theme: Theme, notify: Notify) -> Self {
        let term = std::env::var("TERM").unwrap_or_default();
        Self {
            view: View::new(),
            theme,
            stage: Stage::Opening,
            panel: Panel::None,
            composer: Composer::default(),
            looking: true,
            typing: None,
            unseen: false,
            selected: None,
            about: None,
            scroll: 0,
            areas: mouse::Areas::default(),
            rooms: Vec::new(),
            asked: HashMap::new(),
            given: 0,
            out: Vec::new(),
            number: None,
            wants_more: false,
            unlocked: None,
            next: Next::Stay,
            failed: None,
            notifier: Notifier::new(notify, &term),
            notice: None,
            dirty: true,
        }
    }

    /// One that knows nothing.
    fn locked(theme: Theme, notify: Notify) -> Self {
        Self { stage: Stage::Locked(Unlock::new(None)), ..Self::new(theme, notify) }
    }

    /// Says something in a conversation, for oneself alone.
    fn note(&mut self, place: &str, text: impl Into<Shown>) {
        self.view.conversation_mut(place).push(Entry::Note(text.into()));
    }

    /// The same where one is.
    fn note_here(&mut self, text: impl Into<Shown>) {
        let here = self.view.here().to_owned();
        self.note(&here, text);
    }
}

/// Opens the profile and talks until one leaves.
pub(super) async fn run(start: Start, look: Look, colour: bool) -> Result<u8, Stop> {
    let mut taken = Taken::take(!look.no_mouse)?;
    let mut typed = Vec::new();
    let light = match look.theme {
        _ if !colour => None,
        Background::Light => Some(true),
        Background::Dark => Some(false),
        Background::Auto => {
            let told = std::env::var("COLORFGBG").ok().and_then(|value| theme::light_by_variable(&value));
            let told = told.or_else(|| {
                let (light, meanwhile) = terminal::ask_light();
                typed = meanwhile;
                light
            });
            Some(told.unwrap_or(false))
        }
    };
    let mut app = App::new(Theme::new(light, look.ascii), look.notify);
    typed.into_iter().for_each(|key| app.input(key));
    let mut conversation = Room::open(start, look.lock.0);
    let outcome = talk(&mut taken, &mut app, &mut conversation).await;
    // The terminal first: it must not stay taken, whatever happens next.
    drop(taken);
    conversation.finish().await;
    outcome
}

async fn talk(taken: &mut Taken, app: &mut App, conversation: &mut Room) -> Result<u8, Stop> {
    let mut inputs = terminal::inputs();
    let stop = interrupted();
    tokio::pin!(stop);
    let mut again = Instant::now();
    loop {
        if std::mem::take(&mut app.dirty) {
            taken.terminal.draw(|frame| draw::screen(frame, app)).map_err(terminal::unusable)?;
        }
        let due = conversation.due().filter(|_| matches!(app.stage, Stage::Talking));
        tokio::select! {
            input = inputs.recv() => match input {
                Some(input) => {
                    conversation.touched();
                    app.input(input);
                }
                None => return Ok(0),
            },
            heard = conversation.next() => match heard {
                Some(heard) => app.heard(heard),
                None => return Err(app.failed.take().unwrap_or_else(crate::holder::gone).into()),
            },
            () = tokio::time::sleep_until(again), if app.view.current().expires() => {
                app.ask_newest();
                again = Instant::now() + AGAIN;
            }
            () = tokio::time::sleep_until(due.unwrap_or(again)), if due.is_some() => app.next = Next::Lock,
            () = &mut stop => return Err(Error::new(ErrorCode::Interrupted, "interrupted").into()),
        }
        for _ in 0..AT_ONCE {
            if let Ok(input) = inputs.try_recv() {
                app.input(input);
            } else if let Some(heard) = conversation.ready() {
                app.heard(heard);
            } else {
                break;
            }
        }
        if let Some(notice) = app.notice.take() {
            terminal::tell(&notice);
        }
        if let Some(passphrase) = app.unlocked.take() {
            conversation.unlock(passphrase);
        }
        for (number, command) in std::mem::take(&mut app.out) {
            if !conversation.give(number, command) {
                app.note_here("error: too much is under way; try it again in a moment");
            }
        }
        match std::mem::replace(&mut app.next, Next::Stay) {
            Next::Stay => {}
            Next::Leave => {
                app.keep_draft();
                for (number, command) in std::mem::take(&mut app.out) {
                    conversation.give(number, command);
                }
                return app.failed.take().map_or(Ok(0), |error| Err(error.into()));
            }
            Next::Suspend => {
                taken.suspend()?;
                app.dirty = true;
            }
            Next::Redraw => {
                taken.redraw()?;
                app.dirty = true;
            }
            Next::Lock if conversation.locks() => {
                app.keep_draft();
                for (number, command) in std::mem::take(&mut app.out) {
                    conversation.give(number, command);
                }
                *app = App::locked(app.theme, app.notifier.how());
                taken.redraw()?;
                taken.terminal.draw(|frame| draw::screen(frame, app)).map_err(terminal::unusable)?;
                conversation.lock().await;
            }
            Next::Lock => app.note_here("error: the passphrase came from a file, so nothing is locked; /quit leaves"),
        }
    }
}

#[cfg(test)]
#[path = "tui_tests.rs"]
mod tests;
