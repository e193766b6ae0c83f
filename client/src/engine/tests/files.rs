use super::*;
use crate::api::{Kind, Transfer, Way};
use crate::engine::{FileJob, FileNews, FileTrouble, Stamp};
use crate::store::files::Stage;

const PATH: &str = "/home/alice/photo.jpg";
const STAMP: Stamp = Stamp { device: 1, inode: 2, size: 5, modified: (3, 4), changed: (5, 6) };
const HASH: [u8; 32] = [9; 32];

fn send_file(world: &mut World, to: &str) -> CommandId {
    let to = to.to_owned();
    let command = Command::SendFile { to, path: PATH.to_owned(), wait: Wait::Sent, timeout_ms: 30_000, expire: None };
    let id = world.give(0, command);
    world.settle();
    id
}

fn get(world: &mut World, id: Option<&str>, to: Option<&str>) -> CommandId {
    let (id, to) = (id.map(str::to_owned), to.map(str::to_owned));
    let id = world.give(1, Command::Get { id, within: None, to, keep: false, timeout_ms: 30_000 });
    world.settle();
    id
}

/// The only order there is.
fn order(world: &mut World, who: usize) -> FileOrder {
    assert_eq!(world.people[who].orders.len(), 1, "{:?}", world.people[who].orders);
    world.people[who].orders.remove(0)
}

fn news(world: &mut World, who: usize, job: FileJob, news: FileNews) {
    let now = world.now;
    world.engine(who).handle_link(now, LinkEvent::File { job, news });
    world.settle();
}

fn stopped(world: &mut World, who: usize, order: &FileOrder, trouble: FileTrouble) {
    news(world, who, order.job(), FileNews::Stopped(trouble));
}

/// Alice's file is measured and uploaded.
fn uploads(world: &mut World) {
    let measure = order(world, 0);
    assert!(matches!(&measure, FileOrder::Measure { path, .. } if path == PATH), "{measure:?}");
    news(world, 0, measure.job(), FileNews::Measured { size: 5, hash: HASH, stamp: STAMP });
    let upload = order(world, 0);
    assert!(matches!(&upload, FileOrder::Upload { stamp: STAMP, recipient, .. } if recipient.as_str() == "bob"));
    news(world, 0, upload.job(), FileNews::Uploaded { size: 5, hash: HASH });
}

fn announced() -> World {
    let mut world = World::new(&["alice", "bob"]);
    world.send(0, "bob", "hello");
    world.send(1, "alice", "hi");
    world.pass(3_000);
    let sent = send_file(&mut world, "bob");
    uploads(&mut world);
    assert!(world.of(0, sent).contains(&Event::End));
    world.pass(3_000);
    world
}

fn files(world: &mut World, who: usize) -> Vec<Transfer> {
    let events = world.run(who, Command::Files);
    events.into_iter().filter_map(|event| if let Event::Progress(file) = event { Some(file) } else { None }).collect()
}

fn only(world: &mut World, who: usize) -> Transfer {
    files(world, who).pop().unwrap()
}

/// [FILE-9] [FILE-12] a file is announced once the relay has all of it, and nothing is fetched that nobody asked for.
#[test]
fn a_file_is_announced_when_it_is_there() {
    let mut world = World::new(&["alice", "bob"]);
    let sent = send_file(&mut world, "bob");
    let first = |world: &World| world.people[0].orders[0].clone();
    assert!(world.history(0, "bob").is_empty() && matches!(first(&world), FileOrder::Measure { .. }));
    uploads(&mut world);
    world.pass(3_000);
    let told = world.of(0, sent);
    assert!(matches!(told.last(), Some(Event::End)), "{told:?}");
    assert!(told.iter().any(|event| matches!(event, Event::State { state: State::Sent, .. })));
    let [line] = &world.history(1, "alice")[..] else { panic!("one message") };
    assert_eq!((line.kind, line.text.as_raw(), line.state), (Kind::File, "photo.jpg", State::Received));
    let file = line.file.clone().unwrap();
    assert_eq!((file.state, file.size, file.incoming), (Way::Offered, 5, true));
    world.recv(1);
    world.pass(24 * 3_600_000);
    assert!(world.people[1].orders.is_empty(), "{:?}", world.people[1].orders);
    assert_eq!(only(&mut world, 0).state, Way::Done);
}

