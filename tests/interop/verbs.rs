//! `vectors-port` itself: each verb, and what is no request.

use std::io::Write as _;
use std::process::Command;

use proptest::prelude::*;
use serde_json::{Value, json};

use sealpost_tests::port::{MAX_LINE, serve};
use sealpost_tests::processes::{Following, finish};

/// A running port.
struct Port(Following);

impl Port {
    fn start() -> Self {
        Self(Following::start(Command::new(super::PORT)))
    }

    /// The answer to a line.
    fn line(&mut self, line: &[u8]) -> Value {
        self.0.stdin().write_all(&[line, b"\n"].concat()).unwrap();
        serde_json::from_str(&self.0.lines.next_line().expect("an answer")).unwrap()
    }

    fn answer(&mut self, request: &Value) -> Value {
        self.line(request.to_string().as_bytes())
    }

    /// The answer to a request that is not refused.
    fn ask(&mut self, request: Value) -> Value {
        let answer = self.answer(&request);
        assert!(answer.get("error").is_none(), "{request}\n{answer}");
        answer
    }

    /// The error that a request has for an answer.
    fn fail(&mut self, request: Value) -> String {
        let answer = self.answer(&request);
        answer["error"].as_str().unwrap_or_else(|| panic!("{request}\nis answered {answer}")).to_owned()
    }

    fn person(&mut self, name: &str, seed: u8) -> Value {
        self.ask(json!({ "verb": "person", "as": name, "random": bytes(seed, 96) }))
    }

    /// Bob with prekeys of all roles, and the bundle with his one-time keys.
    fn bundle(&mut self) -> Value {
        for (role, length) in [(1, 32), (2, 32), (3, 64), (4, 64), (5, 32)] {
            self.ask(json!({
                "verb": "prekey", "person": "bob", "role": role, "id": 1, "made-at": 1_700_000_000,
                "random": bytes(role, length),
            }));
        }
        let keys = json!({ "signed": 1, "one-time": 1, "kem-role": 4, "kem": 1 });
        self.ask(json!({ "verb": "bundle", "person": "bob", "keys": keys, "box-key": 1 }))
    }

    /// Alice and Bob with a session of the name of each, after a first message.
    fn session(&mut self) {
        let alice = self.person("alice", 1);
        self.person("bob", 2);
        let bundle = self.bundle();
        self.ask(json!({
            "verb": "initiate", "person": "alice", "bundle": bundle, "as": "alice", "random": bytes(3, 64),
        }));
        let first = self.encrypt("alice", "hello", 32 + 64 + 16);
        let peer = json!({ "list": alice["list"], "device": 1 });
        let accepted =
            self.ask(json!({ "verb": "accept", "person": "bob", "peer": peer, "message": first, "as": "bob" }));
        assert_eq!(accepted["plaintext"], hex("hello"));
    }

    fn encrypt(&mut self, session: &str, text: &str, random: usize) -> Value {
        self.ask(json!({
            "verb": "encrypt", "session": session, "plaintext": hex(text), "random": bytes(9, random),
        }))["message"]
            .take()
    }

    fn decrypt(&mut self, session: &str, message: &Value) -> Value {
        self.ask(json!({ "verb": "decrypt", "session": session, "message": message }))["plaintext"].take()
    }

    fn state(&mut self, session: &str) -> Value {
        self.ask(json!({ "verb": "state", "session": session }))["state"].take()
    }
}

fn hex(text: &str) -> String {
    data_encoding::HEXLOWER.encode(text.as_bytes())
}

/// So many random bytes; which ones does not matter.
fn bytes(seed: u8, length: usize) -> String {
    format!("{seed:02x}").repeat(length)
}

/// The same text with its last byte altered.
fn altered(hex: &Value) -> String {
    let text = hex.as_str().unwrap();
    let (rest, last) = text.split_at(text.len() - 2);
    format!("{rest}{:02x}", u8::from_str_radix(last, 16).unwrap() ^ 1)
}

