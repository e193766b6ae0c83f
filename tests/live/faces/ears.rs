//! Between the faces and the holder of the profile: every command that is given there, and what answers it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sealpost_client::api::{Command, Event};
use sealpost_tests::processes::{PATIENCE, until};
use serde_json::{Value, json};

/// A command as it was given, and what has answered it so far.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    connection: usize,
    number: u64,
    pub(super) command: Command,
    pub(super) events: Vec<Event>,
    pub(super) ended: bool,
}

impl Asked {
    /// Whether it goes on until its connection ends.
    fn goes_on(&self) -> bool {
        matches!(self.command, Command::Subscribe | Command::Recv { follow: true, .. })
    }
}

/// Listens where the holder did, and hands on what it hears, line by line, in both directions.
pub(super) struct Ears {
    heard: Arc<Mutex<Vec<Asked>>>,
    holder: PathBuf,
}

impl Ears {
    /// Takes the place of the socket in this profile's folder.
    pub(super) fn at(profile: &Path) -> Self {
        let (place, holder) = (profile.join("socket"), profile.join("socket.holder"));
        std::fs::rename(&place, &holder).unwrap();
        let listener = UnixListener::bind(&place).unwrap();
        let heard: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (into, behind) = (Arc::clone(&heard), holder.clone());
        // It waits for further faces until the process ends.
        std::thread::spawn(move || {
            for (connection, face) in listener.incoming().enumerate() {
                let (Ok(face), Ok(holder)) = (face, UnixStream::connect(&behind)) else { continue };
                between(connection, &face, &holder, &into);
            }
        });
        Self { heard, holder }
    }

    fn heard(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many commands were given until now.
    pub(super) fn count(&self) -> usize {
        self.heard().len()
    }

    /// Waits until everything that was asked is answered: what a face asks by itself, too.
    pub(super) fn rest(&self) {
        until("all that was asked is answered", || {
            self.heard().iter().all(|asked| asked.ended || asked.goes_on()).then_some(())
        });
    }

    /// The first of these commands since then.
    pub(super) fn first(&self, since: usize, meant: impl Fn(&Command) -> bool) -> Option<Asked> {
        self.heard().iter().skip(since).find(|asked| meant(&asked.command)).cloned()
    }

    /// What was asked since then, for whoever looks for what is missing.
    pub(super) fn since(&self, since: usize) -> Vec<Command> {
        self.heard().iter().skip(since).map(|asked| asked.command.clone()).collect()
    }

    /// Asks the holder itself, past the faces.
    pub(super) fn ask(&self, command: &Command) -> Vec<Event> {
        let mut stream = UnixStream::connect(&self.holder).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        writeln!(stream, "{}", json!({ "v": 1, "id": 1, "command": command })).unwrap();
        let mut events = Vec::new();
        for line in BufReader::new(stream).lines() {
            match told(&line.unwrap()) {
                Some((Some(1), Event::End)) => return events,
                Some((Some(1), event)) => events.push(event),
                _ => {}
            }
        }
        panic!("the holder has gone; before: {events:?}")
    }
}

/// The number of the command that is answered, and with what.
fn told(line: &str) -> Option<(Option<u64>, Event)> {
    let line: Value = serde_json::from_str(line).ok()?;
    Some((line["re"].as_u64(), serde_json::from_value(line).ok()?))
}

/// Hands lines on, from a thread for each direction.
fn between(connection: usize, face: &UnixStream, holder: &UnixStream, heard: &Arc<Mutex<Vec<Asked>>>) {
    let copies = |stream: &UnixStream| (stream.try_clone().unwrap(), stream.try_clone().unwrap());
    let ((from_face, to_face), (from_holder, to_holder)) = (copies(face), copies(holder));
    let asks = Arc::clone(heard);
    std::thread::spawn(move || {
        hand_on(from_face, to_holder, |line| {
            let Ok(line) = serde_json::from_str::<Value>(line) else { return };
            let Ok(command) = serde_json::from_value(line["command"].clone()) else { return };
            let number = line["id"].as_u64().unwrap_or_default();
            let asked = Asked { connection, number, command, events: Vec::new(), ended: false };
            asks.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
        });
    });
    let answers = Arc::clone(heard);
    std::thread::spawn(move || {
        let mine = |asked: &&mut Asked| asked.connection == connection;
        hand_on(from_holder, to_face, |line| {
            let Some((Some(number), event)) = told(line) else { return };
            let mut heard = answers.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(asked) = heard.iter_mut().filter(mine).find(|asked| asked.number == number) else { return };
            match event {
                Event::Taken => {}
                Event::End => asked.ended = true,
                event => asked.events.push(event),
            }
        });
        // A face that has gone waits for nothing.
        let mut heard = answers.lock().unwrap_or_else(PoisonError::into_inner);
        heard.iter_mut().filter(mine).for_each(|asked| asked.ended = true);
    });
}

/// Line by line until one side has gone; `hear` is told each line before it goes on.
fn hand_on(from: UnixStream, mut to: UnixStream, hear: impl Fn(&str)) {
    for line in BufReader::new(from).lines() {
        let Ok(line) = line else { break };
        hear(&line);
        if to.write_all(format!("{line}\n").as_bytes()).is_err() {
            break;
        }
    }
    // Whoever has said all may still hear the rest.
    let _ = to.shutdown(std::net::Shutdown::Write);
}
