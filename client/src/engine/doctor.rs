//! The self-check: what a profile and its connection are like, without a name, a key or an address.

use sealpost_crypto::identity::relay_pin;
use sealpost_spec::account::DeviceList;

use super::account::Phase;
use super::command::Waiting;
use super::{CommandId, DAY, Engine};
use crate::api::{Event, Found};
use crate::store::Stored;

/// How long the check waits for a connection, in milliseconds.
const WAITS: u64 = 10_000;
/// Clocks that differ by less are as good as the same, in milliseconds.
pub(super) const SKEW: u64 = 2 * 60 * 1_000;
/// Beyond this, times are of no use to anybody, in milliseconds.
const WRONG: u64 = 12 * 60 * 60 * 1_000;
/// Keys that rotate weekly are replaced by then, unless nobody was there to do it, in milliseconds.
const STALE: u64 = 14 * DAY;
/// With fewer one-time keys left, first messages lean on the last-resort key.
const FEW: u32 = 8;

impl Engine {
    pub(super) fn doctor(&mut self, id: CommandId) -> Stored<()> {
        if self.is_enrolled() {
            self.go_online();
        }
        if matches!(self.standing.phase, Phase::Off | Phase::LoggedIn) {
            return self.tell_checks(id);
        }
        self.wait(id, Waiting::Doctor, self.now + WAITS);
        Ok(())
    }

    /// There is no link, and none is waited for: whoever waits for the check is told how everything else is.
    pub(super) fn doctors_go_on(&mut self) -> Stored<()> {
        let waiting: Vec<CommandId> =
            self.waits.iter().filter(|(_, waiting)| matches!(waiting, Waiting::Doctor)).map(|(id, _)| *id).collect();
        waiting.into_iter().try_for_each(|id| self.tell_checks(id))
    }

    pub(super) fn tell_checks(&mut self, id: CommandId) -> Stored<()> {
        self.check_rows(id)?;
        self.check_account(id);
        self.check_connection(id);
        self.check_keys(id);
        self.check_queue(id);
        self.end(id);
        Ok(())
    }

    fn check(&mut self, id: CommandId, what: &str, found: Found, detail: String, advice: Option<&str>) {
        let advice = advice.filter(|_| found > Found::Ok).map(str::to_owned);
        self.tell(Some(id), Event::Check { what: what.to_owned(), found, detail, advice });
    }

    fn check_rows(&mut self, id: CommandId) -> Stored<()> {
        let health = self.rows().health()?;
        let (found, detail) = match (health.complaint, health.unreadable) {
            (Some(complaint), _) => (Found::Fail, format!("the database is damaged: {complaint}")),
            (None, 0) => (Found::Ok, format!("{} rows, all of them open", health.rows)),
            (None, unreadable) => (Found::Fail, format!("{unreadable} of {} rows do not open", health.rows)),
        };
        let advice = "sealpost backup FILE, as far as it goes; then restore it under another profile";
        self.check(id, "store", found, detail, Some(advice));
        Ok(())
    }

    fn check_account(&mut self, id: CommandId) {
        let (found, detail, advice) = if self.has_left() {
            (Found::Warn, "the account was unregistered", "sealpost wipe, where nothing here is needed any more")
        } else if self.siblings.reason().is_some() {
            (Found::Warn, "this device was revoked", "sealpost wipe, where nothing here is needed any more")
        } else if self.is_enrolled() {
            (Found::Ok, "registered", "")
        } else {
            (Found::Fail, "not registered yet", "sealpost register ADDRESS NAME, as before")
        };
        self.check(id, "account", found, detail.to_owned(), Some(advice));
        let devices = DeviceList::parse(&self.own.list.body.0).map_or(0, |list| list.devices.len());
        self.check(id, "devices", Found::Ok, format!("{devices} in the account's list"), None);
    }

