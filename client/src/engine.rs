//! The engine: everything that a client does, without socket, clock or dice.
//!
//! Commands and what the link heard go in; requests and events come out. Each call is one transaction: what it makes
//! visible to `poll_*` is committed before.

mod account;
mod bots;
mod change;
mod command;
mod content;
mod conversations;
mod devices;
mod doctor;
mod dropped;
mod expiry;
mod files;
mod history;
mod late;
mod leave;
mod moderation;
mod notice;
mod outbox;
mod overtaken;
mod people;
mod posting;
mod posts;
mod prekeys;
mod reading;
mod receive;
mod repair;
mod restore;
mod rooms;
mod say;
mod search;
mod send;
mod sessions;
mod siblings;
mod timers;
mod trust;
mod typing;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sealpost_crypto::CryptoRng;
use sealpost_crypto::identity::DeviceSecret;
use sealpost_crypto::vault::Vault;
use sealpost_spec::account::{AccountKey, DeviceList, Name};
use sealpost_spec::mailbox::{DeliveryToken, Push};
use sealpost_spec::relay::{Answer, Refusal, RelayHello, Request};
use sealpost_spec::room::RoomName;

use crate::api::{Command, Error, Event};
use crate::store::account::{Choices, Leaving, Own, Prekeys, Restoring};
use crate::store::changes::Conversation;
use crate::store::files::FileKey;
use crate::store::people::{Acquaintance, Contact, Peer, PeerId, Persona};
use crate::store::rooms::{Room, Rule};
use crate::store::search::Index;
use crate::store::{Profile, Rows, StoreError, Stored};
pub use files::{FileJob, FileNews, FileOrder, FileTrouble, Stamp};
use timers::Timer;

/// A day, in milliseconds.
const DAY: u64 = 24 * 60 * 60 * 1_000;
/// Most sessions with a device of somebody else.
pub(crate) const MAX_SESSIONS: usize = 4;

/// Names a command until its [`Event::End`]; chosen by whoever gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId(pub u64);

/// Names a request until its answer; chosen by the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// What the engine wants done on the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transmit {
    /// A request on the authenticated link. Login and registration are requests like others.
    Authenticated {
        /// Comes back with the answer.
        id: RequestId,
        /// The request.
        request: Request,
    },
    /// A request on the anonymous link of this recipient; the link does the work that the request costs.
    Anonymous {
        /// Comes back with the answer.
        id: RequestId,
        /// Whose link.
        recipient: Name,
        /// The request.
        request: Request,
    },
    /// Something to do with a file: not for the links, but for whoever moves files beside them.
    File(FileOrder),
    /// Open the authenticated link, and go on trying with growing pauses.
    Connect,
    /// Close all links and stay offline until the next [`Transmit::Connect`].
    Disconnect,
}

/// What the link tells the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// The authenticated link is open; nobody is logged in yet.
    Connected {
        /// The relay's hello.
        hello: RelayHello,
        /// The relay's public key, whose hash the address pins and TLS proved.
        relay: [u8; 32],
        /// RFC 9266 exporter.
        channel: [u8; 32],
        /// `tls1.3 X25519MLKEM768`.
        transport: String,
    },
    /// The authenticated link is closed, or could not be opened. Requests on it were failed before, one by one.
    Disconnected(Failure),
    /// The relay pushed something.
    Push(Push),
    /// A request, on either kind of link, came to its end.
    Answer {
        /// Which.
        id: RequestId,
        /// How.
        result: Result<Answer, Failure>,
    },
    /// What became of an order for a file.
    File {
        /// Which order.
        job: FileJob,
        /// What.
        news: FileNews,
    },
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The relay says no.
    Refused(Refusal),
    /// It never left: no link could be opened.
    Unreachable(String),
    /// The relay's key is not the pinned one.
    WrongRelay,
    /// It may have arrived or not: the link broke, or the answer did not come in time.
    Unknown,
}

