//! What a decrypted content does: lines of history in each sender's order, gaps, receipts, expiry.

use sealpost_spec::account::Name;
use sealpost_spec::message::{Body, Content, ContentId, FilePointer, MAX_EMOJI, MAX_NAMED, Receipt};
use sealpost_spec::room::PostHash;
use sealpost_spec::transparency::TreeHead;

use super::overtaken::RENUMBER;
use super::timers::Timer;
use super::{Engine, expiry, files, send};
use crate::api::{Event, Kind, State};
use crate::store::Stored;
use crate::store::messages::{Line, Place};
use crate::store::people::{Held, Peer, PeerId};

/// How long a message waits for one with a lower number before it is shown with a gap, in milliseconds.
const HOLD: u64 = 5_000;
/// A receipt leaves after a random pause between these, in milliseconds: it tells less about when one is there, and
/// confirms several messages at once. **[MSG-27]**
const RECEIPT_AFTER: (u64, u64) = (200, 1_200);
/// Most ranges of numbers that are remembered of a device: more gaps than this no honest sender leaves.
const MAX_RANGES: usize = 1_000;
/// Most messages of a device that wait for an earlier one; beyond, the first is shown with the gap before it.
const MAX_HELD: usize = 256;
/// Most receipts that are sent at once.
const MAX_RECEIPTS: usize = 8;

/// Adds a number to ranges; returns the last number below it that came (0: none) and the first above it.
fn add_number(ranges: &mut Vec<(u64, u64)>, number: u64) -> (u64, Option<u64>) {
    let at = ranges.partition_point(|(first, _)| *first <= number);
    let below = at.checked_sub(1).map(|i| ranges[i]);
    let above = ranges.get(at).copied();
    if below.is_some_and(|(_, last)| last >= number) {
        return (number, above.map(|(first, _)| first));
    }
    let joins_below = below.is_some_and(|(_, last)| last + 1 == number);
    let joins_above = above.is_some_and(|(first, _)| number + 1 == first);
    match (joins_below, joins_above) {
        (true, true) => {
            ranges[at - 1].1 = ranges[at].1;
            ranges.remove(at);
        }
        (true, false) => ranges[at - 1].1 = number,
        (false, true) => ranges[at].0 = number,
        (false, false) => ranges.insert(at, (number, number)),
    }
    if ranges.len() > MAX_RANGES {
        // Forgotten, not claimed: a duplicate of it is confirmed by its number.
        ranges.remove(1);
    }
    (below.map_or(0, |(_, last)| last), above.map(|(first, _)| first))
}

/// How many numbers are missing between two. A jump of about [`RENUMBER`] is a sender whose profile was copied: how far
/// the other copy came does not matter.
fn missing(below: u64, number: u64) -> u64 {
    let between = number.saturating_sub(below).saturating_sub(1);
    if jumps(below, number) { 0 } else { between }
}

/// Whether two numbers are so far apart that the sender goes on from an older profile.
const fn jumps(below: u64, number: u64) -> bool {
    number.saturating_sub(below).saturating_sub(1) >= RENUMBER / 2
}

/// How many numbers are missing right before one that came.
fn missing_before(peer: &Peer, number: u64) -> u64 {
    let at = peer.ranges.partition_point(|(first, _)| *first <= number);
    match at.checked_sub(1).map(|i| peer.ranges[i]) {
        Some((first, last)) if first == number || last < number => {
            let below = if last < number { Some(last) } else { at.checked_sub(2).map(|i| peer.ranges[i].1) };
            missing(below.unwrap_or(0), number)
        }
        _ => 0,
    }
}

/// What a body says, as a line of history: its kind, its text, what it is about, and the file that it announces. `None`: it says
/// nothing that stands there.
pub(super) fn said(body: Body) -> Option<(Kind, String, Option<ContentId>, Option<FilePointer>)> {
    Some(match body {
        Body::Text(text) => (Kind::Text, text, None, None),
        Body::Reply { target, text } => (Kind::Reply, text, Some(target), None),
        Body::Edit { target, text } => (Kind::Edit, text, Some(target), None),
        Body::Delete { target } => (Kind::Delete, String::new(), Some(target), None),
        Body::Reaction { target, emoji } if emoji.len() <= MAX_EMOJI => (Kind::Reaction, emoji, Some(target), None),
        Body::File(pointer) if Engine::is_file_size(pointer.size) => {
            (Kind::File, files::kept_name(&pointer.name), None, Some(pointer))
        }
        // There is nothing to fetch.
        Body::File(_) => return None,
        Body::Reaction { .. }
        | Body::Timer(_)
        | Body::DeviceSync(_)
        | Body::Receipt(_)
        | Body::Repair(_)
        | Body::Typing(_) => return None,
    })
}

