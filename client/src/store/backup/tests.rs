use std::path::Path;

use sealpost_crypto::vault::Cost;
use sealpost_spec::account::{AccountKey, DeviceId, Fingerprint, Name};
use sealpost_spec::message::ContentId;
use sealpost_spec::room::PostHash;

use super::super::messages::{Line, Place};
use super::super::people::{Acquaintance, Contact};
use super::super::tests::{create, home, open};
use super::{Progress, appear, write};
use crate::api::{Error, ErrorCode, Kind, State};
use crate::store::Profile;

const BOB: AccountKey = AccountKey([7; 32]);

fn line(number: u64, state: State, from: (&str, AccountKey)) -> Line {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_le_bytes());
    Line {
        id: ContentId(id),
        conversation: "@bob".to_owned(),
        from: from.0.parse().unwrap(),
        account: from.1,
        device: DeviceId(1),
        number,
        missing: 0,
        sent_at: number,
        text: format!("line {number}"),
        kind: Kind::Text,
        target: None,
        state,
        hash: PostHash::default(),
        previous: PostHash::default(),
        edited: false,
    }
}

fn backup(home: &Path) -> Vec<u8> {
    let (mut file, mut seen) = (Vec::new(), Vec::new());
    let mut watching = |progress: Progress| seen.push(progress);
    write(home, b"right", Cost::FLOOR, &mut file, &mut rand::rng(), 9, &mut watching).unwrap();
    assert!(seen.last().is_some_and(|last| last.done == last.of), "{seen:?}");
    file
}

fn restore(home: &Path, passphrase: &[u8], mut file: &[u8]) -> Result<Profile, Error> {
    Profile::restore(home, passphrase, Cost::FLOOR, &mut file, &mut rand::rng(), 10, &mut |_| ())
}

/// A profile with a verified contact and so many lines.
fn full(home: &Path, lines: u64) -> Profile {
    let profile = create(home).unwrap();
    let rows = &profile.rows;
    let name: Name = "bob".parse().unwrap();
    let bob = Contact { account: Some(BOB), verified: true, last_number: 41, accepted: true, ..Contact::new(name) };
    rows.put_contact(&Contact { pinned: Some(Fingerprint([1; 32])), ..bob }).unwrap();
    let own = profile.own().account;
    let label = "the one from the choir".to_owned();
    rows.put_acquaintance(&Acquaintance { label, ..Acquaintance::new("bob".parse().unwrap()) }).unwrap();
    rows.all_or_nothing(|rows| {
        for number in 1..=lines {
            rows.add_line(&line(number, State::Received, ("bob", BOB)), Place::Last).unwrap();
        }
        rows.add_line(&line(lines + 2, State::Received, ("bob", BOB)), Place::Last).unwrap();
        rows.add_line(&line(lines + 1, State::Received, ("bob", BOB)), Place::Before(lines + 2)).unwrap();
        rows.add_line(&line(9_001, State::Queued, ("marker-alice", own)), Place::Last).unwrap();
        rows.add_line(&line(9_002, State::Delivered, ("marker-alice", own)), Place::Last).unwrap();
        Ok(())
    })
    .unwrap();
    profile
}

fn history(profile: &Profile) -> Vec<(u64, State)> {
    let mut lines = Vec::new();
    let walked = profile.rows.walk_back("@bob", |line| {
        lines.push((line.number, line.state));
        true
    });
    walked.unwrap();
    lines
}

/// [ACCT-22] contacts with their marks and history come back in their order; keys and the device do not, and what waited
/// to be sent is not delivered. The same while somebody holds the profile, and when nobody does.
#[test]
fn what_was_said_and_who_was_verified_comes_back() {
    let (_dir, home) = home();
    let held = full(&home, 3_000);
    let while_held = backup(&home);
    let before = history(&held);
    let own = held.own().clone();
    drop(held);
    let words = open(&home, b"right").unwrap().words().unwrap();
    for file in [while_held, backup(&home)] {
        let into = tempfile::tempdir().unwrap();
        let new = into.path().join("profile");
        drop(restore(&new, b"right", &file).unwrap());
        let restored = open(&new, b"right").unwrap();
        assert_eq!(*restored.words().unwrap(), *words);
        assert_eq!((restored.name(), restored.relay().to_string()), (&own.name, own.relay.clone()));
        assert_ne!(restored.own().device.key, own.device.key, "a device of its own");
        assert!(!restored.registered());
        let rows = &restored.rows;
        let contacts = rows.contacts().unwrap();
        let [bob] = contacts.as_slice() else { panic!("one contact") };
        assert!(bob.verified && bob.accepted && bob.account == Some(BOB) && bob.last_number == 0);
        assert_eq!(rows.acquaintances().unwrap()[0].label, "the one from the choir");
        let wanted: Vec<(u64, State)> = before
            .iter()
            .map(|(number, state)| (*number, if *state == State::Queued { State::NotDelivered } else { *state }))
            .collect();
        assert!(history(&restored) == wanted, "in its order, also what came late");
        assert!(!rows.first_time(&BOB, &line(1, State::Received, ("bob", BOB)).id).unwrap(), "it is not shown again");
        assert_eq!(rows.restoring().unwrap().unwrap().number, 1);
    }
}