/// [FILE-9] what was sealed is not what was measured, or changed meanwhile: nobody is told of it but the sender, and the same command
/// begins anew, [FILE-1] under another id and key.
#[test]
fn a_file_that_changes_is_not_announced() {
    let mut world = World::new(&["alice", "bob"]);
    let mut ids = Vec::new();
    for news_of in [
        FileNews::Uploaded { size: 5, hash: [8; 32] },
        FileNews::Uploaded { size: 6, hash: HASH },
        FileNews::Stopped(FileTrouble::Changed),
    ] {
        let sent = send_file(&mut world, "bob");
        let measure = order(&mut world, 0);
        news(&mut world, 0, measure.job(), FileNews::Measured { size: 5, hash: HASH, stamp: STAMP });
        let FileOrder::Upload { job, pointer, .. } = order(&mut world, 0) else { panic!("it uploads") };
        assert!(!ids.contains(&(pointer.blob, pointer.key)));
        ids.push((pointer.blob, pointer.key));
        news(&mut world, 0, job, news_of);
        let told = world.of(0, sent);
        assert_eq!(error_of(&told), Some(ErrorCode::Failed), "{told:?}");
        assert!(told.contains(&Event::End));
    }
    world.pass(60_000);
    assert!(world.history(0, "bob").is_empty() && world.history(1, "alice").is_empty());
    assert!(files(&mut world, 0).iter().all(|file| file.state == Way::Failed));
}

/// The same command goes on with what is not finished, also after a restart; where the link breaks it goes on by itself.
#[test]
fn a_file_goes_on() {
    let mut world = World::new(&["alice", "bob"]);
    send_file(&mut world, "bob");
    let measure = order(&mut world, 0);
    news(&mut world, 0, measure.job(), FileNews::Measured { size: 5, hash: HASH, stamp: STAMP });
    let FileOrder::Upload { job, pointer, .. } = order(&mut world, 0) else { panic!("it uploads") };
    news(&mut world, 0, job, FileNews::Moved { done: 3 });
    assert_eq!((only(&mut world, 0).state, only(&mut world, 0).done), (Way::Moving, 3));
    news(&mut world, 0, job, FileNews::Stopped(FileTrouble::Link(Failure::Unknown)));
    assert!(world.people[0].orders.is_empty(), "not at once");
    world.pass(2_000);
    let again = order(&mut world, 0);
    assert!(matches!(&again, FileOrder::Upload { pointer: other, .. } if *other == pointer));
    // What the earlier order says does not count any more.
    news(&mut world, 0, job, FileNews::Uploaded { size: 5, hash: HASH });
    assert!(world.history(0, "bob").is_empty());
    world.restart(0);
    world.people[0].orders.clear();
    world.give(0, Command::Status);
    world.pass(60_000);
    assert!(world.people[0].orders.is_empty(), "nobody asked for it and nobody watches");
    let sent = send_file(&mut world, "bob");
    let resumed = order(&mut world, 0);
    assert!(matches!(&resumed, FileOrder::Upload { pointer: other, .. } if *other == pointer));
    news(&mut world, 0, resumed.job(), FileNews::Uploaded { size: 5, hash: HASH });
    assert!(world.of(0, sent).contains(&Event::End));
    assert_eq!(files(&mut world, 0).len(), 1);
    // Who watches need not ask.
    send_file(&mut world, "bob");
    world.restart(0);
    world.people[0].orders.clear();
    world.give(0, Command::Subscribe);
    world.settle();
    assert!(matches!(order(&mut world, 0), FileOrder::Measure { .. }));
}

/// Who waits for a file waits as long as it moves, and hears how far it came when it does not.
#[test]
fn patience_begins_anew_when_it_moves() {
    let mut world = World::new(&["alice", "bob"]);
    let sent = send_file(&mut world, "bob");
    let measure = order(&mut world, 0);
    for second in 0..10 {
        news(&mut world, 0, measure.job(), FileNews::Moved { done: second });
        world.pass(20_000);
    }
    assert!(!world.of(0, sent).contains(&Event::End));
    world.pass(11_000);
    let told = world.of(0, sent);
    assert_eq!(error_of(&told), Some(ErrorCode::Waiting), "{told:?}");
    assert_eq!(only(&mut world, 0).state, Way::Reading, "it goes on all the same");
}

