//! Lies about messages.

use std::collections::BTreeSet;

use super::{Scene, Stage};

pub(super) const SCENES: &[Scene] = &[
    Scene { title: "A message with one bit bent", cannot: "THREAT-7", play: bends },
    Scene { title: "A message under another envelope's id", cannot: "THREAT-7", play: relabels },
    Scene { title: "Words in somebody else's name", cannot: "THREAT-7", play: impersonates },
    Scene { title: "Old messages once more", cannot: "THREAT-8", play: replays },
    Scene { title: "Every message three times", cannot: "THREAT-8", play: duplicates },
    Scene { title: "One's own messages, and other people's, handed back", cannot: "THREAT-9", play: reflects },
    Scene { title: "A message thrown away", cannot: "THREAT-10", play: drops },
    Scene { title: "Messages in another order", cannot: "THREAT-10", play: reorders },
    Scene { title: "A message kept back", cannot: "THREAT-10", play: delays },
    Scene { title: "A receipt that nobody has given", cannot: "THREAT-11", play: forges_a_receipt },
    Scene { title: "The store as it was before", cannot: "THREAT-10", play: rolls_back },
    Scene { title: "The store thrown away", cannot: "THREAT-16", play: loses_the_store },
    Scene { title: "Escape sequences for the terminal", cannot: "THREAT-17", play: control_characters },
];

fn bends(stage: &mut Stage) -> &'static str {
    stage.acquainted("alice", "bob");
    stage.mallory("bend");
    let _ = stage.quietly("bob", &["send", "alice", "meet me at noon"]).expect(0);
    let _ = stage.sees("alice", &["recv", "--timeout", "20s"]);
    stage.lacks("alice", "bob", "noon");
    "nothing of it is shown; to bob it is not delivered, and is sent again"
}

fn relabels(stage: &mut Stage) -> &'static str {
    stage.acquainted("alice", "bob");
    stage.mallory("relabel");
    let _ = stage.quietly("bob", &["send", "alice", "meet me at one"]).expect(0);
    let _ = stage.sees("alice", &["recv", "--timeout", "20s"]);
    stage.lacks("alice", "bob", "meet me at one");
    "nothing of it is shown"
}

fn impersonates(stage: &mut Stage) -> &'static str {
    stage.acquainted("alice", "bob");
    stage.mallory("impersonate bob to alice");
    let _ = stage.sees("alice", &["recv", "--timeout", "20s"]);
    stage.lacks("alice", "bob", "transfer");
    "nobody's words are shown as bob's"
}

fn replays(stage: &mut Stage) -> &'static str {
    stage.acquainted("alice", "bob");
    stage.mallory("replay alice 3");
    let _ = stage.sees("alice", &["recv", "--timeout", "20s"]).expect(0);
    let texts = stage.texts("alice", "bob");
    let different: BTreeSet<&String> = texts.iter().collect();
    assert_eq!(different.len(), texts.len(), "something is shown twice: {texts:?}");
    "each was shown once, when it came first"
}

fn duplicates(stage: &mut Stage) -> &'static str {
    stage.acquainted("alice", "carol");
    stage.mallory("duplicate 3");
    let _ = stage.quietly("carol", &["send", "alice", "only once"]).expect(0);
    let _ = stage.sees("alice", &["recv", "--timeout", "20s"]).expect(0);
    assert_eq!(stage.texts("alice", "carol").iter().filter(|text| *text == "only once").count(), 1);
    "it is shown once"
}

fn reflects(stage: &mut Stage) -> &'static str {
    stage.acquainted("alice", "bob");
    stage.acquainted("bob", "carol");
    let before = [stage.texts("bob", "alice"), stage.texts("bob", "carol")];
    stage.mallory("replay bob 1");
    let _ = stage.sees("bob", &["recv", "--timeout", "20s"]).expect(0);
    assert_eq!([stage.texts("bob", "alice"), stage.texts("bob", "carol")], before);
    "neither what bob said himself nor what alice and carol said to each other is shown to him"
}

