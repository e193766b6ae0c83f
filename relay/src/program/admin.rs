//! `admin`: what an operator asks the relay that runs, and how the answer is printed.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use sealpost_relay::admin::client::Conversation;
use sealpost_relay::admin::{Command, Line, PAGE, Record, Trouble, Words};
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

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Self::new(trouble.exit, &trouble.error, trouble.cause, trouble.advice)
    }
}
