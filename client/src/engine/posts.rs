//! Posts that arrive: whose they are, whether they follow the author's last one, what they do.

use sealpost_crypto::identity::{post_hash, verify_post};
use sealpost_spec::mailbox::Seq;
use sealpost_spec::message::{ContentId, MAX_EMOJI};
use sealpost_spec::room::{MAX_POST_BODY, Post, PostHash, PostHead, PostKind, RoomName};

use super::Engine;
use super::change::is_said;
use crate::api::{Event, Kind, State};
use crate::store::Stored;
use crate::store::messages::{Line, Place};
use crate::store::rooms::Author;

/// So far a late post looks for the one that it stands before.
const MAX_LATE: u64 = 1_000;
/// Nobody posts so often; above it, counting on would overflow some day.
const MAX_NUMBER: u64 = 1 << 48;

impl Engine {
    /// A post was pushed.
    pub(super) fn pushed_post(&mut self, name: &RoomName, seq: Seq, post: &Post) -> Stored<()> {
        self.heard_a_push();
        let Some(room) = self.room_mut(name) else { return Ok(()) };
        if !room.joined {
            return Ok(());
        }
        // A place that no relay comes to is a lie, and what it would hide is asked for all the same.
        if seq.0 <= MAX_NUMBER {
            room.cursor = room.cursor.max(seq);
        }
        // [ROOM-2] [ROOM-3] [ROOM-9]
        let relay = self.own.relay_key.unwrap_or_default();
        let verified =
            verify_post(post, &relay).ok().filter(|(head, _)| head.room == *name && head.number <= MAX_NUMBER);
        let Some((head, list)) = verified else {
            self.refuse_in(Some(name.to_string()), "a post was forged or altered; it is not shown".into());
            return Ok(());
        };
        let id = ContentId(head.id.0);
        if !self.rows().first_time(&head.account, &id)? {
            return self.known_post(name, seq, &head, post);
        }
        if !self.author_is_pinned(&head)? {
            let reason = format!("a post under the name of @{} is signed with another key than theirs", head.author);
            self.refuse_in(Some(name.to_string()), reason);
            return Ok(());
        }
        // [ROOM-20]
        if self.is_of_dropped(&head, &list)? {
            let reason = format!("a post of a device that @{} has no more is not shown", head.author);
            self.refuse_in(Some(name.to_string()), reason);
            return Ok(());
        }
        let hash = post_hash(&post.head.body.0);
        let last = self.rows().author(name, &head.account, head.device.id)?;
        let Some(missing) = follows(&head, last) else {
            if self.fills_a_gap(&head, hash)? {
                return self.add_post(name, &head, post, seq, None);
            }
            if post.body.is_none() {
                // Removed by the operator, told once more, and its room no longer keeps the post itself. [ROOM-10]
                return Ok(());
            }
            let reason = format!("a post of @{} does not follow their last one: altered or forged", head.author);
            self.refuse_in(Some(name.to_string()), reason);
            return Ok(());
        };
        self.rows().put_author(name, &head.account, head.device.id, &Author { number: head.number, hash, seq })?;
        if missing > 0 {
            self.follow_again(name, last.map_or(Seq(0), |last| last.seq));
        }
        self.add_post(name, &head, post, seq, Some(missing))
    }

    /// The relay shows a post again: after it lost its store, or one's own. Its body may be gone by now.
    fn known_post(&mut self, name: &RoomName, seq: Seq, head: &PostHead, post: &Post) -> Stored<()> {
        if head.account == self.own.account && self.is_own_device(head.device.id) {
            let author = Author { number: head.number, hash: post_hash(&post.head.body.0), seq };
            let last = self.rows().author(name, &head.account, head.device.id)?;
            if last.is_none_or(|last| last.number < author.number) {
                self.rows().put_author(name, &head.account, head.device.id, &author)?;
            }
            self.set_state(&ContentId(head.id.0), State::Sent)?;
        }
        if post.body.is_none()
            && let Some(line) = self.rows().line(&head.account, &ContentId(head.id.0))?
            && let Some(target) = line.target.filter(|_| line.kind == Kind::Reaction)
            && let Some(opinion) = self.rows().opinion(&target, &line.account, &line.conversation)?
            && opinion.emoji == line.text
        {
            self.rows().delete_opinion(&opinion)?;
        }
        if post.body.is_none() {
            self.decision_removed(name, head)?;
        }
        if post.body.is_none()
            && let Some(mut line) = self.rows().line(&head.account, &ContentId(head.id.0))?
            && is_said(line.kind)
        {
            line.kind = Kind::Removed;
            // [ROOM-6] by its author it would be removed already: their delete post came before.
            line.text = "removed by the relay's operator".into();
            self.rows().put_line(&line)?;
            // [ROOM-10] it stands on somebody's screen.
            let message = self.view(&line)?;
            self.tell(None, Event::Message(message));
        }
        Ok(())
    }

