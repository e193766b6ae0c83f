//! What becomes of a message after it was said: edits and deletions by its author, reactions of everybody.

use sealpost_spec::message::{ContentId, MAX_EMOJI};
use sealpost_spec::room::PostHash;

use super::moderation::order_of;
use super::say::Say;
use super::{CommandId, Engine};
use crate::api::{Error, ErrorCode, Kind, Reaction, Text, Wait};
use crate::store::Stored;
use crate::store::changes::{Change, Opinion};
use crate::store::messages::Line;

/// Shortest prefix that names a message.
pub(super) const MIN_PREFIX: usize = 4;
/// Digits of a whole id.
const ID_DIGITS: usize = 32;
/// How long a command waits for the relay to take an edit, a deletion or a reaction, in milliseconds.
const PATIENCE: u64 = 30_000;
/// What stands where a message was.
const DELETED: &str = "deleted by its author";

/// Whether a line is something that somebody said: it is read, answered, changed.
pub(super) fn is_said(kind: Kind) -> bool {
    matches!(kind, Kind::Text | Kind::Reply | Kind::File)
}

/// Whether a line stands in history by itself; edits, deletions and reactions show in the line that they name.
pub(super) fn stands_alone(kind: Kind) -> bool {
    !matches!(kind, Kind::Edit | Kind::Delete | Kind::Reaction | Kind::Remove | Kind::Name | Kind::Away)
}

/// `@bob` of `@bob~1`.
fn unarchived(conversation: &str) -> &str {
    conversation.split_once('~').map_or(conversation, |(name, _)| name)
}

impl Engine {
    /// Lets an edit, a deletion or a reaction do what it does. Whether anybody gets to see it: what changes nothing that
    /// is there is only remembered, until its target comes.
    pub(super) fn change_target(&mut self, line: &Line, hash: PostHash) -> Stored<bool> {
        match (line.kind, line.target) {
            (Kind::Edit | Kind::Delete, Some(target)) => self.change(line, target, hash),
            (Kind::Reaction, Some(target)) => self.react_to(line, target, hash),
            (Kind::Remove, Some(target)) => self.remove_post(line, target, hash),
            (kind, _) => Ok(stands_alone(kind)),
        }
    }

    /// Only the same account's message is changed, by its later words, and what is deleted stays so. **[MSG-32]**
    /// **[MSG-36]** **[ROOM-7]**
    fn change(&mut self, line: &Line, target: ContentId, hash: PostHash) -> Stored<bool> {
        let order = order_of(line);
        let text = (line.kind == Kind::Edit).then(|| line.text.clone());
        if let Some(known) = self.rows().change(&line.account, &target)?
            && (known.text.is_none() || text.is_some() && !order.is_after(known.order))
        {
            return Ok(false);
        }
        let mut change = Change { conversation: line.conversation.clone(), hash, text, unheard: false, order };
        let Some(mut changed) = self.rows().line(&line.account, &target)? else {
            // Came, and is gone: its time was over.
            if !self.rows().was_seen(&line.account, &target)? {
                self.rows().put_change(&line.account, &target, &change)?;
            }
            return Ok(false);
        };
        if changed.conversation != line.conversation
            || changed.hash != hash
            || !self.apply(&mut change, &mut changed)?
        {
            return Ok(false);
        }
        self.rows().put_line(&changed)?;
        self.rows().put_change(&line.account, &target, &change)?;
        Ok(true)
    }

    /// Changes a line that is about to be stored by what came before it. **[MSG-36]**
    pub(super) fn apply_early_change(&mut self, line: &mut Line) -> Stored<()> {
        let Some(mut change) = self.rows().change(&line.account, &line.id)? else { return Ok(()) };
        if change.conversation == line.conversation && change.hash == line.hash && self.apply(&mut change, line)? {
            self.rows().put_change(&line.account, &line.id, &change)?;
        }
        Ok(())
    }

