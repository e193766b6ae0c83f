//! The short form of the tour: a relay that lies, as a process, before real clients.

use sealpost_tests::tour::{Stage, scenes};

/// What README shows of the tour.
const SHOWN: [&str; 4] = [
    "Another key under a name whose link one was given",
    "No one-time keys for anybody",
    "A name receipt of somebody else's making",
    "One post of three kept back",
];

/// Four of Mallory's attacks on real clients let nothing in, and people see what README says that they see.
#[test]
fn the_short_tour_lets_nothing_in() {
    let readme = std::fs::read_to_string(crate::coverage::source::root().join("README.md")).unwrap();
    let mut stage = Stage::new();
    let all = scenes();
    for title in SHOWN {
        let scene = all.iter().find(|scene| scene.title == title).unwrap_or_else(|| panic!("no scene {title:?}"));
        let seen = stage.plays(scene);
        println!("{seen}");
        assert!(readme.contains(&seen.to_string()), "README shows something else than this:\n{seen}");
    }
}
