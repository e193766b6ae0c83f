//! What is left lying about: in logs, figures, stores, temporary folders, process lists and memory; what the programs
//! connect to; and how they were built.

mod build;
mod calls;
mod closed;
mod forgotten;
mod secrets;
mod talk;

use sealpost_tests::inspect::memory_of;
use sealpost_tests::processes::{RelayProcess, files_below};
use sealpost_tests::skip;

use secrets::{Wanted, mailbox_of};
use talk::{PLAN, POST, ROOM, TEXTS, Talk};

/// What only the people themselves may know.
fn unknown(talk: &Talk) -> Wanted {
    let mut wanted = Wanted::default().and("a file", PLAN);
    for (what, text) in TEXTS {
        wanted = wanted.and(what, text);
    }
    wanted.and_secrets_of(&talk.people())
}

/// What tells who somebody is: names, rooms, keys, mailboxes, addresses.
fn names(talk: &Talk) -> Wanted {
    let mut wanted = Wanted::default().and("a room", ROOM).and("a post", POST).and("an address", "127.0.0.1");
    for person in talk.people() {
        let me = person.json(&["me"]).expect(0);
        let fingerprint = me.events("me")[0]["fingerprint"].as_str().unwrap().to_owned();
        let key = data_encoding::BASE32_NOPAD.decode(fingerprint.to_uppercase().as_bytes()).unwrap();
        wanted = wanted
            .and("a name", &person.name)
            .and("a fingerprint", &fingerprint)
            .and("a fingerprint in binary", key)
            .and("a mailbox", mailbox_of(person));
    }
    wanted
}

fn assert_without(what: &str, wanted: &Wanted, bytes: &[u8]) {
    let found = wanted.within(bytes);
    assert!(found.is_empty(), "in {what}: {found:#?}");
}

/// What a process was started with and in.
fn told(pid: u32) -> Vec<u8> {
    [std::fs::read(format!("/proc/{pid}/cmdline")).unwrap(), std::fs::read(format!("/proc/{pid}/environ")).unwrap()]
        .concat()
}

/// Whatever lies on the disk, is said in the process list, or stands in a temporary folder after a conversation.
fn nothing_lies_about(talk: &Talk) {
    let (unknown, names) = (unknown(talk), names(talk));
    for (path, bytes) in talk.written() {
        assert_without(&path, &unknown, &bytes);
        let own = talk.people().map(|person| &person.home);
        // What opens without the passphrase says nothing of anybody; the address of the relay stands among a home's settings.
        if own.iter().any(|home| path.starts_with(home.join("default").to_str().unwrap())) {
            assert_without(&path, &names, &bytes);
        }
    }
    for name in ["temporary", "runtime", "current"] {
        let left = files_below(&talk.apart(name));
        assert!(
            left.is_empty(),
            "left in the {name} folder: {:?}",
            left.iter().map(|(path, _)| path).collect::<Vec<_>>()
        );
    }
    for holder in &talk.holders {
        assert_without("what a client was started with", &unknown, &told(holder.pid()));
    }
    assert_without("what the relay was started with", &unknown, &told(talk.relay.pid()));
    assert_without("what the relay was started with", &names_but_address(talk), &told(talk.relay.pid()));
}

/// The relay's own command line has the address that it listens at.
fn names_but_address(talk: &Talk) -> Wanted {
    talk.people()
        .into_iter()
        .fold(Wanted::default().and("a room", ROOM), |wanted, person| wanted.and("a name", &person.name))
}

/// What the relay keeps, shows and has in memory.
fn the_relay_knows_nothing(talk: &Talk) {
    let unknown = unknown(talk);
    let mut public = 0;
    for (path, bytes) in files_below(&talk.relay.data) {
        assert_without(&path, &unknown, &bytes);
        public += Wanted::default().and("a post", POST).within(&bytes).len();
    }
    assert!(public > 0, "what is public stands in the relay's store, so the others would have been found there, too");
    let figures = super::service::page(&talk.relay, "/metrics").1;
    assert!(figures.contains("sealpost_deliveries_total"), "{figures}");
    assert_without("the figures", &unknown, figures.as_bytes());
    assert_without("the figures", &names_but_address(talk), figures.as_bytes());
    match memory_of(talk.relay.pid()) {
        Ok(memory) => {
            assert!(
                !Wanted::default().and("a post", POST).within(&memory).is_empty(),
                "a post passed through its memory"
            );
            assert_without("the relay's memory", &unknown, &memory);
        }
        Err(_) => skip("the memory of a relay", "inspection"),
    }
}

/// At the levels at which the programs run, their logs name nobody and say nothing of what was said; the relay's store, figures and memory
/// know no more than they must, and nothing lies about.
#[test]
fn a_conversation_leaves_nothing_behind() {
    let mut talk = Talk::at(None);
    nothing_lies_about(&talk);
    the_relay_knows_nothing(&talk);
    let _ = logs_keep_secrets(&mut talk);
}

/// At the most detailed level, too, logs have neither texts nor secrets, nor do they name anybody: but for whom the relay's operator asks
/// about, which stands in its log from the level `debug` on.
#[test]
fn the_most_detailed_log_keeps_secrets() {
    let mut talk = Talk::at(Some("trace"));
    let [relay, clients] = logs_keep_secrets(&mut talk);
    assert!(relay.contains("TRACE") && clients.contains("TRACE"), "it is the most detailed level");
}

/// What was logged by the relay, and by clients.
fn logs_keep_secrets(talk: &mut Talk) -> [String; 2] {
    let (unknown, names) = (unknown(talk), names(talk));
    let logs = [talk.relay.logged(), [talk.log.clone(), said_by_holders(talk)].concat()];
    for (what, log) in ["the relay's log", "the clients' log"].into_iter().zip(&logs) {
        assert_without(what, &unknown, log.as_bytes());
        assert_without(what, &names, log.as_bytes());
    }
    logs
}

/// What the holders have logged, once they have ended.
fn said_by_holders(talk: &mut Talk) -> String {
    let mut said = String::new();
    for holder in &mut talk.holders {
        holder.kill();
        while let Some(line) = holder.complaints.next_line() {
            said += &line;
            said.push('\n');
        }
    }
    said
}

/// `sealpost-relay` under a umask that closes nothing.
fn open_to_all(folder: &std::path::Path) -> RelayProcess {
    RelayProcess::start_under(folder, &[], &closed::OPEN)
}
