//! Each *cannot* of the threats page has a test of its own: one that says so, not one that mentions it.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{self, Source};
use super::{Definition, definitions, fail_with, ids};

/// Ids that the documentation of a test begins with, by the place of the test. Where a test is ignored, it tries nothing.
fn tried(sources: &[Source]) -> BTreeMap<String, Vec<String>> {
    let mut tried: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources {
        let (mut doc, mut is_test, mut ignored) = (String::new(), false, false);
        for (number, _, line) in source.lines() {
            let line = line.trim();
            if let Some(text) = line.strip_prefix("///") {
                doc.push_str(text);
            } else if line.starts_with("#[") {
                is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
                ignored |= line.starts_with("#[ignore") || line.starts_with("#[should_panic");
            } else {
                if is_test && !ignored {
                    for id in leading(&doc) {
                        tried.entry(id).or_default().push(format!("{}:{number}", source.path));
                    }
                }
                (doc, is_test, ignored) = (String::new(), false, false);
            }
        }
    }
    tried
}

/// The ids with which a text begins: `[A-1] [B-2] what is promised`.
fn leading(doc: &str) -> Vec<String> {
    let mut end = 0;
    ids(doc)
        .into_iter()
        .take_while(|(at, id)| {
            let follows = doc.get(end..*at).is_some_and(|between| between.trim().is_empty());
            end = at + id.len() + 2;
            follows
        })
        .map(|(_, id)| id)
        .collect()
}

fn threats() -> Vec<Definition> {
    definitions().into_iter().filter(|one| one.id.starts_with("THREAT-")).collect()
}

/// Every line has at least one test whose documentation begins with its id, in the place where people look for what a test
/// promises; to be cited by a comment is not enough.
#[test]
fn every_cannot_is_tried() {
    let tried = tried(&source::all());
    let lines = threats();
    let missing: Vec<String> = lines
        .iter()
        .filter(|line| !line.planned && !tried.contains_key(&line.id))
        .map(|line| format!("{}: no test begins with [{}]", line.place, line.id))
        .collect();
    assert!(lines.len() >= 29, "only {} lines found: is the search wrong?", lines.len());
    fail_with(&missing);
}

/// A test that begins with an id is found, one that only mentions it, or does not run, is not.
#[test]
fn a_mention_is_no_test() {
    assert_eq!(leading(" [THREAT-1] [MSG-4] what holds [THREAT-2]"), ["THREAT-1", "MSG-4"]);
    assert_eq!(leading(" what [THREAT-1] says"), Vec::<String>::new());
}

/// What the tour plays are lines of the page; and of what Mallory cannot do, it leaves out only what nobody can see.
#[test]
fn the_tour_plays_what_mallory_cannot_do() {
    let text = source::read("spec/threats.md");
    let of_mallory: BTreeSet<String> = text
        .split("\n## ")
        .filter(|section| section.contains("Mallory\n"))
        .flat_map(|section| section.lines().filter(|line| line.starts_with("- ")).flat_map(ids).map(|(_, id)| id))
        .collect();
    let played: BTreeSet<String> = sealpost_tests::tour::scenes().iter().map(|scene| scene.cannot.to_owned()).collect();
    // That a relay can't read a message, nor learn its sender, is seen in what it stores, not on a screen; two device
    // lists take a key of the account that only the account has.
    let unseen = ["THREAT-3", "THREAT-4", "THREAT-14"].map(str::to_owned);
    let left: Vec<&String> = of_mallory.iter().filter(|id| !played.contains(*id) && !unseen.contains(id)).collect();
    assert_eq!(left, Vec::<&String>::new(), "not played");
    let defined: BTreeSet<String> = threats().into_iter().map(|line| line.id).collect();
    assert!(played.is_subset(&defined), "{:?}", played.difference(&defined));
    assert!(of_mallory.len() >= 17, "only {} lines found: is the search wrong?", of_mallory.len());
}
