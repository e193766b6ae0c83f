//! What is said to JetStream: requests over core NATS, answered with JSON or with a message.
//!
//! Every request is tried again until its deadline: while a stream elects a leader nobody answers, or somebody answers
//! that it is unavailable. So each must be one that may be made twice. Where the deadline passes, it is not known whether
//! the last attempt was carried out.

use std::time::Duration;

use async_nats::{Client, HeaderMap, Message, Request, StatusCode};
use bytes::Bytes;
use data_encoding::BASE64;
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::metrics::METRICS;
use crate::store::Fault;

/// For one thing that is asked, with all its attempts: three times as long as an election was seen to take.
const DEADLINE: Duration = Duration::from_secs(15);
/// For one attempt.
const ATTEMPT: Duration = Duration::from_millis(2_500);
/// Before the second attempt; each later one waits twice as long.
const PAUSE: Duration = Duration::from_millis(10);
/// Longest wait between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_millis(400);
/// For the next message of a batch that is read.
const NEXT: Duration = Duration::from_millis(1_000);

/// Until when something is tried.
#[derive(Clone, Copy)]
pub(super) struct Deadline(Instant);

impl Deadline {
    pub(super) fn new() -> Self {
        Self(Instant::now() + DEADLINE)
    }

    pub(super) fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// It has passed.
    pub(super) fn fault() -> Fault {
        Fault::Backend("the cluster gave no answer in time: what was asked may be done or not".to_owned())
    }
}

/// Waits between attempts, longer each time.
pub(super) struct Patience {
    deadline: Deadline,
    pause: Duration,
}

impl Patience {
    pub(super) fn until(deadline: Deadline) -> Self {
        Self { deadline, pause: PAUSE }
    }

    /// Waits; an error where there is no time for another attempt.
    pub(super) async fn wait(&mut self) -> Result<(), Fault> {
        if self.deadline.left() <= self.pause {
            return Err(Deadline::fault());
        }
        METRICS.cluster.retries.add(1);
        sleep(self.pause).await;
        self.pause = (2 * self.pause).min(LONGEST_PAUSE);
        Ok(())
    }
}

/// What JetStream refuses, in its words.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Refused {
    code: u16,
    #[serde(default)]
    err_code: u32,
    #[serde(default)]
    description: String,
}

impl Refused {
    /// There is no such message.
    pub(super) fn no_message(&self) -> bool {
        self.err_code == 10037 || self.err_code == 10057
    }

    /// There is no such stream.
    pub(super) fn no_stream(&self) -> bool {
        self.err_code == 10059
    }

    /// A stream of this name is there, and differs.
    pub(super) fn other_stream(&self) -> bool {
        self.err_code == 10058
    }

    /// The last message was not the expected one.
    pub(super) fn moved(&self) -> bool {
        self.err_code == 10071
    }

    /// No room: for the account, or on the disks.
    fn full(&self) -> bool {
        matches!(self.err_code, 10023 | 10047 | 10077)
    }

    /// It will pass: an election, a server that starts, something of the same name that is under way.
    fn passes(&self) -> bool {
        self.code == 503 || matches!(self.err_code, 10005 | 10158 | 10164)
    }
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        // A server's own words: kept to one printable line.
        let words: String = refused.description.chars().filter(|c| !c.is_control()).take(200).collect();
        Self::Backend(format!("the cluster refused what was asked: {words} ({})", refused.err_code))
    }
}

#[derive(Deserialize)]
struct Answer {
    error: Option<Refused>,
}

/// What a publish is answered with.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Ack {
    pub(super) seq: u64,
    #[serde(default)]
    pub(super) duplicate: bool,
    /// Messages of a batch.
    #[serde(default)]
    pub(super) count: u64,
}

/// A message as its stream has it.
pub(super) struct Stored {
    pub(super) subject: String,
    pub(super) seq: u64,
    pub(super) bytes: Bytes,
    headers: Vec<u8>,
}

impl Stored {
    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let text = std::str::from_utf8(&self.headers).ok()?;
        let values = text.split("\r\n").filter_map(|line| line.split_once(':'));
        values.into_iter().find(|(known, _)| *known == name).map(|(_, value)| value.trim())
    }
}

