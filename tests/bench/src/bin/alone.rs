//! Does one operation over and over, for a profiler. `alone NAME [CALLS]`: NAME as in the table of `ratios`, or its start.
use std::process::ExitCode;

use sealpost_bench::{operation, peer};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let calls = arguments.next().and_then(|calls| calls.parse().ok()).unwrap_or(5_000_u32);
    let all = || operation::all().into_iter().chain(peer::all());
    let Some(mut contest) = all().find(|contest| !name.is_empty() && contest.name.starts_with(&name)) else {
        eprintln!("usage: alone NAME [CALLS], NAME the start of one of");
        all().for_each(|contest| eprintln!("  {}", contest.name));
        return ExitCode::from(2);
    };
    for _ in 0..calls {
        contest.ours.call();
    }
    ExitCode::SUCCESS
}
