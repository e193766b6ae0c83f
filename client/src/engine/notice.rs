//! What the relay's operator wants everybody to know: shown once. **[RELAY-22]**

use sealpost_spec::relay::{MAX_NOTICE, Notice};

use super::command::Waiting;
use super::history::timestamp;
use super::{CommandId, Engine};
use crate::api::{Command, Event, Text};
use crate::store::Stored;

impl Engine {
    /// The relay has told a notice. Whoever waits for something is shown it; else the next one who asks on this link,
    /// and after that the relay tells it again, if it still stands.
    pub(super) fn noticed(&mut self, notice: Notice) -> Stored<()> {
        if notice.text.len() > MAX_NOTICE || self.rows().notice()? == Some(notice.id) {
            return Ok(());
        }
        let waiting = self.waits.iter().filter(|(_, waiting)| !matches!(waiting, Waiting::Subscribe));
        let ids: Vec<CommandId> = waiting.map(|(id, _)| *id).collect();
        if self.waits.is_empty() {
            self.standing.notice = Some(notice);
            return Ok(());
        }
        self.rows().put_notice(notice.id)?;
        for id in ids {
            self.tell(Some(id), event(&notice));
        }
        self.tell(None, event(&notice));
        Ok(())
    }

    /// Shows what nobody was there to see to who goes online now.
    pub(super) fn tell_notice_to(&mut self, id: CommandId, command: &Command) -> Stored<()> {
        if matches!(
            command,
            Command::Stop
                | Command::Me
                | Command::Contacts
                | Command::Conversations
                | Command::History { .. }
                | Command::Read { .. }
                | Command::Mute { .. }
                | Command::Draft { .. }
                | Command::Settings { .. }
                | Command::Typing { .. }
                | Command::Search { .. }
                | Command::Files
                | Command::BotAdd { .. }
                | Command::Bots
                | Command::BotRemove { .. }
                | Command::BotCheck { .. }
        ) {
            return Ok(());
        }
        let Some(notice) = self.standing.notice.take() else { return Ok(()) };
        self.rows().put_notice(notice.id)?;
        self.tell(Some(id), event(&notice));
        Ok(())
    }
}

fn event(notice: &Notice) -> Event {
    Event::Notice {
        id: notice.id.0.iter().map(|byte| format!("{byte:02x}")).collect(),
        time: timestamp(notice.time),
        text: Text::new(notice.text.as_str()),
    }
}
