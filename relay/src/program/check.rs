//! `check`.

use sealpost_relay::config;

use super::arguments::Options;
use super::failure::Failure;
use super::say;

/// Shows what is in force.
pub(crate) fn check(options: &Options, json: bool) -> Result<(), Failure> {
    for setting in config::settings(options.config.as_deref(), options)? {
        match json {
            true => say(&format!("{}\n", serde_json::json!(setting))),
            false => say(&format!("{setting}\n")),
        }
    }
    Ok(())
}
