//! What programs are told is what the published schema says.

use std::sync::OnceLock;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Value, json};

/// The published schema, compiled.
struct Published {
    schemas: Schemas,
    line: SchemaIndex,
    call: SchemaIndex,
    answer: SchemaIndex,
    notification: SchemaIndex,
}

fn published() -> &'static Published {
    static PUBLISHED: OnceLock<Published> = OnceLock::new();
    PUBLISHED.get_or_init(|| {
        let mut document: Value = serde_json::from_str(include_str!("../../client/schema.json")).expect("it is JSON");
        close(&mut document);
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.add_resource("memory:schema", document).expect("it is a document");
        let mut compile = |name: &str| {
            let at = format!("memory:schema#/$defs/{name}");
            compiler.compile(&at, &mut schemas).unwrap_or_else(|error| panic!("{name}: {error}"))
        };
        let (line, call) = (compile("Line"), compile("Call"));
        let (answer, notification) = (compile("Answer"), compile("Notification"));
        Published { schemas, line, call, answer, notification }
    })
}

/// Programs pass over what they do not know; here a field that the schema does not name is a mistake.
fn close(document: &mut Value) {
    let alternatives = document["$defs"]["Line"]["anyOf"].as_array_mut().expect("a line is one of many");
    for one in alternatives {
        one["unevaluatedProperties"] = json!(false);
    }
    document["$defs"]["Reaction"]["additionalProperties"] = json!(false);
}

fn holds(what: &str, value: &Value, schema: SchemaIndex) {
    let held = published().schemas.validate(value, schema);
    assert!(held.is_ok(), "client/schema.json knows no such {what}: {value}\n{:#}", held.unwrap_err());
}

/// A line that `--json` has printed.
///
/// # Panics
/// The schema does not allow it.
pub fn assert_line(line: &Value) {
    holds("line", line, published().line);
}

/// A call that a program makes, where it is one that makes sense.
///
/// # Panics
/// The schema does not allow it.
pub fn assert_call(call: &Value) {
    holds("call", call, published().call);
}

/// What the daemon says to a program.
///
/// # Panics
/// The schema does not allow it.
pub fn assert_heard(heard: &Value) {
    match heard.get("method") {
        Some(_) => holds("notification", heard, published().notification),
        None => holds("answer", heard, published().answer),
    }
}
