//! Commands: how each begins, what it waits for, how it ends.

use std::collections::BTreeSet;

use sealpost_crypto::identity::fingerprint;
use sealpost_spec::account::{DeviceId, Name};
use sealpost_spec::message::ContentId;
use sealpost_spec::room::{PostId, PostKind, RoomName};

use super::account::Phase;
use super::files::{Get, SendFile};
use super::say::Say;
use super::timers::Timer;
use super::{CommandId, Engine};
use crate::api::{Command, Error, ErrorCode, Event, Kind, State, Wait};
use crate::store::Stored;
use crate::store::files::FileKey;

/// How long a command that needs the relay waits for it, in milliseconds.
const A_WHILE: u64 = 30_000;
/// How long `status` waits for a connection before it tells that there is none, in milliseconds.
const STATUS_WAITS: u64 = 5_000;

/// What a command that has not ended waits for.
#[derive(Debug)]
pub(super) enum Waiting {
    Register,
    Unregister,
    /// To be a device of the account, and to know what the others do.
    Link,
    /// For the relay to have the list, then for the device to have been told everything.
    AddDevice {
        device: DeviceId,
        told: bool,
        /// Until when it is waited for.
        until: u64,
    },
    RevokeDevice,
    Send {
        message: ContentId,
        conversation: String,
        wait: Wait,
    },
    /// A file is to be sent, then to be announced; or to be fetched. Its time begins anew whenever it moves.
    File {
        key: FileKey,
        wait: Wait,
        patience: u64,
    },
    /// For the mailbox to be drained: what is to be fetched may have been announced just now.
    Offer(Get),
    Recv {
        from: Option<String>,
        limit: Option<u32>,
    },
    Follow {
        from: Option<String>,
    },
    Subscribe,
    Verify {
        name: Name,
        mark: Option<String>,
    },
    /// `None`: any post of the room.
    Membership {
        room: RoomName,
        post: Option<PostId>,
    },
    Rooms {
        asked: bool,
    },
    Who {
        room: RoomName,
        asked: bool,
    },
    /// For the directory to say whose key a name has.
    Look {
        name: Name,
        then: Look,
    },
    /// For all of these to be at the relay.
    Posts {
        left: BTreeSet<PostId>,
    },
    Status,
    Doctor,
}

/// What somebody's key is asked for.
#[derive(Clone, Debug)]
pub(super) enum Look {
    Whois,
    Moderate { room: RoomName, kind: PostKind, reason: String },
}

impl Waiting {
    /// Whether it fails at once where the relay can't be reached. What queues something or follows does not.
    pub(super) fn needs_the_relay(&self) -> bool {
        matches!(
            self,
            Self::Register
                | Self::Unregister
                | Self::Offer(_)
                | Self::Verify { .. }
                | Self::Look { .. }
                | Self::Rooms { .. }
                | Self::Who { .. }
                | Self::Status
        )
    }

    /// Whether it fails where the link is given up.
    pub(super) fn ends_with_the_link(&self) -> bool {
        !matches!(self, Self::Send { .. } | Self::Posts { .. } | Self::Subscribe | Self::Doctor)
    }

    pub(super) fn is_about_file(&self, file: &FileKey) -> bool {
        matches!(self, Self::File { key, .. } if key == file)
    }

    pub(super) fn is_about_room(&self, name: &RoomName) -> bool {
        match self {
            Self::Membership { room, .. } => room == name,
            Self::Send { conversation, .. } => *conversation == name.to_string(),
            _ => false,
        }
    }
}