/// One person's client.
///
/// Events that answer a command carry its number. What everybody may want to know (a message, a message that came
/// further, a changed key) is told once more without a number: that is what a holder gives to those who subscribed.
pub struct Engine {
    profile: Profile,
    /// Unix milliseconds, of the call under way; never falls.
    now: u64,
    /// How many calls are open in the transaction under way.
    depth: u32,
    poison: Option<Error>,

    own: Own,
    own_touched: bool,
    leaving: Option<Leaving>,
    restoring: Option<Restoring>,
    siblings: siblings::Siblings,
    prekeys: Prekeys,
    /// The relay's one-time keys are another copy's.
    restock: bool,
    secret: DeviceSecret,
    contacts: BTreeMap<Name, Contact>,
    contacts_touched: BTreeSet<Name>,
    peers: BTreeMap<PeerId, Peer>,
    peers_touched: BTreeSet<PeerId>,
    rooms: BTreeMap<RoomName, Room>,
    rooms_touched: BTreeSet<RoomName>,
    rules: BTreeMap<RoomName, Rule>,
    /// Accounts of whose dropped devices it is not known yet what they had posted.
    dropped_open: BTreeSet<AccountKey>,
    rules_touched: BTreeSet<RoomName>,
    acquaintances: BTreeMap<Name, Acquaintance>,
    personas: BTreeMap<AccountKey, Persona>,
    conversations: BTreeMap<String, Conversation>,
    conversations_touched: BTreeSet<String>,
    choices: Choices,
    /// Numbers that were read and are not told yet.
    reading: BTreeMap<PeerId, Vec<u64>>,
    typing: typing::Typists,
    /// When somebody's receipt was last seen to confirm what this profile never sent.
    overtaken: BTreeMap<Name, u64>,

    outbox: outbox::Outbox,
    standing: account::Standing,
    fetching: devices::Fetching,
    posting: posting::Posting,
    files: files::Files,
    parked: receive::Parked,
    asked: BTreeMap<RequestId, Asked>,
    last_request: u64,
    waits: BTreeMap<CommandId, command::Waiting>,
    timers: timers::Timers,
    /// What all messages say, while somebody searches.
    index: Option<Index>,

    /// Made by the step under way; released by its commit.
    made: Vec<Transmit>,
    told: Vec<(Option<CommandId>, Event)>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<(Option<CommandId>, Event)>,
}

/// What the relay is offered of the account: by its answer, something newer may stand here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Offer {
    /// The number of the device list.
    number: u64,
    token: DeliveryToken,
}

/// What a request was for.
#[derive(Clone, Debug)]
enum Asked {
    Register(Offer),
    OwnList,
    Login,
    Publish,
    SetToken(DeliveryToken),
    SetDevices(Offer),
    OwnDevices,
    Acknowledge,
    More,
    Bundle(Name),
    Devices(Name),
    Deliver { to: Name, order: u64, token: Option<DeliveryToken> },
    Post { room: RoomName, number: u64 },
    Follow(RoomName),
    Unfollow,
    Unregister { first: bool },
    Rooms(CommandId, Option<RoomName>),
    Members(CommandId, RoomName, Option<Name>),
    Drop(FileKey),
    Room(RoomName),
}

impl Engine {
    /// An engine over an unlocked profile, offline. All randomness comes from `rng`.
    ///
    /// # Errors
    /// The profile can't be read.
    pub fn new(profile: Profile, rng: Box<dyn CryptoRng + Send>) -> Result<Self, Error> {
        profile.rows.throw_with(rng);
        Self::load(profile).map_err(|error| error.told())
    }

