//! One program on the socket: its token first, then calls, their answers and what happens meanwhile.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::time::{Instant, sleep_until, timeout};

use super::rpc::{self, Call, Code, Line};
use super::scope;
use crate::api::{Bot, Command, Error, Event, Shown};
use crate::face::json;
use crate::holder::{LineReader, Session};

/// How long a program may take to show its token.
const AUTHORIZE: Duration = Duration::from_secs(30);
/// How long a program may take to read what it asked for.
const STALL: Duration = Duration::from_secs(30);
/// How long the check of a token may take.
const CHECK: Duration = Duration::from_secs(10);
/// Calls at once; more are read when one has ended.
const MAX_CALLS: usize = 64;
/// Longest answer in bytes; whoever asks for more gives a limit.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// A call that has not ended.
struct UnderWay {
    /// `None`: nobody waits for its answer.
    id: Option<Value>,
    batch: Option<u64>,
    events: Vec<Shown>,
    bytes: usize,
    failed: Option<Error>,
}

/// An array of calls, answered by one array.
struct Batch {
    left: usize,
    answers: Vec<String>,
}

/// Why a connection ends.
struct Gone;

pub(super) struct Connection {
    writer: OwnedWriteHalf,
    session: Session,
    bot: Option<Bot>,
    calls: HashMap<u64, UnderWay>,
    batches: HashMap<u64, Batch>,
    next_batch: u64,
    /// The number of `subscribe`, once it was given.
    subscription: Option<u64>,
}

/// Serves a program until one side ends.
pub(super) async fn serve(stream: UnixStream, session: Session) {
    let (reader, writer) = stream.into_split();
    let mut connection = Connection {
        writer,
        session,
        bot: None,
        calls: HashMap::new(),
        batches: HashMap::new(),
        next_batch: 0,
        subscription: None,
    };
    let _ = connection.talk(LineReader::new(Box::new(reader))).await;
    connection.session.finish().await;
}

impl Connection {
    async fn talk(&mut self, mut reader: LineReader) -> Result<(), Gone> {
        let late = Instant::now() + AUTHORIZE;
        let mut ended = false;
        while !ended || !self.calls.is_empty() {
            tokio::select! {
                line = reader.next(), if !ended && self.calls.len() < MAX_CALLS => match line {
                    Ok(Some(line)) if line.is_empty() => {}
                    Ok(Some(line)) => self.heard(&line).await?,
                    Ok(None) => ended = true,
                    Err(_) => {
                        self.write(&rpc::error(&Value::Null, Code::Invalid, "the line is too long", None)).await?;
                        return Err(Gone);
                    }
                },
                told = self.session.next() => match told {
                    Some((re, event)) => self.told(re, event).await?,
                    None => return Err(Gone),
                },
                () = sleep_until(late), if self.bot.is_none() => {
                    let advice = "call authorize {\"token\":...} first";
                    self.write(&rpc::error(&Value::Null, Code::NotAllowed, advice, None)).await?;
                    return Err(Gone);
                }
            }
        }
        Ok(())
    }

    async fn heard(&mut self, line: &[u8]) -> Result<(), Gone> {
        match rpc::read(line) {
            Line::One(Ok(call)) => self.call(call, None).await,
            Line::One(Err(answer)) => self.write(&answer).await,
            Line::Batch(calls) => {
                let number = self.next_batch;
                self.next_batch += 1;
                self.batches.insert(number, Batch { left: calls.len(), answers: Vec::new() });
                for call in calls {
                    match call {
                        Ok(call) => self.call(call, Some(number)).await?,
                        Err(answer) => self.answer(Some(number), Some(answer)).await?,
                    }
                }
                Ok(())
            }
        }
    }

    async fn call(&mut self, call: Call, batch: Option<u64>) -> Result<(), Gone> {
        let Call { id, method, params } = call;
        if method == "authorize" {
            return self.authorize(id, batch, &params).await;
        }
        let command = match self.permitted(&method, params) {
            Ok(command) => command,
            Err((code, message)) => {
                let answer = id.map(|id| rpc::error(&id, code, &message, None));
                return self.answer(batch, answer).await;
            }
        };
        if command == Command::Subscribe && self.subscription.is_some() {
            return self.answer(batch, id.map(|id| rpc::result(&id, &[]))).await;
        }
        let subscribes = command == Command::Subscribe;
        let number = self.session.give(command).await.map_err(|_| Gone)?;
        if subscribes {
            self.subscription = Some(number);
        }
        self.calls.insert(number, UnderWay { id, batch, events: Vec::new(), bytes: 0, failed: None });
        Ok(())
    }

