//! Contacts, their devices, the sessions with these, and which envelopes have come.

use std::collections::BTreeSet;

use sealpost_crypto::session::{Session, SessionId};
use sealpost_spec::account::{AccountKey, Device, DeviceId, Fingerprint, Name};
use sealpost_spec::mailbox::{DeliveryToken, EnvelopeId};
use sealpost_spec::message::ContentId;
use sealpost_spec::room::RoomName;
use sealpost_spec::wire::Signed;
use serde::{Deserialize, Serialize};

use super::rows::{Rows, Stored, Table};

const CONTACT: Table = Table("contact");
const PEER: Table = Table("peer");
const SESSION: Table = Table("session");
const ENVELOPE: Table = Table("envelope");
const READING: Table = Table("reading");
const ACQUAINTANCE: Table = Table("acquaintance");
const PERSONA: Table = Table("persona");

/// A person, as far as one knows them.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Contact {
    pub(crate) name: Name,
    /// The pinned key; `None` until it was first seen.
    pub(crate) account: Option<AccountKey>,
    /// From a link, perhaps before the key was seen.
    pub(crate) pinned: Option<Fingerprint>,
    /// Compared in person, or taken from a link.
    pub(crate) verified: bool,
    /// The newest device list of the pinned key.
    pub(crate) list: Option<Signed>,
    /// Its number; 0 for none.
    pub(crate) number: u64,
    /// A list that contradicts what is pinned: sending stops until `trust`.
    pub(crate) changed: Option<Signed>,
    pub(crate) blocked: bool,
    /// One has written to them, added or verified them.
    pub(crate) accepted: bool,
    /// Lets one deliver to them without work.
    pub(crate) token: Option<DeliveryToken>,
    /// The number of the last content sent to them.
    pub(crate) last_number: u64,
    /// Raised by each `trust`: older conversations are archived under the name, a tilde and their number.
    pub(crate) era: u32,
    /// Messages that `recv` has not given.
    pub(crate) unread: u32,
    /// Seconds after which what one sends them is deleted.
    pub(crate) expire_after: Option<u32>,
    /// When their prekeys were last asked for, Unix milliseconds.
    pub(crate) fetched_at: u64,
}

impl Contact {
    pub(crate) fn new(name: Name) -> Self {
        Self {
            name,
            account: None,
            pinned: None,
            verified: false,
            list: None,
            number: 0,
            changed: None,
            blocked: false,
            accepted: false,
            token: None,
            last_number: 0,
            era: 0,
            unread: 0,
            expire_after: None,
            fetched_at: 0,
        }
    }
}

/// Names a device of somebody else: its account key, so that a changed key is another device, and its id.
pub(crate) type PeerId = (AccountKey, DeviceId);

/// A device of somebody else.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Peer {
    pub(crate) name: Name,
    pub(crate) account: AccountKey,
    pub(crate) device: Device,
    /// The box key that envelopes to it are sealed to, and when its bundle was fetched.
    pub(crate) box_key: Option<Signed>,
    /// The highest signed prekey id seen: it never falls.
    pub(crate) signed_prekey: u32,
    /// At most [`crate::engine::MAX_SESSIONS`], oldest first.
    pub(crate) sessions: Vec<SessionNote>,
    /// When the newest content that was decrypted was sent, Unix milliseconds: by the sender's clock, and not after
    /// one's own.
    pub(crate) newest: u64,
    /// Which numbers came, as ranges with both ends, rising and apart.
    pub(crate) ranges: Vec<(u64, u64)>,
    /// Numbers that the next receipt confirms.
    pub(crate) unreceipted: Vec<u64>,
    /// Messages that wait for one with a lower number.
    pub(crate) held: Vec<Held>,
    /// Envelopes to ask for again.
    pub(crate) unreadable: Vec<EnvelopeId>,
    /// When a session was last started because of them, Unix milliseconds.
    pub(crate) repaired_at: u64,
}

/// What is known of a session without opening it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionNote {
    pub(crate) id: [u8; 32],
    /// Started on this side.
    pub(crate) ours: bool,
    /// The other side is known to have it.
    pub(crate) confirmed: bool,
    /// Since when it only receives, Unix milliseconds.
    pub(crate) retired_at: Option<u64>,
}

/// A message that is stored and not yet shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) number: u64,
    pub(crate) id: ContentId,
    /// When it came, Unix milliseconds.
    pub(crate) since: u64,
}

/// An envelope that was read, or given up.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Come {
    pub(crate) id: EnvelopeId,
    /// Whose, and the content's number; `None` where it was not to be read.
    pub(crate) stored: Option<(AccountKey, DeviceId, u64)>,
    /// Unix milliseconds.
    pub(crate) at: u64,
}

