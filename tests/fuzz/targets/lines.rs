//! Lines: what programs write to the profile's socket, and what people type.

use std::fmt::Debug;

use sealpost_client::api::{Command, Event};
use sealpost_client::face::slash::{Here, LOBBY, Meaning, understand};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A line of the profile's socket, as the holder reads it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Asked {
    v: u32,
    id: u64,
    command: Command,
}

pub fn run(input: &[u8]) {
    let Some((kind, bytes)) = input.split_first() else { return };
    match kind % 3 {
        0 => json::<Asked>(bytes),
        1 => json::<Event>(bytes),
        _ => typed(&String::from_utf8_lossy(bytes)),
    }
}

/// What is understood is written so that it is understood the same, on one line.
fn json<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<T>(bytes) else { return };
    let written = serde_json::to_vec(&value).unwrap();
    assert!(!written.contains(&b'\n'), "two lines");
    assert_eq!(serde_json::from_slice::<T>(&written).unwrap(), value);
}

/// What is said is what was typed, and a command that was mistyped is said to nobody.
fn typed(line: &str) {
    let understood = understand(line, Here { place: LOBBY, last: Some("4f1c"), number: None });
    let bare = line.strip_suffix('\n').unwrap_or(line);
    let bare = bare.strip_suffix('\r').unwrap_or(bare);
    match &understood {
        Ok(Meaning::Nothing) => assert!(bare.trim().is_empty()),
        Ok(Meaning::Command(Command::Send { to, text, .. })) if to == LOBBY => {
            let slash = bare.strip_prefix('/').is_some_and(|rest| rest == text && text.starts_with('/'));
            let acts = text.starts_with("/me ") && bare.starts_with('/');
            let said = text == bare && !bare.trim_start().starts_with('/');
            assert!(slash || acts || said, "{line:?} was said as {text:?}");
        }
        Ok(Meaning::Command(Command::Send { to, text, .. })) => {
            assert!(to.starts_with('@') && !to.contains(char::is_whitespace) && bare.ends_with(&**text));
            assert!(bare.starts_with('/'), "{line:?}");
        }
        Ok(Meaning::Open(to)) => assert!(to.starts_with('@') && bare.contains(&to[1..])),
        Ok(Meaning::Command(Command::Join { room })) => assert!(room.starts_with('#') && bare.contains(&room[1..])),
        Ok(_) => assert!(bare.starts_with('/'), "{line:?}"),
        Err(error) => {
            let advice = error.advice.as_deref().unwrap_or_default();
            assert!(bare.trim_start().starts_with('/') && !advice.is_empty());
            // A face may print the reason as it is.
            let told = [&*error.message, advice].concat();
            assert!(!told.contains(char::is_control), "{told:?}");
        }
    }
}
