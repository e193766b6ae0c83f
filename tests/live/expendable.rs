//! A relay whose store is gone, while people write: they fill it again.

use std::path::Path;

use sealpost_tests::processes::{Person, files_below, finish, until};

use super::Pair;

/// Lines that each says before the store is lost once more.
const LINES: usize = 40;
/// How often it is lost.
const TIMES: usize = 3;

/// Says lines to somebody, each a message of its own.
fn says(who: &Person, to: &str, texts: &[String]) {
    let lines: String = texts.iter().map(|text| format!("/dm {to} {text}\n")).collect();
    let _ = finish(who.command(&["--json", "chat"]), &lines);
}

/// Bytes in the relay's folder.
fn stored(data: &Path) -> usize {
    files_below(data).iter().map(|(_, bytes)| bytes.len()).sum()
}

/// Everything that the relay has is deleted but its key.
fn loses_all_but_the_key(data: &Path) {
    for entry in std::fs::read_dir(data).unwrap() {
        let path = entry.unwrap().path();
        match path.file_name().is_some_and(|name| name == "relay.key") {
            true => {}
            false if path.is_dir() => std::fs::remove_dir_all(path).unwrap(),
            false => std::fs::remove_file(path).unwrap(),
        }
    }
    assert_eq!(files_below(data).len(), 1, "the key is there, and nothing else");
}

/// [THREAT-16] [RELAY-20] [ACCT-9] the relay's store is deleted three times while two people write to each other; its key stays.
/// They publish themselves anew and send again by themselves, and hear every line once and in order.
#[test]
fn a_store_that_is_deleted_under_load_is_missed_by_nobody() {
    let mut pair = Pair::acquainted();
    let Pair { relay, alice, bob, .. } = &mut pair;
    let (alice, bob) = (&*alice, &*bob);
    let (mut by_alice, mut by_bob) = (Vec::new(), Vec::new());
    for round in 0..TIMES {
        let lines = |who: &str| -> Vec<String> { (0..LINES).map(|line| format!("{round}.{line} of {who}")).collect() };
        let (hers, his) = (lines("alice"), lines("bob"));
        let before = stored(&relay.data);
        std::thread::scope(|scope| {
            scope.spawn(|| says(alice, "bob", &hers));
            scope.spawn(|| says(bob, "alice", &his));
            until("they are at it", || (stored(&relay.data) != before).then_some(()));
            relay.kill();
            loses_all_but_the_key(&relay.data);
            relay.restart();
        });
        by_alice.extend(hers);
        by_bob.extend(his);
    }
    for (who, to) in [(alice, "bob"), (bob, "alice")] {
        let _ = who.run(&["send", to, "afterwards", "--timeout", "80s"]).expect(0);
    }
    for (who, said, from) in [(bob, by_alice, "alice"), (alice, by_bob, "bob")] {
        let said: Vec<String> = said.into_iter().chain(["afterwards".to_owned()]).collect();
        let name = format!("@{from}");
        until(&format!("{} has heard all of it", who.name), || {
            let _ = who.receives(0);
            let history = who.json(&["history", from, "--limit", "100000"]).expect(0).events("message");
            let heard = history.iter().filter(|line| line["from"] == *name);
            let heard: Vec<&str> = heard.map(|line| line["text"].as_str().unwrap_or_default()).skip(1).collect();
            assert!(heard.len() <= said.len(), "more than was said: {heard:?}");
            (heard == said).then_some(())
        });
    }
}