/// A connection to the NATS of a cluster.
#[derive(Clone)]
pub(super) struct Bus {
    client: Client,
}

/// Something to be published.
#[derive(Clone)]
pub(super) struct Published {
    pub(super) subject: String,
    pub(super) headers: HeaderMap,
    pub(super) bytes: Bytes,
}

impl Bus {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    /// One attempt; `None` where nobody answered.
    async fn once(&self, subject: &str, headers: Option<&HeaderMap>, bytes: Bytes, left: Duration) -> Option<Message> {
        let mut request = Request::new().payload(bytes).timeout(Some(left.min(ATTEMPT)));
        if let Some(headers) = headers {
            request = request.headers(headers.clone());
        }
        self.client.send_request(subject.to_owned(), request).await.ok()
    }

    /// Asks until there is an answer that will not pass.
    async fn asked<T: DeserializeOwned>(
        &self,
        subject: &str,
        headers: Option<&HeaderMap>,
        bytes: Bytes,
        deadline: Deadline,
    ) -> Result<Result<T, Refused>, Fault> {
        let mut patience = Patience::until(deadline);
        loop {
            if let Some(message) = self.once(subject, headers, bytes.clone(), deadline.left()).await {
                let answer = serde_json::from_slice::<Answer>(&message.payload);
                match answer.map_err(|_| Fault::Damaged("an answer of the cluster"))?.error {
                    Some(refused) if refused.full() => return Err(Fault::Full),
                    Some(refused) if refused.passes() => {}
                    Some(refused) => return Ok(Err(refused)),
                    None => {
                        let answer = serde_json::from_slice(&message.payload);
                        return answer.map(Ok).map_err(|_| Fault::Damaged("an answer of the cluster"));
                    }
                }
            }
            patience.wait().await?;
        }
    }

    /// Asks JetStream itself.
    pub(super) async fn api<T: DeserializeOwned>(
        &self,
        what: &str,
        body: &Json,
        deadline: Deadline,
    ) -> Result<Result<T, Refused>, Fault> {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.asked(&format!("$JS.API.{what}"), None, body.into(), deadline).await
    }

    /// Publishes into the stream that listens there.
    pub(super) async fn publish(&self, what: &Published, deadline: Deadline) -> Result<Result<Ack, Refused>, Fault> {
        self.asked(&what.subject, Some(&what.headers), what.bytes.clone(), deadline).await
    }

    /// Publishes all of them into one stream, or none. `None`: it did not happen, or it is not known whether it did.
    pub(super) async fn publish_together(&self, all: &[Published], batch: &str, deadline: Deadline) -> Option<Ack> {
        let (last, others) = all.split_last()?;
        let numbered = |published: &Published, number: usize| {
            let mut headers = published.headers.clone();
            headers.insert("Nats-Batch-Id", batch);
            headers.insert("Nats-Batch-Sequence", number.to_string());
            headers
        };
        for (number, published) in (1..).zip(others) {
            let headers = numbered(published, number);
            let sent = self.client.publish_with_headers(published.subject.clone(), headers, published.bytes.clone());
            sent.await.ok()?;
        }
        let mut headers = numbered(last, all.len());
        headers.insert("Nats-Batch-Commit", "1");
        let answer = self.once(&last.subject, Some(&headers), last.bytes.clone(), deadline.left()).await?;
        let ack: Ack = serde_json::from_slice(&answer.payload).ok()?;
        (ack.count == all.len() as u64 && ack.seq >= ack.count).then_some(ack)
    }

    /// A message, asked of the stream's leader: so it is what the last write left.
    pub(super) async fn message(
        &self,
        stream: &str,
        which: &Json,
        deadline: Deadline,
    ) -> Result<Option<Stored>, Fault> {
        #[derive(Deserialize)]
        struct Found {
            message: Raw,
        }
        #[derive(Deserialize)]
        struct Raw {
            subject: String,
            seq: u64,
            #[serde(default)]
            hdrs: String,
            #[serde(default)]
            data: String,
        }
        let found = self.api::<Found>(&format!("STREAM.MSG.GET.{stream}"), which, deadline).await?;
        let Raw { subject, seq, hdrs, data } = match found {
            Ok(found) => found.message,
            Err(refused) if refused.no_message() => return Ok(None),
            Err(refused) => return Err(refused.into()),
        };
        let decoded = |text: String| BASE64.decode(text.as_bytes()).map_err(|_| Fault::Damaged("a message"));
        Ok(Some(Stored { subject, seq, bytes: decoded(data)?.into(), headers: decoded(hdrs)? }))
    }

