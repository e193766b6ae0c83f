//! What the store of relays on a cluster takes beside NATS's own client on the same servers: ingest, fan-out across relays
//! and drain, for one relay and for three. Ends with 1 where something takes more than `--most` times as long.

use std::process::ExitCode;

use clap::Parser;
use sealpost_tests::cluster::speed::measure;

#[derive(Parser)]
struct Arguments {
    /// As long as NATS's own client takes, times this.
    #[arg(long, default_value_t = 1.5)]
    most: f64,
}

fn main() -> ExitCode {
    let Arguments { most } = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    println!("| work | relays | NATS's client | the store | ratio |\n|---|---|---|---|---|");
    let mut holds = true;
    for relays in [1, 3] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        match runtime.block_on(measure(folder.path(), relays, most)) {
            Some(held) => holds &= held,
            None => {
                eprintln!("error: there is no NATS server\ntry: tests/cluster/prepare");
                return ExitCode::FAILURE;
            }
        }
    }
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
