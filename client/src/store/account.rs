//! One's own account: keys, receipt, prekeys and what guards them.

use sealpost_crypto::identity::{AccountSecret, DeviceSecret, PrekeySecret};
use sealpost_spec::account::{AccountKey, Device, Name, PrekeyId, PrekeyRole};
use sealpost_spec::mailbox::{DeliveryToken, StoreId};
use sealpost_spec::relay::{Address, NoticeId};
use sealpost_spec::wire::{Bytes, Signature, Signed};
use serde::{Deserialize, Serialize};

use super::rows::{Rows, Stored, Table};

const SETTING: Table = Table("setting");
const SECRET: Table = Table("secret");
const PREKEY: Table = Table("prekey");
const REPLAY: Table = Table("replay");
/// No table of its own: a word that keeps the tokens of programs apart from the keys of rows.
const BOT: Table = Table("bot");

/// The account and what its relay is known to have of it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Own {
    pub(crate) name: Name,
    /// The relay's address as text.
    pub(crate) relay: String,
    pub(crate) account: AccountKey,
    pub(crate) device: Device,
    /// The account's device list.
    pub(crate) list: Signed,
    /// Unix milliseconds.
    pub(crate) made_at: u64,
    /// The relay's key, once a link proved it.
    pub(crate) relay_key: Option<[u8; 32]>,
    /// The relay's store that has this account.
    pub(crate) store: Option<StoreId>,
    /// The relay's word for the name.
    pub(crate) receipt: Option<Signed>,
    /// Raised and committed before each login.
    pub(crate) generation: u64,
    /// What lets contacts deliver without work.
    pub(crate) token: DeliveryToken,
    /// The relay has yet to hear of a new token.
    pub(crate) token_is_new: bool,
    /// Registration was asked for; with the invite.
    pub(crate) registering: Option<Option<String>>,
    /// Envelopes that no key opened.
    pub(crate) dropped: u64,
}

impl Own {
    /// An account that no relay knows.
    pub(super) fn unregistered(name: &Name, relay: &Address, account: AccountKey, device: Device) -> Self {
        Self {
            name: name.clone(),
            relay: relay.to_string(),
            account,
            device,
            list: Signed { body: Bytes::default(), signature: Signature([0; 64]) },
            made_at: 0,
            relay_key: None,
            store: None,
            receipt: None,
            generation: 0,
            token: DeliveryToken([0; 32]),
            token_is_new: false,
            registering: None,
            dropped: 0,
        }
    }
}

/// The account is to go, or is gone. [ACCT-20]
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Leaving {
    /// Unix milliseconds.
    pub(crate) asked_at: u64,
    /// When the relay had nothing of it any more, Unix milliseconds.
    pub(crate) done_at: Option<u64>,
}

/// The account is to be given a new device, which is its only one. [ACCT-21]
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Restoring {
    /// The highest number of a device list that is known; 0 for none.
    pub(crate) number: u64,
    /// The relay's word for the name, where a backup had it.
    pub(crate) receipt: Option<Signed>,
}

/// What one wants others to learn; nothing, unless one says otherwise.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Choices {
    pub(crate) read_receipts: bool,
    pub(crate) typing: bool,
}

/// Which prekeys there are, without the keys.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Prekeys {
    /// The last id of each role, in order of their numbers: ids never repeat.
    pub(crate) last: [u32; 5],
    /// Signed, last-resort KEM and box key that are given out now.
    pub(crate) current: Vec<KeyNote>,
    /// Those that were replaced.
    pub(crate) old: Vec<KeyNote>,
    /// The relay has yet to confirm the current ones.
    pub(crate) unpublished: bool,
}

/// A prekey that rotates.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct KeyNote {
    pub(crate) role: PrekeyRole,
    pub(crate) id: PrekeyId,
    /// Unix milliseconds.
    pub(crate) made_at: u64,
    /// Unix milliseconds; 0 while it is current.
    pub(crate) replaced_at: u64,
}

#[derive(Serialize, Deserialize)]
struct Replay {
    key: [u8; 32],
    until: u64,
}

fn prekey_key(role: PrekeyRole, id: PrekeyId) -> [u8; 5] {
    let [a, b, c, d] = id.0.to_le_bytes();
    [role as u8, a, b, c, d]
}

/// A program that has a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BotRow {
    pub(crate) name: String,
    pub(crate) conversations: Vec<String>,
    pub(crate) read_only: bool,
    /// Its token, as [`Rows::blinded_token`] makes it: the token itself is not kept.
    pub(crate) token: [u8; 32],
}

