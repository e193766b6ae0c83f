//! `admin`: what an operator asks the relay that runs, and how the answer is printed.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use sealpost_relay::admin::client::Conversation;
use sealpost_relay::admin::{Command, Digits, Line, PAGE, Record, Trouble, Words};
use sealpost_relay::config::Config;
use sealpost_spec::account::Name;
use sealpost_spec::room::RoomName;
use serde::Serialize;

use super::failure::Failure;
use super::say;

/// What stands after `admin`.
#[derive(Args)]
pub(crate) struct Admin {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    place: Place,
    /// Print one JSON object a line, for programs
    #[arg(long, global = true)]
    json: bool,
}

/// Which relay is asked.
#[derive(Args, Serialize)]
struct Place {
    /// The data folder of the relay that runs [default: ./sealpost-relay]
    #[arg(long, value_name = "DIR", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<PathBuf>,
    /// A configuration file, over /etc/sealpost/relay.toml
    #[arg(long, value_name = "FILE", global = true)]
    #[serde(skip)]
    config: Option<PathBuf>,
}

#[derive(Subcommand)]
enum What {
    /// Shows how the relay is: version, links, accounts, what waits, rooms
    Status,
    /// Lists the accounts: devices, presence, what waits for them
    Users,
    /// Ends somebody's links; their client shows the reason and comes back by command only
    Kick {
        /// The account's name
        name: Name,
        /// What they are told
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: Words,
    },
    /// Keeps somebody out until they are unbanned; their client shows the reason. What others receive from them over
    /// anonymous links can't be banned: recipients block
    Ban {
        /// The account's name
        name: Name,
        /// What they are told
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: Words,
    },
    /// Lets somebody in again
    Unban {
        /// What they were called when they were banned
        name: Name,
        /// How their account key begins, where several were banned under one name: `admin bans` lists it
        #[arg(long, value_name = "DIGITS")]
        account: Option<Digits>,
    },
    /// Lists who is banned
    Bans,
    /// Frees a name whose owner has lost it. What waits for its present holder goes; to contacts, whoever registers it
    /// next has a changed key
    Release {
        /// The name
        name: Name,
    },
    /// Makes an invite and prints it, once: the relay keeps a hash of it
    Invite {
        /// How many people may register with it
        #[arg(long, value_name = "N", default_value_t = 1)]
        uses: u32,
        /// How long it is good: 30m, 12h, 7d; at most a year
        #[arg(long, value_name = "TIME", default_value = "7d", value_parser = seconds)]
        expire: u64,
        /// A note of your own, to know it by
        #[arg(long, value_name = "TEXT", default_value = "")]
        label: Words,
    },
    /// Lists the invites that are still good
    Invites,
    /// Takes an invite back
    Withdraw {
        /// Its id, or the first digits of it
        invite: Digits,
    },
    /// Lists the rooms: members, posts, what each keeps
    Rooms,
    /// Changes a room
    Room {
        #[command(subcommand)]
        change: Change,
    },
    /// Removes what a post says, whoever wrote it. Its place stays, and clients say that the operator removed it
    DeletePost {
        /// Its id: 32 digits, as a client shows them with --json
        post: Digits,
    },
    /// Shows what each limit is and how full; of an account, what its mailboxes may hold
    Quota {
        /// The account's name
        name: Option<Name>,
        /// Let each of its mailboxes hold so many envelopes
        #[arg(long, value_name = "N", requires = "name")]
        envelopes: Option<u64>,
        /// Let each of its mailboxes hold so many mebibytes
        #[arg(long, value_name = "N", requires = "name")]
        mebibytes: Option<u64>,
        /// Let them hold what everybody's may
        #[arg(long, requires = "name", conflicts_with_all = ["envelopes", "mebibytes"])]
        default: bool,
    },
    /// Tells everybody who is online, and whoever logs in until it is withdrawn or replaced; without a text, shows what
    /// they are told
    Notice {
        /// One line
        text: Option<Words>,
        /// Take it back
        #[arg(long, conflicts_with = "text")]
        withdraw: bool,
    },
    /// Takes links again after a drain
    Reopen,
}

#[derive(Subcommand)]
enum Change {
    /// Has it keep the newest posts, so many of them or so long; older ones go at once
    #[command(group = clap::ArgGroup::new("kept").required(true).multiple(true))]
    Retention {
        /// The room: '#lobby'
        room: RoomName,
        /// So many posts
        #[arg(long, value_name = "N", group = "kept")]
        posts: Option<u32>,
        /// None older than that by its author's clock: 30d; 0s is no bound
        #[arg(long, value_name = "TIME", value_parser = seconds, group = "kept")]
        age: Option<u64>,
    },
}

