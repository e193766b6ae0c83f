//! The lock of line mode: what stands on the terminal is wiped, and the passphrase lets one in again.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::terminal;

use crate::api::{Error, ErrorCode};
use crate::face::cli::interrupted;
use crate::face::field::Field;
use crate::face::screen::Screen;
use crate::holder::{self, Zeroizing};

/// How often whoever reads keys looks whether it is to end.
const LOOK: Duration = Duration::from_millis(100);

/// Home, what is seen, what can be scrolled back to.
const WIPE: &str = "\x1b[H\x1b[2J\x1b[3J";

/// Wipes the terminal and waits for the passphrase, which is compared here: whoever holds the profile would not ask for it.
/// `None`: somebody leaves instead.
pub(super) async fn opened(profile: &Path, screen: Screen) -> Result<Option<Zeroizing<String>>, Error> {
    print(WIPE)?;
    loop {
        print("This profile is locked. Passphrase (Ctrl-C leaves): ")?;
        let typed = typed().await?;
        print("\n")?;
        let Some(passphrase) = typed else { return Ok(None) };
        match holder::unlock_header(profile, &passphrase).await {
            Ok(_) => return Ok(Some(passphrase)),
            Err(error) if error.code == ErrorCode::Locked => screen.complain(&error),
            Err(error) => return Err(error),
        }
    }
}

/// A passphrase that somebody types; `None`: they leave.
async fn typed() -> Result<Option<Zeroizing<String>>, Error> {
    let stop = Arc::new(AtomicBool::new(false));
    let stops = Arc::clone(&stop);
    let mut reading = tokio::task::spawn_blocking(move || read(&stops));
    let read = tokio::select! {
        read = &mut reading => read,
        () = interrupted() => {
            stop.store(true, Ordering::Relaxed);
            // The terminal first: it must not stay raw.
            reading.await
        }
    };
    read.map_err(|_| failed("it was interrupted"))?.map_err(|error| failed(&error.to_string()))
}

/// Reads keys until a passphrase is complete, and shows none of them.
fn read(stop: &AtomicBool) -> std::io::Result<Option<Zeroizing<String>>> {
    let _raw = Raw::on()?;
    let mut field = Field::new();
    while !stop.load(Ordering::Relaxed) {
        if !event::poll(LOOK)? {
            continue;
        }
        match event::read()? {
            Event::Key(key) if key.kind == KeyEventKind::Release => {}
            Event::Key(key)
                if key.modifiers.contains(KeyModifiers::CONTROL) && matches!(key.code, KeyCode::Char('c' | 'd')) =>
            {
                return Ok(None);
            }
            Event::Key(key) => {
                if let Some(passphrase) = field.key(key) {
                    return Ok(Some(passphrase));
                }
            }
            Event::Paste(text) => field.paste(&text),
            _ => {}
        }
    }
    Ok(None)
}

/// A terminal that shows nothing of what is typed, until it is dropped.
struct Raw;

impl Raw {
    fn on() -> std::io::Result<Self> {
        terminal::enable_raw_mode()?;
        Ok(Self)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // There is nobody to tell where that fails.
        let _ = terminal::disable_raw_mode();
    }
}

fn print(words: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    out.write_all(words.as_bytes()).and_then(|()| out.flush()).map_err(|error| failed(&error.to_string()))
}

fn failed(cause: &str) -> Error {
    Error::new(ErrorCode::Failed, "the terminal can't be used").because(cause)
}
