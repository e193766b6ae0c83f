//! Commands that one profile carries out: given to its holder, shown, and turned into an exit code.

use std::io::{IsTerminal as _, Read as _};
use std::time::Duration;

use super::arguments::{Bot, Device, Verb, Whom};
use super::{Context, Stop, file};
use crate::api::{Command, Error, ErrorCode, Event, State, Way};
use crate::face::meter::Meter;
use crate::face::place::absolute;
use crate::face::plain;
use crate::holder;

/// Longest text that is read from standard input, in bytes; what is too long for a message is refused with its limit.
const MAX_TEXT: u64 = 64 * 1024;

/// Beyond what the command itself waits for: to open the profile and to answer.
pub(super) const GRACE: Duration = Duration::from_secs(10);

pub(super) async fn run(context: Context, verb: Verb, wait: Duration, timed: bool) -> Result<u8, Stop> {
    let screen = context.screen;
    let out = file::Out::of(&verb, &context)?;
    let commands = commands(verb, wait, &out)?;
    let follows = matches!(commands[..], [Command::Recv { follow: true, .. }]);
    let moves = commands.iter().any(|command| matches!(command, Command::SendFile { .. } | Command::Get { .. }));
    let to = commands.iter().find_map(|command| match command {
        Command::Send { to, .. } | Command::SendFile { to, .. } => Some(to.clone()),
        _ => None,
    });
    let mut opening = context.opening();
    let mut exit = 0;
    let mut queued = false;
    let mut meter = Meter::new(&screen);
    let mut saved = None;
    let shows = |event: &Event| screen.json || !matches!(event, Event::State { .. } | Event::Queued { .. });
    let each = |event: Event| -> Result<(), Stop> {
        match &event {
            Event::Progress(transfer) if moves => {
                meter.shows(transfer);
                if transfer.incoming && transfer.state == Way::Done {
                    saved.clone_from(&transfer.path);
                }
                return if screen.json { screen.show(&event) } else { Ok(()) };
            }
            Event::Error(error) => exit = error.exit,
            Event::Queued { .. } => queued = true,
            Event::State { conversation, state, .. } => note(screen, to.as_deref().unwrap_or(conversation), *state),
            _ => {}
        }
        // What follows is not written into the line of a bar.
        meter.rests();
        if shows(&event) { screen.show(&event) } else { Ok(()) }
    };
    // These keep the time themselves, and say at its end how far they came.
    let keeps_time = commands.iter().all(|command| {
        matches!(
            command,
            Command::Send { .. }
                | Command::Reply { .. }
                | Command::Recv { follow: false, .. }
                | Command::DeviceAdd { .. }
        )
    });
    let limit = match (follows, timed) {
        // A file takes as long as it moves.
        _ if moves => None,
        (true, timed) => timed.then_some(wait),
        (false, true) if !keeps_time => Some(wait),
        (false, _) => Some(wait + GRACE),
    };
    let stop = async {
        tokio::select! {
            () = after(limit) => Stopped::Late,
            () = interrupted() => Stopped::Interrupted,
        }
    };
    match holder::run_all(&mut opening, &commands, stop, each).await? {
        None => {
            if let Some(path) = saved.filter(|_| exit == 0) {
                out.done(&screen, &path)?;
            }
            Ok(exit)
        }
        Some(Stopped::Interrupted) => Err(Error::new(ErrorCode::Interrupted, "interrupted").into()),
        Some(Stopped::Late) if follows => Ok(0),
        Some(Stopped::Late) if queued => {
            Err(Error::new(ErrorCode::Waiting, "the message is queued and has not gone out yet")
                .advise("sealpost status")
                .into())
        }
        Some(Stopped::Late) => {
            Err(Error::new(ErrorCode::Unreachable, "there was no answer in time").advise("sealpost status").into())
        }
    }
}

enum Stopped {
    Late,
    Interrupted,
}

async fn after(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

/// Completes when somebody wants this process to end.
pub(in crate::face) async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
}

fn note(screen: crate::face::screen::Screen, to: &str, state: State) {
    let words = match state {
        State::Sent => "sent to",
        State::Delivered => "delivered to",
        State::Read => "read by",
        State::NotDelivered => "not delivered to",
        State::Queued | State::Received => return,
    };
    screen.note(format!("{words} {} ({})", plain::said(to), plain::privacy(to)));
}

/// What a verb asks for: one command, or those that `send` makes of a text and files.
fn commands(verb: Verb, wait: Duration, out: &file::Out) -> Result<Vec<Command>, Error> {
    let timeout_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    let Verb::Send { to, text, files, wait: how_far, expire } = verb else {
        return Ok(vec![command(verb, wait, out)?]);
    };
    let (how_far, expire) = (how_far.told(), expire.map(seconds));
    let mut commands = Vec::new();
    if files.is_empty() || !text.is_empty() {
        let text = self::text(&text)?;
        commands.push(Command::Send { to: to.clone(), text, wait: how_far, timeout_ms, expire });
    }
    for path in files {
        let path = absolute(&path)?;
        commands.push(Command::SendFile { to: to.clone(), path, wait: how_far, timeout_ms, expire });
    }
    Ok(commands)
}