impl Rows {
    pub(crate) fn own(&self) -> Stored<Option<Own>> {
        self.get(SETTING, b"own")
    }
    pub(crate) fn put_own(&self, own: &Own) -> Stored<()> {
        self.put(SETTING, b"own", own)
    }
    pub(crate) fn leaving(&self) -> Stored<Option<Leaving>> {
        self.get(SETTING, b"leaving")
    }
    pub(crate) fn put_leaving(&self, leaving: Option<&Leaving>) -> Stored<()> {
        match leaving {
            Some(leaving) => self.put(SETTING, b"leaving", leaving),
            None => self.delete(SETTING, b"leaving").map(drop),
        }
    }
    pub(crate) fn restoring(&self) -> Stored<Option<Restoring>> {
        self.get(SETTING, b"restoring")
    }
    pub(crate) fn put_restoring(&self, restoring: Option<&Restoring>) -> Stored<()> {
        match restoring {
            Some(restoring) => self.put(SETTING, b"restoring", restoring),
            None => self.delete(SETTING, b"restoring").map(drop),
        }
    }
    pub(crate) fn choices(&self) -> Stored<Choices> {
        Ok(self.get(SETTING, b"choices")?.unwrap_or_default())
    }
    pub(crate) fn put_choices(&self, choices: &Choices) -> Stored<()> {
        self.put(SETTING, b"choices", choices)
    }
    /// The operator's notice that was shown last.
    pub(crate) fn notice(&self) -> Stored<Option<NoticeId>> {
        self.get(SETTING, b"notice")
    }
    pub(crate) fn put_notice(&self, notice: NoticeId) -> Stored<()> {
        self.put(SETTING, b"notice", &notice)
    }
    /// The programs that have a token.
    pub(crate) fn bots(&self) -> Stored<Vec<BotRow>> {
        Ok(self.get(SETTING, b"bots")?.unwrap_or_default())
    }
    pub(crate) fn put_bots(&self, bots: &[BotRow]) -> Stored<()> {
        self.put(SETTING, b"bots", &bots)
    }
    /// What is kept of a program's token.
    pub(crate) fn blinded_token(&self, token: &str) -> [u8; 32] {
        self.blind(BOT, token.as_bytes())
    }
    pub(crate) fn prekeys(&self) -> Stored<Prekeys> {
        Ok(self.get(SETTING, b"prekeys")?.unwrap_or_default())
    }
    pub(crate) fn put_prekeys(&self, prekeys: &Prekeys) -> Stored<()> {
        self.put(SETTING, b"prekeys", prekeys)
    }
    /// Whether the relay may have one-time keys that another copy of this profile has published.
    pub(crate) fn restocks(&self) -> Stored<bool> {
        Ok(self.get(SETTING, b"restock")?.unwrap_or_default())
    }
    pub(crate) fn put_restocks(&self, restocks: bool) -> Stored<()> {
        self.put(SETTING, b"restock", &restocks)
    }
    pub(crate) fn account_secret(&self) -> Stored<Option<AccountSecret>> {
        self.get_secret(SECRET, b"account")
    }
    pub(super) fn put_account_secret(&self, secret: &AccountSecret) -> Stored<()> {
        self.put_secret(SECRET, b"account", secret)
    }
    pub(crate) fn device_secret(&self) -> Stored<Option<DeviceSecret>> {
        self.get_secret(SECRET, b"device")
    }
    pub(super) fn put_device_secret(&self, secret: &DeviceSecret) -> Stored<()> {
        self.put_secret(SECRET, b"device", secret)
    }
    pub(crate) fn prekey(&self, role: PrekeyRole, id: PrekeyId) -> Stored<Option<PrekeySecret>> {
        self.get_secret(PREKEY, &prekey_key(role, id))
    }
    pub(crate) fn put_prekey(&self, secret: &PrekeySecret) -> Stored<()> {
        self.put_secret(PREKEY, &prekey_key(secret.role(), secret.id()), secret)
    }
    pub(crate) fn delete_prekey(&self, role: PrekeyRole, id: PrekeyId) -> Stored<bool> {
        self.delete(PREKEY, &prekey_key(role, id))
    }

    /// Whether a first message with this replay key was accepted before.
    pub(crate) fn is_replay(&self, key: &[u8; 32]) -> Stored<bool> {
        Ok(self.get::<Replay>(REPLAY, key)?.is_some())
    }
    /// Remembers an accepted first message for as long as the keys that it named may live.
    pub(crate) fn put_replay(&self, key: &[u8; 32], until: u64) -> Stored<()> {
        self.put(REPLAY, key, &Replay { key: *key, until })
    }
    /// Forgets first messages whose keys are gone.
    pub(crate) fn prune_replays(&self, now: u64) -> Stored<()> {
        for replay in self.all::<Replay>(REPLAY)? {
            if replay.until < now {
                self.delete(REPLAY, &replay.key)?;
            }
        }
        Ok(())
    }
}
