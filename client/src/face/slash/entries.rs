//! Every command that can be typed, as `/help` shows it.

/// A command as `/help` shows it.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its names, the first one is its own.
    pub names: &'static [&'static str],
    /// What follows.
    pub arguments: &'static str,
    /// What it does.
    pub does: &'static str,
}

/// Every command.
pub const ENTRIES: &[Entry] = &[
    Entry {
        names: &["dm", "msg"],
        arguments: "NAME [TEXT]",
        does: "write to somebody, end-to-end encrypted; without TEXT, open the conversation",
    },
    Entry { names: &["query"], arguments: "NAME", does: "open the conversation with somebody" },
    Entry { names: &["join"], arguments: "#ROOM", does: "become a member of a public room, and open it" },
    Entry { names: &["part"], arguments: "[#ROOM]", does: "leave a room" },
    Entry { names: &["rooms", "list"], arguments: "", does: "list the relay's rooms" },
    Entry { names: &["who", "names"], arguments: "[#ROOM]", does: "list the members of a room" },
    Entry {
        names: &["topic"],
        arguments: "[#ROOM] [TEXT]",
        does: "show what a room is about; with TEXT, say it, in a room that you made; - takes it away",
    },
    Entry {
        names: &["kick"],
        arguments: "[#ROOM] NAME [WHY]",
        does: "put somebody out of a room that you made; everybody reads why",
    },
    Entry { names: &["ban"], arguments: "[#ROOM] NAME [WHY]", does: "the same, and keep them out" },
    Entry { names: &["unban"], arguments: "[#ROOM] NAME [WHY]", does: "let them in again" },
    Entry {
        names: &["whois"],
        arguments: "[NAME]",
        does: "show what is known of somebody: key, label, rooms, since when",
    },
    Entry {
        names: &["alias"],
        arguments: "NAME LABEL",
        does: "give somebody a label that nobody else sees; - takes it away",
    },
    Entry {
        names: &["nick"],
        arguments: "TEXT",
        does: "say in your rooms what you want to be called, beside your name; - takes it away",
    },
    Entry { names: &["away"], arguments: "[TEXT]", does: "say in your rooms that you are away; without TEXT, back" },
    Entry {
        names: &["verify"],
        arguments: "[NAME|ok]",
        does: "show the safety number with somebody; `ok` after you compared it and it is equal",
    },
    Entry { names: &["trust"], arguments: "NAME FINGERPRINT", does: "accept a changed key" },
    Entry { names: &["block"], arguments: "NAME", does: "show nothing more of somebody" },
    Entry { names: &["unblock"], arguments: "NAME", does: "take /block back" },
    Entry { names: &["me"], arguments: "TEXT", does: "say what you do: /me waves" },
    Entry {
        names: &["reply"],
        arguments: "[ID] TEXT",
        does: "answer a message; without ID, the last one that somebody else wrote here",
    },
    Entry {
        names: &["edit"],
        arguments: "[ID] TEXT",
        does: "replace the text of a message of yours; without ID, of your last one here",
    },
    Entry {
        names: &["delete"],
        arguments: "[ID]",
        does: "take a message of yours back, or anybody's in a room that you made; without ID, your last one here",
    },
    Entry {
        names: &["react"],
        arguments: "[ID] EMOJI",
        does: "react to a message; without ID, to the last one that somebody else wrote here; - takes it back",
    },
    Entry { names: &["file"], arguments: "PATH", does: "send a file to the person here, sealed" },
    Entry {
        names: &["get"],
        arguments: "[ID [PATH]]",
        does: "fetch a file; without ID, the newest here that was not fetched",
    },
    Entry { names: &["files"], arguments: "", does: "list files that were sent or came" },
    Entry { names: &["cancel"], arguments: "ID", does: "end a file that is on its way" },
    Entry { names: &["accept"], arguments: "[NAME]", does: "accept a stranger who has written to you" },
    Entry { names: &["refuse"], arguments: "[NAME]", does: "delete what a stranger has written to you" },
    Entry { names: &["mute"], arguments: "[NAME|#ROOM]", does: "let a conversation draw no attention" },
    Entry { names: &["unmute"], arguments: "[NAME|#ROOM]", does: "take /mute back" },
    Entry {
        names: &["expire"],
        arguments: "DUR|off",
        does: "delete messages here, on both sides, so long after they were read: 30s, 1h, 7d",
    },
    Entry {
        names: &["settings"],
        arguments: "[read-receipts|typing on|off]",
        does: "show or change what the people you accepted learn of you",
    },
    Entry { names: &["link"], arguments: "", does: "show your contact link, to give to people in person" },
    Entry { names: &["add"], arguments: "LINK", does: "add somebody by the link they gave you" },
    Entry { names: &["contacts"], arguments: "", does: "list everybody you know, with their keys" },
    Entry { names: &["history"], arguments: "[N]", does: "show the last messages here: 20 of them, or N" },
    Entry { names: &["read"], arguments: "[NAME|#ROOM]", does: "mark a conversation as read" },
    Entry { names: &["draft"], arguments: "[TEXT]", does: "keep TEXT for later; without TEXT, forget it" },
    Entry {
        names: &["bot"],
        arguments: "list|add NAME CONVERSATION...|remove NAME",
        does: "programs that may speak for you; `add` shows a token, once, for @name and #room",
    },
    Entry { names: &["chats"], arguments: "", does: "list conversations, with what is unread" },
    Entry { names: &["search"], arguments: "WORDS", does: "find messages by their words" },
    Entry { names: &["status"], arguments: "", does: "connection, transport and queue" },
    Entry { names: &["doctor"], arguments: "", does: "check that everything works; it names nobody" },
    Entry { names: &["devices"], arguments: "", does: "list your own devices" },
    Entry {
        names: &["device"],
        arguments: "add REQUEST CODE|revoke NUMBER",
        does: "let another machine be you, as `sealpost device link` asks there, or end that",
    },
    Entry {
        names: &["unregister"],
        arguments: "NAME",
        does: "delete your account at the relay, for good; NAME is your own",
    },
    Entry { names: &["help"], arguments: "[COMMAND]", does: "this list" },
    Entry { names: &["keys"], arguments: "", does: "what the keys do" },
    Entry { names: &["lock"], arguments: "", does: "forget what is shown, and ask for the passphrase" },
    Entry { names: &["quit"], arguments: "", does: "leave; Ctrl-D does too" },
];

impl Entry {
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        ENTRIES.iter().find(|entry| entry.names.contains(&name))
    }

    /// What it is called and does, on one line.
    pub fn described(&self) -> String {
        let also: Vec<String> = self.names.iter().skip(1).map(|name| format!("/{name}")).collect();
        let also = if also.is_empty() { String::new() } else { format!(" (also {})", also.join(", ")) };
        format!("{:<26} {}{also}", self.usage(), self.does)
    }

    /// `/dm NAME [TEXT]`
    pub fn usage(&self) -> String {
        let name = self.names.first().copied().unwrap_or_default();
        if self.arguments.is_empty() { format!("/{name}") } else { format!("/{name} {}", self.arguments) }
    }
}
