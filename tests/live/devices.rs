//! Two machines of one person.

use sealpost_tests::processes::{Following, Person, until};

use super::Pair;

/// Alice's phone, linked: she types on it what her first device shows, and on that what the phone shows.
fn link(pair: &Pair) -> Person {
    let phone = Person::new(pair.folder.path(), "alice.phone");
    let shown = pair.alice.json(&["me"]).expect(0).events("me");
    let link = shown[0]["link"].as_str().unwrap();
    let mut linking = Following::start(phone.command(&["--json", "--timeout", "60s", "device", "link", link]));
    let asked = linking.event("device_request");
    let (request, code) = (asked["request"].as_str().unwrap(), asked["code"].as_str().unwrap());
    let refused = pair.alice.json(&["device", "add", request]).expect(2);
    assert_eq!(refused.events("device_request")[0]["code"], code, "both show the same code");
    let wrong = format!("{}{}", if code.starts_with('a') { 'b' } else { 'a' }, &code[1..]);
    let _ = pair.alice.json(&["device", "add", request, "--code", &wrong]).expect(4);
    let added = pair.alice.json(&["device", "add", request, "--code", code]).expect(0);
    assert_eq!((&added.events("device")[0]["device"], &added.events("device")[0]["code"]), (&2.into(), &code.into()));
    assert_eq!(linking.event("me")["name"], "alice");
    let status = until("the phone is done", || linking.ended());
    assert!(status.success(), "{status}");
    phone
}

/// [ACCT-24] [ACCT-25] [ACCT-27] [MSG-43] a phone is linked with what two commands show; both machines hear Bob, each has what was
/// said on the other, under one key; then the phone is revoked, and can say nothing more.
#[test]
fn a_phone_is_linked_talks_and_is_revoked() {
    let pair = Pair::acquainted();
    let phone = link(&pair);
    let Pair { alice, bob, .. } = &pair;
    let devices = phone.json(&["devices"]).expect(0).events("device");
    assert_eq!(devices.iter().map(|one| one["this"] == true).collect::<Vec<_>>(), [false, true]);
    let _ = phone.json(&["device", "revoke", "1"]).expect(2);
    let refused = phone.run(&["unregister", "alice"]).expect(2);
    assert!(refused.err.contains("account's first device"), "{}", refused.err);
    let _ = phone.json(&["backup", pair.folder.path().join("none").to_str().unwrap()]).expect(1);

    let mut at_the_desk = alice.holds();
    let _ = phone.run(&["send", "bob", "from the phone", "--wait", "sent"]).expect(0);
    let mut following = bob.follow();
    assert_eq!(following.message()["text"], "from the phone");
    let _ = bob.run(&["send", "alice", "to both of you"]).expect(0);
    assert_eq!(at_the_desk.message()["text"], "to both of you");
    assert_eq!(phone.receives(1), ["to both of you"]);
    let _ = alice.run(&["send", "bob", "from the desk", "--wait", "delivered"]).expect(0);
    // A copy leaves within a minute, or when the phone is there again.
    let mut on_the_phone = phone.follow();
    let both = ["from the phone", "to both of you", "from the desk"];
    let said = |person: &Person| -> Vec<String> {
        let mut said: Vec<String> = person.history("bob").into_iter().map(|(_, text)| text).collect();
        said.retain(|text| both.contains(&text.as_str()));
        said
    };
    until("both have all that was said", || (said(alice).len() == 3 && said(&phone).len() == 3).then_some(()));
    on_the_phone.kill();
    assert_eq!(said(alice), said(&phone));

    let _ = alice.run(&["device", "revoke", "2"]).expect(0);
    let refused = phone.json(&["send", "bob", "am I still here?"]);
    assert_eq!(refused.code, Some(7), "{}{}", refused.out, refused.err);
    assert!(refused.out.contains("belongs to the account no more"), "{}", refused.out);
    assert!(phone.history("bob").iter().any(|(_, text)| text == "to both of you"), "what it has, it has");
    let _ = alice.run(&["send", "bob", "the phone is gone", "--wait", "delivered"]).expect(0);
    assert_eq!(alice.json(&["devices"]).expect(0).events("device").len(), 1);
    let contacts = bob.json(&["contacts"]).expect(0).events("contact");
    assert!(contacts.iter().all(|one| one["changed"].is_null()), "no key has changed: {contacts:?}");
    assert_eq!(alice.run(&["device", "revoke", "2"]).code, Some(6));
}

/// [MSG-43] [FILE-11] what came is fetched on both machines, and what was sent from one on the other: the relay keeps it.
#[test]
fn a_file_is_fetched_on_both() {
    let pair = Pair::acquainted();
    let phone = link(&pair);
    let Pair { alice, bob, folder, .. } = &pair;
    // Bob hears of the phone.
    let _ = alice.run(&["send", "bob", "I have a phone", "--wait", "sent"]).expect(0);
    assert_eq!(bob.receives(1), ["I have a phone"]);
    let path = folder.path().join("film.mkv");
    std::fs::write(&path, vec![7; 300_000]).unwrap();
    let _ = bob.run(&["send", "alice", "-f", path.to_str().unwrap()]).expect(0);
    let _ = alice.run(&["send", "bob", "-f", path.to_str().unwrap()]).expect(0);
    // A copy leaves within a minute.
    let _there = [alice.holds(), phone.holds(), bob.holds()];
    // Whose mailbox the relay keeps it for has it last: once he has it, it is gone.
    for (person, count) in [(alice, 1), (&phone, 2), (bob, 1)] {
        let offered = until("the files are announced", || {
            let mut files = person.json(&["files"]).expect(0).events("progress");
            files.retain(|file| file["incoming"] == true);
            (files.len() == count).then_some(files)
        });
        for (number, file) in offered.iter().enumerate() {
            let to = folder.path().join(format!("{}.{number}", person.name));
            let _ = person.run(&["get", file["id"].as_str().unwrap(), "-o", to.to_str().unwrap()]).expect(0);
            assert_eq!(std::fs::read(&to).unwrap(), vec![7; 300_000]);
        }
    }
}

/// What makes no sense is refused with what to do; a machine that nobody adds goes on waiting with the same command.
#[test]
fn a_machine_that_nobody_adds_waits() {
    let pair = Pair::new();
    let phone = Person::new(pair.folder.path(), "alice.phone");
    let _ = phone.json(&["device", "link", "sealpost://relay.example.org:7443/alice"]).expect(2);
    let shown = pair.alice.json(&["me"]).expect(0).events("me");
    let link = shown[0]["link"].as_str().unwrap();
    let waited = phone.json(&["--timeout", "1s", "device", "link", link]).expect(75);
    let again = phone.json(&["--timeout", "1s", "device", "link", link]).expect(75);
    assert_eq!(waited.events("device_request"), again.events("device_request"), "the same keys");
    assert!(again.out.contains("\"try\""), "{}", again.out);
    let _ = phone.json(&["send", "bob", "hello"]).expect(5);
    let of_bob = pair.bob.json(&["me"]).expect(0).events("me");
    let _ = phone.json(&["device", "link", of_bob[0]["link"].as_str().unwrap()]).expect(2);
    let _ = pair.alice.json(&["device", "add", "sealpost-device:aaaa", "--code", "aaaa"]).expect(2);
    let _ = pair.alice.json(&["device", "revoke", "1"]).expect(2);
    let _ = pair.alice.json(&["device", "revoke", "9"]).expect(6);
}
