//! Who made a room, and what they decide there.

use sealpost_crypto::identity::{fingerprint, verify_room};
use sealpost_spec::account::{AccountKey, Name};
use sealpost_spec::mailbox::Seq;
use sealpost_spec::message::ContentId;
use sealpost_spec::relay::{Answer, Refusal, Request};
use sealpost_spec::room::{MAX_TOPIC, Person, Post, PostHash, PostHead, PostId, PostKind, RoomName, one_line};

use super::change::stands_alone;
use super::command::{Look, Waiting};
use super::say::Say;
use super::{Asked, CommandId, Engine, Failure};
use crate::api::{Error, ErrorCode, Event, Kind, State, Text, Wait};
use crate::store::Stored;
use crate::store::changes::{Change, Order};
use crate::store::messages::Line;
use crate::store::rooms::{Creator, Rule};

/// What stands where a post was that the room's creator has removed.
pub(super) const REMOVED: &str = "removed by the room's creator";
/// How long a command waits for the relay to take what one decides, in milliseconds.
const PATIENCE: u64 = 30_000;

impl Engine {
    fn rule_mut(&mut self, room: &RoomName) -> &mut Rule {
        self.rules_touched.insert(room.clone());
        self.rules.entry(room.clone()).or_insert_with(|| Rule::new(room.clone()))
    }

    /// Whose account moderates a room, as far as one knows.
    pub(super) fn creator_of(&self, room: &RoomName) -> Option<&Creator> {
        self.rules.get(room)?.creator.as_ref()
    }

    /// What a room is about.
    pub(super) fn topic_of(&self, room: &RoomName) -> Option<&str> {
        let (_, topic) = self.rules.get(room)?.topic.as_ref()?;
        Some(topic.as_str()).filter(|topic| !topic.is_empty())
    }

    /// Asks who made a room before its posts come, and shows a relay that lost its store what it said before. Whether
    /// there is something to ask. **[ROOM-13]** **[ROOM-14]**
    pub(super) fn ask_creator(&mut self, name: &RoomName) -> bool {
        let store = self.own.store;
        let rule = self.rules.get(name);
        if name.is_lobby() || rule.is_some_and(|rule| rule.asked.is_some() && rule.asked == store) {
            return false;
        }
        let receipt = rule.and_then(|rule| rule.creator.as_ref()).map(|creator| creator.receipt.clone());
        self.ask(Asked::Room(name.clone()), Request::Room { room: name.clone(), receipt });
        true
    }

    pub(super) fn room_answer(&mut self, name: &RoomName, result: Result<Answer, Failure>) -> Stored<()> {
        match result {
            Ok(Answer::Room { receipt: None }) => {}
            Ok(Answer::Room { receipt: Some(signed) }) => {
                let relay = self.own.relay_key.unwrap_or_default();
                match verify_room(&signed, &relay).ok().filter(|receipt| receipt.room == *name) {
                    Some(receipt) => {
                        let creator = Creator { name: receipt.name, account: receipt.account, receipt: signed };
                        self.keep_creator(name, creator);
                    }
                    None => {
                        let reason = "the relay's receipt for the room is not genuine".into();
                        self.refuse_in(Some(name.to_string()), reason);
                    }
                }
            }
            // An older relay: nobody moderates there but its operator.
            Err(Failure::Refused(Refusal::Malformed | Refusal::Unsupported)) => {}
            Err(Failure::Refused(Refusal::NoSuchRoom)) => return Ok(()),
            Ok(_) | Err(Failure::Refused(_)) => {
                self.follow_now(name);
                return Ok(());
            }
            Err(_) => return Ok(()),
        }
        let store = self.own.store;
        self.rule_mut(name).asked = store;
        self.follow_now(name);
        Ok(())
    }

    /// The first one that the relay names counts; another one is told. **[ROOM-13]**
    fn keep_creator(&mut self, room: &RoomName, creator: Creator) {
        match self.creator_of(room) {
            None => self.rule_mut(room).creator = Some(creator),
            Some(known) if known.account == creator.account => {}
            Some(known) => {
                let reason = format!(
                    "the relay now says that @{} made {room} (fingerprint {}); it named @{} before, who still counts",
                    creator.name,
                    fingerprint(&creator.account),
                    known.name
                );
                self.refuse_in(Some(room.to_string()), reason);
            }
        }
    }

