use super::{Connection, Entry, KeyChange, View, privacy};
use crate::api::{Event, Kind, Message, State, Text, Trust};

fn message(id: &str, conversation: &str, from: &str, text: &str) -> Message {
    Message {
        id: id.to_owned(),
        conversation: conversation.to_owned(),
        from: from.to_owned(),
        verified: false,
        trust: Trust::Unverified,
        sent_at: "2026-11-20T08:00:00.000Z".to_owned(),
        text: Text::new(text),
        kind: Kind::Text,
        target: None,
        state: if from == "@alice" { State::Queued } else { State::Received },
        request: false,
        edited: false,
        reactions: Vec::new(),
        expires_at: None,
        mentions_me: false,
        action: false,
        file: None,
        label: None,
        display: None,
        whom: None,
    }
}

fn conversation(name: &str, unread: u32) -> Event {
    Event::Conversation {
        name: name.to_owned(),
        trust: None,
        unread,
        mentions: 1,
        muted: false,
        request: false,
        blocked: false,
        joined: Some(true),
        topic: None,
        creator: None,
        label: None,
        display: None,
        draft: Some(Text::new("half a thought")),
        expire_after: None,
        last: None,
    }
}

fn texts(view: &View, conversation: &str) -> Vec<String> {
    let entries = view.conversation(conversation).map(|one| one.entries.iter()).into_iter().flatten();
    let text = |entry: &Entry| match entry {
        Entry::Message(message) => message.text.shown().to_string(),
        Entry::Gap { missing, .. } => format!("gap of {missing}"),
        Entry::Note(text) => text.to_string(),
    };
    entries.map(text).collect()
}

fn contact(name: &str, trust: Trust, changed: Option<&str>) -> Event {
    Event::Contact {
        name: name.to_owned(),
        fingerprint: "old".to_owned(),
        trust,
        blocked: false,
        accepted: true,
        unread: 0,
        changed: changed.map(str::to_owned),
        label: None,
        display: None,
    }
}

/// What arrives elsewhere waits to be read, counts until it is opened, and stands first in the list.
#[test]
fn what_arrives_elsewhere_is_unread() {
    let mut view = View::new();
    view.hear(&contact("carol", Trust::Unverified, None));
    for (id, from) in [("1", "@bob"), ("2", "@bob"), ("3", "@alice")] {
        view.hear(&Event::Message(message(id, "@bob", from, "hi")));
    }
    view.hear(&Event::Message(message("4", "#lobby", "@bob", "in sight")));
    assert_eq!((view.conversation("@bob").unwrap().unread, view.unread()), (2, 2));
    let names: Vec<&str> = view.list().iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["#lobby", "@bob", "@carol"]);
    view.open("@bob");
    assert_eq!(view.unread(), 0);
    // The mark of what was new stays until one leaves.
    let page = ["0", "1", "2"].map(|id| Event::Message(message(id, "@bob", "@bob", "hi")));
    view.current_mut().known = true;
    view.page("@bob", page.to_vec(), 2, true);
    assert_eq!(view.current().fresh.as_deref(), Some("1"));
    view.open("#lobby");
    assert!(view.conversation("@bob").unwrap().fresh.is_none());
}

/// A message that is told again is the same message; its state moves on.
#[test]
fn nothing_is_shown_twice() {
    let mut view = View::new();
    for _ in 0..3 {
        view.hear(&Event::Message(message("1", "@bob", "@alice", "once")));
    }
    assert_eq!(texts(&view, "@bob"), ["once"]);
    assert_eq!(view.queued(), 1);
    view.hear(&Event::State { id: "1".to_owned(), conversation: "@bob".to_owned(), state: State::Delivered });
    assert_eq!(view.queued(), 0);
    assert_eq!(view.conversation("@bob").unwrap().message("1").unwrap().state, State::Delivered);
}

