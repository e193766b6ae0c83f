//! Reads `spec/vectors/encoding.txt`: each value is decoded, told as JSON, and encoded again.

use sealpost_spec::message::{Content, DeviceSync};
use sealpost_spec::relay::{Answer, Refusal, RelayHello, Request};
use sealpost_spec::wire::{ClientFrame, DecodeError, RelayFrame, VERSION, decode, encode};
use serde_json::{Value, json};

use super::vectors;

/// Whether the bytes are those of this value and of no other; an error where they are refused.
fn holds(kind: &str, bytes: &[u8], told: &Value) -> Result<bool, DecodeError> {
    macro_rules! whole {
        ($type:ty) => {{
            let value: $type = decode(bytes)?;
            Ok(encode(&value).as_deref() == Some(bytes) && same(told, &json!(value)))
        }};
    }
    match kind {
        "answer" => whole!(Result<Answer, Refusal>),
        "client-frame" => whole!(ClientFrame),
        "content" => whole!(Content),
        "device-sync" => whole!(DeviceSync),
        "relay-frame" => whole!(RelayFrame),
        "relay-hello" => match RelayHello::parse(bytes)? {
            Ok(hello) => Ok(hello.layout(VERSION).as_deref() == Some(bytes) && same(told, &json!(hello))),
            Err(_) => Ok(false),
        },
        "request" => whole!(Request),
        other => panic!("no vector of this file is of kind {other}"),
    }
}

/// Whether a value is what a vector tells: byte strings, which serde shows as lists of numbers, stand there as hex.
fn same(told: &Value, value: &Value) -> bool {
    match (told, value) {
        (Value::String(hex), Value::Array(bytes)) => {
            data_encoding::HEXLOWER.decode(hex.as_bytes()).ok() == bytes_of(bytes)
        }
        (Value::Array(told), Value::Array(values)) => {
            told.len() == values.len() && told.iter().zip(values).all(|(told, value)| same(told, value))
        }
        (Value::Object(told), Value::Object(fields)) => {
            told.len() == fields.len()
                && told.iter().all(|(key, told)| fields.get(key).is_some_and(|value| same(told, value)))
        }
        (told, value) => told == value,
    }
}

/// The bytes of a list of numbers, or of the two halves in which serde shows a signature.
fn bytes_of(list: &[Value]) -> Option<Vec<u8>> {
    let parts = list.iter().map(|part| match part {
        Value::Array(half) => bytes_of(half),
        number => Some(vec![u8::try_from(number.as_u64()?).ok()?]),
    });
    Some(parts.collect::<Option<Vec<_>>>()?.concat())
}

/// Every encoding is that of the value that stands beside it, every field under its name, and whatever is no encoding is
/// refused. [WIRE-3] [WIRE-4]
#[test]
fn every_encoding_is_of_its_value() {
    let mut wrong = Vec::new();
    let mut read = 0;
    for vector in vectors().iter().filter(|vector| vector.place.starts_with("encoding.txt:")) {
        let bytes = data_encoding::HEXLOWER.decode(vector.field("bytes").as_bytes()).unwrap();
        let refused = vector.field("expect") == "refused";
        let told = if refused { Value::Null } else { serde_json::from_str(vector.field("value")).unwrap() };
        if holds(vector.field("kind"), &bytes, &told) != if refused { Err(DecodeError) } else { Ok(true) } {
            wrong.push(vector.field("name").to_owned());
        }
        read += 1;
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(read > 200, "only {read} vectors were read");
}

/// The comparison sees a changed byte, number, name or length.
#[test]
fn a_value_is_compared_whole() {
    let value = json!({"id": [1, 2], "halves": [[1], [2]], "n": 3, "list": [{"a": null}]});
    let told = json!({"id": "0102", "halves": "0102", "n": 3, "list": [{"a": null}]});
    assert!(same(&told, &value));
    for (field, other) in [("id", json!("0103")), ("halves", json!("01")), ("n", json!(4)), ("list", json!([]))] {
        let mut bent = told.clone();
        bent[field] = other;
        assert!(!same(&bent, &value), "{field}");
    }
    assert!(!same(&json!({"id": "0102"}), &value));
}
