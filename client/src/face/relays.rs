//! Relays under names of the person's own: a list in the folder of the profiles, as plain text.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use sealpost_spec::relay::Address;

use crate::api::{Error, ErrorCode};

/// No profile's name begins with a dot.
const FILE: &str = ".relays";
/// Most relays that are saved.
const MOST: usize = 100;
/// More than so many bytes are none of this program's.
const LONGEST: u64 = 256 * 1024;

/// A list of relays: a name and an address on each line.
pub(super) struct Relays {
    path: PathBuf,
    saved: Vec<(String, Address)>,
}

impl Relays {
    /// Those beside the profile in `dir`.
    pub(super) fn read(dir: &Path) -> Result<Self, Error> {
        let path = dir.with_file_name(FILE);
        let mut text = String::new();
        match File::open(&path) {
            Ok(file) => {
                let read = file.take(LONGEST).read_to_string(&mut text);
                read.map_err(|cause| trouble(&path, &cause.to_string()))?;
            }
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {}
            Err(cause) => return Err(trouble(&path, &cause.to_string())),
        }
        let mut saved = Vec::new();
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let entry = line
                .trim()
                .split_once(' ')
                .and_then(|(name, address)| Some((name.to_owned(), address.trim().parse::<Address>().ok()?)));
            let entry = entry.filter(|(name, _)| is_name(name));
            saved.push(entry.ok_or_else(|| trouble(&path, &format!("line {} is no name with an address", at + 1)))?);
        }
        Ok(Self { path, saved })
    }

    pub(super) fn all(&self) -> &[(String, Address)] {
        &self.saved
    }

    pub(super) fn find(&self, name: &str) -> Option<&Address> {
        self.saved.iter().find(|(saved, _)| saved == name).map(|(_, address)| address)
    }

    pub(super) fn add(&mut self, name: &str, address: Address) -> Result<(), Error> {
        if !is_name(name) {
            return Err(Error::new(ErrorCode::Usage, "that is no name for a relay")
                .because("it has 1 to 32 of a-z A-Z 0-9 _ . - and begins with a letter or digit")
                .advise("sealpost relay add home sealpost://..."));
        }
        if let Some(known) = self.find(name) {
            if *known == address {
                return Ok(());
            }
            return Err(Error::new(ErrorCode::Usage, format!("another relay has the name {name}"))
                .because(format!("it is {known}"))
                .advise(format!("sealpost relay remove {name}, first; or take another name")));
        }
        if self.saved.len() >= MOST {
            return Err(Error::new(ErrorCode::Usage, format!("{MOST} relays are saved, and no more can be"))
                .advise("sealpost relay remove NAME"));
        }
        self.saved.push((name.to_owned(), address));
        self.saved.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.write()
    }

    pub(super) fn remove(&mut self, name: &str) -> Result<(), Error> {
        let before = self.saved.len();
        self.saved.retain(|(saved, _)| saved != name);
        if self.saved.len() == before {
            return Err(
                Error::new(ErrorCode::NoSuchName, format!("no relay is saved as {name}")).advise("sealpost relay list")
            );
        }
        self.write()
    }

    /// The file appears whole or stays as it was.
    fn write(&self) -> Result<(), Error> {
        let new = self.path.with_extension(format!("new-{}", std::process::id()));
        let written = (|| {
            let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
            for (name, address) in &self.saved {
                writeln!(file, "{name} {address}")?;
            }
            file.sync_all()?;
            std::fs::rename(&new, &self.path)
        })();
        written.map_err(|cause: std::io::Error| {
            let _ = std::fs::remove_file(&new);
            trouble(&self.path, &cause.to_string())
        })
    }
}

fn is_name(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.' | b'-'))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
}

fn trouble(path: &Path, why: &str) -> Error {
    Error::new(ErrorCode::Failed, format!("{} can't be used", path.display()))
        .because(why.to_owned())
        .advise("mend or delete that file: each line is a name, a space and an address")
}

#[cfg(test)]
mod tests {
    use super::Relays;
    use crate::api::ErrorCode;

    #[test]
    fn relays_are_saved_under_names() {
        let home = tempfile::tempdir().unwrap();
        let profile = home.path().join("default");
        let address = |letter: &str| format!("sealpost://localhost:7443/{}a", letter.repeat(51)).parse().unwrap();
        let relays = || Relays::read(&profile).unwrap();
        assert!(relays().all().is_empty());
        relays().add("work", address("b")).unwrap();
        relays().add("home", address("a")).unwrap();
        relays().add("home", address("a")).unwrap();
        assert_eq!(relays().add("home", address("b")).unwrap_err().code, ErrorCode::Usage);
        for refused in ["", "-x", "a b", "a\u{1b}", "sealpost://x"] {
            assert!(relays().add(refused, address("a")).is_err(), "{refused:?}");
        }
        let names: Vec<String> = relays().all().iter().map(|(name, _)| name.clone()).collect();
        assert_eq!(names, ["home", "work"]);
        assert_eq!(relays().find("work"), Some(&address("b")));
        relays().remove("home").unwrap();
        assert_eq!(relays().remove("home").unwrap_err().code, ErrorCode::NoSuchName);
        assert_eq!(relays().all().len(), 1);
        std::fs::write(home.path().join(".relays"), "work nowhere\n").unwrap();
        assert!(Relays::read(&profile).is_err());
    }
}
