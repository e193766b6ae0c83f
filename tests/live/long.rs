//! The long conversation, in short: the whole of it is `cargo run -p sealpost-tests --bin conversation`.

use std::time::Duration;

use sealpost_tests::conversation::hold;
use sealpost_tests::inspect::{Taken, inspect};

/// [THREAT-3] [THREAT-4] Two people, real lines each way, one of them killed and away for a third of it, the relay killed and
/// restarted twice: the histories are equal, and what the relay had opens no line and links no envelope to a sender.
#[test]
fn a_conversation_survives_everything() {
    let folder = tempfile::tempdir().unwrap();
    let report = hold(folder.path(), 60, Duration::from_secs(240));
    println!("{report}");
    match report.findings {
        Some(findings) => {
            assert!(findings.envelopes > 0);
            assert_eq!((findings.opened, findings.linked), (Vec::new(), Vec::new()));
        }
        None => sealpost_tests::skip("inspection", "permission to read /proc/PID/mem"),
    }
}

/// The inspection can fail: a line in a file, in whatever form, is found.
#[test]
fn the_inspection_finds_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let line = "a line that somebody wrote down in spite of everything";
    let forms = [
        line.to_owned(),
        data_encoding::HEXLOWER.encode(line.as_bytes()),
        data_encoding::BASE64.encode(format!("x{line}").as_bytes()),
    ];
    for (at, form) in forms.iter().enumerate() {
        let data = folder.path().join(format!("relay{at}"));
        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("notes"), format!("....{form}....")).unwrap();
        let log = folder.path().join("log");
        std::fs::write(&log, "nothing here").unwrap();
        let taken = Taken::from(&data, &log, None).unwrap();
        let findings = inspect(&taken, &[line.to_owned()], &[]);
        assert_eq!(findings.opened.len(), 1, "{form}: {findings}");
    }
}
