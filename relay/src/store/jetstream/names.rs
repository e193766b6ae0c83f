//! What everything is called in NATS. Keys may be any bytes, and subjects are words between dots: so logs are named by a
//! hash, which makes their names equally long, and keys of tables byte by byte, which lets a prefix be asked for.
//!
//! | subject | what |
//! |---|---|
//! | `P.log.KIND.LOG.ID.SIZE` | an entry: its log's name, its id, how long it is |
//! | `P.wake.KIND.LOG` | core NATS: something was appended there |
//! | `P.news` | core NATS: what relays tell each other |
//! | `P.table.TABLE.62.6f.62._` | a value: its key, here `bob` |
//! | `P.blob.ID.NUMBER` | a part of a blob |

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use sha2::{Digest, Sha256};

use crate::store::{Key, Log};

/// Bytes of a log's name: two logs of one name are as far away as two hashes of 160 bits that agree.
const NAME: usize = 20;
/// An entry's length is written in so many digits.
const DIGITS: usize = 5;
/// Longest entry whose length can be written.
pub(super) const LONGEST: usize = (1 << (4 * DIGITS)) - 1;

/// The kinds of logs, each with a stream of its own.
pub(super) const KINDS: [&str; 2] = ["mailbox", "room"];

/// Names everything that one cluster of relays keeps: several may share one NATS.
#[derive(Clone)]
pub(super) struct Names {
    prefix: String,
}

/// A log, as NATS knows it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct LogName {
    /// Of its kind.
    pub(super) stream: String,
    /// `P.log.KIND.LOG`
    subject: String,
    /// The last word of that.
    word: String,
}

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// Where relays tell each other.
    pub(super) fn news(&self) -> String {
        format!("{}.news", self.prefix)
    }

    /// The stream of a kind of log, or of `tables` and `blobs`.
    pub(super) fn stream(&self, of: &str) -> String {
        format!("{}-{of}", self.prefix)
    }

    /// Everything that may be called `P.AREA.…`.
    pub(super) fn all(&self, area: &str) -> String {
        format!("{}.{area}.>", self.prefix)
    }

    /// Every entry of a kind.
    pub(super) fn entries(&self, kind: &str) -> String {
        format!("{}.log.{kind}.*.*.*", self.prefix)
    }

    /// Where it is said that something was appended to the log that the first wildcard stands for.
    pub(super) fn wakes(&self, kind: &str) -> String {
        format!("{}.wake.{kind}.{{{{wildcard(1)}}}}", self.prefix)
    }

    pub(super) fn log(&self, log: &Log) -> LogName {
        let hash = Sha256::digest(&log.key);
        let word = BASE32_NOPAD.encode(hash.get(..NAME).unwrap_or_default());
        LogName { stream: self.stream(log.kind), subject: format!("{}.log.{}.{word}", self.prefix, log.kind), word }
    }

    /// A value of a table.
    pub(super) fn value(&self, key: &Key) -> String {
        self.beneath(key.table, &key.key, "_")
    }

    /// All values whose keys begin so.
    pub(super) fn values(&self, table: &str, prefix: &[u8]) -> String {
        self.beneath(table, prefix, ">")
    }

    fn beneath(&self, table: &str, key: &[u8], last: &str) -> String {
        let mut subject = format!("{}.table.{table}.", self.prefix);
        subject.reserve(3 * key.len() + 1);
        for byte in key {
            HEXLOWER.encode_append(&[*byte], &mut subject);
            subject.push('.');
        }
        subject.push_str(last);
        subject
    }

    /// The key of a value in this table.
    pub(super) fn key(&self, table: &str, subject: &str) -> Option<Vec<u8>> {
        let rest = subject.strip_prefix(self.prefix.as_str())?.strip_prefix(".table.")?;
        let bytes = rest.strip_prefix(table)?.strip_prefix('.')?.strip_suffix('_')?;
        let digits: String = bytes.split('.').collect();
        HEXLOWER.decode(digits.as_bytes()).ok()
    }

    /// A part of a blob.
    pub(super) fn part(&self, blob: &[u8; 16], number: u32) -> String {
        format!("{}.blob.{}.{number:08x}", self.prefix, BASE32_NOPAD.encode(blob))
    }

    /// All of its parts.
    pub(super) fn parts(&self, blob: &[u8; 16]) -> String {
        format!("{}.blob.{}.*", self.prefix, BASE32_NOPAD.encode(blob))
    }
}

impl LogName {
    /// All its entries.
    pub(super) fn entries(&self) -> String {
        format!("{}.*.*", self.subject)
    }

    /// The entry of this id, however long it is.
    pub(super) fn of_id(&self, id: &[u8; 16]) -> String {
        format!("{}.{}.*", self.subject, BASE32_NOPAD.encode(id))
    }

    /// The entry of this id and length.
    pub(super) fn entry(&self, id: &[u8; 16], size: usize) -> String {
        format!("{}.{}.{size:05x}", self.subject, BASE32_NOPAD.encode(id))
    }

    /// What tells a repetition of an append, in this log and no other.
    pub(super) fn once(&self, id: &[u8; 16]) -> String {
        format!("{}{}", self.word, BASE32_NOPAD.encode(id))
    }

    /// Who waits for this log hangs there, and rings whoever has heard of it.
    pub(super) fn place(&self, kind: &'static str) -> Log {
        place(kind, &self.word)
    }
}

fn place(kind: &'static str, word: &str) -> Log {
    Log { kind, key: word.as_bytes().to_vec() }
}

/// The place of a wake's subject.
pub(super) fn woken(subject: &str) -> Option<Log> {
    let mut words = subject.rsplit('.');
    let (word, kind) = (words.next()?, words.next()?);
    let kind = KINDS.iter().find(|known| **known == kind)?;
    Some(place(kind, word))
}

/// Id and length of an entry, by its subject.
pub(super) fn entry(subject: &str) -> Option<([u8; 16], usize)> {
    let mut words = subject.rsplit('.');
    let (size, id) = (words.next()?, words.next()?);
    let id = BASE32_NOPAD.decode(id.as_bytes()).ok()?.try_into().ok()?;
    Some((id, usize::from_str_radix(size, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [STORE-9] [STORE-8] a key comes back out of its name, whatever bytes it has, and has the name of no other.
    #[test]
    fn names_are_read_back() {
        let names = Names::new("sealpost");
        for key in [b"".as_slice(), b"bob", b"\0", b"a.b", b"*", b">", b"\xff\xfe"] {
            let subject = names.value(&Key { table: "room", key: key.to_vec() });
            assert_eq!(names.key("room", &subject).as_deref(), Some(key), "{subject}");
            assert_eq!(names.key("room_ban", &subject), None);
            assert!(subject.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'.' || c == b'_'), "{subject}");
        }
        assert_eq!(names.value(&Key { table: "room", key: b"bob".to_vec() }), "sealpost.table.room.62.6f.62._");
        let log = names.log(&Log { kind: "mailbox", key: b"bob".to_vec() });
        let subject = log.entry(&[7; 16], 6152);
        assert_eq!(entry(&subject), Some(([7; 16], 6152)));
        assert!(subject.starts_with("sealpost.log.mailbox.") && subject.ends_with(".01808"), "{subject}");
        assert_eq!(woken(&format!("sealpost.wake.mailbox.{}", log.word)), Some(log.place("mailbox")));
        assert_eq!(woken("sealpost.wake.other.X"), None);
    }
}