    /// What a post says that is more than talk; `None` where nothing of it is shown. **[ROOM-15]** **[ROOM-16]**
    pub(super) fn decision(&mut self, room: &RoomName, head: &PostHead, post: &Post) -> Stored<Option<(Kind, String)>> {
        if head.kind.moderates() && self.creator_of(room).is_none_or(|creator| creator.account != head.account) {
            let reason = format!("@{} decided something here, and is not who made the room", head.author);
            self.refuse_in(Some(room.to_string()), reason);
            return Ok(None);
        }
        // A body that the operator has removed says nothing any more.
        let body = post.body.as_ref().map(|body| body.0.as_slice());
        let line = |most| body.map_or(Some(""), |body| one_line(body, most)).map(str::to_owned);
        Ok(match head.kind {
            PostKind::Topic => line(MAX_TOPIC).map(|topic| (Kind::Topic, topic)),
            PostKind::Name | PostKind::Away => {
                let kind = if head.kind == PostKind::Name { Kind::Name } else { Kind::Away };
                head.kind.line().and_then(line).map(|said| (kind, said))
            }
            PostKind::Kick => self.meant(head, body)?.map(|about| (Kind::Kick, about)),
            PostKind::Ban => self.meant(head, body)?.map(|about| (Kind::Ban, about)),
            PostKind::Unban => self.meant(head, body)?.map(|about| (Kind::Unban, about)),
            PostKind::Remove => Some((Kind::Remove, String::new())),
            _ => None,
        })
    }

    /// Whom a decision is about, and why: the account is who is meant, and a name that is known under another key is not
    /// shown for it. **[ROOM-17]**
    fn meant(&self, head: &PostHead, body: Option<&[u8]>) -> Stored<Option<String>> {
        let Some(body) = body else { return Ok(Some(String::new())) };
        let Ok(person) = Person::parse(body) else { return Ok(None) };
        let account = head.person();
        if account == Some(self.own.account) {
            return Ok(Some(about(&Person { name: self.own.name.clone(), ..person })));
        }
        let known = if person.name == self.own.name { Some(self.own.account) } else { self.account_of(&person.name)? };
        Ok(Some(if known.is_none() || known == account { about(&person) } else { String::new() }))
    }

    /// Does what a post asks for besides being shown.
    pub(super) fn heed(&mut self, room: &RoomName, head: &PostHead, line: &Line, seq: Seq) -> Stored<()> {
        match head.kind {
            PostKind::Topic => self.set_topic(room, order_of(line), line.text.clone()),
            PostKind::Kick | PostKind::Ban => {
                if let Some(account) = head.person() {
                    self.gone_from(room, &account)?;
                    if account == self.own.account {
                        self.was_put_out(room, seq)?;
                    }
                }
            }
            PostKind::Leave => self.gone_from(room, &head.account)?,
            PostKind::Name | PostKind::Away => self.called(room, head, line)?,
            _ => {}
        }
        if !matches!(head.kind, PostKind::Leave) {
            self.seen_in(room, &head.account)?;
        }
        Ok(())
    }

    /// The operator has taken away what a post said that is more than talk: a topic, a reason, what its author is called or
    /// why they are away. What it did stays done. **[ROOM-10]**
    pub(super) fn decision_removed(&mut self, room: &RoomName, head: &PostHead) -> Stored<()> {
        let Some(mut line) = self.rows().line(&head.account, &ContentId(head.id.0))? else { return Ok(()) };
        let said = match line.kind {
            Kind::Kick | Kind::Ban | Kind::Unban => true,
            Kind::Topic => {
                let this = |order: &Order| (order.device, order.number) == (head.device.id, head.number);
                let shown = self.rules.get(room).and_then(|rule| rule.topic.as_ref());
                if let Some((order, _)) = shown.filter(|(order, _)| this(order)).cloned() {
                    self.rule_mut(room).topic = Some((order, String::new()));
                    let event = self.conversation_event(&room.to_string())?;
                    self.tell(None, event);
                }
                true
            }
            Kind::Name | Kind::Away => {
                self.called_no_more(room, head, &line)?;
                true
            }
            _ => false,
        };
        if said && !line.text.is_empty() {
            line.text.clear();
            self.rows().put_line(&line)?;
            if stands_alone(line.kind) {
                let message = self.view(&line)?;
                self.tell(None, Event::Message(message));
            }
        }
        Ok(())
    }

    /// The later one counts, in whatever order they come. **[ROOM-18]**
    fn set_topic(&mut self, room: &RoomName, order: Order, topic: String) {
        let known = self.rules.get(room).and_then(|rule| rule.topic.as_ref());
        if known.is_none_or(|(known, _)| order.is_after(*known)) {
            self.rule_mut(room).topic = Some((order, topic));
        }
    }

