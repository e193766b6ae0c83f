use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sealpost_crypto::vault::Cost;

use super::{DATABASE, HEADER, Profile};
use crate::api::{Error, ErrorCode};

fn dice(seed: u64) -> rand::rngs::StdRng {
    rand::SeedableRng::seed_from_u64(seed)
}

pub(super) fn create(dir: &Path) -> Result<Profile, Error> {
    let relay = format!("sealpost://localhost:7443/{}", "a".repeat(52)).parse().unwrap();
    Profile::create(dir, b"right", Cost::FLOOR, &"marker-alice".parse().unwrap(), &relay, &mut dice(1), 1_000)
}

pub(super) fn open(dir: &Path, passphrase: &[u8]) -> Result<Profile, Error> {
    Profile::open(dir, passphrase, &mut dice(2))
}

pub(super) fn home() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("profile");
    (dir, home)
}

fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

pub(super) fn code(opened: Result<Profile, Error>) -> Option<ErrorCode> {
    opened.err().map(|error| error.code)
}

#[test]
fn a_profile_opens_with_its_passphrase_and_no_other() {
    let (_dir, home) = home();
    assert_eq!(code(open(&home, b"right")), Some(ErrorCode::NoProfile));
    let words = create(&home).unwrap().words().unwrap();
    let before = files(&home);
    assert_eq!(code(open(&home, b"wrong")), Some(ErrorCode::Locked));
    assert_eq!(files(&home), before, "a wrong passphrase wrote something");
    let profile = open(&home, b"right").unwrap();
    assert_eq!(profile.name().as_str(), "marker-alice");
    assert!(!profile.registered());
    assert_eq!(*profile.words().unwrap(), *words);
    assert_eq!(code(open(&home, b"right")), Some(ErrorCode::InUse));
    drop(profile);
    assert_eq!(code(create(&home)), Some(ErrorCode::Usage));
    open(&home, b"right").unwrap().discard().unwrap();
    assert!(!Profile::exists(&home));
    create(&home).unwrap();
}

/// A child that another thread is just starting has the lock's file for a moment, and keeps nobody out.
#[test]
fn a_lock_ends_with_its_holder() {
    let (_dir, home) = home();
    let profile = create(&home).unwrap();
    let inherited = profile._lock.0.try_clone().unwrap();
    drop(profile);
    open(&home, b"right").unwrap();
    drop(inherited);
}

#[test]
fn nothing_in_the_folder_says_whose_it_is() {
    let (_dir, home) = home();
    drop(create(&home).unwrap());
    for (path, bytes) in files(&home) {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", path.display());
        assert!(!bytes.windows(6).any(|window| window == b"marker"), "{}", path.display());
    }
}

#[test]
fn a_flipped_bit_is_noticed() {
    let (_dir, home) = home();
    drop(create(&home).unwrap());
    let header = fs::read(home.join(HEADER)).unwrap();
    for at in (0..header.len()).step_by(16) {
        let mut bent = header.clone();
        bent[at] ^= 1;
        fs::write(home.join(HEADER), &bent).unwrap();
        assert_eq!(code(open(&home, b"right")), Some(ErrorCode::Locked), "byte {at}");
    }
    fs::write(home.join(HEADER), &header).unwrap();
    let database = rusqlite::Connection::open(home.join(DATABASE)).unwrap();
    database.execute("UPDATE setting SET row = CAST(X'00' || substr(row, 2) AS BLOB)", []).unwrap();
    drop(database);
    assert_eq!(code(open(&home, b"right")), Some(ErrorCode::Locked));
}

#[test]
fn a_profile_that_others_can_read_is_refused() {
    let (_dir, home) = home();
    drop(create(&home).unwrap());
    for (path, mode) in [(home.clone(), 0o750), (home.join(DATABASE), 0o640), (home.join(HEADER), 0o604)] {
        let before = fs::metadata(&path).unwrap().permissions();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let error = open(&home, b"right").err().unwrap();
        assert_eq!(error.code, ErrorCode::Failed);
        assert!(error.advice.is_some_and(|advice| advice.starts_with("chmod ")));
        fs::set_permissions(&path, before).unwrap();
    }
    assert!(open(&home, b"right").is_ok());
}

#[test]
fn a_newer_schema_is_left_alone() {
    let (_dir, home) = home();
    drop(create(&home).unwrap());
    let database = rusqlite::Connection::open(home.join(DATABASE)).unwrap();
    database.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(database);
    let error = open(&home, b"right").err().unwrap();
    assert!(error.message.contains("newer version"), "{}", error.message);
}

/// Messages that an earlier version stored are found by their ids too.
#[test]
fn lines_of_an_earlier_version_get_their_names() {
    use super::messages::{Line, Place};
    use crate::api::{Kind, State};
    use sealpost_spec::message::ContentId;
    let (_dir, home) = home();
    let profile = create(&home).unwrap();
    let own = profile.own().clone();
    let line = Line {
        id: ContentId([7; 16]),
        conversation: "@bob".to_owned(),
        from: own.name.clone(),
        account: own.account,
        device: own.device.id,
        number: 1,
        missing: 0,
        sent_at: 1,
        text: "from before".to_owned(),
        kind: Kind::Text,
        target: None,
        state: State::Sent,
        hash: Default::default(),
        previous: Default::default(),
        edited: false,
    };
    profile.rows.add_line(&line, Place::Last).unwrap();
    profile.rows.connection().execute_batch("UPDATE message SET name = NULL").unwrap();
    assert!(profile.rows.lines_named(&line.id).unwrap().is_empty());
    drop(profile);
    let profile = open(&home, b"right").unwrap();
    assert_eq!(profile.rows.lines_named(&line.id).unwrap()[0].text, "from before");
}
