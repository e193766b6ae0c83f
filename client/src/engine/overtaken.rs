//! What a profile does that runs twice or was restored: it counts on beyond all that another copy of it may have sent, and says
//! again under new numbers what nobody has confirmed. **[MSG-25]** **[MSG-49]**

use sealpost_spec::account::Name;
use sealpost_spec::message::{ContentId, Receipt};

use super::Engine;
use crate::api::Event;
use crate::store::Stored;
use crate::store::people::PeerId;

/// By how much a sender whose profile was copied goes on counting, at least: beyond what the other copy may have sent. A
/// recipient takes a jump by as much for this, not for missing messages. **[MSG-25]**
pub(super) const RENUMBER: u64 = 1 << 20;
/// Numbers of a millisecond: two copies that jump at different times count on in different places.
const OF_A_MILLISECOND: u64 = 1 << 12;
/// No device that keeps to this comes to it in a thousand years; from here on there would be no room to jump.
const MOST: u64 = 1 << 60;
/// At most one such jump for a person in this time, in milliseconds, whatever their receipts say.
const EVERY: u64 = 60 * 60 * 1_000;

/// Where a device counts on that has given `last`, where somebody confirms numbers up to `confirmed`.
fn beyond(last: u64, confirmed: u64, now: u64) -> u64 {
    let time = now.saturating_mul(OF_A_MILLISECOND).min(MOST);
    last.max(confirmed).saturating_add(RENUMBER).max(time)
}

impl Engine {
    /// Whether a receipt confirms what this profile never sent: another copy of it did. Nothing of it counts here then, since the same
    /// numbers may name something else. The relay did not tell so at the login, because it has lost its store, or lies. **[MSG-49]**
    pub(super) fn is_overtaken(&mut self, name: &Name, receipt: &Receipt) -> Stored<bool> {
        let confirmed = receipt.also.iter().copied().fold(receipt.through, u64::max);
        let Some(contact) = self.contacts.get(name).filter(|contact| contact.last_number < confirmed) else {
            return Ok(false);
        };
        let account = contact.account;
        let rests = self.overtaken.get(name).is_some_and(|at| self.now < at + EVERY);
        if confirmed >= MOST || rests {
            return Ok(true);
        }
        self.overtaken.insert(name.clone(), self.now);
        let peers: Vec<PeerId> = self.peers.keys().filter(|(whose, _)| Some(*whose) == account).copied().collect();
        peers.iter().try_for_each(|peer| self.retire_all(peer))?;
        self.count_on(name, confirmed)?;
        self.tell(None, Event::Restored { name: None });
        self.pump(name)?;
        Ok(true)
    }

    /// Counts on in another place, and gives new numbers to all that somebody has not confirmed: it is encrypted anew.
    pub(super) fn count_on(&mut self, name: &Name, confirmed: u64) -> Stored<()> {
        let now = self.now;
        let Some(contact) = self.contact_mut(name) else { return Ok(()) };
        contact.last_number = beyond(contact.last_number, confirmed, now);
        let mut waiting: Vec<(u64, ContentId)> =
            self.outbox.pendings_to(name).map(|pending| (pending.number, pending.id)).collect();
        waiting.sort_unstable();
        for (_, id) in waiting {
            self.say_again(name, &id)?;
        }
        Ok(())
    }

    fn say_again(&mut self, name: &Name, id: &ContentId) -> Stored<()> {
        let Some(mut content) = self.rows().content(id)? else { return Ok(()) };
        let Some(contact) = self.contact_mut(name) else { return Ok(()) };
        contact.last_number += 1;
        content.number = contact.last_number;
        self.drop_parcels(name, id)?;
        self.put_late(id, std::collections::BTreeSet::new())?;
        if let Some(pending) = self.outbox.renumber(id, content.number) {
            self.rows().put_content(&pending, &content)?;
        }
        if let Some(mut line) = self.rows().line(&self.own.account, id)? {
            line.number = content.number;
            self.rows().renumber_line(&line)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, RENUMBER, beyond};

    /// [MSG-25] copies that jump a second apart count on in places that are a jump apart, whoever sends how many; a clock that is
    /// wrong takes nothing of that away which the numbers themselves tell.
    #[test]
    fn copies_count_on_in_different_places() {
        let now = 1_790_000_000_000;
        let (first, second) = (beyond(40, 0, now), beyond(40, 0, now + 1_000));
        assert!(second - first > RENUMBER, "{first} {second}");
        assert_eq!(beyond(second, 0, now), second + RENUMBER);
        assert_eq!(beyond(40, second, 0), second + RENUMBER);
        assert!(beyond(0, 0, u64::MAX) == MOST && beyond(u64::MAX, 0, now) == u64::MAX);
    }
}
