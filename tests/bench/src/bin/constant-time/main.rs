//! `cargo run --release --locked --bin constant-time`: whether the time of a refusal tells which byte was wrong.
//! `constant-time.md` says how to read it.

mod measure;
mod paths;

use std::process::ExitCode;

use measure::{BOUND, Measured};

/// What a comparison that gives up at the first difference must exceed, so that the bound means something here.
const PLANTED: f64 = 10.0 * BOUND;

fn main() -> ExitCode {
    let mut surprises = 0;
    println!(
        "{:<66} {:>9} {:>8} {:>9} {:>6}  verdict",
        "path: what the two kinds of input are", "samples", "ns", "max |t|", "crop"
    );
    for path in paths::all() {
        let Measured { samples, t, crop, median } = (path.measure)();
        let (good, verdict) =
            if path.planted { (t > PLANTED, "told apart, as it must be") } else { (t < BOUND, "not told apart") };
        surprises += usize::from(!good);
        let verdict = if good {
            verdict
        } else if path.planted {
            "FAILED: the planted leak was not seen"
        } else {
            "FAILED: told apart"
        };
        println!("{:<66} {samples:>9} {median:>8} {t:>9.2} {:>5.1}%  {verdict}", path.name, crop as f64 / 10.0);
    }
    if surprises == 0 {
        println!("every |t| below {BOUND}, every planted one above {PLANTED}");
        ExitCode::SUCCESS
    } else {
        eprintln!("error: {surprises} surprises; constant-time.md tells how to read them");
        ExitCode::FAILURE
    }
}
