//! The daemon, and programs that speak through it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use sealpost_tests::processes::{Following, Outcome, PATIENCE, Person, schema, signal, until};
use sealpost_tests::skip;
use serde_json::{Value, json};

use super::Pair;

/// A daemon that listens, and where.
struct Daemon {
    process: Following,
    socket: PathBuf,
}

impl Daemon {
    fn of(person: &Person) -> Self {
        let mut process = Following::start(person.command(&["--json", "daemon"]));
        let line = process.lines.until(|line| line.contains("\"listening\""));
        let line: Value = serde_json::from_str(&line).unwrap();
        Self { process, socket: line["at"].as_str().unwrap().into() }
    }
}

/// A new program's token.
pub(super) fn token(person: &Person, arguments: &[&str]) -> String {
    let outcome = person.json(&[&["bot", "add"], arguments].concat()).expect(0);
    outcome.events("bot")[0]["token"].as_str().unwrap().to_owned()
}

/// A program in Python, ready to answer; `None` where there is no Python.
fn bot(script: &str, socket: &Path, place: &str, token: &str) -> Option<Following> {
    if Command::new("python3").arg("--version").output().is_err() {
        skip("bots", "python");
        return None;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("bots").join(script);
    let mut command = Command::new("python3");
    command.arg("-B").arg(script).arg(socket).arg(place);
    let mut bot = Following::start(command);
    writeln!(bot.stdin(), "{token}").unwrap();
    let _ = bot.lines.until(|line| line == "ready");
    Some(bot)
}

/// A connection of JSON-RPC, line by line.
pub(super) struct Rpc(BufReader<UnixStream>);

impl Rpc {
    fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    pub(super) fn authorized(socket: &Path, token: &str) -> Self {
        let mut rpc = Self::connect(socket);
        let answer = rpc.call("authorize", &json!({ "token": token }));
        assert!(answer["result"].is_object(), "{answer}");
        rpc
    }

    fn say(&mut self, line: &str) {
        self.0.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// The next line; nothing where the connection was closed.
    fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).unwrap();
        let line: Value = (read > 0).then(|| serde_json::from_str(&line).unwrap())?;
        match line.as_array() {
            Some(answers) => answers.iter().for_each(schema::assert_heard),
            None => schema::assert_heard(&line),
        }
        Some(line)
    }

    /// The answer to a call; what happens meanwhile is passed over.
    pub(super) fn call(&mut self, method: &str, params: &Value) -> Value {
        self.say(&json!({ "jsonrpc": "2.0", "id": method, "method": method, "params": params }).to_string());
        loop {
            let line = self.line().unwrap();
            if line["id"] == method {
                return line;
            }
        }
    }

    /// The number of the error that a call ends with.
    fn refused(&mut self, method: &str, params: &Value) -> i64 {
        let answer = self.call(method, params);
        answer["error"]["code"].as_i64().unwrap_or_else(|| panic!("{answer}"))
    }
}

/// Runs somebody's command with a passphrase file that is not there: only through the daemon can it work.
fn through(person: &Person, arguments: &[&str]) -> Outcome {
    let Person { name, home, .. } = person;
    let locked = Person { name: name.clone(), home: home.clone(), passphrase: "/nonexistent".into() };
    locked.run(arguments)
}

/// Other commands ask for no passphrase while a daemon runs, ten at once included; its socket is its owner's alone; TERM
/// ends it, and nothing of it is left.
#[test]
fn commands_go_through_the_daemon() {
    let pair = Pair::acquainted();
    let Daemon { mut process, socket } = Daemon::of(&pair.alice);
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let texts: Vec<String> = (0..10).map(|number| format!("number {number}")).collect();
    std::thread::scope(|scope| {
        for text in &texts {
            scope.spawn(|| through(&pair.alice, &["send", "bob", text]).expect(0));
        }
    });
    let mut received = pair.bob.receives(10);
    received.sort();
    assert_eq!(received, texts);
    let second = pair.alice.json(&["daemon", "--timeout", "1s"]);
    assert_eq!(second.code, Some(5), "{}", second.err);
    signal(process.pid(), Signal::TERM);
    let ended = until("it ends", || process.ended());
    assert_eq!(ended.code(), Some(0));
    assert!(!socket.exists());
    let _ = through(&pair.alice, &["me"]).expect(2);
}