/// Two people who know each other only by what the port answers hold a conversation: every verb of a session.
#[test]
fn the_port_holds_a_conversation() {
    let mut port = Port::start();
    port.session();
    let facts = port.ask(json!({ "verb": "session", "session": "bob" }));
    assert_eq!(
        (&facts["initiated"], &facts["confirmed"], &facts["peer"]["name"]),
        (&json!(false), &json!(true), &json!("alice"))
    );

    let reply = port.encrypt("bob", "and hello", 32 + 64 + 32 + 16);
    let named = port.ask(json!({ "verb": "message", "message": reply }));
    assert_eq!((&named["session"], &named["keys"]), (&Value::Null, &Value::Null));
    assert_eq!(port.decrypt("alice", &reply), hex("and hello"));

    let before = port.state("bob");
    let next = port.encrypt("alice", "next", 32 + 64 + 32 + 16);
    port.ask(json!({ "verb": "copy", "session": "bob", "as": "bob of yesterday" }));
    assert_eq!(port.decrypt("bob", &next), hex("next"));
    assert_ne!(port.state("bob"), before);
    assert_eq!(port.state("bob of yesterday"), before);
    assert_eq!(port.decrypt("bob of yesterday", &next), hex("next"));

    port.ask(json!({ "verb": "restore", "state": before, "as": "bob" }));
    assert_eq!(port.state("bob"), before);
    assert_eq!(port.decrypt("bob", &next), hex("next"));

    let lost = port.encrypt("alice", "lost", 16);
    let last = port.encrypt("alice", "last", 16);
    assert_eq!(port.decrypt("bob", &last), hex("last"));
    for (today, changed) in [(20_000, true), (20_034, false), (20_035, true)] {
        let expired = port.ask(json!({ "verb": "expire", "session": "bob", "today": today }));
        assert_eq!(expired["changed"], changed, "{today}");
    }
    assert_eq!(port.fail(json!({ "verb": "decrypt", "session": "bob", "message": lost })), "refused");

    port.ask(json!({ "verb": "retire", "session": "bob", "as": "old" }));
    let request = json!({ "verb": "encrypt", "session": "old", "plaintext": "", "random": bytes(1, 144) });
    assert_eq!(port.fail(request), "refused");
    port.ask(json!({ "verb": "forget", "session": "old" }));
    assert_eq!(port.fail(json!({ "verb": "state", "session": "old" })), "there is no session of that name");
}

/// A message that is refused leaves the very bytes of a session's state as they were.
#[test]
fn what_is_refused_changes_no_state() {
    let mut port = Port::start();
    port.session();
    let message = port.encrypt("alice", "next", 16);
    let before = port.state("bob");
    for wrong in [altered(&message), "00".repeat(3), String::new()] {
        assert_eq!(port.fail(json!({ "verb": "decrypt", "session": "bob", "message": wrong })), "refused");
        assert_eq!(port.state("bob"), before);
    }
    assert_eq!(port.decrypt("bob", &message), hex("next"));
    assert_ne!(port.state("bob"), before);
    assert_eq!(port.fail(json!({ "verb": "restore", "state": altered(&before), "as": "bob" })), "refused");
}

/// Randomness is what the caller gives, to the byte; who gives too much or too little is told how much it takes, and
/// nothing has happened.
#[test]
fn the_port_draws_what_it_is_given() {
    let mut port = Port::start();
    port.session();
    let state = port.state("alice");
    let twice = [port.encrypt("alice", "x", 16), {
        port.ask(json!({ "verb": "restore", "state": state, "as": "alice" }));
        port.encrypt("alice", "x", 16)
    }];
    assert_eq!(twice[0], twice[1]);
    let state = port.state("alice");
    for (given, length) in [(15, "15"), (17, "17"), (0, "0")] {
        let request = json!({ "verb": "encrypt", "session": "alice", "plaintext": "", "random": bytes(1, given) });
        assert_eq!(port.fail(request), format!("this draws 16 random bytes, and {length} were given"));
        assert_eq!(port.state("alice"), state);
    }
    let request = json!({ "verb": "person", "as": "carol", "random": bytes(1, 95) });
    assert_eq!(port.fail(request), "this draws 96 random bytes, and 95 were given");
}

