//! The published schema, `client/schema.json`, made of the types: so it is never behind them.

use std::path::Path;

use schemars::generate::{Contract, SchemaSettings};
use serde_json::{Map, Value, json};

use crate::api::{Command, Error, Event, VERSION};

/// What `$defs` are called below.
const DEFS: &str = "#/$defs/";

const ABOUT: &str = "What `sealpost --json` prints, one object a line, each as this schema says. Fields and events are only ever added: \
    pass over what you do not know. `$defs/Call` is what a program may say to `sealpost daemon`, one object or an array of them a \
    line, and `$defs/Answer` and `$defs/Notification` are what it hears.";

/// A type's own schema, with those of the types that it is made of beside it.
fn of<T: schemars::JsonSchema>(contract: Contract, defs: &mut Map<String, Value>) -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.contract = contract;
    settings.meta_schema = None;
    let mut schema = serde_json::to_value(settings.into_generator().into_root_schema_for::<T>()).unwrap();
    let fields = schema.as_object_mut().unwrap();
    if let Some(Value::Object(more)) = fields.remove("$defs") {
        defs.extend(more);
    }
    fields.remove("title");
    schema
}

/// The alternatives of an enum, each with the word in `tag` by which it is told.
fn alternatives(schema: Value, tag: &str) -> Vec<(String, Value)> {
    let Value::Array(all) = schema["oneOf"].clone() else { panic!("an enum has alternatives: {schema}") };
    all.into_iter().map(|one| (one["properties"][tag]["const"].as_str().unwrap().to_owned(), one)).collect()
}

/// An event as `--json` prints it: `name` stands in its `event`.
fn printed(mut event: Value, name: &Value) -> Value {
    event["properties"]["event"] = name.clone();
    event["properties"]["v"] = json!({ "const": VERSION });
    event["required"].as_array_mut().unwrap().insert(0, json!("v"));
    event
}

/// The lines that `--json` prints: events, but for what is between a face and the holder, and with the words of `json::line`.
fn lines(defs: &mut Map<String, Value>) -> Value {
    let mut lines = Vec::new();
    for (name, event) in alternatives(of::<Event>(Contract::Serialize, defs), "event") {
        let word = match name.as_str() {
            "taken" => continue,
            "message" => json!({ "enum": ["message", "edit", "delete", "reaction", "file"] }),
            "state" => json!({ "enum": ["queued", "sent", "receipt"] }),
            "end" => {
                let exit = json!({ "type": "integer", "description": "The exit code.", "minimum": 0, "maximum": 255 });
                let mut end = printed(event, &json!({ "const": "end" }));
                end["properties"]["exit"] = exit;
                end["required"].as_array_mut().unwrap().push(json!("exit"));
                lines.push(end);
                continue;
            }
            name => json!({ "const": name }),
        };
        lines.push(printed(event, &word));
    }
    // A message that is queued is told with its state or without.
    json!({ "anyOf": lines })
}

/// Calls of JSON-RPC: a method for each command, with its fields as parameters.
fn calls(defs: &mut Map<String, Value>) -> Value {
    let token = json!({
        "description": "The first call of a connection.",
        "properties": {
            "method": { "const": "authorize" },
            "params": { "type": "object", "properties": { "token": { "type": "string" } }, "required": ["token"] },
        },
        "required": ["params"],
    });
    let mut methods = vec![token];
    for (name, mut command) in alternatives(of::<Command>(Contract::Deserialize, defs), "command") {
        let fields = command.as_object_mut().unwrap();
        fields["properties"].as_object_mut().unwrap().remove("command");
        fields["required"].as_array_mut().unwrap().retain(|field| field != "command");
        let needs = !fields["required"].as_array().unwrap().is_empty();
        let description = fields.remove("description");
        let mut method = json!({ "properties": { "method": { "const": name }, "params": command } });
        method["description"] = description.unwrap_or_default();
        if needs {
            method["required"] = json!(["params"]);
        }
        methods.push(method);
    }
    json!({
        "description": "A call; without `id` it is not answered. Which commands a program may give, its token says.",
        "type": "object",
        "properties": { "jsonrpc": { "const": "2.0" }, "id": { "$ref": format!("{DEFS}Id") } },
        "required": ["jsonrpc", "method"],
        "oneOf": methods,
    })
}

/// Comments as people read them who do not read Rust: without what makes links of names.
fn without_links(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(without_links),
        Value::Object(fields) => {
            if let Some(Value::String(text)) = fields.get_mut("description") {
                *text = text.replace("[`", "`").replace("`]", "`").replace('\n', " ");
            }
            fields.values_mut().for_each(without_links);
        }
        _ => {}
    }
}

/// The whole document.
fn document() -> Value {
    let mut defs = Map::new();
    let (line, call) = (lines(&mut defs), calls(&mut defs));
    let error = of::<Error>(Contract::Serialize, &mut defs);
    let events = json!({ "type": "array", "items": { "$ref": format!("{DEFS}Line") } });
    let failed = json!({
        "type": "object",
        "properties": { "code": { "type": "integer" }, "message": { "type": "string" }, "data": error },
        "required": ["code", "message"],
    });
    let answer = |name: &str, what: Value| {
        let properties = json!({ "jsonrpc": { "const": "2.0" }, "id": { "$ref": format!("{DEFS}Id") }, name: what });
        json!({ "type": "object", "properties": properties, "required": ["jsonrpc", "id", name] })
    };
    let result = json!({ "type": "object", "properties": { "events": events }, "required": ["events"] });
    defs.insert("Line".to_owned(), line);
    defs.insert("Call".to_owned(), call);
    defs.insert("Id".to_owned(), json!({ "type": ["string", "number", "null"] }));
    defs.insert("Answer".to_owned(), json!({ "oneOf": [answer("result", result), answer("error", failed)] }));
    let params = json!({ "$ref": format!("{DEFS}Line") });
    defs.insert(
        "Notification".to_owned(),
        json!({
            "description": "What happens by itself, after `subscribe`.",
            "type": "object",
            "properties": { "jsonrpc": { "const": "2.0" }, "method": { "const": "event" }, "params": params },
            "required": ["jsonrpc", "method", "params"],
        }),
    );
    let mut document = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Sealpost, for programs",
        "description": ABOUT,
        "$ref": format!("{DEFS}Line"),
        "$defs": defs,
    });
    without_links(&mut document);
    document
}

/// What `sealpost schema` prints is what the types say. Where it is not: `SEALPOST_SCHEMA=write cargo test -p sealpost-client
/// --locked --lib schema` writes it anew, and the difference is what programs will notice.
#[test]
fn the_published_schema_is_that_of_the_types() {
    let (wanted, path) = (document(), Path::new(env!("CARGO_MANIFEST_DIR")).join("schema.json"));
    if std::env::var_os("SEALPOST_SCHEMA").is_some_and(|what| what == "write") {
        std::fs::write(&path, format!("{wanted:#}\n")).unwrap();
    }
    let published: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert!(published == wanted, "client/schema.json is behind the types: SEALPOST_SCHEMA=write makes it anew");
}
