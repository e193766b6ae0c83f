use super::unknown::distance;
use super::{ENTRIES, Here, Meaning, PATIENCE_MS, understand};
use crate::api::{Command, Error, Wait};

const AT_BOB: Here<'static> = Here { place: "@bob", last: Some("ffff"), number: Some(("bob", "12345")) };
const IN_GARDEN: Here<'static> = Here { place: "#garden", last: None, number: None };

fn parse(line: &str) -> Result<Meaning, Error> {
    understand(line, AT_BOB)
}

fn send(to: &str, text: &str) -> Meaning {
    Meaning::Command(Command::Send {
        to: at(to),
        text: at(text),
        wait: Wait::Queued,
        timeout_ms: PATIENCE_MS,
        expire: None,
    })
}

fn reply(id: &str, text: &str) -> Meaning {
    Meaning::Command(Command::Reply { id: at(id), text: at(text), wait: Wait::Queued, timeout_ms: PATIENCE_MS })
}

fn react(id: &str, emoji: &str) -> Meaning {
    Meaning::Command(Command::React { id: at(id), emoji: at(emoji) })
}

fn edit(id: Option<&str>, within: Option<&str>, text: &str) -> Meaning {
    Meaning::Command(Command::Edit { id: id.map(at), within: within.map(at), text: at(text) })
}

fn file(to: &str, path: &str) -> Meaning {
    let (wait, timeout_ms) = (Wait::Queued, PATIENCE_MS);
    Meaning::Command(Command::SendFile { to: at(to), path: at(path), wait, timeout_ms, expire: None })
}

fn get(id: Option<&str>, within: Option<&str>, to: Option<&str>) -> Meaning {
    let (id, within, to) = (id.map(at), within.map(at), to.map(at));
    Meaning::Command(Command::Get { id, within, to, keep: false, timeout_ms: PATIENCE_MS })
}

fn topic(room: &str, text: Option<&str>) -> Meaning {
    Meaning::Command(Command::Topic { room: at(room), text: text.map(at) })
}

fn at(name: &str) -> String {
    name.to_owned()
}

