//! What an operator does to a relay that runs, and what people see of it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use sealpost_tests::processes::{Following, Outcome, Person, RelayProcess, finish, programs, until};
use serde_json::Value;

use super::Pair;

/// `sealpost-relay admin ...` for this relay.
pub(super) fn admin(relay: &RelayProcess, arguments: &[&str]) -> Outcome {
    let mut all = vec!["admin"];
    all.extend(arguments);
    all.extend(["--data", relay.data.to_str().unwrap()]);
    RelayProcess::program(&all)
}

/// The records of an answer.
fn records(relay: &RelayProcess, arguments: &[&str]) -> Vec<Value> {
    let mut all = vec!["--json"];
    all.extend(arguments);
    admin(relay, &all).expect(0).json()
}

/// Seconds since 1970.
fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// An operator sees how the relay is and who is there; without a relay there is an error that says what to do.
#[test]
fn a_relay_tells_how_it_is() {
    let mut pair = Pair::new();
    let _ = pair.alice.run(&["send", "bob", "hello"]).expect(0);
    let status = &records(&pair.relay, &["status"])[0];
    assert_eq!((&status["record"], &status["accounts"], &status["waiting"]), (&"status".into(), &2.into(), &1.into()));
    let shown = admin(&pair.relay, &["status"]).expect(0).out;
    assert!(shown.contains("waiting    1 envelope in 6152 B"), "{shown}");
    let users = records(&pair.relay, &["users"]);
    let waiting: Vec<_> = users.iter().map(|user| (&user["name"], &user["waiting"])).collect();
    assert_eq!(waiting, [(&"alice".into(), &0.into()), (&"bob".into(), &1.into())]);
    pair.relay.stop(rustix::process::Signal::TERM);
    let outcome = admin(&pair.relay, &["status"]).expect(1);
    assert!(outcome.err.contains("error: no relay runs here") && outcome.err.contains("\ntry: "), "{}", outcome.err);
    // A killed one leaves its socket behind, which is in nobody's way.
    pair.relay.restart();
    pair.relay.kill();
    pair.relay.restart();
    let _ = admin(&pair.relay, &["status"]).expect(0);
}

/// Who is kicked sees the reason, with exit 7, stays away by itself, and comes back by command.
#[test]
fn a_kicked_client_sees_the_reason() {
    let pair = Pair::acquainted();
    let mut bob = pair.bob.follow();
    until("bob is online", || records(&pair.relay, &["users"])[1]["online"].as_bool().filter(|online| *online));
    let done = admin(&pair.relay, &["kick", "bob", "--reason", "too loud"]).expect(0);
    assert_eq!(done.out, "bob: 1 link ended\n");
    let line = bob.lines.until(|line| line.contains("\"event\":\"error\""));
    let error: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&error["code"], &error["exit"]), (&"refused".into(), &7.into()), "{line}");
    assert!(line.contains("too loud"), "{line}");
    assert!(std::iter::from_fn(|| bob.lines.next_line()).all(|line| !line.contains("\"online\":true")), "it ended");
    let _ = pair.alice.run(&["send", "bob", "are you there?"]).expect(0);
    assert_eq!(pair.bob.receives(1), ["are you there?"]);
    let outcome = admin(&pair.relay, &["kick", "bob"]).expect(1);
    assert!(outcome.err.contains("bob is not connected"), "{}", outcome.err);
    let log = pair.relay.logged();
    assert!(log.contains("kick") && !log.contains("bob") && !log.contains("too loud"), "{log}");
}

/// An invite lets a newcomer in, by its token or its link, once; the next one is refused with exit 7 and a sentence,
/// and leaves nothing behind.
#[test]
fn an_invite_lets_one_in() {
    let folder = tempfile::tempdir().unwrap();
    let relay = RelayProcess::start_with(folder.path(), &["--register", "invite"]);
    let newcomer = |name: &str, arguments: &[&str]| {
        let person = Person::new(folder.path(), name);
        let outcome = person.run(&[&["register"], arguments, &[name]].concat());
        (person, outcome)
    };
    let text = |record: &Value, field: &str| record[field].as_str().unwrap().to_owned();
    let invite = &records(&relay, &["invite", "--label", "for the choir"])[0];
    let token = text(invite, "token");
    let with = |name: &str| {
        let person = Person::new(folder.path(), name);
        person.run(&["register", &relay.address, name, "--invite", &token])
    };
    let refused = newcomer("alice", &[&relay.address]).1.expect(7);
    assert!(refused.err.contains("only who has an invite") && refused.err.contains("try: "), "{}", refused.err);
    let _ = with("alice").expect(0);
    let refused = with("bob").expect(7);
    assert!(refused.err.contains("used up") && refused.err.contains("ask its operator"), "{}", refused.err);
    let link = text(&records(&relay, &["invite", "--expire", "1h"])[0], "link");
    assert!(link.starts_with(&relay.address), "{link}");
    let (bob, outcome) = newcomer("bob", &[&link]);
    let _ = outcome.expect(0);
    let _ = bob.run(&["send", "alice", "hello"]).expect(0);
    let left: Vec<_> = records(&relay, &["invites"]).iter().map(|invite| invite["left"].clone()).collect();
    assert_eq!(left, [Value::from(0), Value::from(0)]);
    // By the relay's clock: a second is over by the time that somebody comes.
    let short = text(&records(&relay, &["invite", "--expire", "1s"])[0], "token");
    until("the invite has expired", || {
        let left = records(&relay, &["invites"]).into_iter().find(|invite| invite["left"] == 1)?;
        (left["expires_at"].as_u64()? < now()).then_some(())
    });
    let carol = Person::new(folder.path(), "carol");
    let refused = carol.run(&["register", &relay.address, "carol", "--invite", &short]).expect(7);
    assert!(refused.err.contains("expired"), "{}", refused.err);
    let log = relay.logged();
    assert!(!log.contains(&token) && !log.contains("choir"), "{log}");
}