    /// The command, where the token allows it.
    fn permitted(&self, method: &str, params: serde_json::Map<String, Value>) -> Result<Command, (Code, String)> {
        let Some(bot) = &self.bot else {
            return Err((Code::NotAllowed, "call authorize {\"token\":...} first".to_owned()));
        };
        let command = rpc::command(method, params)?;
        if matches!(command, Command::Recv { follow: true, .. }) {
            return Err((Code::Params, "what arrives comes by itself after `subscribe`".to_owned()));
        }
        scope::allow(bot, &command).map_err(|lacks| (Code::NotAllowed, lacks))?;
        Ok(command)
    }

    /// Looks whose token it is. Nothing else is under way, since nothing was allowed before.
    async fn authorize(
        &mut self,
        id: Option<Value>,
        batch: Option<u64>,
        params: &serde_json::Map<String, Value>,
    ) -> Result<(), Gone> {
        let refused = |message: &str| id.as_ref().map(|id| rpc::error(id, Code::NotAllowed, message, None));
        if self.bot.is_some() {
            return self.answer(batch, refused("this connection has a token already")).await;
        }
        let Some(token) = params.get("token").and_then(Value::as_str) else {
            return self.answer(batch, refused("authorize takes a token")).await;
        };
        let mut told = Vec::new();
        let keep = &mut |event: Event| -> Result<(), Error> {
            told.push(event);
            Ok(())
        };
        let check = Command::BotCheck { token: token.to_owned() };
        let checked = timeout(CHECK, self.session.carry_out(&check, keep)).await;
        if !matches!(checked, Ok(Ok(_))) {
            return Err(Gone);
        }
        match told.into_iter().next() {
            Some(Event::Bot(bot)) => {
                let line = json::line(&Event::Bot(bot.clone())).into_iter().collect::<Vec<_>>();
                self.bot = Some(bot);
                self.answer(batch, id.map(|id| rpc::result(&id, &line))).await
            }
            // One guess a connection: a token is not found by trying.
            _ => {
                self.answer(batch, refused("nobody's token; sealpost bot add NAME makes one")).await?;
                Err(Gone)
            }
        }
    }

    async fn told(&mut self, re: Option<u64>, event: Event) -> Result<(), Gone> {
        let Some(bot) = &self.bot else { return Ok(()) };
        let Some(number) = re else {
            if matches!(&event, Event::BotRemoved { name } if *name == bot.name) {
                return Err(Gone);
            }
            if self.subscription.is_some()
                && scope::hears(bot, &event)
                && let Some(line) = json::line(&event)
            {
                self.write(&rpc::notification(&line)).await?;
            }
            return Ok(());
        };
        let taken = event == Event::Taken && self.subscription == Some(number);
        if taken || event == Event::End {
            let Some(call) = self.calls.remove(&number) else { return Ok(()) };
            let UnderWay { id, batch, events, bytes, failed } = call;
            let answer = id.map(|id| match failed {
                Some(error) => rpc::error(&id, Code::Failed, &error.message.clone(), Some(&error)),
                None if bytes > MAX_ANSWER => rpc::error(&id, Code::Params, "too much at once; give a limit", None),
                None => rpc::result(&id, &events),
            });
            return self.answer(batch, answer).await;
        }
        let Some(call) = self.calls.get_mut(&number) else { return Ok(()) };
        match event {
            Event::Error(error) => call.failed = Some(error),
            event => {
                if let Some(line) = json::line(&event) {
                    call.bytes += line.len();
                    if call.bytes <= MAX_ANSWER {
                        call.events.push(line);
                    }
                }
            }
        }
        Ok(())
    }

    /// Answers a call: at once, or with the others of its array.
    async fn answer(&mut self, batch: Option<u64>, answer: Option<String>) -> Result<(), Gone> {
        let Some(number) = batch else {
            return match answer {
                Some(answer) => self.write(&answer).await,
                None => Ok(()),
            };
        };
        let Some(waiting) = self.batches.get_mut(&number) else { return Ok(()) };
        waiting.left -= 1;
        waiting.answers.extend(answer);
        if waiting.left > 0 {
            return Ok(());
        }
        let answers = self.batches.remove(&number).map(|batch| batch.answers).unwrap_or_default();
        // An array of nothing but notifications is not answered.
        if answers.is_empty() { Ok(()) } else { self.write(&format!("[{}]", answers.join(","))).await }
    }

    async fn write(&mut self, line: &str) -> Result<(), Gone> {
        let line = format!("{line}\n");
        match timeout(STALL, self.writer.write_all(line.as_bytes())).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Gone),
        }
    }
}
