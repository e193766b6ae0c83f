//! What a program's token allows: which commands, and what it hears of.

use crate::api::{Bot, Command, Event};

/// What a command needs.
enum Needs<'a> {
    /// A token, whichever.
    Any,
    /// A token for this conversation; to write in it, one that is not read-only.
    Place { conversation: &'a str, writes: bool },
    /// A token for everything.
    All { writes: bool },
    /// It is the person's own to give.
    Person,
}

fn needs(command: &Command) -> Needs<'_> {
    let place = |conversation, writes| Needs::Place { conversation, writes };
    match command {
        Command::Me | Command::Status | Command::Subscribe => Needs::Any,
        Command::Send { to, .. } | Command::Typing { to, .. } | Command::Expire { with: to, .. } => place(to, true),
        Command::Search { with: Some(with), .. } => place(with, false),
        Command::Recv { from: Some(from), .. } => place(from, false),
        Command::History { with, .. } => place(with, false),
        Command::Read { with, .. } | Command::Mute { with, .. } | Command::Draft { with, .. } => place(with, true),
        // An id alone may lie anywhere.
        Command::Edit { within: Some(within), .. } | Command::Delete { within: Some(within), .. } => {
            place(within, true)
        }
        Command::Topic { room, text: None } => place(room, false),
        Command::Topic { room, .. }
        | Command::Kick { room, .. }
        | Command::Ban { room, .. }
        | Command::Unban { room, .. } => place(room, true),
        Command::Whois { name } => place(name, false),
        Command::Verify { name: Some(name), mark: None } => place(name, false),
        Command::Who { room } => place(room.as_deref().unwrap_or("#lobby"), false),
        Command::Recv { from: None, .. }
        | Command::Contacts
        | Command::Rooms
        | Command::Conversations
        | Command::Files => Needs::All { writes: false },
        Command::Verify { name: None, .. } => Needs::All { writes: false },
        Command::Register { .. } | Command::Unregister { .. } | Command::Stop => Needs::Person,
        Command::DeviceAdd { .. } | Command::DeviceRevoke { .. } | Command::DeviceLink { .. } => Needs::Person,
        Command::BotAdd { .. } | Command::Bots | Command::BotRemove { .. } | Command::BotCheck { .. } => Needs::Person,
        // What sends and saves files names paths of this machine: it reaches further than a conversation.
        _ => Needs::All { writes: true },
    }
}

fn named(bot: &Bot, conversation: &str) -> bool {
    let marked = conversation.starts_with(['@', '#']);
    bot.conversations.is_empty()
        || bot.conversations.iter().any(|one| {
            if marked { one == conversation } else { one.strip_prefix('@').is_some_and(|name| name == conversation) }
        })
}

/// Whether the token allows it.
///
/// # Errors
/// What the token lacks, in words.
pub fn allow(bot: &Bot, command: &Command) -> Result<(), String> {
    let (there, writes) = match needs(command) {
        Needs::Any => (true, false),
        Needs::Place { conversation, writes } => (named(bot, conversation), writes),
        Needs::All { writes } => (bot.conversations.is_empty(), writes),
        Needs::Person => return Err("this is not for programs; use the command line".to_owned()),
    };
    if !there {
        return Err(format!("the token of {} is for {} alone", bot.name, bot.conversations.join(" and ")));
    }
    if writes && bot.read_only {
        return Err(format!("the token of {} only reads", bot.name));
    }
    Ok(())
}

/// Whether it hears of what happened by itself.
pub(super) fn hears(bot: &Bot, event: &Event) -> bool {
    match event {
        Event::Message(message) => named(bot, &message.conversation),
        Event::Queued { conversation, .. } | Event::State { conversation, .. } | Event::Gap { conversation, .. } => {
            named(bot, conversation)
        }
        Event::KeyChanged { name, .. } | Event::NewDevice { name, .. } | Event::Restored { name: Some(name) } => {
            named(bot, name)
        }
        Event::Presence { room, .. } => named(bot, room),
        Event::About { conversation, .. } => named(bot, conversation),
        Event::Conversation { name, .. } => named(bot, name),
        Event::Typing { conversation, .. } => named(bot, conversation),
        Event::Refused { conversation: Some(conversation), .. } => named(bot, conversation),
        Event::Connection { .. } => true,
        _ => bot.conversations.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::{allow, hears};
    use crate::api::{Bot, Command, Event, State, Wait};

    fn bot(conversations: &[&str], read_only: bool) -> Bot {
        let conversations = conversations.iter().map(|one| (*one).to_owned()).collect();
        Bot { name: "dice".to_owned(), conversations, read_only, token: None }
    }

    fn send(to: &str) -> Command {
        Command::Send { to: to.to_owned(), text: "hi".to_owned(), wait: Wait::Sent, timeout_ms: 1, expire: None }
    }

    /// A token for a room and a person opens nothing else, however the name is spelled.
    #[test]
    fn a_token_opens_what_it_names() {
        let bot = bot(&["#games", "@bob"], false);
        for to in ["#games", "bob", "@bob"] {
            allow(&bot, &send(to)).unwrap();
            let within = Some(to.to_owned());
            allow(&bot, &Command::Delete { id: None, within }).unwrap();
        }
        allow(&bot, &Command::Delete { id: Some("0123".to_owned()), within: None }).unwrap_err();
        for to in ["#lobby", "carol", "@games", "games", "#bob", "@@bob", ""] {
            allow(&bot, &send(to)).unwrap_err();
        }
        let recv = |from: Option<&str>| Command::Recv {
            from: from.map(str::to_owned),
            limit: None,
            follow: false,
            timeout_ms: 0,
        };
        allow(&bot, &recv(Some("bob"))).unwrap();
        let file = Command::SendFile {
            to: "bob".to_owned(),
            path: "/etc/passwd".to_owned(),
            wait: Wait::Sent,
            timeout_ms: 1,
            expire: None,
        };
        let block = Command::Block { name: "bob".to_owned() };
        for command in [recv(None), Command::Contacts, Command::Rooms, block, file] {
            allow(&bot, &command).unwrap_err();
        }
    }

    /// What only reads can't write, and nobody but the person makes tokens or stops the holder.
    #[test]
    fn a_token_gives_no_more_than_it_says() {
        let reader = bot(&[], true);
        allow(&reader, &Command::Contacts).unwrap();
        allow(&reader, &send("bob")).unwrap_err();
        allow(&reader, &Command::Block { name: "bob".to_owned() }).unwrap_err();
        let all = bot(&[], false);
        allow(&all, &Command::Block { name: "bob".to_owned() }).unwrap();
        let more = Command::BotAdd { name: "me".to_owned(), conversations: Vec::new(), read_only: false };
        for command in [Command::Stop, Command::Bots, more, Command::Register { invite: None }] {
            allow(&all, &command).unwrap_err();
        }
    }

    /// What happens elsewhere is not heard of.
    #[test]
    fn a_program_hears_of_its_conversations() {
        let bot = bot(&["#games"], false);
        let state = |conversation: &str| Event::State {
            id: "00".to_owned(),
            conversation: conversation.to_owned(),
            state: State::Sent,
        };
        assert!(hears(&bot, &state("#games")));
        assert!(!hears(&bot, &state("@bob")));
        let changed = Event::KeyChanged { name: "bob".to_owned(), old: String::new(), new: String::new() };
        assert!(!hears(&bot, &changed));
        assert!(hears(&self::bot(&["@bob"], true), &changed));
        assert!(!hears(&bot, &Event::BotRemoved { name: "other".to_owned() }));
    }
}
