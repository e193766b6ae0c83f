//! What the process keeps to itself: no core image, nobody attaches, logs without colour in a file.

use std::io::IsTerminal as _;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use tracing_subscriber::EnvFilter;

/// Tests that look into the process's memory set this.
const INSPECTABLE: &str = "SEALPOST_TEST_INSPECTABLE";

/// Forbids core images and debuggers, both of which would see keys.
pub(super) fn harden() {
    if std::env::var_os(INSPECTABLE).is_some() {
        return;
    }
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if setrlimit(Resource::Core, none).is_err() || set_dumpable_behavior(DumpableBehavior::NotDumpable).is_err() {
        tracing::warn!("the system does not let this process forbid core images");
    }
}

/// Logs to standard error: warnings, with `-v` what happens, with `-vv` everything.
pub(super) fn log(verbose: u8, quiet: bool, colour: bool) {
    let level = match (quiet, verbose) {
        (true, _) => "error",
        (_, 0) => "warn",
        (_, 1) => "sealpost_client=info,warn",
        _ => "sealpost_client=debug,info",
    };
    let filter = EnvFilter::try_from_env("SEALPOST_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let colour = colour && std::io::stderr().is_terminal();
    // A second call, in tests, finds a logger in place.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colour).with_writer(std::io::stderr).try_init();
}
