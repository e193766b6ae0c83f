use serde::{Deserialize, Serialize};

use crate::wire::DecodeError;

/// An account's name at its relay: `[a-z0-9][a-z0-9_.-]{1,31}`. **[ACCT-1]**
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// The text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name has 2 to 32 of a-z 0-9 _ . - and begins with a letter or digit")]
pub struct InvalidName;

impl Name {
    /// Greatest length in bytes.
    pub const MAX: usize = 32;

    /// The name as text: ASCII without control characters, safe to print.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Parses a name out of a layout.
    ///
    /// # Errors
    /// The bytes are no name.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()).ok_or(DecodeError)
    }
}

impl std::str::FromStr for Name {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let letter = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        let mut bytes = text.bytes();
        let first = bytes.next().is_some_and(letter);
        let rest = bytes.all(|c| letter(c) || matches!(c, b'_' | b'.' | b'-'));
        if first && rest && (2..=Self::MAX).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidName)
        }
    }
}

impl TryFrom<String> for Name {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Name({})", self.0)
    }
}

/// What is left of a name when look-alikes are made equal: two names with one skeleton can't both be registered.
/// **[ACCT-2]**
///
/// ```
/// use sealpost_spec::account::skeleton;
/// let same = |a: &str, b: &str| skeleton(&a.parse().unwrap()) == skeleton(&b.parse().unwrap());
/// assert!(same("paul", "pau1") && same("modern", "rnodern") && same("a.b", "a-b") && same("vvill", "will"));
/// assert!(same("clara", "c1ara") && same("clara", "dara") && same("r.n", "m_"));
/// assert!(!same("alice", "bob"));
/// ```
pub fn skeleton(name: &Name) -> String {
    let mut plain = String::with_capacity(name.0.len());
    for c in name.0.chars() {
        match c {
            '1' | 'i' => plain.push('l'),
            '0' => plain.push('o'),
            '5' => plain.push('s'),
            '2' => plain.push('z'),
            '8' => plain.push('b'),
            '6' => plain.push('g'),
            '.' | '-' | '_' => {}
            other => plain.push(other),
        }
    }
    // After the letters: `c1` looks like `d` as `cl` does.
    plain.replace("rn", "m").replace("vv", "w").replace("cl", "d")
}