fn drops(stage: &mut Stage) -> &'static str {
    stage.acquainted("alice", "carol");
    stage.mallory("drop alice");
    let _ = stage.sees("carol", &["send", "alice", "the first of two"]).expect(0);
    stage.honest();
    let _ = stage.sees("carol", &["send", "alice", "the second of two"]).expect(0);
    let _ = stage.quietly("alice", &["recv", "--timeout", "20s"]).expect(0);
    let shown = stage.sees("alice", &["history", "carol"]).expect(0).out;
    assert!(shown.contains("missing here"), "{shown}");
    "its place is shown as missing, and carol's client sends it again until alice's confirms it"
}

fn reorders(stage: &mut Stage) -> &'static str {
    stage.acquainted("alice", "erin");
    stage.mallory("reorder");
    for text in ["one", "two", "three", "four"] {
        let _ = stage.quietly("erin", &["send", "alice", text]).expect(0);
    }
    let _ = stage.sees("alice", &["recv", "--timeout", "20s"]).expect(0);
    // The last of an odd number waits for another one.
    stage.honest();
    stage.arrives("alice", "erin", "four");
    let texts = stage.texts("alice", "erin");
    let said: Vec<&String> =
        texts.iter().filter(|text| ["one", "two", "three", "four"].contains(&text.as_str())).collect();
    assert_eq!(said, ["one", "two", "three", "four"], "in the order in which they were said");
    "the conversation has them in the order in which erin said them"
}

fn delays(stage: &mut Stage) -> &'static str {
    stage.acquainted("alice", "gwen");
    stage.mallory("delay");
    let _ =
        stage.sees("gwen", &["send", "alice", "are you coming?", "--wait", "delivered", "--timeout", "3s"]).expect(75);
    let _ = stage.quietly("alice", &["recv", "--timeout", "3s"]);
    stage.lacks("alice", "gwen", "coming");
    stage.honest();
    stage.arrives("alice", "gwen", "are you coming?");
    "gwen knows that it has not arrived; once Mallory lets it through, it is shown, once"
}

fn forges_a_receipt(stage: &mut Stage) -> &'static str {
    stage.acquainted("alice", "hugo");
    stage.mallory("drop hugo");
    let _ = stage.sees("alice", &["send", "hugo", "have you got it?"]).expect(0);
    stage.mallory("forge-receipt hugo to alice");
    let _ = stage.sees("alice", &["recv", "--timeout", "20s"]);
    let history = stage.person("alice").json(&["history", "hugo"]).expect(0);
    let said = history.events("message").into_iter().find(|one| one["text"] == "have you got it?");
    assert_eq!(said.map(|one| one["state"].clone()), Some("sent".into()));
    "it stays sent: delivered takes a receipt that hugo's device has sealed"
}

fn rolls_back(stage: &mut Stage) -> &'static str {
    stage.acquainted("alice", "ines");
    stage.mallory("remember");
    let _ = stage.quietly("ines", &["send", "alice", "said after the copy"]).expect(0);
    stage.mallory("roll-back");
    let _ = stage.quietly("ines", &["send", "alice", "and after that"]).expect(0);
    let _ = stage.quietly("alice", &["recv", "--timeout", "20s"]).expect(0);
    let shown = stage.sees("alice", &["history", "ines"]).expect(0).out;
    assert!(shown.contains("missing here"), "{shown}");
    "what is missing is shown as missing, and ines's client sends it again"
}

fn loses_the_store(stage: &mut Stage) -> &'static str {
    stage.acquainted("alice", "jane");
    let _ = stage.quietly("jane", &["send", "alice", "on the lost disk"]).expect(0);
    stage.mallory("lose-store");
    let _ = stage.quietly("alice", &["recv", "--timeout", "5s"]);
    let _ = stage.sees("jane", &["send", "alice", "on the new one"]);
    stage.arrives("alice", "jane", "on the lost disk");
    stage.arrives("alice", "jane", "on the new one");
    let _ = stage.sees("alice", &["history", "jane"]).expect(0);
    "what no device had confirmed was sent again by itself"
}

fn control_characters(stage: &mut Stage) -> &'static str {
    let _ = stage.person("alice");
    stage.mallory("control-characters alice");
    let seen = stage.sees("alice", &["recv", "--timeout", "20s"]).expect(0);
    let obeyed = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
    assert!(!seen.out.contains(obeyed) && !seen.err.contains(obeyed), "{:?}", seen.out);
    assert!(seen.out.contains("PWNED") || seen.err.contains("PWNED"), "it is shown: {seen:?}");
    "it is shown, and no terminal obeys it"
}
