//! A profile in one sealed file: contacts, marks, settings and history, and the account's key; no ratchet state, no
//! prekey, no device key. Whoever restores it has a device of their own. **[ACCT-22]**
//!
//! ```text
//! file     magic 8 "SPBACK01" | header of a vault of its own 132 | frames to the end
//! frame    u32 length, its highest bit set in the last one | row of that vault, table "backup",
//!          key: the frame's number from 0 (u64), and 1 in the last one, else 0
//! frame 0  the account's key
//! others   records, each u32 length | encoded
//! ```
//! The passphrase is the profile's as it was when the file was made. Each frame authenticates its place, and the last one that it is
//! the last: a file that is altered, shuffled or cut short opens for nobody.

mod record;

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Read, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use sealpost_crypto::identity::AccountSecret;
use sealpost_crypto::vault::{self, Cost, Vault};
use sealpost_crypto::{CryptoRng, Zeroizing};
use sealpost_spec::wire::{decode, encode};

use super::account::{Own, Restoring};
use super::rows::{Rows, StoreError};
use super::{DATABASE, Profile, dice, generate, header, schema};
use crate::api::{Error, ErrorCode};
use record::{Head, Record};

const MAGIC: &[u8; 8] = b"SPBACK01";
const TABLE: &str = "backup";
/// So many bytes of records share a frame.
const FRAME: usize = 64 * 1024;
/// No frame is longer, whatever it says: the longest record, padded, and what the vault adds.
const LONGEST: usize = 256 * 1024;
const LAST: u32 = 1 << 31;
/// Not through a link, and not waiting for the writer of a pipe.
const NO_LINK: i32 = (rustix::fs::OFlags::NOFOLLOW.bits() | rustix::fs::OFlags::NONBLOCK.bits()) as i32;

/// How far a backup or restore has come, in lines of history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Lines so far.
    pub done: u64,
    /// Of so many.
    pub of: u64,
}

/// Called now and then.
pub(super) type Watching<'a> = &'a mut dyn FnMut(Progress);

/// Writes a profile, also one that another process holds, as it is in one moment.
///
/// # Errors
/// As [`Profile::open`], `InUse` excepted; what the disk or `out` says.
pub fn write(
    dir: &Path,
    passphrase: &[u8],
    cost: Cost,
    out: &mut dyn Write,
    rng: &mut dyn CryptoRng,
    now: u64,
    watching: Watching<'_>,
) -> Result<(), Error> {
    match Profile::open(dir, passphrase, rng) {
        Ok(profile) => write_rows(&profile.rows, passphrase, cost, out, rng, now, watching),
        Err(error) if error.code == ErrorCode::InUse => {
            let vault = header::unlock(dir, passphrase)?;
            let rows = Rows::new(schema::look(&dir.join(DATABASE))?, vault, dice(rng));
            write_rows(&rows, passphrase, cost, out, rng, now, watching)
        }
        Err(error) => Err(error),
    }
}

