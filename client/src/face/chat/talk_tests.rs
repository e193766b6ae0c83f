use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, BufReader, DuplexStream, Lines};

use super::{Next, Talk};
use crate::api::{Command, Event, Kind, Message, Shown, State, Text, Trust};
use crate::face::plain::tests::{assert_harmless, everywhere, payloads};
use crate::face::screen::{Colour, Screen};
use crate::holder::Session;

/// A conversation whose holder is the test.
struct Scene {
    talk: Talk,
    session: Session,
    given: Lines<BufReader<DuplexStream>>,
    shown: Arc<Mutex<Vec<String>>>,
}

impl Scene {
    async fn new() -> Self {
        let shown: Arc<Mutex<Vec<String>>> = Arc::default();
        let print = Arc::clone(&shown);
        let (own, holder) = tokio::io::duplex(64 * 1024);
        let screen = Screen { terminal: true, slash: true, ..Screen::new(false, false, false, Colour::Never) };
        let printer = Box::new(move |text: &Shown| {
            print.lock().unwrap().push(text.to_string());
            Ok(())
        });
        let mut scene = Self {
            talk: Talk::new(screen, printer),
            session: Session::over(own),
            given: BufReader::new(holder).lines(),
            shown,
        };
        scene.talk.begin(&mut scene.session).await.unwrap();
        assert_eq!(scene.given().await.1, Command::Subscribe);
        assert_eq!(scene.given().await.1, Command::Contacts);
        assert!(matches!(scene.given().await.1, Command::Recv { follow: true, .. }));
        assert_eq!(scene.given().await.1, Command::Rooms);
        scene
    }

    async fn given(&mut self) -> (u64, Command) {
        let line = self.given.next_line().await.unwrap().unwrap();
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        (value["id"].as_u64().unwrap(), serde_json::from_value(value["command"].clone()).unwrap())
    }

    async fn typed(&mut self, line: &str) -> Next {
        self.talk.typed(&mut self.session, line).await.unwrap()
    }

    fn heard(&mut self, re: Option<u64>, event: Event) {
        self.talk.heard(re, &event).unwrap();
    }

    fn shown(&self) -> Vec<String> {
        std::mem::take(&mut self.shown.lock().unwrap())
    }
}

