//! What a conversation in line mode knows: where typed text goes, what was said already, whom one may believe.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::io::Write as _;
use std::time::Instant;

use super::{give, is_end};
use crate::api::{Command, Error, ErrorCode, Event, Kind, Message, Shown, State, Trust};
use crate::face::notify::Notifier;
use crate::face::screen::Screen;
use crate::face::slash::{self, ENTRIES, Entry, Here, LOBBY, Meaning, PATIENCE_MS};
use crate::face::{Stop, columns, plain};
use crate::holder::Session;

/// Messages remembered, so that none is shown twice.
const REMEMBERED: usize = 4096;

/// Prints whole lines, in whichever way the input allows.
pub(super) type Printer = Box<dyn Fn(&Shown) -> Result<(), Stop> + Send>;

/// Whether the conversation goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Stay,
    Leave,
    Lock,
}

/// What an answer belongs to.
#[derive(Clone, Copy)]
enum Asked {
    /// Told, but not shown: names for completion, the mailbox's messages.
    Silent,
    /// The relay's rooms, to be completed; without the relay there are none.
    Rooms,
    /// A message on its way to the outbox.
    Send,
    /// A file on its way; how far it is, everybody is told.
    File,
    /// Shown as it comes.
    Shown,
    /// Messages that were looked for: shown whether they were shown before or not.
    Found,
    /// How much is queued.
    Queue,
}

pub(super) struct Talk {
    screen: Screen,
    print: Printer,
    place: String,
    trust: HashMap<String, Trust>,
    rooms: BTreeSet<String>,
    asked: HashMap<u64, Asked>,
    seen: HashSet<String>,
    order: VecDeque<String>,
    own: HashSet<String>,
    /// Messages of one's own, until it is known which of them were typed here.
    held: Vec<Event>,
    /// The safety number shown last, and whose.
    number: Option<(String, String)>,
    queued: Option<u32>,
    /// The last message of somebody else, by conversation.
    last: HashMap<String, String>,
    /// Conversations that draw no attention.
    muted: HashSet<String>,
    notifier: Option<Notifier>,
}

impl Talk {
    pub(super) fn new(screen: Screen, print: Printer) -> Self {
        Self {
            screen,
            print,
            place: LOBBY.to_owned(),
            trust: HashMap::new(),
            rooms: BTreeSet::from([LOBBY.to_owned()]),
            asked: HashMap::new(),
            seen: HashSet::new(),
            order: VecDeque::new(),
            own: HashSet::new(),
            held: Vec::new(),
            number: None,
            queued: None,
            last: HashMap::new(),
            muted: HashSet::new(),
            notifier: None,
        }
    }

    /// From now on the desktop is told of messages.
    pub(super) fn notify_with(&mut self, notifier: Notifier) {
        self.notifier = Some(notifier);
    }

    /// Tells the desktop that somebody has written; nobody knows whether the terminal is looked at, but the terminal.
    fn notify(&mut self, message: &Message) {
        let Some(notifier) = &mut self.notifier else { return };
        let muted = self.muted.contains(&message.conversation);
        if let Some(notice) = notifier.about(message, muted, Instant::now()) {
            // It moves no cursor, so that it tears no line that is being typed.
            let mut out = std::io::stdout().lock();
            let _ = out.write_all(notice.as_bytes()).and_then(|()| out.flush());
        }
    }

    /// From now on lines are printed this way.
    pub(super) fn print_with(&mut self, print: Printer) {
        self.print = print;
    }

    /// Subscribes with a holder; also with the next one, when the last has gone.
    pub(super) async fn begin(&mut self, session: &mut Session) -> Result<(), Stop> {
        self.asked.clear();
        let recv = Command::Recv { from: None, limit: None, follow: true, timeout_ms: PATIENCE_MS };
        for command in [Command::Subscribe, Command::Contacts, recv] {
            if let Some(id) = give(session, command).await {
                self.asked.insert(id, Asked::Silent);
            }
        }
        self.ask(session, Command::Rooms, Asked::Rooms).await;
        if self.notifier.is_some() {
            // Which of them draw no attention.
            self.ask(session, Command::Conversations, Asked::Silent).await;
        }
        Ok(())
    }

    /// Whether the next line may be taken: what was typed before is stored.
    pub(super) fn ready(&self) -> bool {
        !self.asked.values().any(|asked| matches!(asked, Asked::Send))
    }

    /// Messages that have not gone out; `None` while that is not known.
    pub(super) fn queued(&self) -> Option<u32> {
        let moves = self.asked.values().any(|asked| matches!(asked, Asked::File));
        if self.ready() && !moves { self.queued } else { None }
    }

    pub(super) async fn ask_status(&mut self, session: &mut Session) -> Result<(), Stop> {
        if !self.asked.values().any(|asked| matches!(asked, Asked::Queue)) {
            self.ask(session, Command::Status, Asked::Queue).await;
        }
        Ok(())
    }