fn command(verb: Verb, wait: Duration, out: &file::Out) -> Result<Command, Error> {
    let timeout_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    Ok(match verb {
        Verb::Init
        | Verb::Send { .. }
        | Verb::Register { .. }
        | Verb::Passphrase { .. }
        | Verb::Backup { .. }
        | Verb::Doctor
        | Verb::Relay { .. }
        | Verb::Profiles
        | Verb::Restore { .. }
        | Verb::Wipe { .. }
        | Verb::Unregister { .. }
        | Verb::Device { device: Device::Link { .. } }
        | Verb::Chat { .. }
        | Verb::Daemon { .. }
        | Verb::Tui(_)
        | Verb::Web { .. }
        | Verb::Completions { .. }
        | Verb::Schema
        | Verb::Man { .. } => {
            return Err(Error::new(ErrorCode::Failed, "this command does not ask the relay"));
        }
        Verb::Me => Command::Me,
        Verb::Add { link } => Command::Add { link },
        Verb::Get { id, within, .. } => Command::Get { id, within, to: out.to(), keep: out.is_stdout(), timeout_ms },
        Verb::Files { cancel: None } => Command::Files,
        Verb::Files { cancel: Some(id) } => Command::Cancel { id },
        Verb::Expire { with, after } => Command::Expire { with, seconds: after.0.map(seconds) },
        Verb::Settings { read_receipts, typing } => Command::Settings { read_receipts, typing },
        Verb::Conversations => Command::Conversations,
        Verb::Read { with, through } => Command::Read { with, through },
        Verb::Edit { id, mut text, within } => {
            // The first word is the message, unless --in says which one it is.
            if within.is_some() {
                text.splice(0..0, id.clone());
            }
            let id = id.filter(|_| within.is_none());
            Command::Edit { id, within, text: self::text(&text)? }
        }
        Verb::Delete { id, within } => Command::Delete { id, within },
        Verb::React { id, emoji } => Command::React { id, emoji },
        Verb::Reply { id, text, wait } => {
            Command::Reply { id, text: self::text(&text)?, wait: wait.told(), timeout_ms }
        }
        Verb::Accept { name } => Command::Accept { name: person(name) },
        Verb::Refuse { name } => Command::Refuse { name: person(name) },
        Verb::Mute { with } => Command::Mute { with, on: true },
        Verb::Unmute { with } => Command::Mute { with, on: false },
        Verb::Draft { with, text } => Command::Draft { with, text: text.join(" ") },
        Verb::Recv { follow, from, limit } => Command::Recv { from, limit, follow, timeout_ms },
        Verb::History { with, limit, before } => Command::History { with, limit, before },
        Verb::Verify { name, mark } => Command::Verify { name: name.map(person), mark },
        Verb::Trust { name, fingerprint } => Command::Trust { name: person(name), fingerprint },
        Verb::Join { room } => Command::Join { room },
        Verb::Leave { room } => Command::Leave { room },
        Verb::Rooms => Command::Rooms,
        Verb::Who { room } => Command::Who { room: Some(room) },
        Verb::Topic { room, text } => Command::Topic { room, text: (!text.is_empty()).then(|| text.join(" ")) },
        Verb::Kick(Whom { room, name, reason }) => Command::Kick { room, name: person(name), reason },
        Verb::Ban(Whom { room, name, reason }) => Command::Ban { room, name: person(name), reason },
        Verb::Unban(Whom { room, name, reason }) => Command::Unban { room, name: person(name), reason },
        Verb::Contacts => Command::Contacts,
        Verb::Whois { name } => Command::Whois { name: person(name) },
        Verb::Alias { name, label } => Command::Alias { name: person(name), label: label.join(" ") },
        Verb::Nick { display } => Command::Nick { display: display.join(" ") },
        Verb::Away { why } => Command::Away { why: why.join(" ") },
        Verb::Block { name } => Command::Block { name: person(name) },
        Verb::Unblock { name } => Command::Unblock { name: person(name) },
        Verb::Search { words, with, limit } => Command::Search { words: words.join(" "), with, limit },
        Verb::Status => Command::Status,
        Verb::Devices => Command::Devices,
        Verb::Device { device: Device::Add { request, code, no_wait } } => {
            Command::DeviceAdd { request, code, timeout_ms: if no_wait { 0 } else { timeout_ms } }
        }
        Verb::Device { device: Device::Revoke { device } } => Command::DeviceRevoke { device },
        Verb::Bot { bot: Bot::Add { name, conversations, for_all: _, read_only } } => {
            Command::BotAdd { name, conversations, read_only }
        }
        Verb::Bot { bot: Bot::List } => Command::Bots,
        Verb::Bot { bot: Bot::Remove { name } } => Command::BotRemove { name },
    })
}

/// Whole seconds, one at least.
fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX).max(1)
}

/// People type `@bob` and mean `bob`.
pub(super) fn person(name: String) -> String {
    name.strip_prefix('@').map(str::to_owned).unwrap_or(name)
}

/// The words, else standard input without the line break at its end.
fn text(words: &[String]) -> Result<String, Error> {
    let usage = |message: &str| {
        Error::new(ErrorCode::Usage, message).advise("sealpost send bob hello, or: echo hello | sealpost send bob -")
    };
    let piped = words.is_empty() || matches!(words, [only] if only == "-");
    let text = if piped {
        if words.is_empty() && std::io::stdin().is_terminal() {
            return Err(usage("there is no text to send"));
        }
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().take(MAX_TEXT + 1).read_to_end(&mut bytes);
        read.map_err(|error| usage("standard input can't be read").because(error.to_string()))?;
        if bytes.len() as u64 > MAX_TEXT {
            return Err(usage("the text is longer than 64 KiB"));
        }
        let mut text = String::from_utf8(bytes).map_err(|_| usage("the text is not UTF-8"))?;
        if text.ends_with('\n') {
            text.pop();
        }
        text
    } else {
        words.join(" ")
    };
    if text.trim().is_empty() { Err(usage("there is no text to send")) } else { Ok(text) }
}
