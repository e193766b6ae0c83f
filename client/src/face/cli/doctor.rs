//! The self-check: what this machine is like, then what the profile and its connection are like. It names nobody, so that
//! it can be pasted into a report.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::time::Duration;

use rustix::fs::statvfs;

use super::{Context, Stop};
use crate::api::{Command, Error, ErrorCode, Event, Found};
use crate::holder;

const MIB: u64 = 1024 * 1024;
/// With less room on the disk nothing can be stored soon.
const ROOM: u64 = 256 * MIB;
const NO_ROOM: u64 = 16 * MIB;

pub(super) async fn run(context: Context, wait: Duration) -> Result<u8, Stop> {
    let mut worst = Found::Ok;
    let screen = context.screen;
    let mut show = |event: Event| -> Result<(), Stop> {
        if let Event::Check { found, .. } = &event {
            worst = worst.max(*found);
        }
        screen.show(&event)
    };
    show(check("version", Found::Ok, version(), ""))?;
    show(proxy(&context))?;
    for event in [folder(&context.dir), room(&context.dir)] {
        show(event)?;
    }
    if holder::Profile::exists(&context.dir) {
        let held = holder::is_held(&context.dir).await;
        let detail = if held { "another process has it, and answers" } else { "no other process has it" };
        show(check("holder", Found::Ok, detail.to_owned(), ""))?;
        let (mut told, mut broke) = (Vec::new(), None);
        let each = |event: Event| -> Result<(), Stop> {
            match event {
                // In the middle of it: the disk is full, or a row does not open.
                Event::Error(error) => broke = Some(error),
                event => told.push(event),
            }
            Ok(())
        };
        let late = tokio::time::sleep(wait);
        let ended = holder::run(&mut context.opening(), &Command::Doctor, late, each).await;
        let (found, detail, advice) = match &ended {
            Ok(_) => (Found::Ok, "it opens", String::new()),
            Err(Stop::Error(error)) if error.code == ErrorCode::Interrupted => return Err(error.clone().into()),
            Err(Stop::Error(error)) => (Found::Fail, reason(error), error.advice.clone().unwrap_or_default()),
            Err(Stop::Closed) => return Ok(0),
        };
        show(check("profile", found, detail.to_owned(), &advice))?;
        for event in told {
            show(event)?;
        }
        if let Some(error) = broke {
            let advice = error.advice.as_deref().unwrap_or_default();
            show(check("store", Found::Fail, format!("the check broke off: {}", reason(&error)), advice))?;
        }
        if let Ok(Some(())) = ended {
            show(check(
                "answers",
                Found::Fail,
                "the check did not end in time".to_owned(),
                "sealpost doctor --timeout 2m",
            ))?;
        }
    }
    Ok(u8::from(worst == Found::Fail))
}

fn check(what: &str, found: Found, detail: String, advice: &str) -> Event {
    let advice = Some(advice).filter(|advice| found > Found::Ok && !advice.is_empty()).map(str::to_owned);
    Event::Check { what: what.to_owned(), found, detail, advice }
}

/// An error without the paths and addresses that its sentences may have.
fn reason(error: &Error) -> &'static str {
    match error.code {
        ErrorCode::Locked => "it does not open: the passphrase is wrong, or a file was altered",
        ErrorCode::InUse => "another process has it and does not answer",
        ErrorCode::NoProfile => "there is none",
        ErrorCode::Usage => "there is nobody to ask for the passphrase",
        ErrorCode::Failed => "it can't be read or written",
        _ => "it can't be used",
    }
}

fn version() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "sealpost {}, protocol {}, SQLite {}, {} {} {}",
        env!("CARGO_PKG_VERSION"),
        sealpost_spec::wire::VERSION,
        holder::sqlite(),
        std::env::consts::OS,
        kernel.trim(),
        std::env::consts::ARCH,
    )
}

fn proxy(context: &Context) -> Event {
    let detail = match context.proxy {
        Some(_) => "one was given, which resolves names itself",
        None => "none: the relay sees this machine's address",
    };
    check("proxy", Found::Ok, detail.to_owned(), "")
}

/// Modes and owners of the profile's folder and of what is in it.
fn folder(dir: &Path) -> Event {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return check("folder", Found::Fail, "there is no profile here".to_owned(), "sealpost init; or -p, --home");
    };
    let own = rustix::process::geteuid().as_raw();
    let mut open = 0_u32;
    let mut foreign = 0_u32;
    let mut odd = 0_u32;
    let entries = entries.flatten().map(|entry| entry.path());
    for path in std::iter::once(dir.to_owned()).chain(entries) {
        let Ok(about) = std::fs::symlink_metadata(&path) else { continue };
        let kind = about.file_type();
        odd += u32::from(!(kind.is_dir() || kind.is_file() || kind.is_socket()));
        open += u32::from(about.mode() & 0o077 != 0);
        foreign += u32::from(about.uid() != own);
    }
    match (open, foreign, odd) {
        (0, 0, 0) => check("folder", Found::Ok, "closed to other users".to_owned(), ""),
        (0, 0, odd) => {
            let detail = format!("{odd} links or devices are in it, which are not this program's");
            check("folder", Found::Warn, detail, "look at them, and take them away")
        }
        _ => {
            let detail = format!("{open} files are open to other users, {foreign} belong to somebody else");
            check("folder", Found::Fail, detail, "chmod -R go= FOLDER; chown -R USER FOLDER")
        }
    }
}

fn room(dir: &Path) -> Event {
    let place = if dir.exists() { Some(dir) } else { dir.ancestors().find(|above| above.exists()) };
    let Some(free) = place.and_then(|place| statvfs(place).ok()).map(|about| about.f_bavail * about.f_frsize) else {
        return check("disk", Found::Warn, "its room is not known".to_owned(), "df");
    };
    let found = match free {
        0..NO_ROOM => Found::Fail,
        NO_ROOM..ROOM => Found::Warn,
        _ => Found::Ok,
    };
    check("disk", found, format!("{} MiB are free", free / MIB), "free some disk space")
}
