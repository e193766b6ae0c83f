use super::*;
use crate::api::Kind;

/// What `conversations` tells of one: unread, mentions, whether it is a request, its last text, its draft.
#[derive(Debug, PartialEq)]
struct Told {
    unread: u32,
    mentions: u32,
    request: bool,
    muted: bool,
    last: Option<String>,
    draft: Option<String>,
}

impl World {
    fn conversation(&mut self, who: usize, wanted: &str) -> Option<Told> {
        self.run(who, Command::Conversations).into_iter().find_map(|event| match event {
            Event::Conversation { name, unread, mentions, request, muted, last, draft, .. } if name == wanted => {
                Some(Told {
                    unread,
                    mentions,
                    request,
                    muted,
                    last: last.map(|last| last.text.as_raw().to_owned()),
                    draft: draft.map(|draft| draft.as_raw().to_owned()),
                })
            }
            _ => None,
        })
    }

    fn read(&mut self, who: usize, with: &str, through: Option<&str>) -> Vec<Event> {
        self.run(who, Command::Read { with: with.to_owned(), through: through.map(str::to_owned) })
    }
}

fn names(events: &[Event]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|event| if let Event::Conversation { name, .. } = event { Some(name.as_str()) } else { None })
        .collect()
}

/// Unread messages and mentions are counted, survive a restart, and go when they are read, all or up to one.
#[test]
fn unread_messages_are_counted_until_they_are_read() {
    let mut world = World::new(&["alice", "bob"]);
    world.send(1, "alice", "hi");
    for text in ["one", "two @bob", "three"] {
        world.send(0, "bob", text);
    }
    world.send(0, "#lobby", "hello @bob, and all");
    world.pass(10_000);
    world.restart(1);
    world.give(1, Command::Subscribe);
    world.settle();
    let told = |world: &mut World, name| world.conversation(1, name).map(|told| (told.unread, told.mentions));
    assert_eq!(told(&mut world, "@alice"), Some((3, 1)));
    assert_eq!(told(&mut world, "#lobby"), Some((1, 1)));
    assert_eq!(world.conversation(1, "@alice").unwrap().last.as_deref(), Some("three"));
    let one = world.history(1, "alice").into_iter().find(|message| message.text.as_raw() == "one").unwrap().id;
    assert!(world.read(1, "alice", Some(&one)).contains(&Event::Done));
    assert_eq!(told(&mut world, "@alice"), Some((2, 1)));
    world.read(1, "@alice", None);
    assert_eq!(told(&mut world, "@alice"), Some((0, 0)));
    assert_eq!(world.recv(1), ["hello @bob, and all"]);
    assert_eq!(told(&mut world, "#lobby"), Some((0, 0)));
    assert_eq!(error_of(&world.read(1, "nobody", None)), Some(ErrorCode::NoSuchName));
    assert_eq!(error_of(&world.read(1, "#nowhere", None)), Some(ErrorCode::NoSuchRoom));
}

/// A message that was deleted before it was read is no longer unread, nor does it mention anybody.
#[test]
fn what_is_deleted_is_not_unread() {
    let mut world = World::new(&["alice", "bob"]);
    world.send(1, "alice", "hi");
    world.send(0, "bob", "@bob!");
    world.pass(3_000);
    world.run(0, Command::Delete { id: None, within: Some("bob".into()) });
    world.pass(3_000);
    let told = world.conversation(1, "@alice").unwrap();
    assert_eq!((told.unread, told.mentions), (0, 0));
    assert!(world.recv(1).is_empty());
}

/// Drafts and who is muted survive a restart.
#[test]
fn drafts_and_mutes_are_kept() {
    let mut world = World::new(&["alice", "bob"]);
    world.send(0, "bob", "hello");
    world.run(0, Command::Draft { with: "bob".into(), text: "not yet".into() });
    world.run(0, Command::Mute { with: "bob".into(), on: true });
    world.restart(0);
    let told = world.conversation(0, "@bob").unwrap();
    assert_eq!((told.draft.as_deref(), told.muted), (Some("not yet"), true));
    world.run(0, Command::Draft { with: "@bob".into(), text: String::new() });
    let events = world.run(0, Command::Mute { with: "@bob".into(), on: false });
    assert_eq!(names(&events), ["@bob"]);
    let told = world.conversation(0, "@bob").unwrap();
    assert_eq!((told.draft, told.muted), (None, false));
}