/// An edit, a deletion and a reaction change the message that they are about.
#[test]
fn what_is_said_about_a_message_changes_it() {
    let mut view = View::new();
    for id in ["1", "2"] {
        view.hear(&Event::Message(message(id, "#lobby", "@bob", "first")));
    }
    for (id, kind, target, text) in
        [("3", Kind::Edit, "1", "second"), ("4", Kind::Delete, "2", ""), ("5", Kind::Reaction, "1", "👍")]
    {
        let about = Message { kind, target: Some(target.to_owned()), ..message(id, "#lobby", "@bob", text) };
        view.hear(&Event::Message(about));
    }
    let lobby = view.conversation("#lobby").unwrap();
    assert_eq!(texts(&view, "#lobby"), ["second", "deleted by its author"]);
    assert!(lobby.message("1").unwrap().edited && lobby.message("1").unwrap().reactions.len() == 1);
    assert_eq!(lobby.message("2").unwrap().kind, Kind::Removed);
}

/// The newest page takes the place of what was heard, an older one stands before it, and notes stay.
#[test]
fn pages_come_in_their_order() {
    let mut view = View::new();
    let page = |ids: &[&str]| ids.iter().map(|id| Event::Message(message(id, "#lobby", "@bob", id))).collect();
    view.hear(&Event::Message(message("4", "#lobby", "@bob", "4")));
    view.current_mut().push(Entry::Note("note".into()));
    view.page("#lobby", page(&["3", "4"]), 2, true);
    assert_eq!(texts(&view, "#lobby"), ["3", "4", "note"]);
    assert!(!view.current().whole && view.current().more());
    let mut older: Vec<Event> = page(&["1"]);
    older.push(Event::Gap { conversation: "#lobby".to_owned(), from: "@bob".to_owned(), missing: 1 });
    view.page("#lobby", older, 2, false);
    assert_eq!(texts(&view, "#lobby"), ["1", "gap of 1", "3", "4", "note"]);
    assert!(view.current().whole && view.current().misses("@bob") && !view.current().misses("@carol"));
}

/// A changed key is known with both fingerprints, whether it happened now or before; only accepting it ends that.
#[test]
fn a_changed_key_blocks_until_it_is_accepted() {
    let mut view = View::new();
    view.hear(&contact("bob", Trust::Unverified, None));
    assert_eq!(view.changed("@bob"), None);
    let told = Event::KeyChanged { name: "bob".to_owned(), old: "old".to_owned(), new: "new".to_owned() };
    for told in [told, contact("bob", Trust::KeyChanged, Some("new"))] {
        view.hear(&told);
        assert_eq!(view.changed("@bob"), Some(&KeyChange { old: "old".to_owned(), new: "new".to_owned() }));
        // A message of the old key changes nothing.
        view.hear(&Event::Message(message("1", "@bob", "@bob", "trust me")));
        assert!(view.changed("@bob").is_some());
        assert_eq!(view.changed("#lobby"), None);
        view.hear(&contact("bob", Trust::Unverified, None));
        assert_eq!(view.changed("@bob"), None);
    }
}

/// What a conversation is stands beside it in words.
#[test]
fn marks_are_words() {
    assert_eq!((privacy("#lobby"), privacy("@bob")), ("PUBLIC", "E2E"));
    let mut view = View::new();
    view.hear(&contact("bob", Trust::Verified, None));
    assert_eq!((view.trust("@bob"), view.trust("#lobby")), (Some(Trust::Verified), None));
    assert_eq!(view.connection, Connection::Unknown);
    view.hear(&Event::Connection { online: false, detail: "refused".to_owned() });
    assert_eq!(view.connection, Connection::Down("refused".to_owned()));
}

/// What the store knows of a conversation is there from the start: what is unread, who is muted, what was half typed.
#[test]
fn the_store_tells_what_is_unread() {
    let mut view = View::new();
    view.hear(&conversation("#garden", 7));
    view.hear(&conversation("#lobby", 3));
    let garden = view.conversation("#garden").unwrap();
    assert_eq!((garden.unread, garden.mentions, garden.draft.as_str()), (7, 1, "half a thought"));
    assert_eq!((view.unread(), view.current().unread), (10, 3));
    let Event::Conversation { name, trust, mentions, request, blocked, joined, draft, expire_after, last, .. } =
        conversation("#garden", 7)
    else {
        panic!("it is one")
    };
    let (unread, muted) = (7, true);
    view.hear(&Event::Conversation {
        name,
        trust,
        unread,
        mentions,
        muted,
        request,
        blocked,
        joined,
        topic: None,
        creator: None,
        label: None,
        display: None,
        draft,
        expire_after,
        last,
    });
    assert_eq!(view.unread(), 3);
}
