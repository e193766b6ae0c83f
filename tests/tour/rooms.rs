//! Lies about rooms.

use super::{Scene, Stage};

pub(super) const SCENES: &[Scene] = &[
    Scene { title: "Other words in somebody's post", cannot: "THREAT-12", play: alters },
    Scene { title: "A post in another room", cannot: "THREAT-12", play: moves },
    Scene { title: "A post that nobody has written", cannot: "THREAT-12", play: forges },
    Scene { title: "One post of three kept back", cannot: "THREAT-13", play: withholds },
    Scene { title: "A room without its past", cannot: "THREAT-13", play: truncates },
    Scene { title: "A kick that the room's creator has not decided", cannot: "THREAT-24", play: forges_a_kick },
    Scene { title: "An old kick once more", cannot: "THREAT-24", play: replays_a_kick },
    Scene { title: "Another creator", cannot: "THREAT-25", play: names_another_creator },
];

/// Carol has made the garden; alice and bob are in it.
fn garden(stage: &mut Stage) {
    for name in ["carol", "alice", "bob"] {
        let _ = stage.quietly(name, &["join", "#garden"]).expect(0);
        let _ = stage.quietly(name, &["recv", "--timeout", "20s"]).expect(0);
    }
}

fn alters(stage: &mut Stage) -> &'static str {
    garden(stage);
    let _ = stage.quietly("bob", &["send", "#garden", "roses are red"]).expect(0);
    stage.mallory("alter-posts roses_are_red roses_are_blue");
    stage.watches("alice");
    stage.hears("refused");
    stage.lacks("alice", "#garden", "blue");
    "neither is shown as bob's: he has signed the one, and she has not shown it"
}

fn moves(stage: &mut Stage) -> &'static str {
    garden(stage);
    let _ = stage.quietly("alice", &["join", "#lobby"]).expect(0);
    let _ = stage.quietly("bob", &["send", "#garden", "for the garden alone"]).expect(0);
    stage.mallory("move-posts lobby");
    stage.watches("alice");
    stage.hears("refused");
    stage.lacks("alice", "#lobby", "for the garden alone");
    "it is shown in no other room than the one that bob has signed it for"
}

fn forges(stage: &mut Stage) -> &'static str {
    garden(stage);
    stage.mallory("forge-post bob in garden to alice");
    stage.watches("alice");
    stage.hears("refused");
    stage.lacks("alice", "#garden", "money");
    "it is not shown"
}

fn withholds(stage: &mut Stage) -> &'static str {
    for name in ["carol", "alice", "bob"] {
        let _ = stage.quietly(name, &["join", "#terrace"]).expect(0);
    }
    for text in ["one", "two", "three"] {
        let _ = stage.quietly("bob", &["send", "#terrace", text]).expect(0);
    }
    stage.mallory("withhold-posts two");
    let _ = stage.quietly("alice", &["recv", "--timeout", "20s"]).expect(0);
    let shown = stage.sees("alice", &["history", "#terrace"]).expect(0).out;
    assert!(shown.contains("missing here"), "{shown}");
    stage.lacks("alice", "#terrace", "two");
    "its place is shown"
}

fn truncates(stage: &mut Stage) -> &'static str {
    for text in ["long ago", "just now"] {
        let _ = stage.quietly("bob", &["join", "#cellar"]).expect(0);
        let _ = stage.quietly("bob", &["send", "#cellar", text]).expect(0);
    }
    let _ = stage.person("alice");
    stage.mallory("truncate-history");
    let _ = stage.quietly("alice", &["join", "#cellar"]).expect(0);
    let _ = stage.quietly("bob", &["send", "#cellar", "welcome"]).expect(0);
    let _ = stage.quietly("alice", &["recv", "--timeout", "20s"]).expect(0);
    let shown = stage.sees("alice", &["history", "#cellar"]).expect(0).out;
    assert!(shown.contains("missing here"), "{shown}");
    "that there was more before is shown"
}

fn forges_a_kick(stage: &mut Stage) -> &'static str {
    garden(stage);
    stage.mallory("forge-kick alice by carol in garden");
    stage.watches("alice");
    stage.hears("refused");
    let _ = stage.sees("alice", &["send", "#garden", "still here"]).expect(0);
    "alice stays"
}

fn replays_a_kick(stage: &mut Stage) -> &'static str {
    garden(stage);
    let _ = stage.sees("carol", &["kick", "#garden", "bob", "--reason", "off topic"]).expect(0);
    let _ = stage.quietly("bob", &["recv", "--timeout", "20s"]).expect(0);
    let _ = stage.quietly("bob", &["join", "#garden"]).expect(0);
    stage.mallory("replay-kick to bob in garden");
    let _ = stage.sees("bob", &["recv", "--timeout", "20s"]);
    let _ = stage.sees("bob", &["send", "#garden", "here again"]).expect(0);
    "what counted once does not count again"
}

fn names_another_creator(stage: &mut Stage) -> &'static str {
    garden(stage);
    // To a relay that has lost its store, clients tell who has made their rooms.
    stage.mallory("name-creator mallory");
    stage.mallory("lose-store");
    stage.watches("alice");
    stage.hears("who still counts");
    let listed = stage.person("alice").json(&["topic", "#garden"]).expect(0);
    let creator = listed.events("conversation").first().map(|one| one["creator"].clone());
    assert_eq!(creator, Some("@carol".into()));
    "to alice it stays carol's room"
}
