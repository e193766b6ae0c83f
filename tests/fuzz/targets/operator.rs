//! Lines on the admin socket: whatever is asked, the relay answers with records or says what to do instead. It has no trouble of
//! its own, and what it does not do changes nothing.

use sealpost_relay::admin::{Command, Line, PAGE, Record};
use sealpost_relay::store::memory::ready;

use super::people::NOW;

/// More lines than this tell nothing new.
const LINES: usize = 32;

pub fn run(input: &[u8]) {
    let relay = super::relay::populated(false);
    for (number, line) in (0..).zip(input.split(|byte| *byte == b'\n').take(LINES)) {
        let Ok(command) = serde_json::from_slice::<Command>(line) else { continue };
        let written = serde_json::to_vec(&command).unwrap();
        assert_eq!(serde_json::from_slice::<Command>(&written).unwrap(), command, "written, it is another command");
        let before = relay.store().contents();
        let answer = ready(relay.operate(NOW + number * 1000, command)).expect("nothing waits over a store in memory");
        match answer {
            Ok(records) => {
                assert!(records.len() <= PAGE, "{} records at once", records.len());
                records.into_iter().for_each(told);
            }
            Err(trouble) => {
                assert!(!trouble.error.contains("trouble of its own"), "{trouble}");
                assert!(!trouble.cause.is_empty() && !trouble.advice.is_empty() && trouble.exit > 0, "{trouble:?}");
                assert!(relay.store().contents() == before, "{trouble} has changed something");
                told(Record::Error(trouble));
            }
        }
    }
    ready(relay.sweep(NOW + LINES as u64 * 1000)).unwrap().expect("a store that is well");
}

/// A record is a line, which says the same to whoever reads it, and nothing that a terminal obeys.
fn told(record: Record) {
    let line = Line::from(record);
    let written = serde_json::to_string(&line).unwrap();
    assert!(!written.contains(char::is_control), "{written:?}");
    assert_eq!(serde_json::from_str::<Line>(&written).unwrap(), line);
}
