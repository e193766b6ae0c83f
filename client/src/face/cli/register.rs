//! How a profile comes to be: `register` without questions, `init` with them.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

use sealpost_spec::account::{ContactLink, InviteLink, Name};
use sealpost_spec::relay::Address;
use tokio::time::timeout;

use super::{Context, Stop};
use crate::api::{Command, Error, ErrorCode, Event};
use crate::face::place;
use crate::face::relays::Relays;
use crate::holder::{self, CarriedOut, Profile, Session, Zeroizing};

/// To reach the relay and be registered.
const REGISTER: Duration = Duration::from_secs(40);

/// A relay, and the invite that a link to it may carry.
pub(super) struct Relay {
    pub(super) address: Address,
    pub(super) invite: Option<String>,
}

impl Relay {
    /// An address, a link to a relay, or the name of a saved one.
    pub(super) fn parse(text: &str, context: &Context) -> Result<Self, Error> {
        if let Some(address) = Relays::read(&context.dir)?.find(text) {
            return Ok(Self { address: address.clone(), invite: None });
        }
        Self::of(text)
    }

    pub(super) fn of(text: &str) -> Result<Self, Error> {
        if let Ok(link) = text.parse::<ContactLink>() {
            return Ok(Self { address: link.relay, invite: link.invite });
        }
        if let Ok(link) = text.parse::<InviteLink>() {
            return Ok(Self { address: link.relay, invite: Some(link.token.to_string()) });
        }
        let address = text.parse::<Address>().map_err(|error| {
            Error::new(ErrorCode::Usage, "that is no address of a relay")
                .because(error.to_string())
                .advise("copy the line that the relay prints when it starts")
        })?;
        Ok(Self { address, invite: None })
    }
}

pub(super) async fn register(
    context: Context,
    address: &str,
    name: String,
    invite: Option<String>,
) -> Result<u8, Stop> {
    let mut relay = Relay::parse(address, &context)?;
    relay.invite = invite.or(relay.invite);
    let name = parse_name(&name)?;
    let fresh = !Profile::exists(&context.dir);
    let passphrase = if fresh { context.passphrase.choose(name.as_str())? } else { context.passphrase.read()? };
    let words = make(&context, &relay, &name, &passphrase).await?;
    // Into a terminal only: what is redirected stays somewhere.
    if std::io::stderr().is_terminal() {
        show_words(&words);
    } else {
        context.screen.note(
            "The 24 recovery words are shown on a terminal alone, and were not. Keep a backup of this account instead: \
             sealpost backup FILE",
        );
    }
    Ok(0)
}

pub(super) async fn init(context: Context) -> Result<u8, Stop> {
    wizard(&context).await?;
    eprintln!("Done. Now: sealpost, sealpost me, sealpost add LINK");
    Ok(0)
}

/// Asks for everything that makes a profile, and registers it; returns its passphrase.
pub(super) async fn wizard(context: &Context) -> Result<Zeroizing<String>, Stop> {
    if !context.may_ask || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Error::new(ErrorCode::Usage, "init asks questions, and there is no terminal to ask them on")
            .advise("sealpost --passphrase-file FILE register ADDRESS NAME")
            .into());
    }
    if Profile::exists(&context.dir) {
        let profile = holder::unlock(&context.dir, &context.passphrase.read()?).await?;
        if profile.registered() {
            return Err(taken_place(&profile).into());
        }
        eprintln!("A registration that was not finished is put away.");
        profile.discard()?;
    }
    eprintln!("This makes a Sealpost profile in {}.", context.dir.display());
    let relay = loop {
        match Relay::parse(&ask("Relay address, or a link with an invite: ")?, context) {
            Ok(relay) => break relay,
            Err(error) => context.screen.complain(&error),
        }
    };
    eprintln!("The relay's key is {}", grouped(&relay.address.pin.to_string()));
    eprintln!("Compare it with what the relay's operator told you: the client talks to this key only.");
    let mut passphrase = None;
    loop {
        let name = match parse_name(&ask("Your name there (a-z 0-9 _ . -): ")?) {
            Ok(name) => name,
            Err(error) => {
                context.screen.complain(&error);
                continue;
            }
        };
        let passphrase = match &passphrase {
            Some(chosen) => chosen,
            None => passphrase.insert(context.passphrase.choose(name.as_str())?),
        };
        match make(context, &relay, &name, passphrase).await {
            Ok(words) => {
                show_words(&words);
                ask("Press Enter when you have written them down. ")?;
                return Ok(passphrase.clone());
            }
            Err(Stop::Error(error)) if error.code == ErrorCode::Refused => context.screen.complain(&error),
            Err(stop) => return Err(stop),
        }
    }
}

