//! The thread that owns the engine and the profile's store, and nobody else does.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::SeedableRng as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::Opening;
use super::line::{Told, encode};
use super::serve::{self, Output};
use crate::api::{Command, Error, ErrorCode, Event};
use crate::engine::{CommandId, Engine, FileOrder, LinkEvent, Transmit};
use crate::link;
use crate::store::Profile;
use crate::transfer;

/// Commands and link events that wait for the engine.
const QUEUE: usize = 256;

/// Calls of the engine that share one commit.
const BATCH: usize = 64;

/// How long a holder that lets go waits for what others have under way.
const FINISH: Duration = Duration::from_secs(30);

/// How long it then waits for the relay's answers to what is on its way, and for what is due soon: the mailbox's end, a
/// receipt for what was just received. Who wrote need not wait for the next command to know that it arrived.
const LINGER: Duration = Duration::from_secs(2);

/// One connection to the holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ConnectionId(pub(super) u64);

/// What the owner hears from its connections.
pub(super) enum Input {
    Opened(ConnectionId, Output),
    Command {
        from: ConnectionId,
        id: u64,
        command: Command,
    },
    Closed(ConnectionId),
    /// Let go of the profile after what is under way.
    Finish,
}

/// The holder of a profile, while it lives.
pub struct Holder {
    inputs: mpsc::Sender<Input>,
    ended: oneshot::Receiver<()>,
    connections: serve::Connections,
}

impl Holder {
    /// Starts the owning thread, the links and the socket.
    pub(super) async fn start(profile: Profile, opening: &Opening) -> Result<Self, Error> {
        let Opening { dir, proxy, downloads, .. } = opening;
        let address = profile.relay().clone();
        let listener = super::socket::listen(dir, super::socket::NAME).map_err(|error| {
            Error::new(ErrorCode::Failed, "the profile's socket can't be made").because(error.to_string())
        })?;
        let engine = Engine::new(profile, Box::new(rand::rngs::StdRng::from_rng(&mut rand::rng())))?;
        let (transmits, taken) = mpsc::channel(QUEUE);
        let (heard, events) = mpsc::channel(QUEUE);
        let config = link::Config { address, proxy: proxy.clone(), timing: link::Timing::default() };
        let (orders, ordered) = mpsc::channel(QUEUE);
        let files = transfer::start(config.clone(), downloads.clone(), ordered, heard.clone());
        let links = link::start(config, taken, heard);
        let (inputs, given) = mpsc::channel(QUEUE);
        let connections = serve::Connections::new(inputs.clone());
        let accepting = connections.accept(listener);

        let (end, ended) = oneshot::channel();
        let runtime = Handle::current();
        let dir = dir.to_owned();
        let thread = std::thread::Builder::new().name("owner".to_owned()).spawn(move || {
            let mut owner = Owner::new(engine, transmits, orders);
            runtime.block_on(owner.work(given, events));
            accepting.abort();
            super::socket::remove(&dir, super::socket::NAME);
            owner.let_go();
            let _ = runtime.block_on(links);
            let _ = runtime.block_on(files);
            let _ = end.send(());
        });
        thread.map_err(|error| {
            Error::new(ErrorCode::Failed, "the profile's thread can't be started").because(error.to_string())
        })?;
        Ok(Self { inputs, ended, connections })
    }

    /// Serves a connection of this very process.
    pub(super) async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        self.connections.serve(stream).await;
    }

    /// Lets go of the profile after what is under way.
    pub(super) async fn finish(self) {
        let _ = self.inputs.send(Input::Finish).await;
        let _ = self.ended.await;
    }
}

struct Connection {
    output: Output,
    subscribed: bool,
}

struct UnderWay {
    from: ConnectionId,
    id: u64,
    /// It never ends by itself: nobody waits for it.
    endless: bool,
}

struct Owner {
    engine: Engine,
    transmits: mpsc::Sender<Transmit>,
    orders: mpsc::Sender<FileOrder>,
    /// The link takes nothing more for the moment.
    blocked: bool,
    outputs: HashMap<ConnectionId, Connection>,
    commands: HashMap<CommandId, UnderWay>,
    next_command: u64,
    /// Requests that the link has not brought to their end.
    unanswered: usize,
    finishing: Option<Instant>,
    lingering: Option<Instant>,
    clock: Clock,
}

