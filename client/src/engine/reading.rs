//! Who learns that one has read what they wrote: nobody, unless one wants it. **[MSG-39]**

use sealpost_spec::account::Name;
use sealpost_spec::message::{MAX_NAMED, Receipt};

use super::change::is_said;
use super::{CommandId, Engine};
use crate::api::{Event, State};
use crate::store::Stored;
use crate::store::messages::Line;
use crate::store::people::{PeerId, Reading};

/// Most numbers of a device that wait to be told; the oldest are forgotten first.
const MAX_READING: usize = 8 * MAX_NAMED;
/// Most lines that are looked at for a receipt of all numbers up to one.
const MAX_LOOKED_AT: usize = 2_000;

impl Engine {
    pub(super) fn settings(&mut self, id: CommandId, read_receipts: Option<bool>, typing: Option<bool>) -> Stored<()> {
        let before = self.choices;
        self.choose(read_receipts, typing)?;
        let choices = self.choices;
        if choices != before {
            self.copy_settings()?;
        }
        let event = Event::Settings { read_receipts: choices.read_receipts, typing: choices.typing };
        self.tell(Some(id), event);
        self.end(id);
        Ok(())
    }

    /// What the person wants others to learn is this from now on.
    pub(super) fn choose(&mut self, read_receipts: Option<bool>, typing: Option<bool>) -> Stored<()> {
        let choices = &mut self.choices;
        choices.read_receipts = read_receipts.unwrap_or(choices.read_receipts);
        choices.typing = typing.unwrap_or(choices.typing);
        let choices = *choices;
        if read_receipts.is_some() || typing.is_some() {
            self.rows().put_choices(&choices)?;
        }
        if !choices.read_receipts {
            for peer in std::mem::take(&mut self.reading).into_keys() {
                self.rows().delete_reading(&peer)?;
            }
        }
        Ok(())
    }

    /// A line was read: its author may learn it, and its time begins.
    pub(super) fn was_read(&mut self, line: &Line) -> Stored<()> {
        if self.forget_unread(line)? {
            self.copy_read(line)?;
        }
        self.start_countdown(line)?;
        let peer = (line.account, line.device);
        let accepted = self.contacts.get(&line.from).is_some_and(|contact| contact.accepted && !contact.blocked);
        let tells = self.choices.read_receipts && accepted && line.number > 0 && is_said(line.kind);
        // Of a post nobody is told, nor of what an earlier key wrote.
        if !tells || line.conversation != format!("@{}", line.from) || !self.peers.contains_key(&peer) {
            return Ok(());
        }
        let numbers = self.reading.entry(peer).or_default();
        numbers.push(line.number);
        if numbers.len() > MAX_READING {
            numbers.remove(0);
        }
        let reading = Reading { peer, numbers: numbers.clone() };
        self.rows().put_reading(&reading)?;
        self.plan_receipt(&peer);
        Ok(())
    }

    /// What a device is to learn.
    pub(super) fn read_receipts(&self, id: &PeerId) -> Vec<Receipt> {
        let mut numbers = self.reading.get(id).cloned().unwrap_or_default();
        numbers.sort_unstable();
        numbers.chunks(MAX_NAMED).map(|also| Receipt { read: true, through: 0, also: also.to_vec() }).collect()
    }

    /// It is on its way to them.
    pub(super) fn told_reading(&mut self, id: &PeerId) -> Stored<()> {
        if self.reading.remove(id).is_some() {
            self.rows().delete_reading(id)?;
        }
        Ok(())
    }

    /// Somebody has read what one wrote.
    pub(super) fn take_read(&mut self, name: &Name, receipt: &Receipt) -> Stored<()> {
        let conversation = format!("@{name}");
        let (account, device) = (self.own.account, self.own.device.id);
        let mut read = Vec::new();
        for number in receipt.also.iter().take(MAX_NAMED) {
            read.extend(self.rows().numbered(&conversation, &account, device, *number)?);
        }
        if receipt.through > 0 {
            let mut looked_at = 0;
            self.rows().walk_back(&conversation, |line| {
                looked_at += 1;
                if line.account == account && line.device == device && line.number > 0 && line.number <= receipt.through
                {
                    read.push(line);
                }
                looked_at < MAX_LOOKED_AT
            })?;
        }
        for line in read.iter().filter(|line| is_said(line.kind)) {
            self.set_state(&line.id, State::Read)?;
        }
        Ok(())
    }
}
