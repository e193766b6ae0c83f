//! The relay of this repository, and its clients.
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::codec::Wrong;

/// The workspace that holds the relay.
const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");

/// Builds the relay as it is shipped, where that was not done, and finds it: cargo says where it is.
pub fn build() -> Result<PathBuf, Wrong> {
    let arguments = ["build", "--release", "--locked", "-p", "sealpost-relay", "--message-format=json"];
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built =
        Command::new(cargo).args(arguments).args(["--manifest-path", WORKSPACE]).stderr(Stdio::inherit()).output()?;
    if !built.status.success() {
        return Err(Wrong::new("the relay does not build"));
    }
    let messages = String::from_utf8_lossy(&built.stdout);
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ours = |message: &Value| message.pointer("/target/name").and_then(Value::as_str) == Some("sealpost-relay");
    let mut programs =
        messages.filter(ours).filter_map(|message| Some(PathBuf::from(message.get("executable")?.as_str()?)));
    programs.next_back().ok_or_else(|| Wrong::new("cargo does not say where the relay is"))
}