/// Who is banned sees the reason, cannot log in even after a restart, and comes back once unbanned.
#[test]
fn a_ban_lasts() {
    let mut pair = Pair::acquainted();
    let mut bob = pair.bob.follow();
    until("bob is online", || records(&pair.relay, &["users"])[1]["online"].as_bool().filter(|online| *online));
    let _ = admin(&pair.relay, &["ban", "bob", "--reason", "spam and more spam"]).expect(0);
    let line = bob.lines.until(|line| line.contains("\"event\":\"error\""));
    assert!(line.contains("spam and more spam") && line.contains("\"exit\":7"), "{line}");
    pair.relay.kill();
    pair.relay.restart();
    let refused = pair.bob.run(&["recv", "--timeout", "20s"]).expect(7);
    assert!(refused.err.contains("banned") && refused.err.contains("spam and more spam"), "{}", refused.err);
    let shown = admin(&pair.relay, &["users"]).expect(0).out;
    assert!(shown.lines().any(|line| line.starts_with("bob ") && line.ends_with("banned")), "{shown}");
    let _ = pair.alice.run(&["send", "bob", "you are missed"]).expect(0);
    let _ = admin(&pair.relay, &["unban", "bob"]).expect(0);
    assert_eq!(pair.bob.receives(1), ["you are missed"]);
}

/// A name that was lost is freed: its next owner registers, contacts see a changed key and send nothing to it, and who
/// had it before can't come back by the old receipt.
#[test]
fn a_released_name_has_a_changed_key() {
    let pair = Pair::acquainted();
    let _ = admin(&pair.relay, &["release", "bob"]).expect(0);
    let again = tempfile::tempdir().unwrap();
    let next = Person::registered(again.path(), "bob", &pair.relay.address);
    let refused = pair.bob.run(&["recv", "--timeout", "20s"]).expect(7);
    assert!(refused.err.contains("belongs to somebody else"), "{}", refused.err);
    let _ = next.run(&["send", "alice", "it is me, with a new device"]).expect(0);
    until("alice's client has seen the changed key", || {
        let _ = pair.alice.run(&["recv", "--timeout", "2s"]);
        let contacts = pair.alice.json(&["contacts"]).expect(0).events("contact");
        contacts.iter().any(|contact| contact["trust"] == "key_changed").then_some(())
    });
    let refused = pair.alice.run(&["send", "bob", "hello?"]).expect(4);
    assert!(refused.err.contains("sealpost trust"), "{}", refused.err);
}

