//! Sealed rows: what every table has in common.

use std::cell::{RefCell, RefMut};

use rusqlite::{Connection, OptionalExtension as _, params};
use sealpost_crypto::vault::{Keep, Vault};
use sealpost_crypto::{CryptoRng, Zeroizing};
use sealpost_spec::wire::{decode, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::{Error, ErrorCode};

/// All randomness of a client.
pub(crate) type Dice = Box<dyn CryptoRng + Send>;

/// The profile could not be read or written. The engine does nothing after one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The disk, or SQLite.
    #[error("the disk: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A row does not open, or has no meaning.
    #[error("a row was altered")]
    Sealed,
    /// A row is longer than any may be.
    #[error("a row is too long")]
    TooLong,
    /// A test let the machine die.
    #[error("a crash that was asked for")]
    Crash,
}

/// The result of whatever touches the profile.
pub(crate) type Stored<T> = Result<T, StoreError>;

impl StoreError {
    /// As a person hears of it.
    pub(crate) fn told(&self) -> Error {
        match self {
            Self::Sealed => Error::new(ErrorCode::Locked, "the profile was altered")
                .because("a row does not open with the profile's key")
                .advise("put a copy of the folder in its place; nothing was changed"),
            other => Error::new(ErrorCode::Failed, "the profile can't be read or written any more")
                .because(other.to_string())
                .advise("free some disk space, then start again"),
        }
    }
}

/// Shown each session message before it is stored to be sent.
pub type Watcher = Box<dyn FnMut(&[u8]) + Send>;

