use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use sealpost_spec::relay::{LinkKind, Refusal};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::client::Conversation;
use super::socket::{Socket, SocketError};
use super::*;
use crate::Relay;
use crate::answer::tests::{Person, link, relay};
use crate::metrics::METRICS;
use crate::store::Memory;

/// A relay whose operator may ask.
struct Asked {
    folder: TempDir,
    relay: Arc<Relay<Memory>>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Asked {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let relay = Arc::new(relay(|_| {}));
        let (stop, stopping) = watch::channel(false);
        let socket = Socket::bind(folder.path(), None).unwrap();
        let serving = tokio::spawn(socket.serve(Arc::clone(&relay), stopping));
        Self { folder, relay, stop, serving }
    }

    async fn connect(&self) -> BufReader<UnixStream> {
        BufReader::new(UnixStream::connect(self.folder.path().join(socket::NAME)).await.unwrap())
    }

    /// As the program asks, from a thread of its own.
    async fn ask(&self, command: Command) -> Result<Vec<Record>, Trouble> {
        let data = self.folder.path().to_owned();
        let asked = tokio::task::spawn_blocking(move || {
            let mut records = Vec::new();
            Conversation::open(&data)?.ask(&command, |line| records.push(line.record))?;
            Ok(records)
        });
        asked.await.unwrap()
    }
}

async fn next(stream: &mut BufReader<UnixStream>) -> Line {
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    serde_json::from_str(&line).unwrap()
}

fn error(line: Line) -> Trouble {
    match line.record {
        Record::Error(trouble) => trouble,
        other => panic!("an error, not {other:?}"),
    }
}

/// The relay tells how it is, and who is there, page by page, over a socket that is its owner's alone.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_is_answered() {
    let asked = Asked::new();
    let mode = std::fs::metadata(asked.folder.path().join(socket::NAME)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (alice, _) = Person::new("alice", 10).register(&asked.relay);
    let _bob = Person::new("bob", 20).register(&asked.relay);
    let _anonymous = link(&asked.relay, LinkKind::Anonymous);
    METRICS.store.held.add(1_000);
    let status = asked.ask(Command::Status).await.unwrap();
    METRICS.store.held.add(-1_000);
    let [Record::Status(status)] = status.as_slice() else { panic!("{status:?}") };
    assert!(status.held >= 1_000 && status.to_string().contains(&format!(", {} not written yet", status.held)));
    assert_eq!((status.accounts, status.rooms), (2, 1));
    assert_eq!((status.authenticated_links, status.anonymous_links), (2, 1));
    assert_eq!(status.store, "07".repeat(16));
    drop(alice);
    let users = asked.ask(Command::Users { after: None }).await.unwrap();
    let online = |record: &Record| match record {
        Record::User(user) => (user.name.to_string(), user.devices, user.online),
        other => panic!("a user, not {other:?}"),
    };
    let users: Vec<_> = users.iter().map(online).collect();
    assert_eq!(users, [("alice".to_owned(), 1, false), ("bob".to_owned(), 1, true)]);
    let after = Some("alice".parse().unwrap());
    assert_eq!(asked.ask(Command::Users { after }).await.unwrap().len(), 1);
}

/// Who is kicked is told why, and does nothing more on that link; who is not there can't be.
#[tokio::test(flavor = "multi_thread")]
async fn a_kick_ends_links_with_its_reason() {
    let asked = Asked::new();
    let (alice, _) = Person::new("alice", 10).register(&asked.relay);
    let reason: Words = "too loud".parse().unwrap();
    let kick = |name: &str| Command::Kick { name: name.parse().unwrap(), reason: reason.clone() };
    let done = asked.ask(kick("alice")).await.unwrap();
    assert_eq!(done, [Record::Done { text: "alice: 1 link ended".to_owned() }]);
    assert_eq!(alice.ended(), Some(Refusal::Kicked { reason: "too loud".to_owned() }));
    alice.bell().rung().await;
    let again = asked.ask(kick("alice")).await.unwrap_err();
    assert!(again.error.contains("not connected") && again.advice.contains("admin ban alice"), "{again:?}");
    let nobody = asked.ask(kick("nobody")).await.unwrap_err();
    assert!(nobody.error.contains("nobody is called nobody") && nobody.exit == 1, "{nobody:?}");
}

/// A line that is no command is answered with what is wrong about it, and the next one is served.
#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_line_is_explained_and_costs_nothing() {
    let asked = Asked::new();
    let mut stream = asked.connect().await;
    for (line, cause) in [
        ("", "EOF"),
        ("hello", "expected"),
        ("{\"command\":\"kik\"}", "unknown variant"),
        ("{\"command\":\"kick\",\"name\":\"Bob\"}", "a name has"),
        ("{\"command\":\"kick\",\"name\":\"bob\",\"reson\":\"x\"}", "unknown field"),
        ("{\"command\":\"kick\",\"name\":\"bob\",\"reason\":\"\\u001b[2J\"}", "control characters"),
    ] {
        stream.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        let trouble = error(next(&mut stream).await);
        assert!(trouble.cause.contains(cause) && trouble.exit == 2, "{line}: {trouble:?}");
    }
    // Two at once are answered one after the other.
    stream.write_all(b"{\"command\":\"status\"}\n{\"command\":\"users\"}\n").await.unwrap();
    assert!(matches!(next(&mut stream).await.record, Record::Status(_)));
    assert_eq!(next(&mut stream).await.record, Record::End);
    assert_eq!(next(&mut stream).await.record, Record::End);
}