/// [MSG-27] a request is kept apart and earns no receipt until it is accepted.
#[test]
fn a_stranger_learns_nothing_until_accepted() {
    let mut world = World::new(&["alice", "bob"]);
    world.send(0, "bob", "do you know me?");
    world.pass(60_000);
    let told = world.conversation(1, "@alice").unwrap();
    assert!(told.request && told.unread == 1);
    assert_eq!(world.history(0, "bob")[0].state, State::Sent);
    assert!(
        world
            .run(1, Command::Accept { name: "alice".into() })
            .iter()
            .any(|event| matches!(event, Event::Contact { accepted: true, .. }))
    );
    world.pass(60_000);
    assert!(!world.conversation(1, "@alice").unwrap().request);
    assert_eq!(world.history(0, "bob")[0].state, State::Delivered);
    assert_eq!(error_of(&world.run(1, Command::Refuse { name: "alice".into() })), Some(ErrorCode::Usage));
    assert_eq!(error_of(&world.run(1, Command::Accept { name: "carol".into() })), Some(ErrorCode::NoSuchName));
}

/// Who is refused learns nothing; what they wrote is gone, and what they write later is a request again.
#[test]
fn a_refused_stranger_leaves_nothing_behind() {
    let mut world = World::new(&["alice", "bob"]);
    world.send(0, "bob", "buy my coins");
    world.pass(3_000);
    let delivered = world.relay.delivered;
    assert!(world.run(1, Command::Refuse { name: "alice".into() }).contains(&Event::Done));
    world.pass(60_000);
    assert_eq!(world.conversation(1, "@alice"), None);
    assert!(world.recv(1).is_empty() && world.run(1, Command::Contacts).len() == 1);
    assert_eq!(world.relay.delivered, delivered);
    assert_eq!(world.history(0, "bob")[0].state, State::Sent);
    world.restart(1);
    world.give(1, Command::Subscribe);
    world.send(0, "bob", "really?");
    world.pass(60_000);
    let told = world.conversation(1, "@alice").unwrap();
    assert!(told.request && told.unread == 1);
    assert_eq!(texts(&world.history(1, "alice")), ["really?"]);
}

/// Whoever follows gets everything that comes, however many do.
#[test]
fn two_followers_both_get_all() {
    let mut world = World::new(&["alice", "bob"]);
    world.send(1, "alice", "hi");
    let follow =
        |from: Option<&str>| Command::Recv { from: from.map(str::to_owned), limit: None, follow: true, timeout_ms: 0 };
    let followers =
        [world.give(1, follow(None)), world.give(1, follow(Some("alice"))), world.give(1, follow(Some("#lobby")))];
    for text in ["one", "two"] {
        world.send(0, "bob", text);
    }
    world.send(0, "#lobby", "to all");
    world.pass(10_000);
    let given = followers.map(|id| {
        let messages = world.of(1, id).into_iter().filter_map(as_message).filter(|message| message.kind == Kind::Text);
        messages.map(|message| message.text.as_raw().to_owned()).collect::<Vec<_>>()
    });
    assert_eq!(given[0], ["one", "two", "to all"]);
    assert_eq!(given[1], ["one", "two"]);
    assert_eq!(given[2], ["to all"]);
    assert!(world.recv(1).is_empty());
}

/// The newest conversation comes first; what nobody has begun is not listed.
#[test]
fn conversations_are_listed_newest_first() {
    let mut world = World::new(&["alice", "bob", "carol"]);
    for (to, text) in [("bob", "1"), ("carol", "2"), ("#lobby", "3")] {
        world.pass(1_000);
        world.send(0, to, text);
    }
    assert_eq!(names(&world.run(0, Command::Conversations)), ["#lobby", "@carol", "@bob"]);
    world.pass(1_000);
    world.send(0, "alice", "a note");
    world.send(0, "bob", "4");
    assert_eq!(names(&world.run(0, Command::Conversations)), ["@bob", "@alice", "#lobby", "@carol"]);
    assert_eq!(names(&world.run(1, Command::Conversations)).len(), 2);
}