/// Whatever is done to the file, it opens as it was written or not at all; nothing is left of an attempt.
#[test]
fn an_altered_backup_restores_nothing() {
    let (_dir, home) = home();
    drop(full(&home, 1_500));
    let whole = backup(&home);
    assert!(whole.len() > 3 * super::FRAME, "several frames");
    let into = tempfile::tempdir().unwrap();
    let new = into.path().join("profile");
    let refused = |file: &[u8], passphrase: &[u8]| {
        let error = restore(&new, passphrase, file).err().unwrap();
        assert!(!Profile::exists(&new) && !new.join("profile.db").exists(), "nothing stays");
        error.code
    };
    assert_eq!(refused(&whole, b"wrong"), ErrorCode::Locked);
    assert_eq!(refused(b"a letter to somebody", b"right"), ErrorCode::Usage);
    let frames = frames(&whole);
    let (begin, end) = frames[1];
    let without = [&whole[..begin], &whole[end..]].concat();
    let swapped = {
        let (second, third) = (&whole[frames[1].0..frames[1].1], &whole[frames[2].0..frames[2].1]);
        [&whole[..begin], third, second, &whole[frames[2].1..]].concat()
    };
    let mut early = whole[..end].to_vec();
    early[begin + 3] |= 0x80;
    for file in
        [without, swapped, early, whole[..end].to_vec(), whole[..whole.len() - 1].to_vec(), [&whole[..], b"x"].concat()]
    {
        assert_eq!(refused(&file, b"right"), ErrorCode::Failed);
    }
    for at in [10, 60, begin, begin + 2, begin + 40, end - 1, whole.len() - 1] {
        let mut bent = whole.clone();
        bent[at] ^= 1;
        assert!(matches!(refused(&bent, b"right"), ErrorCode::Failed | ErrorCode::Locked), "byte {at}");
    }
    drop(restore(&new, b"right", &whole).unwrap());
}

/// Where each frame begins and ends.
fn frames(file: &[u8]) -> Vec<(usize, usize)> {
    let mut at = 8 + sealpost_crypto::vault::HEADER;
    let mut frames = Vec::new();
    while at < file.len() {
        let length = u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) & !super::LAST;
        frames.push((at, at + 4 + length as usize));
        at += 4 + length as usize;
    }
    frames
}

/// A file appears whole, closed to others, and never in the place of another.
#[test]
fn a_backup_replaces_nothing() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let failed = appear(&path, |out| {
        out.write_all(b"half").unwrap();
        Err(Error::new(ErrorCode::Failed, "the disk is full"))
    });
    assert!(failed.is_err());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing of it stays");
    std::fs::write(dir.path().join(".file.part"), "of a crash").unwrap();
    let whole = appear(&path, |out| {
        out.write_all(b"whole").unwrap();
        Ok(())
    });
    whole.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    // Somebody else writes one of the same name: it is told, and neither gets the other's half.
    let other = dir.path().join("other");
    let both = appear(&other, |out| {
        let second = appear(&other, |_| panic!("it is not even begun")).unwrap_err();
        assert_eq!(second.code, ErrorCode::InUse);
        out.write_all(b"all").unwrap();
        Ok(())
    });
    both.unwrap();
    assert_eq!(std::fs::read(&other).unwrap(), b"all");
    let exchanged = dir.path().join("exchanged");
    let taken = appear(&exchanged, |_| {
        let part = dir.path().join(".exchanged.part");
        std::fs::remove_file(&part).unwrap();
        std::fs::write(&part, "of somebody else").unwrap();
        Ok(())
    });
    assert_eq!(taken.unwrap_err().code, ErrorCode::InUse);
    assert!(!exchanged.exists(), "nothing that was not written here gets the name");
    std::fs::remove_file(dir.path().join(".exchanged.part")).unwrap();
    std::fs::remove_file(&other).unwrap();
    let again = appear(&path, |_| panic!("it is not even begun")).unwrap_err();
    assert_eq!(again.code, ErrorCode::Usage);
    assert_eq!(std::fs::read(&path).unwrap(), b"whole");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}
