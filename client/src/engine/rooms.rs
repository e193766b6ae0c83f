//! Rooms: membership, what one says there, lists.

use sealpost_spec::account::Name;
use sealpost_spec::mailbox::Seq;
use sealpost_spec::message::ContentId;
use sealpost_spec::relay::{Answer, MAX_LISTED, Refusal, Request};
use sealpost_spec::room::{MAX_POST_BODY, PostId, PostKind, RoomName};

use super::account::refused;
use super::command::Waiting;
use super::say::Say;
use super::{Asked, CommandId, Engine, Failure};
use crate::api::{Error, ErrorCode, Event, Kind, State, Wait};
use crate::store::Stored;
use crate::store::rooms::Room;

/// So many places of the relay's order are asked for again at each login.
pub(super) const OVERLAP: u64 = 256;
/// A room is followed again at most so often because of a gap, in milliseconds.
const FOLLOW_AGAIN: u64 = 10_000;

impl Engine {
    pub(super) fn room_for(&mut self, id: CommandId, text: &str) -> Stored<Option<RoomName>> {
        match text.parse() {
            Ok(room) => Ok(Some(room)),
            Err(cause) => {
                let error = Error::new(ErrorCode::Usage, "this is no room").because(format!("{cause}"));
                self.end_with(id, error.advise("sealpost rooms"))?;
                Ok(None)
            }
        }
    }

    /// A new account is a member of the room that exists from the start.
    pub(super) fn join_lobby(&mut self) -> Stored<()> {
        let lobby = RoomName::lobby();
        if self.rooms.get(&lobby).is_none_or(|room| !room.joined) {
            self.enter_room(&lobby)?;
        }
        Ok(())
    }

    fn enter_room(&mut self, name: &RoomName) -> Stored<PostId> {
        self.rooms.entry(name.clone()).or_insert_with(|| Room::new(name.clone()));
        if let Some(room) = self.room_mut(name) {
            room.joined = true;
        }
        let post = self.post_membership(name, PostKind::Join)?;
        self.introduce_oneself(name)?;
        Ok(post)
    }

    pub(super) fn join(&mut self, id: CommandId, room: &str) -> Stored<()> {
        let Some(room) = self.room_for(id, room)? else { return Ok(()) };
        if !self.is_enrolled() {
            return self.not_registered(id);
        }
        // One that was joined on another device has no post of this one.
        let there = |room: &Room| room.joined && (room.posted > 0 || room.number == 0);
        if self.rooms.get(&room).is_some_and(there) {
            self.tell(Some(id), Event::Done);
            self.end(id);
            return Ok(());
        }
        self.go_online();
        let post = match self.rooms.get(&room).is_some_and(|room| room.joined) {
            true => None,
            false => Some(self.enter_room(&room)?),
        };
        if let Some(PostId(post)) = post {
            self.tell(Some(id), Event::Queued { id: ContentId(post).to_string(), conversation: room.to_string() });
        }
        self.wait_a_while(id, Waiting::Membership { room: room.clone(), post });
        self.follow(&room);
        self.offer_posts(&room)
    }

    pub(super) fn leave_room(&mut self, id: CommandId, room: &str) -> Stored<()> {
        let Some(room) = self.room_for(id, room)? else { return Ok(()) };
        if self.rooms.get(&room).is_none_or(|room| !room.joined) {
            let error = Error::new(ErrorCode::NoSuchRoom, format!("you are no member of {room}"));
            return self.end_with(id, error.advise("sealpost rooms"));
        }
        let post = self.post_membership(&room, PostKind::Leave)?;
        self.tell(Some(id), Event::Queued { id: ContentId(post.0).to_string(), conversation: room.to_string() });
        if let Some(room) = self.room_mut(&room) {
            room.joined = false;
        }
        self.go_online();
        self.wait_a_while(id, Waiting::Membership { room: room.clone(), post: Some(post) });
        self.offer_posts(&room)
    }

