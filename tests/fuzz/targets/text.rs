//! Text from outside: names, addresses, links, recovery words, and whatever people write. What is taken is written back
//! in one form only; and nothing that a terminal obeys comes out of what is shown.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use sealpost_client::api::Text;
use sealpost_crypto::identity::AccountSecret;
use sealpost_spec::account::{ContactLink, DeviceRequest, Fingerprint, Name, skeleton};
use sealpost_spec::relay::{Address, Host};
use sealpost_spec::room::RoomName;

use super::script::Script;

pub fn run(input: &[u8]) {
    let Some((kind, bytes)) = input.split_first() else { return };
    let text = &*String::from_utf8_lossy(bytes);
    match kind % 8 {
        0 => name(text),
        1 => drop(again::<RoomName>(text)),
        2 => drop(again::<Address>(text)),
        3 => link(text),
        4 => {
            let _: Option<Fingerprint> = again(text);
            let _: Option<DeviceRequest> = again(text);
        }
        5 => host(text),
        6 => words(text, bytes),
        _ => shown(text),
    }
}

/// Parses; what comes of it is printed in one form, which parses to the same, and which no terminal obeys.
fn again<T: FromStr + Display + PartialEq + Debug>(text: &str) -> Option<T> {
    let parsed: T = text.parse().ok()?;
    let written = parsed.to_string();
    assert!(written.is_ascii() && !written.contains(|c: char| c.is_control() || c == ' '), "{written:?}");
    assert!(text.trim().is_ascii(), "another alphabet that looks alike: {text:?}");
    let same = written.parse::<T>().unwrap_or_else(|_| panic!("{written} does not parse"));
    assert_eq!(same, parsed);
    assert_eq!(same.to_string(), written);
    Some(parsed)
}

fn name(text: &str) {
    let Some(name) = again::<Name>(text) else { return };
    assert_eq!(name.as_str(), text);
    assert_eq!(Name::from_bytes(text.as_bytes()), Ok(name.clone()));
    assert!((2..=Name::MAX).contains(&text.len()));
    let plain = skeleton(&name);
    assert!(plain.len() <= text.len() && plain.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()));
    // What tells two names apart only by a mark between letters tells nothing.
    assert_eq!(plain, skeleton(&name.to_string().replace('_', "-").replace("--", "-.").parse().unwrap()));
}

fn link(text: &str) {
    if let Some(link) = again::<ContactLink>(text) {
        assert!(again::<Address>(&link.relay.to_string()).is_some());
        assert!(link.relay.hosts.len() <= Address::MAX_HOSTS && link.relay.port != 0);
    }
}

fn host(text: &str) {
    if let Ok(host) = text.parse::<Host>() {
        let bare = host.as_str();
        assert!(text.is_ascii() && !bare.is_empty() && !bare.contains(['[', ']', ',', '/', '@', ' ']));
    }
}

/// Words as they stand; and 24 words of the list, chosen by the bytes.
fn words(text: &str, bytes: &[u8]) {
    let accepted = |words: &str| {
        let account = AccountSecret::from_words(words).ok()?;
        let same = account.words();
        assert_eq!(same.split(' ').count(), 24);
        let again = AccountSecret::from_words(&same).unwrap();
        assert!(again.key() == account.key() && again.words() == same);
        Some(())
    };
    let _ = accepted(text);
    // Any 32 bytes have words, whose list so comes about: 16 accounts name most of it.
    let genuine =
        AccountSecret::generate(&mut super::people::dice(u64::from(bytes.first().copied().unwrap_or(0) % 16)));
    let words = genuine.words();
    assert!(accepted(&words).is_some());
    let mut script = Script::new(bytes);
    script.byte();
    let mut listed: Vec<&str> = words.split(' ').collect();
    let (one, other) = (script.below(24), script.below(24));
    listed.swap(one, other);
    let _ = accepted(&listed.join(" "));
    listed.truncate(script.below(25));
    if listed.len() < 24 {
        assert!(accepted(&listed.join(" ")).is_none(), "fewer words than 24");
    }
}

/// Written down a second time on purpose: control characters, and what turns or hides the text beside it.
fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{200b}' | '\u{ad}')
}

fn shown(text: &str) {
    let raw = Text::new(text);
    assert_eq!(raw.as_raw(), text);
    let (lines, line) = (raw.shown(), raw.on_one_line());
    assert!(!lines.contains(|c| is_obeyed(c) && c != '\n' && c != '\t'), "{lines:?}");
    assert!(!line.contains(is_obeyed), "{line:?}");
    assert!(line.len() <= 9 * text.len() && lines.len() <= 9 * text.len());
    assert_eq!(Text::new(&*lines).shown(), lines, "what was cleaned is clean");
    assert_eq!(Text::new(&*line).on_one_line(), line);
    let plain = text.chars().all(|c| c.is_ascii() && !c.is_control());
    assert!(!plain || line == text, "plain text stays as it is");
    // What a program reads, it reads back.
    let json = serde_json::to_string(&raw).unwrap();
    assert_eq!(serde_json::from_str::<Text>(&json).unwrap(), raw);
}
