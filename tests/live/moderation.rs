//! A room that somebody made, as its members meet it on the command line.

use super::Pair;

/// [ROOM-15] [ROOM-17] [ROOM-18] Alice makes the garden and puts Bob out of it: he reads why, is kept out with exit 7, and comes
/// in again once he may. What he decides himself is nobody's business.
#[test]
fn a_room_is_its_creators() {
    let pair = Pair::new();
    let Pair { alice, bob, .. } = &pair;
    for person in [alice, bob] {
        let _ = person.run(&["join", "#garden"]).expect(0);
    }
    let _ = alice.run(&["topic", "#garden", "roses", "and", "tulips"]).expect(0);
    let _ = bob.json(&["recv", "--timeout", "20s"]).expect(0);
    let told = bob.json(&["topic", "#garden"]).expect(0).events("conversation");
    assert_eq!((&told[0]["topic"], &told[0]["creator"]), (&"roses and tulips".into(), &"@alice".into()));
    for decides in [&["kick", "#garden", "alice"][..], &["topic", "#garden", "weeds"], &["ban", "#garden", "alice"]] {
        let refused = bob.json(decides).expect(7);
        assert!(refused.out.contains("@alice, who made #garden"), "{}", refused.out);
    }
    let _ = alice.run(&["kick", "#garden", "nobody"]).expect(6);
    let _ = alice.run(&["kick", "#lobby", "bob"]).expect(7);

    let _ = alice.run(&["ban", "#garden", "bob", "--reason", "off \u{1b}[31mtopic"]).expect(2);
    let _ = alice.run(&["ban", "#garden", "bob", "--reason", "off topic"]).expect(0);
    let read = bob.json(&["recv", "--timeout", "20s"]).expect(0).events("message");
    let ban = read.iter().find(|message| message["kind"] == "ban").expect("he reads that he is banned");
    assert_eq!((&ban["from"], &ban["whom"], &ban["text"]), (&"@alice".into(), &"@bob".into(), &"off topic".into()));
    assert!(bob.run(&["history", "#garden"]).expect(0).out.contains("banned @bob from the room: off topic"));
    let refused = bob.json(&["join", "#garden"]).expect(7);
    assert!(refused.out.contains("off topic"), "{}", refused.out);
    let _ = bob.run(&["send", "#garden", "hello?"]).expect(6);
    let _ = alice.run(&["unban", "#garden", "bob"]).expect(0);
    let _ = bob.run(&["join", "#garden"]).expect(0);
    let _ = bob.run(&["send", "#garden", "here again"]).expect(0);

    let _ = alice.json(&["recv", "--timeout", "20s"]).expect(0);
    let said = alice.json(&["history", "#garden"]).expect(0).events("message");
    let id = said.iter().find(|message| message["text"] == "here again").expect("alice reads it")["id"].clone();
    let _ = alice.run(&["delete", id.as_str().unwrap()]).expect(0);
    let _ = bob.json(&["recv", "--timeout", "20s"]).expect(0);
    assert!(bob.run(&["history", "#garden"]).expect(0).out.contains("(removed by the room's creator)"));
}

/// What one knows of people stands beside their names, and notes to oneself stay at home.
#[test]
fn people_are_told_apart() {
    let pair = Pair::acquainted();
    let Pair { alice, bob, .. } = &pair;
    let _ = bob.run(&["nick", "Bobby"]).expect(0);
    let _ = bob.run(&["away", "out for lunch"]).expect(0);
    let known = alice.json(&["alias", "bob", "Uncle", "Bob"]).expect(0).events("person");
    assert_eq!(known[0]["label"], "Uncle Bob");
    let _ = alice.json(&["recv", "--timeout", "5s"]).expect(0);
    let known = alice.json(&["whois", "bob"]).expect(0).events("person");
    let fields = ["name", "label", "display", "away", "trust"].map(|field| known[0][field].clone());
    let wanted = ["bob", "Uncle Bob", "Bobby", "out for lunch", "unverified"];
    assert_eq!(fields, wanted.map(serde_json::Value::from));
    assert!(known[0]["first_seen"].is_string() && known[0]["fingerprint"].as_str().unwrap().len() == 52);
    let shown = alice.run(&["history", "bob"]).expect(0).out;
    assert!(shown.contains("@bob [Uncle Bob] \"Bobby\" (unverified): hello"), "{shown}");
    let _ = alice.run(&["whois", "nobody"]).expect(6);
    let _ = alice.run(&["alias", "nobody", "x"]).expect(6);

    let _ = alice.run(&["send", "alice", "buy", "milk"]).expect(0);
    assert_eq!(alice.history("alice"), [("@alice".to_owned(), "buy milk".to_owned())]);
    assert!(alice.run(&["conversations"]).expect(0).out.contains("buy milk"));
}
