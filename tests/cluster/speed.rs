//! What the store that relays share takes, beside what NATS's own client takes for the same on the same servers.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::{Client, HeaderMap};
use futures_util::StreamExt as _;
use sealpost_relay::store::jetstream::Settings;
use sealpost_relay::store::{Append, Bell, JetStream, Limit, Log, Store, Write};
use sealpost_spec::mailbox::Seq;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::processes::{Nats, Setup};

/// Bytes of an envelope.
const ENVELOPE: usize = 6 * 1024;
/// Envelopes that come and go in a round.
const ENVELOPES: usize = 2_048;
/// Mailboxes in which they wait.
const MAILBOXES: usize = 64;
/// On their way at once.
const ABREAST: usize = 64;
/// Posts of a round, one after the other.
const POSTS: usize = 200;
/// Bytes of a post.
const POST: usize = 512;
/// Rounds, by turns; the median counts.
const ROUNDS: usize = 5;

/// What a round of one side took.
#[derive(Clone, Copy, Default)]
struct Took {
    ingest: Duration,
    fan_out: Duration,
    drain: Duration,
}

/// Measures with so many relays, and prints a row for each kind of work; whether each is within `most` times.
///
/// # Panics
/// A server or a store fails.
pub async fn measure(folder: &Path, relays: usize, most: f64) -> Option<bool> {
    let nats = Nats::start(folder, 3, Setup::default())?;
    let settings = |prefix: &str| Settings {
        servers: nats.addresses(),
        login: None,
        tls: None,
        prefix: prefix.to_owned(),
        replicas: 3,
        monitors: Vec::new(),
    };
    let mut stores = Vec::new();
    for _ in 0..relays {
        stores.push(Arc::new(JetStream::open(&settings("sealpost")).await.expect("the cluster is there")));
    }
    let mut direct = Vec::new();
    for _ in 0..relays {
        direct.push(async_nats::connect(nats.addresses()).await.expect("the cluster is there"));
    }
    streams(&direct[0]).await;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        ours.push(by_stores(&stores, round).await);
        theirs.push(by_clients(&direct, round).await);
    }
    let mut holds = true;
    type Row = (&'static str, usize, fn(&Took) -> Duration);
    let rows: [Row; 3] = [
        ("ingest", ENVELOPES, |took| took.ingest),
        ("fan-out", POSTS, |took| took.fan_out),
        ("drain", ENVELOPES, |took| took.drain),
    ];
    for (name, count, of) in rows {
        let median = |all: &[Took]| {
            let mut times: Vec<Duration> = all.iter().map(of).collect();
            times.sort_unstable();
            times[ROUNDS / 2].as_secs_f64() / count as f64
        };
        let (ours, theirs) = (median(&ours), median(&theirs));
        let ratio = ours / theirs;
        holds &= ratio <= most;
        println!("| {name} | {relays} | {:.0} us | {:.0} us | {ratio:.2} |", 1e6 * theirs, 1e6 * ours);
    }
    Some(holds)
}

/// Does this for each of so many, at most [`ABREAST`] at once.
async fn abreast<F: Future<Output = ()> + Send + 'static>(count: usize, mut one: impl FnMut(usize) -> F) -> Duration {
    let began = Instant::now();
    let mut under_way = JoinSet::new();
    for number in 0..count {
        if under_way.len() >= ABREAST {
            under_way.join_next().await.expect("there is one").expect("it does not fail");
        }
        under_way.spawn(one(number));
    }
    while let Some(done) = under_way.join_next().await {
        done.expect("it does not fail");
    }
    began.elapsed()
}

fn id(round: usize, number: usize) -> [u8; 16] {
    ((round * ENVELOPES + number + 1) as u128).to_be_bytes()
}

fn mailbox(number: usize) -> Log {
    Log { kind: "mailbox", key: (number % MAILBOXES).to_be_bytes().to_vec() }
}

