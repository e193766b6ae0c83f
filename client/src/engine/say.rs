//! From a command to the outbox: what one says, to whom, and its line of history.

use sealpost_crypto::session::room_for_plaintext;
use sealpost_spec::account::Name;
use sealpost_spec::mailbox::DeliveryToken;
use sealpost_spec::message::{BOX_SIZES, Body, Content, ContentId, FilePointer};
use sealpost_spec::room::PostHash;
use sealpost_spec::transparency::TreeHead;
use sealpost_spec::wire::encode;

use super::change::is_said;
use super::command::Waiting;
use super::send::GIVE_UP;
use super::siblings::AROUND;
use super::timers::Timer;
use super::{CommandId, Engine};
use crate::api::{Error, ErrorCode, Event, Kind, State, Wait};
use crate::store::Stored;
use crate::store::messages::{Line, Place};
use crate::store::outbox::Pending;

/// Something that one says, before it is known how it travels.
#[derive(Clone, Debug)]
pub(super) struct Say {
    /// `Text`, `Reply`, `Edit`, `Delete`, `Reaction` or `Timer`.
    pub(super) kind: Kind,
    pub(super) text: String,
    /// Which message it is about, and of a post its hash.
    pub(super) target: Option<(ContentId, PostHash)>,
    /// Of a timer: what it is set to. Else: after how many seconds this is deleted, instead of what the timer says.
    pub(super) expire: Option<u32>,
    /// Of a file: where it is.
    pub(super) file: Option<FilePointer>,
}

impl Say {
    pub(super) fn text(text: String) -> Self {
        Self { kind: Kind::Text, text, target: None, expire: None, file: None }
    }

    pub(super) fn file(pointer: FilePointer, expire: Option<u32>) -> Self {
        Self { kind: Kind::File, text: pointer.name.clone(), target: None, expire, file: Some(pointer) }
    }

    /// Whether there is nothing to say.
    fn is_nothing(&self) -> bool {
        matches!(self.kind, Kind::Text | Kind::Reply | Kind::Edit) && self.text.is_empty()
    }

    fn body(&self) -> Body {
        let text = self.text.clone();
        match (self.kind, self.target) {
            (Kind::Reply, Some((target, _))) => Body::Reply { target, text },
            (Kind::Edit, Some((target, _))) => Body::Edit { target, text },
            (Kind::Delete, Some((target, _))) => Body::Delete { target },
            (Kind::Reaction, Some((target, _))) => Body::Reaction { target, emoji: text },
            (Kind::Timer, _) => Body::Timer(self.expire),
            _ => self.file.clone().map_or(Body::Text(text), Body::File),
        }
    }
}

impl Engine {
    /// Says something in a room, to a person, or to oneself.
    pub(super) fn say(&mut self, id: CommandId, to: &str, say: Say, wait: Wait, until: u64) -> Stored<()> {
        if !self.is_enrolled() {
            return self.not_registered(id);
        }
        if say.is_nothing() {
            let error = Error::new(ErrorCode::Usage, "there is nothing to send");
            return self.end_with(id, error.advise("sealpost send NAME TEXT"));
        }
        if to.starts_with('#') {
            self.say_in_room(id, to, say, wait, until)
        } else {
            self.say_to(id, to, say, wait, until)
        }
    }

    /// Queues something for a person.
    fn say_to(&mut self, id: CommandId, to: &str, say: Say, wait: Wait, until: u64) -> Stored<()> {
        let name: Name = match to.strip_prefix('@').unwrap_or(to).parse() {
            Ok(name) => name,
            Err(cause) => {
                let error = Error::new(ErrorCode::Usage, "this is nobody's name").because(format!("{cause}"));
                return self.end_with(id, error.advise("sealpost contacts"));
            }
        };
        if name == self.own.name {
            return self.note_to_self(id, &say);
        }
        if let Some(error) = self.may_not_send_to(&name) {
            return self.end_with(id, error);
        }
        if let Some(limit) = self.too_long(&say) {
            return self.end_with(id, limit);
        }
        self.accept_contact(&name);
        let content = self.queue(&name, &say)?;
        let conversation = format!("@{name}");
        self.go_online();
        self.tell(Some(id), Event::Queued { id: content.to_string(), conversation: conversation.clone() });
        self.wait(id, Waiting::Send { message: content, conversation, wait }, until);
        self.reached(content, State::Queued);
        self.pump(&name)
    }

    /// Why nothing is sent to somebody, where that is so.
    pub(super) fn may_not_send_to(&self, name: &Name) -> Option<Error> {
        let contact = self.contacts.get(name)?;
        if contact.changed.is_some() {
            return Some(self.key_changed_error(contact));
        }
        contact.blocked.then(|| {
            Error::new(ErrorCode::Usage, format!("@{name} is blocked")).advise(format!("sealpost unblock {name}"))
        })
    }

