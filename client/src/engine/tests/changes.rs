use super::*;
use crate::api::Kind;

impl World {
    /// The id of the last message with this text that somebody has.
    fn id_of(&mut self, who: usize, with: &str, text: &str) -> String {
        let history = self.history(who, with);
        history.iter().rev().find(|message| message.text.as_raw() == text).unwrap().id.clone()
    }

    fn edit(&mut self, who: usize, within: &str, text: &str) -> Vec<Event> {
        self.run(who, Command::Edit { id: None, within: Some(within.to_owned()), text: text.to_owned() })
    }

    fn delete(&mut self, who: usize, within: &str) -> Vec<Event> {
        self.run(who, Command::Delete { id: None, within: Some(within.to_owned()) })
    }

    fn react(&mut self, who: usize, id: &str, emoji: &str) -> Vec<Event> {
        self.run(who, Command::React { id: id.to_owned(), emoji: emoji.to_owned() })
    }

    fn reply(&mut self, who: usize, id: &str, text: &str) -> Vec<Event> {
        let (id, text) = (id.to_owned(), text.to_owned());
        self.run(who, Command::Reply { id, text, wait: Wait::Queued, timeout_ms: 0 })
    }
}

fn reactions(message: &Message) -> Vec<(&str, &str)> {
    message.reactions.iter().map(|reaction| (reaction.from.as_str(), reaction.emoji.as_raw())).collect()
}

/// People who know each other: in `#lobby` and directly.
fn acquainted() -> World {
    let mut world = World::new(&["alice", "bob"]);
    world.send(0, "bob", "hello");
    world.send(1, "alice", "hi");
    world.send(0, "#lobby", "to all");
    world.pass(3_000);
    world
}

/// [MSG-32] history has each message once, as it is now, on both sides and also after a restart.
#[test]
fn edits_and_deletions_show_in_the_message_itself() {
    for place in [("bob", "alice"), ("#lobby", "#lobby")] {
        let mut world = acquainted();
        world.send(0, place.0, "see you at ate");
        world.edit(0, place.0, "see you at eight");
        world.pass(3_000);
        world.restart(1);
        for (who, with) in [(0, place.0), (1, place.1)] {
            let last = world.history(who, with).pop().unwrap();
            assert_eq!((last.text.as_raw(), last.edited, last.kind), ("see you at eight", true, Kind::Text), "{with}");
        }
        assert_eq!(error_of(&world.delete(0, place.0)), None);
        world.give(1, Command::Subscribe);
        world.pass(3_000);
        for (who, with) in [(0, place.0), (1, place.1)] {
            let last = world.history(who, with).pop().unwrap();
            assert_eq!((last.text.as_raw(), last.kind), ("deleted by its author", Kind::Removed), "{with}");
            assert!(!last.edited);
        }
    }
}

/// [MSG-36] what comes before its target counts once that comes, and of two edits the later one stands.
#[test]
fn a_change_that_comes_before_its_message_counts() {
    let mut world = acquainted();
    world.relay.hold_back = true;
    world.send(0, "bob", "secret");
    world.relay.hold_back = false;
    world.delete(0, "bob");
    world.pass(10_000);
    assert_eq!(texts(&world.history(1, "alice")), ["hello", "hi"]);
    world.relay.release();
    world.pass(1_000);
    assert_eq!(texts(&world.history(1, "alice")), ["hello", "hi", "deleted by its author"]);
    assert!(
        world.people[1]
            .heard
            .iter()
            .all(|(_, event)| { !matches!(event, Event::Message(message) if message.text.as_raw() == "secret") })
    );

    world.send(0, "bob", "first");
    world.relay.hold_back = true;
    world.edit(0, "bob", "second");
    world.relay.hold_back = false;
    world.edit(0, "bob", "third");
    world.pass(10_000);
    world.relay.release();
    world.pass(1_000);
    let last = world.history(1, "alice").pop().unwrap();
    assert_eq!((last.text.as_raw(), last.edited), ("third", true));
}

/// [MSG-37] one reaction of each person, the last; empty takes it back.
#[test]
fn everybody_has_one_reaction() {
    for place in [("bob", "alice"), ("#lobby", "#lobby")] {
        let mut world = acquainted();
        world.send(0, place.0, "cake?");
        world.pass(3_000);
        let id = world.id_of(0, place.0, "cake?");
        for emoji in ["👍", "❤"] {
            assert_eq!(error_of(&world.react(1, &id[24..], emoji)), None);
        }
        world.react(0, &id, "🎂");
        world.pass(3_000);
        for (who, with) in [(0, place.0), (1, place.1)] {
            let history = world.history(who, with);
            let mut seen = reactions(history.last().unwrap());
            seen.sort_unstable();
            assert_eq!(seen, [("@alice", "🎂"), ("@bob", "❤")], "{with}");
        }
        world.react(1, &id, "");
        world.pass(3_000);
        for (who, with) in [(0, place.0), (1, place.1)] {
            assert_eq!(reactions(world.history(who, with).last().unwrap()), [("@alice", "🎂")]);
        }
        assert_eq!(error_of(&world.react(1, &id, &"x".repeat(65))), Some(ErrorCode::Usage));
        world.delete(0, place.0);
        world.pass(3_000);
        assert!(world.history(1, place.1).last().unwrap().reactions.is_empty());
        assert_eq!(error_of(&world.react(1, &id, "👍")), Some(ErrorCode::Usage));
    }
}

