//! One's own posts: signed one after the other, offered until the relay has them, and what it says to each.

use std::collections::{BTreeMap, BTreeSet};

use sealpost_crypto::identity::{body_hash, post_hash};
use sealpost_spec::mailbox::Seq;
use sealpost_spec::message::ContentId;
use sealpost_spec::relay::{Answer, Refusal, Request};
use sealpost_spec::room::{Post, PostHash, PostHead, PostId, PostKind, RoomName};
use sealpost_spec::wire::Bytes;

use super::account::refused;
use super::command::Waiting;
use super::rooms::OVERLAP;
use super::say::Say;
use super::timers::Timer;
use super::{Asked, Engine, Failure};
use crate::api::{Error, Event, State};
use crate::store::Stored;
use crate::store::messages::Place;
use crate::store::rooms::OwnPost;

/// Most posts of a room without an answer: the relay takes them in order.
const MAX_FLYING: u64 = 16;
/// Pause after a refusal or failure, in milliseconds.
const PAUSE: u64 = 2_000;
/// Pause after a refusal that the relay will hardly take back, in milliseconds.
const LONG_PAUSE: u64 = 10 * 60 * 1_000;

/// Own posts that the relay has not answered, by room.
#[derive(Default)]
pub(super) struct Posting {
    flying: BTreeMap<RoomName, BTreeSet<u64>>,
    /// When a room was followed again because of a gap.
    pub(super) again: BTreeMap<RoomName, u64>,
}

impl Posting {
    /// The link is gone, and with it every answer.
    pub(super) fn land(&mut self) {
        self.flying.clear();
    }
}

impl Engine {
    /// Signs a post after one's last one, and stores it.
    pub(super) fn post(&mut self, room: &RoomName, kind: PostKind, say: &Say) -> Stored<PostId> {
        let target = say.target.map_or((PostId::NONE, PostHash::default()), |(target, hash)| (PostId(target.0), hash));
        self.post_as(room, kind, say, say.text.clone(), target)
    }

    /// The same where the body is more than what history keeps of it, or the target no post.
    pub(super) fn post_as(
        &mut self,
        room: &RoomName,
        kind: PostKind,
        say: &Say,
        body: String,
        target: (PostId, PostHash),
    ) -> Stored<PostId> {
        let id = PostId::new(self.now, self.random());
        let line = self.own_line(ContentId(id.0), room.to_string(), 0, say, State::Queued);
        self.rows().first_time(&self.own.account, &line.id)?;
        self.rows().add_line(&line.stored(), Place::Last)?;
        self.change_target(&line, say.target.map_or(PostHash::default(), |(_, hash)| hash))?;
        let message = self.view(&line)?;
        self.tell(None, Event::Message(message));
        if kind == PostKind::Topic {
            self.own_topic(room, &line);
        }
        self.sign_post(room, id, kind, self.now, body, target)?;
        Ok(id)
    }

    pub(super) fn sign_post(
        &mut self,
        name: &RoomName,
        id: PostId,
        kind: PostKind,
        time: u64,
        text: String,
        (target, target_hash): (PostId, PostHash),
    ) -> Stored<()> {
        let Some(room) = self.rooms.get(name) else { return Ok(()) };
        let head = PostHead {
            relay: self.own.relay_key.unwrap_or_default(),
            room: name.clone(),
            author: self.own.name.clone(),
            account: self.own.account,
            device: self.own.device,
            number: room.number + 1,
            previous: room.hash,
            time,
            id,
            kind,
            target,
            target_hash,
            body_hash: body_hash(text.as_bytes()),
        };
        let signed = self.secret.sign_post(&head);
        let hash = post_hash(&signed.body.0);
        if let Some(mut line) = self.rows().line(&self.own.account, &ContentId(id.0))? {
            line.hash = hash;
            self.rows().put_line(&line)?;
        }
        let post = Post { head: signed, author: self.own.list.clone(), body: Some(Bytes(text.into_bytes())) };
        self.rows().put_own_post(name, &OwnPost { id, number: head.number, post })?;
        if let Some(room) = self.room_mut(name) {
            (room.number, room.hash) = (head.number, hash);
        }
        Ok(())
    }

