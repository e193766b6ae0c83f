//! The only module that names bincode: fixed-width little-endian integers, an explicit limit, every byte consumed.
//!
//! In this configuration a value has exactly one encoding **[WIRE-4]**, and the limit bounds what a length may claim
//! **[WIRE-3]**. bincode is no longer maintained
//! (RUSTSEC-2025-0141); the layout is written down in the chapter, and nothing signed, hashed or authenticated leans on
//! it, so that another encoder of the same bytes can take its place.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{LENGTH_PREFIX, MAX_FRAME, body_length};
use crate::mailbox::{DeliveryToken, EnvelopeId, MailboxId};
use crate::relay::Work;

/// The bytes are not the encoding of a value of the wanted type, or exceed the limit. Says no more on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed")]
pub struct DecodeError;

fn configuration() -> bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Fixint,
    bincode::config::Limit<MAX_FRAME>,
> {
    bincode::config::standard().with_little_endian().with_fixed_int_encoding().with_limit::<MAX_FRAME>()
}

/// Encodes a value; `None` where it exceeds [`MAX_FRAME`] bytes, which only a caller's own unbounded list can.
pub fn encode<T: Serialize>(value: &T) -> Option<Vec<u8>> {
    let bytes = bincode::serde::encode_to_vec(value, configuration()).ok()?;
    (bytes.len() <= MAX_FRAME).then_some(bytes)
}

/// Decodes a value from exactly these bytes.
///
/// # Errors
/// Anything else than the one encoding of a `T`: trailing bytes, a length beyond the input, an unknown variant.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    if bytes.len() > MAX_FRAME {
        return Err(DecodeError);
    }
    match bincode::serde::decode_from_slice(bytes, configuration()) {
        Ok((value, read)) if read == bytes.len() => Ok(value),
        _ => Err(DecodeError),
    }
}

/// [`decode`] of what stays where it lies.
fn borrowed<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, DecodeError> {
    if bytes.len() > MAX_FRAME {
        return Err(DecodeError);
    }
    match bincode::serde::borrow_decode_from_slice(bytes, configuration()) {
        Ok((value, read)) if read == bytes.len() => Ok(value),
        _ => Err(DecodeError),
    }
}

/// Encodes a value behind what stands in `into`, with the length prefix of a frame; whether it fits one. Where it does
/// not, `into` is as it was.
pub fn encode_frame<T: Serialize>(value: &T, into: &mut Vec<u8>) -> bool {
    let start = into.len();
    into.extend_from_slice(&[0; LENGTH_PREFIX]);
    let fits = bincode::serde::encode_into_std_write(value, into, configuration())
        .ok()
        .and_then(|body| u32::try_from(body).ok().map(u32::to_le_bytes))
        .filter(|prefix| body_length(*prefix, MAX_FRAME).is_ok());
    match (fits, into.get_mut(start..start + LENGTH_PREFIX)) {
        (Some(prefix), Some(place)) => place.copy_from_slice(&prefix),
        _ => into.truncate(start),
    }
    fits.is_some()
}

/// A [`super::ClientFrame`] whose body stays where it lies.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub enum FrameRef<'a> {
    /// See [`super::ClientFrame::Request`].
    Request {
        /// Its id.
        id: u32,
        /// Its work.
        work: Option<Work>,
        /// What is asked.
        #[serde(borrow)]
        body: &'a [u8],
    },
    /// See [`super::ClientFrame::Pong`].
    Pong(u64),
}

impl<'a> FrameRef<'a> {
    /// Reads the body of a frame.
    ///
    /// # Errors
    /// As of [`decode`].
    pub fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        borrowed(bytes)
    }
}

/// A [`crate::relay::Request::Deliver`] whose box stays where it lies.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub struct DeliverRef<'a> {
    number: u32,
    /// The account's delivery token.
    pub token: Option<DeliveryToken>,
    /// Where it goes.
    pub mailbox: MailboxId,
    /// Which it is.
    pub id: EnvelopeId,
    /// The box.
    #[serde(borrow)]
    pub sealed: &'a [u8],
}

impl<'a> DeliverRef<'a> {
    /// The variant's number, which stands first.
    const NUMBER: u32 = 7;

    /// Reads an encoded request; `None` where it is another one.
    ///
    /// # Errors
    /// As of [`decode`].
    pub fn read(bytes: &'a [u8]) -> Option<Result<Self, DecodeError>> {
        bytes.starts_with(&Self::NUMBER.to_le_bytes()).then(|| borrowed(bytes))
    }
}