fn message(id: &str, from: &str, state: State) -> Event {
    Event::Message(Message {
        id: id.to_owned(),
        conversation: "@bob".to_owned(),
        from: from.to_owned(),
        verified: false,
        trust: Trust::Unverified,
        sent_at: "2026-11-20T08:00:00.123Z".to_owned(),
        text: Text::new("hi"),
        kind: Kind::Text,
        target: None,
        state,
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

fn state(id: &str, state: State) -> Event {
    Event::State { id: id.to_owned(), conversation: "@bob".to_owned(), state }
}

#[tokio::test]
async fn text_goes_where_the_prompt_says() {
    let mut scene = Scene::new().await;
    assert_eq!(scene.talk.prompt(), "#lobby PUBLIC");
    scene.typed("to everybody").await;
    assert!(matches!(scene.given().await.1, Command::Send { to, .. } if to == "#lobby"));
    scene.typed("/dm bob").await;
    assert_eq!(scene.talk.prompt(), "@bob E2E");
    scene.typed("to bob alone").await;
    assert!(matches!(scene.given().await.1, Command::Send { to, text, .. } if to == "@bob" && text == "to bob alone"));
    scene.typed("/dm carol once").await;
    assert!(matches!(scene.given().await.1, Command::Send { to, .. } if to == "@carol"));
    assert_eq!(scene.talk.prompt(), "@bob E2E");
    scene.typed("/who").await;
    assert_eq!(scene.given().await.1, Command::Who { room: Some("#lobby".to_owned()) });
    scene.typed("/join garden").await;
    assert_eq!(scene.given().await.1, Command::Join { room: "#garden".to_owned() });
    scene.typed("/part").await;
    assert_eq!(scene.given().await.1, Command::Leave { room: "#garden".to_owned() });
    assert_eq!(scene.typed("/quit").await, Next::Leave);
}

#[tokio::test]
async fn the_next_line_waits_until_the_last_is_stored_and_its_states_are_shown_once() {
    let mut scene = Scene::new().await;
    scene.typed("/dm bob hi").await;
    let (id, _) = scene.given().await;
    assert!(!scene.talk.ready());
    scene.heard(Some(id), Event::Taken);
    scene.heard(None, message("00", "@alice", State::Queued));
    scene.heard(None, message("11", "@alice", State::Queued));
    scene.heard(Some(id), Event::Queued { id: "00".to_owned(), conversation: "@bob".to_owned() });
    assert!(scene.talk.ready());
    scene.heard(Some(id), Event::End);
    // What was typed here is not shown again, what another process sent is; what came of it is, once.
    scene.heard(None, message("00", "@alice", State::Queued));
    let shown = scene.shown();
    assert!(shown.len() == 1 && shown[0].contains("@alice to @bob"), "{shown:?}");
    for _ in 0..2 {
        scene.heard(None, state("00", State::Sent));
        scene.heard(None, state("00", State::Delivered));
    }
    // Sent by another process: the message itself is news, its states are not.
    scene.heard(None, state("77", State::Sent));
    assert_eq!(scene.shown(), ["  @bob sent", "  @bob delivered"]);
}

#[tokio::test]
async fn a_message_is_shown_once_and_teaches_what_the_prompt_says() {
    let mut scene = Scene::new().await;
    scene.heard(Some(3), message("00", "@bob", State::Received));
    scene.heard(None, message("00", "@bob", State::Received));
    let shown = scene.shown();
    assert!(shown.len() == 1 && shown[0].ends_with("E2E @bob (unverified): hi"), "{shown:?}");
    scene.typed("/query bob").await;
    assert_eq!(scene.talk.prompt(), "@bob E2E unverified");
    assert!(scene.talk.words().contains(&"bob".into()));
    let changed = || Event::KeyChanged { name: "bob".to_owned(), old: "aaa".to_owned(), new: "bbb".to_owned() };
    scene.heard(None, changed());
    scene.heard(None, changed());
    assert_eq!(scene.talk.prompt(), "@bob E2E key changed");
    assert_eq!(scene.shown().iter().filter(|line| line.contains("/trust bob bbb")).count(), 1);
}

#[tokio::test]
async fn ok_marks_the_number_that_was_shown() {
    let mut scene = Scene::new().await;
    scene.typed("/verify ok").await;
    assert!(scene.shown()[0].contains("try: /verify NAME"));
    scene.typed("/verify bob").await;
    let (id, command) = scene.given().await;
    assert_eq!(command, Command::Verify { name: Some("bob".to_owned()), mark: None });
    let number = ["12345"; 12].join(" ");
    let safety = |trust| Event::Safety { name: "bob".to_owned(), number: number.clone(), code: "1".to_owned(), trust };
    scene.heard(Some(id), safety(Trust::Unverified));
    scene.typed("/verify ok").await;
    let (id, command) = scene.given().await;
    assert_eq!(command, Command::Verify { name: Some("bob".to_owned()), mark: Some(number.clone()) });
    scene.heard(Some(id), safety(Trust::Verified));
    scene.typed("/dm bob").await;
    assert_eq!(scene.talk.prompt(), "@bob E2E verified", "what was compared shows at once");
}

#[tokio::test]
async fn what_is_misunderstood_is_said_and_nothing_is_given() {
    let mut scene = Scene::new().await;
    for typed in [" /dm bob secret", "/nosuch", "/dm", "/help", "/keys", "", "/help dm"] {
        assert_eq!(scene.typed(typed).await, Next::Stay);
    }
    assert!(scene.shown()[0].contains("was not sent"));
    scene.typed("/status").await;
    assert_eq!(scene.given().await.1, Command::Status);
}

/// Without an id, what is changed is one's own last message here, and what is answered the last one of somebody else.
#[tokio::test]
async fn messages_are_changed_and_answered_where_one_is() {
    let mut scene = Scene::new().await;
    scene.typed("/dm bob").await;
    scene.typed("/reply yes").await;
    assert!(scene.shown().last().unwrap().contains("nobody has written anything here yet"));
    scene.heard(None, message("0011", "@bob", State::Received));
    scene.typed("/reply yes").await;
    assert!(matches!(scene.given().await.1, Command::Reply { id, text, .. } if id == "0011" && text == "yes"));
    scene.typed("/react 👍").await;
    assert_eq!(scene.given().await.1, Command::React { id: "0011".to_owned(), emoji: "👍".to_owned() });
    let within = || Some("@bob".to_owned());
    scene.typed("/edit no").await;
    assert_eq!(scene.given().await.1, Command::Edit { id: None, within: within(), text: "no".to_owned() });
    scene.typed("/delete").await;
    assert_eq!(scene.given().await.1, Command::Delete { id: None, within: within() });
    scene.typed("/delete 4f1c").await;
    assert_eq!(scene.given().await.1, Command::Delete { id: Some("4f1c".to_owned()), within: None });
    scene.typed("/me waves").await;
    assert!(matches!(scene.given().await.1, Command::Send { to, text, .. } if to == "@bob" && text == "/me waves"));
    scene.typed("/mute").await;
    assert_eq!(scene.given().await.1, Command::Mute { with: "@bob".to_owned(), on: true });
    scene.typed("/accept").await;
    assert_eq!(scene.given().await.1, Command::Accept { name: "bob".to_owned() });
    scene.typed("/refuse carol").await;
    assert_eq!(scene.given().await.1, Command::Refuse { name: "carol".to_owned() });
    scene.typed("/chats").await;
    assert_eq!(scene.given().await.1, Command::Conversations);
}

/// Whatever others fill in, in whichever event, a line, the prompt and what can be completed stay text.
#[tokio::test]
async fn no_field_of_any_event_reaches_the_terminal_unfiltered() {
    for hostile in payloads() {
        let mut scene = Scene::new().await;
        for event in everywhere(&hostile) {
            scene.heard(None, event);
        }
        scene.typed(&format!("/query {hostile}")).await;
        let (prompt, words) = (scene.talk.prompt(), scene.talk.words());
        let lines = scene.shown();
        assert!(lines.len() > 10, "{lines:?}");
        for shown in lines.iter().map(String::as_str).chain([&*prompt]).chain(words.iter().map(|word| &**word)) {
            assert_harmless(shown);
        }
    }
}