/// Makes a profile and registers it; shows who one is and returns the words. A profile that the relay refuses leaves
/// nothing behind; one whose relay can't be reached stays, and is registered by the same command later.
async fn make(
    context: &Context,
    relay: &Relay,
    name: &Name,
    passphrase: &Zeroizing<String>,
) -> Result<Zeroizing<String>, Stop> {
    let profile = fitting(context, relay, name, passphrase).await?;
    let words = profile.words()?;
    enrol(context, profile, passphrase, relay.invite.clone()).await?;
    Ok(words)
}

/// Registers a profile that is not, and shows who one is. One that the relay refuses is thrown away.
pub(super) async fn enrol(
    context: &Context,
    profile: Profile,
    passphrase: &Zeroizing<String>,
    invite: Option<String>,
) -> Result<(), Stop> {
    let again = format!("sealpost register {} {}, with the same passphrase", profile.relay(), profile.name());
    let mut session = Session::hold(profile, &context.opening()).await?;
    let mut failed = None;
    let command = Command::Register { invite };
    let screen = context.screen;
    let mut each = |event: Event| -> Result<(), Stop> {
        match event {
            Event::Error(error) => failed = Some(error),
            event => screen.show(&event)?,
        }
        Ok(())
    };
    let outcome = timeout(REGISTER, session.carry_out(&command, &mut each)).await;
    session.finish().await;
    match outcome {
        Ok(Ok(CarriedOut::Whole)) => {}
        Ok(Ok(_)) => failed = Some(holder::gone()),
        Ok(Err(stop)) => return Err(stop),
        Err(_) => failed = Some(Error::new(ErrorCode::Unreachable, "the relay did not answer in time")),
    }
    let Some(error) = failed else { return Ok(()) };
    // Only where the relay may have registered this key is it kept.
    if !matches!(error.code, ErrorCode::Unreachable | ErrorCode::Waiting | ErrorCode::Failed | ErrorCode::Interrupted) {
        let profile = holder::unlock(&context.dir, passphrase).await?;
        if !profile.registered() {
            profile.discard()?;
        }
        return Err(error.into());
    }
    Err(if error.advice.is_none() { error.advise(again) } else { error }.into())
}

/// A profile of this name at this relay that is not registered yet: one that was left over, or a new one.
async fn fitting(
    context: &Context,
    relay: &Relay,
    name: &Name,
    passphrase: &Zeroizing<String>,
) -> Result<Profile, Error> {
    if Profile::exists(&context.dir) {
        let profile = holder::unlock(&context.dir, passphrase).await?;
        if profile.registered() {
            return Err(taken_place(&profile));
        }
        if profile.name() == name && *profile.relay() == relay.address {
            return Ok(profile);
        }
        profile.discard()?;
    }
    place::make_parent(&context.dir)?;
    holder::create(&context.dir, passphrase, name, &relay.address).await
}

fn taken_place(profile: &Profile) -> Error {
    Error::new(ErrorCode::Usage, format!("this profile is registered already, as {}", profile.name()))
        .because(format!("at {}", profile.relay()))
        .advise("sealpost --profile OTHER register ADDRESS NAME")
}

pub(super) fn parse_name(text: &str) -> Result<Name, Error> {
    text.trim().parse().map_err(|error: sealpost_spec::account::InvalidName| {
        Error::new(ErrorCode::Usage, "that is no name")
            .because(error.to_string())
            .advise("sealpost register ADDRESS alice")
    })
}

pub(super) fn ask(question: &str) -> Result<String, Error> {
    let ended = || Error::new(ErrorCode::Interrupted, "interrupted");
    let mut err = std::io::stderr();
    write!(err, "{question}").and_then(|()| err.flush()).map_err(|_| ended())?;
    let mut line = String::new();
    match std::io::stdin().lock().read_line(&mut line) {
        Ok(0) | Err(_) => Err(ended()),
        Ok(_) => Ok(line.trim().to_owned()),
    }
}

fn show_words(words: &str) {
    eprintln!("\nYour 24 recovery words. Whoever has them is you; without them, a lost machine is a lost name.");
    let words: Vec<&str> = words.split_whitespace().collect();
    for (row, chunk) in words.chunks(6).enumerate() {
        let row: Vec<String> =
            chunk.iter().enumerate().map(|(i, word)| format!("{:>2} {word:<9}", row * 6 + i + 1)).collect();
        eprintln!("  {}", row.join(" "));
    }
    eprintln!("Write them on paper. They are not shown again.\n");
}

fn grouped(key: &str) -> String {
    let letters: Vec<char> = key.chars().collect();
    letters.chunks(4).map(String::from_iter).collect::<Vec<_>>().join(" ")
}