    /// `@bob E2E verified` or `#lobby PUBLIC`: where typed text goes.
    pub(super) fn prompt(&self) -> Shown {
        let place = plain::said(&self.place);
        match self.place.strip_prefix('@') {
            Some(name) => {
                let trust = self.trust.get(name).map_or("", |trust| trust.words());
                format!("{place} {} {trust}", plain::privacy(&self.place)).trim_end().into()
            }
            None => format!("{place} {}", plain::privacy(&self.place)).into(),
        }
    }

    /// What can be completed: commands, names, rooms.
    pub(super) fn words(&self) -> Vec<Shown> {
        let commands = ENTRIES.iter().flat_map(|entry| entry.names).map(|name| Shown::from(format!("/{name}")));
        let names = self.trust.keys().flat_map(|name| [plain::said(name), plain::account(name)]);
        let rooms = self.rooms.iter().map(|room| plain::said(room));
        commands.chain(names).chain(rooms).collect()
    }

    /// A line was typed.
    pub(super) async fn typed(&mut self, session: &mut Session, line: &str) -> Result<Next, Stop> {
        let here = Here {
            place: &self.place,
            last: self.last.get(&self.place).map(String::as_str),
            number: self.number.as_ref().map(|(name, number)| (name.as_str(), number.as_str())),
        };
        let command = match slash::understand(line, here) {
            Ok(Meaning::Command(command)) => command,
            Ok(Meaning::Nothing) => return Ok(Next::Stay),
            Ok(Meaning::Quit) => return Ok(Next::Leave),
            Ok(Meaning::Lock) => return Ok(Next::Lock),
            Ok(Meaning::Open(place)) => {
                self.open(place)?;
                return Ok(Next::Stay);
            }
            Ok(Meaning::Help(entry)) => {
                self.help(entry)?;
                return Ok(Next::Stay);
            }
            Ok(Meaning::Keys) => {
                self.tell(KEYS)?;
                return Ok(Next::Stay);
            }
            Err(error) => {
                self.show(&Event::Error(error))?;
                return Ok(Next::Stay);
            }
        };
        if let Command::Join { room } = &command {
            self.open(room.clone())?;
        }
        let asked = match &command {
            Command::History { .. } | Command::Search { .. } => Asked::Found,
            Command::SendFile { .. } | Command::Get { .. } => {
                self.queued = None;
                Asked::File
            }
            command if queues(command) => {
                self.queued = None;
                Asked::Send
            }
            _ => Asked::Shown,
        };
        self.ask(session, command, asked).await;
        Ok(Next::Stay)
    }

    /// Nobody would be asked for the passphrase.
    pub(super) fn locks_nothing(&self) -> Result<(), Stop> {
        let error = Error::new(ErrorCode::Usage, "nothing is locked")
            .because("the passphrase was not typed, this is no terminal, or --lock off");
        self.show(&Event::Error(error.advise("/quit")))
    }

    /// Something was told.
    pub(super) fn heard(&mut self, re: Option<u64>, event: &Event) -> Result<(), Stop> {
        self.learn(event);
        if is_end(event) {
            re.and_then(|re| self.asked.remove(&re));
            return self.release();
        }
        let asked = re.and_then(|re| self.asked.get(&re).copied());
        match (asked, event) {
            (Some(Asked::Found), Event::Message(message)) => {
                let _ = self.is_new(&message.id, "");
                self.show(event)
            }
            (_, Event::Message(message)) => {
                if message.state != State::Received && !self.ready() {
                    self.held.push(event.clone());
                    return Ok(());
                }
                if self.own.contains(&message.id) && !self.screen.json {
                    return Ok(());
                }
                if !self.is_new(&message.id, "") {
                    return Ok(());
                }
                // What waited is no news: whoever opens this is there.
                if re.is_none() {
                    self.notify(message);
                }
                self.show(event)
            }
            (_, Event::State { id, state, .. }) => {
                let said = self.screen.json || self.own.contains(id) && *state != State::Queued;
                if said && self.is_new(id, &format!("{state:?}")) { self.show(event) } else { Ok(()) }
            }
            (Some(Asked::Send), Event::Queued { id, .. }) => {
                self.own.insert(id.clone());
                // Stored: the next line may be taken.
                if let Some(re) = re {
                    self.asked.insert(re, Asked::Shown);
                }
                if self.screen.json {
                    self.show(event)?;
                }
                self.release()
            }
            (Some(Asked::File), Event::Progress(_)) => Ok(()),
            // A line for each tenth.
            (None, Event::Progress(file)) if !self.screen.json => {
                let tenth = (file.done.saturating_mul(10)).checked_div(file.size).unwrap_or_default();
                if self.is_new(&file.id, &format!("{:?} {tenth}", file.state)) { self.show(event) } else { Ok(()) }
            }
            (Some(Asked::Queue), Event::Status { .. }) | (_, Event::Taken | Event::Queued { .. }) => Ok(()),
            (Some(Asked::Silent), Event::Contact { .. } | Event::Room { .. } | Event::Conversation { .. })
            | (Some(Asked::Rooms), _) => Ok(()),
            // Another face has read or muted something.
            (None, Event::Conversation { .. }) if !self.screen.json => Ok(()),
            (_, Event::Done) if !self.screen.json => Ok(()),
            (_, Event::KeyChanged { name, new, .. }) if !self.is_new(name, new) => Ok(()),
            (_, Event::Notice { id, .. }) if !self.is_new(id, "") => Ok(()),
            // It answers a command that is over.
            (None, Event::Error(_)) if re.is_some() => Ok(()),
            _ => self.show(event),
        }
    }

