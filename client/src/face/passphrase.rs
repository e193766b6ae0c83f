//! Where a passphrase comes from: a file, a descriptor, the environment, else a person.

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use crate::api::{Error, ErrorCode};
use crate::holder::Zeroizing;

/// Longest passphrase in bytes.
const MAX: u64 = 4096;

/// Says whether a person can be asked, and what was given instead.
#[derive(Clone, Debug, Default)]
pub(super) struct Source {
    pub(super) file: Option<PathBuf>,
    pub(super) descriptor: Option<u32>,
    /// The environment variable that is the last resort.
    pub(super) variable: Option<&'static str>,
    pub(super) ask: bool,
}

impl Source {
    /// The passphrase of a profile that exists.
    pub(super) fn read(&self) -> Result<Zeroizing<String>, Error> {
        match self.given()? {
            Some(given) => Ok(given),
            None => self.prompt("Passphrase: "),
        }
    }

    /// The passphrase of a new profile; a person gives it twice and hears how strong it is.
    pub(super) fn choose(&self, name: &str) -> Result<Zeroizing<String>, Error> {
        if let Some(given) = self.given()? {
            return Ok(given);
        }
        loop {
            let first = self.prompt("New passphrase (it protects this profile on this machine): ")?;
            if first.is_empty() {
                eprintln!("An empty passphrase protects nothing.");
                continue;
            }
            eprintln!("Strength: {}", strength(&first, name));
            if *self.prompt("The same again: ")? == *first {
                return Ok(first);
            }
            eprintln!("They differ; once more.");
        }
    }

    /// Whether it is a person who gives it.
    pub(super) fn is_asked_for(&self) -> bool {
        let given = self.variable.is_some_and(|variable| std::env::var_os(variable).is_some());
        self.ask && self.file.is_none() && self.descriptor.is_none() && !given
    }

    /// What was given instead of asking a person.
    pub(super) fn given(&self) -> Result<Option<Zeroizing<String>>, Error> {
        let given = if let Some(descriptor) = self.descriptor {
            Some(read_file(Path::new(&format!("/dev/fd/{descriptor}")))?)
        } else if let Some(file) = &self.file {
            Some(if file == Path::new("-") { read_all(&mut std::io::stdin())? } else { read_file(file)? })
        } else {
            self.variable.and_then(|variable| std::env::var(variable).ok()).map(Zeroizing::new)
        };
        if given.as_ref().is_some_and(|given| given.is_empty()) {
            return Err(Error::new(ErrorCode::Usage, "the passphrase is empty")
                .advise("put a passphrase into the file, or leave the option away to be asked"));
        }
        Ok(given)
    }

    fn prompt(&self, prompt: &str) -> Result<Zeroizing<String>, Error> {
        let impossible = || {
            Error::new(ErrorCode::Usage, "a passphrase is needed, and there is no terminal to ask for it")
                .advise("sealpost --passphrase-file FILE ...")
        };
        if !self.ask || !std::io::stderr().is_terminal() {
            return Err(impossible());
        }
        rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|_| impossible())
    }
}

fn read_file(path: &Path) -> Result<Zeroizing<String>, Error> {
    let mut file = std::fs::File::open(path).map_err(|error| unreadable(path, &error.to_string()))?;
    read_all(&mut file)
}

/// Everything, without the one line break that editors put at the end.
fn read_all(from: &mut dyn std::io::Read) -> Result<Zeroizing<String>, Error> {
    let mut text = Zeroizing::new(String::new());
    let read = from.take(MAX + 1).read_to_string(&mut text);
    if let Err(error) = read {
        return Err(unreadable(Path::new("the passphrase"), &error.to_string()));
    }
    if text.len() as u64 > MAX {
        return Err(unreadable(Path::new("the passphrase"), "it is longer than 4096 bytes"));
    }
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

fn unreadable(path: &Path, why: &str) -> Error {
    Error::new(ErrorCode::Usage, format!("{} can't be read", path.display()))
        .because(why.to_owned())
        .advise("sealpost --passphrase-file FILE ...")
}

/// In words, for a person.
fn strength(passphrase: &str, name: &str) -> &'static str {
    match u8::from(zxcvbn::zxcvbn(passphrase, &[name, "sealpost"]).score()) {
        0 | 1 => "weak: guessed within a day. Four unrelated words are far better.",
        2 => "fair: guessed within months by somebody who has this machine. A further word helps much.",
        3 => "good.",
        _ => "strong.",
    }
}

#[cfg(test)]
mod tests {
    use super::{Source, read_all, strength};

    #[test]
    fn one_line_break_at_the_end_is_not_part_of_it() {
        for (text, wanted) in [("a b", "a b"), ("a b\n", "a b"), ("a b\r\n", "a b"), ("a\n\n", "a\n"), (" a ", " a ")] {
            assert_eq!(*read_all(&mut text.as_bytes()).unwrap(), wanted, "{text:?}");
        }
        assert!(read_all(&mut "x".repeat(4097).as_bytes()).is_err());
        assert!(read_all(&mut &b"\xff"[..]).is_err());
    }

    #[test]
    fn without_a_terminal_the_error_names_the_option() {
        let error = Source::default().prompt("").unwrap_err();
        assert!(error.advice.unwrap_or_default().contains("--passphrase-file"));
    }

    #[test]
    fn strength_is_told_apart() {
        assert!(strength("password", "alice").starts_with("weak"));
        assert!(strength("alice", "alice").starts_with("weak"));
        assert!(strength("narwhal-teapot-quilt-seventeen", "alice").starts_with("strong"));
    }
}