    /// Hands the relay one's own posts that it does not have, in order.
    pub(super) fn offer_posts(&mut self, name: &RoomName) -> Stored<()> {
        let Some(room) = self.rooms.get(name).filter(|_| self.online()) else { return Ok(()) };
        if self.timers.has(&Timer::Post(name.clone())) {
            return Ok(());
        }
        let (posted, last) = (room.posted, room.number);
        for number in posted + 1..=last.min(posted + MAX_FLYING) {
            if !self.posting.flying.entry(name.clone()).or_default().insert(number) {
                continue;
            }
            if let Some(own) = self.rows().own_post(name, number)? {
                self.ask(Asked::Post { room: name.clone(), number }, Request::Post(own.post));
            }
        }
        Ok(())
    }

    pub(super) fn post_answer(&mut self, name: &RoomName, number: u64, result: Result<Answer, Failure>) -> Stored<()> {
        if let Some(flying) = self.posting.flying.get_mut(name) {
            flying.remove(&number);
        }
        match result {
            Ok(answer) => {
                if let Answer::Posted { seq, .. } = answer {
                    self.posted(name, number, seq)?;
                    self.doubt_cursor(name, seq);
                }
            }
            Err(Failure::Refused(Refusal::PostOutOfOrder { wanted })) => self.out_of_order(name, number, wanted)?,
            Err(Failure::Refused(Refusal::TooFast { retry_after_ms })) => {
                let pause = u64::from(retry_after_ms).max(PAUSE);
                self.timers.set(Timer::Post(name.clone()), self.now + pause);
            }
            Err(Failure::Refused(
                Refusal::Stopping | Refusal::Internal { .. } | Refusal::TimedOut | Refusal::WrongLink,
            )) => {
                self.timers.set(Timer::Post(name.clone()), self.now + PAUSE);
            }
            // Whoever is banned may be let in again: nothing is thrown away, and nothing asked for in a hurry.
            Err(Failure::Refused(refusal @ (Refusal::Banned { .. } | Refusal::Unsupported))) => {
                self.timers.set(Timer::Post(name.clone()), self.now + LONG_PAUSE);
                let error = refused(&refusal);
                self.fail_waits(&error, |waiting| waiting.is_about_room(name));
                self.tell(None, Event::Error(Error { message: format!("{name}: {}", error.message), ..error }));
                return Ok(());
            }
            Err(Failure::Refused(refusal @ (Refusal::NotMember | Refusal::BannedFromRoom { .. })))
                if self.may_be_known(name, number)? =>
            {
                self.pass_over(name, number, &refusal)?;
            }
            Err(Failure::Refused(refusal)) => self.drop_post(name, number, &refusal)?,
            // The link tells that it is down; the next login offers it again.
            Err(_) => return Ok(()),
        }
        self.offer_posts(name)
    }

    /// Whether a relay has taken this post before, so that others may have it; or perhaps, since it has lost its store
    /// after one's own answer was lost.
    fn may_be_known(&self, name: &RoomName, number: u64) -> Stored<bool> {
        let Some(own) = self.rows().own_post(name, number)? else { return Ok(false) };
        Ok(number <= self.rows().doubtful(name)? || self.is_sent(&own)?)
    }

    fn is_sent(&self, own: &OwnPost) -> Stored<bool> {
        let line = self.rows().line(&self.own.account, &ContentId(own.id.0))?;
        Ok(line.is_some_and(|line| line.state == State::Sent))
    }

    /// The relay has lost its store, and must be given all of one's own posts again. Those that it did not answer others may
    /// have all the same.
    pub(super) fn doubt_posts(&mut self, name: &RoomName) -> Stored<()> {
        let Some(room) = self.room_mut(name) else { return Ok(()) };
        let (posted, last) = (std::mem::take(&mut room.posted), room.number);
        if posted < last { self.rows().put_doubtful(name, last) } else { Ok(()) }
    }

