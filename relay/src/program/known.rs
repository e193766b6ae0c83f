//! `what-i-know`.

use sealpost_relay::config::Config;
use sealpost_relay::known::{fields, found};
use serde::Serialize;

use super::arguments::Options;
use super::failure::{Failure, RUNTIME};
use super::say;

/// Prints all that the relay stores, and what of it there is.
pub(crate) fn known(options: &Options, json: bool) -> Result<(), Failure> {
    let data = Config::load(options.config.as_deref(), options)?.data;
    let store = data.join("relay.db");
    if !store.is_file() {
        let cause = format!("there is no relay in {}", data.display());
        return Err(Failure::new(RUNTIME, "nothing is known", cause, "give the relay's folder with --data DIR"));
    }
    let (fields, found) = (fields(), found(&store)?);
    if json {
        fields.iter().for_each(|field| record("field", field));
        found.iter().for_each(|found| record("found", found));
        return Ok(());
    }
    say(&format!("What this relay knows: everything that stands in {}, and what it lets one infer.\n", data.display()));
    let mut of = "";
    for field in &fields {
        if field.of != of {
            of = field.of;
            match found.iter().find(|found| found.of == of) {
                Some(found) => say(&format!("\n{found}\n")),
                None => say(&format!("\n{of}\n")),
            }
        }
        say(&format!("{field}\n"));
    }
    let unsaid = found.iter().filter(|found| fields.iter().all(|field| field.of != found.of));
    unsaid.for_each(|found| say(&format!("\n{found}\n  written by another version of sealpost-relay\n")));
    Ok(())
}

fn record(record: &str, what: &impl Serialize) {
    let mut line = serde_json::json!(what);
    if let Some(fields) = line.as_object_mut() {
        fields.insert("v".to_owned(), 1.into());
        fields.insert("record".to_owned(), record.into());
    }
    say(&format!("{line}\n"));
}
