//! What is asked of the engine, and what becomes of its answers.

use super::session::Heard;
use super::unlock::Unlock;
use super::{App, Next, Panel, Stage};
use crate::api::{Command, Event};
use crate::face::plain;
use crate::face::slash::{self, ENTRIES, Here, Meaning};
use crate::face::view::{is_public, own, says};

/// Messages of one page of history.
const PAGE: u32 = 200;

/// How often it is told that one is still typing.
const TYPING: std::time::Duration = std::time::Duration::from_secs(4);

/// What an answer belongs to.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    /// Learnt from, and not shown.
    Silent,
    /// Shown in this conversation as it comes.
    Shown(String),
    /// A message on its way to the outbox: where it was typed, where it goes, what it says.
    Send { place: String, to: String, text: String },
    /// A page of history, as far as it has come.
    Page { of: String, newest: bool, limit: u32, events: Vec<Event> },
    /// A file on its way; how far it is, everybody is told.
    File(String),
    /// A safety number, to be shown.
    Safety,
    /// A safety number that was compared.
    Marked,
    /// Who is in a room.
    Members,
    /// Messages with some words, shown where the search was typed.
    Found(String),
    /// A stranger who is refused.
    Refused(String),
}

impl App {
    /// Something came from the holder of the profile.
    pub(super) fn heard(&mut self, heard: Heard) {
        match heard {
            Heard::Opening => {
                if !matches!(self.stage, Stage::Talking) {
                    self.stage = Stage::Opening;
                }
            }
            Heard::Locked(why) => self.stage = Stage::Locked(Unlock::new(why)),
            Heard::Open => {
                self.stage = Stage::Talking;
                self.begin();
            }
            Heard::Told(number, event) => self.told(number, event),
            Heard::Lost(error) => {
                self.failed = Some(error);
                self.next = Next::Leave;
            }
        }
        self.dirty = true;
    }

    /// A holder is there: the first one, or the next.
    fn begin(&mut self) {
        self.view.begin_anew();
        for (_, asked) in std::mem::take(&mut self.asked) {
            if let Asked::Send { place, text, .. } = asked {
                let words = "error: the process that held the profile has ended; look whether this was sent:";
                self.note(&place, format!("{words}\n{text}"));
            }
        }
        for command in [
            Command::Subscribe,
            Command::Me,
            Command::Contacts,
            Command::Conversations,
            Command::Settings { read_receipts: None, typing: None },
            Command::Files,
        ] {
            self.ask(command, Asked::Silent);
        }
        self.ask_newest();
        for command in [Command::Status, Command::Rooms] {
            self.ask(command, Asked::Silent);
        }
    }

    pub(super) fn ask(&mut self, command: Command, asked: Asked) {
        self.given += 1;
        self.asked.insert(self.given, asked);
        self.out.push((self.given, command));
    }

    /// Shows a conversation: what is stored of it, before anything is asked of the relay.
    pub(super) fn open(&mut self, name: &str) {
        self.keep_draft();
        (self.about, self.selected) = (None, None);
        let unread = self.view.conversation(name).is_some_and(|one| one.unread > 0);
        self.view.open(name);
        self.scroll = 0;
        let draft = self.view.current().draft.clone();
        self.composer.set(&draft);
        if !self.view.current().known || self.view.current().expires() {
            self.ask_newest();
        }
        if unread {
            self.read();
        }
    }

    /// What was typed and not sent stays with its conversation, and in the store.
    pub(super) fn keep_draft(&mut self) {
        if self.about.is_some() || !matches!(self.stage, Stage::Talking) {
            return;
        }
        let text = self.composer.text();
        let conversation = self.view.current_mut();
        if conversation.draft != text {
            conversation.draft.clone_from(&text);
            let with = conversation.name.clone();
            self.ask(Command::Draft { with, text }, Asked::Silent);
        }
    }

    /// Tells the other side that one is typing, where they may learn it; the engine says it no more often than it has to.
    pub(super) fn tell_typing(&mut self) {
        let on = !self.composer.is_empty() && self.about.is_none() && !self.composer.text().starts_with('/');
        let again = on && self.typing.is_none_or(|told| told.elapsed() >= TYPING);
        if !self.view.tells_typing || is_public(self.view.here()) || !(again || !on && self.typing.is_some()) {
            return;
        }
        self.typing = on.then(std::time::Instant::now);
        let to = self.view.here().to_owned();
        self.ask(Command::Typing { to, on }, Asked::Silent);
    }

