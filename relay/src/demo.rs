//! `serve --demo`: everything that two people need to talk, in a folder that goes with the relay.

use std::io;
use std::path::{Path, PathBuf};

use sealpost_spec::relay::Address;
use tempfile::TempDir;

use crate::folder::write_new;

/// A temporary folder, removed when this is dropped.
pub struct Demo(TempDir);

impl Demo {
    /// Makes the folder, and a passphrase for each of the two.
    ///
    /// # Errors
    /// The operating system's own.
    pub fn new() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("sealpost-demo-").tempdir()?;
        for name in PEOPLE {
            let secret: [u8; 16] = rand::random();
            let words: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
            write_new(&folder.path().join(format!("{name}.passphrase")), format!("{words}\n").as_bytes())?;
        }
        Ok(Self(folder))
    }

    /// The relay's own folder.
    pub fn data(&self) -> PathBuf {
        self.0.path().join("relay")
    }

    /// What the two paste. `client`: path of the `sealpost` program.
    pub fn instructions(&self, address: &Address, client: &Path) -> String {
        let [alice, bob] = PEOPLE.map(|name| self.commands(name, address, client));
        format!(
            "\nTwo people can talk now. Paste this in a second terminal, for Alice:\n\n{alice}\n\n\
             and this in a third one, for Bob:\n\n{bob}\n\n\
             Then Alice types   /dm bob hello   and Bob answers with   /dm alice hello\n\
             `/join #lobby` enters the public room, /help lists the rest, /quit ends.\n\
             Ctrl-C here ends the relay and removes everything that the demo wrote.\n"
        )
    }

    fn commands(&self, name: &str, address: &Address, client: &Path) -> String {
        let home = self.0.path().join(name);
        let passphrase = self.0.path().join(format!("{name}.passphrase"));
        let base = format!("{} --home {} --passphrase-file {}", quoted(client), quoted(&home), quoted(&passphrase));
        format!("{base} register {address} {name} && \\\n{base} chat")
    }
}

const PEOPLE: [&str; 2] = ["alice", "bob"];

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '+' | '@' | ':');
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    /// Paths are absolute, quoted where a shell would split them, and the passphrases are private and gone afterwards.
    #[test]
    fn commands_can_be_pasted() {
        let demo = Demo::new().unwrap();
        let folder = demo.0.path().to_owned();
        let address: Address = format!("sealpost://127.0.0.1:7443/{}", "a".repeat(52)).parse().unwrap();
        let text = demo.instructions(&address, Path::new("/opt/my tools/sealpost"));
        let path = folder.display();
        for name in PEOPLE {
            let options = format!("--home {path}/{name} --passphrase-file {path}/{name}.passphrase");
            let both = format!("'/opt/my tools/sealpost' {options} register {address} {name} && \\\n");
            assert!(text.contains(&both) && text.contains(&format!("{options} chat")), "{text}");
            let file = std::fs::metadata(folder.join(format!("{name}.passphrase"))).unwrap();
            assert_eq!((file.mode() & 0o777, file.len()), (0o600, 33));
        }
        drop(demo);
        assert!(!folder.exists());
        assert_eq!(quoted(Path::new("/it's")), r"'/it'\''s'");
    }
}
