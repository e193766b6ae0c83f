//! One engine, four faces, identical powers: every command is asked for in every face, and what the engine is asked and
//! what it answers are the same.
//!
//! Each face has a world of its own, in which the same things happen in the same order. A face's words go through
//! [`ears`], which stands where the holder of the profile would listen; so all are compared at the same place.

mod asking;
mod ears;
mod plainly;
mod script;
mod ways;
mod world;

use std::collections::BTreeSet;

use sealpost_client::api::{Command, Event};
use sealpost_tests::processes::until;
use serde_json::Value;

use asking::{Start, next_line};
use plainly::{same, shape};
use script::{nobodys, steps};
use ways::ways;
use world::World;

/// What one step came to: the command, and what answered it, without what differs between any two worlds.
struct Answered {
    command: Command,
    events: Value,
    /// What a program was told, where the face speaks to programs.
    told: Option<Value>,
}

/// Every command that there is, by its name.
fn every_command() -> BTreeSet<String> {
    let unknown = serde_json::from_value::<Command>(serde_json::json!({ "command": "?" })).unwrap_err().to_string();
    let (_, names) = unknown.split_once("expected one of").unwrap();
    names.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn name_of(command: &Command) -> String {
    serde_json::to_value(command).unwrap()["command"].as_str().unwrap().to_owned()
}

/// Walks through the script in one face; `None` where it has no way for a step.
fn walk(name: &str, start: Start) -> Vec<Option<Answered>> {
    let world = World::new();
    let mut face = start(&world);
    world.ears.rest();
    let (mut walked, mut wrong) = (Vec::new(), Vec::new());
    for step in steps() {
        (step.before)(&world);
        let command = (step.command)(&world);
        world.settles();
        world.ears.rest();
        let since = world.ears.count();
        let ways = ways(&command);
        let Some(told) = face.ask(&ways, &command) else {
            walked.push(None);
            continue;
        };
        match heard(&world, since, &command, face.at_once()) {
            Ok(events) => {
                let (events, told) = (shape(&events), told.map(|told| shape(&told)));
                if events[0]["event"] != step.answer {
                    wrong.push(format!("{name}, {command:?} is not answered by `{}` but by {events}", step.answer));
                }
                walked.push(Some(Answered { command, events, told }));
            }
            Err(why) => wrong.push(format!("{name}, {command:?} by {ways:?}: {why}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    walked
}

/// What answers the command that the face was asked for, but for how far a message has come, of which each hears as much as
/// it waits for. The error says what the face asked for instead.
fn heard(world: &World, since: usize, command: &Command, at_once: bool) -> Result<Vec<Event>, String> {
    let (_, next) = next_line(command);
    until(&format!("{command:?} is asked for, or what is typed after it"), || {
        // Looked for first: what is missing after that was never asked for.
        let over = at_once || world.ears.first(since, |given| same(given, &next)).is_some();
        let Some(asked) = world.ears.first(since, |given| same(given, command)) else {
            return over.then(|| Err(format!("it was not asked for, but {:?}", world.ears.since(since))));
        };
        let failed = asked.events.iter().find(|event| matches!(event, Event::Error(_)));
        let events = || asked.events.iter().filter(|event| !matches!(event, Event::State { .. })).cloned().collect();
        asked.ended.then(|| failed.map_or_else(|| Ok(events()), |error| Err(format!("it failed: {error:?}"))))
    })
}

/// Every command, through every face, against a live relay: asked for in the same words, and answered in the same.
#[test]
fn every_face_has_the_same_powers() {
    let mut asked: BTreeSet<String> = BTreeSet::new();
    let walks: Vec<(&str, Vec<Option<Answered>>)> = std::thread::scope(|scope| {
        let walking = asking::FACES.map(|(name, start)| (name, scope.spawn(move || walk(name, start))));
        walking
            .into_iter()
            .map(|(name, walk)| (name, walk.join().unwrap_or_else(|_| panic!("{name} failed"))))
            .collect()
    });
    for step in 0..steps().len() {
        let mut first: Option<(&str, &Answered)> = None;
        let mut program: Option<(&str, &Value)> = None;
        for (name, walk) in &walks {
            let Some(answered) = &walk[step] else { continue };
            asked.insert(name_of(&answered.command));
            match first {
                None => first = Some((name, answered)),
                Some((other, expected)) => {
                    let (left, right) = (&expected.events, &answered.events);
                    assert_eq!(left, right, "{other} and {name} differ in the answer to {:?}", answered.command);
                }
            }
            match (program, &answered.told) {
                (None, Some(told)) => program = Some((name, told)),
                (Some((other, expected)), Some(told)) => {
                    assert_eq!(
                        expected, told,
                        "{other} and {name} tell programs different things of {:?}",
                        answered.command
                    );
                }
                (_, None) => {}
            }
        }
    }
    for command in nobodys() {
        assert!(!ways(&command).anybodys(), "{command:?} is asked for somewhere: it needs a step of the script");
        asked.insert(name_of(&command));
    }
    let missing: Vec<String> = every_command().difference(&asked).cloned().collect();
    assert!(missing.is_empty(), "tests/live/faces/script.rs has no step for {missing:?}");
}
