use super::{end, line};
use crate::api::{Error, ErrorCode, Event, Kind, Message, State, Text, Trust};

fn message(kind: Kind, text: &str) -> Event {
    Event::Message(Message {
        id: "00ff".to_owned(),
        conversation: "@bob".to_owned(),
        from: "@bob".to_owned(),
        verified: true,
        trust: Trust::Verified,
        sent_at: "2026-11-20T08:00:00.123Z".to_owned(),
        text: Text::new(text),
        kind,
        target: None,
        state: State::Received,
        request: false,
        edited: false,
        reactions: Vec::new(),
        expires_at: None,
        mentions_me: false,
        action: false,
        file: None,
        label: None,
        display: None,
        whom: None,
    })
}

#[test]
fn events_look_as_the_interface_promises() {
    let moved = |state| Event::State { id: "00ff".to_owned(), conversation: "@bob".to_owned(), state };
    let wanted = [
        (
            message(Kind::Text, "hi"),
            r#"{"v":1,"event":"message","id":"00ff","conversation":"@bob","from":"@bob","verified":true,"trust":"verified","sent_at":"2026-11-20T08:00:00.123Z","text":"hi","kind":"text","state":"received"}"#,
        ),
        (moved(State::Queued), r#"{"v":1,"event":"queued","id":"00ff","conversation":"@bob","state":"queued"}"#),
        (moved(State::Sent), r#"{"v":1,"event":"sent","id":"00ff","conversation":"@bob","state":"sent"}"#),
        (moved(State::Delivered), r#"{"v":1,"event":"receipt","id":"00ff","conversation":"@bob","state":"delivered"}"#),
        (
            Event::Error(
                Error::new(ErrorCode::KeyChanged, "bob's key has changed").advise("sealpost trust bob FINGERPRINT"),
            ),
            r#"{"v":1,"event":"error","code":"key_changed","exit":4,"message":"bob's key has changed","try":"sealpost trust bob FINGERPRINT"}"#,
        ),
        (
            Event::Gap { conversation: "#lobby".to_owned(), from: "@bob".to_owned(), missing: 2 },
            r##"{"v":1,"event":"gap","conversation":"#lobby","from":"@bob","missing":2}"##,
        ),
        (
            Event::Presence {
                room: "#lobby".to_owned(),
                name: "@bob".to_owned(),
                online: true,
                creator: false,
                label: None,
                display: None,
                away: None,
            },
            r##"{"v":1,"event":"presence","room":"#lobby","name":"@bob","online":true}"##,
        ),
        (
            Event::Notice {
                id: "00ff".to_owned(),
                time: "2026-11-20T08:00:00.123Z".to_owned(),
                text: Text::new("back at 9"),
            },
            r#"{"v":1,"event":"notice","id":"00ff","time":"2026-11-20T08:00:00.123Z","text":"back at 9"}"#,
        ),
    ];
    for (event, json) in wanted {
        assert_eq!(line(&event).unwrap(), json);
    }
    assert_eq!(end(75), r#"{"v":1,"event":"end","exit":75}"#);
    for (kind, name) in [(Kind::Edit, "edit"), (Kind::Delete, "delete"), (Kind::Reaction, "reaction")] {
        assert!(line(&message(kind, "")).unwrap().starts_with(&format!(r#"{{"v":1,"event":"{name}","#)));
    }
    assert_eq!(line(&Event::End), None);
}

#[test]
fn the_text_comes_back_and_nothing_of_it_is_obeyed() {
    for hostile in super::super::plain::tests::payloads() {
        let json = line(&message(Kind::Text, &hostile)).unwrap();
        assert!(!json.chars().any(crate::api::is_obeyed), "{json}");
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["text"], hostile);
    }
}