/// What was read of a device and is not told to it yet.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Reading {
    pub(crate) peer: PeerId,
    pub(crate) numbers: Vec<u64>,
}

/// What one has noted of somebody.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Acquaintance {
    pub(crate) name: Name,
    /// Whose label and times these are; `None` until their key was seen.
    pub(crate) account: Option<AccountKey>,
    /// One's own label for them; empty for none.
    pub(crate) label: String,
    /// When their key was first seen, Unix milliseconds; 0 where nobody noted it.
    pub(crate) seen_at: u64,
    pub(crate) verified: bool,
    /// Since when, Unix milliseconds; 0 where nobody noted it.
    pub(crate) verified_at: u64,
}

impl Acquaintance {
    pub(crate) fn new(name: Name) -> Self {
        Self { name, account: None, label: String::new(), seen_at: 0, verified: false, verified_at: 0 }
    }
}

/// What an account says of itself in rooms.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Persona {
    pub(crate) account: AccountKey,
    /// A display name, and when it was said by its author's clock; empty for none.
    pub(crate) display: (u64, String),
    /// Why they are away, and when that was said; empty: they are not.
    pub(crate) away: (u64, String),
    /// Rooms in which they were seen, and which they have not left.
    pub(crate) rooms: BTreeSet<RoomName>,
}

impl Persona {
    pub(crate) fn new(account: AccountKey) -> Self {
        Self { account, display: (0, String::new()), away: (0, String::new()), rooms: BTreeSet::new() }
    }
}

fn peer_key((account, device): &PeerId) -> Vec<u8> {
    [&account.0[..], &device.0.to_le_bytes()].concat()
}

impl Rows {
    pub(crate) fn contacts(&self) -> Stored<Vec<Contact>> {
        self.all(CONTACT)
    }
    pub(crate) fn put_contact(&self, contact: &Contact) -> Stored<()> {
        self.put(CONTACT, contact.name.as_str().as_bytes(), contact)
    }
    pub(crate) fn delete_contact(&self, name: &Name) -> Stored<bool> {
        self.delete(CONTACT, name.as_str().as_bytes())
    }
    pub(crate) fn acquaintances(&self) -> Stored<Vec<Acquaintance>> {
        self.all(ACQUAINTANCE)
    }
    pub(crate) fn put_acquaintance(&self, known: &Acquaintance) -> Stored<()> {
        self.put(ACQUAINTANCE, known.name.as_str().as_bytes(), known)
    }
    pub(crate) fn personas(&self) -> Stored<Vec<Persona>> {
        self.all(PERSONA)
    }
    pub(crate) fn put_persona(&self, persona: &Persona) -> Stored<()> {
        self.put(PERSONA, &persona.account.0, persona)
    }
    pub(crate) fn peers(&self) -> Stored<Vec<Peer>> {
        self.all(PEER)
    }
    pub(crate) fn put_peer(&self, peer: &Peer) -> Stored<()> {
        self.put(PEER, &peer_key(&(peer.account, peer.device.id)), peer)
    }
    pub(crate) fn delete_peer(&self, id: &PeerId) -> Stored<bool> {
        self.delete(PEER, &peer_key(id))
    }
    pub(crate) fn readings(&self) -> Stored<Vec<Reading>> {
        self.all(READING)
    }
    pub(crate) fn put_reading(&self, reading: &Reading) -> Stored<()> {
        self.put(READING, &peer_key(&reading.peer), reading)
    }
    pub(crate) fn delete_reading(&self, peer: &PeerId) -> Stored<bool> {
        self.delete(READING, &peer_key(peer))
    }
    pub(crate) fn session(&self, id: &[u8; 32]) -> Stored<Option<Session>> {
        self.get_secret(SESSION, id)
    }
    pub(crate) fn put_session(&self, session: &Session) -> Stored<()> {
        let SessionId(id) = session.id();
        self.put_secret(SESSION, &id, session)
    }
    pub(crate) fn delete_session(&self, id: &[u8; 32]) -> Stored<bool> {
        self.delete(SESSION, id)
    }
    pub(crate) fn come(&self, id: &EnvelopeId) -> Stored<Option<Come>> {
        self.get(ENVELOPE, &id.0)
    }
    pub(crate) fn put_come(&self, come: &Come) -> Stored<()> {
        self.put(ENVELOPE, &come.id.0, come)
    }
    /// Forgets envelopes that came before `before` and that nobody sends any more.
    pub(crate) fn prune_come(&self, before: u64) -> Stored<()> {
        loop {
            let oldest: Vec<Come> = self.some(ENVELOPE, 256)?;
            let mut kept = oldest.is_empty();
            for come in oldest {
                if come.at >= before {
                    kept = true;
                    break;
                }
                self.delete(ENVELOPE, &come.id.0)?;
            }
            if kept {
                return Ok(());
            }
        }
    }
}
