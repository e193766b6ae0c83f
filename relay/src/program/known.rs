//! `what-i-know`.

use sealpost_relay::config::Config;
use sealpost_relay::known::{Field, Found, fields, found, found_shared};
use sealpost_relay::store::JetStream;
use sealpost_relay::store::jetstream::Settings;
use serde::Serialize;

use super::arguments::Options;
use super::failure::{ENVIRONMENT, Failure, RUNTIME};
use super::{cluster, say};

/// Prints all that the relay stores, and what of it there is.
pub(crate) fn known(options: &Options, json: bool) -> Result<(), Failure> {
    let config = Config::load(options.config.as_deref(), options)?;
    if let Some(settings) = cluster::settings(&config)? {
        let found = shared(&settings)?;
        let fields = fields().into_iter().filter(|field| !field.is_alone()).collect();
        return print(&config.cluster.prefix, fields, found, json);
    }
    let data = config.data;
    let store = data.join("relay.db");
    if !store.is_file() {
        let cause = format!("there is no relay in {}", data.display());
        return Err(Failure::new(RUNTIME, "nothing is known", cause, "give the relay's folder with --data DIR"));
    }
    let fields = fields().into_iter().filter(|field| !field.is_shared()).collect();
    print(&data.display().to_string(), fields, found(&store)?, json)
}

/// What stands in the servers of a cluster.
fn shared(settings: &Settings) -> Result<Vec<Found>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Failure::new(ENVIRONMENT, "nothing could be asked", error, "allow the process more threads")
    })?;
    runtime.block_on(async {
        let store = JetStream::open(settings).await?;
        let advice = "sealpost-relay cluster status";
        found_shared(&store).await.map_err(|fault| Failure::new(RUNTIME, "not all could be read", fault, advice))
    })
}

fn print(place: &str, fields: Vec<Field>, found: Vec<Found>, json: bool) -> Result<(), Failure> {
    if json {
        fields.iter().for_each(|field| record("field", field));
        found.iter().for_each(|found| record("found", found));
        return Ok(());
    }
    say(&format!("What this relay knows: everything that stands in {place}, and what it lets one infer.\n"));
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