#[test]
fn every_line_has_one_meaning() {
    let table = [
        ("", Meaning::Nothing),
        ("  \t", Meaning::Nothing),
        ("hello  there ", send("@bob", "hello  there ")),
        ("//etc/passwd", send("@bob", "/etc/passwd")),
        ("two\nlines", send("@bob", "two\nlines")),
        ("a /dm in the middle", send("@bob", "a /dm in the middle")),
        ("/dm bob hello  there", send("@bob", "hello  there")),
        ("/msg @bob hi", send("@bob", "hi")),
        ("/DM bob hi", send("@bob", "hi")),
        ("/dm bob bob bob", send("@bob", "bob bob")),
        ("/dm bob first\nsecond", send("@bob", "first\nsecond")),
        ("/dm bob", Meaning::Open(at("@bob"))),
        ("/query @bob", Meaning::Open(at("@bob"))),
        ("/join garden", Meaning::Command(Command::Join { room: at("#garden") })),
        ("/join #garden", Meaning::Command(Command::Join { room: at("#garden") })),
        ("/part", Meaning::Command(Command::Leave { room: at("#lobby") })),
        ("/part #garden", Meaning::Command(Command::Leave { room: at("#garden") })),
        ("/rooms", Meaning::Command(Command::Rooms)),
        ("/list", Meaning::Command(Command::Rooms)),
        ("/who", Meaning::Command(Command::Who { room: Some(at("#lobby")) })),
        ("/names garden", Meaning::Command(Command::Who { room: Some(at("#garden")) })),
        ("/verify", Meaning::Command(Command::Verify { name: Some(at("bob")), mark: None })),
        ("/verify bob", Meaning::Command(Command::Verify { name: Some(at("bob")), mark: None })),
        ("/verify ok", Meaning::Command(Command::Verify { name: Some(at("bob")), mark: Some(at("12345")) })),
        ("/trust bob abc", Meaning::Command(Command::Trust { name: at("bob"), fingerprint: at("abc") })),
        ("/block bob", Meaning::Command(Command::Block { name: at("bob") })),
        ("/unblock @bob", Meaning::Command(Command::Unblock { name: at("bob") })),
        ("/me waves  twice", send("@bob", "/me waves  twice")),
        ("/reply 4f1c see you", reply("4f1c", "see you")),
        ("/reply see you", reply("ffff", "see you")),
        ("/edit beef is fine", edit(None, Some("@bob"), "beef is fine")),
        ("/edit 00112233445566778899aabbccddeeff x", edit(Some("00112233445566778899aabbccddeeff"), None, "x")),
        ("/delete", Meaning::Command(Command::Delete { id: None, within: Some(at("@bob")) })),
        ("/delete 4f1c", Meaning::Command(Command::Delete { id: Some(at("4f1c")), within: None })),
        ("/react 👍", react("ffff", "👍")),
        ("/react 4f1c 👍", react("4f1c", "👍")),
        ("/react 4f1c -", react("4f1c", "")),
        ("/file /tmp/my film.mkv", file("@bob", "/tmp/my film.mkv")),
        ("/file '/tmp/a'", file("@bob", "/tmp/a")),
        ("/get", get(None, Some("@bob"), None)),
        ("/get 4f1c", get(Some("4f1c"), None, None)),
        ("/get 4f1c /tmp/a b", get(Some("4f1c"), None, Some("/tmp/a b"))),
        ("/files", Meaning::Command(Command::Files)),
        ("/accept", Meaning::Command(Command::Accept { name: at("bob") })),
        ("/accept @bob", Meaning::Command(Command::Accept { name: at("bob") })),
        ("/refuse bob", Meaning::Command(Command::Refuse { name: at("bob") })),
        ("/mute", Meaning::Command(Command::Mute { with: at("@bob"), on: true })),
        ("/unmute #garden", Meaning::Command(Command::Mute { with: at("#garden"), on: false })),
        ("/expire 1h", Meaning::Command(Command::Expire { with: at("@bob"), seconds: Some(3_600) })),
        ("/expire off", Meaning::Command(Command::Expire { with: at("@bob"), seconds: None })),
        ("/settings", Meaning::Command(Command::Settings { read_receipts: None, typing: None })),
        ("/settings typing on", Meaning::Command(Command::Settings { read_receipts: None, typing: Some(true) })),
        (
            "/settings read-receipts off",
            Meaning::Command(Command::Settings { read_receipts: Some(false), typing: None }),
        ),
        ("/chats", Meaning::Command(Command::Conversations)),
        ("/link", Meaning::Command(Command::Me)),
        ("/add sealpost://a", Meaning::Command(Command::Add { link: at("sealpost://a") })),
        ("/contacts", Meaning::Command(Command::Contacts)),
        ("/history", Meaning::Command(Command::History { with: at("@bob"), limit: Some(20), before: None })),
        ("/history 5", Meaning::Command(Command::History { with: at("@bob"), limit: Some(5), before: None })),
        ("/read", Meaning::Command(Command::Read { with: at("@bob"), through: None })),
        ("/read #garden", Meaning::Command(Command::Read { with: at("#garden"), through: None })),
        ("/draft see you  at", Meaning::Command(Command::Draft { with: at("@bob"), text: at("see you  at") })),
        ("/draft", Meaning::Command(Command::Draft { with: at("@bob"), text: at("") })),
        ("/bot list", Meaning::Command(Command::Bots)),
        (
            "/bot add dice #games @bob",
            Meaning::Command(Command::BotAdd {
                name: at("dice"),
                conversations: vec![at("#games"), at("@bob")],
                read_only: false,
            }),
        ),
        ("/bot remove dice", Meaning::Command(Command::BotRemove { name: at("dice") })),
        ("/topic #garden", topic("#garden", None)),
        ("/topic #den roses  and #tulips", topic("#den", Some("roses  and #tulips"))),
        ("/topic #den -", topic("#den", Some(""))),
        (
            "/kick #den @bob off  topic",
            Meaning::Command(Command::Kick { room: at("#den"), name: at("bob"), reason: Some(at("off  topic")) }),
        ),
        ("/ban #den bob", Meaning::Command(Command::Ban { room: at("#den"), name: at("bob"), reason: None })),
        ("/unban #den bob", Meaning::Command(Command::Unban { room: at("#den"), name: at("bob"), reason: None })),
        ("/whois", Meaning::Command(Command::Whois { name: at("bob") })),
        ("/whois @carol", Meaning::Command(Command::Whois { name: at("carol") })),
        ("/alias bob Uncle  Bob", Meaning::Command(Command::Alias { name: at("bob"), label: at("Uncle  Bob") })),
        ("/alias @bob -", Meaning::Command(Command::Alias { name: at("bob"), label: at("") })),
        ("/nick Ali ce", Meaning::Command(Command::Nick { display: at("Ali ce") })),
        ("/nick -", Meaning::Command(Command::Nick { display: at("") })),
        ("/away lunch", Meaning::Command(Command::Away { why: at("lunch") })),
        ("/away", Meaning::Command(Command::Away { why: at("") })),
        ("/status", Meaning::Command(Command::Status)),
        ("/help", Meaning::Help(None)),
        ("/keys", Meaning::Keys),
        ("/quit\r\n", Meaning::Quit),
    ];
    for (typed, meaning) in table {
        assert_eq!(parse(typed), Ok(meaning), "{typed:?}");
    }
}

