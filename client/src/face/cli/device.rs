//! Another machine becomes a device of the account: what is typed there, and what on the first device.

use std::io::IsTerminal as _;
use std::time::Duration;

use sealpost_spec::account::ContactLink;
use tokio::time::timeout;

use super::arguments::{self, Verb};
use super::register::ask;
use super::{Context, Stop, online};
use crate::api::{Command, Error, ErrorCode, Event};
use crate::face::{place, plain};
use crate::holder::{self, CarriedOut, Profile, Session};

/// How long a machine waits to be added.
const LINKING: Duration = Duration::from_secs(10 * 60);
/// Beyond what the command itself waits for.
const GRACE: Duration = Duration::from_secs(10);

/// `device link`: makes the profile, or goes on with the one that was made before, and waits.
pub(super) async fn link(context: Context, link: &str, wait: Option<Duration>) -> Result<u8, Stop> {
    let link: ContactLink = link.parse().map_err(|_| {
        Error::new(ErrorCode::Usage, "this is no contact link")
            .because("one looks like sealpost://HOST:PORT/KEY/NAME?fp=FINGERPRINT")
            .advise("give what `sealpost me` prints on the first device")
    })?;
    let profile = waiting(&context, &link).await?;
    let wait = wait.unwrap_or(LINKING);
    let timeout_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    let mut session = Session::hold(profile, &context.opening()).await?;
    let screen = context.screen;
    let mut failed = None;
    let mut each = |event: Event| -> Result<(), Stop> {
        match event {
            Event::Error(error) => failed = Some(error),
            event => screen.show(&event)?,
        }
        Ok(())
    };
    let command = Command::DeviceLink { timeout_ms };
    let outcome = timeout(wait + GRACE, session.carry_out(&command, &mut each)).await;
    session.finish().await;
    match outcome {
        Ok(Ok(CarriedOut::Whole)) => {}
        Ok(Ok(_)) => failed = Some(holder::gone()),
        Ok(Err(stop)) => return Err(stop),
        Err(_) => failed = Some(Error::new(ErrorCode::Unreachable, "the relay did not answer in time")),
    }
    match failed {
        Some(error) => Err(error.into()),
        None => {
            screen.note(
                "This machine is a device of the account now. What is said here or there from now on is on both.",
            );
            Ok(0)
        }
    }
}

/// The profile that waits to be added to this account: one that was left over, or a new one.
async fn waiting(context: &Context, link: &ContactLink) -> Result<Profile, Error> {
    if !Profile::exists(&context.dir) {
        let passphrase = context.passphrase.choose(link.name.as_str())?;
        place::make_parent(&context.dir)?;
        return holder::link(&context.dir, &passphrase, link).await;
    }
    let passphrase = context.passphrase.read()?;
    let profile = holder::unlock(&context.dir, &passphrase).await?;
    let same = profile.name() == &link.name && profile.relay().pin == link.relay.pin;
    if same && (profile.linking()? == Some(link.fingerprint) || profile.is_linked()) {
        return Ok(profile);
    }
    Err(Error::new(ErrorCode::Usage, format!("there is another profile in {} already", context.dir.display()))
        .because(format!("it is that of {}", profile.name()))
        .advise("sealpost -p OTHER device link LINK"))
}

/// `device add` and `device revoke`.
pub(super) async fn change(
    context: Context,
    mut device: arguments::Device,
    wait: Duration,
    timed: bool,
) -> Result<u8, Stop> {
    let asks = context.may_ask && std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if let arguments::Device::Add { request, code: code @ None, .. } = &mut device
        && asks
    {
        *code = compared(&context, request).await?;
    }
    online::run(context, Verb::Device { device }, wait, timed).await
}

/// The device code of a request, once a person has compared it with what the other machine shows.
async fn compared(context: &Context, request: &str) -> Result<Option<String>, Stop> {
    let mut shown = None;
    let each = |event: Event| -> Result<(), Stop> {
        match event {
            Event::DeviceRequest { code, .. } => shown = Some(code),
            Event::Error(error) if shown.is_none() => return Err(error.into()),
            _ => {}
        }
        Ok(())
    };
    let command = Command::DeviceAdd { request: request.to_owned(), code: None, timeout_ms: 0 };
    let _: Option<()> = holder::run(&mut context.opening(), &command, std::future::pending(), each).await?;
    let Some(code) = shown else { return Ok(None) };
    context
        .screen
        .note("Whoever has a device of yours reads what you read and writes as you. The other machine must show:");
    context.screen.note(format!("  {}", plain::said(&code)));
    if ask("Type yes if it does: ")? != "yes" {
        return Err(Error::new(ErrorCode::Interrupted, "nothing was added").into());
    }
    Ok(Some(code))
}
