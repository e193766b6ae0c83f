//! The encrypted profile: one folder, held by one process, in which every row is sealed.
//!
//! The folder has three files. `vault` is the header that turns a passphrase into the storage key; only another
//! passphrase writes it anew. `profile.db` is SQLite: whoever reads it without the key sees how many rows
//! each table has, in which order they came and about how long they are, nothing else. `lock` is held while the profile
//! is open.

pub(crate) mod account;
mod backup;
pub(crate) mod changes;
pub(crate) mod devices;
pub(crate) mod files;
mod header;
mod health;
pub(crate) mod messages;
pub(crate) mod outbox;
mod pages;
pub(crate) mod people;
pub(crate) mod rooms;
mod rows;
mod schema;
pub(crate) mod search;
#[cfg(test)]
mod tests;
mod wipe;

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rand::SeedableRng as _;
use sealpost_crypto::identity::{AccountSecret, DeviceSecret, delivery_token};
use sealpost_crypto::vault::{Cost, Vault};
use sealpost_crypto::{CryptoRng, Zeroizing};
use sealpost_spec::account::{AccountKey, ContactLink, DeviceId, DeviceList, Fingerprint, Name};
use sealpost_spec::relay::Address;

use crate::api::{Error, ErrorCode};
use account::{Own, Restoring};
pub use backup::{Progress, appear, write as write_backup};
use devices::Devices;
pub use header::Header;
use header::write_new;
pub use rows::Watcher;
pub(crate) use rows::{Dice, Rows, StoreError, Stored};
pub use wipe::wipe;

const HEADER: &str = "vault";
const DATABASE: &str = "profile.db";
const LOCK: &str = "lock";
/// The database with the files that SQLite keeps beside it.
const DATABASES: [&str; 3] = [DATABASE, "profile.db-wal", "profile.db-shm"];

/// Where a test may let the machine die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashPoint {
    /// Nothing of the step is on disk.
    BeforeCommit,
    /// All of the step is on disk, and nobody has heard of it.
    AfterCommit,
}

/// Called at every commit; `true` lets the commit fail there, for good.
pub type Faults = Box<dyn FnMut(CrashPoint) -> bool + Send>;

/// One person's profile, unlocked and held by this process alone.
pub struct Profile {
    dir: PathBuf,
    own: Own,
    /// The account was unregistered.
    left: bool,
    /// It was linked to its account.
    linked: bool,
    address: Address,
    pub(crate) rows: Rows,
    faults: Option<Faults>,
    /// Unlocked when it is closed, also by the end of the process.
    _lock: Lock,
}

impl Profile {
    /// Whether a profile is in this folder.
    pub fn exists(dir: &Path) -> bool {
        dir.join(HEADER).exists()
    }

    /// Makes a new profile, with new keys, and holds it. `now`: Unix milliseconds. The binary passes
    /// [`Cost::RECOMMENDED`].
    ///
    /// # Errors
    /// There is one already, the folder is open to others, or the disk fails.
    pub fn create(
        dir: &Path,
        passphrase: &[u8],
        cost: Cost,
        name: &Name,
        relay: &Address,
        rng: &mut dyn CryptoRng,
        now: u64,
    ) -> Result<Self, Error> {
        Self::found(dir, passphrase, cost, rng, |rows, rng| {
            let account = AccountSecret::generate(rng);
            generate(rows, name, relay, &account, rng, now).map_err(|error| error.told())
        })
    }

    /// Makes a profile of an account that there is already: its words restore name and key, and no history. The device
    /// is a new one, which the relay and all contacts are told of when it registers. **[ACCT-21]**
    ///
    /// # Errors
    /// As [`Profile::create`]; `Usage`: these are no recovery words.
    pub fn recover(
        dir: &Path,
        passphrase: &[u8],
        cost: Cost,
        (name, words): (&Name, &str),
        relay: &Address,
        rng: &mut dyn CryptoRng,
        now: u64,
    ) -> Result<Self, Error> {
        let account = AccountSecret::from_words(words).map_err(|_| {
            Error::new(ErrorCode::Usage, "these are no recovery words")
                .because("there are 24 of them, in their order; one is misspelt, missing or in another place")
                .advise("compare them with the paper, and give them again")
        })?;
        Self::found(dir, passphrase, cost, rng, |rows, rng| {
            rows.put_restoring(Some(&Restoring { number: 0, receipt: None })).map_err(|error| error.told())?;
            generate(rows, name, relay, &account, rng, now).map_err(|error| error.told())
        })
    }

