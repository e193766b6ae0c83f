//! Messages that go by themselves: at their sender's once the relay took them, at their recipient's once they were read.
//! **[MSG-40]**

use sealpost_spec::account::Name;
use sealpost_spec::message::ContentId;

use super::say::Say;
use super::timers::Timer;
use super::{CommandId, Engine};
use crate::api::{Error, ErrorCode, Kind, Wait};
use crate::store::Stored;
use crate::store::messages::{Expiry, Line};

/// How long the command waits for the relay, in milliseconds.
const PATIENCE: u64 = 30_000;

/// What a change of the timer says.
pub(super) fn words(seconds: Option<u32>) -> String {
    match seconds.filter(|seconds| *seconds > 0) {
        Some(seconds) => format!("messages are deleted {} after they were read", crate::api::in_words(seconds)),
        None => "messages are kept".to_owned(),
    }
}

impl Engine {
    /// `expire`: from now on, what both write goes so long after it was read.
    pub(super) fn set_timer(&mut self, id: CommandId, with: &str, seconds: Option<u32>) -> Stored<()> {
        if with.starts_with('#') {
            let error = Error::new(ErrorCode::Usage, "posts of a room do not expire")
                .because("everybody has them, and the relay's operator says how long it keeps them");
            return self.end_with(id, error);
        }
        if self.name_for(id, with)?.is_none() {
            return Ok(());
        }
        let seconds = seconds.filter(|seconds| *seconds > 0);
        let say = Say { kind: Kind::Timer, expire: seconds, ..Say::text(words(seconds)) };
        self.say(id, with, say, Wait::Sent, self.now.saturating_add(PATIENCE))
    }

    /// A timer was set, by oneself or by the other side. Whether it is the later one of those that are known.
    pub(super) fn take_timer(&mut self, name: &Name, seconds: Option<u32>, sent_at: u64, id: ContentId) -> bool {
        // A clock that runs ahead must not win for ever.
        let timer = (sent_at.min(self.now), id);
        let conversation = self.conversation_mut(&format!("@{name}"));
        if conversation.timer.is_some_and(|known| known >= timer) {
            return false;
        }
        conversation.timer = Some(timer);
        if let Some(contact) = self.contact_mut(name) {
            contact.expire_after = seconds.filter(|seconds| *seconds > 0);
        }
        true
    }

    /// The line goes some time after it was read, or sent.
    pub(super) fn count_down_once_read(&self, line: &Line, seconds: Option<u32>) -> Stored<()> {
        match seconds.filter(|seconds| *seconds > 0 && super::change::is_said(line.kind)) {
            Some(seconds) => self.rows().put_countdown(&line.account, &line.id, seconds),
            None => Ok(()),
        }
    }

    /// It was read, or sent: its time begins.
    pub(super) fn start_countdown(&mut self, line: &Line) -> Stored<()> {
        let Some(seconds) = self.rows().take_countdown(&line.account, &line.id)? else { return Ok(()) };
        let at = self.now.saturating_add(u64::from(seconds) * 1_000);
        self.rows().put_expiry(&Expiry { at, account: line.account, id: line.id })?;
        self.timers.set_sooner(Timer::Expire, at);
        Ok(())
    }

    /// Deletes what has had its time.
    pub(super) fn expire(&mut self) -> Stored<()> {
        for expiry in self.rows().expiries()? {
            if expiry.at > self.now {
                self.timers.set_sooner(Timer::Expire, expiry.at);
                continue;
            }
            if let Some(line) = self.rows().line(&expiry.account, &expiry.id)? {
                self.delete_everything_of(&line)?;
            }
            if expiry.account == self.own.account {
                self.too_late(&expiry.id)?;
            }
            self.rows().delete_expiry(&expiry)?;
        }
        Ok(())
    }
}
