//! Two or three engines and a relay of a hundred lines. What the real relay adds is tried in the simulation.

mod bounds;
mod changes;
mod conversations;
mod devices;
mod expiry;
mod faults;
mod files;
mod hostile;
mod leaving;
mod moderation;
mod notices;
mod people;
mod reading;
mod relay;
mod restoring;
mod rooms;
mod search;
mod talk;
mod trust;
mod typing;

use sealpost_crypto::vault::Cost;
use sealpost_spec::relay::Refusal;

use super::{CommandId, Engine, Failure, FileOrder, LinkEvent, RequestId, Transmit};
use crate::api::{Command, ErrorCode, Event, Message, State, Trust, Wait};
use crate::store::{CrashPoint, Profile};
use relay::FakeRelay;

struct Person {
    engine: Option<Engine>,
    dir: tempfile::TempDir,
    online: bool,
    wants: bool,
    seed: u64,
    commands: u64,
    heard: Vec<(Option<CommandId>, Event)>,
    /// What is to be done with files: a test does it.
    orders: Vec<FileOrder>,
}

struct World {
    now: u64,
    relay: FakeRelay,
    people: Vec<Person>,
}

fn dice(seed: u64) -> rand::rngs::StdRng {
    rand::SeedableRng::seed_from_u64(seed)
}

impl World {
    fn new(names: &[&str]) -> Self {
        let mut world = Self { now: 1_800_000_000_000, relay: FakeRelay::new(7), people: Vec::new() };
        for (i, name) in names.iter().enumerate() {
            let dir = tempfile::tempdir().unwrap();
            let mut rng = dice(i as u64 + 1);
            let home = dir.path().join("p");
            let profile = Profile::create(
                &home,
                b"secret",
                Cost::FLOOR,
                &name.parse().unwrap(),
                &world.relay.address(),
                &mut rng,
                world.now,
            )
            .unwrap();
            profile.without_sync();
            world.people.push(Person {
                engine: Some(Engine::new(profile, Box::new(dice(i as u64 + 100))).unwrap()),
                dir,
                online: false,
                wants: false,
                seed: i as u64 + 100,
                commands: 0,
                heard: Vec::new(),
                orders: Vec::new(),
            });
            world.run(i, Command::Register { invite: None });
        }
        world.settle();
        world
    }

    fn engine(&mut self, who: usize) -> &mut Engine {
        self.people[who].engine.as_mut().unwrap()
    }

    fn give(&mut self, who: usize, command: Command) -> CommandId {
        self.people[who].commands += 1;
        let id = CommandId(self.people[who].commands);
        let now = self.now;
        self.engine(who).command(now, id, command);
        id
    }

    /// Does something inside of an engine, as one step.
    fn step(&mut self, who: usize, work: impl FnOnce(&mut Engine) -> crate::store::Stored<()>) {
        let now = self.now;
        self.engine(who).step(now, work);
        self.settle();
    }

    /// Gives a command and waits until nothing moves any more.
    fn run(&mut self, who: usize, command: Command) -> Vec<Event> {
        let id = self.give(who, command);
        self.settle();
        self.of(who, id)
    }

    fn of(&self, who: usize, id: CommandId) -> Vec<Event> {
        let heard = self.people[who].heard.iter();
        heard.filter(|(other, _)| *other == Some(id)).map(|(_, event)| event.clone()).collect()
    }

    fn send(&mut self, who: usize, to: &str, text: &str) -> Vec<Event> {
        let (to, text) = (to.to_owned(), text.to_owned());
        self.run(who, Command::Send { to, text, wait: Wait::Queued, timeout_ms: 1_000, expire: None })
    }

    fn recv(&mut self, who: usize) -> Vec<String> {
        let id = self.give(who, Command::Recv { from: None, limit: None, follow: false, timeout_ms: 5_000 });
        self.pass(6_000);
        self.of(who, id).into_iter().filter_map(|event| as_message(event).map(|m| m.text.as_raw().to_owned())).collect()
    }

    fn history(&mut self, who: usize, with: &str) -> Vec<Message> {
        let with = with.to_owned();
        self.run(who, Command::History { with, limit: None, before: None }).into_iter().filter_map(as_message).collect()
    }

