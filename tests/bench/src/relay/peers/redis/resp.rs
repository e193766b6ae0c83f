//! RESP3, what Redis speaks: commands out, replies and pushes in. <https://redis.io/docs/latest/develop/reference/protocol-spec/>
use crate::relay::codec::Wrong;

/// One reply, or one push.
#[derive(Debug, PartialEq)]
pub enum Reply<'a> {
    /// `+OK` and its like.
    Line(&'a [u8]),
    Number(i64),
    /// A string; `None` where there is none.
    Bulk(Option<&'a [u8]>),
    /// A list, or the keys and values of a map by turns; `None` where there is none.
    Array(Option<Vec<Reply<'a>>>),
    /// What nobody asked for at this very moment: a message of a channel.
    Push(Vec<Reply<'a>>),
}

impl<'a> Reply<'a> {
    /// The parts of a list; none where it is no list.
    pub fn parts(&self) -> &[Self] {
        match self {
            Self::Array(Some(parts)) | Self::Push(parts) => parts,
            _ => &[],
        }
    }

    /// The bytes of a string; none where it is no string.
    pub fn bytes(&self) -> &'a [u8] {
        match self {
            Self::Bulk(Some(bytes)) | Self::Line(bytes) => bytes,
            _ => &[],
        }
    }
}

/// Appends a command with its arguments.
pub fn command(out: &mut Vec<u8>, parts: &[&[u8]]) {
    begin(out, parts.len());
    parts.iter().for_each(|part| argument(out, part));
}

/// Begins a command of so many arguments, its name included; [`argument`] goes on.
pub fn begin(out: &mut Vec<u8>, arguments: usize) {
    header(out, b'*', arguments);
}

pub fn argument(out: &mut Vec<u8>, part: &[u8]) {
    header(out, b'$', part.len());
    out.extend_from_slice(part);
    out.extend_from_slice(b"\r\n");
}

fn header(out: &mut Vec<u8>, kind: u8, number: usize) {
    out.push(kind);
    out.extend_from_slice(number.to_string().as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The first reply of what came, and how many bytes it takes; `None` until all of it is there.
pub fn reply(input: &[u8]) -> Result<Option<(usize, Reply<'_>)>, Wrong> {
    let Some((kind, rest)) = input.split_first() else { return Ok(None) };
    let Some(end) = rest.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
    let line = rest.get(..end).unwrap_or_default().trim_ascii_end();
    let mut taken = end + 2;
    let reply = match kind {
        b'+' => Reply::Line(line),
        b'-' => return Err(Wrong(format!("Redis answered {}", String::from_utf8_lossy(line)))),
        b':' => Reply::Number(number(line)?),
        b'$' => match usize::try_from(number(line)?) {
            Ok(length) => {
                let Some(body) = input.get(taken..taken + length + 2) else { return Ok(None) };
                taken += length + 2;
                Reply::Bulk(body.get(..length))
            }
            Err(_) => Reply::Bulk(None),
        },
        b'_' => Reply::Bulk(None),
        b'*' | b'>' | b'%' => match usize::try_from(number(line)?) {
            Ok(length) => {
                let length = if *kind == b'%' { 2 * length } else { length };
                let mut parts = Vec::with_capacity(length.min(1024));
                for _ in 0..length {
                    let Some((more, part)) = self::reply(input.get(taken..).unwrap_or_default())? else {
                        return Ok(None);
                    };
                    taken += more;
                    parts.push(part);
                }
                if *kind == b'>' { Reply::Push(parts) } else { Reply::Array(Some(parts)) }
            }
            Err(_) => Reply::Array(None),
        },
        _ => return Err(Wrong(format!("Redis sent a reply of kind {:?}", char::from(*kind)))),
    };
    Ok(Some((taken, reply)))
}

fn number(digits: &[u8]) -> Result<i64, Wrong> {
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| Wrong::new("Redis sent a number that is none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A command is an array of strings, whatever bytes they have.
    #[test]
    fn commands_are_arrays_of_strings() {
        let mut out = Vec::new();
        command(&mut out, &[b"SET", b"a\r\n", b""]);
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$3\r\na\r\n\r\n$0\r\n\r\n");
    }

    /// A reply is taken once it is whole, and not a byte before.
    #[test]
    fn replies_are_taken_whole() {
        let list =
            Reply::Array(Some(vec![Reply::Bulk(Some(b"me\r\nsay")), Reply::Array(Some(vec![Reply::Number(1)]))]));
        let all: [(&[u8], Reply); 8] = [
            (b"+OK\r\n", Reply::Line(b"OK")),
            (b":-7\r\n", Reply::Number(-7)),
            (b"$-1\r\n", Reply::Bulk(None)),
            (b"$0\r\n\r\n", Reply::Bulk(Some(b""))),
            (b"_\r\n", Reply::Bulk(None)),
            (b"*-1\r\n", Reply::Array(None)),
            (b"%1\r\n+a\r\n:1\r\n", Reply::Array(Some(vec![Reply::Line(b"a"), Reply::Number(1)]))),
            (b"*2\r\n$7\r\nme\r\nsay\r\n*1\r\n:1\r\n", list),
        ];
        for (bytes, expected) in all {
            for cut in 0..bytes.len() {
                assert_eq!(reply(&bytes[..cut]).unwrap(), None, "{cut} of {bytes:?}");
            }
            assert_eq!(reply(&[bytes, b"+more"].concat()).unwrap(), Some((bytes.len(), expected)));
        }
    }

    /// An error of Redis ends the run, in Redis's words.
    #[test]
    fn errors_are_told() {
        let told = reply(b"-OOM no room\r\n").unwrap_err().to_string();
        assert!(told.contains("OOM no room"), "{told}");
    }
}