    /// The error for text that fits no box. **[MSG-20]**
    fn too_long(&self, say: &Say) -> Option<Error> {
        let largest = BOX_SIZES.iter().copied().max().unwrap_or_default();
        let room = room_for_plaintext(largest, self.own.list.body.0.len(), true);
        let empty = Say { text: String::new(), ..say.clone() };
        let empty = encode(&Content {
            id: ContentId([0; 16]),
            number: 0,
            sent_at: 0,
            expire_after: Some(0),
            token: Some(DeliveryToken([0; 32])),
            tree_head: TreeHead::NONE,
            body: empty.body(),
        })?
        .len();
        // A copy for one's own devices has to fit as well. [MSG-43]
        let limit = room.saturating_sub(empty + AROUND);
        (say.text.len() > limit).then(|| {
            Error::new(ErrorCode::Usage, format!("a message holds at most {limit} bytes"))
                .because(format!("this one has {}", say.text.len()))
                .advise("send it in several messages")
        })
    }

    /// A message to oneself stays here, and on one's other devices.
    fn note_to_self(&mut self, id: CommandId, say: &Say) -> Stored<()> {
        let note = ContentId(self.random());
        let line = self.own_line(note, format!("@{}", self.own.name), 0, say, State::Delivered);
        self.rows().add_line(&line.stored(), Place::Last)?;
        self.change_target(&line, PostHash::default())?;
        self.count_down_once_read(&line, say.expire)?;
        self.start_countdown(&line)?;
        let copy = Content {
            id: note,
            number: 0,
            sent_at: self.now,
            expire_after: say.expire,
            token: None,
            tree_head: TreeHead::NONE,
            body: say.body(),
        };
        let own = self.own.name.clone();
        self.copy_said(&own, None, &copy)?;
        let message = self.view(&line)?;
        self.tell(Some(id), Event::Queued { id: note.to_string(), conversation: line.conversation.clone() });
        let state = Event::State { id: note.to_string(), conversation: line.conversation, state: State::Delivered };
        self.tell(Some(id), state);
        self.tell(None, Event::Message(message));
        self.end(id);
        Ok(())
    }

    pub(super) fn own_line(&self, id: ContentId, conversation: String, number: u64, say: &Say, state: State) -> Line {
        Line {
            id,
            conversation,
            from: self.own.name.clone(),
            account: self.own.account,
            device: self.own.device.id,
            number,
            missing: 0,
            sent_at: self.now,
            text: say.text.clone(),
            kind: say.kind,
            target: say.target.map(|(target, _)| target),
            state,
            hash: PostHash::default(),
            previous: PostHash::default(),
            edited: false,
        }
    }

    /// Stores a content that is to reach somebody, and its line of history.
    pub(super) fn queue(&mut self, name: &Name, say: &Say) -> Stored<ContentId> {
        let id = ContentId(self.random());
        self.queue_as(id, name, say)?;
        Ok(id)
    }

    /// The same under an id that was drawn before.
    pub(super) fn queue_as(&mut self, id: ContentId, name: &Name, say: &Say) -> Stored<()> {
        let (now, mut number, mut account, mut expire_after) = (self.now, 0, None, None);
        if let Some(contact) = self.contact_mut(name) {
            contact.last_number += 1;
            (number, account) = (contact.last_number, contact.account);
            if is_said(say.kind) {
                expire_after = say.expire.or(contact.expire_after).filter(|seconds| *seconds > 0);
            }
        }
        if say.kind == Kind::Timer {
            self.take_timer(name, say.expire, now, id);
        }
        let body = say.body();
        // The token is filled in when it is encrypted: by then it may be another one.
        let content = Content { id, number, sent_at: now, expire_after, token: None, tree_head: TreeHead::NONE, body };
        let pending =
            Pending { id, to: name.clone(), account, number, queued_at: now, encrypted: false, delivered: false };
        self.rows().add_content(&pending, &content)?;
        self.copy_said(name, account, &content)?;
        self.outbox.add_pending(pending);
        self.timers.set_sooner(Timer::Again(name.clone()), now + GIVE_UP);
        let line = self.own_line(id, format!("@{name}"), number, say, State::Queued);
        self.rows().add_line(&line.stored(), Place::Last)?;
        self.change_target(&line, PostHash::default())?;
        self.count_down_once_read(&line, expire_after)?;
        let message = self.view(&line)?;
        self.tell(None, Event::Message(message));
        Ok(())
    }
}