    fn check_connection(&mut self, id: CommandId) {
        if self.has_left() {
            return;
        }
        if self.standing.phase != Phase::LoggedIn {
            let (reason, advice) = self.no_connection();
            self.check(id, "connection", Found::Fail, reason, Some(&advice));
            return;
        }
        self.check(id, "connection", Found::Ok, "logged in".to_owned(), None);
        self.check(id, "transport", Found::Ok, self.standing.transport.clone(), None);
        let pinned = self.own.relay_key.is_some_and(|key| relay_pin(&key) == self.profile.relay().pin);
        let (found, detail) = match pinned {
            true => (Found::Ok, "it is the one in the address"),
            false => (Found::Fail, "it is not the one in the address"),
        };
        let advice = "ask the relay's operator for its address over another way";
        self.check(id, "relay's key", found, detail.to_owned(), Some(advice));
        let skew = self.standing.skew.unsigned_abs();
        let found = match skew {
            0..SKEW => Found::Ok,
            SKEW..WRONG => Found::Warn,
            _ => Found::Fail,
        };
        let advice = "set this machine's clock: timedatectl set-ntp true";
        self.check(id, "clock", found, against_relay(self.standing.skew), Some(advice));
        let drained = if self.standing.drained { "read to its end" } else { "being read" };
        self.check(id, "mailbox", Found::Ok, drained.to_owned(), None);
    }

    /// Why there is no connection, and what to try.
    fn no_connection(&self) -> (String, String) {
        if let Some(error) = &self.standing.shut_out {
            // What names somebody is told where it is not pasted into a report.
            let reason = match error.message.contains(self.own.name.as_str()) {
                true => "the relay does not let this account in".to_owned(),
                false => error.message.clone(),
            };
            return (reason, "sealpost status says more".to_owned());
        }
        let reason = match self.standing.reason.as_str() {
            "" => "offline",
            // Causes of the link have the address in them: what is said here is only of which kind it is.
            reason if reason.contains(':') => "the relay can't be reached",
            reason => reason,
        };
        let advice = "look whether the network is up and the relay runs; sealpost status says more";
        (reason.to_owned(), advice.to_owned())
    }

    fn check_keys(&mut self, id: CommandId) {
        let oldest = self.prekeys.current.iter().map(|note| self.now.saturating_sub(note.made_at)).max();
        let (found, detail) = match oldest {
            None if !self.is_enrolled() => return,
            None => (Found::Fail, "there are none".to_owned()),
            Some(age) if age >= STALE => (Found::Warn, format!("the oldest is {} days old", age / DAY)),
            Some(_) if self.prekeys.unpublished => (Found::Warn, "new ones wait to be published".to_owned()),
            Some(age) => (Found::Ok, format!("the oldest is {} days old", age / DAY)),
        };
        self.check(id, "prekeys", found, detail, Some("sealpost recv, while the relay can be reached"));
        if let Some(left) = self.standing.stock {
            let found = if left.one_time.min(left.one_time_kem) < FEW { Found::Warn } else { Found::Ok };
            let detail = format!("{} and {} are left at the relay", left.one_time, left.one_time_kem);
            self.check(id, "one-time keys", found, detail, Some("nothing: they are filled up by themselves"));
        }
        let sessions: usize = self.peers.values().map(|peer| peer.sessions.len()).sum();
        let detail = format!("{sessions} with {} devices", self.peers.len());
        self.check(id, "sessions", Found::Ok, detail, None);
    }

    fn check_queue(&mut self, id: CommandId) {
        let (queued, unconfirmed) = self.outbox.totals();
        let found = if queued > 0 { Found::Warn } else { Found::Ok };
        let detail = format!("{queued} not at the relay, {unconfirmed} not confirmed");
        self.check(id, "queue", found, detail, Some("nothing: it goes out by itself once the relay takes it"));
        if self.own.dropped > 0 {
            let detail = format!("{} could not be opened, ever", self.own.dropped);
            self.check(id, "envelopes", Found::Warn, detail, Some("nothing: anybody may send what does not open"));
        }
    }
}

/// How the machine's clock stands to the relay's. `skew`: milliseconds that it is ahead.
pub(super) fn against_relay(skew: i64) -> String {
    let size = skew.unsigned_abs();
    let amount = match size {
        0..1_000 => return "as the relay's".to_owned(),
        1_000..120_000 => format!("{} s", size / 1_000),
        120_000..7_200_000 => format!("{} min", size / 60_000),
        _ => format!("{} h", size / 3_600_000),
    };
    format!("{amount} {} the relay's", if skew > 0 { "ahead of" } else { "behind" })
}

#[cfg(test)]
mod tests {
    use super::against_relay;

    #[test]
    fn a_clock_is_told_in_words() {
        for (skew, words) in [
            (-20, "as the relay's"),
            (1_999, "1 s ahead of the relay's"),
            (-300_000, "5 min behind the relay's"),
            (18_000_000, "5 h ahead of the relay's"),
            (i64::MIN, "2562047788015 h behind the relay's"),
        ] {
            assert_eq!(against_relay(skew), words);
        }
    }
}
