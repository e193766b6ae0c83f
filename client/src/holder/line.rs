//! One JSON object a line, in both directions.

use bytes::{Buf as _, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::api::{Command, Event};

/// Longest line in bytes: the longest text that a frame carries, of control characters alone, each of which JSON spells
/// with six bytes; and what stands around it.
pub(super) const MAX_LINE: usize = 6 * sealpost_spec::wire::MAX_FRAME + 16 * 1024;

/// Bytes asked of the stream at once.
const READ: usize = 16 * 1024;

/// `{"v":1,"id":1,"command":{"command":"me"}}`
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked {
    /// [`crate::api::VERSION`]
    pub(super) v: u32,
    /// Chosen by whoever asks; unique on this connection.
    pub(super) id: u64,
    pub(super) command: Command,
}

/// `{"v":1,"re":1,"event":"me",...}`; without `re` it is for everybody who subscribed. The key is not `id`, because
/// messages have one.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    /// [`crate::api::VERSION`]
    pub(super) v: u32,
    /// The command that is answered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) re: Option<u64>,
    #[serde(flatten)]
    pub(super) event: Event,
}

/// A value as a line.
pub(super) fn encode(value: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).expect("strings, numbers and enums have a JSON form");
    line.push(b'\n');
    line
}

/// Reads lines; nothing is lost when the future that waits for one is dropped.
pub(crate) struct LineReader {
    io: Box<dyn AsyncRead + Send + Unpin>,
    buffer: BytesMut,
    /// How much of the buffer has no line break.
    searched: usize,
}

impl LineReader {
    pub(crate) fn new(io: Box<dyn AsyncRead + Send + Unpin>) -> Self {
        Self { io, buffer: BytesMut::new(), searched: 0 }
    }

    /// The next line without its break; `None` at the end. Errors: the stream broke, or the line is too long.
    pub(crate) async fn next(&mut self) -> std::io::Result<Option<Bytes>> {
        loop {
            let unsearched = self.buffer.get(self.searched..).unwrap_or_default();
            if let Some(at) = unsearched.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(self.searched + at).freeze();
                self.buffer.advance(1);
                self.searched = 0;
                return Ok(Some(line));
            }
            self.searched = self.buffer.len();
            if self.searched > MAX_LINE {
                return Err(std::io::ErrorKind::InvalidData.into());
            }
            self.buffer.reserve(READ);
            if self.io.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Asked, LineReader, MAX_LINE, Told, encode};
    use crate::api::{Command, Event, State};

    #[test]
    fn a_command_and_what_answers_it_look_as_documented() {
        let asked: Asked =
            serde_json::from_str(r#"{"v":1,"id":7,"command":{"command":"block","name":"bob"}}"#).unwrap();
        assert_eq!(asked, Asked { v: 1, id: 7, command: Command::Block { name: "bob".to_owned() } });
        let event = Event::State { id: "00ff".to_owned(), conversation: "@bob".to_owned(), state: State::Sent };
        let told = Told { v: 1, re: Some(7), event };
        let line = encode(&told);
        let text = r#"{"v":1,"re":7,"event":"state","id":"00ff","conversation":"@bob","state":"sent"}"#;
        assert_eq!(line, format!("{text}\n").into_bytes());
        assert_eq!(serde_json::from_str::<Told>(text).unwrap(), told);
        assert_eq!(
            serde_json::from_str::<Told>(r#"{"v":1,"event":"end","later":"ignored"}"#).unwrap(),
            Told { v: 1, re: None, event: Event::End }
        );
    }

    /// A stranger may send nothing but control characters: their line must pass, or whoever reads it never gets past it.
    #[test]
    fn the_longest_text_fits_a_line_however_it_is_spelled() {
        use crate::api::{Kind, Message, Text, Trust};
        let message = Message {
            id: "0".repeat(32),
            conversation: format!("@{}", "a".repeat(32)),
            from: format!("@{}", "a".repeat(32)),
            verified: false,
            trust: Trust::Unverified,
            sent_at: "2026-11-20T08:00:00.123Z".to_owned(),
            text: Text::new("\u{1}".repeat(sealpost_spec::wire::MAX_FRAME)),
            kind: Kind::Text,
            target: Some("0".repeat(32)),
            state: State::Received,
            request: true,
            edited: false,
            reactions: Vec::new(),
            expires_at: None,
            mentions_me: false,
            action: false,
            file: None,
            label: None,
            display: None,
            whom: None,
        };
        assert!(encode(&Told { v: 1, re: Some(u64::MAX), event: Event::Message(message) }).len() < MAX_LINE);
    }

    #[tokio::test]
    async fn lines_end_at_their_break_and_at_their_limit() {
        let text: &[u8] = b"one\n\ntwo\nrest";
        let mut reader = LineReader::new(Box::new(text));
        for wanted in ["one", "", "two"] {
            assert_eq!(reader.next().await.unwrap().unwrap(), wanted.as_bytes());
        }
        assert!(reader.next().await.unwrap().is_none());
        let mut endless = LineReader::new(Box::new(tokio::io::repeat(b'x')));
        assert!(endless.next().await.is_err());
        assert!(endless.buffer.len() <= 2 * MAX_LINE);
    }
}