/// A post that the operator removes is gone from who reads along at that moment and from who comes back, and both say
/// whose doing it was; a room that keeps few posts shows newcomers what is missing.
#[test]
fn an_operator_moderates_a_room() {
    let pair = Pair::new();
    for person in [&pair.alice, &pair.bob] {
        let _ = person.run(&["join", "#lobby"]).expect(0);
    }
    for line in ["first", "something foul", "last"] {
        let _ = pair.alice.run(&["send", "#lobby", line]).expect(0);
    }
    let texts = |person: &Person| person.history("#lobby").into_iter().map(|(_, text)| text).collect::<Vec<_>>();
    until("bob has read them", || {
        let _ = pair.bob.run(&["recv", "--timeout", "20s"]);
        texts(&pair.bob).iter().any(|text| text == "last").then_some(())
    });
    let history = pair.bob.json(&["history", "#lobby"]).expect(0);
    let foul = history.events("message").into_iter().find(|line| line["text"] == "something foul").unwrap();
    let mut reading = Following::start(pair.bob.command(&["--json", "chat"]));
    until("bob is online", || records(&pair.relay, &["users"])[1]["online"].as_bool().filter(|online| *online));
    let done = admin(&pair.relay, &["delete-post", foul["id"].as_str().unwrap()]).expect(0);
    assert!(done.out.contains("removed from #lobby"), "{}", done.out);
    reading.lines.until(|line| line.contains("removed by the relay's operator"));
    reading.kill();
    let gone = |person: &Person| {
        let texts = texts(person);
        !texts.contains(&"something foul".to_owned()) && texts.contains(&"removed by the relay's operator".to_owned())
    };
    assert!(gone(&pair.bob));
    until("alice hears of it when she comes back", || {
        let _ = pair.alice.run(&["recv", "--timeout", "20s"]);
        gone(&pair.alice).then_some(())
    });
    let rooms = &records(&pair.relay, &["rooms"])[0];
    assert_eq!(
        (&rooms["room"], &rooms["members"], &rooms["keeps_posts"]),
        (&"lobby".into(), &2.into(), &10_000.into())
    );
    let kept = admin(&pair.relay, &["room", "retention", "#lobby", "--posts", "2"]).expect(0);
    assert!(kept.out.starts_with("#lobby keeps 2 posts"), "{}", kept.out);
    let carol = Person::registered(pair.folder.path(), "carol", &pair.relay.address);
    until("carol sees what is kept", || {
        let _ = carol.run(&["recv", "--timeout", "20s"]);
        texts(&carol).iter().any(|text| text == "last").then_some(())
    });
    assert!(!texts(&carol).contains(&"first".to_owned()));
    let limits = admin(&pair.relay, &["quota"]).expect(0).out;
    assert!(limits.contains("rooms                   1 of 10000"), "{limits}");
    let set = admin(&pair.relay, &["quota", "bob", "--envelopes", "5000", "--mebibytes", "128"]).expect(0);
    assert_eq!(set.out, "bob: 5000 envelopes and 128 MiB\n");
}

/// An operator's notice is seen at once by who is online and by who was away at the next command that goes online, once
/// each and marked as the operator's; one that was withdrawn is seen by nobody. [RELAY-21] [RELAY-22]
#[test]
fn a_notice_reaches_everybody_once() {
    let pair = Pair::acquainted();
    let mut bob = pair.bob.follow();
    until("bob is online", || records(&pair.relay, &["users"])[1]["online"].as_bool().filter(|online| *online));
    let _ = admin(&pair.relay, &["notice", "moving tonight; back at 9"]).expect(0);
    let line = bob.lines.until(|line| line.contains("\"event\":\"notice\""));
    let notice: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&notice["text"], &notice["v"]), (&"moving tonight; back at 9".into(), &1.into()), "{line}");
    bob.kill();
    let seen = |person: &Person| person.json(&["recv", "--timeout", "20s"]).expect(0).events("notice").len();
    assert_eq!(seen(&pair.bob), 0, "once is enough");
    let shown = pair.alice.run(&["recv", "--timeout", "20s"]).expect(0).out;
    assert!(shown.contains("the relay's operator to everybody: moving tonight; back at 9"), "{shown}");
    assert_eq!(seen(&pair.alice), 0);
    let _ = admin(&pair.relay, &["notice", "never mind"]).expect(0);
    let standing = admin(&pair.relay, &["notice"]).expect(0).out;
    assert!(standing.ends_with(": never mind\n"), "{standing}");
    let _ = admin(&pair.relay, &["notice", "--withdraw"]).expect(0);
    assert_eq!((seen(&pair.alice), seen(&pair.bob)), (0, 0));
    let refused = admin(&pair.relay, &["notice", "\u{1b}[2J"]).expect(2);
    assert!(refused.err.contains("without control characters"), "{}", refused.err);
    assert!(!pair.relay.logged().contains("moving"));
}

/// Another user of the machine can't ask: not past the folder's mode, and not where somebody has opened folder and
/// socket to all.
#[test]
fn another_user_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return sealpost_tests::skip("another_user", "root");
    }
    let pair = Pair::new();
    let open = |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    // The program stands where the other user can reach it.
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("sealpost-relay");
    std::fs::copy(&programs().relay, &program).unwrap();
    open(folder.path(), 0o755);
    open(pair.folder.path(), 0o755);
    let as_nobody = |mut command: Command| {
        command.uid(65_534).gid(65_534).current_dir("/");
        finish(command, "")
    };
    let status = || {
        let mut command = Command::new(&program);
        command.args(["admin", "status", "--data"]).arg(&pair.relay.data);
        as_nobody(command)
    };
    let outcome = status().expect(3);
    assert!(outcome.err.contains("Permission denied") && outcome.err.contains("sudo -u"), "{}", outcome.err);
    let socket = pair.relay.data.join("relay.sock");
    open(&pair.relay.data, 0o755);
    open(&socket, 0o666);
    let outcome = status().expect(3);
    assert!(outcome.err.contains("its mode is 666"), "{}", outcome.err);
    // What does not look at modes is told by the relay itself.
    let talk = "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\nprint(s.recv(4096))";
    let mut python = Command::new("python3");
    python.args(["-c", talk]).arg(&socket);
    let outcome = as_nobody(python).expect(0);
    assert!(outcome.out.contains("only its own user and root may"), "{}", outcome.out);
}