/// [FILE-13] [FILE-11] what was fetched is told with its place, and the relay is asked to remove it, again where it did not hear.
#[test]
fn a_fetched_file_is_dropped_at_the_relay() {
    let mut world = announced();
    let id = world.history(1, "alice").pop().unwrap().id;
    let got = get(&mut world, Some(&id[..6]), Some("/tmp/x"));
    let FileOrder::Fetch { job, pointer, to } = order(&mut world, 1) else { panic!("it fetches") };
    assert_eq!((to.as_deref(), pointer.size, pointer.hash), (Some("/tmp/x"), 5, HASH));
    world.go_offline(1);
    news(&mut world, 1, job, FileNews::Saved { path: "/tmp/x".to_owned() });
    let told = world.of(1, got);
    assert!(matches!(told.last(), Some(Event::End)) && error_of(&told).is_none());
    assert!(world.relay.dropped.is_empty());
    world.come_back(1);
    assert_eq!(world.relay.dropped, [pointer.blob]);
    let file = only(&mut world, 1);
    assert_eq!((file.state, file.path.as_deref()), (Way::Done, Some("/tmp/x")));
    // It is there: fetched again it is not, elsewhere neither.
    let again = get(&mut world, Some(&id), None);
    assert_eq!(error_of(&world.of(1, again)), None);
    let elsewhere = get(&mut world, Some(&id), Some("/tmp/y"));
    assert_eq!(error_of(&world.of(1, elsewhere)), Some(ErrorCode::NoSuchFile));
    assert!(world.people[1].orders.is_empty());
}

/// Who asks for a file at once need not have read of it: the mailbox is drained first. What is not in it either is not there, and
/// said so then.
#[test]
fn what_waits_in_the_mailbox_can_be_fetched() {
    let mut world = World::new(&["alice", "bob"]);
    world.go_offline(1);
    send_file(&mut world, "bob");
    uploads(&mut world);
    let got = get(&mut world, None, None);
    assert_eq!(error_of(&world.of(1, got)), None, "the mailbox is not read yet");
    world.come_back(1);
    world.pass(3_000);
    assert!(matches!(order(&mut world, 1), FileOrder::Fetch { .. }));
    let other = get(&mut world, Some("abcdef"), None);
    assert_eq!(error_of(&world.of(1, other)), Some(ErrorCode::NoSuchFile), "it is drained by now");

    world.go_offline(1);
    world.relay.up = false;
    let never = get(&mut world, Some("abcdef"), None);
    let now = world.now;
    world.engine(1).handle_link(now, LinkEvent::Disconnected(Failure::Unreachable("down".into())));
    world.settle();
    assert_eq!(error_of(&world.of(1, never)), Some(ErrorCode::Unreachable), "{:?}", world.of(1, never));
}

/// The same command with another expiry goes on with the same file, which expires as was said last.
#[test]
fn a_file_expires_as_was_said_last() {
    let mut world = World::new(&["alice", "bob"]);
    send_file(&mut world, "bob");
    let again = |expire| Command::SendFile {
        to: "bob".into(),
        path: PATH.into(),
        wait: Wait::Sent,
        timeout_ms: 30_000,
        expire,
    };
    for (said, kept) in [(Some(60), Some(60)), (None, Some(60)), (Some(90), Some(90))] {
        world.give(0, again(said));
        world.settle();
        let rows = world.engine(0).rows().files().unwrap();
        assert_eq!(rows.iter().map(|row| row.expire).collect::<Vec<_>>(), [kept]);
    }
}

/// What can't be fetched says why, with the exit code of its kind; a second command for the same file joins the first.
#[test]
fn what_can_not_be_fetched_says_why() {
    let mut world = announced();
    let refused = |refusal| FileTrouble::Link(Failure::Refused(refusal));
    for (trouble, code) in [
        (FileTrouble::Damaged, ErrorCode::Failed),
        (FileTrouble::Full, ErrorCode::Failed),
        (FileTrouble::Taken("/tmp/x".to_owned()), ErrorCode::Usage),
        (FileTrouble::Unwritable("no".to_owned()), ErrorCode::Failed),
        (refused(Refusal::QuotaReached { limit: 1 }), ErrorCode::Refused),
        (refused(Refusal::NoSuchBlob), ErrorCode::NoSuchFile),
    ] {
        let first = get(&mut world, None, None);
        let second = get(&mut world, None, None);
        let fetch = order(&mut world, 1);
        stopped(&mut world, 1, &fetch, trouble);
        for command in [first, second] {
            assert_eq!(error_of(&world.of(1, command)), Some(code));
        }
        world.step(1, |engine| {
            let mut row = engine.rows().files()?.pop().unwrap();
            row.stage = Stage::Offered;
            engine.rows().put_file(&row)
        });
    }
    let missing = get(&mut world, Some("abcd"), None);
    assert_eq!(error_of(&world.of(1, missing)), Some(ErrorCode::NoSuchFile));
    // A blob waits for 30 days.
    world.pass(31 * 24 * 3_600_000);
    assert_eq!(only(&mut world, 1).state, Way::Failed);
}