/// A box opens where it was sealed to, and tells who sealed it; nothing else opens it.
#[test]
fn the_port_seals_and_opens() {
    let mut port = Port::start();
    let alice = port.person("alice", 1);
    let bob = port.person("bob", 2);
    let bundle = port.bundle();
    let sealed = port.ask(json!({
        "verb": "seal", "person": "alice", "recipient": { "list": bob["list"], "device": 1 },
        "box-key": bundle["box-key"], "envelope": bytes(7, 16), "message": "c0ffee", "random": bytes(4, 64),
    }));
    let sealed = &sealed["sealed"];
    assert_eq!(sealed.as_str().unwrap().len(), 2 * 6 * 1024);
    let open = |person: &str, envelope: u8, sealed: &Value| json!({ "verb": "open", "person": person, "envelope": bytes(envelope, 16), "sealed": sealed });
    let opened = port.ask(open("bob", 7, sealed));
    assert_eq!(opened, json!({ "sender": { "list": alice["list"], "device": 1 }, "message": "c0ffee" }));
    assert_eq!(port.fail(open("bob", 8, sealed)), "refused");
    assert_eq!(port.fail(open("alice", 7, sealed)), "refused");
    assert_eq!(port.fail(open("bob", 7, &altered(sealed).into())), "refused");
    port.ask(json!({ "verb": "forget", "person": "bob", "role": 5, "id": 1 }));
    assert_eq!(port.fail(open("bob", 7, sealed)), "refused");
}

/// Safety numbers are the same from both sides.
#[test]
fn the_port_computes_safety_numbers() {
    let mut port = Port::start();
    let sides = ["alice", "bob"].map(|name| {
        let person = port.person(name, 3);
        json!({ "name": name, "account": person["account"] })
    });
    let ask = |one: &Value, other: &Value| json!({ "verb": "safety-number", "one": one, "other": other });
    let number = port.ask(ask(&sides[0], &sides[1]));
    assert_eq!(number["number"], port.ask(ask(&sides[1], &sides[0]))["number"]);
    assert_eq!(number["shown"].as_str().unwrap().replace(' ', ""), number["number"].as_str().unwrap());
}

/// A vault opens with its passphrase, old or new, and its rows where they lie.
#[test]
fn the_port_keeps_a_vault() {
    let mut port = Port::start();
    let cost = json!({ "memory": 19 * 1024, "passes": 2, "lanes": 1 });
    let made = port.ask(json!({
        "verb": "vault-create", "as": "vault", "passphrase": "one two", "cost": cost, "random": bytes(5, 88),
    }));
    let key = port.ask(json!({ "verb": "vault-blind", "vault": "vault", "table": "mail", "key": "01" }))["key"].take();
    let sealed = port.ask(json!({
        "verb": "vault-seal", "vault": "vault", "table": "mail", "key": key, "row": hex("a row"),
        "random": bytes(6, 24),
    }))["sealed"]
        .take();
    let rewrapped = port.ask(json!({
        "verb": "vault-rewrap", "vault": "vault", "passphrase": "three", "cost": cost, "random": bytes(8, 40),
    }));
    let unlock = |header: &Value, passphrase: &str| json!({ "verb": "vault-unlock", "as": "again", "passphrase": passphrase, "header": header });
    let open =
        |table: &str| json!({ "verb": "vault-open", "vault": "again", "table": table, "key": key, "sealed": sealed });
    for (header, passphrase) in [(&made["header"], "one two"), (&rewrapped["header"], "three")] {
        port.ask(unlock(header, passphrase));
        assert_eq!(port.ask(open("mail"))["row"], hex("a row"));
        assert_eq!(port.fail(open("post")), "refused");
        assert_eq!(port.fail(unlock(header, "two one")), "refused");
    }
    port.ask(json!({ "verb": "forget", "vault": "again" }));
    assert_eq!(port.fail(open("mail")), "there is no vault of that name");
}