/// What stands after `drain`.
#[derive(Args)]
pub(crate) struct Drain {
    #[command(flatten)]
    place: Place,
}

/// Asks the relay to take no new links, and to end once those it has are gone.
pub(crate) fn drain(drain: &Drain) -> Result<(), Failure> {
    let config = Config::load(drain.place.config.as_deref(), &drain.place)?;
    Conversation::open(&config.data)?.ask(&Command::Drain, |line| say(&format!("{}\n", line.record)))?;
    Ok(())
}

/// Asks the relay and prints what it answers.
pub(crate) fn admin(admin: &Admin) -> Result<(), Failure> {
    let config = Config::load(admin.place.config.as_deref(), &admin.place)?;
    let mut relay = Conversation::open(&config.data)?;
    let print = |line: Line| match admin.json {
        true => say(&format!("{}\n", serde_json::json!(line))),
        false => say(&format!("{}\n", line.record)),
    };
    let command = match &admin.what {
        What::Status => Command::Status,
        What::Users => return listed(&mut relay, print, |last| Command::Users { after: last }, named),
        What::Reopen => Command::Reopen,
        What::Kick { name, reason } => Command::Kick { name: name.clone(), reason: reason.clone() },
        What::Ban { name, reason } => Command::Ban { name: name.clone(), reason: reason.clone() },
        What::Unban { name, account } => Command::Unban { name: name.clone(), account: account.clone() },
        What::Bans => return listed(&mut relay, print, |last| Command::Bans { after: last }, id),
        What::Release { name } => Command::Release { name: name.clone() },
        What::Invite { uses, expire, label } => {
            Command::Invite { uses: *uses, expire_s: *expire, label: label.clone() }
        }
        What::Invites => return listed(&mut relay, print, |last| Command::Invites { after: last }, id),
        What::Rooms => return listed(&mut relay, print, |last| Command::Rooms { after: last }, room),
        What::Room { change: Change::Retention { room, posts, age } } => {
            Command::Retention { room: room.clone(), posts: *posts, age_s: *age }
        }
        What::DeletePost { post } => Command::DeletePost { post: post.clone() },
        What::Quota { name: None, .. } => Command::Limits,
        What::Quota { name: Some(name), envelopes, mebibytes, default } => Command::Mailbox {
            name: name.clone(),
            envelopes: *envelopes,
            bytes: mebibytes.map(|mebibytes| mebibytes.saturating_mul(1024 * 1024)),
            reset: *default,
        },
        What::Notice { text, withdraw } => Command::Notice { text: text.clone(), withdraw: *withdraw },
        What::Withdraw { invite } => Command::Withdraw { invite: invite.clone() },
    };
    relay.ask(&command, print)?;
    Ok(())
}

/// Asks for page after page until one is not full.
fn listed<K>(
    relay: &mut Conversation,
    mut print: impl FnMut(Line),
    command: impl Fn(Option<K>) -> Command,
    key: impl Fn(&Record) -> Option<K>,
) -> Result<(), Failure> {
    let mut last = None;
    loop {
        let mut records = 0;
        relay.ask(&command(last.take()), |line| {
            (records, last) = (records + 1, key(&line.record));
            print(line);
        })?;
        if records < PAGE || last.is_none() {
            return Ok(());
        }
    }
}

fn named(record: &Record) -> Option<Name> {
    match record {
        Record::User(user) => Some(user.name.clone()),
        _ => None,
    }
}

fn room(record: &Record) -> Option<RoomName> {
    match record {
        Record::Room(room) => Some(room.room.clone()),
        _ => None,
    }
}

fn id(record: &Record) -> Option<Digits> {
    match record {
        Record::Banned(banned) => Some(banned.account.clone()),
        Record::Invite(invite) => Some(invite.id.clone()),
        _ => None,
    }
}

/// `90s`, `30m`, `12h`, `7d`, `2w`
fn seconds(text: &str) -> Result<u64, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => 0,
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).filter(|_| unit > 0);
    seconds.ok_or_else(|| "a time looks like 90s, 30m, 12h, 7d or 2w".to_owned())
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Self::new(trouble.exit, &trouble.error, trouble.cause, trouble.advice)
    }
}