/// Whether an encoded request is a registration or what a device publishes. It may bring a hundred keys: who is sent it
/// may want to choose when to decode it.
pub fn brings_keys(bytes: &[u8]) -> bool {
    /// The variants' numbers, which stand first.
    const NUMBERS: [u32; 2] = [0, 2];
    NUMBERS.iter().any(|number| bytes.starts_with(&number.to_le_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{DeviceId, PublishedKeys};
    use crate::mailbox::{Envelope, Push, Seq, TokenHash};
    use crate::relay::{Answer, Login, Refusal, Registration, Request};
    use crate::wire::{Bytes, ClientFrame, RelayFrame, Signature, Signed, frame};

    /// [WIRE-4] what is read where it lies is what is decoded, and what is refused there is refused here.
    #[test]
    fn what_stays_where_it_lies_is_the_same() {
        let (mailbox, id) = (MailboxId([1; 16]), EnvelopeId([2; 16]));
        let work = Work { counter: 7, nonce: 8 };
        for (token, sealed) in [(None, vec![]), (Some(DeliveryToken([3; 32])), vec![4; 6 * 1024])] {
            let envelope = Envelope { mailbox, id, sealed: Bytes(sealed.clone()) };
            let body = encode(&Request::Deliver { token, envelope }).unwrap();
            let read = DeliverRef::read(&body).unwrap().unwrap();
            assert_eq!(read, DeliverRef { number: 7, token, mailbox, id, sealed: &sealed });
            for work in [None, Some(work)] {
                let whole = encode(&ClientFrame::Request { id: 9, work, body: Bytes(body.clone()) }).unwrap();
                assert_eq!(FrameRef::read(&whole), Ok(FrameRef::Request { id: 9, work, body: &body }));
                for bent in [&whole[1..], &whole[..whole.len() - 1], &[&whole[..], &[0]].concat()] {
                    assert!(FrameRef::read(bent).is_err() && decode::<ClientFrame>(bent).is_err());
                }
            }
            for bent in [&body[..body.len() - 1], &[&body[..], &[0]].concat()] {
                assert_eq!(DeliverRef::read(bent), Some(Err(DecodeError)));
                assert!(decode::<Request>(bent).is_err());
            }
        }
        assert_eq!(FrameRef::read(&encode(&ClientFrame::Pong(5)).unwrap()), Ok(FrameRef::Pong(5)));
        assert!(FrameRef::read(&[2, 0, 0, 0]).is_err());
        assert_eq!(DeliverRef::read(&encode(&Request::Acknowledge(vec![])).unwrap()), None);
        assert_eq!(DeliverRef::read(&[]), None);
    }

    /// [RELAY-25] what brings keys is known by its beginning.
    #[test]
    fn what_brings_keys_is_known() {
        let (name, device) = ("alice".parse().unwrap(), DeviceId::FIRST);
        let login = Login { name, device, generation: 1, signature: Signature([1; 64]) };
        let keys = PublishedKeys {
            signed: None,
            last_resort_kem: None,
            box_key: None,
            one_time: vec![],
            one_time_kem: vec![],
        };
        let signed = Signed { body: Bytes(vec![]), signature: Signature([1; 64]) };
        let (list, token) = (signed, TokenHash([2; 32]));
        let registration =
            Registration { list, keys: keys.clone(), token, receipt: None, invite: None, login: login.clone() };
        let bring = [Request::Register(registration), Request::Publish(keys)];
        assert!(bring.iter().all(|request| brings_keys(&encode(request).unwrap())));
        let leave = Request::Unregister { signature: Signature([1; 64]) };
        let others = [Request::Login(login), Request::SetToken(token), leave];
        assert!(!others.iter().any(|request| brings_keys(&encode(request).unwrap())));
        assert!(!brings_keys(&[]) && !brings_keys(&[0; 3]));
    }

    /// [WIRE-1] [WIRE-4] frames that are written behind one another are the frames of their values.
    #[test]
    fn frames_behind_one_another_are_frames() {
        let large = Push::Envelope { seq: Seq(1), id: EnvelopeId([1; 16]), sealed: Bytes(vec![7; MAX_FRAME]) };
        let frames = [
            RelayFrame::Answer { id: 1, answer: Ok(Answer::Accepted { seq: Seq(5) }) },
            RelayFrame::Answer { id: 2, answer: Err(Refusal::Internal { id: 6 }) },
            RelayFrame::Push(large),
            RelayFrame::Ping(7),
        ];
        let (mut written, mut expected) = (Vec::new(), Vec::new());
        for value in &frames {
            let one = encode(value).as_deref().and_then(frame);
            assert_eq!(encode_frame(value, &mut written), one.is_some());
            expected.extend(one.unwrap_or_default());
        }
        assert_eq!(written, expected);
        assert!(!encode_frame(&(), &mut written), "a frame has a body");
        assert_eq!(written, expected);
    }

    /// [WIRE-4] trailing bytes, short input and a length prefix of a tebibyte are all refused.
    #[test]
    fn only_the_one_encoding_decodes() {
        let encoded = encode(&Bytes(vec![1, 2, 3])).unwrap_or_default();
        assert_eq!(encoded, [3, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3]);
        assert_eq!(decode::<Bytes>(&encoded), Ok(Bytes(vec![1, 2, 3])));
        let mut longer = encoded.clone();
        longer.push(0);
        assert!(decode::<Bytes>(&longer).is_err());
        assert!(decode::<Bytes>(encoded.split_last().map_or(&[], |(_, rest)| rest)).is_err());
        let tebibyte = (1_u64 << 40).to_le_bytes();
        assert!(decode::<Bytes>(&tebibyte).is_err());
        assert!(decode::<Vec<u64>>(&tebibyte).is_err());
        assert!(decode::<String>(&tebibyte).is_err());
        assert!(decode::<bool>(&[2]).is_err());
        assert!(decode::<Option<u8>>(&[2, 0]).is_err());
    }
}