/// A file ends with its message: it is not fetched any further, what was fetched of it goes, and so does what is at the relay.
#[test]
fn a_file_ends_with_its_message() {
    let mut world = announced();
    let id = world.history(0, "bob").pop().unwrap().id;
    get(&mut world, None, None);
    let FileOrder::Fetch { job, pointer, .. } = order(&mut world, 1) else { panic!("it fetches") };
    let edited = Command::Edit { id: Some(id.clone()), within: None, text: "another name".to_owned() };
    assert_eq!(error_of(&world.run(0, edited)), Some(ErrorCode::Usage));
    world.run(0, Command::Delete { id: Some(id), within: None });
    world.pass(3_000);
    let expected = [FileOrder::Stop { job }, FileOrder::Forget { blob: pointer.blob, to: None }];
    assert_eq!(world.people[1].orders, expected);
    assert_eq!(world.relay.dropped, [pointer.blob]);
    assert!(files(&mut world, 0).is_empty() && files(&mut world, 1).is_empty());
    assert_eq!(world.history(1, "alice").pop().unwrap().kind, Kind::Removed);
    let gone = get(&mut world, None, None);
    assert_eq!(error_of(&world.of(1, gone)), Some(ErrorCode::NoSuchFile));
}

/// A file goes to a person whose key stands: not to a room, not to oneself, not to a changed key.
#[test]
fn files_go_to_people() {
    let mut world = World::new(&["alice", "bob"]);
    for (to, code) in [("#lobby", ErrorCode::Usage), ("alice", ErrorCode::Usage), ("b o b", ErrorCode::Usage)] {
        let sent = send_file(&mut world, to);
        assert_eq!(error_of(&world.of(0, sent)), Some(code), "{to}");
    }
    world.send(0, "bob", "hello");
    let sent = send_file(&mut world, "bob");
    let measure = order(&mut world, 0);
    news(&mut world, 0, measure.job(), FileNews::Measured { size: 5, hash: HASH, stamp: STAMP });
    let upload = order(&mut world, 0);
    world.step(0, |engine| {
        let name = "bob".parse().unwrap();
        let contact = engine.contact_mut(&name).unwrap();
        contact.account = Some(sealpost_spec::account::AccountKey([7; 32]));
        Ok(())
    });
    news(&mut world, 0, upload.job(), FileNews::Uploaded { size: 5, hash: HASH });
    assert_eq!(error_of(&world.of(0, sent)), Some(ErrorCode::KeyChanged));
    assert!(!world.history(0, "bob").iter().any(|line| line.kind == Kind::File));
}

/// [FILE-14] a hostile pointer: a name without end is cut, and a size that no blob has announces nothing.
#[test]
fn hostile_pointers_do_no_harm() {
    let mut world = announced();
    let pointer = |size, name: String| sealpost_spec::message::FilePointer {
        blob: sealpost_spec::attachment::BlobId([1; 16]),
        name,
        size,
        hash: HASH,
        key: [1; 32],
    };
    for (size, name) in [(u64::MAX, "a".to_owned()), (1, format!("../../{}", "\u{202e}".repeat(4_096)))] {
        let say = crate::engine::say::Say::file(pointer(size, name), None);
        world.step(0, |engine| {
            let name = "bob".parse().unwrap();
            engine.queue(&name, &say)?;
            engine.pump(&name)
        });
    }
    world.pass(3_000);
    let shown: Vec<_> = world.history(1, "alice").into_iter().filter(|line| line.kind == Kind::File).collect();
    assert_eq!(shown.len(), 2, "the first one, and the long name");
    assert_eq!(shown[1].text.as_raw().chars().count(), 255);
    assert!(shown[1].file.as_ref().unwrap().name.on_one_line().contains("<U+202E>"));
}

