//! What somebody finds who has taken everything that a relay has: its folder with the TLS key, its log, and an image of
//! its memory while mail waits.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use aho_corasick::AhoCorasick;
use data_encoding::{BASE64_NOPAD, HEXLOWER};

use crate::processes::files_below;

/// What was found. Every number of a sound relay is zero, except those that show how much was searched.
#[derive(Debug, Default)]
pub struct Findings {
    /// Lines that were searched for.
    pub lines: usize,
    /// Bytes that were searched.
    pub bytes: usize,
    /// Lines found, with where and how written.
    pub opened: Vec<String>,
    /// Envelopes that lie in the relay's store.
    pub envelopes: usize,
    /// Envelopes with something of their sender in them or beside them.
    pub linked: Vec<String>,
}

impl std::fmt::Display for Findings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "searched for {} lines in {} bytes", self.lines, self.bytes)?;
        writeln!(f, "lines opened: {}", self.opened.len())?;
        for line in &self.opened {
            writeln!(f, "  {line}")?;
        }
        writeln!(f, "envelopes in the store: {}", self.envelopes)?;
        write!(f, "envelopes linked to a sender: {}", self.linked.len())?;
        for link in &self.linked {
            write!(f, "\n  {link}")?;
        }
        Ok(())
    }
}

/// What is searched.
pub struct Taken {
    /// Name and contents: files, logs, memory.
    pub parts: Vec<(String, Vec<u8>)>,
    /// The envelopes as the store holds them.
    pub envelopes: Vec<Vec<u8>>,
}

impl Taken {
    /// Reads a relay's folder, its log and, where there is one, an image of its memory.
    ///
    /// # Errors
    /// The log or the image can't be read.
    pub fn from(folder: &Path, log: &Path, image: Option<&Path>) -> std::io::Result<Self> {
        let mut parts = files_below(folder);
        parts.push((log.display().to_string(), std::fs::read(log)?));
        if let Some(image) = image {
            parts.push((image.display().to_string(), std::fs::read(image)?));
        }
        Ok(Self { parts, envelopes: stored_envelopes(folder) })
    }
}

/// Every value of the relay's store that has a sealed box in it: of a box's size, a little more at most.
fn stored_envelopes(folder: &Path) -> Vec<Vec<u8>> {
    let copy = match tempfile::tempdir() {
        Ok(copy) => copy,
        Err(_) => return Vec::new(),
    };
    let mut found = Vec::new();
    let files = files_below(folder);
    // A copy with its write-ahead log: reading must not disturb the relay.
    for (path, bytes) in &files {
        if let Some(name) = Path::new(path).file_name() {
            let _ = std::fs::write(copy.path().join(name), bytes);
        }
    }
    for (path, bytes) in &files {
        let Some(name) = Path::new(path).file_name() else { continue };
        if !bytes.starts_with(b"SQLite format 3\0") {
            continue;
        }
        let Ok(database) = rusqlite::Connection::open(copy.path().join(name)) else { continue };
        let _ = envelopes_of(&database, &mut found);
    }
    for (_, bytes) in files.iter().filter(|(_, bytes)| bytes.starts_with(b"SPMAIL\0\x01")) {
        found.extend(envelopes_in(bytes));
    }
    found
}

/// Every entry of a segment of mailboxes, with the key of its log: 56 bytes of header, then records, whose kind stands at 24,
/// the length of the key at 26, that of the body at 28, and key and body from 32 on.
fn envelopes_in(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    bytes = bytes.get(56..).unwrap_or_default();
    while let Some((head, rest)) = bytes.split_first_chunk::<32>() {
        let key = usize::from(u16::from_le_bytes([head[26], head[27]]));
        let body = u32::from_le_bytes([head[28], head[29], head[30], head[31]]) as usize;
        let Some((said, rest)) = rest.split_at_checked(key + body) else { break };
        if head[24] == 1 {
            found.push(said.to_vec());
        }
        bytes = rest;
    }
    found
}

fn envelopes_of(database: &rusqlite::Connection, found: &mut Vec<Vec<u8>>) -> rusqlite::Result<()> {
    let tables: Vec<String> = database
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for table in tables {
        let mut statement = database.prepare(&format!("SELECT * FROM \"{table}\""))?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let mut whole = Vec::new();
            let mut is_envelope = false;
            for column in 0..columns {
                let bytes = match row.get_ref(column)? {
                    rusqlite::types::ValueRef::Blob(bytes) | rusqlite::types::ValueRef::Text(bytes) => bytes,
                    _ => continue,
                };
                is_envelope |=
                    sealpost_spec::message::BOX_SIZES.iter().any(|size| (*size..*size + 128).contains(&bytes.len()));
                whole.extend_from_slice(bytes);
            }
            if is_envelope {
                found.push(whole);
            }
        }
    }
    Ok(())
}