impl Engine {
    pub(super) fn begin_command(&mut self, id: CommandId, command: Command) -> Stored<()> {
        self.tell_notice_to(id, &command)?;
        match command {
            Command::Register { invite } => self.begin_register(id, invite),
            Command::Me => {
                self.tell_me(id);
                self.end(id);
                Ok(())
            }
            Command::Add { link } => self.add(id, &link),
            Command::Send { to, text, wait, timeout_ms, expire } => {
                let until = self.now.saturating_add(timeout_ms);
                self.say(id, &to, Say { expire, ..Say::text(text) }, wait, until)
            }
            Command::Recv { from, limit, follow, timeout_ms } => self.recv(id, from, limit, follow, timeout_ms),
            Command::History { with, limit, before } => self.history(id, &with, limit, before.as_deref()),
            Command::Subscribe => {
                self.waits.insert(id, Waiting::Subscribe);
                if self.is_enrolled() {
                    self.go_online();
                }
                self.resume_files()
            }
            Command::Verify { name, mark } => self.verify(id, name, mark),
            Command::Trust { name, fingerprint } => self.trust(id, &name, &fingerprint),
            Command::Join { room } => self.join(id, &room),
            Command::Leave { room } => self.leave_room(id, &room),
            Command::Topic { room, text } => self.topic(id, &room, text),
            Command::Kick { room, name, reason } => self.moderate(id, PostKind::Kick, &room, &name, reason),
            Command::Ban { room, name, reason } => self.moderate(id, PostKind::Ban, &room, &name, reason),
            Command::Unban { room, name, reason } => self.moderate(id, PostKind::Unban, &room, &name, reason),
            Command::Whois { name } => self.whois(id, &name),
            Command::Alias { name, label } => self.alias(id, &name, label),
            Command::Nick { display } => self.nick(id, &display),
            Command::Away { why } => self.away(id, &why),
            Command::Rooms | Command::Who { .. } if !self.is_enrolled() => self.not_registered(id),
            Command::Rooms => self.list_rooms(id),
            Command::Who { room } => self.who(id, room.as_deref()),
            Command::Contacts => {
                let contacts: Vec<Event> = self.people().map(|contact| self.contact_event(contact)).collect();
                for event in contacts {
                    self.tell(Some(id), event);
                }
                self.end(id);
                Ok(())
            }
            Command::Block { name } => self.block(id, &name, true),
            Command::Unblock { name } => self.block(id, &name, false),
            Command::Conversations => self.list_conversations(id),
            Command::Read { with, through } => self.mark_read(id, &with, through.as_deref()),
            Command::Reply { id: which, text, wait, timeout_ms } => {
                let until = self.now.saturating_add(timeout_ms);
                self.answer_message(id, &which, Kind::Reply, text, wait, until)
            }
            Command::Edit { id: which, within, text } => self.change_own(id, which, within, Some(text)),
            Command::Delete { id: which, within } => self.change_own(id, which, within, None),
            Command::React { id: which, emoji } => self.react(id, &which, emoji),
            Command::Accept { name } => self.accept(id, &name),
            Command::Refuse { name } => self.refuse_stranger(id, &name),
            Command::Mute { with, on } => self.mute(id, &with, on),
            Command::Draft { with, text } => self.keep_draft(id, &with, text),
            Command::Expire { with, seconds } => self.set_timer(id, &with, seconds),
            Command::Typing { to, on } => self.tell_typing(id, &to, on),
            Command::Settings { read_receipts, typing } => self.settings(id, read_receipts, typing),
            Command::Search { words, with, limit } => self.search(id, &words, with.as_deref(), limit),
            Command::SendFile { to, path, wait, timeout_ms, expire } => {
                self.send_file(id, SendFile { to, path, wait, patience: timeout_ms, expire })
            }
            Command::Get { id: which, within, to, keep, timeout_ms } => {
                self.fetch_file(id, Get { id: which, within, to, keep, patience: timeout_ms })
            }
            Command::Files => self.list_files(id),
            Command::Cancel { id: which } => self.cancel_file(id, &which),
            Command::Status => self.status(id),
            Command::Doctor => self.doctor(id),
            Command::Devices => self.list_devices(id),
            Command::DeviceAdd { request, code, timeout_ms } => {
                self.add_device(id, &request, code.as_deref(), timeout_ms)
            }
            Command::DeviceRevoke { device } => self.revoke_device(id, device),
            Command::DeviceLink { timeout_ms } => self.link_device(id, timeout_ms),
            Command::Unregister { name } => self.unregister(id, &name),
            Command::BotAdd { name, conversations, read_only } => self.add_bot(id, &name, conversations, read_only),
            Command::Bots => self.list_bots(id),
            Command::BotRemove { name } => self.remove_bot(id, &name),
            Command::BotCheck { token } => self.check_bot(id, &token),
            // The holder stops; the engine has nothing open that a commit has not ended.
            Command::Stop => {
                self.tell(Some(id), Event::Done);
                self.end(id);
                Ok(())
            }
        }
    }