async fn by_stores(stores: &[Arc<JetStream>], round: usize) -> Took {
    let ingest = abreast(ENVELOPES, |number| {
        let store = Arc::clone(&stores[number % stores.len()]);
        let append = Append { log: mailbox(number), id: id(round, number), bytes: vec![7; ENVELOPE] };
        async move {
            store.offer(append).await.expect("it is appended");
        }
    })
    .await;
    let room = Log { kind: "room", key: b"lobby".to_vec() };
    let bells: Vec<Bell> = stores.iter().map(|_| Bell::new()).collect();
    let watches: Vec<_> = stores.iter().zip(&bells).map(|(store, bell)| store.watch(&room, bell, 1)).collect();
    let mut seen = vec![Seq(0); stores.len()];
    let limit = Limit { count: 256, bytes: 1 << 20 };
    for (store, seen) in stores.iter().zip(&mut seen) {
        while let Some(last) = store.read(&room, *seen, limit).await.expect("it is read").last() {
            *seen = last.seq;
        }
    }
    let began = Instant::now();
    for number in 0..POSTS {
        let append = Append { log: room.clone(), id: id(round, number), bytes: vec![7; POST] };
        let appended = stores[0].offer(append);
        let heard = async {
            for ((store, bell), seen) in stores.iter().zip(&bells).zip(&mut seen) {
                loop {
                    bell.rung().await;
                    bell.take();
                    let there = store.read(&room, *seen, limit).await.expect("it is read");
                    if let Some(last) = there.last() {
                        *seen = last.seq;
                        break;
                    }
                }
            }
        };
        let (appended, ()) = tokio::join!(appended, heard);
        appended.expect("it is appended");
    }
    let fan_out = began.elapsed();
    drop(watches);
    let drain = abreast(MAILBOXES, |number| {
        let store = Arc::clone(&stores[number % stores.len()]);
        async move {
            let log = mailbox(number);
            let all = store.read(&log, Seq(0), Limit { count: 256, bytes: 1 << 30 }).await.expect("it is read");
            assert_eq!(all.len(), ENVELOPES / MAILBOXES);
            let through = all.last().expect("it holds some").seq;
            store.write(vec![Write::Trim { log, through }]).await.expect("it is trimmed");
        }
    })
    .await;
    Took { ingest, fan_out, drain }
}

async fn ask(client: &Client, what: &str, body: Value) -> Value {
    let answer = client.request(format!("$JS.API.{what}"), body.to_string().into()).await.expect("it answers");
    let answer: Value = serde_json::from_slice(&answer.payload).expect("it is JSON");
    assert!(answer["error"].is_null(), "{what}: {answer}");
    answer
}

/// What the same people would make of it: two streams of the same settings.
async fn streams(client: &Client) {
    for name in ["boxes", "posts"] {
        let settings = json!({
            "name": name, "subjects": [format!("{name}.>")], "retention": "limits", "storage": "file", "num_replicas": 3,
            "discard": "new", "max_consumers": -1, "max_msgs": -1, "max_bytes": -1, "max_age": 0,
            "duplicate_window": 600_000_000_000_u64, "allow_direct": true,
        });
        ask(client, &format!("STREAM.CREATE.{name}"), settings).await;
    }
    let consumer = json!({ "stream_name": "boxes", "config": {
        "durable_name": "all", "ack_policy": "explicit", "deliver_policy": "all", "max_ack_pending": ENVELOPES,
        "num_replicas": 3,
    } });
    ask(client, "CONSUMER.DURABLE.CREATE.boxes.all", consumer).await;
}

async fn publish(client: &Client, subject: String, id: [u8; 16], size: usize) {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", format!("{:032x}", u128::from_be_bytes(id)));
    let sent = client.request_with_headers(subject, headers, vec![7; size].into()).await.expect("it is answered");
    let ack: Value = serde_json::from_slice(&sent.payload).expect("it is JSON");
    assert!(ack["seq"].is_u64(), "{ack}");
}

async fn by_clients(clients: &[Client], round: usize) -> Took {
    let ingest = abreast(ENVELOPES, |number| {
        let client = clients[number % clients.len()].clone();
        let subject = format!("boxes.{}", number % MAILBOXES);
        async move { publish(&client, subject, id(round, number), ENVELOPE).await }
    })
    .await;
    let mut heard = Vec::new();
    for client in clients {
        heard.push(client.subscribe("posts.>").await.expect("it is subscribed"));
        client.flush().await.expect("it is there");
    }
    let began = Instant::now();
    for number in 0..POSTS {
        let said = publish(&clients[0], "posts.lobby".to_owned(), id(round, number), POST);
        let hears = async {
            for heard in &mut heard {
                heard.next().await.expect("it is heard");
            }
        };
        tokio::join!(said, hears);
    }
    let fan_out = began.elapsed();
    let began = Instant::now();
    let mut takes = JoinSet::new();
    for client in clients {
        takes.spawn(takes_all(client.clone(), ENVELOPES / clients.len()));
    }
    while let Some(done) = takes.join_next().await {
        done.expect("it does not fail");
    }
    Took { ingest, fan_out, drain: began.elapsed() }
}

/// Takes so many of what waits, each confirmed; the last confirmation of a batch is waited for.
async fn takes_all(client: Client, count: usize) {
    let mut left = count;
    while left > 0 {
        let inbox = client.new_inbox();
        let mut batch = client.subscribe(inbox.clone()).await.expect("it is subscribed");
        let size = left.min(256);
        let wanted = json!({ "batch": size, "expires": 5_000_000_000_u64 }).to_string();
        let next = "$JS.API.CONSUMER.MSG.NEXT.boxes.all";
        client.publish_with_reply(next, inbox, wanted.into()).await.expect("it is sent");
        for number in 1..=size {
            let message = batch.next().await.expect("it comes");
            let Some(reply) = message.reply.filter(|_| message.status.is_none()) else { break };
            left -= 1;
            if number == size {
                client.request(reply, "+ACK".into()).await.expect("it is confirmed");
            } else {
                client.publish(reply, "+ACK".into()).await.expect("it is sent");
            }
        }
    }
}