/// How a text may be written down.
fn forms(text: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let hex = HEXLOWER.encode(text);
    let mut forms = vec![
        ("as it is", text.to_vec()),
        ("in hexadecimal", hex.clone().into_bytes()),
        ("in HEXADECIMAL", hex.to_uppercase().into_bytes()),
    ];
    // Base64 of any position within a longer text: what all three alignments have in common.
    for skip in 0..3 {
        let inner = &text[skip.min(text.len())..];
        let whole = &inner[..inner.len() / 3 * 3];
        if whole.len() >= 12 {
            forms.push(("in base64", BASE64_NOPAD.encode(whole).into_bytes()));
        }
    }
    if let Ok(text) = std::str::from_utf8(text) {
        forms.push(("in UTF-16", text.encode_utf16().flat_map(u16::to_le_bytes).collect()));
    }
    forms
}

/// A text's number, a form, and the text in that form.
type Needle = (usize, &'static str, Vec<u8>);

/// Finds any of many byte strings by their first eight bytes.
pub struct Needles {
    prefixes: AhoCorasick,
    /// The needles of each prefix, in the order of the automaton's patterns.
    needles: Vec<Vec<Needle>>,
}

impl Needles {
    /// Each text in every form; texts below eight bytes would be found by chance and are left out.
    ///
    /// # Panics
    /// There are billions of texts.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut by_prefix = BTreeMap::<[u8; 8], Vec<Needle>>::new();
        for (number, text) in texts.into_iter().enumerate() {
            for (form, bytes) in forms(text) {
                if let Some(prefix) = bytes.first_chunk::<8>() {
                    by_prefix.entry(*prefix).or_default().push((number, form, bytes));
                }
            }
        }
        let prefixes = AhoCorasick::new(by_prefix.keys()).expect("prefixes are short and not that many");
        Self { prefixes, needles: by_prefix.into_values().collect() }
    }

    /// Which texts are in `bytes`: number, form and offset.
    pub fn in_bytes(&self, bytes: &[u8]) -> Vec<(usize, &'static str, usize)> {
        let mut found = Vec::new();
        for hit in self.prefixes.find_overlapping_iter(bytes) {
            for (number, form, needle) in &self.needles[hit.pattern().as_usize()] {
                if bytes[hit.start()..].starts_with(needle) {
                    found.push((*number, *form, hit.start()));
                }
            }
        }
        found
    }
}

/// Searches what was taken for lines and for senders. `senders`: names, keys, mailboxes, each with what to call it.
pub fn inspect(taken: &Taken, lines: &[String], senders: &[(String, Vec<u8>)]) -> Findings {
    let mut findings = Findings { lines: lines.len(), envelopes: taken.envelopes.len(), ..Findings::default() };
    let needles = Needles::new(lines.iter().map(String::as_bytes));
    for (name, bytes) in &taken.parts {
        findings.bytes += bytes.len();
        for (number, form, at) in needles.in_bytes(bytes) {
            findings.opened.push(format!("{name}: line {number} {form} at {at}"));
        }
    }
    for (number, envelope) in taken.envelopes.iter().enumerate() {
        for (sender, trace) in senders {
            for (form, needle) in forms(trace) {
                if needle.len() >= 3 && envelope.windows(needle.len()).any(|window| window == needle) {
                    findings.linked.push(format!("envelope {number} holds {sender} {form}"));
                }
            }
        }
    }
    findings
}

/// The memory of a process: every readable region that it may write to.
///
/// # Errors
/// The process is gone, or this user may not read its memory.
pub fn memory_of(pid: u32) -> std::io::Result<Vec<u8>> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let mut memory = std::fs::File::open(format!("/proc/{pid}/mem"))?;
    let mut image = Vec::new();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else { continue };
        let Some((from, to)) = range.split_once('-') else { continue };
        let (Ok(from), Ok(to)) = (u64::from_str_radix(from, 16), u64::from_str_radix(to, 16)) else { continue };
        if !rights.starts_with("rw") || line.ends_with("[vvar]") {
            continue;
        }
        let mut region = vec![0; usize::try_from(to - from).unwrap_or(0)];
        memory.seek(SeekFrom::Start(from))?;
        // A guard page may stand in the way.
        if memory.read_exact(&mut region).is_ok() {
            image.extend_from_slice(&region);
        }
    }
    Ok(image)
}
