//! What one has written and nobody has confirmed: contents, and the parcels that carry them to each device.

use rusqlite::{OptionalExtension as _, params};
use sealpost_spec::account::{AccountKey, Device, DeviceId, Name};
use sealpost_spec::mailbox::EnvelopeId;
use sealpost_spec::message::{Content, ContentId};
use sealpost_spec::wire::Bytes;
use serde::{Deserialize, Serialize};

use super::people::PeerId;
use super::rows::{Rows, Stored, Table};

const CONTENT: Table = Table("content");
const BODY: Table = Table("content body");
const PARCEL: Table = Table("parcel");
const MESSAGE: Table = Table("parcel message");
const SEALED: Table = Table("parcel sealed");
const LATE: Table = Table("late");

/// A content on its way, without what it says.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Pending {
    pub(crate) id: ContentId,
    pub(crate) to: Name,
    /// The key it was written for: it is never encrypted for another one. `None` until the first key was seen.
    pub(crate) account: Option<AccountKey>,
    pub(crate) number: u64,
    /// Unix milliseconds.
    pub(crate) queued_at: u64,
    /// It was encrypted for each device, once.
    pub(crate) encrypted: bool,
    /// A device has confirmed it.
    pub(crate) delivered: bool,
}

/// For which devices a content is still to be encrypted: they had no keys when it was for the others. **[ACCT-29]**
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Late {
    pub(crate) id: ContentId,
    pub(crate) peers: Vec<PeerId>,
}

/// An envelope on its way to one device.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Parcel {
    /// Rising: the order in which parcels were made.
    pub(crate) order: u64,
    pub(crate) envelope: EnvelopeId,
    /// What it carries; `None` for receipts and requests, which are not kept once the relay has them.
    pub(crate) content: Option<ContentId>,
    pub(crate) number: u64,
    pub(crate) to: Name,
    pub(crate) account: AccountKey,
    pub(crate) device: Device,
    /// The session it was encrypted in.
    pub(crate) session: [u8; 32],
    /// The box key it is sealed to now.
    pub(crate) box_key: u32,
    /// When the relay accepted it last, Unix milliseconds.
    pub(crate) accepted_at: Option<u64>,
    /// When it is sent again, Unix milliseconds.
    pub(crate) again_at: u64,
    /// The pause after which it is sent again, in milliseconds.
    pub(crate) pause: u64,
}

impl Parcel {
    /// The device it goes to.
    pub(crate) fn peer(&self) -> (AccountKey, DeviceId) {
        (self.account, self.device.id)
    }
}

impl Rows {
    pub(crate) fn pendings(&self) -> Stored<Vec<Pending>> {
        self.all(CONTENT)
    }

    /// Queues a content.
    pub(crate) fn add_content(&self, pending: &Pending, content: &Content) -> Stored<()> {
        let key = self.blind(CONTENT, &pending.id.0);
        self.connection()
            .prepare_cached("INSERT INTO content (key, row, content) VALUES (?1, ?2, ?3)")?
            .execute(params![key, self.seal(CONTENT, &key, pending)?, self.seal(BODY, &key, content)?])?;
        Ok(())
    }

    /// Stores a content that has changed, with its row.
    pub(crate) fn put_content(&self, pending: &Pending, content: &Content) -> Stored<()> {
        let key = self.blind(CONTENT, &pending.id.0);
        self.connection()
            .prepare_cached("UPDATE content SET row = ?2, content = ?3 WHERE key = ?1")?
            .execute(params![key, self.seal(CONTENT, &key, pending)?, self.seal(BODY, &key, content)?])?;
        Ok(())
    }

    pub(crate) fn put_pending(&self, pending: &Pending) -> Stored<()> {
        let key = self.blind(CONTENT, &pending.id.0);
        self.connection()
            .prepare_cached("UPDATE content SET row = ?2 WHERE key = ?1")?
            .execute(params![key, self.seal(CONTENT, &key, pending)?])?;
        Ok(())
    }

    pub(crate) fn content(&self, id: &ContentId) -> Stored<Option<Content>> {
        let key = self.blind(CONTENT, &id.0);
        let row: Option<Vec<u8>> = self
            .connection()
            .prepare_cached("SELECT content FROM content WHERE key = ?1")?
            .query_row(params![key], |row| row.get(0))
            .optional()?;
        row.map(|row| self.unseal(BODY, &key, &row)).transpose()
    }

    pub(crate) fn delete_content(&self, id: &ContentId) -> Stored<bool> {
        self.delete(CONTENT, &id.0)
    }

    pub(crate) fn lates(&self) -> Stored<Vec<Late>> {
        self.all(LATE)
    }

    pub(crate) fn put_late(&self, late: &Late) -> Stored<()> {
        self.put(LATE, &late.id.0, late)
    }

    pub(crate) fn delete_late(&self, id: &ContentId) -> Stored<bool> {
        self.delete(LATE, &id.0)
    }

    pub(crate) fn parcels(&self) -> Stored<Vec<Parcel>> {
        self.all(PARCEL)
    }

    /// Stores an envelope that is to be delivered: the session message and the box around it.
    pub(crate) fn add_parcel(&self, parcel: &Parcel, message: &[u8], sealed: &[u8]) -> Stored<()> {
        self.watched(message);
        let key = self.blind(PARCEL, &parcel.envelope.0);
        let message = self.seal(MESSAGE, &key, &Bytes(message.to_vec()))?;
        let sealed = self.seal(SEALED, &key, &Bytes(sealed.to_vec()))?;
        self.connection()
            .prepare_cached("INSERT INTO parcel (key, row, message, sealed) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![key, self.seal(PARCEL, &key, parcel)?, message, sealed])?;
        Ok(())
    }

    pub(crate) fn put_parcel(&self, parcel: &Parcel) -> Stored<()> {
        let key = self.blind(PARCEL, &parcel.envelope.0);
        self.connection()
            .prepare_cached("UPDATE parcel SET row = ?2 WHERE key = ?1")?
            .execute(params![key, self.seal(PARCEL, &key, parcel)?])?;
        Ok(())
    }

    /// Replaces the box around the same session message.
    pub(crate) fn put_box(&self, envelope: &EnvelopeId, sealed: &[u8]) -> Stored<()> {
        let key = self.blind(PARCEL, &envelope.0);
        self.connection()
            .prepare_cached("UPDATE parcel SET sealed = ?2 WHERE key = ?1")?
            .execute(params![key, self.seal(SEALED, &key, &Bytes(sealed.to_vec()))?])?;
        Ok(())
    }

    pub(crate) fn sealed_box(&self, envelope: &EnvelopeId) -> Stored<Option<Bytes>> {
        self.parcel_column(envelope, "sealed", SEALED)
    }

    pub(crate) fn session_message(&self, envelope: &EnvelopeId) -> Stored<Option<Bytes>> {
        self.parcel_column(envelope, "message", MESSAGE)
    }

    fn parcel_column(&self, envelope: &EnvelopeId, column: &str, table: Table) -> Stored<Option<Bytes>> {
        let key = self.blind(PARCEL, &envelope.0);
        let row: Option<Vec<u8>> = self
            .connection()
            .prepare_cached(&format!("SELECT {column} FROM parcel WHERE key = ?1"))?
            .query_row(params![key], |row| row.get(0))
            .optional()?;
        row.map(|row| self.unseal(table, &key, &row)).transpose()
    }

    pub(crate) fn delete_parcel(&self, envelope: &EnvelopeId) -> Stored<bool> {
        self.delete(PARCEL, &envelope.0)
    }
}
