//! Lines: what programs write to the profile's socket, and what people type.

use std::fmt::Debug;

use sealpost_client::api::{Command, Event};
use sealpost_client::face::slash::{Line, parse};
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
    let understood = parse(line);
    let bare = line.strip_suffix('\n').unwrap_or(line);
    let bare = bare.strip_suffix('\r').unwrap_or(bare);
    match &understood {
        Ok(Line::Empty) => assert!(bare.trim().is_empty()),
        Ok(Line::Say(text)) => {
            let slash = bare.strip_prefix('/').is_some_and(|rest| rest == text && text.starts_with('/'));
            assert!(slash || text == bare && !bare.trim_start().starts_with('/'), "{line:?} was said as {text:?}");
        }
        Ok(Line::Message { to, text }) => {
            assert!(to.starts_with('@') && !to.contains(char::is_whitespace) && bare.ends_with(&**text));
        }
        Ok(Line::Open(to)) => assert!(to.starts_with('@') && bare.contains(&to[1..])),
        Ok(Line::Join(room) | Line::Part(Some(room)) | Line::Who(Some(room))) => {
            assert!(room.starts_with('#') && bare.contains(&room[1..]));
        }
        Ok(_) => {}
        Err(misunderstood) => {
            assert!(bare.trim_start().starts_with('/') && !misunderstood.advice.is_empty());
            // A face may print the reason as it is.
            let told = [&*misunderstood.message, &*misunderstood.advice].concat();
            assert!(!told.contains(char::is_control), "{told:?}");
        }
    }
    assert!(bare.starts_with('/') || matches!(understood, Ok(Line::Empty | Line::Say(_)) | Err(_)), "{line:?}");
}
