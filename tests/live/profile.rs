//! The profile on the disk, and who holds it.

use rustix::process::Signal;
use sealpost_tests::processes::{files_below, finish, signal};

use super::Pair;

/// [THREAT-22] A wrong passphrase is exit 5, says what to try, and overwrites nothing.
#[test]
fn a_wrong_passphrase_is_exit_5() {
    let pair = Pair::new();
    let Pair { alice, .. } = &pair;
    let before = files_below(&alice.home);
    let right = std::fs::read(&alice.passphrase).unwrap();
    std::fs::write(&alice.passphrase, "something else\n").unwrap();
    for arguments in [&["me"][..], &["send", "bob", "hello"], &["recv"], &["history", "bob"]] {
        let outcome = alice.json(arguments).expect(5);
        assert_eq!(outcome.events("error")[0]["code"], "locked", "{}", outcome.out);
        assert!(outcome.events("error")[0]["try"].is_string(), "{}", outcome.out);
    }
    assert!(before == files_below(&alice.home), "a wrong passphrase wrote to the profile");
    std::fs::write(&alice.passphrase, right).unwrap();
    let _ = alice.run(&["me"]).expect(0);
}

/// Places in the database where a sealed row of each table lies, with the table's name.
fn rows_in(database: &std::path::Path) -> Vec<(String, usize)> {
    let bytes = std::fs::read(database).unwrap();
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(database, copy.path().join("copy.db")).unwrap();
    let connection = rusqlite::Connection::open(copy.path().join("copy.db")).unwrap();
    let mut statement =
        connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%row BLOB%'").unwrap();
    let tables: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut places = Vec::new();
    for table in tables {
        let row = connection.query_one(&format!("SELECT row FROM \"{table}\" ORDER BY id DESC LIMIT 1"), [], |row| {
            row.get::<_, Vec<u8>>(0)
        });
        // Its beginning: the end of a long row lies on pages of its own.
        let Ok(row) = row else { continue };
        let at = bytes.windows(24).position(|window| window == &row[..24]).unwrap();
        places.push((table, at + 20));
    }
    places
}

/// [THREAT-22] Whatever byte of the profile is flipped: it opens as before, or it is exit 5 and nothing is overwritten.
#[test]
fn a_flipped_byte_is_exit_5_and_nothing_is_overwritten() {
    let pair = Pair::acquainted();
    let bob = &pair.bob;
    let said = bob.history("alice");
    let find = |name: &str| {
        let files = files_below(&bob.home);
        let path = files.iter().map(|(path, _)| path).find(|path| path.ends_with(name));
        std::path::PathBuf::from(path.unwrap_or_else(|| panic!("there is a {name}")))
    };
    let (database, vault) = (find("profile.db"), find("vault"));
    let mut places: Vec<(String, std::path::PathBuf, usize)> =
        rows_in(&database).into_iter().map(|(table, at)| (table, database.clone(), at)).collect();
    assert!(places.len() > 3, "{places:?}");
    let header = std::fs::metadata(&vault).unwrap().len() as usize;
    places.extend((0..header).step_by(header / 6).map(|at| ("vault".to_owned(), vault.clone(), at)));
    let mut refused = Vec::new();
    for (what, path, at) in places {
        let whole = std::fs::read(&path).unwrap();
        let mut bent = whole.clone();
        bent[at] ^= 0x20;
        std::fs::write(&path, &bent).unwrap();
        let before = files_below(&bob.home);
        let outcome = bob.json(&["history", "alice"]);
        match outcome.code {
            Some(0) => {
                let texts: Vec<_> = outcome.events("message").iter().map(|line| line["text"].clone()).collect();
                assert_eq!(texts.len(), said.len(), "byte {at} of {what} changed what was said");
            }
            Some(5) => {
                refused.push(what.clone());
                assert!(before == files_below(&bob.home), "byte {at} of {what}: a refused profile was overwritten");
            }
            code => panic!("byte {at} of {what}: exit {code:?}\n{}\n{}", outcome.out, outcome.err),
        }
        if what == "vault" || what == "message" || what == "setting" {
            assert_eq!(outcome.code, Some(5), "byte {at} of {what}: {}", outcome.out);
        }
        std::fs::write(&path, &whole).unwrap();
    }
    println!("refused: {refused:?}");
    assert_eq!(bob.history("alice"), said, "the untouched profile opens again");
}

/// A folder or file that others may read is refused with the command that closes it.
#[test]
fn an_open_folder_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let pair = Pair::new();
    let Pair { alice, .. } = &pair;
    let folder = files_below(&alice.home)
        .iter()
        .max_by_key(|(_, bytes)| bytes.len())
        .map(|(path, _)| std::path::Path::new(path).parent().unwrap().to_owned())
        .unwrap();
    assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    for (path, _) in files_below(&folder) {
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0, "{path} is open to others");
    }
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    let outcome = alice.run(&["me"]);
    assert!(!matches!(outcome.code, Some(0) | None), "{outcome:?}");
    assert!(outcome.err.contains("chmod"), "{}", outcome.err);
}

/// A holder that does not answer is exit 5; one that was killed is no holder.
#[test]
fn an_unreachable_holder_is_exit_5() {
    let pair = Pair::new();
    let Pair { alice, .. } = &pair;
    let mut following = alice.follow();
    let _ = alice.run(&["me"]).expect(0);
    sealpost_tests::processes::until("the follower holds the profile", || {
        files_below_with_sockets(&alice.home).then_some(())
    });
    signal(following.pid(), Signal::STOP);
    let outcome = alice.json(&["me", "--timeout", "40s"]).expect(5);
    assert_eq!(outcome.events("error")[0]["code"], "in_use", "{}", outcome.out);
    signal(following.pid(), Signal::CONT);
    let _ = alice.run(&["me"]).expect(0);
    following.kill();
    let _ = alice.run(&["me"]).expect(0);
}

/// Whether a socket is anywhere below a folder.
fn files_below_with_sockets(folder: &std::path::Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| match entry.file_type() {
        Ok(kind) if kind.is_socket() => true,
        Ok(kind) if kind.is_dir() => files_below_with_sockets(&entry.path()),
        _ => false,
    })
}

/// No profile yet: exit 5, with the command that makes one. A second registration is refused.
#[test]
fn a_missing_profile_is_exit_5() {
    let pair = Pair::new();
    let Pair { relay, alice, folder, .. } = &pair;
    let nobody = sealpost_tests::processes::Person::new(folder.path(), "nobody");
    let outcome = nobody.json(&["send", "alice", "hello"]).expect(5);
    assert_eq!(outcome.events("error")[0]["code"], "no_profile", "{}", outcome.out);
    let again = alice.run(&["register", &relay.address, "alice2"]);
    assert!(!matches!(again.code, Some(0) | None), "{again:?}");
    let me = finish(alice.command(&["--json", "me"]), "").expect(0);
    assert_eq!(me.events("me")[0]["name"], "alice");
}
