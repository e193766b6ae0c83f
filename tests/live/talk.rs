//! Two people talk.

use std::process::Stdio;

use sealpost_tests::processes::{Person, RelayProcess, finish, until};

use super::Pair;

/// Both write, both read, and both histories hold the same messages under the same ids.
#[test]
fn a_conversation_goes_both_ways() {
    let pair = Pair::new();
    let Pair { alice, bob, .. } = &pair;
    let sent = alice.json(&["send", "bob", "hello bob"]).expect(0);
    let id = sent.events("queued")[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(id.len(), 32, "{id}");

    let received = bob.json(&["recv", "--timeout", "20s"]).expect(0);
    let messages = received.events("message");
    assert_eq!(messages.len(), 1, "{}", received.out);
    let message = &messages[0];
    assert_eq!(
        (&message["v"], &message["id"], &message["conversation"], &message["from"], &message["text"]),
        (&1.into(), &id.as_str().into(), &"@alice".into(), &"@alice".into(), &"hello bob".into())
    );
    assert_eq!(message["verified"], false);
    assert_eq!(bob.json(&["recv", "--timeout", "1s"]).expect(0).events("message").len(), 0, "given once");

    let _ = bob.run(&["send", "@alice", "hello", "alice"]).expect(0);
    assert_eq!(alice.receives(1), ["hello alice"]);

    let ids = |person: &Person, with| -> Vec<_> {
        let lines = person.json(&["history", with]).expect(0).events("message");
        lines.iter().map(|line| (line["id"].clone(), line["from"].clone(), line["text"].clone())).collect()
    };
    let (mut left, mut right) = (ids(alice, "bob"), ids(bob, "@alice"));
    left.sort_by_key(|line| line.0.to_string());
    right.sort_by_key(|line| line.0.to_string());
    assert_eq!(left, right);
    assert_eq!(left.len(), 2);
}

/// Text comes from standard input too, of several lines and in any script.
#[test]
fn text_comes_from_standard_input() {
    let pair = Pair::new();
    let Pair { alice, bob, .. } = &pair;
    let text = "первая строка\n第二行 👩‍👩‍👧‍👦\nand a third\n";
    let _ = finish(alice.command(&["send", "bob"]), text).expect(0);
    assert_eq!(bob.receives(1)[0].trim_end(), text.trim_end());
}

/// While `recv --follow` holds the profile, other commands go through it, and what arrives is printed at once.
#[test]
fn a_second_command_goes_through_the_holder() {
    let pair = Pair::acquainted();
    let Pair { alice, bob, .. } = &pair;
    let mut following = bob.follow();
    let _ = alice.run(&["send", "bob", "are you there?", "--wait", "delivered"]).expect(0);
    assert_eq!(following.message()["text"], "are you there?");
    let _ = bob.run(&["send", "alice", "I am"]).expect(0);
    let _ = bob.run(&["send", "alice", "and stay"]).expect(0);
    assert_eq!(alice.receives(2), ["I am", "and stay"]);
    assert_eq!(bob.history("alice").len(), 5);
    let _ = alice.run(&["send", "bob", "good"]).expect(0);
    until("the follower goes on", || (following.message()["text"] == "good").then_some(()));
}

/// A contact link makes its owner verified from the first message on; the safety number is the same on both sides, and
/// marking it with another number is refused.
#[test]
fn people_verify_each_other() {
    let pair = Pair::new();
    let Pair { alice, bob, .. } = &pair;
    let link = bob.json(&["me"]).expect(0).events("me")[0]["link"].as_str().unwrap().to_owned();
    let _ = alice.run(&["add", &link]).expect(0);
    let _ = alice.run(&["send", "bob", "hello"]).expect(0);
    assert_eq!(bob.receives(1), ["hello"]);
    let _ = bob.run(&["send", "alice", "hi"]).expect(0);
    let hi = alice.json(&["recv", "--timeout", "20s"]).expect(0);
    assert_eq!(hi.events("message")[0]["verified"], true);
    assert_eq!(hi.events("message")[0]["trust"], "verified");

    let number = |person: &Person, name| {
        let shown = person.json(&["verify", name]).expect(0);
        shown.events("safety")[0]["number"].as_str().unwrap().to_owned()
    };
    let mine = number(bob, "alice");
    assert_eq!(mine, number(alice, "bob"));
    let digits: String = mine.chars().filter(char::is_ascii_digit).collect();
    assert_eq!(digits.len(), 60, "{mine}");
    let mut wrong = digits.clone();
    let last = wrong.pop().unwrap();
    wrong.push(if last == '0' { '1' } else { '0' });
    let _ = bob.run(&["verify", "alice", "--mark", &wrong]).expect(4);
    assert_eq!(bob.json(&["contacts"]).expect(0).events("contact")[0]["trust"], "unverified");
    let _ = bob.run(&["verify", "alice", "--mark", &mine]).expect(0);
    assert_eq!(bob.json(&["contacts"]).expect(0).events("contact")[0]["trust"], "verified");
}

/// [ROOM-8] [ROOM-9] `#lobby` is there from the start, `/join` makes others, newcomers get the history.
#[test]
fn rooms_are_public_and_remembered() {
    let pair = Pair::new();
    let Pair { relay, alice, bob, folder } = &pair;
    let _ = alice.run(&["join", "#lobby"]).expect(0);
    let _ = alice.run(&["send", "#lobby", "first!"]).expect(0);
    let _ = alice.run(&["join", "#garden"]).expect(0);
    let _ = alice.run(&["send", "#garden", "tulips"]).expect(0);
    let _ = bob.run(&["join", "#garden"]).expect(0);
    let texts = |person: &Person, room: &str, count: usize| {
        until(&format!("{} sees {count} posts in {room}", person.name), || {
            // Every command that goes online first drains what there is.
            let _ = person.json(&["recv", "--timeout", "5s"]).expect(0);
            let lines = person.json(&["history", room]).expect(0).events("message");
            let texts: Vec<String> = lines
                .iter()
                .filter(|line| line["kind"] == "text")
                .map(|line| line["text"].as_str().unwrap().to_owned())
                .collect();
            (texts.len() == count).then_some(texts)
        })
    };
    assert_eq!(texts(bob, "#garden", 1), ["tulips"]);
    let _ = bob.run(&["send", "#garden", "roses"]).expect(0);
    assert_eq!(texts(alice, "#garden", 2), ["tulips", "roses"]);
    let carol = Person::registered(folder.path(), "carol", &relay.address);
    let _ = carol.run(&["join", "#garden"]).expect(0);
    assert_eq!(texts(&carol, "#garden", 2), ["tulips", "roses"]);
    let who = carol.json(&["who", "#garden"]).expect(0);
    let mut names: Vec<String> =
        who.events("presence").iter().map(|line| line["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names, ["@alice", "@bob", "@carol"]);
    let rooms = carol.json(&["rooms"]).expect(0);
    assert!(rooms.events("room").iter().any(|line| line["name"] == "#garden" && line["members"] == 3), "{}", rooms.out);
    let _ = alice.run(&["leave", "#garden"]).expect(0);
    let who = carol.json(&["who", "#garden"]).expect(0);
    assert_eq!(who.events("presence").len(), 2, "{}", who.out);
}

/// `chat` in a pipe: slash commands in, events out, and it ends with its input.
#[test]
fn chat_works_in_a_pipe() {
    let pair = Pair::acquainted();
    let Pair { alice, bob, .. } = &pair;
    let chat = finish(alice.command(&["--json", "chat"]), "/dm bob one\n/dm bob //two\n").expect(0);
    assert!(!chat.events("queued").is_empty(), "{}", chat.out);
    assert_eq!(bob.receives(2), ["one", "//two"]);
}

/// A closed pipe is no error: `sealpost history bob | head -1`.
#[test]
fn a_closed_pipe_is_no_error() {
    let pair = Pair::acquainted();
    let Pair { alice, bob, .. } = &pair;
    let lines: String = (0..30).map(|i| format!("/dm bob line {i}\n")).collect();
    let _ = finish(alice.command(&["chat"]), &lines).expect(0);
    let _ = bob.receives(30);
    let mut history = bob.command(&["history", "alice"]);
    let mut child = history.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The reader is gone before the first line is written: what `head` does, at the worst moment.
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?} {complaints}", output.status);
    assert_eq!(complaints, "");
    let _ = RelayProcess::program(&["--help"]).expect(0);
}

/// What one does with a message afterwards: answer, react, edit, delete; in a conversation and in a room, as commands and
/// in `chat`. Both histories show the same in the end, and programs get an event of each.
#[test]
fn messages_are_answered_and_changed() {
    let pair = Pair::acquainted();
    let Pair { alice, bob, .. } = &pair;
    let _ = bob.run(&["join", "#lobby"]).expect(0);
    let id_of = |person: &Person, with: &str, text: &str| {
        let _ = person.json(&["recv", "--timeout", "20s"]).expect(0);
        let lines = person.json(&["history", with]).expect(0).events("message");
        let line = lines.iter().find(|line| line["text"] == text);
        line.unwrap_or_else(|| panic!("{lines:?}"))["id"].as_str().unwrap().to_owned()
    };
    for (to, from) in [("bob", "alice"), ("#lobby", "#lobby")] {
        let _ = alice.run(&["send", to, "see you at ate"]).expect(0);
        let id = id_of(bob, from, "see you at ate");
        let _ = bob.run(&["reply", &id, "at", "eight?"]).expect(0);
        let _ = bob.run(&["react", &id[20..], "👍"]).expect(0);
        let mut following = bob.follow();
        let _ = alice.run(&["edit", "--in", to, "see", "you", "at", "eight"]).expect(0);
        let edit = following.event("edit");
        assert_eq!((&edit["target"], &edit["text"]), (&id.as_str().into(), &"see you at eight".into()));
        let open = if to.starts_with('#') { "/join" } else { "/query" };
        let typed = format!("{open} {to}\noops\n/edit corrected in chat\n");
        let _ = finish(alice.command(&["chat"]), &typed).expect(0);
        assert_eq!(following.event("edit")["text"], "corrected in chat");
        let _ = alice.run(&["send", to, "regrettable"]).expect(0);
        let regrettable = id_of(alice, to, "regrettable");
        let _ = alice.run(&["delete", &regrettable]).expect(0);
        let delete = following.event("delete");
        assert_eq!(delete["target"], regrettable.as_str());
        drop(following);
        for (person, with) in [(alice, to), (bob, from)] {
            let _ = person.json(&["recv", "--timeout", "20s"]).expect(0);
            let lines = person.json(&["history", with]).expect(0).events("message");
            let line = |wanted: &str| lines.iter().find(|line| line["id"] == wanted).unwrap();
            let edited = line(&id);
            assert_eq!((&edited["text"], &edited["edited"]), (&"see you at eight".into(), &true.into()));
            assert_eq!(edited["reactions"][0]["emoji"], "👍");
            assert_eq!(line(&regrettable)["kind"], "removed");
            let reply = lines.iter().find(|line| line["kind"] == "reply").unwrap();
            assert_eq!((&reply["target"], &reply["text"]), (&id.as_str().into(), &"at eight?".into()));
        }
        let _ = bob.run(&["edit", &id, "never"]).expect(2);
        let _ = bob.run(&["delete", "00000000"]).expect(6);
    }
}

/// Strangers are kept apart until one answers, accepts or refuses them; what is unread is counted.
#[test]
fn conversations_are_listed_accepted_and_refused() {
    let pair = Pair::new();
    let Pair { relay, alice, bob, folder } = &pair;
    let listed = |person: &Person, name: &str| {
        let lines = person.json(&["conversations"]).expect(0).events("conversation");
        lines.into_iter().find(|line| line["name"] == name)
    };
    let _ = alice.run(&["send", "bob", "hello @bob"]).expect(0);
    let carol = Person::registered(folder.path(), "carol", &relay.address);
    let _ = carol.run(&["send", "bob", "buy my coins"]).expect(0);
    let told = until("both have come", || {
        let _ = bob.json(&["status"]).expect(0);
        listed(bob, "@alice").zip(listed(bob, "@carol"))
    });
    assert_eq!((&told.0["request"], &told.0["unread"], &told.0["mentions"]), (&true.into(), &1.into(), &1.into()));
    let _ = bob.run(&["refuse", "carol"]).expect(0);
    let _ = bob.run(&["accept", "alice"]).expect(0);
    let _ = bob.run(&["mute", "alice"]).expect(0);
    let _ = bob.run(&["draft", "alice", "well", "well"]).expect(0);
    let _ = bob.run(&["read", "alice"]).expect(0);
    assert_eq!(listed(bob, "@carol"), None);
    let line = listed(bob, "@alice").unwrap();
    assert_eq!((&line["request"], &line["unread"], &line["muted"]), (&false.into(), &0.into(), &true.into()));
    assert_eq!((&line["draft"], &line["last"]["text"]), (&"well well".into(), &"hello @bob".into()));
    let shown = bob.run(&["conversations"]).expect(0);
    assert!(shown.out.contains("muted, a draft") && shown.out.contains("draft: well well"), "{}", shown.out);
}

/// Messages that are to go are gone on both sides once they were read, a timer is told to both, and who wants it tells
/// what they have read.
#[test]
fn messages_expire_and_are_read() {
    let pair = Pair::acquainted();
    let Pair { alice, bob, .. } = &pair;
    let settings = bob.json(&["settings", "--read-receipts", "on"]).expect(0);
    assert_eq!(settings.events("settings")[0]["read_receipts"], true);
    let mut following = bob.follow();
    let read = alice.json(&["send", "bob", "did you see this?", "--wait", "read"]).expect(0);
    assert!(read.events("receipt").iter().any(|line| line["state"] == "read"), "{}", read.out);
    assert_eq!(following.message()["text"], "did you see this?");
    let _ = alice.run(&["send", "bob", "burn after reading", "--expire", "1s"]).expect(0);
    let burning = following.message();
    assert_eq!(burning["text"], "burn after reading");
    assert!(burning["expires_at"].is_string(), "{burning}");
    let shown = |person: &Person, with| person.history(with).iter().any(|(_, text)| text == "burn after reading");
    until("both copies are gone", || {
        let _ = alice.run(&["recv", "--timeout", "1s"]).expect(0);
        (!shown(alice, "bob") && !shown(bob, "alice")).then_some(())
    });
    let _ = alice.run(&["expire", "bob", "1h"]).expect(0);
    until("bob is told", || {
        let lines = bob.json(&["history", "alice"]).expect(0).events("message");
        lines.into_iter().find(|line| line["kind"] == "timer" && line["from"] == "@alice")
    });
    let _ = bob.run(&["expire", "#lobby", "1h"]).expect(2);
}
