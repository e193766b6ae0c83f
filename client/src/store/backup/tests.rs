use std::path::Path;

use sealpost_crypto::vault::Cost;
use sealpost_spec::account::{AccountKey, Device, DeviceId, DeviceKey, Fingerprint, IdentityKey, Name};
use sealpost_spec::attachment::BlobId;
use sealpost_spec::mailbox::{EnvelopeId, Seq};
use sealpost_spec::message::{ContentId, FilePointer};
use sealpost_spec::room::{PostHash, RoomName};

use super::super::account::Choices;
use super::super::changes::{Change, Conversation, Opinion, Order};
use super::super::files::{FileRow, Stage};
use super::super::messages::{Expiry, Line, Place};
use super::super::people::{Acquaintance, Contact, Held, Peer, Persona, SessionNote};
use super::super::rooms::{Author, Room, Rule};
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

/// [ACCT-22] everything that a profile knows comes back, row by row, and what only a device knows does not.
#[test]
fn every_kind_of_row_comes_back() {
    let (_dir, home) = home();
    let profile = full(&home, 1);
    let (rows, own) = (&profile.rows, profile.own().clone());
    let garden: RoomName = "garden".parse().unwrap();
    let post = Line { conversation: "#garden".to_owned(), ..line(7, State::Received, ("bob", BOB)) };
    let said = line(1, State::Received, ("bob", BOB));
    let device = Device { id: DeviceId(3), key: DeviceKey([4; 32]), identity: IdentityKey([5; 32]) };
    let order = Order { device: DeviceId(1), number: 8, sent_at: 9 };
    let pointer = FilePointer { blob: BlobId([1; 16]), name: "a".to_owned(), size: 1, hash: [2; 32], key: [3; 32] };
    let file = |account, id, stage| FileRow {
        account,
        id: ContentId([id; 16]),
        peer: "bob".parse().unwrap(),
        pointer: pointer.clone(),
        since: 1,
        stage,
        path: Some("/a".to_owned()),
        stamp: None,
        recipient: None,
        expire: Some(5),
        keep: false,
        drop: false,
        trouble: None,
    };
    rows.all_or_nothing(|rows| {
        rows.add_line(&post, Place::Last).unwrap();
        rows.put_choices(&Choices { read_receipts: true, typing: false }).unwrap();
        rows.put_peer(&Peer {
            name: "bob".parse().unwrap(),
            account: BOB,
            device,
            box_key: Some(own.list.clone()),
            signed_prekey: 6,
            sessions: vec![SessionNote { id: [1; 32], ours: true, confirmed: true, retired_at: None }],
            newest: 11,
            ranges: vec![(1, 5), (7, 9)],
            unreceipted: vec![9],
            held: vec![Held { number: 9, id: said.id, since: 1 }],
            unreadable: vec![EnvelopeId([1; 16])],
            repaired_at: 2,
        })
        .unwrap();
        let known =
            Conversation { name: "@bob".to_owned(), muted: true, draft: "not yet".to_owned(), ..Default::default() };
        rows.put_conversation(&known).unwrap();
        let room = Room { joined: true, number: 12, hash: PostHash([1; 32]), posted: 11, ..Room::new(garden.clone()) };
        rows.put_room(&Room { cursor: Seq(44), ..room }).unwrap();
        let author = Author { number: 7, hash: PostHash([7; 32]), seq: Seq(40) };
        rows.put_author(&garden, &BOB, DeviceId(1), &author).unwrap();
        rows.put_first_author(&"bob".parse().unwrap(), &BOB).unwrap();
        rows.add_fresh(&said).unwrap();
        rows.put_expiry(&Expiry { at: 77, account: BOB, id: said.id }).unwrap();
        rows.put_countdown(&BOB, &said.id, 60).unwrap();
        let change =
            Change { conversation: "@bob".to_owned(), hash: PostHash::default(), text: None, unheard: false, order };
        rows.put_change(&BOB, &said.id, &change).unwrap();
        let opinion = Opinion {
            conversation: "@bob".to_owned(),
            target: said.id,
            hash: PostHash::default(),
            from: "bob".parse().unwrap(),
            account: BOB,
            emoji: "+".to_owned(),
            order,
        };
        rows.put_opinion(&opinion).unwrap();
        rows.put_file(&file(own.account, 1, Stage::Wanted)).unwrap();
        rows.put_file(&file(BOB, 2, Stage::Wanted)).unwrap();
        rows.put_file(&file(BOB, 3, Stage::Gone)).unwrap();
        rows.put_persona(&Persona { display: (3, "Bobby".to_owned()), ..Persona::new(BOB) }).unwrap();
        rows.put_rule(&Rule { topic: Some((order, "roses".to_owned())), put_out: Seq(4), ..Rule::new(garden.clone()) })
            .unwrap();
        Ok(())
    })
    .unwrap();
    let file = backup(&home);
    let into = tempfile::tempdir().unwrap();
    let restored = restore(&into.path().join("profile"), b"right", &file).unwrap();
    let rows = &restored.rows;
    assert!(rows.choices().unwrap().read_receipts);
    let peers = rows.peers().unwrap();
    let [peer] = peers.as_slice() else { panic!("one device") };
    assert_eq!((peer.device, peer.newest, peer.ranges.as_slice()), (device, 11, &[(1, 5), (7, 9)][..]));
    assert!(peer.sessions.is_empty() && peer.box_key.is_none(), "nothing that sends to it");
    assert!(peer.unreceipted.is_empty() && peer.held.is_empty() && peer.unreadable.is_empty());
    let conversations = rows.conversations().unwrap();
    assert!(conversations.iter().any(|known| known.name == "@bob" && known.muted && known.draft == "not yet"));
    let rooms = rows.rooms().unwrap();
    let [room] = rooms.as_slice() else { panic!("one room") };
    assert_eq!((room.joined, room.cursor, room.number, room.posted), (true, Seq(44), 0, 0), "a chain of its own");
    assert_eq!(room.hash, PostHash::default());
    let author = rows.author(&garden, &BOB, DeviceId(1)).unwrap().unwrap();
    assert_eq!((author.number, author.hash, author.seq), (7, PostHash([7; 32]), Seq(40)));
    assert_eq!(rows.first_author(&"bob".parse().unwrap()).unwrap(), Some(BOB));
    assert!(rows.is_fresh(&BOB, &said.id).unwrap() && !rows.is_fresh(&BOB, &post.id).unwrap());
    assert_eq!((rows.expiry(&BOB, &said.id).unwrap(), rows.countdown(&BOB, &said.id).unwrap()), (Some(77), Some(60)));
    assert!(rows.change(&BOB, &said.id).unwrap().is_some_and(|change| change.text.is_none()));
    assert_eq!(rows.opinions(&said.id).unwrap().iter().map(|known| known.emoji.as_str()).collect::<Vec<_>>(), ["+"]);
    let files: Vec<_> = rows.files().unwrap().into_iter().map(|file| (file.account, file.stage, file.expire)).collect();
    assert_eq!(files, [(own.account, Stage::Failed, Some(5)), (BOB, Stage::Wanted, Some(5))]);
    assert_eq!(rows.personas().unwrap().iter().map(|known| known.display.1.as_str()).collect::<Vec<_>>(), ["Bobby"]);
    let rules = rows.rules().unwrap();
    assert!(
        matches!(rules.as_slice(), [rule] if rule.put_out == Seq(4) && rule.topic.as_ref().is_some_and(|(_, topic)| topic == "roses"))
    );
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
