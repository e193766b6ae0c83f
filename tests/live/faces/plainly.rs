//! What is left of commands and events without what differs between any two worlds: ids, keys, times, and how long a
//! face waits.

use std::collections::BTreeMap;

use sealpost_client::api::Command;
use serde::Serialize;
use serde_json::Value;

/// Random in every world.
const KEYS: [&str; 10] = ["fingerprint", "link", "relay", "number", "code", "token", "old", "new", "changed", "path"];
/// Told by a clock, or by how fast a world is.
const TIMES: [&str; 13] = [
    "sent_at",
    "time",
    "expires_at",
    "first_seen",
    "verified_since",
    "unread",
    "mentions",
    "queued",
    "unconfirmed",
    "drained",
    "detail",
    "found",
    "try",
];
/// How long and how much a face asks for, which is its own business.
const PATIENCE: [&str; 4] = ["wait", "timeout_ms", "limit", "follow"];
const NAMES: [&str; 5] = ["to", "with", "from", "name", "within"];

/// Whether both ask for the same.
pub(super) fn same(given: &Command, wanted: &Command) -> bool {
    asked(given) == asked(wanted)
}

fn asked(command: &Command) -> Value {
    let mut value = serde_json::to_value(command).unwrap();
    let fields = value.as_object_mut().unwrap();
    for field in PATIENCE {
        fields.remove(field);
    }
    // Where a message is named, it does not matter what else is said of it.
    if fields.get("id").is_some_and(Value::is_string) {
        fields.remove("within");
    }
    for name in NAMES {
        if let Some(Value::String(text)) = fields.get_mut(name) {
            *text = text.trim_start_matches('@').to_owned();
        }
    }
    value
}

/// What is compared of an event.
pub(super) fn shape(event: impl Serialize) -> Value {
    let mut value = serde_json::to_value(event).unwrap();
    let mut ids = BTreeMap::new();
    simplify(&mut value, &mut ids);
    value
}

fn simplify(value: &mut Value, ids: &mut BTreeMap<String, usize>) {
    match value {
        Value::Array(values) => {
            // How often it is told how far a file has come depends on how fast it comes.
            let over = |value: &Value| value["state"] == "done" || value["state"] == "failed";
            values.retain(|value| value["event"] != "progress" || over(value));
            values.iter_mut().for_each(|value| simplify(value, ids));
        }
        Value::Object(fields) => {
            fields.retain(|name, _| !TIMES.contains(&name.as_str()));
            for (name, value) in fields.iter_mut() {
                match (name.as_str(), &value) {
                    ("id" | "target", Value::String(id)) => {
                        let next = ids.len();
                        *value = Value::from(*ids.entry(id.clone()).or_insert(next));
                    }
                    (name, Value::String(_)) if KEYS.contains(&name) => *value = Value::from("differs"),
                    _ => simplify(value, ids),
                }
            }
        }
        _ => {}
    }
}