    fn begin_register(&mut self, id: CommandId, invite: Option<String>) -> Stored<()> {
        if self.has_left() {
            return self.end_with(id, Self::gone());
        }
        if self.siblings.row.linking.is_some() || self.siblings.row.revoked {
            return self.not_registered(id);
        }
        if self.is_enrolled() {
            self.tell_me(id);
            self.end(id);
            return Ok(());
        }
        self.own_mut().registering = Some(invite);
        self.wait_a_while(id, Waiting::Register);
        match self.standing.phase {
            Phase::Open => self.introduce(),
            _ => {
                self.go_online();
                Ok(())
            }
        }
    }

    pub(super) fn tell_me(&mut self, id: CommandId) {
        let event = Event::Me {
            name: self.own.name.to_string(),
            fingerprint: fingerprint(&self.own.account).to_string(),
            link: self.own_link(),
            relay: self.own.relay.clone(),
        };
        self.tell(Some(id), event);
    }

    pub(super) fn not_registered(&mut self, id: CommandId) -> Stored<()> {
        if self.has_left() {
            return self.end_with(id, Self::gone());
        }
        if self.siblings.row.revoked {
            return self.end_with(id, Self::revoked_error());
        }
        if self.siblings.row.linking.is_some() {
            let error = Error::new(ErrorCode::NoProfile, "this machine is no device of the account yet")
                .advise(format!("sealpost device link {}/{}?fp=..., as before", self.own.relay, self.own.name));
            return self.end_with(id, error);
        }
        let error = Error::new(ErrorCode::NoProfile, "this profile is not registered at its relay yet")
            .advise(format!("sealpost register {} {}", self.own.relay, self.own.name));
        self.end_with(id, error)
    }

    fn recv(
        &mut self,
        id: CommandId,
        from: Option<String>,
        limit: Option<u32>,
        follow: bool,
        timeout_ms: u64,
    ) -> Stored<()> {
        let from = from.map(|from| if from.starts_with(['@', '#']) { from } else { format!("@{from}") });
        if self.is_enrolled() {
            self.go_online();
        }
        if follow {
            self.waits.insert(id, Waiting::Follow { from });
            return self.feed_followers();
        }
        if timeout_ms == 0 || self.standing.drained || !self.is_enrolled() {
            self.give_fresh(id, from.as_deref(), limit)?;
            self.end(id);
            return Ok(());
        }
        self.wait(id, Waiting::Recv { from, limit }, self.now.saturating_add(timeout_ms));
        Ok(())
    }

    fn status(&mut self, id: CommandId) -> Stored<()> {
        if self.is_enrolled() {
            self.go_online();
        }
        if matches!(self.standing.phase, Phase::Off | Phase::LoggedIn) {
            self.tell_status(id);
        } else {
            self.wait(id, Waiting::Status, self.now + STATUS_WAITS);
        }
        Ok(())
    }

    fn tell_status(&mut self, id: CommandId) {
        let connection = match self.standing.phase {
            Phase::LoggedIn => "connected".to_owned(),
            Phase::Opening | Phase::Open => format!("connecting: {}", self.standing.reason),
            Phase::Off if self.standing.reason.is_empty() => "offline".to_owned(),
            Phase::Off => format!("offline: {}", self.standing.reason),
        };
        let (mut queued, unconfirmed) = self.outbox.totals();
        for room in self.rooms.values() {
            queued =
                queued.saturating_add(u32::try_from(room.number - room.posted.min(room.number)).unwrap_or(u32::MAX));
        }
        let event = Event::Status {
            name: self.own.name.to_string(),
            relay: self.own.relay.clone(),
            connection,
            transport: self.standing.transport.clone(),
            queued,
            unconfirmed,
            drained: self.standing.drained,
        };
        self.tell(Some(id), event);
        self.end(id);
    }

    pub(super) fn wait(&mut self, id: CommandId, waiting: Waiting, until: u64) {
        self.waits.insert(id, waiting);
        self.timers.set(Timer::Command(id), until);
    }