impl Engine {
    /// Takes a content that opened in a session with this device.
    pub(super) fn take_content(&mut self, id: &PeerId, content: Content) -> Stored<()> {
        let Some(name) = self.peers.get(id).map(|peer| peer.name.clone()) else { return Ok(()) };
        if let Some(token) = content.token
            && self.contacts.get(&name).is_some_and(|contact| contact.token != Some(token))
            && let Some(contact) = self.contact_mut(&name)
        {
            contact.token = Some(token);
        }
        // [MSG-42] one's own devices tell each other what nobody else may.
        let own = self.is_own(&name);
        if !own && matches!(content.body, Body::DeviceSync(_)) {
            self.own_mut().dropped += 1;
            self.refuse(Some(&name), "something that only devices of your own may say was dropped");
            return Ok(());
        }
        if content.number == 0 {
            return match content.body {
                Body::Typing(_) if own => Ok(()),
                Body::Receipt(receipt) => self.take_receipt(&name, id, &receipt),
                Body::Repair(envelopes) => self.repair_for(&name, id, &envelopes),
                Body::Typing(on) => {
                    self.take_typing(&name, on, content.sent_at);
                    Ok(())
                }
                // Only these are not counted.
                _ => Ok(()),
            };
        }
        if matches!(content.body, Body::Receipt(_) | Body::Repair(_) | Body::Typing(_)) {
            return Ok(());
        }
        // What is thrown away is not confirmed, now or after `unblock`: its sender finds it not delivered. [MSG-27]
        if self.contacts.get(&name).is_some_and(|contact| contact.blocked) {
            return Ok(());
        }
        self.confirm(id, content.number);
        // For ever: also after a new session, a resend, a repair. **[MSG-24]**
        let known = !self.rows().first_time(&id.0, &content.id)?;
        let Some(peer) = self.peer_mut(id) else { return Ok(()) };
        let (below, above) = add_number(&mut peer.ranges, content.number);
        // Of those after the jump, the first that comes. [MSG-25]
        if !own && above.is_none() && below > 0 && jumps(below, content.number) {
            self.tell(None, Event::Restored { name: Some(name.to_string()) });
        }
        if known {
            return self.known_content(&name, id, content.number, above);
        }
        if own {
            return match content.body {
                Body::DeviceSync(body) => self.hear(id, &body),
                _ => Ok(()),
            };
        }
        self.add_content_line(&name, id, content, below, above)
    }

    /// A content came before; under this number perhaps not, where its sender's profile was restored since: nothing is missing there.
    fn known_content(&mut self, name: &Name, id: &PeerId, number: u64, above: Option<u64>) -> Stored<()> {
        let next = match above {
            Some(above) => self.rows().numbered(&format!("@{name}"), &id.0, id.1, above)?,
            None => None,
        };
        if let Some(mut next) = next.filter(|next| next.missing > missing(number, next.number)) {
            next.missing = missing(number, next.number);
            self.rows().put_line(&next)?;
        }
        self.show_held(id)
    }