/// Writes a file that is not there yet, for its owner alone: it appears whole or not at all, and replaces nothing.
///
/// # Errors
/// Something of this name is there; what `write` says; what the disk says.
pub fn appear(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<(), Error>) -> Result<(), Error> {
    let there = || {
        Error::new(ErrorCode::Usage, format!("{} is there already", path.display()))
            .because("a backup replaces nothing")
            .advise("give another name")
    };
    if path.symlink_metadata().is_ok() {
        return Err(there());
    }
    let name = path.file_name().ok_or_else(|| Error::new(ErrorCode::Usage, "that is no name for a file"))?;
    let mut part = std::ffi::OsString::from(".");
    part.push(name);
    part.push(".part");
    let part = path.with_file_name(part);
    let file = begin(&part)?;
    let written = (|| {
        let mut out = BufWriter::new(&file);
        write(&mut out)?;
        out.flush().map_err(unwritten)?;
        drop(out);
        file.sync_all().map_err(unwritten)?;
        // What gets the name is what was written here.
        if !is_there(&part, &file) {
            return Err(written_by_another(&part));
        }
        match renameat_with(CWD, &part, CWD, path, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Err(there()),
            // Not every file system can do both in one.
            Err(_) => std::fs::hard_link(&part, path).and_then(|()| std::fs::remove_file(&part)).map_err(unwritten)?,
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(unwritten)
    })();
    if written.is_err() && is_there(&part, &file) {
        let _ = std::fs::remove_file(&part);
    }
    written
}

/// Begins a file under the name that it has until it is whole: in the place of what a crash left, and of nothing that
/// somebody writes.
fn begin(part: &Path) -> Result<File, Error> {
    if let Ok(left) = File::options().read(true).custom_flags(NO_LINK).open(part)
        && left.try_lock().is_err()
    {
        return Err(written_by_another(part));
    }
    let _ = std::fs::remove_file(part);
    let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(part).map_err(unwritten)?;
    // Whoever looks between the two takes it for what a crash left: that is seen before it gets its name.
    file.try_lock().map_err(|_| written_by_another(part))?;
    Ok(file)
}

/// Whether this very file still has this name.
fn is_there(part: &Path, file: &File) -> bool {
    let named = part.symlink_metadata().map(|named| (named.dev(), named.ino()));
    matches!((named, file.metadata()), (Ok(named), Ok(own)) if named == (own.dev(), own.ino()))
}

fn written_by_another(part: &Path) -> Error {
    Error::new(ErrorCode::InUse, "another process is writing this backup")
        .because(format!("it has {}", part.display()))
        .advise("wait for it, or give another name")
}

fn write_rows(
    rows: &Rows,
    passphrase: &[u8],
    cost: Cost,
    out: &mut dyn Write,
    rng: &mut dyn CryptoRng,
    now: u64,
    watching: Watching<'_>,
) -> Result<(), Error> {
    let (vault, header) =
        Vault::create(passphrase, cost, rng).map_err(|_| Error::new(ErrorCode::Failed, "no key could be made"))?;
    // One moment for all that is read, whatever its holder writes meanwhile.
    let snapshot = |sql| rows.connection().execute_batch(sql).map_err(|cause| StoreError::from(cause).told());
    snapshot("BEGIN")?;
    let own = rows.own().map_err(told)?.ok_or_else(|| StoreError::Sealed.told())?;
    let Some(account) = rows.account_secret().map_err(told)? else {
        return Err(Error::new(ErrorCode::Failed, "this device does not have the account's key, which a backup holds")
            .because("it was linked to the account")
            .advise("sealpost backup FILE, on the account's first device"));
    };
    out.write_all(MAGIC).and_then(|()| out.write_all(&header)).map_err(unwritten)?;
    let mut frames = Frames { vault, out, rng, number: 0, records: Vec::with_capacity(FRAME) };
    let key = frames.key(false);
    let sealed = frames.vault.seal_secret(TABLE, &key, &account, frames.rng);
    frames.frame(&sealed, false)?;
    record::export(rows, &own, now, watching, &mut |record| frames.put(record))?;
    frames.end()?;
    snapshot("COMMIT")
}

struct Frames<'a> {
    vault: Vault,
    out: &'a mut dyn Write,
    rng: &'a mut dyn CryptoRng,
    number: u64,
    records: Vec<u8>,
}

impl Frames<'_> {
    fn key(&self, last: bool) -> [u8; 32] {
        key(&self.vault, self.number, last)
    }

    fn put(&mut self, record: &Record) -> Result<(), Error> {
        let bytes = encode(record).ok_or_else(|| StoreError::TooLong.told())?;
        if !self.records.is_empty() && self.records.len() + 4 + bytes.len() > FRAME {
            self.flush(false)?;
        }
        let length = u32::try_from(bytes.len()).map_err(|_| StoreError::TooLong.told())?;
        self.records.extend_from_slice(&length.to_le_bytes());
        self.records.extend_from_slice(&bytes);
        Ok(())
    }

    fn flush(&mut self, last: bool) -> Result<(), Error> {
        let sealed = self.vault.seal(TABLE, &self.key(last), &self.records, self.rng);
        self.records.clear();
        self.frame(&sealed, last)
    }

    fn frame(&mut self, sealed: &[u8], last: bool) -> Result<(), Error> {
        let length = u32::try_from(sealed.len()).ok().filter(|length| *length < LAST);
        let length = length.ok_or_else(|| StoreError::TooLong.told())? | if last { LAST } else { 0 };
        self.number += 1;
        let written = self.out.write_all(&length.to_le_bytes()).and_then(|()| self.out.write_all(sealed));
        written.map_err(unwritten)
    }

    fn end(mut self) -> Result<(), Error> {
        self.flush(true)?;
        self.out.flush().map_err(unwritten)
    }
}

impl Profile {
    /// Makes a profile of a backup, with a new device. The passphrase is that of the backup, and the profile's from
    /// now on. **[ACCT-21]**
    ///
    /// # Errors
    /// As [`Profile::create`]; `Locked`: the passphrase is another one; `Failed`: this is no backup, or it was altered.
    pub fn restore(
        dir: &Path,
        passphrase: &[u8],
        cost: Cost,
        from: &mut dyn Read,
        rng: &mut dyn CryptoRng,
        now: u64,
        watching: Watching<'_>,
    ) -> Result<Self, Error> {
        let mut opened = Opened::begin(passphrase, from)?;
        Self::found(dir, passphrase, cost, rng, |rows, rng| import(rows, &mut opened, rng, now, watching))
    }
}

