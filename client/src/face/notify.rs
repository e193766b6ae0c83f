//! A word to the desktop that a message has come: by an escape sequence that terminals turn into a notification, or by the
//! bell. What the message says is in it only where the person wants that.

use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::api::{Kind, Message, State, Text};

/// How much a notification tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Notify {
    /// Nothing
    Off,
    /// The terminal's bell
    Bell,
    /// That there is a message, and nothing of it
    On,
    /// From whom it is and how it begins, where anybody may see it who sees the desktop
    Content,
}

/// One in so long: whoever was away for a week is not told a thousand times.
const AGAIN: Duration = Duration::from_secs(5);
/// Most characters of a message.
const LONGEST: usize = 100;

/// What the terminal understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaks {
    /// OSC 9, and terminals that know it not pass over it.
    Nine,
    /// OSC 777, of rxvt.
    TripleSeven,
    Bell,
}

pub(super) struct Notifier {
    how: Notify,
    speaks: Speaks,
    told: Option<Instant>,
}

impl Notifier {
    /// For a terminal of this kind, as in `TERM`.
    pub(super) fn new(how: Notify, term: &str) -> Self {
        let speaks = match term {
            _ if how == Notify::Bell => Speaks::Bell,
            "linux" | "dumb" | "" => Speaks::Bell,
            rxvt if rxvt.starts_with("rxvt") => Speaks::TripleSeven,
            _ => Speaks::Nine,
        };
        Self { how, speaks, told: None }
    }

    pub(super) fn how(&self) -> Notify {
        self.how
    }

    /// What is to be written to the terminal about a message that nobody looks at.
    pub(super) fn about(&mut self, message: &Message, muted: bool, now: Instant) -> Option<String> {
        let said = message.state == State::Received && matches!(message.kind, Kind::Text | Kind::Reply);
        // In a room people talk all day; it is for oneself where one's name is in it.
        let meant = !message.conversation.starts_with('#') || message.mentions_me;
        let rests = self.told.is_some_and(|told| now.saturating_duration_since(told) < AGAIN);
        if self.how == Notify::Off || !said || !meant || muted || rests {
            return None;
        }
        self.told = Some(now);
        let words = self.words(message);
        Some(match self.speaks {
            Speaks::Nine => format!("\u{1b}]9;{words}\u{7}"),
            Speaks::TripleSeven => format!("\u{1b}]777;notify;Sealpost;{words}\u{7}"),
            Speaks::Bell => "\u{7}".to_owned(),
        })
    }

    fn words(&self, message: &Message) -> String {
        // A stranger does not come to write on somebody's desktop.
        if message.request {
            return "Sealpost: a stranger has written to you".to_owned();
        }
        if self.how != Notify::Content {
            let words = if message.mentions_me { "somebody mentions you" } else { "a new message" };
            return format!("Sealpost: {words}");
        }
        let all = Text::new(format!("{}: {}", message.from, message.text.as_raw())).on_one_line();
        // A semicolon begins the next field of the sequence.
        all.chars().take(LONGEST).map(|c| if c == ';' { ',' } else { c }).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{AGAIN, Notifier, Notify};
    use crate::api::{Message, State};

    fn message(conversation: &str, text: &str) -> Message {
        serde_json::from_value(serde_json::json!({
            "id": "0".repeat(32), "conversation": conversation, "from": "@bob", "verified": false, "trust": "unverified",
            "sent_at": "2026-11-20T08:00:00.123Z", "text": text, "kind": "text", "state": "received",
        }))
        .unwrap()
    }

    fn once(how: Notify, term: &str, message: &Message) -> Option<String> {
        Notifier::new(how, term).about(message, false, Instant::now())
    }

    #[test]
    fn a_notification_tells_as_much_as_it_may() {
        let bob = message("@bob", "a secret");
        assert_eq!(once(Notify::Off, "xterm", &bob), None);
        assert_eq!(once(Notify::Bell, "xterm", &bob).unwrap(), "\u{7}");
        assert_eq!(once(Notify::On, "linux", &bob).unwrap(), "\u{7}");
        assert_eq!(once(Notify::On, "xterm", &bob).unwrap(), "\u{1b}]9;Sealpost: a new message\u{7}");
        let told = once(Notify::Content, "rxvt-unicode", &bob).unwrap();
        assert_eq!(told, "\u{1b}]777;notify;Sealpost;@bob: a secret\u{7}");
        let room = message("#garden", "tea?");
        assert_eq!(once(Notify::On, "xterm", &room), None);
        let named = Message { mentions_me: true, ..room };
        assert!(once(Notify::On, "xterm", &named).unwrap().contains("mentions you"));
        let own = Message { state: State::Sent, ..bob.clone() };
        assert_eq!(once(Notify::On, "xterm", &own), None);
        let stranger = Message { request: true, ..bob };
        assert!(!once(Notify::Content, "xterm", &stranger).unwrap().contains("secret"));
    }

    /// Nothing that somebody wrote ends the sequence, or begins another.
    #[test]
    fn what_is_told_obeys_nobody() {
        let hostile = message("@bob", "\u{7}\u{1b}]52;c;aGk=\u{7}\u{9c}\r\n\u{202e}evil;title");
        let told = once(Notify::Content, "xterm", &hostile).unwrap();
        let inside = told.strip_prefix("\u{1b}]9;").unwrap().strip_suffix('\u{7}').unwrap();
        assert!(!inside.chars().any(|c| c.is_control() || c == ';' || c == '\u{202e}'), "{inside:?}");
        let long = message("@bob", &"x".repeat(10_000));
        assert!(once(Notify::Content, "xterm", &long).unwrap().len() < 200);
    }

    #[test]
    fn many_messages_are_told_once_and_muted_ones_never() {
        let (bob, now) = (message("@bob", "hi"), Instant::now());
        let mut notifier = Notifier::new(Notify::On, "xterm");
        assert_eq!(notifier.about(&bob, true, now), None);
        assert!(notifier.about(&bob, false, now).is_some());
        assert_eq!(notifier.about(&bob, false, now + AGAIN - Duration::from_millis(1)), None);
        assert!(notifier.about(&bob, false, now + AGAIN).is_some());
    }
}