    fn load(profile: Profile) -> Stored<Self> {
        let rows = &profile.rows;
        let own = profile.own().clone();
        let secret = rows.device_secret()?.ok_or(StoreError::Sealed)?;
        let prekeys = rows.prekeys()?;
        let restock = rows.restocks()?;
        let leaving = rows.leaving()?;
        let restoring = rows.restoring()?;
        let list = DeviceList::parse(&own.list.body.0).ok();
        let siblings = siblings::Siblings::load(rows, list.as_ref(), own.device.id)?;
        let contacts: BTreeMap<Name, Contact> =
            rows.contacts()?.into_iter().map(|contact| (contact.name.clone(), contact)).collect();
        let peers = rows.peers()?.into_iter().map(|peer| ((peer.account, peer.device.id), peer)).collect();
        let rooms = rows.rooms()?.into_iter().map(|room| (room.name.clone(), room)).collect();
        let rules = rows.rules()?.into_iter().map(|rule| (rule.room.clone(), rule)).collect();
        let open = rows.all_dropped()?.into_iter().filter(|dropped| dropped.open);
        let dropped_open = open.map(|dropped| dropped.account).collect();
        let personas = rows.personas()?.into_iter().map(|persona| (persona.account, persona)).collect();
        let mut acquaintances: BTreeMap<Name, Acquaintance> =
            rows.acquaintances()?.into_iter().map(|known| (known.name.clone(), known)).collect();
        for contact in contacts.values().filter(|contact| contact.name != own.name) {
            let Contact { name, account, verified, .. } = contact;
            // Whom an older version knew: nobody noted since when.
            acquaintances.entry(name.clone()).or_insert_with(|| Acquaintance {
                account: *account,
                verified: *verified,
                ..Acquaintance::new(name.clone())
            });
        }
        let conversations = rows.conversations()?.into_iter().map(|known| (known.name.clone(), known)).collect();
        let choices = rows.choices()?;
        let reading = rows.readings()?.into_iter().map(|reading| (reading.peer, reading.numbers)).collect();
        let outbox = outbox::Outbox::load(rows, own.name.clone())?;
        let mut engine = Self {
            now: 0,
            depth: 0,
            poison: None,
            own,
            own_touched: false,
            leaving,
            restoring,
            siblings,
            prekeys,
            restock,
            secret,
            contacts,
            contacts_touched: BTreeSet::new(),
            peers,
            peers_touched: BTreeSet::new(),
            rooms,
            rooms_touched: BTreeSet::new(),
            rules,
            dropped_open,
            rules_touched: BTreeSet::new(),
            acquaintances,
            personas,
            conversations,
            conversations_touched: BTreeSet::new(),
            choices,
            reading,
            typing: typing::Typists::default(),
            overtaken: BTreeMap::new(),
            outbox,
            standing: account::Standing::default(),
            fetching: devices::Fetching::default(),
            posting: posting::Posting::default(),
            files: files::Files::default(),
            parked: receive::Parked::default(),
            asked: BTreeMap::new(),
            last_request: 0,
            waits: BTreeMap::new(),
            timers: timers::Timers::default(),
            index: None,
            made: Vec::new(),
            told: Vec::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            profile,
        };
        if engine.has_left() {
            engine.standing.reason = leave::LEFT.into();
        }
        if let Some(reason) = engine.siblings.reason() {
            engine.standing.reason = reason.into();
        }
        engine.set_first_timers()?;
        Ok(engine)
    }

    /// Several calls in one commit: all of them or none become visible.
    pub fn together<R>(&mut self, calls: impl FnOnce(&mut Self) -> R) -> R {
        self.enter();
        let result = calls(self);
        self.leave(Ok(()));
        result
    }

    /// Why the engine does nothing any more: a commit failed. Only opening the profile anew helps.
    pub fn poisoned(&self) -> Option<&Error> {
        self.poison.as_ref()
    }

    /// For tests: as [`Profile::into_vault`].
    pub fn into_vault(self) -> Vault {
        self.profile.into_vault()
    }

    /// For tests: lets the profile's disk be full, or no more.
    pub fn fill_disk(&self, full: bool) {
        self.profile.fill(full);
    }

    /// Whether the relay has confirmed the name.
    pub fn registered(&self) -> bool {
        self.is_enrolled()
    }

    /// Takes a command. `now`: Unix milliseconds, here and below.
    pub fn command(&mut self, now: u64, id: CommandId, command: Command) {
        if let Some(error) = &self.poison {
            self.events.push_back((Some(id), Event::Error(error.clone())));
            self.events.push_back((Some(id), Event::End));
            return;
        }
        self.step(now, |engine| engine.begin_command(id, command));
    }