/// Whatever is no request is answered by a sentence, a line of any length by one line, and the next request as if
/// nothing had been.
#[test]
fn garbage_is_answered() {
    let mut port = Port::start();
    let deep = r#"{"verb":"state","session":"#.to_owned() + &"[".repeat(5_000);
    let random = json!({ "verb": "person", "as": "x", "random": "00".repeat(257) }).to_string();
    let long_name = json!({ "verb": "forget", "session": "x".repeat(65) }).to_string();
    let vast = json!({ "verb": "message", "message": "00".repeat(64 * 1024 + 1) }).to_string();
    let garbage: Vec<(&[u8], &str)> = vec![
        (b"", "a request is a JSON object"),
        (b"null", "a request is a JSON object"),
        (b"\xff\xfe\x00", "a request is a JSON object"),
        (br#"["state","x"]"#, "a request is a JSON object"),
        (b"{", "EOF"),
        (deep.as_bytes(), "recursion limit"),
        (br#"{"verb":"steal"}"#, "unknown variant `steal`"),
        (br#"{"verb":"state"}"#, "missing field `session`"),
        (br#"{"verb":"state","session":"x","and":1}"#, "unknown field `and`"),
        (br#"{"verb":"state","session":7}"#, "invalid type"),
        (br#"{"verb":"state","session":"x"} trailing"#, "trailing characters"),
        (br#"{"verb":"message","message":"C0"}"#, "lower-case hexadecimal"),
        (br#"{"verb":"message","message":"c"}"#, "lower-case hexadecimal"),
        (br#"{"verb":"person","as":"A","random":""}"#, "that is no name"),
        (br#"{"verb":"prekey","person":"x","role":6,"id":1,"made-at":1,"random":""}"#, "1 to 5"),
        (br#"{"verb":"prekey","person":"x","role":1,"id":0,"made-at":1,"random":""}"#, "count from 1"),
        (br#"{"verb":"vault-seal","vault":"x","table":"t","key":"00","row":"","random":""}"#, "32 bytes belong here"),
        (random.as_bytes(), "at most 256 bytes"),
        (long_name.as_bytes(), "at most 64 bytes of text"),
        (vast.as_bytes(), "at most 65536 bytes"),
        (br#"{"verb":"forget","session":"x","vault":"y"}"#, "forget takes"),
        (br#"{"verb":"forget","session":"x"}"#, "nothing of that name"),
    ];
    for (line, says) in garbage {
        let answer = port.line(line);
        let error = answer["error"].as_str().unwrap_or_else(|| panic!("{answer}"));
        assert!(error.contains(says), "{}: {error}", String::from_utf8_lossy(&line[..line.len().min(80)]));
    }
    let mut line = vec![b' '; MAX_LINE];
    assert_eq!(port.line(&line)["error"], "a request is a JSON object");
    line.push(b' ');
    assert_eq!(port.line(&line)["error"], format!("a line has at most {MAX_LINE} bytes"));
    port.person("alice", 1);
}

/// Requests that begin well: with what they name, some of them are answered.
const BEGINNINGS: [&str; 12] = [
    r#"{"verb":"person","as":"alice","random":"00"}"#,
    r#"{"verb":"prekey","person":"alice","role":4,"id":1,"made-at":9,"random":"00"}"#,
    r#"{"verb":"bundle","person":"alice","keys":{"signed":1,"one-time":null,"kem-role":3,"kem":1},"box-key":1}"#,
    r#"{"verb":"accept","person":"alice","peer":{"list":{"body":"00","signature":"00"},"device":1},"message":"01","as":"b"}"#,
    r#"{"verb":"encrypt","session":"alice","plaintext":"00","random":"00"}"#,
    r#"{"verb":"decrypt","session":"alice","message":"0101"}"#,
    r#"{"verb":"message","message":"0102"}"#,
    r#"{"verb":"restore","state":"00","as":"alice"}"#,
    r#"{"verb":"open","person":"alice","envelope":"00","sealed":"00","box-key":1}"#,
    r#"{"verb":"safety-number","one":{"name":"alice","account":"00"},"other":{"name":"bob","account":"00"}}"#,
    r#"{"verb":"vault-unlock","as":"alice","passphrase":"p","header":"00"}"#,
    r#"{"verb":"forget","person":"alice","role":1,"id":1}"#,
];

/// A line that says nearly what a request says, or anything at all.
fn any_line() -> impl Strategy<Value = Vec<u8>> {
    let hex = prop_oneof![Just(32_usize), Just(64), Just(96), 0..3_000_usize].prop_map(|length| bytes(0x5a, length));
    let right = (prop::sample::select(&BEGINNINGS[..]), hex)
        .prop_map(|(line, hex)| line.replace("\"00\"", &format!("\"{hex}\"")).into_bytes());
    let bent = (right.clone(), any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..4)).prop_map(
        |(mut line, place, with)| {
            let from = place.index(line.len());
            let to = (from + with.len()).min(line.len());
            line.splice(from..to, with);
            line
        },
    );
    let line = prop_oneof![right, bent, prop::collection::vec(any::<u8>(), 0..200)];
    line.prop_map(|line| line.into_iter().filter(|byte| *byte != b'\n').collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a peer says, the port outlives it: each line has one answer, which is a JSON object.
    #[test]
    fn any_line_is_answered(lines in prop::collection::vec(any_line(), 1..20)) {
        let mut said = Vec::new();
        let input = lines.iter().flat_map(|line| [&line[..], b"\n"].concat()).collect::<Vec<u8>>();
        serve(&input[..], &mut said).unwrap();
        let answers: Vec<&[u8]> = said.split_inclusive(|byte| *byte == b'\n').collect();
        prop_assert_eq!(answers.len(), lines.len());
        for answer in answers {
            prop_assert!(serde_json::from_slice::<Value>(answer).unwrap().is_object());
        }
    }
}

/// A last line without its end is a request too; then the program ends well.
#[test]
fn the_port_ends_with_its_input() {
    let outcome = finish(Command::new(super::PORT), "{\"verb\":\"forget\"}\n{}").expect(0);
    assert_eq!(outcome.json().len(), 2);
    assert_eq!(outcome.err, "");
}

/// The session in `README.md` goes as it is shown there. A text that ends with `…` is shown by its beginning.
#[test]
fn the_example_is_true() {
    let readme = include_str!("../README.md");
    let example = readme.split_once("```jsonl\n").unwrap().1.split_once("```").unwrap().0;
    let mut port = Port::start();
    let mut answer = Value::Null;
    for line in example.lines() {
        match line.split_at(2) {
            ("> ", request) => answer = port.line(request.as_bytes()),
            ("< ", shown) => assert!(begins(&serde_json::from_str(shown).unwrap(), &answer), "{line}\n{answer}"),
            _ => panic!("{line}"),
        }
    }
}

/// Whether all that is shown is there.
fn begins(shown: &Value, whole: &Value) -> bool {
    match (shown, whole) {
        (Value::Object(shown), Value::Object(whole)) => {
            shown.len() == whole.len()
                && shown.iter().all(|(field, value)| whole.get(field).is_some_and(|whole| begins(value, whole)))
        }
        (Value::String(shown), Value::String(whole)) => match shown.strip_suffix('…') {
            Some(beginning) => whole.starts_with(beginning),
            None => shown == whole,
        },
        (Value::Array(shown), Value::Array(whole)) => {
            shown.len() == whole.len() && shown.iter().zip(whole).all(|(shown, whole)| begins(shown, whole))
        }
        _ => shown == whole,
    }
}
