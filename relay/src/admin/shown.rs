//! Records as people read them.

use std::fmt::{Display, Formatter, Result};

use super::{Banned, Invite, LimitRecord, MailboxRecord, Record, RoomRecord, Status, User};
use crate::listen::now;

impl Display for Record {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Status(status) => status.fmt(f),
            Self::User(user) => user.fmt(f),
            Self::Banned(Banned { name, reason, .. }) => write!(f, "{:<32}  {reason}", name.as_str()),
            Self::Invite(invite) => invite.fmt(f),
            Self::Room(room) => room.fmt(f),
            Self::Limit(limit) => limit.fmt(f),
            Self::Mailbox(mailbox) => mailbox.fmt(f),
            Self::Done { text } => f.write_str(text),
            Self::End => Ok(()),
            Self::Error(trouble) => trouble.fmt(f),
        }
    }
}

impl Display for Status {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { version, uptime_s, authenticated_links, anonymous_links, accounts, .. } = self;
        writeln!(f, "version    {version}")?;
        writeln!(f, "uptime     {}{}", duration(*uptime_s), if self.draining { ", draining" } else { "" })?;
        writeln!(f, "links      {authenticated_links} authenticated, {anonymous_links} anonymous")?;
        writeln!(f, "accounts   {accounts}")?;
        let waiting = counted(self.waiting, "envelope");
        writeln!(f, "waiting    {waiting} in {}, {} not written yet", size(self.waiting_bytes), self.held)?;
        writeln!(f, "rooms      {}", self.rooms)?;
        writeln!(f, "files      {} in {}", self.files, size(self.files_bytes))?;
        write!(f, "store      {}", self.store)
    }
}

impl Display for User {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { name, devices, online, waiting, waiting_bytes, banned } = self;
        let presence = if *online { "online" } else { "offline" };
        let devices = counted(u64::from(*devices), "device");
        write!(f, "{:<32}  {presence:<7}  {devices}", name.as_str())?;
        if *waiting > 0 {
            write!(f, "  {} waiting, {}", counted(*waiting, "envelope"), size(*waiting_bytes))?;
        }
        f.write_str(if *banned { "  banned" } else { "" })
    }
}

impl Display for Invite {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { id, label, left, expires_at, token, link } = self;
        let id = id.as_str().get(..8).unwrap_or_default();
        let left = counted(u64::from(*left), "use");
        let expires = duration(expires_at.saturating_sub(now() / 1000));
        write!(f, "{id}  {left:<9}  expires in {expires:<10}  {label}")?;
        if let Some(token) = token {
            write!(f, "\n\n  sealpost register ADDRESS NAME --invite {token}")?;
        }
        if let Some(link) = link {
            write!(f, "\n  sealpost register '{link}' NAME")?;
        }
        Ok(())
    }
}

impl Display for RoomRecord {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { room, members, posts, bytes, keeps_posts, keeps_s } = self;
        let (members, posts) = (counted(*members, "member"), counted(*posts, "post"));
        write!(f, "{:<33}  {members}, {posts}, heads of {}; keeps {keeps_posts}", room.to_string(), size(*bytes))?;
        if *keeps_s == 0 { Ok(()) } else { write!(f, ", for {}", duration(*keeps_s)) }
    }
}

impl Display for LimitRecord {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { what, limit, every_ms, used } = self;
        write!(f, "{what:<22}  ")?;
        match (used, every_ms) {
            (Some(used), _) => write!(f, "{used} of {limit}"),
            (None, Some(every_ms)) => write!(f, "{limit} at once, then one in {every_ms} ms"),
            (None, None) => write!(f, "{limit}"),
        }
    }
}

impl Display for MailboxRecord {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { name, envelopes, bytes, waiting, waiting_bytes } = self;
        let waiting = counted(*waiting, "envelope");
        write!(f, "{}: {waiting} waiting, {}; ", name.as_str(), size(*waiting_bytes))?;
        write!(f, "a mailbox holds {envelopes}, {}", size(*bytes))
    }
}

/// `1 link`, `2 links`
pub(crate) fn counted(count: u64, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// In the largest unit of which there are some.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes / 1024 / 1024),
    }
}

/// Days, hours, minutes: as much of it as tells something.
pub(crate) fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}