    pub(super) fn wait_a_while(&mut self, id: CommandId, waiting: Waiting) {
        self.wait(id, waiting, self.now + A_WHILE);
    }

    /// Ends a command.
    pub(super) fn end(&mut self, id: CommandId) {
        self.waits.remove(&id);
        self.timers.clear(&Timer::Command(id));
        self.tell(Some(id), Event::End);
    }

    /// Ends a command with an error.
    pub(super) fn end_with(&mut self, id: CommandId, error: Error) -> Stored<()> {
        self.tell(Some(id), Event::Error(error));
        self.end(id);
        Ok(())
    }

    /// Ends with an error the commands that wait for something of this kind.
    pub(super) fn fail_waits(&mut self, error: &Error, fails: impl Fn(&Waiting) -> bool) {
        let failed: Vec<CommandId> =
            self.waits.iter().filter(|(_, waiting)| fails(waiting)).map(|(id, _)| *id).collect();
        for id in failed {
            if matches!(self.waits.get(&id), Some(Waiting::Status)) {
                self.tell_status(id);
            } else {
                self.tell(Some(id), Event::Error(error.clone()));
                self.end(id);
            }
        }
    }

    /// Ends with an error the commands that wait for something of this person; `also_sending`: those too whose message
    /// is queued.
    pub(super) fn fail_waits_about(&mut self, name: &Name, error: &Error, also_sending: bool) {
        let conversation = format!("@{name}");
        self.fail_waits(error, |waiting| match waiting {
            Waiting::Send { conversation: other, .. } => also_sending && *other == conversation,
            Waiting::Verify { name: other, .. } | Waiting::Look { name: other, .. } => other == name,
            _ => false,
        });
    }

    /// A message came so far: commands that waited for that end.
    pub(super) fn reached(&mut self, message: ContentId, state: State) {
        let waiting: Vec<(CommandId, String, Wait)> = self
            .waits
            .iter()
            .filter_map(|(id, waiting)| match waiting {
                Waiting::Send { message: wanted, conversation, wait } if *wanted == message => {
                    Some((*id, conversation.clone(), *wait))
                }
                _ => None,
            })
            .collect();
        for (id, conversation, wait) in waiting {
            if state != State::Queued {
                self.tell(
                    Some(id),
                    Event::State { id: message.to_string(), conversation: conversation.clone(), state },
                );
            }
            let enough = match wait {
                Wait::Queued => true,
                Wait::Sent => matches!(state, State::Sent | State::Delivered | State::Read),
                Wait::Delivered => matches!(state, State::Delivered | State::Read),
                Wait::Read => state == State::Read,
            };
            if state == State::NotDelivered {
                let error = Error::new(ErrorCode::Refused, "the message was not delivered")
                    .because(format!("no device of {conversation} can read it any more"));
                self.tell(Some(id), Event::Error(error));
                self.end(id);
            } else if enough {
                self.end(id);
            }
        }
    }

    /// A room's post is durable: commands that waited for the membership end.
    pub(super) fn membership_reached(&mut self, name: &RoomName, post: PostId) -> Stored<()> {
        let reached: Vec<CommandId> = self
            .waits
            .iter()
            .filter(|(_, waiting)| match waiting {
                Waiting::Membership { room, post: wanted } => {
                    room == name && wanted.is_none_or(|wanted| wanted == post)
                }
                _ => false,
            })
            .map(|(id, _)| *id)
            .collect();
        for id in reached {
            self.tell(Some(id), Event::Done);
            self.end(id);
        }
        Ok(())
    }

    /// Somebody is logged in: commands that waited for that go on.
    pub(super) fn logged_in_waits(&mut self) -> Stored<()> {
        let ids: Vec<CommandId> = self.waits.keys().copied().collect();
        for id in ids {
            match self.waits.get(&id) {
                Some(Waiting::Register) => {
                    self.tell_me(id);
                    self.end(id);
                }
                Some(Waiting::Link) if self.siblings.row.ready => self.linked(),
                Some(Waiting::Status) => self.tell_status(id),
                Some(Waiting::Doctor) => self.tell_checks(id)?,
                Some(Waiting::Verify { name, .. } | Waiting::Look { name, .. }) => {
                    let name = name.clone();
                    self.fetch_devices(&name);
                }
                _ => {}
            }
        }
        self.ask_lists()
    }