    fn add_content_line(
        &mut self,
        name: &Name,
        id: &PeerId,
        content: Content,
        below: u64,
        above: Option<u64>,
    ) -> Stored<()> {
        let Some(conversation) = self.contacts.get(name).map(send::conversation) else { return Ok(()) };
        let (kind, text, target, file) = match content.body {
            Body::Timer(timer) => {
                if !self.take_timer(name, timer, content.sent_at, content.id) {
                    return Ok(());
                }
                (Kind::Timer, expiry::words(timer), None, None)
            }
            body => match said(body) {
                Some(said) => said,
                None => return Ok(()),
            },
        };
        // [MSG-46]
        let begins = below == 0 && self.was_linked();
        let mut line = Line {
            id: content.id,
            conversation,
            from: name.clone(),
            account: id.0,
            device: id.1,
            number: content.number,
            missing: if begins { 0 } else { missing(below, content.number) },
            sent_at: content.sent_at,
            text,
            kind,
            target,
            state: State::Received,
            hash: PostHash::default(),
            previous: PostHash::default(),
            edited: false,
        };
        if let Some(pointer) = file {
            self.file_offered(&line, pointer)?;
        }
        self.apply_early_change(&mut line)?;
        let stored = line.stored();
        // Stands its successor in history already? Then it came late, and goes to its place.
        let successor = match above {
            Some(above) => self.rows().line_at(&line, above)?,
            None => None,
        };
        match successor {
            Some(mut next) => {
                self.rows().add_line(&stored, Place::Before(next.number))?;
                next.missing = missing(line.number, next.number);
                self.rows().put_line(&next)?;
            }
            None => self.rows().add_line(&stored, Place::Last)?,
        }
        let shows = self.change_target(&line, PostHash::default())?;
        self.count_down_once_read(&line, content.expire_after)?;
        let now = self.now;
        let Some(peer) = self.peer_mut(id) else { return Ok(()) };
        let late = above.is_some_and(|above| peer.held.iter().all(|held| held.number != above));
        if !shows {
            // It changes nothing that anybody sees; its number counts all the same.
        } else if late {
            self.show(&line)?;
        } else if let Some(peer) = self.peer_mut(id) {
            let at = peer.held.partition_point(|held| held.number <= line.number);
            peer.held.insert(at, Held { number: line.number, id: line.id, since: now });
        }
        self.show_held(id)
    }

    /// Shows, in the order of their numbers, messages before which nothing is missing, or nothing that is waited for any
    /// longer. **[MSG-25]**
    pub(super) fn show_held(&mut self, id: &PeerId) -> Stored<()> {
        loop {
            let Some(peer) = self.peers.get(id) else { return Ok(()) };
            let Some(held) = peer.held.first().cloned() else { return Ok(()) };
            let name = peer.name.clone();
            let first = peer.ranges.first().is_none_or(|(first, _)| *first >= held.number);
            let begins = first && self.was_linked();
            let missing = if begins { 0 } else { missing_before(peer, held.number) };
            if missing > 0 && held.since + HOLD > self.now && peer.held.len() <= MAX_HELD {
                self.timers.set(Timer::Show(*id), held.since + HOLD);
                return Ok(());
            }
            if let Some(peer) = self.peer_mut(id) {
                peer.held.remove(0);
            }
            if missing > 0 {
                let gap = Event::Gap { conversation: format!("@{name}"), from: format!("@{name}"), missing };
                self.tell(None, gap);
            }
            if let Some(line) = self.rows().line(&id.0, &held.id)? {
                self.show(&line)?;
            }
        }
    }

    /// A line is there for everybody to see.
    pub(super) fn show(&mut self, line: &Line) -> Stored<()> {
        // Who comes and goes is told to those who watch, and stands in history; it is nothing to be read.
        if !matches!(line.kind, Kind::Join | Kind::Leave | Kind::Removed) {
            self.add_unread(line)?;
        }
        self.typed(line);
        let message = self.view(line)?;
        self.tell(None, Event::Message(message));
        self.feed_followers()
    }

    /// A number is to be confirmed with the next receipt.
    pub(super) fn confirm(&mut self, id: &PeerId, number: u64) {
        let Some(peer) = self.peer_mut(id).filter(|_| number > 0) else { return };
        if !peer.unreceipted.contains(&number) {
            peer.unreceipted.push(number);
            if peer.unreceipted.len() > MAX_NAMED * MAX_RECEIPTS {
                peer.unreceipted.remove(0);
            }
        }
        self.plan_receipt(id);
    }

    /// A receipt leaves soon, where one is due: only people whom one accepted learn that something came.
    pub(super) fn plan_receipt(&mut self, id: &PeerId) {
        let Some(peer) =
            self.peers.get(id).filter(|peer| !peer.unreceipted.is_empty() || self.reading.contains_key(id))
        else {
            return;
        };
        if self.contacts.get(&peer.name).is_some_and(|contact| contact.accepted && !contact.blocked) && self.online() {
            let (least, most) = RECEIPT_AFTER;
            let pause = least + u64::from(u32::from_le_bytes(self.random())) % (most - least);
            self.timers.set_sooner(Timer::Receipt(*id), self.now + pause);
        }
    }

    /// A bundle came that a receipt may have waited for.
    pub(super) fn send_receipt_if_planned(&mut self, id: &PeerId) -> Stored<()> {
        self.plan_receipt(id);
        Ok(())
    }