    /// Whether the author's key is the one that is pinned for the name, as a contact or by their first post.
    fn author_is_pinned(&self, head: &PostHead) -> Stored<bool> {
        if head.author == self.own.name {
            return Ok(head.account == self.own.account);
        }
        // [ACCT-14] a link pins a key before it was ever seen.
        let contact = self.contacts.get(&head.author);
        if let Some(contact) = contact.filter(|contact| contact.account.is_some() || contact.pinned.is_some()) {
            return Ok(!Self::contradicts(contact, &head.account));
        }
        if let Some(first) = self.rows().first_author(&head.author)? {
            return Ok(first == head.account);
        }
        self.rows().put_first_author(&head.author, &head.account)?;
        Ok(true)
    }

    /// Whether a post with a number that was passed over is the one that was missing: its neighbours say so.
    fn fills_a_gap(&self, head: &PostHead, hash: PostHash) -> Stored<bool> {
        let at = |number| self.rows().post_at(&head.room, &head.account, head.device.id, number);
        if head.number == 0 || at(head.number)?.is_some() {
            return Ok(false);
        }
        let (before, after) = (at(head.number - 1)?, at(head.number + 1)?);
        let fits = before.as_ref().is_none_or(|before| before.hash == head.previous)
            && after.as_ref().is_none_or(|after| after.previous == hash);
        Ok(fits && (before.is_some() || after.is_some()))
    }

    /// Stores and shows a post. `missing`: how many of its author's are missing before it; `None`: it came late.
    fn add_post(
        &mut self,
        room: &RoomName,
        head: &PostHead,
        post: &Post,
        seq: Seq,
        missing: Option<u64>,
    ) -> Stored<()> {
        let late = missing.is_none();
        let missing = missing.unwrap_or(0);
        let blocked = self.contacts.get(&head.author).is_some_and(|contact| contact.blocked);
        if missing > 0 && !blocked {
            let from = format!("@{}", head.author);
            self.tell(None, Event::Gap { conversation: room.to_string(), from, missing });
        }
        let body = post.body.as_ref().map(|body| String::from_utf8_lossy(&body.0).into_owned());
        let limit = if head.kind == PostKind::Reaction { MAX_EMOJI } else { MAX_POST_BODY };
        let (kind, text) = match (talk(head.kind), body) {
            (Some(Kind::Text | Kind::Edit | Kind::Reply | Kind::Reaction), None) => {
                (Kind::Removed, "removed by the relay's operator".to_owned())
            }
            (Some(kind), body) => (kind, body.unwrap_or_default()),
            (None, _) => match self.decision(room, head, post)? {
                Some(decision) => decision,
                None => return Ok(()),
            },
        };
        if text.len() > limit && kind != Kind::Removed {
            return Ok(());
        }
        let own = head.account == self.own.account;
        let mut line = Line {
            id: ContentId(head.id.0),
            conversation: room.to_string(),
            from: head.author.clone(),
            account: head.account,
            device: head.device.id,
            number: head.number,
            missing,
            sent_at: head.time,
            text,
            kind,
            target: head.kind.has_target().then_some(ContentId(head.target.0)),
            state: if own { State::Sent } else { State::Received },
            hash: post_hash(&post.head.body.0),
            previous: head.previous,
            edited: false,
        };
        self.apply_early_change(&mut line)?;
        self.removed_early(&mut line)?;
        let mut stored = line.stored();
        if late {
            self.add_late_post(&mut stored)?;
        } else {
            self.rows().add_line(&stored, Place::Last)?;
        }
        self.heed(room, head, &line, seq)?;
        if !self.change_target(&line, head.target_hash)? || blocked {
            return Ok(());
        }
        if own {
            let message = self.view(&line)?;
            self.tell(None, Event::Message(message));
            return Ok(());
        }
        self.show(&line)
    }
}

impl Engine {
    /// Puts a post before the first that came after it.
    fn add_late_post(&self, line: &mut Line) -> Stored<()> {
        let number = line.number;
        for next in number + 1..=number + MAX_LATE {
            if let Some(mut successor) = self.rows().line_at(line, next)? {
                line.missing = successor.missing.saturating_sub(next - number);
                self.rows().add_line(line, Place::Before(next))?;
                successor.missing = next - number - 1;
                return self.rows().put_line(&successor);
            }
        }
        self.rows().add_line(line, Place::Last)
    }
}

/// What history calls what people say, where it is more than a decision or a word about oneself.
const fn talk(kind: PostKind) -> Option<Kind> {
    Some(match kind {
        PostKind::Text => Kind::Text,
        PostKind::Edit => Kind::Edit,
        PostKind::Delete => Kind::Delete,
        PostKind::Reply => Kind::Reply,
        PostKind::Reaction => Kind::Reaction,
        PostKind::Join => Kind::Join,
        PostKind::Leave => Kind::Leave,
        PostKind::Topic
        | PostKind::Kick
        | PostKind::Ban
        | PostKind::Unban
        | PostKind::Remove
        | PostKind::Name
        | PostKind::Away => return None,
    })
}

/// How many posts of the author are missing before this one; `None` where it is no successor. **[ROOM-4]** **[ROOM-5]**
fn follows(head: &PostHead, last: Option<Author>) -> Option<u64> {
    match last {
        None if head.number == 1 => (head.previous == PostHash::default()).then_some(0),
        None => Some(head.number - 1),
        Some(last) if head.number == last.number + 1 => (head.previous == last.hash).then_some(0),
        Some(last) if head.number > last.number => Some(head.number - last.number - 1),
        Some(_) => None,
    }
}
