//! What breaks, and what it costs.

use rustix::process::Signal;
use sealpost_tests::processes::{Following, Person, RelayProcess, finish};

use super::Pair;

/// [THREAT-2] A relay whose key is not the one in the address gets nothing: exit 3.
#[test]
fn a_relay_with_another_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let relay = RelayProcess::start(folder.path());
    let (rest, pin) = relay.address.rsplit_once('/').unwrap();
    let other = format!("{rest}/{}{}", if pin.starts_with('a') { 'b' } else { 'a' }, &pin[1..]);
    let alice = Person::new(folder.path(), "alice");
    let outcome = alice.json(&["register", &other, "alice", "--timeout", "20s"]).expect(3);
    assert_eq!(outcome.events("error")[0]["code"], "wrong_relay", "{}", outcome.out);
    // And nothing stays behind that would be in the way of the right address.
    let _ = alice.run(&["register", &relay.address, "alice"]).expect(0);
}

/// Nobody listens there: exit 3, and a message that was queued before is not lost by it.
#[test]
fn an_unreachable_relay_is_exit_3_and_queues() {
    let mut pair = Pair::new();
    let Pair { relay, alice, bob, .. } = &mut pair;
    let _ = alice.run(&["send", "bob", "first"]).expect(0);
    relay.kill();
    let queued = alice.json(&["send", "bob", "second", "--timeout", "2s"]).expect(75);
    assert!(!queued.events("queued").is_empty(), "{}", queued.out);
    let _ = alice.run(&["rooms", "--timeout", "2s"]).expect(3);
    relay.restart();
    // Every command that goes online first drains the outbox.
    let _ = alice.run(&["send", "bob", "third"]).expect(0);
    assert_eq!(bob.receives(3), ["first", "second", "third"]);
}

/// kill -9 loses nothing that the relay accepted, and the same data and port serve on.
#[test]
fn a_killed_relay_loses_nothing_it_accepted() {
    let mut pair = Pair::acquainted();
    let Pair { relay, alice, bob, .. } = &mut pair;
    let lines: String = (0..25).map(|i| format!("/dm bob before {i}\n")).collect();
    let _ = finish(alice.command(&["chat"]), &lines).expect(0);
    let _ = alice.run(&["send", "bob", "last"]).expect(0);
    relay.kill();
    relay.restart();
    let mut expected: Vec<String> = (0..25).map(|i| format!("before {i}")).collect();
    expected.push("last".to_owned());
    assert_eq!(bob.receives(26), expected);
    let texts: Vec<String> = bob.history("alice").into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts[2..], expected);
}

/// A client that is killed while messages arrive has each of them once, in order, when it comes back.
#[test]
fn a_client_killed_while_receiving_loses_nothing() {
    let pair = Pair::acquainted();
    let Pair { alice, bob, .. } = &pair;
    let mut chat = Following::start(alice.command(&["--json", "chat"]));
    let mut following = bob.follow();
    let write = |chat: &mut Following, from: usize, to: usize| {
        use std::io::Write;
        for i in from..to {
            writeln!(chat.stdin(), "/dm bob line {i}").unwrap();
        }
    };
    write(&mut chat, 0, 15);
    for _ in 0..5 {
        let _ = following.message();
    }
    write(&mut chat, 15, 40);
    let _ = following.message();
    following.kill();
    let mut again = bob.follow();
    // All lines are in alice's outbox before she says the last one.
    (0..40).for_each(|_| drop(chat.lines.until(|line| line.contains("\"event\":\"queued\""))));
    let _ = alice.run(&["send", "bob", "the end", "--wait", "delivered"]).expect(0);
    while again.message()["text"] != "the end" {}
    let texts: Vec<String> = bob.history("alice").into_iter().map(|(_, text)| text).collect();
    let mut expected: Vec<String> = (0..40).map(|i| format!("line {i}")).collect();
    expected.push("the end".to_owned());
    assert_eq!(texts[2..], expected);
}

/// Deletes everything that a relay stored, but not its key.
fn lose_store(relay: &RelayProcess) {
    let mut lost = 0;
    for entry in std::fs::read_dir(&relay.data).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.contains("key") {
            lost += 1;
            if path.is_dir() {
                std::fs::remove_dir_all(&path).unwrap();
            } else {
                std::fs::remove_file(&path).unwrap();
            }
        }
    }
    assert!(lost > 0, "there was a store");
    assert!(std::fs::read_dir(&relay.data).unwrap().count() > 0, "the key is still there");
}