    /// Makes the profile of a machine that is to become a device of an account. It has keys of its own, and none of the
    /// account's. **[ACCT-25]**
    ///
    /// # Errors
    /// As [`Profile::create`].
    pub fn link(
        dir: &Path,
        passphrase: &[u8],
        cost: Cost,
        link: &ContactLink,
        rng: &mut dyn CryptoRng,
        now: u64,
    ) -> Result<Self, Error> {
        Self::found(dir, passphrase, cost, rng, |rows, rng| {
            let secret = DeviceSecret::generate(rng);
            // Which number it gets, and under which key, its list will say.
            let device = secret.public(DeviceId(0));
            let own = Own {
                made_at: now,
                registering: Some(None),
                ..Own::unregistered(&link.name, &link.relay, AccountKey([0; 32]), device)
            };
            let devices = Devices { linking: Some(link.fingerprint), ..Devices::default() };
            let written = rows.put_device_secret(&secret).and_then(|()| rows.put_own(&own));
            written.and_then(|()| rows.put_devices(&devices)).map_err(|error| error.told())?;
            Ok(own)
        })
    }

    /// Whether it was linked to its account; as it was when the profile was opened.
    pub fn is_linked(&self) -> bool {
        self.linked
    }

    /// The account whose device this machine is to become, where it is not one yet.
    ///
    /// # Errors
    /// The row can't be read.
    pub fn linking(&self) -> Result<Option<Fingerprint>, Error> {
        Ok(self.rows.devices().map_err(|error| error.told())?.linking)
    }

