use sealpost_spec::message::ContentId;

use super::super::say::Say;
use super::*;
use crate::api::State;
use crate::store::messages::Place;

fn found(world: &mut World, words: &str, with: Option<&str>, limit: Option<u32>) -> Vec<String> {
    let with = with.map(str::to_owned);
    let events = world.run(0, Command::Search { words: words.to_owned(), with, limit });
    let text = |event: &Event| match event {
        Event::Message(message) => Some(message.text.as_raw().to_owned()),
        _ => None,
    };
    events.iter().filter_map(text).collect()
}

/// What is found is what stands in history now: an edited message by its new words, a deleted one by none, a new one at
/// once; of one conversation where that is asked; and the same again after five idle minutes and after a restart.
#[test]
fn a_search_finds_what_stands_there_now() {
    let mut world = World::new(&["alice", "bob", "carol"]);
    world.send(1, "alice", "Tea on friday?");
    world.send(0, "bob", "tea, yes");
    world.send(2, "alice", "green tea is in the kitchen");
    world.pass(5_000);
    let all = ["Tea on friday?", "tea, yes", "green tea is in the kitchen"];
    assert_eq!(found(&mut world, "TEA", None, None), all);
    assert_eq!(found(&mut world, "kitchen tea", None, None), all[2..]);
    assert_eq!(found(&mut world, "tea", Some("bob"), None), all[..2]);
    assert_eq!(found(&mut world, "tea", None, Some(1)), all[2..]);
    assert!(found(&mut world, "coffee", None, None).is_empty());

    world.run(1, Command::Edit { id: None, within: Some("alice".to_owned()), text: "Coffee on friday?".to_owned() });
    world.run(0, Command::Delete { id: None, within: Some("bob".to_owned()) });
    world.send(2, "alice", "and coffee");
    world.pass(5_000);
    for round in 0..3 {
        assert_eq!(found(&mut world, "coffee", None, None), ["Coffee on friday?", "and coffee"], "round {round}");
        assert_eq!(found(&mut world, "tea", None, None), all[2..], "round {round}");
        match round {
            0 => {
                world.pass(6 * 60 * 1_000);
                assert!(world.engine(0).index.is_none(), "nobody searches any more");
            }
            _ => world.restart(0),
        }
    }
    let refused = world.run(0, Command::Search { words: " ".to_owned(), with: None, limit: None });
    assert!(matches!(&refused[0], Event::Error(error) if error.code == ErrorCode::Usage), "{refused:?}");
}

/// Pages are made some time after the day began, or right after somebody had to do without, a few in a step; and a search finds
/// the same with and without them.
#[test]
fn pages_are_made_when_there_is_time() {
    let mut world = World::new(&["alice"]);
    let pages = |world: &mut World| world.engine(0).rows().kept_pages().len();
    world.step(0, |engine| {
        for number in 1..20 * 256 {
            let say = Say::text(format!("note {number}"));
            let line = engine.own_line(ContentId(engine.random()), "@alice".to_owned(), 0, &say, State::Delivered);
            engine.rows().add_line(&line, Place::Last)?;
        }
        Ok(())
    });
    world.send(0, "alice", "the last one");
    world.restart(0);
    world.pass(5 * 60 * 1_000 - 1);
    assert_eq!(pages(&mut world), 0);
    for made in [8, 16, 20, 20] {
        world.pass(if made == 8 { 1 } else { 10 });
        assert_eq!(pages(&mut world), made);
    }
    assert_eq!(found(&mut world, "note 4321", None, None), ["note 4321"]);
    let id =
        world.history(0, "alice").iter().find(|message| message.text.as_raw() == "the last one").unwrap().id.clone();
    world.run(0, Command::Edit { id: Some(id), within: None, text: "the very last one".to_owned() });
    assert_eq!(pages(&mut world), 20, "it is in none yet");

    let old = world.run(0, Command::Search { words: "note 4000".to_owned(), with: None, limit: None });
    let Event::Message(old) = &old[0] else { panic!("{old:?}") };
    world.run(0, Command::Edit { id: Some(old.id.clone()), within: None, text: "changed".to_owned() });
    assert_eq!(pages(&mut world), 19);
    assert!(found(&mut world, "note 4000", None, None).is_empty());
    assert_eq!(found(&mut world, "changed", None, None), ["changed"]);
    world.pass(10);
    assert_eq!(pages(&mut world), 20);
    assert_eq!(found(&mut world, "changed", None, None), ["changed"]);
}