/// A reply names its message, by any beginning or end that only it has; what is not one's own can't be changed.
#[test]
fn replies_and_ids() {
    for place in [("bob", "alice"), ("#lobby", "#lobby")] {
        let mut world = acquainted();
        world.send(0, place.0, "question");
        world.pass(3_000);
        let id = world.id_of(1, place.1, "question");
        assert_eq!(error_of(&world.reply(1, &id[..30].to_uppercase(), "answer")), None);
        world.pass(3_000);
        let last = world.history(0, place.0).pop().unwrap();
        assert_eq!((last.text.as_raw(), last.kind, last.target), ("answer", Kind::Reply, Some(id.clone())));
        assert_eq!(error_of(&world.reply(1, "abc", "x")), Some(ErrorCode::Usage));
        assert_eq!(error_of(&world.reply(1, "nonsense", "x")), Some(ErrorCode::Usage));
        assert_eq!(error_of(&world.reply(1, &"0".repeat(32), "x")), Some(ErrorCode::NoSuchMessage));
        let theirs = |id: &str| Command::Edit { id: Some(id.to_owned()), within: None, text: "x".into() };
        assert_eq!(error_of(&world.run(1, theirs(&id))), Some(ErrorCode::Usage));
        assert_eq!(error_of(&world.run(1, Command::Delete { id: Some(id), within: None })), Some(ErrorCode::Usage));
    }
}

/// A note to oneself is changed like any message, and nothing of it leaves.
#[test]
fn notes_to_oneself_are_changed_too() {
    let mut world = acquainted();
    let delivered = world.relay.delivered;
    world.send(0, "alice", "buy milk");
    world.edit(0, "alice", "buy bread");
    let id = world.id_of(0, "alice", "buy bread");
    world.react(0, &id, "✅");
    let history = world.history(0, "alice");
    assert_eq!((texts(&history), reactions(&history[0])), (vec!["buy bread"], vec![("@alice", "✅")]));
    world.delete(0, "@alice");
    assert_eq!(world.history(0, "alice")[0].kind, Kind::Removed);
    assert_eq!(world.relay.delivered, delivered);
}

/// [MSG-38]
#[test]
fn an_action_is_told_without_its_sign() {
    let mut world = acquainted();
    world.send(0, "bob", "/me waves");
    world.pass(3_000);
    for (who, with) in [(0, "bob"), (1, "alice")] {
        let last = world.history(who, with).pop().unwrap();
        assert_eq!((last.text.as_raw(), last.action), ("waves", true));
    }
    world.send(0, "bob", "I said /me waves");
    assert!(!world.history(0, "bob").last().unwrap().action);
}

/// `recv` gives a message as it is when it is given, and what changes it afterwards as an event of its own.
#[test]
fn recv_tells_what_changed_after_it() {
    let mut world = acquainted();
    world.recv(1);
    world.send(0, "bob", "one");
    world.edit(0, "bob", "two");
    world.send(0, "bob", "gone");
    world.delete(0, "bob");
    world.pass(3_000);
    let given = |world: &mut World| {
        let id = world.give(1, Command::Recv { from: None, limit: None, follow: false, timeout_ms: 0 });
        world.settle();
        let messages = world.of(1, id).into_iter().filter_map(as_message);
        messages.map(|message| (message.kind, message.text.as_raw().to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(given(&mut world), [(Kind::Text, "two".to_owned())]);
    world.edit(0, "bob", "three");
    let id = world.id_of(0, "bob", "three");
    world.react(0, &id, "👍");
    world.delete(0, "bob");
    world.pass(3_000);
    let kinds: Vec<Kind> = given(&mut world).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, [Kind::Edit, Kind::Reaction, Kind::Delete]);
}

/// The text of an edit that was taken back is nowhere in the profile's rows.
#[test]
fn a_deleted_text_is_kept_nowhere() {
    let mut world = acquainted();
    world.send(0, "bob", "one");
    world.edit(0, "bob", "regrettable");
    world.delete(0, "bob");
    world.pass(3_000);
    let mut kept = Vec::new();
    world.step(1, |engine| {
        engine.rows().walk_all_back(|line| {
            kept.push(line.text);
            true
        })
    });
    assert!(kept.iter().all(|text| text != "one" && text != "regrettable"), "{kept:?}");
}
