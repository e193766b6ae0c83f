//! The published schema.

use sealpost_tests::processes::{Person, schema};
use serde_json::{Value, json};

/// `sealpost schema` prints what stands in the repository, and needs no profile for it.
#[test]
fn the_client_prints_the_schema_that_is_published() {
    let folder = tempfile::tempdir().unwrap();
    let printed = Person::new(folder.path(), "nobody").run(&["schema"]).expect(0);
    assert_eq!(printed.out, include_str!("../../client/schema.json"));
}

/// What other tests hold their lines to is no schema that allows everything.
#[test]
fn a_line_that_is_not_in_the_schema_is_noticed() {
    let gap = json!({ "v": 1, "event": "gap", "conversation": "#lobby", "from": "@bob", "missing": 2 });
    schema::assert_line(&gap);
    let with = |field: &str, value: Value| {
        let mut line = gap.clone();
        line[field] = value;
        line
    };
    let end = json!({ "v": 1, "event": "end" });
    for wrong in
        [with("event", json!("hole")), with("missing", json!("two")), with("v", json!(2)), with("of", json!(1)), end]
    {
        assert!(std::panic::catch_unwind(|| schema::assert_line(&wrong)).is_err(), "{wrong}");
    }
    let call = json!({ "jsonrpc": "2.0", "method": "send", "params": { "to": "bob" } });
    assert!(std::panic::catch_unwind(|| schema::assert_call(&call)).is_err(), "{call}");
}
