//! What a backup holds, one row of the profile after the other.
//!
//! A record is as frozen as the row in it: what is new gets a record of its own, at the end.

use std::collections::BTreeSet;

use rusqlite::params;
use sealpost_spec::account::{AccountKey, DeviceId, Name};
use sealpost_spec::mailbox::StoreId;
use sealpost_spec::message::ContentId;
use sealpost_spec::room::{PostHash, RoomName};
use sealpost_spec::wire::Signed;
use serde::{Deserialize, Serialize};

use super::{Progress, Watching, told};
use crate::api::{Error, State};
use crate::store::account::{Choices, Own};
use crate::store::changes::{Change, Conversation, Opinion};
use crate::store::files::{FileRow, Stage};
use crate::store::messages::{Expiry, Line};
use crate::store::people::{Acquaintance, Contact, Peer, Persona};
use crate::store::rooms::{Author, Room, Rule};
use crate::store::rows::{Rows, Stored};

/// What the file is of.
#[derive(Serialize, Deserialize)]
pub(super) struct Head {
    /// Unix milliseconds.
    pub(super) made_at: u64,
    pub(super) name: Name,
    pub(super) relay: String,
    pub(super) account: AccountKey,
    /// Of the account's device list.
    pub(super) number: u64,
    pub(super) receipt: Option<Signed>,
    pub(super) store: Option<StoreId>,
    pub(super) relay_key: Option<[u8; 32]>,
    /// How many lines of history follow.
    pub(super) lines: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) enum Record {
    Head(Head),
    Choices(Choices),
    Contact(Contact),
    /// Without keys and sessions: which numbers came.
    Peer(Peer),
    Conversation(Conversation),
    Room(Room),
    Author {
        room: RoomName,
        account: AccountKey,
        device: DeviceId,
        author: Author,
    },
    FirstAuthor {
        name: Name,
        account: AccountKey,
    },
    Line {
        /// Where it stands in its conversation.
        place: i64,
        line: Line,
        /// Not read yet.
        fresh: bool,
        /// When it is deleted, Unix milliseconds.
        expires_at: Option<u64>,
        /// After how many seconds it is deleted, once it has been read or sent.
        countdown: Option<u32>,
    },
    Change {
        account: AccountKey,
        target: ContentId,
        change: Change,
    },
    Opinion(Opinion),
    /// Where a file is, or was; not what is in it.
    File(FileRow),
    /// One's own label for somebody, and since when they are known.
    Acquaintance(Acquaintance),
    Persona(Persona),
    Rule(Rule),
}

/// Gives `put` all that is kept, in the order in which it came.
pub(super) fn export(
    rows: &Rows,
    own: &Own,
    now: u64,
    watching: Watching<'_>,
    put: &mut dyn FnMut(&Record) -> Result<(), Error>,
) -> Result<(), Error> {
    let lines = rows.count_lines().map_err(told)?;
    put(&Record::Head(Head {
        made_at: now,
        name: own.name.clone(),
        relay: own.relay.clone(),
        account: own.account,
        number: sealpost_spec::account::DeviceList::parse(&own.list.body.0).map_or(0, |list| list.number),
        receipt: own.receipt.clone(),
        store: own.store,
        relay_key: own.relay_key,
        lines,
    }))?;
    put(&Record::Choices(rows.choices().map_err(told)?))?;
    // The account's other devices are no people; a restored one has none beside it. [ACCT-21]
    for contact in rows.contacts().map_err(told)?.into_iter().filter(|contact| contact.name != own.name) {
        put(&Record::Contact(Contact { last_number: 0, fetched_at: 0, ..contact }))?;
    }
    for peer in rows.peers().map_err(told)?.into_iter().filter(|peer| peer.account != own.account) {
        put(&Record::Peer(without_secrets(peer)))?;
    }
    for conversation in rows.conversations().map_err(told)? {
        put(&Record::Conversation(conversation))?;
    }
    for room in rows.rooms().map_err(told)? {
        // The new device's posts are a chain of their own.
        put(&Record::Room(Room { number: 0, hash: PostHash::default(), posted: 0, ..room }))?;
    }
    let mut authors = BTreeSet::new();
    let mut names = BTreeSet::new();
    let mut done = 0;
    rows.each_line(|place, line| {
        if let Ok(room) = line.conversation.trim_start_matches('#').parse::<RoomName>()
            && line.conversation.starts_with('#')
        {
            if authors.insert((room.clone(), line.account, line.device))
                && let Some(author) = rows.author(&room, &line.account, line.device).map_err(told)?
            {
                put(&Record::Author { room, account: line.account, device: line.device, author })?;
            }
            if names.insert(line.from.clone())
                && let Some(account) = rows.first_author(&line.from).map_err(told)?
            {
                put(&Record::FirstAuthor { name: line.from.clone(), account })?;
            }
        }
        if let Some(change) = rows.change(&line.account, &line.id).map_err(told)? {
            put(&Record::Change { account: line.account, target: line.id, change })?;
        }
        let fresh = rows.is_fresh(&line.account, &line.id).map_err(told)?;
        let expires_at = rows.expiry(&line.account, &line.id).map_err(told)?;
        let countdown = rows.countdown(&line.account, &line.id).map_err(told)?;
        put(&Record::Line { place, line, fresh, expires_at, countdown })?;
        done += 1;
        if done % 1_024 == 0 {
            watching(Progress { done, of: lines });
        }
        Ok(())
    })?;
    watching(Progress { done, of: lines });
    for opinion in rows.all_opinions().map_err(told)? {
        put(&Record::Opinion(opinion))?;
    }
    for file in rows.files().map_err(told)?.into_iter().filter(|file| file.stage != Stage::Gone) {
        put(&Record::File(file))?;
    }
    for known in rows.acquaintances().map_err(told)? {
        put(&Record::Acquaintance(known))?;
    }
    for persona in rows.personas().map_err(told)? {
        put(&Record::Persona(persona))?;
    }
    for rule in rows.rules().map_err(told)? {
        put(&Record::Rule(rule))?;
    }
    Ok(())
}

