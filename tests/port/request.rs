//! What may be asked. `README.md` has the same as tables.

use serde::Deserialize;

use super::field::{Fixed, Hex, Id, Label, Message, Random, Role, Row, SignedField, Text};

#[derive(Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Request {
    Person(Person),
    Prekey(Prekey),
    Bundle(Bundle),
    Initiate(Box<Initiate>),
    Accept(Accept),
    Encrypt(Encrypt),
    Decrypt(Decrypt),
    Retire(Kept),
    Copy(Kept),
    Expire(Expire),
    State(OfSession),
    Restore(Restore),
    Session(OfSession),
    Message(OfMessage),
    Seal(Seal),
    Open(Open),
    SafetyNumber(SafetyNumber),
    VaultCreate(VaultCreate),
    VaultUnlock(VaultUnlock),
    VaultRewrap(VaultRewrap),
    VaultBlind(VaultBlind),
    VaultSeal(VaultSeal),
    VaultOpen(VaultOpen),
    Forget(Forget),
}

/// A person with one device.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Person {
    pub(super) r#as: Label,
    /// The account's name; what the caller calls the person, where it is left out.
    pub(super) name: Option<Text<64>>,
    /// Number of the device list.
    pub(super) number: Option<u64>,
    pub(super) device: Option<Id>,
    pub(super) random: Random,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Prekey {
    pub(super) person: Label,
    pub(super) role: Role,
    pub(super) id: Id,
    pub(super) made_at: u64,
    pub(super) random: Random,
}

/// Which of a person's prekeys a relay would serve.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Bundle {
    pub(super) person: Label,
    pub(super) keys: Named,
    pub(super) box_key: Id,
}

/// Prekeys by their ids.
#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Named {
    pub(super) signed: Id,
    pub(super) one_time: Option<Id>,
    pub(super) kem_role: Role,
    pub(super) kem: Id,
}

/// A device by its account's signed list.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Listed {
    pub(super) list: SignedField,
    pub(super) device: Id,
}

/// Anybody's prekeys as a relay serves them; what `bundle` answers.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Served {
    pub(super) list: SignedField,
    pub(super) device: Id,
    pub(super) signed: SignedField,
    pub(super) one_time: Option<SignedField>,
    pub(super) kem: SignedField,
    pub(super) box_key: SignedField,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Initiate {
    pub(super) person: Label,
    pub(super) bundle: Served,
    pub(super) r#as: Label,
    pub(super) random: Random,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Accept {
    pub(super) person: Label,
    pub(super) peer: Listed,
    pub(super) message: Message,
    pub(super) r#as: Label,
    /// Other prekeys than the message names.
    pub(super) keys: Option<Named>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Encrypt {
    pub(super) session: Label,
    pub(super) plaintext: Message,
    pub(super) random: Random,
    pub(super) r#as: Option<Label>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Decrypt {
    pub(super) session: Label,
    pub(super) message: Message,
    pub(super) r#as: Option<Label>,
}

/// A session, kept under another name too.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Kept {
    pub(super) session: Label,
    pub(super) r#as: Label,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Expire {
    pub(super) session: Label,
    /// Days since 1970.
    pub(super) today: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct OfSession {
    pub(super) session: Label,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Restore {
    pub(super) state: Row,
    pub(super) r#as: Label,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct OfMessage {
    pub(super) message: Message,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Seal {
    pub(super) person: Label,
    pub(super) recipient: Listed,
    pub(super) box_key: SignedField,
    pub(super) envelope: Fixed<16>,
    pub(super) message: Message,
    pub(super) random: Random,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Open {
    pub(super) person: Label,
    pub(super) envelope: Fixed<16>,
    pub(super) sealed: Message,
    /// Another box key than the box names.
    pub(super) box_key: Option<Id>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Side {
    pub(super) name: Text<64>,
    pub(super) account: Fixed<32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct SafetyNumber {
    pub(super) one: Side,
    pub(super) other: Side,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Cost {
    pub(super) memory: u32,
    pub(super) passes: u32,
    pub(super) lanes: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct VaultCreate {
    pub(super) r#as: Label,
    pub(super) passphrase: Text<1024>,
    pub(super) cost: Cost,
    pub(super) random: Random,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct VaultUnlock {
    pub(super) r#as: Label,
    pub(super) passphrase: Text<1024>,
    pub(super) header: Hex<1024>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct VaultRewrap {
    pub(super) vault: Label,
    pub(super) passphrase: Text<1024>,
    pub(super) cost: Cost,
    pub(super) random: Random,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct VaultBlind {
    pub(super) vault: Label,
    pub(super) table: Text<64>,
    pub(super) key: Hex<1024>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct VaultSeal {
    pub(super) vault: Label,
    pub(super) table: Text<64>,
    /// As `vault-blind` answers it.
    pub(super) key: Fixed<32>,
    pub(super) row: Row,
    pub(super) random: Random,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct VaultOpen {
    pub(super) vault: Label,
    pub(super) table: Text<64>,
    pub(super) key: Fixed<32>,
    pub(super) sealed: Row,
}

/// One thing that is not needed any more; with role and id, one prekey of a person.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Forget {
    pub(super) person: Option<Label>,
    pub(super) session: Option<Label>,
    pub(super) vault: Option<Label>,
    pub(super) role: Option<Role>,
    pub(super) id: Option<Id>,
}