    /// Whether the line is one that can be changed so.
    fn apply(&mut self, change: &mut Change, line: &mut Line) -> Stored<bool> {
        match &mut change.text {
            // A file has no text that could be another one.
            Some(text) if is_said(line.kind) && line.kind != Kind::File => {
                line.text = std::mem::take(text);
                line.edited = true;
            }
            None if is_said(line.kind) || line.kind == Kind::Removed => {
                change.unheard = self.forget_unread(line)?;
                self.take_away(line, DELETED)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Leaves of a line its place, and who has removed it. Whether it is one that can be removed.
    pub(super) fn take_away(&mut self, line: &mut Line, by: &str) -> Stored<bool> {
        if !is_said(line.kind) && line.kind != Kind::Removed {
            return Ok(false);
        }
        self.forget_unread(line)?;
        self.rows().take_countdown(&line.account, &line.id)?;
        self.forget_reactions(line)?;
        self.forget_file(line)?;
        line.kind = Kind::Removed;
        line.text = by.to_owned();
        line.edited = false;
        Ok(true)
    }

    /// One reaction of each person, the latest; an empty one takes it back. **[MSG-37]**
    fn react_to(&mut self, line: &Line, target: ContentId, hash: PostHash) -> Stored<bool> {
        let order = order_of(line);
        let known = self.rows().opinion(&target, &line.account, &line.conversation)?;
        if known.is_some_and(|known| !order.is_after(known.order)) {
            return Ok(false);
        }
        let lines = self.rows().lines_named(&target)?;
        let there = lines.iter().find(|there| there.conversation == line.conversation && there.hash == hash);
        if there.is_some_and(|there| !is_said(there.kind)) {
            return Ok(false);
        }
        self.rows().put_opinion(&Opinion {
            conversation: line.conversation.clone(),
            target,
            hash,
            from: line.from.clone(),
            account: line.account,
            emoji: line.text.clone(),
            order,
        })?;
        Ok(there.is_some())
    }

    /// What people think of a line.
    pub(super) fn reactions_to(&self, line: &Line) -> Stored<Vec<Reaction>> {
        if !is_said(line.kind) {
            return Ok(Vec::new());
        }
        let (public, conversation) = (line.conversation.starts_with('#'), unarchived(&line.conversation));
        let opinions = self.rows().opinions(&line.id)?.into_iter().filter(|opinion| {
            let blocked = public && self.contacts.get(&opinion.from).is_some_and(|contact| contact.blocked);
            opinion.conversation == conversation && opinion.hash == line.hash && !opinion.emoji.is_empty() && !blocked
        });
        let shown = |opinion: Opinion| Reaction { emoji: Text::new(opinion.emoji), from: format!("@{}", opinion.from) };
        Ok(opinions.map(shown).collect())
    }

    pub(super) fn forget_reactions(&self, line: &Line) -> Stored<()> {
        for opinion in self.rows().opinions(&line.id)? {
            if opinion.conversation == unarchived(&line.conversation) && opinion.hash == line.hash {
                self.rows().delete_opinion(&opinion)?;
            }
        }
        Ok(())
    }

    /// `edit`, and without text `delete`.
    pub(super) fn change_own(
        &mut self,
        id: CommandId,
        which: Option<String>,
        within: Option<String>,
        text: Option<String>,
    ) -> Stored<()> {
        let target = match which {
            Some(which) => self.find(&which, within.as_deref())?,
            None => self.last_own(within.as_deref())?,
        };
        let target = match target {
            Ok(target) => target,
            Err(error) => return self.end_with(id, error),
        };
        let room = target.conversation.parse().ok().filter(|_| text.is_none() && target.conversation.starts_with('#'));
        let moderates = room.is_some_and(|room| self.may_moderate(&room).is_ok());
        if target.account != self.own.account && moderates && is_said(target.kind) {
            let until = self.now.saturating_add(PATIENCE);
            return self.say_about(id, Kind::Remove, String::new(), target, Wait::Sent, until);
        }
        if target.account != self.own.account {
            let verb = if text.is_some() { "edited" } else { "deleted" };
            let error = Error::new(ErrorCode::Usage, format!("only what you wrote yourself can be {verb}"))
                .because(format!("this message is from @{}", target.from));
            return self.end_with(id, error);
        }
        if !is_said(target.kind) {
            return self.end_with(id, Error::new(ErrorCode::Usage, "the message is deleted already"));
        }
        if text.is_some() && target.kind == Kind::File {
            let error = Error::new(ErrorCode::Usage, "a file that was sent can't be changed");
            return self.end_with(id, error.advise("delete the message, and send another file"));
        }
        let kind = if text.is_some() { Kind::Edit } else { Kind::Delete };
        self.say_about(id, kind, text.unwrap_or_default(), target, Wait::Sent, self.now.saturating_add(PATIENCE))
    }

    pub(super) fn react(&mut self, id: CommandId, which: &str, emoji: String) -> Stored<()> {
        if emoji.len() > MAX_EMOJI {
            let error = Error::new(ErrorCode::Usage, format!("a reaction has at most {MAX_EMOJI} bytes"));
            return self.end_with(id, error.advise("one emoji; for more: sealpost reply ID TEXT"));
        }
        self.answer_message(id, which, Kind::Reaction, emoji, Wait::Sent, self.now.saturating_add(PATIENCE))
    }

    /// A reply or a reaction.
    pub(super) fn answer_message(
        &mut self,
        id: CommandId,
        which: &str,
        kind: Kind,
        text: String,
        wait: Wait,
        until: u64,
    ) -> Stored<()> {
        match self.find(which, None)? {
            Ok(target) if is_said(target.kind) => self.say_about(id, kind, text, target, wait, until),
            Ok(_) => self.end_with(id, Error::new(ErrorCode::Usage, "the message is deleted")),
            Err(error) => self.end_with(id, error),
        }
    }

    fn say_about(
        &mut self,
        id: CommandId,
        kind: Kind,
        text: String,
        target: Line,
        wait: Wait,
        until: u64,
    ) -> Stored<()> {
        if target.conversation.contains('~') {
            let error = Error::new(ErrorCode::Usage, "the message was for an earlier key of this person")
                .because("its conversation is archived, and nothing more is sent in it");
            return self.end_with(id, error);
        }
        let to = target.conversation.clone();
        self.say(id, &to, Say { kind, target: Some((target.id, target.hash)), ..Say::text(text) }, wait, until)
    }

    /// The message with this id, or with a beginning or an end that only it has: ids of posts begin with their time, so
    /// their ends are told apart sooner.
    pub(super) fn find(&self, id: &str, within: Option<&str>) -> Stored<Result<Line, Error>> {
        let id = id.trim().to_ascii_lowercase();
        let usage = |message: String| {
            Error::new(ErrorCode::Usage, message).advise("sealpost history NAME --json shows the ids")
        };
        if id.len() < MIN_PREFIX {
            return Ok(Err(usage(format!("an id is given by at least {MIN_PREFIX} characters"))));
        }
        if id.len() > ID_DIGITS || !id.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Ok(Err(usage("this is no message's id".to_owned())));
        }
        let within = within.map(conversation_of);
        let wanted = |line: &Line| {
            within.as_ref().is_none_or(|within| *within == line.conversation)
                && (is_said(line.kind) || line.kind == Kind::Removed)
        };
        let mut found: Vec<Line> = Vec::new();
        match u128::from_str_radix(&id, 16) {
            Ok(whole) if id.len() == ID_DIGITS => {
                let lines = self.rows().lines_named(&ContentId(whole.to_be_bytes()))?;
                // Who gives a message of theirs the id of one's own does not hide it.
                found.extend(lines.into_iter().filter(wanted).max_by_key(|line| line.account == self.own.account));
            }
            _ => {
                let mut each = |line: Line| {
                    let whole = line.id.to_string();
                    if wanted(&line) && (whole.starts_with(&id) || whole.ends_with(&id)) {
                        found.push(line);
                    }
                    found.len() < 2
                };
                match &within {
                    Some(within) => self.rows().walk_back(within, &mut each)?,
                    None => self.rows().walk_all_back(&mut each)?,
                }
            }
        }
        let error = match found.len() {
            1 => return Ok(found.pop().ok_or_else(|| usage(String::new()))),
            0 => "no message has this id",
            _ => "more than one message has such an id",
        };
        Ok(Err(Error::new(ErrorCode::NoSuchMessage, error).advise("sealpost history NAME --json shows the ids")))
    }

    /// One's own last message in a conversation.
    fn last_own(&self, within: Option<&str>) -> Stored<Result<Line, Error>> {
        let Some(within) = within.map(conversation_of) else {
            return Ok(Err(Error::new(ErrorCode::Usage, "say which message").advise("sealpost history NAME --json")));
        };
        let mut last = None;
        self.rows().walk_back(&within, |line| {
            if line.account == self.own.account && is_said(line.kind) {
                last = Some(line);
            }
            last.is_none()
        })?;
        Ok(last.ok_or_else(|| Error::new(ErrorCode::NoSuchMessage, format!("you have written nothing in {within}"))))
    }
}

/// `@bob` for `bob`; rooms and whole names as they are.
pub(super) fn conversation_of(with: &str) -> String {
    if with.starts_with(['@', '#']) { with.to_owned() } else { format!("@{with}") }
}
