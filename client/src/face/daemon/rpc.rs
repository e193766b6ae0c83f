//! JSON-RPC 2.0, one object or array a line: what came in, and how answers and notifications are spelled.

use serde_json::{Map, Value, json};

use crate::api::{Command, Error, Shown};

/// Most calls in one array.
pub const MAX_BATCH: usize = 64;

/// The numbers of JSON-RPC's own errors, and of two of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// No JSON.
    Parse = -32_700,
    /// JSON, and no call.
    Invalid = -32_600,
    /// There is no such command.
    NoMethod = -32_601,
    /// The command takes other parameters.
    Params = -32_602,
    /// The command failed; `data` has its stable code, its exit code and what to try.
    Failed = -32_000,
    /// The token does not allow it, or there was none yet.
    NotAllowed = -32_001,
}

/// One call. Without `id` nobody waits for its answer.
#[derive(Debug, PartialEq)]
pub struct Call {
    /// Comes back with the answer.
    pub id: Option<Value>,
    /// The command's name.
    pub method: String,
    /// What it takes.
    pub params: Map<String, Value>,
}

/// A line: calls, or in their place the answers that say what is wrong with them.
#[derive(Debug, PartialEq)]
pub enum Line {
    /// A call by itself.
    One(Result<Call, String>),
    /// Answered by one array.
    Batch(Vec<Result<Call, String>>),
}

/// What a line says.
pub fn read(line: &[u8]) -> Line {
    match serde_json::from_slice(line) {
        Ok(Value::Array(calls)) if (1..=MAX_BATCH).contains(&calls.len()) => {
            Line::Batch(calls.into_iter().map(call).collect())
        }
        Ok(Value::Array(_)) => {
            Line::One(Err(error(&Value::Null, Code::Invalid, &format!("an array has 1 to {MAX_BATCH} calls"), None)))
        }
        Ok(value) => Line::One(call(value)),
        Err(_) => Line::One(Err(error(&Value::Null, Code::Parse, "a line is one JSON object, or an array", None))),
    }
}

fn call(value: Value) -> Result<Call, String> {
    let invalid = |id: &Value, message: &str| error(id, Code::Invalid, message, None);
    let Value::Object(mut call) = value else { return Err(invalid(&Value::Null, "a call is an object")) };
    let id = call.remove("id");
    let named = match &id {
        None | Some(Value::Null | Value::String(_) | Value::Number(_)) => id.clone().unwrap_or(Value::Null),
        Some(_) => return Err(invalid(&Value::Null, "an id is a string or a number")),
    };
    if call.remove("jsonrpc") != Some(json!("2.0")) {
        return Err(invalid(&named, "a call says \"jsonrpc\":\"2.0\""));
    }
    let Some(Value::String(method)) = call.remove("method") else {
        return Err(invalid(&named, "a call has a method"));
    };
    let params = match call.remove("params") {
        None => Map::new(),
        Some(Value::Object(params)) => params,
        Some(_) => return Err(error(&named, Code::Params, "params are given by name, as an object", None)),
    };
    Ok(Call { id, method, params })
}

/// The command that a call means: its method is the command's name.
///
/// # Errors
/// There is none of this name, or it takes other parameters; the words say which.
pub fn command(method: &str, params: Map<String, Value>) -> Result<Command, (Code, String)> {
    let mut whole = params;
    if whole.insert("command".to_owned(), Value::String(method.to_owned())).is_some() {
        return Err((Code::Params, "there is no parameter `command`".to_owned()));
    }
    serde_json::from_value(Value::Object(whole)).map_err(|cause| {
        let cause = cause.to_string();
        let unknown = cause.starts_with("unknown variant");
        if unknown { (Code::NoMethod, format!("there is no method {method}")) } else { (Code::Params, cause) }
    })
}

/// What a command told, as `--json` prints it.
pub(super) fn result(id: &Value, events: &[Shown]) -> String {
    let events: Vec<&str> = events.iter().map(|event| &**event).collect();
    format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"events":[{}]}}}}"#, Shown::json(id), events.join(","))
}

/// The answer that refuses a call. `data`: the command's own error.
pub fn error(id: &Value, code: Code, message: &str, data: Option<&Error>) -> String {
    let mut error = json!({ "code": code as i32, "message": message });
    if let (Some(data), Some(error)) = (data, error.as_object_mut()) {
        error.insert("data".to_owned(), json!(data));
    }
    Shown::json(&json!({ "jsonrpc": "2.0", "id": id, "error": error })).to_string()
}

/// What happens by itself, to whoever subscribed.
pub(super) fn notification(event: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"event","params":{event}}}"#)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Line, command, read, result};
    use crate::api::{Command, Wait};

    fn refused(line: &str) -> i64 {
        let Line::One(Err(answer)) = read(line.as_bytes()) else { panic!("{line}") };
        serde_json::from_str::<serde_json::Value>(&answer).unwrap()["error"]["code"].as_i64().unwrap()
    }

    /// Each way to say it wrongly has the number that JSON-RPC 2.0 gives it.
    #[test]
    fn what_is_no_call_is_told_so() {
        assert_eq!(refused("{"), -32700);
        for invalid in ["1", "[]", r#"{"id":1,"method":"me"}"#, r#"{"jsonrpc":"2.0","id":[],"method":"me"}"#] {
            assert_eq!(refused(invalid), -32600, "{invalid}");
        }
        assert_eq!(refused(r#"{"jsonrpc":"2.0","id":1,"method":"me","params":[1]}"#), -32602);
        assert_eq!(refused(&format!("[{}1]", "1,".repeat(64))), -32600);
    }

    /// A method is a command's name, and what it may leave out it leaves out.
    #[test]
    fn a_call_is_a_command() {
        let params = json!({"to": "bob", "text": "hi"}).as_object().unwrap().clone();
        let wanted = Command::Send {
            to: "bob".to_owned(),
            text: "hi".to_owned(),
            wait: Wait::Sent,
            timeout_ms: 30_000,
            expire: None,
        };
        assert_eq!(command("send", params.clone()).unwrap(), wanted);
        assert_eq!(command("nonsense", params.clone()).unwrap_err().0 as i32, -32601);
        assert_eq!(command("history", params).unwrap_err().0 as i32, -32602);
    }

    /// Control characters of strangers stay escapes, also in what a program says of itself.
    #[test]
    fn answers_are_obeyed_by_no_terminal() {
        let answer = result(&json!("\u{9b}2J"), &["{}".into()]);
        assert_eq!(answer, r#"{"jsonrpc":"2.0","id":"\u009b2J","result":{"events":[{}]}}"#);
    }
}
