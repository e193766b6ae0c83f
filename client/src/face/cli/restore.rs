//! A profile in a file, and what becomes of the file; an account out of its words.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sealpost_spec::account::ContactLink;

use super::register::{Relay, ask, enrol, parse_name};
use super::{Context, Stop};
use crate::api::{Error, ErrorCode, Event};
use crate::face::passphrase::Source;
use crate::face::place;
use crate::face::screen::Screen;
use crate::holder::{self, Profile, Progress, Zeroizing};

const WORDS: usize = 24;
/// What takes longer shows how far it has come.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a person says when an account is to be restored by its words.
pub(super) struct ByWords {
    pub(super) relay: Option<String>,
    pub(super) name: Option<String>,
    pub(super) file: Option<PathBuf>,
    pub(super) descriptor: Option<u32>,
    pub(super) invite: Option<String>,
}

pub(super) async fn backup(context: Context, file: PathBuf) -> Result<u8, Stop> {
    if file == Path::new("-") && std::io::stdout().is_terminal() {
        return Err(Error::new(ErrorCode::Usage, "a backup is not for a terminal")
            .advise("sealpost backup FILE")
            .into());
    }
    if !Profile::exists(&context.dir) {
        return Err(holder::no_profile(&context.dir).into());
    }
    let passphrase = context.passphrase.read()?;
    holder::backup(&context.dir, &passphrase, &file, meter(&context)).await?;
    context.screen.note(
        "The backup opens with the passphrase that the profile has now. It holds the account's key: keep it as you keep \
         the recovery words. What is queued, sessions and tokens of programs are not in it.",
    );
    // Where the backup itself goes to standard output, nothing else does.
    if file != Path::new("-") {
        context.screen.show(&Event::Done)?;
    }
    Ok(0)
}

pub(super) async fn from_file(context: Context, file: PathBuf) -> Result<u8, Stop> {
    vacant(&context)?;
    if file == Path::new("-") && context.passphrase.file.as_deref() == Some(Path::new("-")) {
        return Err(Error::new(ErrorCode::Usage, "backup and passphrase can't both come from standard input")
            .advise("sealpost --passphrase-fd N restore -")
            .into());
    }
    let passphrase = context.passphrase.read()?;
    place::make_parent(&context.dir)?;
    let profile = holder::restore(&context.dir, &passphrase, &file, meter(&context)).await?;
    settle(context, profile, &passphrase, None).await
}

pub(super) async fn from_words(context: Context, by: ByWords) -> Result<u8, Stop> {
    vacant(&context)?;
    let asks = context.may_ask && std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let missing = |what: &str| {
        Error::new(ErrorCode::Usage, format!("{what} is missing"))
            .advise("sealpost restore --words ADDRESS NAME --words-file FILE")
    };
    let address = match by.relay {
        Some(address) => address,
        None if asks => ask("Relay address, or your own contact link: ")?,
        None => return Err(missing("the relay's address").into()),
    };
    let mut relay = Relay::parse(&address, &context)?;
    relay.invite = by.invite.or(relay.invite);
    let own = address.parse::<ContactLink>().ok().map(|link| link.name.to_string());
    let name = match by.name.or(own) {
        Some(name) => name,
        None if asks => ask("Your name there: ")?,
        None => return Err(missing("the name").into()),
    };
    let name = parse_name(&name)?;
    let words = Source { file: by.file, descriptor: by.descriptor, variable: None, ask: false };
    let words = match words.given()? {
        Some(words) => words,
        None if asks => ask_words(context.screen)?,
        None => return Err(missing("a file with the 24 recovery words").into()),
    };
    let passphrase = context.passphrase.choose(name.as_str())?;
    place::make_parent(&context.dir)?;
    let profile = holder::recover(&context.dir, &passphrase, &name, &words, &relay.address).await?;
    settle(context, profile, &passphrase, relay.invite).await
}

/// The account gets its new device.
async fn settle(
    context: Context,
    profile: Profile,
    passphrase: &Zeroizing<String>,
    invite: Option<String>,
) -> Result<u8, Stop> {
    enrol(&context, profile, passphrase, invite).await?;
    context.screen.note(
        "Restored. This is a new device of the same key: people you know are told so, and their marks stay. The device \
         before it can do nothing any more.",
    );
    Ok(0)
}

/// Nothing is restored over a profile.
fn vacant(context: &Context) -> Result<(), Error> {
    if !Profile::exists(&context.dir) {
        return Ok(());
    }
    Err(Error::new(ErrorCode::Usage, format!("there is a profile in {} already", context.dir.display()))
        .because("nothing is restored over it")
        .advise("sealpost -p OTHER restore ...; or: sealpost wipe"))
}

/// Words are typed as they stand on the paper, on one line or several.
fn ask_words(screen: Screen) -> Result<Zeroizing<String>, Error> {
    screen.note("Your 24 recovery words, on one line or several:");
    let mut words = Zeroizing::new(String::with_capacity(512));
    while words.split_whitespace().count() < WORDS {
        let mut line = Zeroizing::new(String::new());
        match std::io::stdin().lock().read_line(&mut line) {
            Ok(0) | Err(_) => return Err(Error::new(ErrorCode::Interrupted, "interrupted")),
            Ok(_) => words.push_str(&line),
        }
        words.push(' ');
    }
    Ok(words)
}

/// Shows on a terminal how far it has come.
fn meter(context: &Context) -> Box<dyn FnMut(Progress) + Send> {
    let shows = std::io::stderr().is_terminal() && !context.screen.quiet && !context.screen.json;
    let began = Instant::now();
    let mut shown = began;
    Box::new(move |progress| {
        let over = progress.done >= progress.of && shown > began;
        if shows && (over || shown.elapsed() >= PATIENCE) {
            shown = Instant::now();
            let end = if over { "\n" } else { "" };
            let _ = write!(std::io::stderr(), "\r{} of {} messages{end}", progress.done, progress.of);
        }
    })
}