    /// One's own topic counts from when it is queued: it is one's own decision.
    pub(super) fn own_topic(&mut self, room: &RoomName, line: &Line) {
        let number = self.rooms.get(room).map_or(0, |room| room.number + 1);
        let order = Order { number, ..order_of(line) };
        self.set_topic(room, order, line.text.clone());
    }

    /// Somebody's membership was ended, who is oneself: unless one has joined again since. **[ROOM-18]**
    fn was_put_out(&mut self, name: &RoomName, seq: Seq) -> Stored<()> {
        let rule = self.rule_mut(name);
        rule.put_out = rule.put_out.max(seq);
        if rule.put_out > rule.joined_at { self.leaves_if_settled(name) } else { Ok(()) }
    }

    /// One's own join has a place in the relay's order.
    pub(super) fn join_has_place(&mut self, name: &RoomName, seq: Seq) -> Stored<()> {
        let rule = self.rule_mut(name);
        rule.joined_at = seq;
        if rule.put_out > seq { self.leaves_if_settled(name) } else { Ok(()) }
    }

    /// A join that the relay has not answered may stand after what ended the membership: its answer tells.
    fn leaves_if_settled(&mut self, name: &RoomName) -> Stored<()> {
        let Some(room) = self.rooms.get(name).filter(|room| room.joined) else { return Ok(()) };
        if self.joins_among(name, room.posted + 1..=room.number)? {
            return Ok(());
        }
        if let Some(room) = self.room_mut(name) {
            room.joined = false;
        }
        if self.online() {
            self.ask(Asked::Unfollow, Request::Unfollow(name.clone()));
        }
        let event = self.conversation_event(&name.to_string())?;
        self.tell(None, event);
        Ok(())
    }

    /// A relay that lost its store counts places anew.
    pub(super) fn forget_places(&mut self) {
        for room in self.rules.keys().cloned().collect::<Vec<_>>() {
            let rule = self.rule_mut(&room);
            (rule.joined_at, rule.put_out) = (Seq(0), Seq(0));
        }
    }

    /// Takes a post away that its room's creator has removed, now or once it comes. Nobody sees the removal itself.
    pub(super) fn remove_post(&mut self, line: &Line, target: ContentId, hash: PostHash) -> Stored<bool> {
        let change =
            Change { conversation: line.conversation.clone(), hash, text: None, unheard: false, order: order_of(line) };
        self.rows().put_change(&line.account, &target, &change)?;
        let named = self.rows().lines_named(&target)?;
        for mut removed in
            named.into_iter().filter(|there| there.conversation == line.conversation && there.hash == hash)
        {
            if self.take_away(&mut removed, REMOVED)? {
                self.rows().put_line(&removed)?;
                let message = self.view(&removed)?;
                self.tell(None, Event::Message(message));
            }
        }
        Ok(false)
    }

    /// Whether the room's creator has removed this post before it came.
    pub(super) fn removed_early(&mut self, line: &mut Line) -> Stored<()> {
        let creator = line.conversation.parse().ok().and_then(|room| self.creator_of(&room)).map(|known| known.account);
        let Some(creator) = creator.filter(|creator| *creator != line.account) else { return Ok(()) };
        let Some(change) = self.rows().change(&creator, &line.id)? else { return Ok(()) };
        if change.text.is_none() && change.hash == line.hash && change.conversation == line.conversation {
            self.take_away(line, REMOVED)?;
        }
        Ok(())
    }

    /// `topic #room [TEXT]`
    pub(super) fn topic(&mut self, id: CommandId, room: &str, text: Option<String>) -> Stored<()> {
        let Some(room) = self.room_for(id, room)? else { return Ok(()) };
        let Some(text) = text else {
            if !self.rooms.contains_key(&room) {
                return self.end_with(id, super::conversations::no_conversation(&room.to_string()));
            }
            let event = self.conversation_event(&room.to_string())?;
            self.tell(Some(id), event);
            self.end(id);
            return Ok(());
        };
        if let Err(error) = self.may_moderate(&room).and_then(|()| fits(&text, "topic")) {
            return self.end_with(id, error);
        }
        let say = Say { kind: Kind::Topic, ..Say::text(text.clone()) };
        self.decide(id, &room, PostKind::Topic, &say, text, PostHash::default())?;
        let event = self.conversation_event(&room.to_string())?;
        self.tell(None, event);
        Ok(())
    }