    /// A relay that lost its store does not take again what one posted before a kick or ban. Others have it under its
    /// number, which no other post gets: one's next join leaves it out. **[ROOM-4]**
    fn pass_over(&mut self, name: &RoomName, number: u64, refusal: &Refusal) -> Stored<()> {
        if let Some(own) = self.rows().own_post(name, number)?
            && !self.is_sent(&own)?
        {
            self.not_posted(name, &own, refusal)?;
        }
        let last = self.rooms.get(name).map_or(number, |room| room.number);
        let returns = self.joins_among(name, number + 1..=last)?;
        if let Some(room) = self.room_mut(name) {
            room.posted = room.posted.max(number);
            room.joined &= returns;
        }
        let error = refused(refusal);
        self.fail_waits(&error, |waiting| matches!(waiting, Waiting::Membership { room, post: None } if room == name));
        Ok(())
    }

    /// Whether one of these posts of one's own is a join.
    pub(super) fn joins_among(&self, name: &RoomName, numbers: std::ops::RangeInclusive<u64>) -> Stored<bool> {
        for number in numbers {
            let own = self.rows().own_post(name, number)?;
            let head = own.and_then(|own| PostHead::parse(&own.post.head.body.0).ok());
            if head.is_some_and(|head| head.kind == PostKind::Join) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn posted(&mut self, name: &RoomName, number: u64, seq: Seq) -> Stored<()> {
        let Some(room) = self.room_mut(name) else { return Ok(()) };
        room.posted = room.posted.max(number);
        let joined = room.joined;
        let Some(own) = self.rows().own_post(name, number)? else { return Ok(()) };
        self.set_state(&ContentId(own.id.0), State::Sent)?;
        let is = |kind: PostKind| PostHead::parse(&own.post.head.body.0).is_ok_and(|head| head.kind == kind);
        if is(PostKind::Join) {
            self.join_has_place(name, seq)?;
        }
        self.post_settled(own.id);
        if is(PostKind::Join) && joined {
            self.follow(name);
        } else if is(PostKind::Leave) && !joined {
            self.ask(Asked::Unfollow, Request::Unfollow(name.clone()));
        }
        self.membership_reached(name, own.id)
    }

    /// One's own post has a place that the relay says now; one far beyond it, that was claimed before, is nobody's, and
    /// posts after it would never be asked for. **[ROOM-9]**
    fn doubt_cursor(&mut self, name: &RoomName, seq: Seq) {
        let Some(room) = self.room_mut(name) else { return };
        if room.cursor.0 > seq.0.saturating_add(OVERLAP) {
            room.cursor = Seq(seq.0.saturating_sub(1));
            self.follow(name);
        }
    }

    /// The relay wants another number than the next of those that it is known to have.
    fn out_of_order(&mut self, name: &RoomName, number: u64, wanted: u64) -> Stored<()> {
        let Some(room) = self.rooms.get(name) else { return Ok(()) };
        if wanted <= room.number {
            // It lacks some that it had, or has some whose answers were lost: it gets the rest, as they were signed.
            if let Some(room) = self.room_mut(name) {
                room.posted = wanted.saturating_sub(1);
            }
            // One that goes back again and again gets them at its leisure.
            if wanted <= number {
                self.timers.set(Timer::Post(name.clone()), self.now + PAUSE);
            }
            return Ok(());
        }
        // Another copy of this profile has posted. Its posts come with the room, and then tell what to follow.
        self.timers.set(Timer::Post(name.clone()), self.now + PAUSE);
        self.continue_after_copy(name, wanted)
    }

    /// Signs again, after the last post that this device is seen to have made, what the relay never took: its number was
    /// used by another copy of the profile. **[ROOM-4]**
    fn continue_after_copy(&mut self, name: &RoomName, wanted: u64) -> Stored<()> {
        let (account, device) = (self.own.account, self.own.device.id);
        let Some(seen) = self.rows().author(name, &account, device)? else { return Ok(()) };
        let Some(room) = self.rooms.get(name) else { return Ok(()) };
        if seen.number + 1 != wanted {
            return Ok(());
        }
        let mut again = Vec::new();
        for number in room.posted + 1..=room.number {
            again.extend(self.rows().own_post(name, number)?);
        }
        if let Some(room) = self.room_mut(name) {
            (room.number, room.hash, room.posted) = (seen.number, seen.hash, seen.number);
        }
        self.sign_again(name, again)
    }

    /// The relay will not take this post, whatever happens: it is not delivered, and what one posted after it follows the
    /// one before. **[ROOM-4]**
    fn drop_post(&mut self, name: &RoomName, number: u64, refusal: &Refusal) -> Stored<()> {
        let Some(refused_post) = self.rows().own_post(name, number)? else { return Ok(()) };
        let joins = self.not_posted(name, &refused_post, refusal)?;
        let before = match number.checked_sub(1) {
            None | Some(0) => Some(PostHash::default()),
            Some(before) => self.rows().own_post(name, before)?.map(|own| post_hash(&own.post.head.body.0)),
        };
        // After a copy of the profile the one before may be the copy's.
        let seen = self.rows().author(name, &self.own.account, self.own.device.id)?;
        let before = before.or_else(|| seen.filter(|seen| seen.number + 1 == number).map(|seen| seen.hash));
        let (Some(before), Some(room)) = (before, self.rooms.get(name)) else { return Ok(()) };
        let last = room.number;
        let mut again = Vec::new();
        for later in number + 1..=last {
            again.extend(self.rows().own_post(name, later)?);
        }
        // Whoever the relay says is none is no member any more, unless they have asked to be one again since.
        let out = matches!(refusal, Refusal::NotMember | Refusal::BannedFromRoom { .. });
        let asked = self.joins_among(name, number + 1..=last)?;
        for gone in number..=last {
            self.rows().delete_own_post(name, gone)?;
        }
        if let Some(room) = self.room_mut(name) {
            (room.number, room.hash, room.posted) = (number - 1, before, number - 1);
            room.joined &= !joins && (!out || asked);
        }
        self.sign_again(name, again)
    }

    /// A post of one's own is not delivered: whoever waits for it is told. Whether it is a join.
    fn not_posted(&mut self, name: &RoomName, own: &OwnPost, refusal: &Refusal) -> Stored<bool> {
        let (id, about, error) = (own.id, name.to_string(), refused(refusal));
        let joins = PostHead::parse(&own.post.head.body.0).is_ok_and(|head| head.kind == PostKind::Join);
        self.fail_waits(&error, |waiting| match waiting {
            Waiting::Send { message, conversation, .. } => message.0 == id.0 && *conversation == about,
            Waiting::Membership { room, post } => room == name && (*post == Some(id) || joins && post.is_none()),
            Waiting::Posts { left } => left.contains(&id),
            _ => false,
        });
        self.tell(None, Event::Error(Error { message: format!("{name}: {}", error.message), ..error }));
        self.set_state(&ContentId(id.0), State::NotDelivered)?;
        Ok(joins)
    }

    /// Nothing is posted any more: what the relay has not taken is not delivered. **[ACCT-20]**
    pub(super) fn give_up_posts(&mut self, name: &RoomName) -> Stored<()> {
        let Some(room) = self.rooms.get(name) else { return Ok(()) };
        for number in room.posted + 1..=room.number {
            if let Some(own) = self.rows().own_post(name, number)?
                && !self.is_sent(&own)?
            {
                self.set_state(&ContentId(own.id.0), State::NotDelivered)?;
            }
        }
        Ok(())
    }

    /// Posts that the relay never took, after the last one that it has.
    fn sign_again(&mut self, name: &RoomName, again: Vec<OwnPost>) -> Stored<()> {
        for own in again {
            let Ok(head) = PostHead::parse(&own.post.head.body.0) else { continue };
            let text = own.post.body.and_then(|body| String::from_utf8(body.0).ok()).unwrap_or_default();
            // What it is about may have been signed again, too, and has another hash since.
            let own_target = self.rows().line(&self.own.account, &ContentId(head.target.0))?;
            let hash = own_target.map_or(head.target_hash, |line| line.hash);
            self.sign_post(name, own.id, head.kind, head.time, text, (head.target, hash))?;
        }
        Ok(())
    }
}
