//! What one does with a profile of one's own.

use std::path::{Path, PathBuf};

use sealpost_tests::processes::{Person, files_below, finish, until};

use super::Pair;
use super::terminal::Terminal;

/// A file for its owner alone.
fn secret(folder: &Path, name: &str, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn trust_of(person: &Person, name: &str) -> String {
    let contacts = person.json(&["contacts"]).expect(0);
    let found = contacts.events("contact").into_iter().find(|contact| contact["name"] == name);
    found.unwrap_or_else(|| panic!("{name} is known")).get("trust").unwrap().as_str().unwrap().to_owned()
}

/// Bob has added Alice by her link, and they have talked.
fn verified() -> Pair {
    let pair = Pair::acquainted();
    let me = pair.alice.json(&["me"]).expect(0);
    let _ = pair.bob.run(&["add", me.events("me")[0]["link"].as_str().unwrap()]).expect(0);
    assert_eq!(trust_of(&pair.bob, "alice"), "verified");
    pair
}

/// Another passphrase opens the profile from now on, and the old one does not; whoever holds it goes on.
#[test]
fn the_passphrase_is_changed_under_a_holder() {
    let pair = Pair::acquainted();
    let Pair { alice, bob, folder, .. } = &pair;
    let said = alice.history("bob");
    let mut following = alice.follow();
    let _ = bob.run(&["send", "alice", "before"]).expect(0);
    assert_eq!(following.message()["text"], "before");
    let new = secret(folder.path(), "new", "a second passphrase of hers\n");
    let new = new.to_str().unwrap();
    let wrong = secret(folder.path(), "wrong", "not this one\n");
    let mut mistaken = Person::new(folder.path(), "mistaken");
    (mistaken.home, mistaken.passphrase) = (alice.home.clone(), wrong);
    let refused = mistaken.json(&["passphrase", "change", "--new-passphrase-file", new]).expect(5);
    assert_eq!(refused.events("error")[0]["code"], "locked", "{}", refused.out);
    let _ = alice.run(&["passphrase", "change", "--new-passphrase-file", new]).expect(0);
    let _ = bob.run(&["send", "alice", "after"]).expect(0);
    assert_eq!(following.message()["text"], "after", "the holder goes on");
    following.kill();
    let locked = alice.json(&["history", "bob"]).expect(5);
    assert_eq!(locked.events("error")[0]["code"], "locked", "{}", locked.out);
    std::fs::copy(new, &alice.passphrase).unwrap();
    assert_eq!(alice.history("bob")[..said.len()], said, "nothing is lost");
}

/// A relay has a name of one's own, and is registered with by it.
#[test]
fn relays_are_saved_under_names() {
    let pair = Pair::new();
    let carol = Person::new(pair.folder.path(), "carol");
    let _ = carol.run(&["relay", "add", "home", &pair.relay.address]).expect(0);
    let _ = carol.run(&["relay", "add", "home", &pair.relay.address]).expect(0);
    let list = carol.json(&["relay", "list"]).expect(0);
    assert_eq!(list.events("relay")[0]["address"], pair.relay.address.as_str(), "{}", list.out);
    let _ = carol.run(&["register", "home", "carol"]).expect(0);
    let _ = carol.run(&["send", "alice", "hello"]).expect(0);
    let profiles = carol.json(&["profiles"]).expect(0);
    assert_eq!(profiles.events("profile")[0]["name"], "default", "{}", profiles.out);
    let _ = carol.run(&["relay", "remove", "home"]).expect(0);
    let _ = carol.run(&["relay", "remove", "home"]).expect(6);
    let _ = carol.run(&["relay", "add", "home", "nowhere"]).expect(2);
}

/// The self-check says what is wrong and what to try, and names nobody.
#[test]
fn doctor_names_nobody() {
    use std::os::unix::fs::PermissionsExt;
    let pair = verified();
    let Pair { alice, bob, relay, .. } = &pair;
    let well = bob.json(&["doctor"]).expect(0);
    let checks = well.events("check");
    for what in
        ["version", "folder", "disk", "profile", "store", "connection", "transport", "clock", "prekeys", "queue"]
    {
        let check = checks.iter().find(|check| check["what"] == what).unwrap_or_else(|| panic!("{what}: {}", well.out));
        assert_eq!(check["found"], "ok", "{check}");
    }
    let me = bob.json(&["me"]).expect(0);
    let me = me.events("me")[0].clone();
    let words = [&me["name"], &me["fingerprint"], &me["relay"]].map(|word| word.as_str().unwrap().to_owned());
    let port = relay.address.rsplit('/').nth(1).unwrap().rsplit(':').next().unwrap().to_owned();
    let home = bob.home.to_str().unwrap().to_owned();
    for word in words.iter().chain([&"alice".to_owned(), &port, &home]) {
        assert!(!well.out.contains(word.as_str()), "{word} is in {}", well.out);
    }
    let profile = bob.home.join("default");
    std::fs::set_permissions(&profile, std::fs::Permissions::from_mode(0o755)).unwrap();
    let open = bob.json(&["doctor"]).expect(1);
    let folder = open.events("check").into_iter().find(|check| check["what"] == "folder").unwrap();
    assert_eq!(folder["found"], "fail", "{folder}");
    assert!(folder["try"].is_string(), "{folder}");
    std::fs::write(&alice.passphrase, "something else\n").unwrap();
    let locked = alice.run(&["doctor"]).expect(1);
    assert!(locked.out.contains("FAIL  profile") && locked.out.contains("try:"), "{}", locked.out);
    let nobody = Person::new(pair.folder.path(), "nobody");
    let _ = nobody.run(&["doctor"]).expect(1);
}

/// [ACCT-19] [ACCT-20] who unregisters is gone for everybody, and hears why nothing is sent any more; what was said stays.
#[test]
fn an_account_ends() {
    let pair = Pair::acquainted();
    let Pair { relay, alice, bob, folder } = &pair;
    let said = alice.history("bob");
    let _ = alice.json(&["unregister"]).expect(2);
    let _ = alice.run(&["unregister", "bob"]).expect(2);
    let gone = alice.run(&["unregister", "alice"]).expect(0);
    assert!(gone.err.contains("wipe"), "it says what is left to do: {}", gone.err);
    let refused = alice.json(&["send", "bob", "one more"]).expect(5);
    assert!(refused.out.contains("unregistered"), "{}", refused.out);
    assert_eq!(alice.history("bob"), said);
    let again = alice.run(&["register", &relay.address, "alice"]);
    assert_eq!(again.code, Some(2), "{again:?}");
    let waits = bob.json(&["send", "alice", "are you there?"]).expect(75);
    assert!(waits.out.contains("nobody at this relay"), "{}", waits.out);
    let _ = Person::registered(folder.path(), "somebody", &relay.address);
    let next = Person::new(folder.path(), "next");
    let _ = next.run(&["register", &relay.address, "alice"]).expect(0);
}

/// Nothing of a wiped profile stays, also where a process held it.
#[test]
fn a_profile_is_wiped_under_its_holder() {
    let pair = Pair::acquainted();
    let alice = &pair.alice;
    let mut following = alice.holds();
    let asked = alice.json(&["wipe"]).expect(2);
    assert!(asked.events("error")[0]["try"].as_str().unwrap().contains("--yes"), "{}", asked.out);
    // It needs no passphrase: one that is forgotten is a reason to wipe.
    std::fs::write(&alice.passphrase, "forgotten\n").unwrap();
    let _ = alice.run(&["wipe", "--yes"]).expect(0);
    assert_eq!(files_below(&alice.home), []);
    until("the holder has ended", || following.ended());
    let gone = alice.json(&["me"]).expect(5);
    assert_eq!(gone.events("error")[0]["code"], "no_profile");
    let _ = alice.run(&["wipe", "--yes"]).expect(5);
}

/// A person who wipes at a terminal types the profile's name.
#[test]
fn wipe_asks_for_the_name() {
    let pair = Pair::new();
    let mut terminal = Terminal::run(&pair.alice, &["wipe"]);
    terminal.shows("Type default to do it");
    terminal.types("defalut\r");
    assert_eq!(terminal.ends(), 130);
    let _ = pair.alice.run(&["me"]).expect(0);
    let mut terminal = Terminal::run(&pair.alice, &["wipe"]);
    terminal.shows("Type default to do it");
    terminal.types("default\r");
    assert_eq!(terminal.ends(), 0);
    assert_eq!(files_below(&pair.alice.home), []);
}

/// [ACCT-21] [ACCT-22] a backup becomes a profile with history and marks, on a new device that people are told of; it
/// is made while a holder has the profile.
#[test]
fn a_backup_is_restored() {
    let pair = verified();
    let Pair { alice, bob, folder, .. } = &pair;
    let link = bob.json(&["me"]).expect(0).events("me")[0]["link"].as_str().unwrap().to_owned();
    let _ = alice.run(&["add", &link]).expect(0);
    let said = alice.history("bob");
    let following = alice.holds();
    let file = folder.path().join("alice.backup");
    let file = file.to_str().unwrap();
    let _ = alice.run(&["backup", file]).expect(0);
    let _ = alice.run(&["backup", file]).expect(2);
    drop(following);
    let _ = alice.run(&["wipe", "--yes"]).expect(0);
    let right = std::fs::read(&alice.passphrase).unwrap();
    std::fs::write(&alice.passphrase, "not this one\n").unwrap();
    let _ = alice.run(&["restore", file]).expect(5);
    assert_eq!(files_below(&alice.home), [], "nothing is left of it");
    std::fs::write(&alice.passphrase, right).unwrap();
    let restored = alice.json(&["restore", file]).expect(0);
    assert_eq!(restored.events("me")[0]["name"], "alice", "{}", restored.out);
    let _ = alice.run(&["restore", file]).expect(2);
    assert_eq!(alice.history("bob")[..said.len()], said);
    assert_eq!(trust_of(alice, "bob"), "verified");
    let _ = alice.run(&["send", "bob", "from the new disk"]).expect(0);
    assert_eq!(bob.receives(1), ["from the new disk"]);
    assert_eq!(trust_of(bob, "alice"), "verified");
    let _ = bob.run(&["send", "alice", "welcome back", "--wait", "sent"]).expect(0);
    assert_eq!(alice.receives(1), ["welcome back"]);
    let devices = alice.json(&["devices"]).expect(0);
    let devices = devices.events("device");
    assert!(devices.len() == 1 && devices[0]["device"] == 2 && devices[0]["this"] == true, "{devices:?}");
}

/// A device that was replaced promises nothing: what is sent there stays, and the person is told why and what is left to do.
#[test]
fn the_device_before_says_what_became_of_it() {
    let pair = Pair::acquainted();
    let Pair { alice, bob, folder, .. } = &pair;
    let file = folder.path().join("alice.backup");
    let file = file.to_str().unwrap();
    let _ = alice.run(&["backup", file]).expect(0);
    let next =
        Person { name: "alice".to_owned(), home: folder.path().join("next"), passphrase: alice.passphrase.clone() };
    let _ = next.run(&["restore", file]).expect(0);
    let before = alice.run(&["send", "bob", "from the old one", "--timeout", "20s"]).expect(7);
    assert!(before.err.contains("this device belongs to the account no more"), "{}", before.err);
    assert!(before.err.contains("sealpost wipe") && !before.err.contains("goes out by itself"), "{}", before.err);
    let _ = next.run(&["send", "bob", "from the new one"]).expect(0);
    assert_eq!(bob.receives(1), ["from the new one"]);
    let doctor = alice.json(&["doctor"]).expect(1);
    let checks = doctor.events("check");
    let found = |what: &str| checks.iter().find(|check| check["what"] == what).map(|check| check["found"].clone());
    assert_eq!(found("store"), Some("ok".into()), "{}", doctor.out);
    assert_eq!(found("connection"), Some("fail".into()), "{}", doctor.out);
    assert!(doctor.events("error").is_empty(), "{}", doctor.out);
}

/// [ACCT-4] [ACCT-21] the 24 words of a terminal become the account again, for a person and for a script; who has verified it
/// sees that, and one line about the device.
#[test]
fn the_words_are_restored() {
    let pair = Pair::new();
    let Pair { relay, bob, folder, .. } = &pair;
    let carol = Person::new(folder.path(), "carol");
    let mut terminal = Terminal::run(&carol, &["register", &relay.address, "carol"]);
    terminal.shows("24 ");
    assert_eq!(terminal.ends(), 0);
    let mut words = vec![String::new(); 24];
    for line in terminal.shown().lines().filter(|line| line.starts_with("  ")) {
        let mut parts = line.split_whitespace();
        while let (Some(number), Some(word)) = (parts.next(), parts.next()) {
            words[number.parse::<usize>().unwrap() - 1] = word.to_owned();
        }
    }
    let link = carol.json(&["me"]).expect(0).events("me")[0]["link"].as_str().unwrap().to_owned();
    let _ = bob.run(&["add", &link]).expect(0);
    let _ = carol.run(&["send", "bob", "hello"]).expect(0);
    assert_eq!(bob.receives(1), ["hello"]);
    let mut watching = bob.follow();
    let _ = carol.run(&["wipe", "--yes"]).expect(0);

    let wrong = [&words[..23], &[words[0].clone()]].concat().join(" ");
    let paper = secret(folder.path(), "paper", &wrong);
    let paper = paper.to_str().unwrap();
    let script = ["restore", "--words", link.as_str(), "--words-file", paper];
    let refused = carol.run(&script);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    std::fs::write(paper, words.join("\n")).unwrap();
    let restored = carol.json(&script).expect(0);
    assert_eq!(restored.events("me")[0]["link"], link.as_str(), "the same key: {}", restored.out);
    let _ = carol.run(&["send", "bob", "it is me"]).expect(0);
    assert_eq!(watching.message()["text"], "it is me");
    assert_eq!(trust_of(bob, "carol"), "verified");
    let _ = bob.run(&["send", "carol", "I see"]).expect(0);
    assert_eq!(carol.receives(1), ["I see"]);

    let _ = carol.run(&["wipe", "--yes"]).expect(0);
    let mut terminal = Terminal::run(&carol, &["restore", "--words", &relay.address, "carol"]);
    terminal.shows("Your 24 recovery words");
    terminal.types(&format!("{}\r", words[..12].join(" ")));
    terminal.types(&format!("{}\r", words[12..].join(" ")));
    assert_eq!(terminal.ends(), 0);
    let me = finish(carol.command(&["--json", "me"]), "").expect(0);
    assert_eq!(me.events("me")[0]["link"], link.as_str());
}
