//! A backup of a profile, altered by somebody without its passphrase, or made up by somebody who has it. It becomes a whole profile
//! that opens and can be used, or none at all.

use std::path::Path;
use std::sync::OnceLock;

use sealpost_client::api::{Command, Error};
use sealpost_client::engine::{CommandId, Engine};
use sealpost_client::store::{Profile, write_backup};
use sealpost_crypto::vault::{Cost, HEADER, Vault};

use super::people::{NOW, dice};
use super::script::Script;

const PASSPHRASE: &[u8] = b"correct horse battery staple";
const TABLE: &str = "backup";
const MAGIC: usize = 8;
const LAST: u32 = 1 << 31;
/// Records that are made up at most.
const RECORDS: usize = 24;

/// A backup, and what is in it.
struct Genuine {
    file: Vec<u8>,
    vault: Vault,
    /// The frame with the account's key.
    account: Vec<u8>,
    records: Vec<Vec<u8>>,
    words: String,
}

fn genuine() -> &'static Genuine {
    static GENUINE: OnceLock<Genuine> = OnceLock::new();
    GENUINE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("alice");
        let relay = format!("sealpost://127.0.0.1:1/{}", "a".repeat(52)).parse().unwrap();
        let name = "alice".parse().unwrap();
        let profile = Profile::create(&dir, PASSPHRASE, Cost::FLOOR, &name, &relay, &mut dice(1), NOW).unwrap();
        let words = profile.words().unwrap().to_string();
        used(profile);
        let mut file = Vec::new();
        write_backup(&dir, PASSPHRASE, Cost::FLOOR, &mut file, &mut dice(2), NOW, &mut |_| {}).unwrap();
        let vault = Vault::unlock(&file[MAGIC..MAGIC + HEADER], PASSPHRASE).unwrap();
        let mut frames = frames(&file[MAGIC + HEADER..]);
        let account = frames.remove(0).1;
        let records = (1..).zip(&frames).flat_map(|(number, (last, frame))| {
            split(&vault.open(TABLE, &place(&vault, number, *last), frame).unwrap())
        });
        let records = records.collect();
        Genuine { vault, account, records, words, file }
    })
}

/// Whether each is the last, and its sealed bytes.
fn frames(mut bytes: &[u8]) -> Vec<(bool, Vec<u8>)> {
    let mut frames = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length);
        let (frame, rest) = rest.split_at((length & !LAST) as usize);
        frames.push((length & LAST != 0, frame.to_vec()));
        bytes = rest;
    }
    frames
}

fn split(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let (record, rest) = rest.split_at(u32::from_le_bytes(*length) as usize);
        records.push(record.to_vec());
        bytes = rest;
    }
    records
}

fn place(vault: &Vault, number: u64, last: bool) -> [u8; 32] {
    vault.blind(TABLE, &[&number.to_le_bytes()[..], &[u8::from(last)]].concat())
}

pub fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let genuine = genuine();
    let head = &genuine.file[..MAGIC + HEADER];
    let (file, altered) = match script.byte() % 4 {
        0 => ([head, script.rest()].concat(), true),
        1 => {
            let bent = script.bent(&genuine.file[MAGIC + HEADER..]);
            let same = bent == genuine.file[MAGIC + HEADER..];
            ([head, &bent].concat(), !same)
        }
        _ => ([head, &made_up(&mut script)].concat(), false),
    };
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("restored");
    let restored = restore(&dir, &file);
    match restored {
        Ok(profile) => {
            assert!(!altered, "an altered backup is restored");
            assert_eq!(*profile.words().unwrap(), genuine.words);
            used(profile);
            let again = Profile::open(&dir, PASSPHRASE, &mut dice(4)).map_err(|error| error.message);
            used(again.expect("what was restored opens"));
        }
        Err(error) => {
            assert!(!error.message.is_empty() && !Profile::exists(&dir), "{error:?} leaves a profile");
        }
    }
}

fn restore(dir: &Path, mut file: &[u8]) -> Result<Profile, Error> {
    Profile::restore(dir, PASSPHRASE, Cost::FLOOR, &mut file, &mut dice(3), NOW, &mut |_| {})
}

/// Frames as only somebody with the passphrase seals them, with records that nobody wrote.
fn made_up(script: &mut Script<'_>) -> Vec<u8> {
    let genuine = genuine();
    let mut bytes = (genuine.account.len() as u32).to_le_bytes().to_vec();
    bytes.extend(&genuine.account);
    let mut records = Vec::new();
    for number in 0..RECORDS {
        if script.is_empty() {
            break;
        }
        let known = &genuine.records[if number == 0 { 0 } else { script.below(genuine.records.len()) }];
        let record = match script.below(4) {
            0 => known.clone(),
            1 => script.bent(known),
            _ => script.some().to_vec(),
        };
        records.extend((record.len() as u32).to_le_bytes());
        records.extend(record);
    }
    let sealed = genuine.vault.seal(TABLE, &place(&genuine.vault, 1, true), &records, &mut dice(5));
    bytes.extend((sealed.len() as u32 | LAST).to_le_bytes());
    bytes.extend(sealed);
    bytes
}

/// Asks for all that is in it: whatever that is, it is told, or refused in words.
fn used(profile: Profile) {
    let Ok(mut engine) = Engine::new(profile, Box::new(dice(6))) else { return };
    let history = |with: &str| Command::History { with: with.to_owned(), limit: None, before: None };
    let commands = [
        Command::Me,
        Command::Status,
        Command::Contacts,
        Command::Conversations,
        Command::Rooms,
        Command::Files,
        history("bob"),
        history("#lobby"),
        Command::Recv { from: None, limit: None, follow: false, timeout_ms: 0 },
    ];
    for (number, command) in (1..).zip(commands) {
        engine.command(NOW, CommandId(number), command);
    }
    for now in [NOW, NOW + 40 * 24 * 60 * 60 * 1000] {
        engine.handle_timeout(now);
        while engine.poll_event().is_some() {}
        while engine.poll_transmit().is_some() {}
    }
}
