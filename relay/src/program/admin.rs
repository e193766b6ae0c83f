//! `admin`: what an operator asks the relay that runs, and how the answer is printed.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use sealpost_relay::admin::client::Conversation;
use sealpost_relay::admin::{Command, Digits, Line, PAGE, Record, Trouble, Words};
use sealpost_relay::config::Config;
use sealpost_spec::account::Name;
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
        What::Kick { name, reason } => Command::Kick { name: name.clone(), reason: reason.clone() },
        What::Ban { name, reason } => Command::Ban { name: name.clone(), reason: reason.clone() },
        What::Unban { name } => Command::Unban { name: name.clone() },
        What::Bans => return listed(&mut relay, print, |last| Command::Bans { after: last }, id),
        What::Release { name } => Command::Release { name: name.clone() },
        What::Invite { uses, expire, label } => {
            Command::Invite { uses: *uses, expire_s: *expire, label: label.clone() }
        }
        What::Invites => return listed(&mut relay, print, |last| Command::Invites { after: last }, id),
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