    /// Makes the folder and its files; `fill` writes the first rows, all of them or none.
    fn found(
        dir: &Path,
        passphrase: &[u8],
        cost: Cost,
        rng: &mut dyn CryptoRng,
        fill: impl FnOnce(&Rows, &mut dyn CryptoRng) -> Result<Own, Error>,
    ) -> Result<Self, Error> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|cause| trouble(dir, &cause))?;
        closed_to_others(dir)?;
        let lock = hold(dir)?;
        if Self::exists(dir) {
            return Err(Error::new(ErrorCode::Usage, format!("there is a profile in {} already", dir.display()))
                .advise("sealpost status"));
        }
        // Without its header a database can't be read: it is what a crash left of an earlier attempt.
        remove(dir, &DATABASES)?;
        let (vault, header) =
            Vault::create(passphrase, cost, rng).map_err(|_| Error::new(ErrorCode::Failed, "no key could be made"))?;
        let rows = Rows::new(schema::open(&dir.join(DATABASE))?, vault, dice(rng));
        let own = match rows.all_or_nothing(|rows| fill(rows, rng)) {
            Ok(own) => own,
            Err(error) => {
                drop(rows);
                // The error that is told is the one that matters.
                let _ = remove(dir, &DATABASES);
                return Err(error);
            }
        };
        write_new(&dir.join(HEADER), &header).map_err(|cause| trouble(dir, &cause))?;
        let address = own.relay.parse().map_err(|_| StoreError::Sealed.told())?;
        Ok(Self { dir: dir.to_owned(), own, left: false, linked: false, address, rows, faults: None, _lock: lock })
    }

    /// Opens a profile and holds it.
    ///
    /// # Errors
    /// `NoProfile`; `InUse`: another process holds it; `Locked`: wrong passphrase or altered files; `Failed`: open to
    /// other users of the machine, written by a newer version, or the disk fails.
    pub fn open(dir: &Path, passphrase: &[u8], rng: &mut dyn CryptoRng) -> Result<Self, Error> {
        Self::open_by(dir, rng, |dir| header::unlock(dir, passphrase))
    }

    /// For tests: opens a profile with the vault of an earlier life of it, without the time that a passphrase takes.
    ///
    /// # Errors
    /// As [`Profile::open`].
    pub fn reopen(dir: &Path, vault: Vault, rng: &mut dyn CryptoRng) -> Result<Self, Error> {
        Self::open_by(dir, rng, |_| Ok(vault))
    }

    /// For tests: closes it, and gives the vault for the next life.
    pub fn into_vault(self) -> Vault {
        self.rows.into_vault()
    }

    fn open_by(
        dir: &Path,
        rng: &mut dyn CryptoRng,
        unlock: impl FnOnce(&Path) -> Result<Vault, Error>,
    ) -> Result<Self, Error> {
        header::there(dir)?;
        for file in [DATABASE, LOCK] {
            let path = dir.join(file);
            if path.exists() {
                closed_to_others(&path)?;
            }
        }
        let lock = hold(dir)?;
        let vault = unlock(dir)?;
        let rows = Rows::new(schema::open(&dir.join(DATABASE))?, vault, dice(rng));
        let own = rows.own().map_err(|error| error.told())?.ok_or_else(|| StoreError::Sealed.told())?;
        rows.name_lines().map_err(|error| error.told())?;
        let left = rows.leaving().map_err(|error| error.told())?.is_some_and(|leaving| leaving.done_at.is_some());
        let linked = rows.devices().map_err(|error| error.told())?.linked;
        let address = own.relay.parse().map_err(|_| StoreError::Sealed.told())?;
        Ok(Self { dir: dir.to_owned(), own, left, linked, address, rows, faults: None, _lock: lock })
    }

    /// The account's name.
    pub fn name(&self) -> &Name {
        &self.own.name
    }

    /// The relay's address.
    pub fn relay(&self) -> &Address {
        &self.address
    }

    /// Whether the relay has confirmed the name, or did before the account was unregistered; as it was when the profile
    /// was opened.
    pub fn registered(&self) -> bool {
        self.own.receipt.is_some() || self.left || self.linked
    }

    /// The 24 recovery words.
    ///
    /// # Errors
    /// The row can't be read.
    pub fn words(&self) -> Result<Zeroizing<String>, Error> {
        let account = self.rows.account_secret().map_err(|error| error.told())?;
        Ok(account.ok_or_else(|| StoreError::Sealed.told())?.words())
    }

    /// Deletes a profile that never came to be registered: a name that was taken leaves nothing behind.
    ///
    /// # Errors
    /// It is registered, or a file can't be deleted.
    pub fn discard(self) -> Result<(), Error> {
        let registered = self.rows.own().map_err(|error| error.told())?.is_some_and(|own| own.receipt.is_some());
        let linked = self.rows.devices().map_err(|error| error.told())?.linked;
        if registered || linked || self.left {
            return Err(Error::new(ErrorCode::Failed, "a registered profile is not thrown away"));
        }
        // The header goes first: from then on there is no profile.
        remove(&self.dir, &[HEADER])?;
        remove(&self.dir, &DATABASES)
    }

    /// For tests: commits without waiting for the disk.
    pub fn without_sync(&self) {
        // A pragma on an open database can only fail with the next statement, which reports it.
        let _ = self.rows.connection().execute_batch("PRAGMA synchronous = OFF");
    }

    /// For tests: lets the database grow no more, as on a full disk, or as far as it likes.
    pub fn fill(&self, full: bool) {
        // SQLite takes the present size for a limit below it.
        let pages = if full { 1 } else { u32::MAX };
        // As above; and a limit is no statement of the transaction under way.
        let _ = self.rows.connection().execute_batch(&format!("PRAGMA max_page_count = {pages}"));
    }

    /// For tests: lets commits fail.
    pub fn set_faults(&mut self, faults: Faults) {
        self.faults = Some(faults);
    }

    /// For tests: shows each session message that is stored to be sent, so that no key is seen to serve twice.
    pub fn watch_session_messages(&mut self, watcher: Watcher) {
        self.rows.watch(watcher);
    }

    pub(crate) fn own(&self) -> &Own {
        &self.own
    }

    pub(crate) fn begin(&self) -> Stored<()> {
        Ok(self.rows.connection().execute_batch("BEGIN IMMEDIATE")?)
    }

    /// Makes all that was written since [`Self::begin`] durable, or none of it.
    pub(crate) fn commit(&mut self) -> Stored<()> {
        if self.dies(CrashPoint::BeforeCommit) {
            self.roll_back();
            return Err(StoreError::Crash);
        }
        self.rows.connection().execute_batch("COMMIT")?;
        if self.dies(CrashPoint::AfterCommit) { Err(StoreError::Crash) } else { Ok(()) }
    }

    pub(crate) fn roll_back(&self) {
        // Whoever rolls back has an error to report already, and never writes again.
        let _ = self.rows.connection().execute_batch("ROLLBACK");
    }

    fn dies(&mut self, point: CrashPoint) -> bool {
        self.faults.as_mut().is_some_and(|faults| faults(point))
    }
}