/// Two programs in another language hold a conversation and play in a room, each with a token for its place.
#[test]
fn programs_speak_through_the_daemon() {
    let pair = Pair::acquainted();
    let daemon = Daemon::of(&pair.alice);
    for person in [&pair.alice, &pair.bob] {
        let _ = person.run(&["join", "#games"]).expect(0);
    }
    let echo = token(&pair.alice, &["echo", "--for", "bob"]);
    let dice = token(&pair.alice, &["dice", "--for", "#games"]);
    let Some(_echo) = bot("echo.py", &daemon.socket, "@bob", &echo) else { return };
    let Some(_dice) = bot("dice.py", &daemon.socket, "#games", &dice) else { return };
    let mut bob = pair.bob.follow();
    let _ = pair.bob.run(&["send", "alice", "is \u{1b}[31manybody\u{9b}2J there"]).expect(0);
    let _ = pair.bob.run(&["send", "#games", "roll 2d1"]).expect(0);
    let mut heard: Vec<(String, String)> = Vec::new();
    while heard.len() < 2 {
        let message = bob.message();
        if message["from"] == "@alice" {
            heard.push((message["conversation"].to_string(), message["text"].as_str().unwrap().to_owned()));
        }
    }
    heard.sort();
    let said = "you said: is \u{1b}[31manybody\u{9b}2J there".to_owned();
    assert_eq!(
        heard,
        [("\"#games\"".to_owned(), "@bob rolled 1 1, together 2".to_owned()), ("\"@alice\"".to_owned(), said)]
    );
}

/// A token opens the conversations that it names, to read and hear of as to write in, and nothing else; without one
/// nothing is answered; a worthless one ends the connection, at once where it becomes so.
#[test]
fn a_program_stays_in_its_conversations() {
    let pair = Pair::acquainted();
    let daemon = Daemon::of(&pair.alice);
    let _ = pair.alice.run(&["join", "#games"]).expect(0);
    let games = token(&pair.alice, &["games", "--for", "#games"]);
    let reader = token(&pair.alice, &["reader", "--for", "@bob", "--read-only"]);

    let mut nobody = Rpc::connect(&daemon.socket);
    assert_eq!(nobody.refused("me", &json!({})), -32001);
    let guess = json!({ "token": games.replace(|c: char| c.is_ascii_digit(), "a") });
    assert_eq!(nobody.refused("authorize", &guess), -32001);
    assert_eq!(nobody.line(), None, "one guess a connection");

    let mut reading = Rpc::authorized(&daemon.socket, &reader);
    let history = reading.call("history", &json!({ "with": "bob" }));
    assert_eq!(history["result"]["events"].as_array().unwrap().len(), 2, "{history}");
    let _ = reading.call("subscribe", &json!({}));

    let mut playing = Rpc::authorized(&daemon.socket, &games);
    let _ = playing.call("subscribe", &json!({}));
    let texts = [json!({ "to": "bob", "text": "x" }), json!({ "to": "#lobby", "text": "x" })];
    for params in &texts {
        assert_eq!(playing.refused("send", params), -32001);
        assert_eq!(reading.refused("send", params), -32001);
    }
    for (method, params) in [
        ("history", json!({ "with": "@bob" })),
        ("recv", json!({})),
        ("contacts", json!({})),
        ("bots", json!({})),
        ("bot_add", json!({ "name": "x", "conversations": [] })),
        ("stop", json!({})),
        ("block", json!({ "name": "bob" })),
    ] {
        assert_eq!(playing.refused(method, &params), -32001, "{method}");
    }
    assert_eq!(playing.refused("nonsense", &json!({})), -32601);
    assert_eq!(playing.refused("history", &json!({ "with": 1 })), -32602);

    // Bob's words are heard by one of them, and the room's post by the other.
    let _ = pair.bob.run(&["send", "alice", "between us"]).expect(0);
    let heard = until("it is heard", || reading.line().filter(|line| line["params"]["event"] == "message"));
    assert_eq!(heard["params"]["text"], "between us");
    let posted = playing.call("send", &json!({ "to": "#games", "text": "who plays?" }));
    assert_eq!(posted["result"]["events"][0]["event"], "queued", "{posted}");
    playing.say(r#"[{"jsonrpc":"2.0","id":1,"method":"me"},{"jsonrpc":"2.0","method":"status"},7]"#);
    let mut between = Vec::new();
    let batch = until("the array is answered", || {
        let line = playing.line().unwrap();
        if line.is_array() {
            return Some(line);
        }
        between.push(line.to_string());
        None
    });
    assert_eq!(batch.as_array().unwrap().len(), 2, "{batch}");
    assert!(!between.iter().any(|line| line.contains("between us")), "{between:?}");

    let _ = pair.alice.run(&["bot", "remove", "games"]).expect(0);
    while let Some(line) = playing.line() {
        assert_eq!(line["method"], "event");
    }
    let list = pair.alice.json(&["bot", "list"]).expect(0).events("bot");
    assert_eq!(list.len(), 1);
    assert!(list[0]["token"].is_null(), "a token is shown once");
}
