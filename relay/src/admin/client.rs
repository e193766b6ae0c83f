//! The operator's side of the socket.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::socket::{MAX_PATH, NAME};
use super::{Command, Line, Record, Trouble};

/// For the next line of an answer: longer than the relay takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest line of an answer that is read.
const MAX_ANSWER: u64 = 1024 * 1024;

/// A conversation with a relay that runs.
pub struct Conversation(BufReader<UnixStream>);

impl Conversation {
    /// With the relay of this data folder.
    ///
    /// # Errors
    /// It does not run, or its socket is not one to be trusted.
    pub fn open(data: &Path) -> Result<Self, Trouble> {
        let path = data.join(NAME);
        if path.as_os_str().as_bytes().len() > MAX_PATH {
            let cause = format!("{} is longer than the {MAX_PATH} bytes that a socket's path may have", path.display());
            let advice = format!("go there first: cd {} && sealpost-relay admin --data . ...", data.display());
            return Err(Trouble::new("the relay can't be asked", cause, advice).exits(3));
        }
        let refused = |error: &std::io::Error| match error.kind() {
            ErrorKind::PermissionDenied => {
                let advice = "run the command as the relay's user: sudo -u USER sealpost-relay admin ...";
                Trouble::new("the relay can't be asked", format!("{}: {error}", path.display()), advice).exits(3)
            }
            _ => {
                let cause = format!("nobody listens at {}", path.display());
                let advice = "sealpost-relay serve, or give the folder of the one that runs with --data DIR";
                Trouble::new("no relay runs here", cause, advice)
            }
        };
        let mode = std::fs::metadata(&path).map_err(|error| refused(&error))?.mode() & 0o777;
        if mode & 0o077 != 0 {
            let cause = format!("{} is open to others: its mode is {mode:o}", path.display());
            return Err(Trouble::new("the relay is not asked", cause, format!("chmod go= {}", path.display())).exits(3));
        }
        let stream = UnixStream::connect(&path).map_err(|error| refused(&error))?;
        let patient = stream.set_read_timeout(Some(PATIENCE)).and(stream.set_write_timeout(Some(PATIENCE)));
        patient.map_err(|error| refused(&error))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Asks, and gives each record of the answer as it comes.
    ///
    /// # Errors
    /// What the relay says against it, or the end of the conversation.
    pub fn ask(&mut self, command: &Command, mut each: impl FnMut(Line)) -> Result<(), Trouble> {
        let broken = |cause: String| {
            let advice = "sealpost-relay admin status    # looks whether it runs";
            Trouble::new("the relay did not answer", cause, advice)
        };
        let mut line = serde_json::to_vec(command).map_err(|error| broken(error.to_string()))?;
        line.push(b'\n');
        // A relay that turns one away closes without reading: its reason comes first.
        let asked = self.0.get_mut().write_all(&line);
        loop {
            let mut line = String::new();
            match (&mut self.0).take(MAX_ANSWER).read_line(&mut line) {
                Ok(0) => return Err(broken(asked.err().map_or("it has gone".to_owned(), |error| error.to_string()))),
                Ok(_) => {}
                Err(error) => return Err(broken(error.to_string())),
            }
            match serde_json::from_str::<Line>(&line) {
                Ok(Line { record: Record::End, .. }) => return Ok(()),
                Ok(Line { record: Record::Error(trouble), .. }) => return Err(trouble),
                Ok(line) => each(line),
                Err(error) => return Err(broken(format!("another version of it may be running: {error}"))),
            }
        }
    }
}
