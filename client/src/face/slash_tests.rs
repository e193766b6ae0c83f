use super::{ENTRIES, Line, distance, parse};

fn at(name: &str) -> String {
    name.to_owned()
}

#[test]
fn every_line_has_one_meaning() {
    let table = [
        ("", Line::Empty),
        ("  \t", Line::Empty),
        ("hello  there ", Line::Say(at("hello  there "))),
        ("//etc/passwd", Line::Say(at("/etc/passwd"))),
        ("two\nlines", Line::Say(at("two\nlines"))),
        ("a /dm in the middle", Line::Say(at("a /dm in the middle"))),
        ("/dm bob hello  there", Line::Message { to: at("@bob"), text: at("hello  there") }),
        ("/msg @bob hi", Line::Message { to: at("@bob"), text: at("hi") }),
        ("/DM bob hi", Line::Message { to: at("@bob"), text: at("hi") }),
        ("/dm bob bob bob", Line::Message { to: at("@bob"), text: at("bob bob") }),
        ("/dm bob first\nsecond", Line::Message { to: at("@bob"), text: at("first\nsecond") }),
        ("/dm bob", Line::Open(at("@bob"))),
        ("/query @bob", Line::Open(at("@bob"))),
        ("/join garden", Line::Join(at("#garden"))),
        ("/join #garden", Line::Join(at("#garden"))),
        ("/part", Line::Part(None)),
        ("/part #garden", Line::Part(Some(at("#garden")))),
        ("/rooms", Line::Rooms),
        ("/list", Line::Rooms),
        ("/who", Line::Who(None)),
        ("/names garden", Line::Who(Some(at("#garden")))),
        ("/verify", Line::Verify(None)),
        ("/verify bob", Line::Verify(Some(at("bob")))),
        ("/verify ok", Line::VerifyOk),
        ("/trust bob abc", Line::Trust { name: at("bob"), fingerprint: at("abc") }),
        ("/block bob", Line::Block(at("bob"))),
        ("/unblock @bob", Line::Unblock(at("bob"))),
        ("/me waves  twice", Line::Act(at("waves  twice"))),
        ("/reply 4f1c see you", Line::Reply { id: Some(at("4f1c")), text: at("see you") }),
        ("/reply see you", Line::Reply { id: None, text: at("see you") }),
        ("/edit beef is fine", Line::Edit { id: None, text: at("beef is fine") }),
        (
            "/edit 00112233445566778899aabbccddeeff x",
            Line::Edit { id: Some(at("00112233445566778899aabbccddeeff")), text: at("x") },
        ),
        ("/delete", Line::Delete(None)),
        ("/delete 4f1c", Line::Delete(Some(at("4f1c")))),
        ("/react 👍", Line::React { id: None, emoji: at("👍") }),
        ("/react 4f1c 👍", Line::React { id: Some(at("4f1c")), emoji: at("👍") }),
        ("/react 4f1c -", Line::React { id: Some(at("4f1c")), emoji: String::new() }),
        ("/accept", Line::Accept(None)),
        ("/accept @bob", Line::Accept(Some(at("bob")))),
        ("/refuse bob", Line::Refuse(Some(at("bob")))),
        ("/mute", Line::Mute { with: None, on: true }),
        ("/unmute #garden", Line::Mute { with: Some(at("#garden")), on: false }),
        ("/expire 1h", Line::Expire(Some(3_600))),
        ("/expire off", Line::Expire(None)),
        ("/settings", Line::Settings { read_receipts: None, typing: None }),
        ("/settings typing on", Line::Settings { read_receipts: None, typing: Some(true) }),
        ("/settings read-receipts off", Line::Settings { read_receipts: Some(false), typing: None }),
        ("/chats", Line::Conversations),
        ("/status", Line::Status),
        ("/help", Line::Help(None)),
        ("/keys", Line::Keys),
        ("/quit\r\n", Line::Quit),
    ];
    for (typed, meaning) in table {
        assert_eq!(parse(typed), Ok(meaning), "{typed:?}");
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
    ] {
        assert!(parse(typed).is_err(), "{typed:?}");
    }
}

#[test]
fn an_unknown_command_gets_a_suggestion() {
    assert_eq!(parse("/jion #x").unwrap_err().advice, "/join");
    assert_eq!(parse("/dn bob hi").unwrap_err().advice, "/dm");
    for far in ["/xylophone", "/wat", "/x"] {
        assert_eq!(parse(far).unwrap_err().advice, "/help");
    }
    assert!(!parse("/\u{1b}[2J").unwrap_err().message.contains('\u{1b}'));
    assert_eq!((distance("kitten", "sitting"), distance("", "ab"), distance("same", "same")), (3, 2, 0));
}

#[test]
fn help_knows_every_command_under_every_name() {
    for entry in ENTRIES {
        for name in entry.names {
            assert_eq!(parse(&format!("/help {name}")), Ok(Line::Help(Some(entry))));
        }
        assert!(entry.usage().starts_with('/'));
    }
    assert!(parse("/help nosuch").is_err());
}
