use std::path::Path;
use std::time::Duration;

use sealpost_crypto::vault::Cost;

use super::{Opening, Session, run, socket, unlock};
use crate::api::{Command, Error, ErrorCode, Event};
use crate::store::Profile;

const PASSPHRASE: &str = "narwhal teapot quilt";

/// A relay where nobody listens: what these tests ask needs none.
fn make(dir: &Path) {
    let relay = format!("sealpost://127.0.0.1:1/{}", "a".repeat(52)).parse().unwrap();
    let name = "alice".parse().unwrap();
    let profile =
        Profile::create(dir, PASSPHRASE.as_bytes(), Cost::FLOOR, &name, &relay, &mut rand::rng(), super::owner::now());
    drop(profile.unwrap());
}

fn opening(dir: &Path) -> Opening {
    Opening::of_holder(dir, Box::new(|| Ok(PASSPHRASE.to_owned().into())))
}

/// Nobody may ask for a passphrase.
fn without_passphrase(dir: &Path) -> Opening {
    let refuse = || Err(Error::new(ErrorCode::Failed, "a passphrase was asked for"));
    Opening { passphrase: Box::new(refuse), ..opening(dir) }
}

async fn contacts(opening: &mut Opening) -> Result<usize, Error> {
    let mut events = 0;
    let count = |event: Event| -> Result<(), Error> {
        events += 1;
        match event {
            Event::Error(error) => Err(error),
            _ => Ok(()),
        }
    };
    assert_eq!(run(opening, &Command::Contacts, std::future::pending::<()>(), count).await?, None);
    Ok(events)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_command_goes_through_the_holder_without_a_passphrase() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("alice");
    make(&dir);
    let holding = Session::open(&mut opening(&dir)).await.unwrap();
    assert!(holding.holds());
    let mut guest = Session::open(&mut without_passphrase(&dir)).await.unwrap();
    assert!(!guest.holds());
    contacts(&mut without_passphrase(&dir)).await.unwrap();
    // The lock is the holder's alone.
    assert_eq!(unlock(&dir, &PASSPHRASE.to_owned().into()).await.err().map(|error| error.code), Some(ErrorCode::InUse));
    holding.finish().await;
    assert_eq!(guest.next().await, None);
    assert!(!dir.join("socket").exists());
    // Nobody holds it any more: now a passphrase is needed.
    contacts(&mut without_passphrase(&dir)).await.unwrap_err();
    contacts(&mut opening(&dir)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_commands_at_once_all_get_their_answer() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("alice");
    make(&dir);
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let dir = dir.clone();
        running.spawn(async move { contacts(&mut opening(&dir)).await });
    }
    let mut done = 0;
    while let Some(outcome) = running.join_next().await {
        outcome.unwrap().unwrap();
        done += 1;
    }
    assert_eq!(done, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_is_finished_before_the_profile_is_let_go() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("alice");
    make(&dir);
    let holding = Session::open(&mut opening(&dir)).await.unwrap();
    let mut guest = Session::open(&mut without_passphrase(&dir)).await.unwrap();
    // It waits for a relay that does not answer.
    let recv = Command::Recv { from: None, limit: None, follow: false, timeout_ms: 400 };
    let id = guest.give(recv).await.unwrap();
    assert_eq!(guest.next().await, Some((Some(id), Event::Taken)));
    let finishing = tokio::spawn(holding.finish());
    let mut last = None;
    while let Some((re, event)) = guest.next().await {
        assert_eq!(re, Some(id));
        last = Some(event);
    }
    assert_eq!(last, Some(Event::End));
    finishing.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_does_not_answer_is_in_use_and_a_dead_ones_socket_in_nobodys_way() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("alice");
    make(&dir);
    // It accepts and never answers, as a stopped process does.
    let stopped = socket::listen(&dir, socket::NAME).unwrap();
    let held = unlock(&dir, &PASSPHRASE.to_owned().into()).await.unwrap();
    let error = contacts(&mut opening(&dir)).await.unwrap_err();
    assert_eq!((error.code, error.exit), (ErrorCode::InUse, 5));
    drop(held);
    drop(stopped);
    contacts(&mut opening(&dir)).await.unwrap();
}

/// A holder that dies in the middle of an answer: what was told is not told again, and what was not is.
#[tokio::test]
async fn half_an_answer_is_no_whole_one_and_not_given_twice() {
    use super::CarriedOut;
    use tokio::io::AsyncWriteExt as _;
    let taken = "{\"v\":1,\"re\":1,\"event\":\"taken\"}\n";
    let line = "{\"v\":1,\"re\":1,\"event\":\"gap\",\"conversation\":\"@bob\",\"from\":\"@bob\",\"missing\":1}\n";
    let history = Command::History { with: "bob".to_owned(), limit: None, before: None };
    let follow = Command::Recv { from: None, limit: None, follow: true, timeout_ms: 0 };
    for (command, lines, wanted) in [
        (&history, String::new(), Ok(CarriedOut::Nothing)),
        (&history, taken.to_owned(), Ok(CarriedOut::Nothing)),
        (&history, format!("{taken}{line}"), Err(ErrorCode::Failed)),
        (&follow, format!("{taken}{line}"), Ok(CarriedOut::Part)),
        (&follow, taken.to_owned(), Ok(CarriedOut::Part)),
    ] {
        let (own, mut holder) = tokio::io::duplex(64 * 1024);
        holder.write_all(lines.as_bytes()).await.unwrap();
        let mut session = Session::over(own);
        holder.shutdown().await.unwrap();
        let outcome = session.carry_out(command, &mut |_| Ok::<(), Error>(())).await;
        assert_eq!(outcome.map_err(|error| error.code), wanted, "{lines}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_ends_the_holder() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("alice");
    make(&dir);
    let holding = Session::open(&mut opening(&dir)).await.unwrap();
    let mut guest = Session::open(&mut without_passphrase(&dir)).await.unwrap();
    let id = guest.give(Command::Stop).await.unwrap();
    let mut events = Vec::new();
    while let Ok(Some(event)) = tokio::time::timeout(Duration::from_secs(60), guest.next()).await {
        events.push(event);
    }
    let wanted = [Event::Taken, Event::Done, Event::End].map(|event| (Some(id), event));
    assert_eq!(events, wanted);
    holding.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_takes_over_when_the_holder_leaves() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("alice");
    make(&dir);
    let holding = Session::open(&mut opening(&dir)).await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let following = {
        let mut opening = opening(&dir);
        tokio::spawn(async move {
            let recv = Command::Recv { from: None, limit: None, follow: true, timeout_ms: 0 };
            run(&mut opening, &recv, stopped, |_| Ok::<(), Error>(())).await
        })
    };
    holding.finish().await;
    // Only a holder answers without a passphrase.
    while contacts(&mut without_passphrase(&dir)).await.is_err() {
        assert!(!following.is_finished(), "{:?}", following.await);
        tokio::task::yield_now().await;
    }
    stop.send(()).unwrap();
    assert_eq!(following.await.unwrap().unwrap(), Some(Ok(())));
    assert!(!dir.join("socket").exists());
}