    /// Messages in their order, asked of any replica, which may be behind: there may be more. The next ones after
    /// what is given are to be asked of the leader.
    pub(super) async fn messages(&self, stream: &str, which: &Json) -> Result<Vec<Stored>, Fault> {
        let lost = |_| Deadline::fault();
        let inbox = self.client.new_inbox();
        let mut answers = self.client.subscribe(inbox.clone()).await.map_err(lost)?;
        let subject = format!("$JS.API.DIRECT.GET.{stream}");
        let sent = self.client.publish_with_reply(subject, inbox, which.to_string().into_bytes().into()).await;
        sent.map_err(|_| Deadline::fault())?;
        let mut found = Vec::new();
        let until = Instant::now() + DEADLINE;
        while let Ok(Ok(Some(message))) = timeout_at(until, timeout(NEXT, answers.next())).await {
            // The end, and every kind of trouble.
            if message.status.is_some_and(|status| status != StatusCode::OK) {
                break;
            }
            let header = |name: &str| message.headers.as_ref()?.get(name).map(ToString::to_string);
            let (Some(subject), Some(seq)) = (header("Nats-Subject"), header("Nats-Sequence")) else { break };
            let Ok(seq) = seq.parse() else { break };
            found.push(Stored { subject, seq, bytes: message.payload, headers: Vec::new() });
        }
        Ok(found)
    }

    /// How many subjects of a stream match; with the messages of each where `list` says so and there are not too many.
    pub(super) async fn subjects(
        &self,
        stream: &str,
        filter: &str,
        list: bool,
        deadline: Deadline,
    ) -> Result<Subjects, Fault> {
        #[derive(Deserialize)]
        struct Info {
            #[serde(default)]
            total: u64,
            state: State,
        }
        #[derive(Deserialize)]
        struct State {
            #[serde(default)]
            subjects: std::collections::BTreeMap<String, u64>,
        }
        // Beyond the last of them: then there is none to be listed.
        let offset = if list { 0_u64 } else { 1 << 40 };
        let body = serde_json::json!({ "subjects_filter": filter, "offset": offset });
        let info = self.api::<Info>(&format!("STREAM.INFO.{stream}"), &body, deadline).await??;
        let names: Vec<String> = info.state.subjects.into_keys().collect();
        Ok(Subjects { total: info.total.max(names.len() as u64), names })
    }

    /// Removes what matches, where `below` says so only before this seq.
    pub(super) async fn purge(
        &self,
        stream: &str,
        filter: &str,
        below: Option<u64>,
        deadline: Deadline,
    ) -> Result<(), Fault> {
        let mut body = serde_json::json!({ "filter": filter });
        if let (Some(below), Some(body)) = (below, body.as_object_mut()) {
            body.insert("seq".to_owned(), below.into());
        }
        self.api::<Json>(&format!("STREAM.PURGE.{stream}"), &body, deadline).await??;
        Ok(())
    }

    /// Removes one message, where it is there.
    pub(super) async fn remove(&self, stream: &str, seq: u64, deadline: Deadline) -> Result<(), Fault> {
        let body = serde_json::json!({ "seq": seq, "no_erase": true });
        match self.api::<Json>(&format!("STREAM.MSG.DELETE.{stream}"), &body, deadline).await? {
            Ok(_) => Ok(()),
            Err(refused) if refused.no_message() => Ok(()),
            Err(refused) => Err(refused.into()),
        }
    }
}

/// Subjects that match.
pub(super) struct Subjects {
    /// How many there are.
    pub(super) total: u64,
    /// Those that were listed, in order.
    pub(super) names: Vec<String>,
}
