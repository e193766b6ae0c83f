//! Everything that travels as bincode, and frames on a stream. What decodes is encoded again to the same bytes
//! ([WIRE-4]), and no length prefix claims more than it may ([WIRE-2]).

use std::fmt::Debug;

use sealpost_spec::account::{Bundle, DeviceBundle, Name, PrekeyCounts, PublishedKeys};
use sealpost_spec::mailbox::{Envelope, Push};
use sealpost_spec::message::{Body, Content, DeviceSync, MAX_ITEMS, Receipt};
use sealpost_spec::relay::{Answer, Login, Refusal, Registration, RelayHello, Request, Work};
use sealpost_spec::room::{Post, RoomName};
use sealpost_spec::transparency::TreeHead;
use sealpost_spec::wire::{
    Bytes, ClientFrame, LENGTH_PREFIX, MAX_FRAME, MAX_FRAME_BEFORE_HELLO, RelayFrame, Signed, body_length, decode,
    encode, frame,
};

/// The first byte of an input says what the others are to be.
pub const KINDS: &[fn(&[u8])] = &[
    client_frame,
    relay_frame,
    |bytes| same::<Request>(bytes),
    |bytes| same::<Result<Answer, Refusal>>(bytes),
    |bytes| same::<Content>(bytes),
    |bytes| same::<Body>(bytes),
    |bytes| same::<Receipt>(bytes),
    |bytes| same::<Push>(bytes),
    |bytes| same::<Envelope>(bytes),
    |bytes| same::<Post>(bytes),
    |bytes| same::<Registration>(bytes),
    |bytes| same::<Login>(bytes),
    |bytes| same::<PublishedKeys>(bytes),
    |bytes| same::<DeviceBundle>(bytes),
    |bytes| same::<Bundle>(bytes),
    |bytes| same::<RelayHello>(bytes),
    |bytes| same::<TreeHead>(bytes),
    |bytes| same::<Work>(bytes),
    |bytes| same::<Signed>(bytes),
    |bytes| same::<Option<PrekeyCounts>>(bytes),
    |bytes| same::<Name>(bytes),
    |bytes| same::<RoomName>(bytes),
    |bytes| same::<Bytes>(bytes),
    stream,
    own_devices,
];

pub fn run(input: &[u8]) {
    if let Some((kind, bytes)) = input.split_first() {
        KINDS[usize::from(*kind) % KINDS.len()](bytes);
    }
}

/// Decodes; what is there encodes to the same bytes, and prints in peace.
fn decoded<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) -> Option<T> {
    let value = decode::<T>(bytes).ok()?;
    assert!(bytes.len() <= MAX_FRAME, "longer than a frame");
    assert_eq!(encode(&value).as_deref(), Some(bytes), "two encodings of one value");
    assert!(!format!("{value:?}").is_empty());
    Some(value)
}

/// An item, and a list of them: what is not known of it is left out, and no list is longer than one may be. [MSG-42]
fn own_devices(bytes: &[u8]) {
    same::<DeviceSync>(bytes);
    let items = DeviceSync::split(&Bytes(bytes.to_vec())).unwrap_or_default();
    assert!(items.len() <= MAX_ITEMS);
}

fn same<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    decoded::<T>(bytes);
}

fn client_frame(bytes: &[u8]) {
    if let Some(ClientFrame::Request { body, .. }) = decoded(bytes) {
        same::<Request>(&body.0);
    }
}

fn relay_frame(bytes: &[u8]) {
    if let Some(RelayFrame::Push(Push::Post { post, .. })) = decoded(bytes) {
        super::layouts::post(&post);
    }
}

/// Frames behind each other: each is found again where it stands, until a length is forbidden or bytes are missing.
fn stream(bytes: &[u8]) {
    let mut left = bytes;
    while let Some((prefix, rest)) = left.split_first_chunk::<LENGTH_PREFIX>() {
        let claimed = u64::from(u32::from_le_bytes(*prefix));
        let length = body_length(*prefix, MAX_FRAME);
        assert_eq!(length.is_ok(), (1..=MAX_FRAME as u64).contains(&claimed));
        let early = body_length(*prefix, MAX_FRAME_BEFORE_HELLO);
        assert_eq!(early.is_ok(), (1..=MAX_FRAME_BEFORE_HELLO as u64).contains(&claimed));
        let Ok(length) = length else { return };
        let Some((body, rest)) = rest.split_at_checked(length) else { return };
        assert_eq!(frame(body).as_deref(), left.get(..LENGTH_PREFIX + length));
        client_frame(body);
        relay_frame(body);
        left = rest;
    }
}
