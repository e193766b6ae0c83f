//! Lines on the daemon's socket: each is calls or is refused in one line, and no call goes beyond the token that it comes with,
//! however it is spelled.

use sealpost_client::api::{Bot, Command};
use sealpost_client::face::daemon::rpc::{self, Call, Code, Line, MAX_BATCH};
use sealpost_client::face::daemon::scope;
use serde_json::Value;

/// What a token for some conversations, or for reading, opens: counted from the other end than `scope` does.
const ANYBODYS: [&str; 3] = ["me", "status", "subscribe"];
const READS: [&str; 13] = [
    "me",
    "status",
    "subscribe",
    "search",
    "recv",
    "history",
    "topic",
    "whois",
    "verify",
    "who",
    "contacts",
    "rooms",
    "conversations",
];
/// Where a command names its conversation.
const PLACES: [&str; 6] = ["to", "with", "from", "within", "room", "name"];

pub fn run(input: &[u8]) {
    let Some((choice, line)) = input.split_first() else { return };
    let conversations: &[&str] = [&[][..], &["#games"], &["@bob"], &["#games", "@bob"]][usize::from(choice % 4)];
    let bot = Bot {
        name: "dice".to_owned(),
        conversations: conversations.iter().map(|name| (*name).to_owned()).collect(),
        read_only: choice & 4 != 0,
        token: None,
    };
    match rpc::read(line) {
        Line::One(call) => called(&bot, call),
        Line::Batch(calls) => {
            assert!((1..=MAX_BATCH).contains(&calls.len()));
            calls.into_iter().for_each(|call| called(&bot, call));
        }
    }
}

fn called(bot: &Bot, call: Result<Call, String>) {
    let Call { id, method, params } = match call {
        Ok(call) => call,
        Err(answer) => return refused(&answer),
    };
    let id = id.unwrap_or(Value::Null);
    match rpc::command(&method, params) {
        Err((code, why)) => refused(&rpc::error(&id, code, &why, None)),
        Ok(command) => match scope::allow(bot, &command) {
            Ok(()) => within(bot, &command),
            Err(lacks) => refused(&rpc::error(&id, Code::NotAllowed, &lacks, None)),
        },
    }
}

/// One line, an error, and nothing that a terminal obeys.
fn refused(answer: &str) {
    assert!(!answer.contains(char::is_control), "{answer:?}");
    let answer: Value = serde_json::from_str(answer).unwrap();
    assert!(answer["error"]["code"].is_i64() && answer["error"]["message"].is_string(), "{answer}");
    assert!(answer.get("result").is_none());
}

fn within(bot: &Bot, command: &Command) {
    let said = serde_json::to_value(command).unwrap();
    let word = said["command"].as_str().unwrap();
    assert!(
        !["register", "unregister", "stop", "bot_add", "bots", "bot_remove", "bot_check"].contains(&word),
        "{said}"
    );
    if bot.read_only {
        assert!(READS.contains(&word) || word == "files", "{said} of a token that only reads");
        assert!(word != "topic" || said["text"].is_null(), "{said}");
        assert!(word != "verify" || said["mark"].is_null(), "{said}");
    }
    if !bot.conversations.is_empty() && !ANYBODYS.contains(&word) {
        let named = |place: &&str| {
            let name = said[*place].as_str().unwrap_or_default();
            bot.conversations.iter().any(|one| one == name || one.strip_prefix('@') == Some(name))
        };
        assert!(PLACES.iter().any(named), "{said} of a token for {:?}", bot.conversations);
    }
}