    /// The mailbox is drained: `recv` gives what there is, and `get` knows what was announced.
    pub(super) fn drained_waits(&mut self) -> Stored<()> {
        let ids: Vec<CommandId> = self.waits.keys().copied().collect();
        for id in ids {
            if let Some(Waiting::Recv { from, limit }) = self.waits.get(&id) {
                let (from, limit) = (from.clone(), *limit);
                self.give_fresh(id, from.as_deref(), limit)?;
                self.end(id);
            } else if let Some(Waiting::Offer(asked)) = self.waits.get(&id) {
                let asked = asked.clone();
                self.fetch_file(id, asked)?;
            }
        }
        Ok(())
    }

    /// A command has waited as long as it may.
    pub(super) fn command_timeout(&mut self, id: CommandId) -> Stored<()> {
        let Some(waiting) = self.waits.remove(&id) else { return Ok(()) };
        let reason = self.standing.reason.clone();
        let unreachable = || {
            Error::new(ErrorCode::Unreachable, "the relay did not answer in time")
                .because(reason.clone())
                .advise("try again")
        };
        match waiting {
            Waiting::Send { message, conversation, wait } => {
                let state = self.rows().line(&self.own.account, &message)?.map_or(State::Queued, |line| line.state);
                let wanted = match wait {
                    Wait::Queued => "queued",
                    Wait::Sent => "sent",
                    Wait::Delivered => "delivered",
                    Wait::Read => "read",
                };
                self.tell(Some(id), Event::State { id: message.to_string(), conversation, state });
                let shut_out = self.standing.shut_out.as_ref().and_then(|error| error.advice.clone());
                let by_itself =
                    "nothing: it stays queued and goes out by itself; sealpost status shows how far it came";
                let cause = match state {
                    _ if !self.online() => reason.clone(),
                    State::Queued => "the relay has not taken it yet".to_owned(),
                    _ => "nobody has confirmed it".to_owned(),
                };
                let error = Error::new(ErrorCode::Waiting, format!("the message is not {wanted} yet"))
                    .because(cause)
                    .advise(shut_out.unwrap_or_else(|| by_itself.to_owned()));
                self.end_with(id, error)
            }
            Waiting::Recv { from, limit } => {
                let given = self.give_fresh(id, from.as_deref(), limit)?;
                if given == 0 && !self.online() {
                    return self.end_with(id, unreachable());
                }
                self.end(id);
                Ok(())
            }
            Waiting::Status => {
                self.tell_status(id);
                Ok(())
            }
            Waiting::Doctor => self.tell_checks(id),
            Waiting::Unregister => self.unregister_timeout(id),
            Waiting::Link => self.link_timeout(id),
            Waiting::AddDevice { told, .. } => self.add_timeout(id, told),
            Waiting::RevokeDevice => {
                let error = Error::new(ErrorCode::Waiting, "the relay has not taken the list without the device yet")
                    .because(reason.clone())
                    .advise("nothing: it is offered again by itself; until then the device goes on as before");
                self.end_with(id, error)
            }
            Waiting::Membership { room, .. } => {
                let error = Error::new(ErrorCode::Waiting, format!("the relay has not confirmed it for {room} yet"))
                    .because(reason.clone())
                    .advise("nothing: it is queued and goes out by itself");
                self.end_with(id, error)
            }
            Waiting::File { key, .. } => self.file_timeout(id, &key),
            Waiting::Posts { .. } => {
                let error = Error::new(ErrorCode::Waiting, "the relay has not confirmed it for all rooms yet")
                    .because(reason.clone())
                    .advise("nothing: it is queued and goes out by itself");
                self.end_with(id, error)
            }
            Waiting::Follow { .. } | Waiting::Subscribe => Ok(()),
            Waiting::Register
            | Waiting::Offer(_)
            | Waiting::Look { .. }
            | Waiting::Verify { .. }
            | Waiting::Rooms { .. }
            | Waiting::Who { .. } => self.end_with(id, unreachable()),
        }
    }
}