    /// Forgets a command whose giver has gone; what it queued stays queued.
    pub fn cancel(&mut self, id: CommandId) {
        self.waits.remove(&id);
        self.timers.clear(&Timer::Command(id));
    }

    /// Takes what the link heard.
    pub fn handle_link(&mut self, now: u64, event: LinkEvent) {
        self.step(now, |engine| match event {
            LinkEvent::Connected { hello, relay, channel, transport } => {
                engine.connected(hello, relay, channel, transport)
            }
            LinkEvent::Disconnected(failure) => engine.disconnected(failure),
            LinkEvent::Push(Push::Envelope { seq, id, sealed }) => engine.envelope(seq, id, &sealed.0),
            LinkEvent::Push(Push::Post { room, seq, post }) => engine.pushed_post(&room, seq, &post),
            LinkEvent::Push(Push::Notice(notice)) => engine.noticed(notice),
            LinkEvent::Answer { id, result } => engine.answer(id, result),
            LinkEvent::File { job, news } => engine.file_news(job, news),
        });
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: u64) {
        self.step(now, |engine| {
            // What is set by what is due here waits for the next call, so that this one ends.
            for timer in engine.timers.due(engine.now) {
                engine.fire(timer)?;
            }
            Ok(())
        });
    }

    /// The next thing to do on the network.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next event; with the command that it answers, or for everybody.
    pub fn poll_event(&mut self) -> Option<(Option<CommandId>, Event)> {
        self.events.pop_front()
    }

