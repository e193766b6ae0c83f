use super::*;

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