/// The time as the engine is given it: it goes on steadily where somebody sets the machine's clock back, since nothing
/// would be due for as long; and it jumps ahead with it.
struct Clock {
    /// Unix milliseconds, then.
    began: u64,
    at: Instant,
}

/// So far the machine's clock may be ahead before it is followed, in milliseconds.
const AHEAD: u64 = 1_000;

impl Clock {
    /// `wall`: Unix milliseconds as the machine has them, here and below.
    fn new(wall: u64, at: Instant) -> Self {
        Self { began: wall, at }
    }

    fn now(&mut self, wall: u64, at: Instant) -> u64 {
        let steady = self.steady(at);
        if wall <= steady + AHEAD {
            return steady;
        }
        *self = Self::new(wall, at);
        wall
    }

    fn steady(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.at).as_millis();
        self.began.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
    }
}

impl Owner {
    fn new(engine: Engine, transmits: mpsc::Sender<Transmit>, orders: mpsc::Sender<FileOrder>) -> Self {
        Self {
            engine,
            transmits,
            orders,
            blocked: false,
            outputs: HashMap::new(),
            commands: HashMap::new(),
            next_command: 1,
            unanswered: 0,
            finishing: None,
            lingering: None,
            clock: Clock::new(now(), Instant::now()),
        }
    }

    async fn work(&mut self, mut inputs: mpsc::Receiver<Input>, mut events: mpsc::Receiver<LinkEvent>) {
        let transmits = self.transmits.clone();
        let mut given: Vec<Input> = Vec::new();
        let mut heard: Vec<LinkEvent> = Vec::new();
        loop {
            self.pump();
            if self.done() {
                return;
            }
            let due = self.due();
            tokio::select! {
                count = inputs.recv_many(&mut given, BATCH) => if count == 0 { return },
                count = events.recv_many(&mut heard, BATCH) => if count == 0 { return },
                _ = transmits.reserve(), if self.blocked => {}
                () = sleep_until(due) => {}
            }
            let now = self.clock.now(now(), Instant::now());
            let calls: Vec<Call> = given.drain(..).flat_map(|input| self.admit(input)).collect();
            for event in &heard {
                self.unanswered -= usize::from(matches!(event, LinkEvent::Answer { .. }) && self.unanswered > 0);
            }
            self.engine.together(|engine| {
                for call in calls {
                    match call {
                        Call::Command(id, command) => engine.command(now, id, command),
                        Call::Cancel(id) => engine.cancel(id),
                    }
                }
                for event in heard.drain(..) {
                    engine.handle_link(now, event);
                }
                if engine.poll_timeout().is_some_and(|due| due <= now) {
                    engine.handle_timeout(now);
                }
            });
        }
    }

    /// The profile's lock goes with the engine; only then whoever waits for it is told, by a closed connection.
    fn let_go(self) {
        let Self { engine, transmits, orders, outputs, .. } = self;
        let _told = (transmits, orders, outputs);
        let _first = engine;
    }

    /// What the engine has to do about it, if anything.
    fn admit(&mut self, input: Input) -> Vec<Call> {
        match input {
            Input::Opened(connection, output) => {
                self.outputs.insert(connection, Connection { output, subscribed: false });
                Vec::new()
            }
            Input::Closed(connection) => {
                self.outputs.remove(&connection);
                let gone = self.commands.extract_if(|_, command| command.from == connection);
                gone.map(|(number, _)| Call::Cancel(number)).collect()
            }
            Input::Finish => {
                self.finishing.get_or_insert(Instant::now() + FINISH);
                Vec::new()
            }
            Input::Command { from, id, command } => self.command(from, id, command).into_iter().collect(),
        }
    }

    fn command(&mut self, from: ConnectionId, id: u64, command: Command) -> Option<Call> {
        // As long as it waits for others it serves them, too; whoever waits for this process waits no longer for that.
        self.lingering = self.lingering.filter(|_| self.late());
        if self.late() {
            // Not taken: whoever gave it finds the connection closed, and gives it to the next holder.
            self.outputs.remove(&from);
            return None;
        }
        self.tell(from, Some(id), Event::Taken);
        match command {
            Command::Stop => {
                self.tell(from, Some(id), Event::Done);
                self.tell(from, Some(id), Event::End);
                self.finishing.get_or_insert(Instant::now() + FINISH);
                None
            }
            command => {
                let number = CommandId(self.next_command);
                self.next_command += 1;
                let endless = matches!(command, Command::Subscribe | Command::Recv { follow: true, .. });
                if command == Command::Subscribe
                    && let Some(connection) = self.outputs.get_mut(&from)
                {
                    connection.subscribed = true;
                }
                self.commands.insert(number, UnderWay { from, id, endless });
                Some(Call::Command(number, command))
            }
        }
    }

