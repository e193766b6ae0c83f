//! The soak, in short: the whole of it is `cargo run -p sealpost-tests --bin soak`.

use std::time::Duration;

use sealpost_tests::soak::{Run, run};

/// [BOX-3] Eight people write, change what they said, send files, go away and come back while the relay is restarted under them:
/// everything arrives once, in order and as it was changed, and every link that was opened is closed again.
#[test]
fn everything_arrives_whoever_comes_and_goes() {
    let folder = tempfile::tempdir().unwrap();
    let time = Duration::from_secs(25);
    let short = Run { clients: 8, time, pace: 4.0, restarts: time * 2 / 5, lines: time / 4, seed: 7 };
    let report = run(folder.path(), short, &mut |line| println!("{line}"));
    println!("{report}");
    let (accepted, restarts) = report.size();
    assert!(report.arrives() && accepted > 20 && restarts == 1, "{report}");
}