/// No more than a few files move at once; the others follow.
#[test]
fn few_files_move_at_once() {
    let mut world = World::new(&["alice", "bob"]);
    for number in 0..10 {
        let path = format!("/home/alice/{number}");
        let to = "bob".to_owned();
        world.give(0, Command::SendFile { to, path, wait: Wait::Sent, timeout_ms: 30_000, expire: None });
    }
    world.settle();
    assert_eq!(world.people[0].orders.len(), 4);
    let first = world.people[0].orders.remove(0);
    stopped(&mut world, 0, &first, FileTrouble::Unreadable("there is no such file".to_owned()));
    assert_eq!(world.people[0].orders.len(), 4);
}

fn cancel(world: &mut World, who: usize, id: &str) -> Vec<Event> {
    world.run(who, Command::Cancel { id: id.to_owned() })
}

/// What is to be sent and was cancelled is announced to nobody, and whoever waits for it hears of it; the same command begins anew.
#[test]
fn a_file_that_was_cancelled_is_not_sent() {
    let mut world = World::new(&["alice", "bob"]);
    let sent = send_file(&mut world, "bob");
    let measure = order(&mut world, 0);
    news(&mut world, 0, measure.job(), FileNews::Measured { size: 5, hash: HASH, stamp: STAMP });
    let upload = order(&mut world, 0);
    let id = only(&mut world, 0).id;
    let answer = cancel(&mut world, 0, &id[..8]);
    assert!(matches!(&answer[0], Event::Progress(file) if file.id == id && file.state == Way::Failed), "{answer:?}");
    assert_eq!(order(&mut world, 0), FileOrder::Stop { job: upload.job() });
    assert_eq!(error_of(&world.of(0, sent)), Some(ErrorCode::Interrupted));
    news(&mut world, 0, upload.job(), FileNews::Uploaded { size: 5, hash: HASH });
    world.pass(10_000);
    world.restart(0);
    world.run(0, Command::Subscribe);
    world.pass(10_000);
    assert!(world.people[0].orders.is_empty() && world.history(0, "bob").is_empty());
    assert_eq!(only(&mut world, 0).trouble.as_deref(), Some("the file was cancelled"));
    assert_eq!(error_of(&cancel(&mut world, 0, &id)), Some(ErrorCode::Usage), "it is not on its way any more");

    send_file(&mut world, "bob");
    uploads(&mut world);
    assert_eq!(world.history(0, "bob").len(), 1);
}

/// What is fetched and was cancelled leaves nothing behind, and is offered as before.
#[test]
fn a_file_that_was_cancelled_can_be_fetched_later() {
    let mut world = announced();
    let id = only(&mut world, 1).id;
    for refused in [&id[..3], "0000000000000000", "no id"] {
        assert!(error_of(&cancel(&mut world, 1, refused)).is_some(), "{refused}");
    }
    assert_eq!(error_of(&cancel(&mut world, 1, &id)), Some(ErrorCode::Usage), "nobody fetches it");
    let fetched = get(&mut world, None, Some("/tmp/photo.jpg"));
    let fetch = order(&mut world, 1);
    news(&mut world, 1, fetch.job(), FileNews::Moved { done: 3 });
    cancel(&mut world, 1, &id);
    let FileOrder::Fetch { pointer, .. } = &fetch else { panic!("{fetch:?}") };
    let forget = FileOrder::Forget { blob: pointer.blob, to: Some("/tmp/photo.jpg".to_owned()) };
    assert_eq!(std::mem::take(&mut world.people[1].orders), [FileOrder::Stop { job: fetch.job() }, forget]);
    assert_eq!(error_of(&world.of(1, fetched)), Some(ErrorCode::Interrupted));
    let offered = only(&mut world, 1);
    assert_eq!((offered.state, offered.done, offered.path), (Way::Offered, 0, None));
    world.restart(1);
    world.run(1, Command::Subscribe);
    world.pass(10_000);
    assert!(world.people[1].orders.is_empty(), "nobody asked for it again");
    get(&mut world, None, None);
    assert!(matches!(order(&mut world, 1), FileOrder::Fetch { to: None, .. }));
}