/// A table by its name: also the first thing that its rows authenticate.
#[derive(Clone, Copy)]
pub(super) struct Table(pub(super) &'static str);

/// The profile's database with its keys.
pub(crate) struct Rows {
    connection: Connection,
    vault: Vault,
    dice: RefCell<Dice>,
    watcher: RefCell<Option<Watcher>>,
}

impl Rows {
    pub(super) fn new(connection: Connection, vault: Vault, dice: Dice) -> Self {
        Self { connection, vault, dice: RefCell::new(dice), watcher: RefCell::default() }
    }

    pub(super) fn into_vault(self) -> Vault {
        self.vault
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// One transaction, outside of an engine's steps.
    pub(super) fn all_or_nothing<T>(&self, work: impl FnOnce(&Self) -> Result<T, Error>) -> Result<T, Error> {
        let execute = |sql| self.connection.execute_batch(sql).map_err(|cause| StoreError::from(cause).told());
        execute("BEGIN IMMEDIATE")?;
        let done = work(self);
        execute(if done.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
        done
    }

    /// Replaces the generator.
    pub(crate) fn throw_with(&self, dice: Dice) {
        *self.dice.borrow_mut() = dice;
    }

    /// Shows session messages from now on.
    pub(super) fn watch(&self, watcher: Watcher) {
        *self.watcher.borrow_mut() = Some(watcher);
    }

    /// A session message is about to be stored.
    pub(super) fn watched(&self, message: &[u8]) {
        if let Some(watcher) = self.watcher.borrow_mut().as_mut() {
            watcher(message);
        }
    }

    /// The generator, for one statement: whoever holds it across another call of the store would stop there.
    pub(crate) fn dice(&self) -> RefMut<'_, Dice> {
        self.dice.borrow_mut()
    }

    pub(super) fn blind(&self, table: Table, key: &[u8]) -> [u8; 32] {
        self.vault.blind(table.0, key)
    }

    /// Whether a sealed value opens. `word`: what it was sealed under.
    pub(super) fn opens(&self, word: &str, key: &[u8; 32], sealed: &[u8]) -> bool {
        self.vault.opens(word, key, sealed)
    }

    pub(super) fn seal<T: Serialize>(&self, table: Table, blinded: &[u8; 32], row: &T) -> Stored<Vec<u8>> {
        let bytes = encode(row).ok_or(StoreError::TooLong)?;
        Ok(self.seal_bytes(table, blinded, &bytes))
    }

    /// Of a row that is laid out by hand.
    pub(super) fn seal_bytes(&self, table: Table, blinded: &[u8; 32], bytes: &[u8]) -> Vec<u8> {
        self.vault.seal(table.0, blinded, bytes, &mut **self.dice())
    }

    pub(super) fn unseal<T: DeserializeOwned>(&self, table: Table, blinded: &[u8; 32], row: &[u8]) -> Stored<T> {
        decode(&self.open(table, blinded, row)?).map_err(|_| StoreError::Sealed)
    }

    pub(super) fn open(&self, table: Table, blinded: &[u8; 32], row: &[u8]) -> Stored<Zeroizing<Vec<u8>>> {
        self.vault.open(table.0, blinded, row).map_err(|_| StoreError::Sealed)
    }

    /// Writes the row of this key; one that is there keeps its place.
    pub(super) fn put<T: Serialize>(&self, table: Table, key: &[u8], row: &T) -> Stored<()> {
        let blinded = self.blind(table, key);
        let sealed = self.seal(table, &blinded, row)?;
        self.put_sealed(table, &blinded, &sealed)
    }

    fn put_sealed(&self, table: Table, blinded: &[u8; 32], sealed: &[u8]) -> Stored<()> {
        let sql = format!(
            "INSERT INTO {} (key, row) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET row = excluded.row",
            table.0
        );
        self.connection.prepare_cached(&sql)?.execute(params![blinded, sealed])?;
        Ok(())
    }

    /// The row of this key.
    pub(super) fn get<T: DeserializeOwned>(&self, table: Table, key: &[u8]) -> Stored<Option<T>> {
        let blinded = self.blind(table, key);
        match self.sealed(table, &blinded)? {
            Some(row) => self.unseal(table, &blinded, &row).map(Some),
            None => Ok(None),
        }
    }

    fn sealed(&self, table: Table, blinded: &[u8; 32]) -> Stored<Option<Vec<u8>>> {
        let sql = format!("SELECT row FROM {} WHERE key = ?1", table.0);
        Ok(self.connection.prepare_cached(&sql)?.query_row(params![blinded], |row| row.get(0)).optional()?)
    }

    /// Whether there was one.
    pub(super) fn delete(&self, table: Table, key: &[u8]) -> Stored<bool> {
        let sql = format!("DELETE FROM {} WHERE key = ?1", table.0);
        Ok(self.connection.prepare_cached(&sql)?.execute(params![self.blind(table, key)])? > 0)
    }

    /// All rows, in the order in which they came.
    pub(super) fn all<T: DeserializeOwned>(&self, table: Table) -> Stored<Vec<T>> {
        self.some(table, u32::MAX)
    }

    /// The oldest `limit` rows.
    pub(super) fn some<T: DeserializeOwned>(&self, table: Table, limit: u32) -> Stored<Vec<T>> {
        let sql = format!("SELECT key, row FROM {} ORDER BY id LIMIT ?1", table.0);
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params![limit])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let (key, sealed): ([u8; 32], Vec<u8>) = (row.get(0)?, row.get(1)?);
            found.push(self.unseal(table, &key, &sealed)?);
        }
        Ok(found)
    }

    pub(super) fn put_secret<S: Keep>(&self, table: Table, key: &[u8], secret: &S) -> Stored<()> {
        let blinded = self.blind(table, key);
        let sealed = self.vault.seal_secret(table.0, &blinded, secret, &mut **self.dice());
        self.put_sealed(table, &blinded, &sealed)
    }

    pub(super) fn get_secret<S: Keep>(&self, table: Table, key: &[u8]) -> Stored<Option<S>> {
        let blinded = self.blind(table, key);
        match self.sealed(table, &blinded)? {
            Some(row) => self.vault.open_secret(table.0, &blinded, &row).map(Some).map_err(|_| StoreError::Sealed),
            None => Ok(None),
        }
    }
}
