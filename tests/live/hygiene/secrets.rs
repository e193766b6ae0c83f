//! What a profile keeps to itself, taken out of it with its passphrase; and where any of that lies.

use std::collections::{BTreeSet, HashSet};

use sealpost_crypto::identity::{DeviceSecret, PrekeySecret, mailbox};
use sealpost_crypto::session::{Party, Session};
use sealpost_crypto::vault::Vault;
use sealpost_spec::account::DeviceId;
use sealpost_spec::message::PqxdhPart;
use sealpost_tests::inspect::Needles;
use sealpost_tests::processes::Person;

use crate::targets::key::Keys;

/// Bytes of a piece. Whatever of a secret lies somewhere in one part of 32 bytes has a whole piece in it.
const PIECE: usize = 16;

/// Fewer different bytes than this are a number or padding: random ones hardly ever have so few.
const DIFFERENT: usize = 9;

/// What is looked for: each with what to call it.
#[derive(Default)]
pub(super) struct Wanted(Vec<(String, Vec<u8>)>);

impl Wanted {
    /// Also this.
    pub(super) fn and(mut self, what: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.0.push((what.to_owned(), bytes.as_ref().to_vec()));
        self
    }

    /// Also everything of these people's profiles that nobody else may have: passphrases, keys, sessions.
    pub(super) fn and_secrets_of(mut self, people: &[&Person]) -> Self {
        // A session has its peer's prekey in it, which the relay hands out.
        let published: Vec<Vec<u8>> = people.iter().flat_map(|person| published_by(person)).collect();
        let public: HashSet<&[u8]> = published.iter().flat_map(|body| body.windows(PIECE)).collect();
        for person in people {
            let of = |what: &str| format!("{what} of {}", person.name);
            let (passphrase, keys) = (passphrase_of(person), keys_of(person));
            self = self.and(&of("the passphrase"), passphrase);
            for (what, key) in [
                ("the wrapping key", &keys.wrapping),
                ("the storage key", &keys.storage),
                ("the key of rows", &keys.rows),
                ("the blinding key", &keys.blind),
            ] {
                self = self.and(&of(what), key);
            }
            let mut tables = BTreeSet::new();
            for (table, number, secret) in secrets(person) {
                for (at, piece) in secret.chunks_exact(PIECE).enumerate() {
                    let random = piece.iter().collect::<BTreeSet<_>>().len() >= DIFFERENT;
                    if random && !public.contains(piece) {
                        self = self.and(&of(&format!("{table} {number} from byte {}", at * PIECE)), piece);
                    }
                }
                tables.insert(table);
            }
            assert!(tables.contains("secret") && tables.contains("prekey"), "{tables:?}");
        }
        self
    }

    /// What of it is in these bytes, in whatever way it is written, and where.
    pub(super) fn within(&self, bytes: &[u8]) -> Vec<String> {
        let needles = Needles::new(self.0.iter().map(|(_, bytes)| bytes.as_slice()));
        let found = needles.in_bytes(bytes).into_iter();
        found.map(|(number, form, at)| format!("{} {form} at {at}", self.0[number].0)).collect()
    }
}

/// The mailbox of somebody's device.
pub(super) fn mailbox_of(person: &Person) -> Vec<u8> {
    let vault = vault_of(person);
    let device = rows(person)
        .into_iter()
        .find_map(|row| vault.open_secret::<DeviceSecret>(&row.table, &row.key, &row.sealed).ok());
    mailbox(&device.expect("a device has a key").public(DeviceId::FIRST).key).0.to_vec()
}

fn passphrase_of(person: &Person) -> String {
    std::fs::read_to_string(&person.passphrase).unwrap().trim_end().to_owned()
}

fn header_of(person: &Person) -> Vec<u8> {
    std::fs::read(person.home.join("default").join("vault")).unwrap()
}

fn vault_of(person: &Person) -> Vault {
    let vault = Vault::unlock(&header_of(person), passphrase_of(person).as_bytes());
    vault.unwrap_or_else(|_| panic!("the passphrase of {}", person.name))
}

fn keys_of(person: &Person) -> Keys {
    Keys::of(passphrase_of(person).as_bytes(), &header_of(person)).expect("the passphrase opens the profile")
}

/// A row as it lies in the profile.
struct Row {
    table: String,
    number: i64,
    key: [u8; 32],
    sealed: Vec<u8>,
}

/// Every row of a profile, which somebody may hold.
fn rows(person: &Person) -> Vec<Row> {
    let (profile, copy) = (person.home.join("default"), tempfile::tempdir().unwrap());
    for name in ["profile.db", "profile.db-wal"] {
        // There is no log beside a database that was closed.
        let _ = std::fs::copy(profile.join(name), copy.path().join(name));
    }
    let database = rusqlite::Connection::open(copy.path().join("profile.db")).unwrap();
    let names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%row BLOB%'";
    let tables: Vec<String> =
        database.prepare(names).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut rows = Vec::new();
    for table in tables {
        let mut statement = database.prepare(&format!("SELECT id, key, row FROM \"{table}\"")).unwrap();
        let read = statement.query_map([], |row| {
            Ok(Row { table: table.clone(), number: row.get(0)?, key: row.get(1)?, sealed: row.get(2)? })
        });
        rows.extend(read.unwrap().map(Result::unwrap));
    }
    rows
}

/// What somebody has published of their prekeys.
fn published_by(person: &Person) -> Vec<Vec<u8>> {
    let vault = vault_of(person);
    let prekey = |row: Row| vault.open_secret::<PrekeySecret>(&row.table, &row.key, &row.sealed).ok();
    rows(person).into_iter().filter_map(prekey).map(|prekey| prekey.signed().body.0.clone()).collect()
}

/// Table, number and bytes of every secret in a profile, as far as they are secret.
fn secrets(person: &Person) -> Vec<(String, i64, Vec<u8>)> {
    let (vault, keys) = (vault_of(person), keys_of(person));
    let secret = |Row { table, number, key, sealed }: Row| {
        let mut secret = keys.secret_in(&table, &key, &sealed)?;
        if let Ok(session) = vault.open_secret::<Session>(&table, &key, &sealed) {
            secret.drain(..public_part(&session));
        }
        if let Ok(prekey) = vault.open_secret::<PrekeySecret>(&table, &key, &sealed) {
            // Behind it stands what was published: the signature, and what is signed.
            secret.truncate(secret.len() - 64 - prekey.signed().body.0.len());
        }
        Some((table, number, secret))
    };
    rows(person).into_iter().filter_map(secret).collect()
}

/// Bytes of a session that stand before its secrets: its flags, whose it is, how it began, and what both sides authenticate.
fn public_part(session: &Session) -> usize {
    let party = |party: &Party| 1 + party.name.as_str().len() + 32 + party.device.layout().len();
    3 + party(session.own()) + party(session.peer()) + PqxdhPart::LENGTH + 32
}
