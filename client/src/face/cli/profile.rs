//! What is done with a profile as it lies on the disk, without asking the relay.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::online::{self, GRACE, interrupted};
use super::register::{Relay, ask};
use super::{Context, Stop, TIMEOUT, arguments};
use crate::api::{Command, Error, ErrorCode, Event};
use crate::face::passphrase::Source;
use crate::face::relays::Relays;
use crate::face::{place, plain};
use crate::holder::{self, CarriedOut, Session};

pub(super) async fn change_passphrase(
    context: Context,
    file: Option<PathBuf>,
    descriptor: Option<u32>,
) -> Result<u8, Stop> {
    let stdin = Path::new("-");
    if file.as_deref() == Some(stdin) && context.passphrase.file.as_deref() == Some(stdin) {
        return Err(Error::new(ErrorCode::Usage, "both passphrases can't come from standard input")
            .advise("sealpost --passphrase-file FILE passphrase change --new-passphrase-file -")
            .into());
    }
    let new = Source { file, descriptor, variable: Some("SEALPOST_NEW_PASSPHRASE"), ask: context.may_ask };
    let header = holder::unlock_header(&context.dir, &context.passphrase.read()?).await?;
    let new = new.choose(&context.profile)?;
    holder::change_passphrase(header, &new).await?;
    context.screen.note("The passphrase is changed. Copies and backups that were made before keep the old one.");
    context.screen.show(&Event::Done)?;
    Ok(0)
}

/// Deletes the account at the relay; where its name is not given, its owner is asked for it.
pub(super) async fn unregister(context: Context, name: Option<String>, timeout: Option<Duration>) -> Result<u8, Stop> {
    if name.is_none() {
        asks(&context, "sealpost unregister NAME")?;
    }
    let mut session = Session::open(&mut context.opening()).await?;
    // One conversation, so that nobody gives the passphrase twice.
    let outcome = unregister_in(&mut session, &context, name, timeout.unwrap_or(TIMEOUT + GRACE)).await;
    session.finish().await;
    outcome
}

async fn unregister_in(
    session: &mut Session,
    context: &Context,
    name: Option<String>,
    limit: Duration,
) -> Result<u8, Stop> {
    let name = match name {
        Some(name) => online::person(name),
        None => typed_name(session, context).await?,
    };
    let (screen, mut exit) = (context.screen, 0);
    let mut each = |event: Event| -> Result<(), Stop> {
        if let Event::Error(error) = &event {
            exit = error.exit;
        }
        screen.show(&event)
    };
    let command = Command::Unregister { name };
    let late = || {
        Error::new(ErrorCode::Unreachable, "there was no answer in time")
            .because("whether the account is deleted is not known")
            .advise("sealpost status")
    };
    let ended = tokio::select! {
        ended = session.carry_out(&command, &mut each) => ended?,
        () = tokio::time::sleep(limit) => return Err(late().into()),
        () = interrupted() => return Err(Error::new(ErrorCode::Interrupted, "interrupted").into()),
    };
    if ended != CarriedOut::Whole {
        return Err(holder::gone().into());
    }
    if exit == 0 {
        screen.note(
            "Unregistered: the relay knows nothing of this account any more, and its name is free. What was said is still \
             here; sealpost wipe deletes it.",
        );
    }
    Ok(exit)
}

/// The name of the account that is to go, typed by its owner.
async fn typed_name(session: &mut Session, context: &Context) -> Result<String, Stop> {
    let mut me = None;
    let mut each = |event: Event| -> Result<(), Stop> {
        match event {
            Event::Me { name, relay, .. } => me = Some((name, relay)),
            Event::Error(error) => return Err(error.into()),
            _ => {}
        }
        Ok(())
    };
    session.carry_out(&Command::Me, &mut each).await?;
    let (name, relay) = me.ok_or_else(holder::gone)?;
    let screen = context.screen;
    screen.note(format!("This deletes the account {} at {}:", plain::said(&name), plain::said(&relay)));
    screen.note("its keys, and what waits there for you. The name is free then; whoever takes it has another key.");
    typed(&plain::said(&name))?;
    Ok(name)
}

/// Deletes the profile, keys first; it need not open for that.
pub(super) async fn wipe(context: Context, yes: bool) -> Result<u8, Stop> {
    if !holder::Profile::exists(&context.dir) {
        return Err(holder::no_profile(&context.dir).into());
    }
    if !yes {
        asks(&context, "sealpost wipe --yes")?;
        context.screen.note(format!(
            "This deletes the profile {} in {}: keys, contacts and history.",
            context.profile,
            context.dir.display()
        ));
        context.screen.note("The relay goes on to know the name; sealpost unregister, before this, deletes it there.");
        typed(&context.profile)?;
    }
    let left = holder::wipe(&context.dir).await?;
    if !left.is_empty() {
        let left: Vec<String> = left.iter().map(|name| plain::said(name).to_string()).collect();
        context.screen.note(format!("Not deleted, since it is none of its files: {}", left.join(", ")));
    }
    context.screen.note(
        "Wiped. Unless it was unregistered before, the relay goes on to know the name until its operator releases it. Copies of the folder, backups and the \
         recovery words still open what they opened; a disk may keep what was overwritten until it needs the room.",
    );
    context.screen.show(&Event::Done)?;
    Ok(0)
}

/// Where nobody can be asked, says what to give instead.
fn asks(context: &Context, instead: &str) -> Result<(), Error> {
    if context.may_ask && std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        return Ok(());
    }
    Err(Error::new(ErrorCode::Usage, "this asks first, and there is no terminal to ask on").advise(instead))
}

fn typed(name: &str) -> Result<(), Error> {
    if ask(&format!("Type {name} to do it: "))? == name {
        return Ok(());
    }
    Err(Error::new(ErrorCode::Interrupted, "that is another name; nothing was deleted"))
}

/// Relays under names of the person's own.
pub(super) fn relay(context: &Context, verb: arguments::Relay) -> Result<u8, Stop> {
    let mut relays = Relays::read(&context.dir)?;
    match verb {
        arguments::Relay::Add { name, address } => {
            let address = Relay::of(&address)?.address;
            place::make_parent(&context.dir)?;
            relays.add(&name, address)?;
            context.screen.show(&Event::Done)?;
        }
        arguments::Relay::List => {
            for (name, address) in relays.all() {
                context.screen.show(&Event::Relay { name: name.clone(), address: address.to_string() })?;
            }
        }
        arguments::Relay::Remove { name } => {
            relays.remove(&name)?;
            context.screen.show(&Event::Done)?;
        }
    }
    Ok(0)
}

/// The profiles that this user has here.
pub(super) async fn profiles(context: &Context) -> Result<u8, Stop> {
    let mut names: Vec<String> = match context.dir.parent().map(std::fs::read_dir) {
        Some(Ok(entries)) => entries
            .flatten()
            .filter(|entry| holder::Profile::exists(&entry.path()))
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect(),
        _ => Vec::new(),
    };
    names.sort();
    for name in names {
        let held = holder::is_held(&context.dir.with_file_name(&name)).await;
        context.screen.show(&Event::Profile { name, held })?;
    }
    Ok(0)
}
