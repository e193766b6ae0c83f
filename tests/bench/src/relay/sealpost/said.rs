//! What a relay says, read without copying what is only counted.
use sealpost_spec::mailbox::{EnvelopeId, Seq};
use sealpost_spec::relay::{Answer, Refusal};
use sealpost_spec::wire::layout::Reader;
use sealpost_spec::wire::{DecodeError, LENGTH_PREFIX, MAX_FRAME, RelayFrame, body_length, decode};

use crate::relay::codec::Wrong;

/// A frame of a relay.
pub(super) enum Said<'a> {
    Answer(Result<Answer, Refusal>),
    Envelope { seq: Seq, id: EnvelopeId, sealed: &'a [u8] },
    Post { body: &'a [u8] },
    Ping(u64),
}

/// The body of the first frame; `None` while some of it is missing.
pub(super) fn body(input: &[u8]) -> Result<Option<&[u8]>, Wrong> {
    let Some((prefix, rest)) = input.split_first_chunk::<LENGTH_PREFIX>() else { return Ok(None) };
    let length =
        body_length(*prefix, MAX_FRAME).map_err(|_| Wrong::new("the relay sends a frame of a wrong length"))?;
    Ok(rest.get(..length))
}

/// What a frame's body says.
pub(super) fn said(body: &[u8]) -> Result<Said<'_>, Wrong> {
    let wrong = |_: DecodeError| Wrong::new("the relay sends what can't be read");
    match push(body).map_err(wrong)? {
        Some(push) => Ok(push),
        None => match decode(body).map_err(wrong)? {
            RelayFrame::Answer { answer, .. } => Ok(Said::Answer(answer)),
            RelayFrame::Ping(number) => Ok(Said::Ping(number)),
            other => Err(Wrong(format!("the relay says {other:?}"))),
        },
    }
}

/// A push, by the layout that spec/wire.md gives it; `None` for any other frame.
fn push(body: &[u8]) -> Result<Option<Said<'_>>, DecodeError> {
    let mut reader = Reader::new(body);
    if reader.u32()? != 1 {
        return Ok(None);
    }
    match reader.u32()? {
        0 => {
            let (seq, id) = (Seq(reader.u64()?), EnvelopeId(reader.fixed()?));
            Ok(Some(Said::Envelope { seq, id, sealed: bytes(&mut reader)? }))
        }
        1 => {
            bytes(&mut reader)?;
            reader.u64()?;
            for _head_and_author in 0..2 {
                bytes(&mut reader)?;
                reader.slice(64)?;
            }
            let body = if reader.u8()? == 1 { bytes(&mut reader)? } else { &[] };
            Ok(Some(Said::Post { body }))
        }
        _ => Err(DecodeError),
    }
}

fn bytes<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let length = usize::try_from(reader.u64()?).map_err(|_| DecodeError)?;
    reader.slice(length)
}

#[cfg(test)]
mod tests {
    use sealpost_spec::mailbox::Push;
    use sealpost_spec::room::{Post, RoomName};
    use sealpost_spec::wire::{Bytes, Signature, Signed, encode};

    use super::*;

    /// What is read in place is what the decoder of `sealpost-spec` reads.
    #[test]
    fn pushes_are_read_as_they_are_written() {
        let sealed = Bytes(vec![7; 100]);
        let envelope = Push::Envelope { seq: Seq(3), id: EnvelopeId([4; 16]), sealed };
        let body = encode(&RelayFrame::Push(envelope)).unwrap();
        let Ok(Said::Envelope { seq, id, sealed }) = said(&body) else { panic!("an envelope") };
        assert_eq!((seq, id, sealed), (Seq(3), EnvelopeId([4; 16]), [7; 100].as_slice()));

        let signed = |length| Signed { body: Bytes(vec![1; length]), signature: Signature([2; 64]) };
        for text in [Some(Bytes(b"text".to_vec())), None] {
            let post = Post { head: signed(300), author: signed(150), body: text.clone() };
            let push = Push::Post { room: RoomName::lobby(), seq: Seq(3), post };
            let body = encode(&RelayFrame::Push(push)).unwrap();
            let Ok(Said::Post { body }) = said(&body) else { panic!("a post") };
            assert_eq!(body, text.unwrap_or_default().0);
        }
        let body = encode(&RelayFrame::Ping(9)).unwrap();
        assert!(matches!(said(&body), Ok(Said::Ping(9))));
    }
}