/// What is known of a device, without what sends to it. **[ACCT-22]**
fn without_secrets(peer: Peer) -> Peer {
    Peer {
        box_key: None,
        sessions: Vec::new(),
        unreceipted: Vec::new(),
        held: Vec::new(),
        unreadable: Vec::new(),
        ..peer
    }
}

/// Stores a record in the profile that is being made.
pub(super) fn import(rows: &Rows, own: &Own, record: Record) -> Stored<()> {
    match record {
        Record::Head(_) => Ok(()),
        Record::Choices(choices) => rows.put_choices(&choices),
        Record::Contact(contact) => rows.put_contact(&Contact { last_number: 0, fetched_at: 0, ..contact }),
        Record::Peer(peer) => rows.put_peer(&without_secrets(peer)),
        Record::Conversation(conversation) => rows.put_conversation(&conversation),
        Record::Room(room) => rows.put_room(&Room { number: 0, hash: PostHash::default(), posted: 0, ..room }),
        Record::Author { room, account, device, author } => rows.put_author(&room, &account, device, &author),
        Record::FirstAuthor { name, account } => rows.put_first_author(&name, &account),
        Record::Line { place, mut line, fresh, expires_at, countdown } => {
            // What waited is not sent by this device. [ACCT-22]
            if line.state == State::Queued && line.account == own.account {
                line.state = State::NotDelivered;
            }
            rows.restore_line(&line, place)?;
            // Sent again under its old id, it is not shown again. [MSG-24]
            rows.first_time(&line.account, &line.id)?;
            if fresh {
                rows.add_fresh(&line)?;
            }
            if let Some(at) = expires_at {
                rows.put_expiry(&Expiry { at, account: line.account, id: line.id })?;
            }
            countdown.map_or(Ok(()), |seconds| rows.put_countdown(&line.account, &line.id, seconds))
        }
        Record::Change { account, target, change } => rows.put_change(&account, &target, &change),
        Record::Opinion(opinion) => rows.put_opinion(&opinion),
        // What was on its way to somebody is not sent by this device. [ACCT-22]
        Record::File(file) if file.account == own.account && file.stage == Stage::Wanted => rows.put_file(&FileRow {
            stage: Stage::Failed,
            trouble: Some("the profile was restored".to_owned()),
            ..file
        }),
        Record::File(file) => rows.put_file(&file),
        Record::Acquaintance(known) => rows.put_acquaintance(&known),
        Record::Persona(persona) => rows.put_persona(&persona),
        Record::Rule(rule) => rows.put_rule(&rule),
    }
}

impl Rows {
    fn count_lines(&self) -> Stored<u64> {
        let count: i64 = self.connection().query_row("SELECT count(*) FROM message", [], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    /// Walks all lines, the oldest first, each with its place.
    fn each_line(&self, mut each: impl FnMut(i64, Line) -> Result<(), Error>) -> Result<(), Error> {
        let failed = |cause: rusqlite::Error| crate::store::StoreError::from(cause).told();
        let mut statement =
            self.connection().prepare("SELECT key, row, place FROM message ORDER BY id").map_err(failed)?;
        let mut rows = statement.query(params![]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let (key, sealed): ([u8; 32], Vec<u8>) = (row.get(0).map_err(failed)?, row.get(1).map_err(failed)?);
            each(row.get(2).map_err(failed)?, self.line_of_row(&key, &sealed).map_err(told)?)?;
        }
        Ok(())
    }
}
