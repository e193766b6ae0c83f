//! Real programs in real processes.
//!
//! Nothing here sleeps in order to let something happen: whoever waits asks again and again whether it has happened,
//! until a deadline that no healthy machine meets.

mod browser;
mod mallory;
mod nats;
mod person;
mod programs;
mod relay;
pub mod schema;

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

pub use browser::Browser;
pub use mallory::MalloryProcess;
pub use nats::{Machine, Nats, Setup, nats_server};
pub use person::{Following, Person};
pub use programs::{Programs, programs};
pub use relay::RelayProcess;

/// How long a test waits for something that ought to happen at once.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Asks until the answer is something, for at most [`PATIENCE`].
///
/// # Panics
/// It did not happen in time.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "in {PATIENCE:?} it did not happen that {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Puts a picture in the place of the one of that name in the folder that `SEALPOST_PICTURES` names, where there is one.
///
/// # Panics
/// The folder can't be written.
pub fn refresh(name: &str, picture: &[u8]) {
    let Some(folder) = std::env::var_os("SEALPOST_PICTURES") else { return };
    // Relative to the checkout, wherever the test is run from.
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder).join(name);
    if path.exists() {
        std::fs::write(path, picture).expect("the folder can be written");
    }
}

/// What a program that ended has left.
#[derive(Debug)]
pub struct Outcome {
    /// Exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Outcome {
    /// The lines of standard output as JSON.
    ///
    /// # Panics
    /// A line is no JSON.
    pub fn json(&self) -> Vec<serde_json::Value> {
        self.out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?}\n{}", self.err)))
            .collect()
    }

    /// The JSON lines of this event.
    ///
    /// # Panics
    /// A line is no JSON.
    pub fn events(&self, event: &str) -> Vec<serde_json::Value> {
        self.json().into_iter().filter(|line| line["event"] == event).collect()
    }

    /// The same, where it ended with this exit code.
    ///
    /// # Panics
    /// It ended otherwise.
    #[must_use]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }
}

/// The same command under another program that goes over to it, as `env` does.
///
/// # Panics
/// The wrapper has no words.
pub fn under(wrapper: &[impl AsRef<std::ffi::OsStr>], command: &Command) -> Command {
    let (program, options) = wrapper.split_first().expect("a program to run it under");
    let mut wrapped = Command::new(program);
    wrapped.args(options).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    wrapped
}

/// Runs a program to its end, with this on its standard input.
///
/// # Panics
/// It can't be started, or does not end within [`PATIENCE`].
pub fn finish(command: Command, input: &str) -> Outcome {
    finish_within(PATIENCE, command, input)
}

/// The same with a patience of one's own, for a program that has a lot to do.
///
/// # Panics
/// It can't be started, or does not end in time.
pub fn finish_within(patience: Duration, mut command: Command, input: &str) -> Outcome {
    use std::io::{Read, Write};
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("it is piped");
    let input = input.to_owned();
    std::thread::spawn(move || {
        // A program that does not read its input is no error here.
        let _ = stdin.write_all(input.as_bytes());
    });
    fn drain(mut from: impl Read + Send + 'static) -> Receiver<String> {
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = from.read_to_end(&mut bytes);
            let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
        });
        receiver
    }
    let out = drain(child.stdout.take().expect("it is piped"));
    let err = drain(child.stderr.take().expect("it is piped"));
    let status = end_of(&mut child, patience, &format!("{command:?}"));
    // A grandchild may still hold the pipe: what arrived until then is enough.
    let text = |from: Receiver<String>| from.recv_timeout(PATIENCE).unwrap_or_default();
    Outcome { code: status.code(), out: text(out), err: text(err) }
}

/// Waits for a process to end; kills it where it does not.
fn end_of(child: &mut Child, patience: Duration, name: &str) -> ExitStatus {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return status;
        }
        if Instant::now() >= deadline {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{name} did not end in {patience:?}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Sends a signal to a process that this test started.
///
/// # Panics
/// There is no such process.
pub fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).expect("a process id");
    rustix::process::kill_process(pid, signal).expect("the process is there");
}

/// Lines of a stream as they arrive.
pub struct Lines {
    receiver: Receiver<String>,
    seen: Vec<String>,
}

impl Lines {
    pub(crate) fn of(stream: impl std::io::Read + Send + 'static) -> Self {
        use std::io::BufRead;
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            for line in std::io::BufReader::new(stream).split(b'\n') {
                let Ok(line) = line else { break };
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
            }
        });
        Self { receiver, seen: Vec::new() }
    }

    /// The next line; `None` at the end.
    ///
    /// # Panics
    /// Nothing came in time.
    pub fn next_line(&mut self) -> Option<String> {
        match self.receiver.recv_timeout(PATIENCE) {
            Ok(line) => {
                self.seen.push(line.clone());
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no line in {PATIENCE:?}; before: {:#?}", self.seen),
        }
    }

    /// The next line, where one comes in this time.
    pub fn next_within(&mut self, time: Duration) -> Option<String> {
        self.receiver.recv_timeout(time).ok()
    }

    /// The next line for which this is true; those before it are passed over.
    ///
    /// # Panics
    /// The stream ended, or nothing came in time.
    pub fn until(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        loop {
            match self.next_line() {
                Some(line) if wanted(&line) => return line,
                Some(_) => {}
                None => panic!("the stream ended; before: {:#?}", self.seen),
            }
        }
    }
}

/// Every file below a folder, read whole, with its name.
pub fn files_below(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return found };
    for entry in entries.flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files_below(&path)),
            Ok(kind) if kind.is_file() => {
                // A write-ahead log may vanish between the listing and the reading.
                if let Ok(bytes) = std::fs::read(&path) {
                    found.push((path.display().to_string(), bytes));
                }
            }
            _ => {}
        }
    }
    found
}
