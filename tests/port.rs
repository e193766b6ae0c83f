//! The crypto crate as a program that a peer in any language can talk to: JSON lines in, JSON lines out. `README.md`
//! describes the verbs.
//!
//! Nothing is drawn here: whoever asks gives the random bytes, so both sides can compute every byte of the other. Nothing
//! ends the program but the end of its input.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod field;
mod given;
mod request;
mod things;

use std::io::{BufRead, Write};

use sealpost_crypto::Refused;
use serde_json::{Value, json};

use request::Request;
use things::Things;

/// Longest line that is read as a request: a session with 2,000 skipped keys, in hexadecimal, with room.
pub const MAX_LINE: usize = 1024 * 1024;

/// Why a request has no other answer.
enum Failure {
    /// The crypto crate refused, and does not tell why.
    Refused,
    /// The request is none, or it asks for what is not there.
    Request(String),
}

impl From<Refused> for Failure {
    fn from(_: Refused) -> Self {
        Self::Refused
    }
}

impl Failure {
    fn request(sentence: impl Into<String>) -> Self {
        Self::Request(sentence.into())
    }
}

/// Answers requests until the input ends.
///
/// # Errors
/// The input can't be read, or nobody takes the answers.
pub fn serve(mut input: impl BufRead, mut output: impl Write) -> std::io::Result<()> {
    let mut things = Things::default();
    let mut line = Vec::new();
    while let Some(whole) = read_line(&mut input, &mut line)? {
        let answer = if whole {
            answer(&mut things, &line)
        } else {
            Err(Failure::request(format!("a line has at most {MAX_LINE} bytes")))
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(Failure::Refused) => json!({ "error": "refused" }),
            Err(Failure::Request(sentence)) => json!({ "error": sentence }),
        };
        serde_json::to_writer(&mut output, &answer)?;
        output.write_all(b"\n")?;
        output.flush()?;
    }
    Ok(())
}

fn answer(things: &mut Things, line: &[u8]) -> Result<Value, Failure> {
    if !line.trim_ascii_start().starts_with(b"{") {
        return Err(Failure::request("a request is a JSON object"));
    }
    let request: Request = serde_json::from_slice(line).map_err(|error| Failure::request(error.to_string()))?;
    things.answer(request)
}

/// The next line without its end: `Some(true)` for a whole one, `Some(false)` for one that was too long and is passed
/// over, `None` at the end.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<Option<bool>> {
    line.clear();
    let (mut any, mut whole) = (false, true);
    loop {
        let buffer = match input.fill_buf() {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            buffer => buffer?,
        };
        if buffer.is_empty() {
            return Ok(any.then_some(whole));
        }
        any = true;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
        whole &= line.len() + part.len() <= MAX_LINE;
        if whole {
            line.extend_from_slice(part);
        }
        let used = end.map_or(buffer.len(), |end| end + 1);
        input.consume(used);
        if end.is_some() {
            return Ok(Some(whole));
        }
    }
}
