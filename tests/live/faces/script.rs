//! What happens in every world, in this order: each step asks for one command.

use sealpost_client::api::{Command, Wait};

use super::world::World;

/// One command, asked for by whichever face.
pub(super) struct Step {
    /// The event that answers it.
    pub(super) answer: &'static str,
    /// What others do before.
    pub(super) before: fn(&World),
    pub(super) command: fn(&World) -> Command,
}

fn alone(answer: &'static str, command: fn(&World) -> Command) -> Step {
    Step { answer, before: |_| {}, command }
}

fn after(answer: &'static str, before: fn(&World), command: fn(&World) -> Command) -> Step {
    Step { answer, before, command }
}

fn send(to: &str, text: &str) -> Command {
    Command::Send { to: to.to_owned(), text: text.to_owned(), wait: Wait::Sent, timeout_ms: 30_000, expire: None }
}

/// The room that Alice makes.
fn orchard() -> String {
    "#orchard".to_owned()
}

fn bob() -> String {
    "@bob".to_owned()
}

/// Alice's steps; Bob is an acquaintance, Carol a stranger who has written to her.
pub(super) fn steps() -> Vec<Step> {
    vec![
        alone("status", |_| Command::Status),
        alone("me", |_| Command::Me),
        alone("contact", |_| Command::Contacts),
        alone("conversation", |_| Command::Conversations),
        alone("settings", |_| Command::Settings { read_receipts: None, typing: None }),
        alone("settings", |_| Command::Settings { read_receipts: Some(false), typing: None }),
        after("room", |world| world.bob_does(&["join", "#garden"]), |_| Command::Rooms),
        alone("queued", |_| Command::Join { room: "#garden".to_owned() }),
        alone("presence", |_| Command::Who { room: Some("#garden".to_owned()) }),
        alone("queued", |_| send("#garden", "who waters the beans?")),
        alone("queued", |_| send("@bob", "tea at ate?")),
        alone("queued", |_| Command::Edit { id: None, within: Some(bob()), text: "tea at eight?".to_owned() }),
        alone("queued", |world| {
            let (id, text) = (Some(world.id_of("@bob", "tea at eight?")), "tea at nine?".to_owned());
            Command::Edit { id, within: None, text }
        }),
        after(
            "queued",
            |world| world.bob_says("nine suits me"),
            |world| Command::Reply {
                id: world.id_of("@bob", "nine suits me"),
                text: "until nine".to_owned(),
                wait: Wait::Sent,
                timeout_ms: 30_000,
            },
        ),
        alone("queued", |world| Command::React { id: world.id_of("@bob", "nine suits me"), emoji: "👍".to_owned() }),
        alone("queued", |world| Command::React { id: world.id_of("@bob", "nine suits me"), emoji: String::new() }),
        alone("message", |_| Command::Search { words: "nine".to_owned(), with: None, limit: None }),
        alone("done", |_| Command::Read { with: bob(), through: None }),
        alone("message", |_| Command::History { with: bob(), limit: None, before: None }),
        alone("queued", |world| Command::Delete { id: Some(world.id_of("@bob", "until nine")), within: None }),
        after(
            "queued",
            |world| drop(world.ask(&send("@bob", "a slip of the finger"))),
            |_| Command::Delete { id: None, within: Some(bob()) },
        ),
        alone("progress", |world| Command::SendFile {
            to: bob(),
            path: world.a_file(),
            wait: Wait::Sent,
            timeout_ms: 30_000,
            expire: None,
        }),
        after("progress", World::bob_sends_a_file, |world| Command::Get {
            id: Some(world.id_of("@bob", "beans.txt")),
            within: None,
            to: None,
            keep: false,
            timeout_ms: 30_000,
        }),
        alone("progress", |world| Command::Cancel { id: world.a_file_on_its_way() }),
        alone("progress", |_| Command::Files),
        alone("conversation", |_| Command::Mute { with: bob(), on: true }),
        alone("conversation", |_| Command::Mute { with: bob(), on: false }),
        alone("done", |_| Command::Draft { with: bob(), text: "not yet said".to_owned() }),
        alone("queued", |_| Command::Expire { with: bob(), seconds: Some(3_600) }),
        alone("queued", |_| Command::Expire { with: bob(), seconds: None }),
        alone("safety", |_| Command::Verify { name: Some("bob".to_owned()), mark: None }),
        alone("safety", |world| Command::Verify { name: Some("bob".to_owned()), mark: Some(world.number_with("bob")) }),
        after("queued", World::bob_enters_the_orchard, |_| Command::Topic {
            room: orchard(),
            text: Some("apples".to_owned()),
        }),
        alone("conversation", |_| Command::Topic { room: orchard(), text: None }),
        alone("queued", |_| Command::Kick {
            room: orchard(),
            name: "bob".to_owned(),
            reason: Some("pears are off topic".to_owned()),
        }),
        alone("queued", |_| Command::Ban { room: orchard(), name: "bob".to_owned(), reason: None }),
        alone("queued", |_| Command::Unban { room: orchard(), name: "bob".to_owned(), reason: None }),
        alone("person", |_| Command::Whois { name: "bob".to_owned() }),
        alone("person", |_| Command::Alias { name: "bob".to_owned(), label: "Uncle Bob".to_owned() }),
        alone("done", |_| Command::Nick { display: "Ali".to_owned() }),
        alone("done", |_| Command::Away { why: "lunch".to_owned() }),
        alone("done", |_| Command::Away { why: String::new() }),
        alone("contact", |_| Command::Block { name: "bob".to_owned() }),
        alone("contact", |_| Command::Unblock { name: "bob".to_owned() }),
        alone("done", |_| Command::Refuse { name: "carol".to_owned() }),
        after(
            "contact",
            |world| world.carol_says("I have sold them all"),
            |_| Command::Accept { name: "carol".to_owned() },
        ),
        alone("contact", |world| Command::Add { link: world.link_of_carol() }),
        after("contact", World::carol_loses_her_key, |world| Command::Trust {
            name: "carol".to_owned(),
            fingerprint: world.new_key_of_carol(),
        }),
        alone("queued", |_| Command::Leave { room: "#garden".to_owned() }),
        alone("bot", |_| Command::BotAdd {
            name: "dice".to_owned(),
            conversations: vec!["#garden".to_owned()],
            read_only: false,
        }),
        alone("bot", |_| Command::Bots),
        alone("done", |_| Command::BotRemove { name: "dice".to_owned() }),
        alone("device", |_| Command::Devices),
        alone("device", |world| {
            let (request, code) = world.request_of_a_device();
            Command::DeviceAdd { request, code: Some(code), timeout_ms: 0 }
        }),
        alone("done", |_| Command::DeviceRevoke { device: 2 }),
        alone("check", |_| Command::Doctor),
        after(
            "message",
            |world| world.bob_says("are you there?"),
            |_| Command::Recv { from: None, limit: None, follow: false, timeout_ms: 30_000 },
        ),
        // The last of all: nothing is asked of the relay after that.
        alone("done", |_| Command::Unregister { name: "alice".to_owned() }),
    ]
}

/// Those that nobody asks for, in any face; `ways.rs` says why.
pub(super) fn nobodys() -> Vec<Command> {
    vec![
        Command::Register { invite: None },
        Command::DeviceLink { timeout_ms: 0 },
        Command::Subscribe,
        Command::Typing { to: bob(), on: true },
        Command::BotCheck { token: String::new() },
        Command::Stop,
    ]
}
