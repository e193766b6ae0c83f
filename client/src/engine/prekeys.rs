//! One's own prekeys: made, published, rotated and deleted.

use sealpost_crypto::identity::PrekeySecret;
use sealpost_spec::account::{MAX_PREKEYS_AT_ONCE, PrekeyCounts, PrekeyId, PrekeyRole, PublishedKeys};
use sealpost_spec::relay::{Answer, Refusal, Request};
use sealpost_spec::wire::Signed;

use super::timers::Timer;
use super::{Asked, DAY, Engine, Failure};
use crate::store::Stored;
use crate::store::account::KeyNote;

/// How many one-time prekeys the relay is to have; below half of it, new ones are published. **[ACCT-16]**
const ONE_TIME: u32 = 64;
const ONE_TIME_KEM: u32 = 32;
/// Signed prekey, last-resort KEM prekey and box key live so long, in milliseconds. **[MSG-29]**
const ROTATION: u64 = 7 * DAY;
/// What was replaced still opens messages for so long, in milliseconds: longer than an envelope waits. **[MSG-29]**
pub(super) const KEPT: u64 = 35 * DAY;
/// One-time keys whose ids are so far behind were never fetched, or their message is lost.
const MAX_ONE_TIME_KEPT: u32 = 1_000;

/// Pause before keys are published anew after the relay called some stale, in milliseconds.
pub(super) const STALE_PAUSE: u64 = 10_000;
/// By how much ids jump where a profile was copied: the other copy makes fewer in years.
const RENUMBER: u32 = 1 << 14;

const ROTATING: [PrekeyRole; 3] = [PrekeyRole::Signed, PrekeyRole::LastResortKem, PrekeyRole::Box];

impl Engine {
    fn make_prekey(&mut self, role: PrekeyRole) -> Stored<Signed> {
        let last = self.prekeys.last.get_mut(role as usize - 1);
        let id = last.map_or(1, |last| {
            *last = last.saturating_add(1);
            *last
        });
        let made_at = self.now / 1_000;
        let key = PrekeySecret::generate(role, PrekeyId(id), made_at, &self.secret, &mut **self.rows().dice());
        self.rows().put_prekey(&key)?;
        if matches!(role, PrekeyRole::OneTime | PrekeyRole::OneTimeKem) && id > MAX_ONE_TIME_KEPT {
            self.rows().delete_prekey(role, PrekeyId(id - MAX_ONE_TIME_KEPT))?;
        }
        Ok(key.signed().clone())
    }

    /// Replaces the keys that are a week old; `registering`: they are about to be published anyway.
    pub(super) fn rotate_prekeys(&mut self, registering: bool) -> Stored<()> {
        let now = self.now;
        let (mut made, mut changed) = (false, false);
        for role in ROTATING {
            let current = self.prekeys.current.iter().position(|note| note.role == role);
            // One that was made by a clock that ran far ahead would else live for as long.
            let fresh = |note: &KeyNote| note.made_at <= now + DAY && note.made_at + ROTATION > now;
            if current.is_some_and(|i| fresh(&self.prekeys.current[i])) {
                continue;
            }
            self.make_prekey(role)?;
            if let Some(i) = current {
                let old = self.prekeys.current.remove(i);
                self.prekeys.old.push(KeyNote { replaced_at: now, ..old });
            }
            let id = PrekeyId(self.prekeys.last[role as usize - 1]);
            self.prekeys.current.push(KeyNote { role, id, made_at: now, replaced_at: 0 });
            made = true;
        }
        // A box key also waits for a drained mailbox: what is still there may be sealed to it.
        let drained = self.standing.drained;
        let over = |note: &KeyNote| note.replaced_at + KEPT <= now && (note.role != PrekeyRole::Box || drained);
        for note in self.prekeys.old.iter().filter(|note| over(note)) {
            self.profile.rows.delete_prekey(note.role, note.id)?;
            changed = true;
        }
        self.prekeys.old.retain(|note| !over(note));
        self.prekeys.unpublished |= made;
        if made || changed {
            self.rows().put_prekeys(&self.prekeys)?;
        }
        if made && !registering { self.publish() } else { Ok(()) }
    }

    /// Another copy of this profile may have published keys under the next ids, which this one can't open with: all are
    /// made anew, under ids beyond.
    pub(super) fn replace_prekeys(&mut self) -> Stored<()> {
        let now = self.now;
        for last in &mut self.prekeys.last {
            *last = last.saturating_add(RENUMBER);
        }
        for note in std::mem::take(&mut self.prekeys.current) {
            self.prekeys.old.push(KeyNote { replaced_at: now, ..note });
        }
        self.restocks(true)?;
        self.rotate_prekeys(true)
    }

    /// Whether the relay is to get new one-time keys, however many it has.
    fn restocks(&mut self, restocks: bool) -> Stored<()> {
        if std::mem::replace(&mut self.restock, restocks) == restocks {
            return Ok(());
        }
        self.rows().put_restocks(restocks)
    }