    /// The newest page of the open conversation, in place of what is known of it.
    pub(super) fn ask_newest(&mut self) {
        let of = self.view.here().to_owned();
        let known = u32::try_from(self.view.current().messages().count()).unwrap_or(u32::MAX);
        let conversation = self.view.current_mut();
        (conversation.asked, conversation.known) = (true, true);
        let limit = known.max(PAGE);
        let command = Command::History { with: of.clone(), limit: Some(limit), before: None };
        self.ask(command, Asked::Page { of, newest: true, limit, events: Vec::new() });
    }

    /// The page before all that is known of the open conversation.
    pub(super) fn ask_older(&mut self) {
        let conversation = self.view.current_mut();
        let oldest = conversation.messages().last().map(|message| message.id.clone());
        let Some(before) = oldest.filter(|_| conversation.more()) else { return };
        conversation.asked = true;
        let of = conversation.name.clone();
        let command = Command::History { with: of.clone(), limit: Some(PAGE), before: Some(before) };
        self.ask(command, Asked::Page { of, newest: false, limit: PAGE, events: Vec::new() });
    }

    /// Something stands in the open conversation: it is read once the person looks at the terminal.
    pub(super) fn seen(&mut self) {
        self.unseen = true;
        self.look(self.looking);
    }

    /// The person looks at the terminal, or no longer.
    pub(super) fn look(&mut self, looking: bool) {
        self.looking = looking;
        if looking && std::mem::take(&mut self.unseen) {
            self.read();
        }
    }

    /// Everything in the open conversation was seen.
    fn read(&mut self) {
        let with = self.view.here().to_owned();
        self.ask(Command::Read { with, through: None }, Asked::Silent);
    }

    /// A line was typed.
    pub(super) fn line(&mut self, line: &str) {
        let place = self.view.here().to_owned();
        let last = self.view.current().messages().find(|message| !own(message) && says(message));
        let here = Here {
            place: &place,
            last: last.map(|message| message.id.as_str()),
            number: self.number.as_ref().map(|(name, number)| (name.as_str(), number.as_str())),
        };
        match slash::understand(line, here) {
            Ok(Meaning::Command(command)) => self.typed(place, command),
            Ok(Meaning::Nothing) => {}
            Ok(Meaning::Quit) => self.next = Next::Leave,
            Ok(Meaning::Lock) => self.next = Next::Lock,
            Ok(Meaning::Open(place)) => self.open(&place),
            Ok(Meaning::Help(Some(entry))) => self.note_here(entry.described()),
            Ok(Meaning::Help(None) | Meaning::Keys) => self.panel = Panel::Help(super::Help::new()),
            Err(error) => self.note_here(plain::error(&error, true).trim_end()),
        }
    }

    /// Asks for what was typed here, with what becomes of the answer.
    fn typed(&mut self, place: String, command: Command) {
        let asked = match &command {
            Command::Send { to, text, .. } => Asked::Send { place, to: to.clone(), text: text.clone() },
            Command::Verify { mark: None, .. } => Asked::Safety,
            Command::Verify { mark: Some(_), .. } => Asked::Marked,
            Command::Refuse { name } => Asked::Refused(format!("@{name}")),
            Command::Search { .. } => Asked::Found(place),
            // It stands on the screen already: it is drawn anew, from what is stored.
            Command::History { .. } => return self.ask_newest(),
            Command::Draft { text, .. } => {
                self.composer.set(text);
                return self.keep_draft();
            }
            Command::Files => return self.files(),
            Command::SendFile { .. } | Command::Get { .. } => Asked::File(place),
            Command::Join { room } => {
                self.open(room);
                Asked::Shown(room.clone())
            }
            _ => Asked::Shown(place),
        };
        self.ask(command, asked);
    }

    /// The number with somebody: whose conversation is open, unless a name was given.
    pub(super) fn verify(&mut self, name: Option<String>) {
        let here = self.view.here().strip_prefix('@').map(str::to_owned);
        self.ask(Command::Verify { name: name.or(here), mark: None }, Asked::Safety);
    }

    /// What can be completed: commands, names, rooms.
    pub(super) fn words(&self) -> Vec<String> {
        let commands = ENTRIES.iter().flat_map(|entry| entry.names).map(|name| format!("/{name}"));
        let people = self.view.people().flat_map(|person| [person.name.clone(), format!("@{}", person.name)]);
        let open = self.view.list().into_iter().map(|one| one.name.clone()).filter(|name| is_public(name));
        commands.chain(people).chain(open).chain(self.rooms.iter().cloned()).collect()
    }
}