/// [THREAT-16] A relay that lost its disk, but not its key, loses no direct message: who sent it offers it again.
#[test]
fn a_lost_store_loses_no_direct_message() {
    let mut pair = Pair::acquainted();
    let Pair { relay, alice, bob, .. } = &mut pair;
    let _ = alice.run(&["send", "bob", "on the lost disk"]).expect(0);
    relay.kill();
    lose_store(relay);
    relay.restart();
    let mut following = bob.follow();
    let _ = bob.run(&["status"]).expect(0);
    let outcome = alice.run(&["send", "bob", "after", "--wait", "delivered", "--timeout", "80s"]);
    let _ = outcome.expect(0);
    assert_eq!(following.message()["text"], "on the lost disk");
    assert_eq!(following.message()["text"], "after");
}

/// [THREAT-5] [THREAT-20] Another key under a known name: nothing is sent, exit 4, until `trust` with the new fingerprint.
#[test]
fn a_changed_key_stops_sending() {
    let mut pair = Pair::new();
    let Pair { relay, alice, bob, folder } = &mut pair;
    let _ = alice.run(&["send", "bob", "to the real bob"]).expect(0);
    assert_eq!(bob.receives(1), ["to the real bob"]);
    relay.kill();
    lose_store(relay);
    relay.restart();
    let other_folder = folder.path().join("elsewhere");
    std::fs::create_dir(&other_folder).unwrap();
    let other = Person::registered(&other_folder, "bob", &relay.address);

    let refused = alice.json(&["send", "bob", "a secret"]).expect(4);
    assert_eq!(refused.events("error")[0]["code"], "key_changed", "{}", refused.out);
    let contacts = alice.json(&["contacts"]).expect(0);
    assert_eq!(contacts.events("contact")[0]["trust"], "key_changed");
    assert_eq!(other.json(&["recv", "--timeout", "2s"]).expect(0).events("message").len(), 0);

    let me = other.json(&["me"]).expect(0);
    let fingerprint = me.events("me")[0]["fingerprint"].as_str().unwrap().to_owned();
    let wrong = "a".repeat(52);
    let _ = alice.run(&["trust", "bob", &wrong]).expect(4);
    let _ = alice.run(&["trust", "bob", &fingerprint]).expect(0);
    let _ = alice.run(&["send", "bob", "to the new one"]).expect(0);
    assert_eq!(other.receives(1), ["to the new one"]);
}

/// Nobody has the name: exit 6.
#[test]
fn an_unknown_name_is_exit_6() {
    let pair = Pair::new();
    let Pair { alice, .. } = &pair;
    let outcome = alice.json(&["send", "nobody", "hello?"]).expect(6);
    let error = &outcome.events("error")[0];
    assert_eq!(error["code"], "no_such_name");
    assert_eq!(error["exit"], 6);
    let _ = alice.run(&["send", "Not A Name", "hello?"]).expect(2);
}

/// `--wait delivered` with an absent recipient: exit 75, and the message goes on by itself.
#[test]
fn waiting_for_somebody_absent_is_exit_75() {
    let pair = Pair::new();
    let Pair { alice, bob, .. } = &pair;
    let outcome = alice.json(&["send", "bob", "later", "--wait", "delivered", "--timeout", "2s"]).expect(75);
    assert!(outcome.events("sent").len() + outcome.events("state").len() > 0, "{}", outcome.out);
    assert_eq!(bob.receives(1), ["later"]);
}

/// A relay that registers nobody new says so: exit 7. Who is there already stays.
#[test]
fn a_closed_relay_registers_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let relay = RelayProcess::start_with(folder.path(), &["--register", "closed"]);
    let alice = Person::new(folder.path(), "alice");
    let outcome = alice.json(&["register", &relay.address, "alice"]).expect(7);
    assert_eq!(outcome.events("error")[0]["code"], "refused", "{}", outcome.out);
}

/// [THREAT-20] A name that is taken, or looks like one that is, is refused: exit 7, and another one works at once.
#[test]
fn a_taken_name_is_refused() {
    let pair = Pair::new();
    let Pair { relay, folder, .. } = &pair;
    let elsewhere = folder.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let mallory = Person::new(&elsewhere, "mallory");
    for name in ["alice", "a1ice", "al-ice"] {
        let _ = mallory.run(&["register", &relay.address, name]).expect(7);
    }
    let _ = mallory.run(&["register", &relay.address, "mallory"]).expect(0);
}

/// TERM and INT stop a relay gracefully, with somebody connected: exit 0.
#[test]
fn a_relay_stops_when_it_is_asked() {
    let mut pair = Pair::new();
    let _following = pair.alice.follow();
    for asked in [Signal::TERM, Signal::INT] {
        assert_eq!(pair.relay.stop(asked), Some(0), "{asked:?}: {}", pair.relay.logged());
        pair.relay.restart();
    }
}
