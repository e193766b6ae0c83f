//! Lies about keys, names and versions.

use super::{Scene, Stage};

pub(super) const SCENES: &[Scene] = &[
    Scene { title: "Another key under a name that one knows", cannot: "THREAT-5", play: swaps_a_known_key },
    Scene { title: "Another key under a name whose link one was given", cannot: "THREAT-6", play: swaps_a_linked_key },
    Scene { title: "Different keys for different people", cannot: "THREAT-5", play: shows_each_another },
    Scene { title: "A bundle without its post-quantum half", cannot: "THREAT-15", play: leaves_out_post_quantum },
    Scene { title: "No one-time keys for anybody", cannot: "THREAT-18", play: withholds_one_time_keys },
    Scene { title: "Another version of the protocol", cannot: "THREAT-15", play: rewrites_the_version },
    Scene { title: "A name receipt of somebody else's making", cannot: "THREAT-20", play: forges_name_receipts },
];

fn swaps_a_known_key(stage: &mut Stage) -> &'static str {
    stage.acquainted("alice", "dave");
    stage.mallory("swap-keys-and-shut dave");
    let _ = stage.sees("alice", &["send", "dave", "the gate code is 4711"]).expect(4);
    stage.nobody_was_fooled();
    stage.lacks("dave", "alice", "4711");
    "nothing was encrypted to Mallory's key"
}

fn swaps_a_linked_key(stage: &mut Stage) -> &'static str {
    let me = stage.person("erin").json(&["me"]).expect(0);
    let link = me.events("me").first().map(|me| me["link"].as_str().unwrap_or_default().to_owned());
    let _ = stage.quietly("alice", &["add", &link.expect("erin knows her link")]).expect(0);
    stage.mallory("swap-keys erin");
    let _ = stage.sees("alice", &["send", "erin", "the gate code is 4711"]).expect(4);
    stage.nobody_was_fooled();
    "nothing was encrypted to Mallory's key, at first contact"
}

fn shows_each_another(stage: &mut Stage) -> &'static str {
    let _ = stage.person("frank");
    stage.mallory("swap-keys-once frank");
    let _ = stage.quietly("alice", &["send", "frank", "who are you?"]).expect(0);
    let _ = stage.quietly("frank", &["send", "alice", "hello, here is frank"]).expect(0);
    let seen = stage.person("frank").json(&["verify", "alice"]).expect(0);
    let number = seen.events("safety").first().map(|one| one["number"].as_str().unwrap_or_default().to_owned());
    let number = number.expect("frank has a number");
    let refused = stage.sees("alice", &["verify", "frank", "--mark", &number]);
    assert_ne!(refused.code, Some(0), "{}", refused.out);
    let _ = stage.sees("alice", &["recv", "--timeout", "20s"]);
    stage.lacks("alice", "frank", "here is frank");
    "a first message to a stranger went astray, as spec/threats.md says it can; to compare shows it, and the real frank's key does not pass \
     for the pinned one"
}

fn leaves_out_post_quantum(stage: &mut Stage) -> &'static str {
    let _ = stage.person("gina");
    stage.mallory("cut-post-quantum");
    let refused = stage.sees("alice", &["send", "gina", "hello", "--timeout", "20s"]);
    assert_ne!(refused.code, Some(0));
    stage.lacks("gina", "alice", "hello");
    "no session was begun"
}

fn withholds_one_time_keys(stage: &mut Stage) -> &'static str {
    let _ = stage.person("hank");
    stage.mallory("withhold-one-time-keys hank");
    let _ = stage.sees("alice", &["send", "hank", "hello"]).expect(0);
    let _ = stage.sees("hank", &["recv", "--timeout", "20s"]).expect(0);
    assert_eq!(stage.texts("hank", "alice"), ["hello"]);
    "it is sent under the last-resort key all the same"
}

fn rewrites_the_version(stage: &mut Stage) -> &'static str {
    stage.acquainted("alice", "bob");
    stage.mallory("old-version");
    let refused = stage.sees("alice", &["send", "bob", "in the old way", "--timeout", "5s"]);
    assert_ne!(refused.code, Some(0));
    stage.lacks("bob", "alice", "in the old way");
    "nothing was said in it"
}

fn forges_name_receipts(stage: &mut Stage) -> &'static str {
    stage.mallory("false-name-receipts");
    stage.newcomer("ivan");
    let address = stage.mallory.address.clone();
    let refused = stage.sees("ivan", &["register", &address, "ivan"]);
    assert_ne!(refused.code, Some(0));
    "only the relay's own signature says whose a name is"
}