    /// Lets everything happen that needs no time.
    fn settle(&mut self) {
        for _ in 0..20_000 {
            if !self.once() {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    fn once(&mut self) -> bool {
        let mut moved = false;
        for who in 0..self.people.len() {
            let now = self.now;
            let Some(mut engine) = self.people[who].engine.take() else { continue };
            while let Some(heard) = engine.poll_event() {
                self.people[who].heard.push(heard);
            }
            while let Some(transmit) = engine.poll_transmit() {
                moved = true;
                match transmit {
                    Transmit::Connect => self.people[who].wants = true,
                    Transmit::Disconnect => (self.people[who].wants, self.people[who].online) = (false, false),
                    Transmit::Authenticated { id, request } => {
                        // [BOX-12] what there was comes before the answer.
                        while let Some(push) = self.relay.next_push(who).filter(|_| self.people[who].online) {
                            engine.handle_link(now, LinkEvent::Push(push));
                        }
                        let result = if self.people[who].online && self.relay.up {
                            self.relay.authenticated(who, now, request)
                        } else {
                            Err(Failure::Unknown)
                        };
                        engine.handle_link(now, LinkEvent::Answer { id, result });
                    }
                    Transmit::Anonymous { id, request, .. } => {
                        let result = if self.relay.up {
                            self.relay.anonymous(request)
                        } else {
                            Err(Failure::Unreachable("down".into()))
                        };
                        engine.handle_link(now, LinkEvent::Answer { id, result });
                    }
                    Transmit::File(order) => self.people[who].orders.push(order),
                }
            }
            if self.people[who].wants && !self.people[who].online && self.relay.up {
                self.people[who].online = true;
                moved = true;
                let hello = self.relay.hello(now);
                let relay = self.relay.key();
                let event = LinkEvent::Connected { hello, relay, channel: [who as u8; 32], transport: "test".into() };
                engine.handle_link(now, event);
            }
            while let Some(push) = self.relay.next_push(who).filter(|_| self.people[who].online) {
                moved = true;
                engine.handle_link(now, LinkEvent::Push(push));
            }
            while let Some(heard) = engine.poll_event() {
                self.people[who].heard.push(heard);
            }
            self.people[who].engine = Some(engine);
        }
        moved
    }

    /// Lets time pass.
    fn pass(&mut self, ms: u64) {
        let end = self.now + ms;
        loop {
            self.settle();
            let engines = self.people.iter().filter_map(|person| person.engine.as_ref());
            let Some(next) = engines.filter_map(Engine::poll_timeout).min().filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            let now = self.now;
            for person in &mut self.people {
                if let Some(engine) = &mut person.engine
                    && engine.poll_timeout().is_some_and(|at| at <= now)
                {
                    engine.handle_timeout(now);
                }
            }
        }
        self.now = end;
        self.settle();
    }

    fn go_offline(&mut self, who: usize) {
        self.people[who].online = false;
        self.people[who].wants = false;
        self.relay.logged_out(who);
        let now = self.now;
        self.engine(who).handle_link(now, LinkEvent::Disconnected(Failure::Unknown));
    }

    fn come_back(&mut self, who: usize) {
        self.people[who].wants = true;
        self.settle();
    }

    /// Ends a person's process, and starts it again from what is on disk.
    fn restart(&mut self, who: usize) {
        self.people[who].engine = None;
        self.relay.logged_out(who);
        let person = &mut self.people[who];
        (person.online, person.wants) = (false, false);
        person.seed += 1_000;
        let profile = Profile::open(&person.dir.path().join("p"), b"secret", &mut dice(person.seed)).unwrap();
        profile.without_sync();
        person.engine = Some(Engine::new(profile, Box::new(dice(person.seed + 1))).unwrap());
        let now = self.now;
        self.engine(who).handle_timeout(now);
    }

    fn gaps(&self, who: usize) -> u64 {
        let heard = self.people[who].heard.iter();
        heard.filter_map(|(_, event)| if let Event::Gap { missing, .. } = event { Some(*missing) } else { None }).sum()
    }
}

fn as_message(event: Event) -> Option<Message> {
    if let Event::Message(message) = event { Some(message) } else { None }
}

fn error_of(events: &[Event]) -> Option<ErrorCode> {
    events.iter().find_map(|event| if let Event::Error(error) = event { Some(error.code) } else { None })
}

fn texts(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.text.as_raw()).collect()
}