    /// Queues something for a room.
    pub(super) fn say_in_room(&mut self, id: CommandId, to: &str, say: Say, wait: Wait, until: u64) -> Stored<()> {
        let Some(room) = self.room_for(id, to)? else { return Ok(()) };
        if self.rooms.get(&room).is_none_or(|room| !room.joined) {
            let error = Error::new(ErrorCode::NoSuchRoom, format!("you are no member of {room}"));
            return self.end_with(id, error.advise(format!("sealpost join '{room}'")));
        }
        if say.text.len() > MAX_POST_BODY {
            let error = Error::new(ErrorCode::Usage, format!("a post holds at most {MAX_POST_BODY} bytes"));
            let cause = format!("this one has {}", say.text.len());
            return self.end_with(id, error.because(cause).advise("post it in parts"));
        }
        if say.expire.is_some() {
            let error = Error::new(ErrorCode::Usage, "posts of a room do not expire")
                .because("everybody has them, and the relay's operator says how long it keeps them");
            return self.end_with(id, error);
        }
        self.go_online();
        let kind = match say.kind {
            Kind::Reply => PostKind::Reply,
            Kind::Edit => PostKind::Edit,
            Kind::Delete => PostKind::Delete,
            Kind::Reaction => PostKind::Reaction,
            Kind::Remove => PostKind::Remove,
            _ => PostKind::Text,
        };
        let PostId(post) = self.post(&room, kind, &say)?;
        let message = ContentId(post);
        let conversation = room.to_string();
        self.tell(Some(id), Event::Queued { id: message.to_string(), conversation: conversation.clone() });
        // A room has no receipts: the relay's word is all there is.
        self.wait(id, Waiting::Send { message, conversation, wait: wait.min(Wait::Sent) }, until);
        self.reached(message, State::Queued);
        self.offer_posts(&room)
    }

    /// A membership begins or ends.
    pub(super) fn post_membership(&mut self, room: &RoomName, kind: PostKind) -> Stored<PostId> {
        let line = if kind == PostKind::Join { Kind::Join } else { Kind::Leave };
        self.post(room, kind, &Say { kind: line, ..Say::text(String::new()) })
    }

    /// Follows the rooms that one is a member of, and offers what is not posted.
    pub(super) fn follow_rooms(&mut self) -> Stored<()> {
        for name in self.rooms.keys().cloned().collect::<Vec<_>>() {
            if self.rooms.get(&name).is_some_and(|room| room.joined) {
                self.follow(&name);
            }
            self.offer_posts(&name)?;
        }
        Ok(())
    }

    /// Follows a room, once the relay has said who made it. **[ROOM-13]**
    pub(super) fn follow(&mut self, name: &RoomName) {
        if self.online() && !self.ask_creator(name) {
            self.follow_now(name);
        }
    }

    pub(super) fn follow_now(&mut self, name: &RoomName) {
        if let Some(room) = self.rooms.get(name).filter(|_| self.online()) {
            // A relay that lost a push does not know it; what is known by now is dropped by its id.
            let after = Seq(room.cursor.0.saturating_sub(OVERLAP));
            self.ask(Asked::Follow(name.clone()), Request::Follow { room: name.clone(), after });
        }
    }

    /// Posts are missing: perhaps the relay forgot to push them. It is asked for them once in a while.
    pub(super) fn follow_again(&mut self, name: &RoomName, after: Seq) {
        let due = self.posting.again.get(name).is_none_or(|at| at + FOLLOW_AGAIN <= self.now);
        if due && self.online() {
            self.posting.again.insert(name.clone(), self.now);
            self.ask(Asked::Follow(name.clone()), Request::Follow { room: name.clone(), after });
        }
    }

    pub(super) fn follow_answer(&mut self, name: &RoomName, result: Result<Answer, Failure>) -> Stored<()> {
        if let Err(Failure::Refused(Refusal::NoSuchRoom)) = result {
            // It will be there once one's own join is posted, which follows again.
            return Ok(());
        }
        if let Err(Failure::Refused(refusal)) = result {
            let error = refused(&refusal);
            self.tell(None, Event::Error(Error { message: format!("{name}: {}", error.message), ..error }));
        }
        Ok(())
    }

    pub(super) fn list_rooms(&mut self, id: CommandId) -> Stored<()> {
        self.go_online();
        self.wait_a_while(id, Waiting::Rooms { asked: false });
        self.ask_lists()
    }