    /// Whether this process has stayed for others as long as it may.
    fn late(&self) -> bool {
        self.finishing.is_some_and(|finishing| Instant::now() >= finishing)
    }

    /// Carries what the engine made to the link and to whoever asked.
    fn pump(&mut self) {
        loop {
            let permit = match self.transmits.try_reserve() {
                Ok(permit) => permit,
                Err(error) => {
                    self.blocked = matches!(error, mpsc::error::TrySendError::Full(()));
                    break;
                }
            };
            self.blocked = false;
            match self.engine.poll_transmit() {
                // A few files move at a time, so that there is always room; and an order that is lost is given again.
                Some(Transmit::File(order)) => drop(self.orders.try_send(order)),
                Some(transmit) => {
                    let request = matches!(transmit, Transmit::Authenticated { .. } | Transmit::Anonymous { .. });
                    self.unanswered += usize::from(request);
                    permit.send(transmit);
                }
                None => break,
            }
        }
        while let Some((answers, event)) = self.engine.poll_event() {
            match answers {
                Some(number) => {
                    let Some(UnderWay { from, id, .. }) = self.commands.get(&number) else { continue };
                    let (from, id) = (*from, *id);
                    if event == Event::End {
                        self.commands.remove(&number);
                    }
                    self.tell(from, Some(id), event);
                }
                None => {
                    let everybody: Vec<ConnectionId> =
                        self.outputs.iter().filter(|(_, to)| to.subscribed).map(|(to, _)| *to).collect();
                    for to in everybody {
                        self.tell(to, None, event.clone());
                    }
                }
            }
        }
    }

    fn tell(&mut self, to: ConnectionId, re: Option<u64>, event: Event) {
        let Some(connection) = self.outputs.get(&to) else { return };
        let line = encode(&Told { v: crate::api::VERSION, re, event });
        if !connection.output.push(line) {
            // It does not read what it asked for.
            self.outputs.remove(&to);
        }
    }

    /// Whether the profile can be let go.
    fn done(&mut self) -> bool {
        if let Some(error) = self.engine.poisoned().cloned() {
            for (_, command) in std::mem::take(&mut self.commands) {
                self.tell(command.from, Some(command.id), Event::Error(error.clone()));
                self.tell(command.from, Some(command.id), Event::End);
            }
            return true;
        }
        let now = Instant::now();
        let Some(finishing) = self.finishing else { return false };
        if self.commands.values().any(|command| !command.endless) && now < finishing {
            return false;
        }
        let lingering = *self.lingering.get_or_insert(now + LINGER);
        let soon = self.engine_due().is_some_and(|due| due < lingering);
        (self.unanswered == 0 && !soon) || now >= lingering
    }

    fn engine_due(&self) -> Option<Instant> {
        let due = self.engine.poll_timeout()?;
        // A clock that jumped must not make this thread sleep for years.
        let now = Instant::now();
        Some(now + Duration::from_millis(due.saturating_sub(self.clock.steady(now))).min(Duration::from_secs(3600)))
    }

    fn due(&self) -> Option<Instant> {
        [self.engine_due(), self.lingering.or(self.finishing)].into_iter().flatten().min()
    }
}

enum Call {
    Command(CommandId, Command),
    Cancel(CommandId),
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Unix milliseconds.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Clock;

    /// What is due in a second is due in a second, also where somebody sets the clock back by hours.
    #[test]
    fn a_clock_that_is_set_back_delays_nothing() {
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        let mut clock = Clock::new(10_000_000, begin);
        assert_eq!(clock.now(10_005_000, after(5)), 10_005_000);
        assert_eq!(clock.now(5_000, after(5)), 10_005_000, "hours back");
        assert_eq!(clock.now(6_000, after(6)), 10_006_000);
        assert_eq!(clock.now(20_000_000, after(7)), 20_000_000, "the machine slept");
        assert_eq!(clock.now(20_001_400, after(8)), 20_001_000, "a little ahead");
    }
}