    /// Shows what was held back, except what was typed here.
    fn release(&mut self) -> Result<(), Stop> {
        if !self.ready() {
            return Ok(());
        }
        std::mem::take(&mut self.held).iter().try_for_each(|event| self.heard(None, event))
    }

    /// Keeps what is needed later.
    fn learn(&mut self, event: &Event) {
        let bare = |name: &str| name.trim_start_matches('@').to_owned();
        match event {
            Event::Contact { name, trust, .. } => {
                self.trust.insert(bare(name), *trust);
            }
            Event::Message(message) => {
                if message.state == State::Received {
                    self.trust.insert(bare(&message.from), message.trust);
                }
                let said = matches!(message.kind, Kind::Text | Kind::Reply | Kind::File);
                if message.state == State::Received && said {
                    self.last.insert(message.conversation.clone(), message.id.clone());
                }
                if message.conversation.starts_with('#') {
                    self.rooms.insert(message.conversation.clone());
                }
            }
            Event::Conversation { name, muted: true, .. } => drop(self.muted.insert(name.clone())),
            Event::Conversation { name, .. } => drop(self.muted.remove(name)),
            Event::KeyChanged { name, .. } => {
                self.trust.insert(bare(name), Trust::KeyChanged);
            }
            Event::Room { name, .. } => {
                self.rooms.insert(name.clone());
            }
            Event::Safety { name, number, trust, .. } => {
                self.number = Some((bare(name), number.clone()));
                self.trust.insert(bare(name), *trust);
            }
            Event::Status { queued, .. } => self.queued = Some(*queued),
            _ => {}
        }
    }

    async fn ask(&mut self, session: &mut Session, command: Command, asked: Asked) {
        if let Some(id) = give(session, command).await {
            self.asked.insert(id, asked);
        }
    }

    fn open(&mut self, place: String) -> Result<(), Stop> {
        self.place = place;
        let words = format!("--- {} ---", self.prompt());
        self.tell(words)
    }

    fn is_new(&mut self, id: &str, what: &str) -> bool {
        let key = format!("{id} {what}");
        if !self.seen.insert(key.clone()) {
            return false;
        }
        self.order.push_back(key);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        true
    }

    fn show(&self, event: &Event) -> Result<(), Stop> {
        // In a pipe errors are no data; on a terminal all is one conversation.
        if let Event::Error(error) = event
            && !self.screen.terminal
        {
            self.screen.complain(error);
            return Ok(());
        }
        match self.screen.line(event) {
            Some(line) if matches!(event, Event::Message(_)) => (self.print)(&self.broken(line)),
            Some(line) => (self.print)(&line),
            None => Ok(()),
        }
    }

    /// On a terminal, what is longer than a line is broken between words.
    fn broken(&self, line: Shown) -> Shown {
        match crossterm::terminal::size() {
            Ok((columns @ 16.., _)) if self.screen.terminal && !self.screen.json => {
                columns::indented(&line, usize::from(columns)).into()
            }
            _ => line,
        }
    }

    /// Words for people; a program hears events only.
    fn tell(&self, text: impl Into<Shown>) -> Result<(), Stop> {
        if self.screen.json { Ok(()) } else { (self.print)(&text.into()) }
    }

    fn help(&self, entry: Option<&'static Entry>) -> Result<(), Stop> {
        match entry {
            Some(entry) => self.tell(entry.described()),
            None => {
                let all: Vec<String> = ENTRIES.iter().map(Entry::described).collect();
                self.tell(format!("{}\nAnything else is sent to {}.", all.join("\n"), plain::said(&self.place)))
            }
        }
    }
}

/// Whether a command puts something into the outbox.
fn queues(command: &Command) -> bool {
    matches!(
        command,
        Command::Send { .. }
            | Command::Reply { .. }
            | Command::React { .. }
            | Command::Edit { .. }
            | Command::Delete { .. }
            | Command::Expire { .. }
            | Command::Topic { text: Some(_), .. }
            | Command::Kick { .. }
            | Command::Ban { .. }
            | Command::Unban { .. }
    )
}

const KEYS: &str = "Enter sends. Up and Down go through what was typed. Tab completes commands, names and rooms.\n\
    Alt-Enter starts a new line. Ctrl-C and Ctrl-D leave.";

#[cfg(test)]
#[path = "talk_tests.rs"]
mod tests;