/// The profile's own generator until an engine brings one.
fn dice(rng: &mut dyn CryptoRng) -> Dice {
    let mut seed = Zeroizing::new([0; 32]);
    rng.fill_bytes(&mut *seed);
    Box::new(rand::rngs::StdRng::from_seed(*seed))
}

/// A new device of an account, its first one unless the account is restored.
fn generate(
    rows: &Rows,
    name: &Name,
    relay: &Address,
    account: &AccountSecret,
    rng: &mut dyn CryptoRng,
    now: u64,
) -> Stored<Own> {
    let secret = DeviceSecret::generate(rng);
    let device = secret.public(DeviceId::FIRST);
    let list = DeviceList { number: 1, name: name.clone(), account: account.key(), devices: vec![device] };
    let own = Own {
        name: name.clone(),
        relay: relay.to_string(),
        account: account.key(),
        device,
        list: account.sign_devices(&list),
        made_at: now,
        token: delivery_token(rng),
        ..Own::unregistered(name, relay, account.key(), device)
    };
    rows.put_account_secret(account)?;
    rows.put_device_secret(&secret)?;
    rows.put_own(&own)?;
    Ok(own)
}

/// Makes two processes on one profile impossible, until it is dropped.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file is not enough: a child that another thread is just starting has it, too, for a moment.
        let _ = self.0.unlock();
    }
}

/// Takes the lock.
fn hold(dir: &Path) -> Result<Lock, Error> {
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(dir.join(LOCK))
        .map_err(|cause| trouble(dir, &cause))?;
    match lock.try_lock() {
        Ok(()) => Ok(Lock(lock)),
        Err(TryLockError::WouldBlock) => {
            Err(Error::new(ErrorCode::InUse, "another process has this profile open").advise("close it, and try again"))
        }
        Err(TryLockError::Error(cause)) => Err(trouble(dir, &cause)),
    }
}

/// Deletes files that may be there.
fn remove(dir: &Path, files: &[&str]) -> Result<(), Error> {
    for file in files {
        match std::fs::remove_file(dir.join(file)) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => return Err(trouble(dir, &cause)),
            _ => {}
        }
    }
    Ok(())
}

fn closed_to_others(path: &Path) -> Result<(), Error> {
    let mode = std::fs::metadata(path).map_err(|cause| trouble(path, &cause))?.mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let wanted = if path.is_dir() { "700" } else { "600" };
    Err(Error::new(ErrorCode::Failed, format!("{} is open to other users of this machine", path.display()))
        .because(format!("its mode is {:03o}", mode & 0o777))
        .advise(format!("chmod {wanted} '{}'", path.display())))
}

fn trouble(path: &Path, cause: &std::io::Error) -> Error {
    let advice = match cause.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => "free some disk space, then try again",
        std::io::ErrorKind::PermissionDenied => "look whose it is, and with which mode: ls -ld",
        _ => "sealpost doctor",
    };
    Error::new(ErrorCode::Failed, format!("{} can't be used", path.display())).because(cause.to_string()).advise(advice)
}
