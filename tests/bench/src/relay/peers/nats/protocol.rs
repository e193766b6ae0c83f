//! The protocol of NATS. <https://docs.nats.io/reference/reference-protocols/nats-protocol>
use crate::relay::codec::Wrong;

/// What a server sends.
#[derive(Debug, PartialEq)]
pub enum Operation<'a> {
    /// Its first word.
    Info,
    /// Wants a [`PONG`].
    Ping,
    Pong,
    Message {
        subject: &'a [u8],
        /// Where an answer is wanted; empty where none is.
        reply: &'a [u8],
        payload: &'a [u8],
    },
}

/// Answers the server's question whether anybody is there.
pub const PONG: &[u8] = b"PONG\r\n";

/// The server answers it once it has read all before it.
pub const PING: &[u8] = b"PING\r\n";

/// Opens a session.
pub fn connect(out: &mut Vec<u8>, tls: bool) {
    let options = format!(
        r#"{{"verbose":false,"pedantic":false,"tls_required":{tls},"lang":"rust","version":"1","protocol":1}}"#
    );
    out.extend_from_slice(format!("CONNECT {options}\r\n").as_bytes());
}

/// Subscribes to a subject.
pub fn subscribe(out: &mut Vec<u8>, subject: &str) {
    out.extend_from_slice(format!("SUB {subject} 1\r\n").as_bytes());
}

/// Publishes to a subject. An answer, where one is wanted, goes to `reply`, which is empty otherwise.
pub fn publish(out: &mut Vec<u8>, subject: &[u8], reply: &[u8], payload: &[u8]) {
    out.extend_from_slice(b"PUB ");
    out.extend_from_slice(subject);
    if !reply.is_empty() {
        out.push(b' ');
        out.extend_from_slice(reply);
    }
    out.extend_from_slice(format!(" {}\r\n", payload.len()).as_bytes());
    out.extend_from_slice(payload);
    out.extend_from_slice(b"\r\n");
}

/// The first operation of what came, and how many bytes it takes; `None` until all of it is there.
pub fn next(input: &[u8]) -> Result<Option<(usize, Operation<'_>)>, Wrong> {
    let Some(end) = input.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
    let line = input.get(..end).unwrap_or_default().trim_ascii_end();
    let mut words = line.split(|byte| *byte == b' ');
    let operation = match words.next() {
        Some(b"INFO") => Operation::Info,
        Some(b"PING") => Operation::Ping,
        Some(b"PONG") => Operation::Pong,
        Some(b"MSG") => {
            let fields = [words.next(), words.next(), words.next(), words.next()];
            let (subject, reply, length) = match fields {
                [Some(subject), Some(_), Some(length), None] => (subject, &[][..], length),
                [Some(subject), Some(_), Some(reply), Some(length)] => (subject, reply, length),
                _ => return Err(unknown(line)),
            };
            let length = std::str::from_utf8(length).ok().and_then(|length| length.parse().ok());
            let length: usize = length.ok_or_else(|| unknown(line))?;
            let Some(body) = input.get(end + 1..end + 1 + length + 2) else { return Ok(None) };
            let payload = body.get(..length).unwrap_or_default();
            return Ok(Some((end + 1 + body.len(), Operation::Message { subject, reply, payload })));
        }
        _ => return Err(unknown(line)),
    };
    Ok(Some((end + 1, operation)))
}

fn unknown(line: &[u8]) -> Wrong {
    Wrong(format!("NATS sent {:?}", String::from_utf8_lossy(line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An operation is taken once it is whole, and not a byte before.
    #[test]
    fn operations_are_taken_whole() {
        let message = |subject, reply, payload| Operation::Message { subject, reply, payload };
        let all: [(&[u8], Operation); 5] = [
            (b"INFO {\"a\":1}\r\n", Operation::Info),
            (b"PING\r\n", Operation::Ping),
            (b"PONG\r\n", Operation::Pong),
            (b"MSG box.1 7 5\r\na\r\nbc\r\n", message(b"box.1", b"", b"a\r\nbc")),
            (b"MSG box.2 7 $JS.ACK.x 0\r\n\r\n", message(b"box.2", b"$JS.ACK.x", b"")),
        ];
        for (bytes, expected) in all {
            for cut in 0..bytes.len() {
                assert_eq!(next(&bytes[..cut]).unwrap(), None, "{cut} of {bytes:?}");
            }
            assert_eq!(next(&[bytes, b"PING\r\n"].concat()).unwrap(), Some((bytes.len(), expected)));
        }
    }

    /// An error of the server ends the run, in its words.
    #[test]
    fn errors_are_told() {
        let told = next(b"-ERR 'Authorization Violation'\r\n").unwrap_err().to_string();
        assert!(told.contains("Authorization Violation"), "{told}");
    }

    /// A publication names where the answer goes, where one is wanted.
    #[test]
    fn publications_have_the_protocols_layout() {
        let mut out = Vec::new();
        publish(&mut out, b"box.1", b"in.3", b"hi");
        publish(&mut out, b"box.1", b"", b"");
        assert_eq!(out, b"PUB box.1 in.3 2\r\nhi\r\nPUB box.1 0\r\n\r\n");
    }
}