    /// When [`Engine::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<u64> {
        if self.poison.is_some() { None } else { self.timers.next() }
    }

    /// One step: all that it changes is committed at once, and shows only then.
    fn step(&mut self, now: u64, work: impl FnOnce(&mut Self) -> Stored<()>) {
        self.enter();
        if self.poison.is_none() {
            self.now = self.now.max(now);
            let result = work(self);
            self.leave(result);
        } else {
            self.depth -= 1;
        }
    }

    fn enter(&mut self) {
        self.depth += 1;
        if self.depth == 1
            && self.poison.is_none()
            && let Err(error) = self.profile.begin()
        {
            self.fail(&error);
        }
    }

    fn leave(&mut self, result: Stored<()>) {
        self.depth -= 1;
        if self.poison.is_some() {
            return;
        }
        let result = match result {
            Ok(()) if self.depth == 0 => self.settle(),
            other => other,
        };
        if let Err(error) = result {
            self.fail(&error);
        }
    }

    /// Commits the step, then lets the world see it.
    fn settle(&mut self) -> Stored<()> {
        self.join_acknowledgements();
        for name in self.contacts_touched.iter().cloned().collect::<Vec<_>>() {
            self.acquaint(&name)?;
        }
        self.share_decisions()?;
        let rows = &self.profile.rows;
        if std::mem::take(&mut self.own_touched) {
            rows.put_own(&self.own)?;
        }
        for name in std::mem::take(&mut self.contacts_touched) {
            match self.contacts.get(&name) {
                Some(contact) => rows.put_contact(contact)?,
                None => drop(rows.delete_contact(&name)?),
            }
        }
        for id in std::mem::take(&mut self.peers_touched) {
            match self.peers.get(&id) {
                Some(peer) => rows.put_peer(peer)?,
                None => drop(rows.delete_peer(&id)?),
            }
        }
        for name in std::mem::take(&mut self.rooms_touched) {
            if let Some(room) = self.rooms.get(&name) {
                rows.put_room(room)?;
            }
        }
        for name in std::mem::take(&mut self.rules_touched) {
            if let Some(rule) = self.rules.get(&name) {
                rows.put_rule(rule)?;
            }
        }
        for name in std::mem::take(&mut self.conversations_touched) {
            match self.conversations.get(&name) {
                Some(conversation) => rows.put_conversation(conversation)?,
                None => drop(rows.delete_conversation(&name)?),
            }
        }
        self.profile.commit()?;
        self.transmits.extend(self.made.drain(..));
        self.events.extend(self.told.drain(..));
        Ok(())
    }

    /// After a failed commit memory and disk may differ: nothing is done any more, and everybody who waits is told.
    fn fail(&mut self, error: &StoreError) {
        self.profile.roll_back();
        self.made.clear();
        self.told.clear();
        self.transmits.clear();
        self.poison = Some(error.told());
        for id in std::mem::take(&mut self.waits).into_keys() {
            self.events.push_back((Some(id), Event::Error(error.told())));
            self.events.push_back((Some(id), Event::End));
        }
        self.events.push_back((None, Event::Error(error.told())));
    }

    fn rows(&self) -> &Rows {
        &self.profile.rows
    }

    fn own_mut(&mut self) -> &mut Own {
        self.own_touched = true;
        &mut self.own
    }

    fn contact_mut(&mut self, name: &Name) -> Option<&mut Contact> {
        let contact = self.contacts.get_mut(name)?;
        self.contacts_touched.insert(name.clone());
        Some(contact)
    }

    fn peer_mut(&mut self, id: &PeerId) -> Option<&mut Peer> {
        let peer = self.peers.get_mut(id)?;
        self.peers_touched.insert(*id);
        Some(peer)
    }

    fn room_mut(&mut self, name: &RoomName) -> Option<&mut Room> {
        let room = self.rooms.get_mut(name)?;
        self.rooms_touched.insert(name.clone());
        Some(room)
    }

    fn tell(&mut self, id: Option<CommandId>, event: Event) {
        self.told.push((id, event));
    }

    fn transmit(&mut self, transmit: Transmit) {
        self.made.push(transmit);
    }

    /// Asks on the authenticated link.
    fn ask(&mut self, asked: Asked, request: Request) {
        self.last_request += 1;
        let id = RequestId(self.last_request);
        self.asked.insert(id, asked);
        self.transmit(Transmit::Authenticated { id, request });
    }

    /// Asks on an anonymous link.
    fn ask_anonymously(&mut self, asked: Asked, recipient: Name, request: Request) {
        self.last_request += 1;
        let id = RequestId(self.last_request);
        self.asked.insert(id, asked);
        self.transmit(Transmit::Anonymous { id, recipient, request });
    }

    fn answer(&mut self, id: RequestId, result: Result<Answer, Failure>) -> Stored<()> {
        // An answer to nothing: a request of an earlier life of this engine, or a link that errs.
        let Some(asked) = self.asked.remove(&id) else { return Ok(()) };
        match asked {
            Asked::Register(offer) => self.registered_answer(offer, result),
            Asked::OwnList => self.own_list_answer(result),
            Asked::Login => self.login_answer(result),
            Asked::Publish => self.published(result),
            Asked::SetToken(token) => self.token_set(token, &result),
            Asked::SetDevices(offer) => self.set_devices_answer(offer, result),
            Asked::OwnDevices => self.own_devices_answer(result),
            Asked::Unregister { first } => self.unregister_answer(first, result),
            Asked::Acknowledge | Asked::Unfollow => Ok(()),
            Asked::More => self.more_answer(&result),
            Asked::Bundle(name) => self.bundle_answer(&name, result),
            Asked::Devices(name) => self.devices_answer(&name, result),
            Asked::Deliver { to, order, token } => self.delivered(&to, order, token, result),
            Asked::Post { room, number } => self.post_answer(&room, number, result),
            Asked::Follow(room) => self.follow_answer(&room, result).and_then(|()| self.ask_for_more()),
            Asked::Rooms(command, after) => self.rooms_answer(command, after.as_ref(), result),
            Asked::Room(room) => self.room_answer(&room, result).and_then(|()| self.ask_for_more()),
            Asked::Members(command, room, after) => self.members_answer(command, &room, after.as_ref(), result),
            Asked::Drop(key) => self.dropped(&key, &result),
        }
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rows().dice().fill_bytes(&mut bytes);
        bytes
    }
}