/// A line without end is refused once it is too long, however much of it there is, and half a line asks nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_is_bounded() {
    let asked = Asked::new();
    let mut stream = asked.connect().await;
    stream.write_all(&vec![b' '; MAX_LINE + 1]).await.unwrap();
    let trouble = error(next(&mut stream).await);
    assert!(trouble.error.contains("too long"), "{trouble:?}");
    assert_eq!(stream.read_u8().await.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof, "it is closed");
    let mut half = asked.connect().await;
    half.write_all(b"{\"command\":\"status\"}").await.unwrap();
    half.shutdown().await.unwrap();
    assert_eq!(half.read_u8().await.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
}

/// Connections beyond a few are turned away with a reason, those before them go on, and a freed place serves again.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_is_turned_away() {
    let asked = Asked::new();
    let mut held = Vec::new();
    let turned = loop {
        let mut stream = asked.connect().await;
        // Who is turned away is so before anything is read.
        let _ = stream.write_all(b"{\"command\":\"status\"}\n").await;
        match next(&mut stream).await.record {
            Record::Status(_) => held.push(stream),
            Record::Error(trouble) => break trouble,
            other => panic!("{other:?}"),
        }
        assert!(held.len() < 100);
    };
    assert!(turned.error.contains("too much at once") && turned.advice.contains("try again"), "{turned:?}");
    let mut first = held.remove(0);
    assert_eq!(next(&mut first).await.record, Record::End);
    first.write_all(b"{\"command\":\"users\"}\n").await.unwrap();
    assert_eq!(next(&mut first).await.record, Record::End);
    drop(held);
    // The relay may not have noticed yet.
    while asked.ask(Command::Status).await.is_err() {
        tokio::task::yield_now().await;
    }
}

/// A socket goes with its relay; what a killed one left is replaced, what is something else is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_socket_goes_with_its_relay() {
    let asked = Asked::new();
    let data = asked.folder.path().to_owned();
    asked.stop.send_replace(true);
    asked.serving.await.unwrap();
    assert!(!data.join(socket::NAME).exists());
    let trouble = Conversation::open(&data).err().unwrap();
    assert!(trouble.error.contains("no relay runs here") && trouble.exit == 1, "{trouble:?}");

    let left = std::os::unix::net::UnixListener::bind(data.join(socket::NAME)).unwrap();
    drop(left);
    drop(Socket::bind(&data, None).unwrap());
    std::fs::write(data.join(socket::NAME), "a file of somebody").unwrap();
    assert!(matches!(Socket::bind(&data, None), Err(SocketError::Taken(_))));
    assert!(data.join(socket::NAME).is_file());
}

/// In a folder for sockets it is found by way of the data folder, and both are gone afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_folder_holds_the_socket() {
    let (data, runtime) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (stop, stopping) = watch::channel(false);
    let socket = Socket::bind(data.path(), Some(runtime.path())).unwrap();
    let serving = tokio::spawn(socket.serve(Arc::new(relay(|_| {})), stopping));
    let place = data.path().to_owned();
    let asked = tokio::task::spawn_blocking(move || Conversation::open(&place)?.ask(&Command::Status, drop));
    asked.await.unwrap().unwrap();
    stop.send_replace(true);
    serving.await.unwrap();
    let left = |folder: &Path| std::fs::read_dir(folder).unwrap().count();
    assert_eq!((left(data.path()), left(runtime.path())), (0, 0));
}

/// A path that no socket can have is said, on both sides, and not cut short.
#[tokio::test]
async fn a_long_path_is_said() {
    let outer = tempfile::tempdir().unwrap();
    let long = outer.path().join("x".repeat(100));
    std::fs::create_dir(&long).unwrap();
    let error = Socket::bind(&long, None).err().unwrap();
    assert!(error.to_string().contains("at most 107"), "{error}");
    let trouble = Conversation::open(&long).err().unwrap();
    assert!(trouble.cause.contains("107 bytes") && trouble.advice.contains("--data ."), "{trouble:?}");
}

/// A socket that others may use is not asked: whoever opened it may listen there themselves.
#[tokio::test(flavor = "multi_thread")]
async fn a_loose_socket_is_not_asked() {
    let asked = Asked::new();
    let loose = std::fs::Permissions::from_mode(0o666);
    std::fs::set_permissions(asked.folder.path().join(socket::NAME), loose).unwrap();
    let trouble = asked.ask(Command::Status).await.unwrap_err();
    assert!(trouble.cause.contains("mode is 666") && trouble.advice.contains("chmod go="), "{trouble:?}");
}