    /// Confirms to a device what came from it.
    pub(super) fn send_receipt(&mut self, id: &PeerId) -> Stored<()> {
        let Some(peer) =
            self.peers.get(id).filter(|peer| !peer.unreceipted.is_empty() || self.reading.contains_key(id))
        else {
            return Ok(());
        };
        let (name, mut numbers) = (peer.name.clone(), peer.unreceipted.clone());
        let through = peer.ranges.first().filter(|(first, _)| *first == 1).map_or(0, |(_, last)| *last);
        let accepted = self.contacts.get(&name).is_some_and(|contact| contact.accepted);
        if !self.online() || !accepted || !self.may_send(&name) {
            return Ok(());
        }
        if !self.can_encrypt(id) {
            // There is a session, since something came; what lacks is the box key, or a session that still sends.
            match self.take_bundle(id) {
                Some(bundle) if !self.has_sending_session(id) => drop(self.start_session(id, &bundle)?),
                _ => self.fetch_bundle(&name),
            }
            if !self.can_encrypt(id) {
                return Ok(());
            }
        }
        let stored = !numbers.is_empty();
        numbers.retain(|number| *number > through);
        numbers.sort_unstable();
        let mut receipts: Vec<Receipt> =
            numbers.chunks(MAX_NAMED).map(|also| Receipt { read: false, through, also: also.to_vec() }).collect();
        if receipts.is_empty() && stored {
            receipts.push(Receipt { read: false, through, also: Vec::new() });
        }
        receipts.extend(self.read_receipts(id));
        for receipt in receipts {
            let content = self.uncounted(Body::Receipt(receipt));
            if !self.encrypt_for(id, &content)? {
                return Ok(());
            }
        }
        self.told_reading(id)?;
        if let Some(peer) = self.peer_mut(id) {
            peer.unreceipted.clear();
        }
        self.deliver(&name)
    }

    fn has_sending_session(&self, id: &PeerId) -> bool {
        self.peers.get(id).is_some_and(|peer| peer.sessions.iter().any(|note| note.retired_at.is_none()))
    }

    /// A content that nobody confirms.
    pub(super) fn uncounted(&self, body: Body) -> Content {
        Content {
            id: ContentId(self.random()),
            number: 0,
            sent_at: self.now,
            expire_after: None,
            token: None,
            tree_head: TreeHead::NONE,
            body,
        }
    }

    /// A device confirms what it has: only this makes a message delivered. **[MSG-27]**
    fn take_receipt(&mut self, name: &Name, id: &PeerId, receipt: &Receipt) -> Stored<()> {
        if self.is_overtaken(name, receipt)? {
            return Ok(());
        }
        let state = if receipt.read { State::Read } else { State::Delivered };
        for parcel in self.outbox.parcels_to(name, id) {
            let Some(content) = parcel.content else { continue };
            if parcel.number > receipt.through && !receipt.also.contains(&parcel.number) {
                continue;
            }
            self.outbox.remove_parcel(name, parcel.order);
            self.rows().delete_parcel(&parcel.envelope)?;
            self.set_state(&content, state)?;
            let pending = self.outbox.change_pending(&content, |pending| pending.delivered = true);
            if !self.end_where_confirmed(&content)?
                && let Some(pending) = pending
            {
                self.rows().put_pending(&pending)?;
            }
        }
        if receipt.read {
            self.take_read(name, receipt)?;
        }
        self.pump(name)
    }
}

#[cfg(test)]
mod tests {
    use super::{RENUMBER, add_number, missing};

    #[test]
    fn numbers_become_ranges_and_tell_their_neighbours() {
        let mut ranges = Vec::new();
        assert_eq!(add_number(&mut ranges, 1), (0, None));
        assert_eq!(add_number(&mut ranges, 5), (1, None));
        assert_eq!(add_number(&mut ranges, 3), (1, Some(5)));
        assert_eq!(ranges, [(1, 1), (3, 3), (5, 5)]);
        assert_eq!(add_number(&mut ranges, 4), (3, Some(5)));
        assert_eq!(add_number(&mut ranges, 2), (1, Some(3)));
        assert_eq!(ranges, [(1, 5)]);
        assert_eq!(add_number(&mut ranges, 4), (4, None));
        assert_eq!(ranges, [(1, 5)]);
    }

    #[test]
    fn a_jump_of_a_copied_profile_is_no_gap() {
        assert_eq!(missing(3, 4), 0);
        assert_eq!(missing(3, 7), 3);
        assert_eq!(missing(3, 3 + RENUMBER), 0);
    }
}