    /// The current rotating keys, as they are published.
    fn current_keys(&self) -> Stored<PublishedKeys> {
        let mut keys = PublishedKeys {
            signed: None,
            last_resort_kem: None,
            box_key: None,
            one_time: Vec::new(),
            one_time_kem: Vec::new(),
        };
        for note in &self.prekeys.current {
            let signed = self.rows().prekey(note.role, note.id)?.map(|key| key.signed().clone());
            match note.role {
                PrekeyRole::Signed => keys.signed = signed,
                PrekeyRole::LastResortKem => keys.last_resort_kem = signed,
                PrekeyRole::Box => keys.box_key = signed,
                PrekeyRole::OneTime | PrekeyRole::OneTimeKem => {}
            }
        }
        Ok(keys)
    }

    fn one_time_keys(&mut self, role: PrekeyRole, count: u32) -> Stored<Vec<Signed>> {
        let count = usize::try_from(count).unwrap_or(0).min(MAX_PREKEYS_AT_ONCE);
        (0..count).map(|_| self.make_prekey(role)).collect()
    }

    /// What a registration publishes.
    pub(super) fn keys_to_register(&mut self) -> Stored<PublishedKeys> {
        let mut keys = self.current_keys()?;
        keys.one_time = self.one_time_keys(PrekeyRole::OneTime, ONE_TIME)?;
        keys.one_time_kem = self.one_time_keys(PrekeyRole::OneTimeKem, ONE_TIME_KEM)?;
        self.rows().put_prekeys(&self.prekeys)?;
        Ok(keys)
    }

    /// Publishes new one-time keys where the relay has too few.
    pub(super) fn replenish(&mut self, counts: PrekeyCounts) -> Stored<()> {
        if self.standing.publishing || !self.online() {
            return Ok(());
        }
        // What the relay has are another copy's: the first new ones replace them all. [ACCT-12]
        let counts = if self.restock { PrekeyCounts { one_time: 0, one_time_kem: 0 } } else { counts };
        let wanted = |has: u32, full: u32| if has < full / 2 { full - has } else { 0 };
        // Once there are new ones of a kind on the way, it is filled up, not only to half.
        let one_time = wanted(counts.one_time, ONE_TIME + 2);
        let one_time_kem = wanted(counts.one_time_kem, ONE_TIME_KEM);
        let mut keys = self.current_keys()?;
        if !self.prekeys.unpublished {
            (keys.signed, keys.last_resort_kem, keys.box_key) = (None, None, None);
            if one_time == 0 && one_time_kem == 0 {
                return Ok(());
            }
        }
        keys.one_time = self.one_time_keys(PrekeyRole::OneTime, one_time)?;
        keys.one_time_kem = self.one_time_keys(PrekeyRole::OneTimeKem, one_time_kem)?;
        self.rows().put_prekeys(&self.prekeys)?;
        self.standing.publishing = true;
        self.ask(Asked::Publish, Request::Publish(keys));
        Ok(())
    }

    /// Publishes the rotating keys where they are new.
    pub(super) fn publish(&mut self) -> Stored<()> {
        if self.prekeys.unpublished {
            self.replenish(PrekeyCounts { one_time: ONE_TIME, one_time_kem: ONE_TIME_KEM })?;
        }
        Ok(())
    }

    pub(super) fn published(&mut self, result: Result<Answer, Failure>) -> Stored<()> {
        self.standing.publishing = false;
        match result {
            Ok(Answer::Published { keys }) => {
                self.standing.stock = Some(keys);
                self.restocks(false)?;
                self.all_published()?;
                self.replenish(keys)
            }
            // The relay has other keys under these ids, or under later ones.
            Err(Failure::Refused(Refusal::StaleKey)) => {
                self.replace_prekeys()?;
                self.timers.set(Timer::Publish, self.now + STALE_PAUSE);
                Ok(())
            }
            Err(Failure::Refused(Refusal::TooFast { retry_after_ms })) => {
                self.timers.set(Timer::Publish, self.now + u64::from(retry_after_ms).max(1_000));
                Ok(())
            }
            // The next login tells the counts again.
            _ => Ok(()),
        }
    }

    fn all_published(&mut self) -> Stored<()> {
        if self.prekeys.unpublished {
            self.prekeys.unpublished = false;
            self.rows().put_prekeys(&self.prekeys)?;
        }
        Ok(())
    }

    /// Once a day, and when the profile was opened.
    pub(super) fn daily(&mut self) -> Stored<()> {
        self.timers.set(Timer::Daily, self.now + DAY);
        self.rotate_prekeys(!self.online())?;
        self.prune_sessions()?;
        self.expire_skipped_keys()?;
        self.forget_old_files()?;
        self.want_pages_later()?;
        let now = self.now;
        self.rows().prune_replays(now)?;
        // A sender gives up after 30 days: what comes later than that is no duplicate of an honest one.
        self.rows().prune_come(now.saturating_sub(KEPT))
    }
}