fn import(
    rows: &Rows,
    opened: &mut Opened<'_>,
    rng: &mut dyn CryptoRng,
    now: u64,
    watching: Watching<'_>,
) -> Result<Own, Error> {
    let account = opened.account()?;
    let Some(Record::Head(Head { name, relay, number, receipt, store, relay_key, lines, .. })) = opened.next()? else {
        return Err(altered());
    };
    let address = relay.parse().map_err(|_| altered())?;
    let restoring = Restoring { number, receipt };
    rows.put_restoring(Some(&restoring)).map_err(told)?;
    let own = generate(rows, &name, &address, &account, rng, now).map_err(told)?;
    let own = Own { store, relay_key, ..own };
    rows.put_own(&own).map_err(told)?;
    let mut done = 0;
    while let Some(record) = opened.next()? {
        if matches!(record, Record::Line { .. }) {
            done += 1;
            if done % 1_024 == 0 {
                watching(Progress { done, of: lines });
            }
        }
        record::import(rows, &own, record).map_err(told)?;
    }
    watching(Progress { done, of: lines });
    Ok(own)
}

/// A backup that is read.
struct Opened<'a> {
    vault: Vault,
    from: &'a mut dyn Read,
    number: u64,
    last: bool,
    records: Zeroizing<Vec<u8>>,
    at: usize,
}

impl<'a> Opened<'a> {
    fn begin(passphrase: &[u8], from: &'a mut dyn Read) -> Result<Self, Error> {
        let mut magic = [0; MAGIC.len()];
        let mut header = [0; vault::HEADER];
        from.read_exact(&mut magic).map_err(unread)?;
        if magic != *MAGIC {
            return Err(Error::new(ErrorCode::Usage, "this is no backup of this program")
                .advise("give a file that sealpost backup has written"));
        }
        from.read_exact(&mut header).map_err(unread)?;
        let vault = Vault::unlock(&header, passphrase).map_err(|_| {
            Error::new(ErrorCode::Locked, "the backup does not open")
                .because("the passphrase is not the one that the profile had when the backup was made, or the file was altered")
                .advise("give that passphrase; nothing was restored")
        })?;
        Ok(Self { vault, from, number: 0, last: false, records: Zeroizing::default(), at: 0 })
    }

    fn frame(&mut self) -> Result<Vec<u8>, Error> {
        let mut length = [0; 4];
        self.from.read_exact(&mut length).map_err(unread)?;
        let length = u32::from_le_bytes(length);
        self.last = length & LAST != 0;
        let length = usize::try_from(length & !LAST).ok().filter(|length| *length <= LONGEST).ok_or_else(altered)?;
        let mut sealed = vec![0; length];
        self.from.read_exact(&mut sealed).map_err(unread)?;
        Ok(sealed)
    }

    fn account(&mut self) -> Result<AccountSecret, Error> {
        let sealed = self.frame()?;
        let key = key(&self.vault, self.number, self.last);
        self.number += 1;
        self.vault.open_secret(TABLE, &key, &sealed).map_err(|_| altered())
    }

    /// The next record; `None` at the end, which is where the file says.
    fn next(&mut self) -> Result<Option<Record>, Error> {
        while self.at == self.records.len() {
            if self.last {
                return match self.from.read(&mut [0]).map_err(unread)? {
                    0 => Ok(None),
                    _ => Err(altered()),
                };
            }
            let sealed = self.frame()?;
            let key = key(&self.vault, self.number, self.last);
            self.number += 1;
            self.records = self.vault.open(TABLE, &key, &sealed).map_err(|_| altered())?;
            self.at = 0;
        }
        let rest = self.records.get(self.at..).unwrap_or_default();
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(altered)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| altered())?;
        let record = rest.get(..length).ok_or_else(altered)?;
        self.at += 4 + length;
        decode(record).map(Some).map_err(|_| {
            Error::new(ErrorCode::Failed, "the backup was made by a newer version of this program")
                .advise("install that version; nothing was restored")
        })
    }
}

fn key(vault: &Vault, number: u64, last: bool) -> [u8; 32] {
    vault.blind(TABLE, &[&number.to_le_bytes()[..], &[u8::from(last)]].concat())
}

fn told(error: StoreError) -> Error {
    error.told()
}

fn altered() -> Error {
    Error::new(ErrorCode::Failed, "the backup is cut short or was altered")
        .because("a part of it does not open with its key")
        .advise("take another copy of the file; nothing was restored")
}

fn unread(cause: std::io::Error) -> Error {
    match cause.kind() {
        std::io::ErrorKind::UnexpectedEof => altered(),
        _ => Error::new(ErrorCode::Failed, "the backup can't be read").because(cause.to_string()),
    }
}

fn unwritten(cause: std::io::Error) -> Error {
    Error::new(ErrorCode::Failed, "the backup can't be written")
        .because(cause.to_string())
        .advise("give another folder, or free some disk space")
}

#[cfg(test)]
mod tests;