    /// `kick`, `ban`, `unban`: `#room NAME [--reason TEXT]`
    pub(super) fn moderate(
        &mut self,
        id: CommandId,
        kind: PostKind,
        room: &str,
        name: &str,
        reason: Option<String>,
    ) -> Stored<()> {
        let Some(room) = self.room_for(id, room)? else { return Ok(()) };
        let Some(name) = self.name_for(id, name)? else { return Ok(()) };
        let reason = reason.unwrap_or_default();
        if let Err(error) = self.may_moderate(&room).and_then(|()| fits(&reason, "reason")) {
            return self.end_with(id, error);
        }
        match self.account_of(&name)? {
            Some(account) => self.decide_about(id, &room, kind, name, account, reason),
            None => {
                self.look_up(id, name, Look::Moderate { room, kind, reason });
                Ok(())
            }
        }
    }

    pub(super) fn decide_about(
        &mut self,
        id: CommandId,
        room: &RoomName,
        kind: PostKind,
        name: Name,
        account: AccountKey,
        reason: String,
    ) -> Stored<()> {
        let person = Person { name, reason };
        let line = match kind {
            PostKind::Kick => Kind::Kick,
            PostKind::Ban => Kind::Ban,
            _ => Kind::Unban,
        };
        let say = Say { kind: line, ..Say::text(about(&person)) };
        // The body's one length byte is that of a name, and so a character.
        let body = String::from_utf8(person.layout()).unwrap_or_default();
        self.decide(id, room, kind, &say, body, PostHash(account.0))
    }

    fn decide(
        &mut self,
        id: CommandId,
        room: &RoomName,
        kind: PostKind,
        say: &Say,
        body: String,
        about: PostHash,
    ) -> Stored<()> {
        self.go_online();
        let PostId(post) = self.post_as(room, kind, say, body, (PostId::NONE, about))?;
        let (message, conversation) = (ContentId(post), room.to_string());
        self.tell(Some(id), Event::Queued { id: message.to_string(), conversation: conversation.clone() });
        let until = self.now.saturating_add(PATIENCE);
        self.wait(id, Waiting::Send { message, conversation, wait: Wait::Sent }, until);
        self.reached(message, State::Queued);
        self.offer_posts(room)
    }

    /// Whether one is a room's creator and a member: else nothing is posted that nobody heeds. **[ROOM-15]**
    pub(super) fn may_moderate(&self, room: &RoomName) -> Result<(), Error> {
        let refused = |message: String| Error::new(ErrorCode::Refused, message);
        if room.is_lobby() {
            return Err(refused(format!("nobody made {room}: the relay's operator moderates there"))
                .advise("ask the relay's operator"));
        }
        if self.rooms.get(room).is_none_or(|known| !known.joined) {
            let error = Error::new(ErrorCode::NoSuchRoom, format!("you are no member of {room}"));
            return Err(error.advise(format!("sealpost join '{room}'")));
        }
        match self.creator_of(room) {
            Some(creator) if creator.account == self.own.account => Ok(()),
            Some(creator) => Err(refused(format!("only @{}, who made {room}, does this", creator.name))
                .advise(format!("ask them: sealpost send {} TEXT", creator.name))),
            None => Err(refused(format!("the relay has not said who made {room}"))
                .because("it could not be asked yet, or it is an older one")
                .advise("sealpost status")),
        }
    }

    /// A room's topic and creator as events have them.
    pub(super) fn shown_topic(&self, room: &RoomName) -> Option<Text> {
        self.topic_of(room).map(Text::new)
    }
}

pub(super) fn order_of(line: &Line) -> Order {
    Order { device: line.device, number: line.number, sent_at: line.sent_at }
}

/// How history keeps whom a post is about, and why: names have no spaces.
fn about(Person { name, reason }: &Person) -> String {
    if reason.is_empty() { name.to_string() } else { format!("{name} {reason}") }
}

/// Whom a line is about, and why.
pub(super) fn whom_of(line: &Line) -> Option<(&str, &str)> {
    let about = matches!(line.kind, Kind::Kick | Kind::Ban | Kind::Unban);
    let text = Some(line.text.as_str()).filter(|text| about && !text.is_empty())?;
    Some(text.split_once(' ').unwrap_or((text, "")))
}

/// Whether a text is a line that a relay takes. **[ROOM-16]**
fn fits(text: &str, what: &str) -> Result<(), Error> {
    if one_line(text.as_bytes(), MAX_TOPIC).is_some() {
        return Ok(());
    }
    Err(Error::new(ErrorCode::Usage, format!("a {what} is one line of at most {MAX_TOPIC} bytes"))
        .because(format!("this one has {} and control characters do not count as text", text.len()))
        .advise("say it shorter"))
}
