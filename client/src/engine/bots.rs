//! Programs that may speak for the person, each in the conversations that its token names.

use sealpost_spec::account::Name;
use sealpost_spec::room::RoomName;

use super::{CommandId, Engine};
use crate::api::{Bot, Error, ErrorCode, Event};
use crate::store::Stored;
use crate::store::account::BotRow;

/// Most programs of a profile: all of them stand in one row.
const MAX_BOTS: usize = 32;
/// Most conversations that a token names.
const MAX_CONVERSATIONS: usize = 32;
/// Longest name of a program, in bytes.
const MAX_NAME: usize = 32;

impl Engine {
    pub(super) fn add_bot(
        &mut self,
        id: CommandId,
        name: &str,
        conversations: Vec<String>,
        read_only: bool,
    ) -> Stored<()> {
        let mut bots = self.rows().bots()?;
        let usage = |message: &str| {
            Error::new(ErrorCode::Usage, message).advise("sealpost bot add dice --for '#games' --for @bob")
        };
        let letter = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.' | b'-');
        if !(1..=MAX_NAME).contains(&name.len()) || !name.bytes().all(letter) || name.starts_with('-') {
            return self.end_with(id, usage("that is no name for a program: 1 to 32 of a-z A-Z 0-9 _ . -"));
        }
        if bots.iter().any(|bot| bot.name == name) {
            let error = Error::new(ErrorCode::Usage, format!("there is a program {name} already"))
                .advise(format!("sealpost bot remove {name}, for a new token; or another name"));
            return self.end_with(id, error);
        }
        if bots.len() >= MAX_BOTS || conversations.len() > MAX_CONVERSATIONS {
            let error =
                Error::new(ErrorCode::Usage, format!("at most {MAX_BOTS} programs, each in {MAX_CONVERSATIONS}"))
                    .advise("sealpost bot remove NAME, for one that is not needed any more");
            return self.end_with(id, error);
        }
        let mut named = Vec::new();
        for conversation in conversations {
            match self::conversation(&conversation) {
                Some(conversation) if named.contains(&conversation) => {}
                Some(conversation) => named.push(conversation),
                None => return self.end_with(id, usage("a conversation is @name or #room")),
            }
        }
        let token: String = self.random::<32>().iter().map(|byte| format!("{byte:02x}")).collect();
        let row =
            BotRow { name: name.to_owned(), conversations: named, read_only, token: self.rows().blinded_token(&token) };
        let event = Event::Bot(Bot { token: Some(token), ..told(&row) });
        bots.push(row);
        self.rows().put_bots(&bots)?;
        self.tell(Some(id), event);
        self.end(id);
        Ok(())
    }

    pub(super) fn list_bots(&mut self, id: CommandId) -> Stored<()> {
        for bot in self.rows().bots()? {
            self.tell(Some(id), Event::Bot(told(&bot)));
        }
        self.end(id);
        Ok(())
    }

    pub(super) fn remove_bot(&mut self, id: CommandId, name: &str) -> Stored<()> {
        let mut bots = self.rows().bots()?;
        let before = bots.len();
        bots.retain(|bot| bot.name != name);
        if bots.len() == before {
            let error = Error::new(ErrorCode::NoSuchName, format!("there is no program {name}"));
            return self.end_with(id, error.advise("sealpost bot list"));
        }
        self.rows().put_bots(&bots)?;
        self.tell(None, Event::BotRemoved { name: name.to_owned() });
        self.tell(Some(id), Event::Done);
        self.end(id);
        Ok(())
    }

    pub(super) fn check_bot(&mut self, id: CommandId, token: &str) -> Stored<()> {
        let blinded = self.rows().blinded_token(token);
        let bot = self.rows().bots()?.into_iter().find(|bot| bot.token == blinded);
        let Some(bot) = bot else {
            let error = Error::new(ErrorCode::NotTrusted, "nobody's token").advise("sealpost bot add NAME --for @bob");
            return self.end_with(id, error);
        };
        self.tell(Some(id), Event::Bot(told(&bot)));
        self.end(id);
        Ok(())
    }
}

fn told(row: &BotRow) -> Bot {
    Bot { name: row.name.clone(), conversations: row.conversations.clone(), read_only: row.read_only, token: None }
}

/// `@bob` or `#room`, as events name it.
fn conversation(text: &str) -> Option<String> {
    if text.starts_with('#') {
        return text.parse::<RoomName>().ok().map(|room| room.to_string());
    }
    let name: Name = text.strip_prefix('@').unwrap_or(text).parse().ok()?;
    Some(format!("@{name}"))
}