    pub(super) fn who(&mut self, id: CommandId, room: Option<&str>) -> Stored<()> {
        let Some(room) = self.room_for(id, room.unwrap_or("#lobby"))? else { return Ok(()) };
        self.go_online();
        self.wait_a_while(id, Waiting::Who { room, asked: false });
        self.ask_lists()
    }

    /// Asks for the lists that commands wait for, once somebody is logged in.
    pub(super) fn ask_lists(&mut self) -> Stored<()> {
        if !self.online() {
            return Ok(());
        }
        let mut requests = Vec::new();
        for (id, waiting) in &mut self.waits {
            match waiting {
                Waiting::Rooms { asked } if !*asked => {
                    *asked = true;
                    requests.push((Asked::Rooms(*id, None), Request::Rooms { after: None }));
                }
                Waiting::Who { room, asked } if !*asked => {
                    *asked = true;
                    let request = Request::Members { room: room.clone(), after: None };
                    requests.push((Asked::Members(*id, room.clone(), None), request));
                }
                _ => {}
            }
        }
        for (asked, request) in requests {
            self.ask(asked, request);
        }
        Ok(())
    }

    /// A list goes on after its last name; one that does not get further is over.
    pub(super) fn rooms_answer(
        &mut self,
        id: CommandId,
        after: Option<&RoomName>,
        result: Result<Answer, Failure>,
    ) -> Stored<()> {
        if !self.waits.contains_key(&id) {
            return Ok(());
        }
        let rooms = match result {
            Ok(Answer::Rooms(rooms)) => rooms,
            other => return self.end_list(id, other),
        };
        for summary in &rooms {
            let joined = self.rooms.get(&summary.room).is_some_and(|room| room.joined);
            let (members, posts) = (summary.members, summary.posts);
            let event = Event::Room {
                name: summary.room.to_string(),
                members,
                posts,
                joined,
                topic: self.shown_topic(&summary.room),
                creator: self.creator_of(&summary.room).map(|creator| format!("@{}", creator.name)),
            };
            self.tell(Some(id), event);
        }
        match rooms.last().filter(|last| rooms.len() >= MAX_LISTED && after.is_none_or(|after| *after < last.room)) {
            Some(last) => {
                let after = last.room.clone();
                self.ask(Asked::Rooms(id, Some(after.clone())), Request::Rooms { after: Some(after) });
            }
            None => self.end(id),
        }
        Ok(())
    }

    pub(super) fn members_answer(
        &mut self,
        id: CommandId,
        room: &RoomName,
        before: Option<&Name>,
        result: Result<Answer, Failure>,
    ) -> Stored<()> {
        if !self.waits.contains_key(&id) {
            return Ok(());
        }
        let members = match result {
            Ok(Answer::Members(members)) => members,
            other => return self.end_list(id, other),
        };
        for member in &members {
            let account =
                if member.name == self.own.name { Some(self.own.account) } else { self.account_of(&member.name)? };
            let creator = self.creator_of(room).is_some_and(|creator| Some(creator.account) == account);
            let event = Event::Presence {
                room: room.to_string(),
                name: format!("@{}", member.name),
                online: member.online,
                creator,
                label: self.label_of(&member.name, account.as_ref()),
                display: account.as_ref().and_then(|account| self.display_of(account)),
                away: account.as_ref().and_then(|account| self.away_of(account)),
            };
            self.tell(Some(id), event);
        }
        let last: Option<Name> = members
            .last()
            .filter(|last| members.len() >= MAX_LISTED && before.is_none_or(|before| *before < last.name))
            .map(|last| last.name.clone());
        match last {
            Some(after) => {
                let request = Request::Members { room: room.clone(), after: Some(after.clone()) };
                self.ask(Asked::Members(id, room.clone(), Some(after)), request);
            }
            None => self.end(id),
        }
        Ok(())
    }

    fn end_list(&mut self, id: CommandId, result: Result<Answer, Failure>) -> Stored<()> {
        let error = match result {
            Ok(_) => Error::new(ErrorCode::Refused, "the relay answered something else than asked"),
            Err(Failure::Refused(refusal)) => refused(&refusal),
            Err(_) => Error::new(ErrorCode::Unreachable, "the link broke").advise("try again"),
        };
        self.end_with(id, error)
    }
}
