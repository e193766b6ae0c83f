//! MQTT 3.1.1, what mosquitto speaks, as far as quality of service 0 goes.
//! <https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/mqtt-v3.1.1.html>
use crate::relay::codec::Wrong;

/// What a broker sends.
#[derive(Debug, PartialEq)]
pub enum Packet<'a> {
    /// The connection is made.
    Connected,
    /// A subscription is in force.
    Subscribed,
    /// What was published.
    Message(&'a [u8]),
}

/// Opens a session that ends with its connection, without keep-alive.
pub fn connect(out: &mut Vec<u8>, client: &str) {
    const CLEAN_SESSION: u8 = 2;
    let header = [0, 4, b'M', b'Q', b'T', b'T', 4, CLEAN_SESSION, 0, 0];
    packet(out, 0x10, &[&header, &length(client), client.as_bytes()]);
}

/// Asks for a topic, with quality of service 0.
pub fn subscribe(out: &mut Vec<u8>, topic: &str) {
    packet(out, 0x82, &[&[0, 1], &length(topic), topic.as_bytes(), &[0]]);
}

/// Publishes with quality of service 0: nothing answers.
pub fn publish(out: &mut Vec<u8>, topic: &str, payload: &[u8]) {
    packet(out, 0x30, &[&length(topic), topic.as_bytes(), payload]);
}

/// The first packet of what came, and how many bytes it takes; `None` until all of it is there.
pub fn next(input: &[u8]) -> Result<Option<(usize, Packet<'_>)>, Wrong> {
    let (mut length, mut at) = (0, 1);
    loop {
        let Some(byte) = input.get(at) else { return Ok(None) };
        length |= usize::from(byte & 0x7f) << (7 * (at - 1));
        at += 1;
        if byte & 0x80 == 0 {
            break;
        }
        if at > 4 {
            return Err(Wrong::new("the broker sent a length of more than four bytes"));
        }
    }
    let Some(body) = input.get(at..at + length) else { return Ok(None) };
    let packet = match (input.first(), body) {
        (Some(0x20), [_, 0]) => Packet::Connected,
        (Some(0x90), [_, _, 0]) => Packet::Subscribed,
        (Some(0x30), [high, low, rest @ ..]) => {
            let topic = usize::from(u16::from_be_bytes([*high, *low]));
            Packet::Message(rest.get(topic..).ok_or_else(|| Wrong::new("the broker sent half a topic"))?)
        }
        _ => {
            return Err(Wrong(format!("the broker refuses, or sent what was not asked for: {:02x?}", input.get(..at))));
        }
    };
    Ok(Some((at + length, packet)))
}

fn packet(out: &mut Vec<u8>, kind: u8, parts: &[&[u8]]) {
    out.push(kind);
    let mut length: usize = parts.iter().map(|part| part.len()).sum();
    loop {
        let low = (length & 0x7f) as u8;
        length >>= 7;
        out.push(if length > 0 { low | 0x80 } else { low });
        if length == 0 {
            break;
        }
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// Topics and names of this bench have a few bytes.
fn length(text: &str) -> [u8; 2] {
    (text.len() as u16).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of a connection and a subscription, as the standard's tables have them.
    #[test]
    fn requests_have_the_standards_layout() {
        let mut out = Vec::new();
        connect(&mut out, "ab");
        assert_eq!(out, b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x00\x00\x02ab");
        out.clear();
        subscribe(&mut out, "a/b");
        assert_eq!(out, b"\x82\x08\x00\x01\x00\x03a/b\x00");
    }

    /// A packet is taken once it is whole, and not a byte before.
    #[test]
    fn packets_are_taken_whole() {
        let payload = vec![7; 6144];
        let mut message = Vec::new();
        publish(&mut message, "room", &payload);
        let all = [
            (message.as_slice(), Packet::Message(&payload)),
            (b"\x20\x02\x00\x00", Packet::Connected),
            (b"\x90\x03\x00\x01\x00", Packet::Subscribed),
        ];
        for (bytes, expected) in all {
            for cut in 0..bytes.len() {
                assert_eq!(next(&bytes[..cut]).unwrap(), None, "{cut} bytes");
            }
            assert_eq!(next(&[bytes, b"0more"].concat()).unwrap(), Some((bytes.len(), expected)));
        }
    }

    /// A refusal is no connection and no subscription.
    #[test]
    fn refusals_are_told() {
        assert!(next(b"\x20\x02\x00\x05").is_err());
        assert!(next(b"\x90\x03\x00\x01\x80").is_err());
    }
}
