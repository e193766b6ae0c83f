//! What the walks came past: of everything that has a name, each at least once, or a reason why not.

use crate::world::transitions::{
    ANSWERS, COMMANDS, EVENTS, FAULTS, PUSHES, REFUSALS, REQUESTS, SAID, SESSIONS, Walked,
};

/// What no walk does, and who does it instead.
const ELSEWHERE: &[(&str, &[&str], &str)] = &[
    ("command", &["Trust"], "adversary, and simulation::accounts: no key changes in a walk"),
    ("command", &["SendFile", "Get", "Cancel"], "live::files: a simulated link moves no files"),
    ("command", &["DeviceAdd", "DeviceRevoke", "DeviceLink"], "simulation::devices"),
    ("command", &["Unregister", "Stop"], "simulation::accounts, and live"),
    ("event", &["Gap", "Refused"], "adversary: a walk that heals may come past them or not"),
    ("event", &["KeyChanged"], "adversary: nobody lies in a walk, and a key that changed there is a bug"),
    ("event", &["NewDevice", "Device", "DeviceRequest"], "simulation::devices"),
    (
        "fault",
        &["store crashes", "store restored", "profile put back", "clock set", "store full", "disk full", "cut off"],
        "long walks, and simulation::commits; of short ones, some",
    ),
    ("event", &["Typing"], "the engine's own tests: whoever dies soon after is not seen to type"),
    ("event", &["Restored"], "simulation::restored: one walk in some has old profiles"),
    (
        "event",
        &["Progress", "Relay", "Profile", "Listening", "BotRemoved", "Notice", "Taken"],
        "live: of faces and files",
    ),
    ("request", &["PutBlob", "FetchBlob", "DropBlob"], "live::files"),
    ("request", &["Unregister", "SetDevices"], "simulation::accounts and simulation::devices"),
    ("answer", &["Blob", "Stored"], "live::files"),
    ("push", &["Notice"], "live::operator"),
];

/// Refusals that a walk has come to be told of: whoever loses one has lost a way through the relay. The others are told to
/// who breaks the protocol, whom `relay/src/answer/tests` plays.
const REFUSED: &[&str] = &["NoSuchName", "NoSuchMailbox", "NoSuchRoom"];

/// A table of what happened how often; and what never did, although a walk should come past it.
pub(super) fn table(walked: &Walked) -> (String, Vec<String>) {
    let (mut table, mut never) = (String::new(), Vec::new());
    let sorts: [(&'static str, &[&'static str]); 9] = [
        ("command", COMMANDS),
        ("event", EVENTS),
        ("request", REQUESTS),
        ("answer", ANSWERS),
        ("push", PUSHES),
        ("refusal", REFUSALS),
        ("session", SESSIONS),
        ("fault", FAULTS),
        ("said", SAID),
    ];
    for (sort, names) in sorts {
        let counted: Vec<(&'static str, u64)> = names.iter().map(|name| (*name, walked.count(sort, name))).collect();
        let seen = counted.iter().filter(|(_, count)| *count > 0).count();
        let words: Vec<String> =
            counted.iter().filter(|(_, count)| *count > 0).map(|(name, count)| format!("{name} {count}")).collect();
        table.push_str(&format!("{sort}: {seen} of {}: {}\n", names.len(), words.join(", ")));
        for (name, count) in counted {
            let elsewhere = ELSEWHERE.iter().any(|(of, all, _)| *of == sort && all.contains(&name));
            let wanted = if sort == "refusal" { REFUSED.contains(&name) } else { !elsewhere };
            if wanted && count == 0 {
                never.push(format!("{sort} {name}"));
            }
        }
    }
    (table, never)
}