/// What is left unsaid is the open conversation's; where there is nothing to mean, nothing is guessed.
#[test]
fn what_is_left_unsaid_is_what_is_open() {
    assert_eq!(understand("/part", IN_GARDEN), Ok(Meaning::Command(Command::Leave { room: at("#garden") })));
    assert_eq!(understand("/who", IN_GARDEN), Ok(Meaning::Command(Command::Who { room: Some(at("#garden")) })));
    assert_eq!(understand("/verify", IN_GARDEN), Ok(Meaning::Command(Command::Verify { name: None, mark: None })));
    assert_eq!(understand("/topic roses", IN_GARDEN), Ok(topic("#garden", Some("roses"))));
    assert_eq!(understand("/topic", IN_GARDEN), Ok(topic("#garden", None)));
    let kick = Command::Kick { room: at("#garden"), name: at("bob"), reason: None };
    assert_eq!(understand("/kick bob", IN_GARDEN), Ok(Meaning::Command(kick)));
    assert!(understand("/whois", IN_GARDEN).is_err());
    for needs in ["/reply hello", "/react 👍", "/verify ok"] {
        assert!(understand(needs, IN_GARDEN).unwrap_err().advice.is_some(), "{needs:?}");
    }
}

#[test]
fn what_looks_like_a_command_is_never_sent_as_text() {
    for typed in [
        " /dm bob secret",
        "\t/quit",
        "/",
        "/nosuch secret",
        "/dm",
        "/dm  ",
        "/quit now",
        "/trust bob",
        "/rooms x",
        "/me",
        "/edit",
        "/edit 4f1c",
        "/reply",
        "/react 4f1c",
        "/topic",
        "/kick bob",
        "/kick #den",
        "/alias bob",
        "/nick",
        "/whois bob carol",
    ] {
        assert!(parse(typed).is_err(), "{typed:?}");
    }
}

#[test]
fn an_unknown_command_gets_a_suggestion() {
    assert_eq!(parse("/jion #x").unwrap_err().advice.unwrap(), "/join");
    assert_eq!(parse("/dn bob hi").unwrap_err().advice.unwrap(), "/dm");
    for far in ["/xylophone", "/wat", "/x"] {
        assert_eq!(parse(far).unwrap_err().advice.unwrap(), "/help");
    }
    assert!(!parse("/\u{1b}[2J").unwrap_err().message.contains('\u{1b}'));
    assert_eq!((distance("kitten", "sitting"), distance("", "ab"), distance("same", "same")), (3, 2, 0));
}

#[test]
fn help_knows_every_command_under_every_name() {
    for entry in ENTRIES {
        for name in entry.names {
            assert_eq!(parse(&format!("/help {name}")), Ok(Meaning::Help(Some(entry))));
        }
        assert!(entry.usage().starts_with('/'));
    }
    assert!(parse("/help nosuch").is_err());
}
