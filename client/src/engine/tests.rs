//! Two or three engines and a relay of a hundred lines. What the real relay adds is tried in the simulation.

mod relay;

use sealpost_crypto::vault::Cost;
use sealpost_spec::relay::Refusal;

use super::{CommandId, Engine, Failure, LinkEvent, RequestId, Transmit};
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
        self.run(who, Command::Send { to, text, wait: Wait::Queued, timeout_ms: 1_000 })
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

#[test]
fn a_message_is_sent_shown_and_confirmed() {
    let mut world = World::new(&["alice", "bob"]);
    let events = world.send(0, "bob", "hello");
    assert!(matches!(events.first(), Some(Event::Queued { .. })), "{events:?}");
    assert_eq!(world.recv(1), ["hello"]);
    assert!(world.recv(1).is_empty());
    // Bob has not accepted Alice: he confirms nothing.
    world.pass(5_000);
    assert_eq!(world.history(0, "bob")[0].state, State::Sent);
    world.send(1, "@alice", "hello yourself");
    world.pass(5_000);
    assert_eq!(world.recv(0), ["hello yourself"]);
    let (left, right) = (world.history(0, "bob"), world.history(1, "alice"));
    assert_eq!(texts(&left), ["hello", "hello yourself"]);
    assert_eq!(texts(&right), texts(&left));
    assert_eq!(left.iter().map(|m| &m.id).collect::<Vec<_>>(), right.iter().map(|m| &m.id).collect::<Vec<_>>());
    assert_eq!((left[0].state, right[1].state), (State::Delivered, State::Delivered));
}

#[test]
fn conversations_started_at_once_meet_in_one_session() {
    let mut world = World::new(&["alice", "bob"]);
    world.go_offline(0);
    world.go_offline(1);
    let queued =
        |text: &str, to: &str| Command::Send { to: to.into(), text: text.into(), wait: Wait::Queued, timeout_ms: 0 };
    world.give(0, queued("from alice", "bob"));
    world.give(1, queued("from bob", "alice"));
    world.come_back(0);
    world.come_back(1);
    world.pass(10_000);
    for round in 0..5 {
        world.send(0, "bob", &format!("a{round}"));
        world.send(1, "alice", &format!("b{round}"));
        world.pass(3_000);
    }
    for (who, with) in [(0, "bob"), (1, "alice")] {
        let history = world.history(who, with);
        assert_eq!(history.len(), 12);
        let own: Vec<_> = history.iter().filter(|message| message.state != State::Received).collect();
        assert!(own.iter().all(|message| message.state == State::Delivered), "{own:?}");
        let peer = world.engine(who).peers.values().next().unwrap();
        assert_eq!(peer.sessions.iter().filter(|note| note.retired_at.is_none()).count(), 1);
        assert!(peer.unreadable.is_empty());
    }
}

#[test]
fn what_waits_for_an_absent_person_comes_once_and_in_order() {
    let mut world = World::new(&["alice", "bob"]);
    world.go_offline(1);
    for i in 0..200 {
        world.give(0, Command::Send { to: "bob".into(), text: format!("{i}"), wait: Wait::Queued, timeout_ms: 0 });
    }
    world.pass(60_000);
    world.restart(1);
    world.give(1, Command::Subscribe);
    world.pass(10_000);
    let wanted: Vec<String> = (0..200).map(|i| i.to_string()).collect();
    assert_eq!(world.recv(1), wanted);
    assert_eq!(world.gaps(1), 0);
    world.send(1, "alice", "back");
    world.pass(5_000);
    assert!(world.history(0, "bob").iter().take(200).all(|message| message.state == State::Delivered));
    assert_eq!(world.engine(0).outbox.totals(), (0, 0));
}

#[test]
fn an_envelope_that_comes_again_shows_nothing_and_is_confirmed_again() {
    let mut world = World::new(&["alice", "bob"]);
    world.send(1, "alice", "hi");
    world.send(0, "bob", "one");
    world.pass(5_000);
    let receipts = world.relay.delivered;
    for _ in 0..3 {
        world.relay.push_again(1);
        world.settle();
    }
    world.pass(5_000);
    assert!(world.relay.delivered > receipts, "no second receipt");
    assert_eq!(world.history(1, "alice").len(), 2);
}

#[test]
fn a_relay_without_its_store_is_filled_again() {
    let mut world = World::new(&["alice", "bob"]);
    world.send(1, "alice", "hi");
    world.send(0, "#lobby", "to all");
    world.pass(5_000);
    world.go_offline(1);
    world.send(0, "bob", "one");
    world.send(0, "bob", "two");
    world.pass(5_000);
    assert_eq!(world.history(0, "bob").last().map(|message| message.state), Some(State::Sent));
    world.go_offline(0);
    world.relay.lose_store(8);
    world.come_back(0);
    world.come_back(1);
    world.pass(400_000);
    assert_eq!(texts(&world.history(1, "alice")), ["hi", "one", "two"]);
    assert_eq!(world.history(0, "bob").last().map(|message| message.state), Some(State::Delivered));
    assert_eq!(world.relay.posts("lobby"), 3, "both joined, and a text");
    let posts = world.history(1, "#lobby");
    assert_eq!(posts.iter().filter(|post| post.text.as_raw() == "to all").count(), 1);
}

#[test]
fn a_crash_at_any_commit_loses_and_doubles_nothing() {
    for crash in 0..12 {
        for point in [CrashPoint::BeforeCommit, CrashPoint::AfterCommit] {
            let mut world = World::new(&["alice", "bob"]);
            world.send(0, "bob", "first");
            world.send(1, "alice", "yes");
            world.pass(5_000);
            let victim: usize = crash % 2;
            let mut left = i64::from(crash as u32 / 2);
            world.engine(victim).profile.set_faults(Box::new(move |at| {
                if at != point {
                    return false;
                }
                left -= 1;
                left < 0
            }));
            for i in 0..4 {
                world.send(0, "bob", &format!("a{i}"));
                world.send(1, "alice", &format!("b{i}"));
                world.pass(2_000);
            }
            assert!(world.engine(victim).poisoned().is_some());
            world.restart(victim);
            world.give(victim, Command::Subscribe);
            world.pass(26 * 3_600 * 1_000);
            let (left, right) = (world.history(0, "bob"), world.history(1, "alice"));
            let sorted = |messages: &[Message]| {
                let mut ids: Vec<_> = messages.iter().map(|m| (m.id.clone(), m.text.clone())).collect();
                ids.sort();
                ids
            };
            assert_eq!(sorted(&left), sorted(&right), "crash {crash} {point:?}");
            assert!(
                left.iter().all(|m| matches!(m.state, State::Delivered | State::Received)),
                "crash {crash} {point:?}"
            );
        }
    }
}

#[test]
fn a_changed_key_stops_sending_until_it_is_trusted() {
    let mut world = World::new(&["alice", "bob", "mallory"]);
    world.send(0, "bob", "for bob alone");
    world.send(1, "alice", "thanks");
    world.pass(5_000);
    // The operator frees the name, and somebody else takes it.
    world.go_offline(2);
    let changed = world.relay.rename("mallory", "bob");
    world.go_offline(0);
    world.give(0, Command::Send { to: "bob".into(), text: "secret".into(), wait: Wait::Sent, timeout_ms: 10_000 });
    world.now += 40 * 24 * 3_600 * 1_000;
    world.come_back(0);
    world.pass(20_000);
    let events = world.send(0, "bob", "more");
    assert_eq!(error_of(&events), Some(ErrorCode::KeyChanged), "{events:?}");
    assert_eq!(world.relay.waiting("bob"), 0, "something was sent to a changed key");
    let fingerprint = changed.to_string();
    let wrong = world.run(0, Command::Trust { name: "bob".into(), fingerprint: "a".repeat(52) });
    assert_eq!(error_of(&wrong), Some(ErrorCode::NotTrusted));
    let events = world.run(0, Command::Trust { name: "bob".into(), fingerprint });
    assert!(matches!(events.first(), Some(Event::Contact { trust: Trust::Unverified, .. })), "{events:?}");
    assert!(world.history(0, "bob").is_empty());
    let archived = world.history(0, "@bob~1");
    assert_eq!(texts(&archived), ["for bob alone", "thanks", "secret"]);
    assert_eq!(archived[2].state, State::NotDelivered);
}

#[test]
fn a_link_makes_a_person_verified_before_the_first_message() {
    let mut world = World::new(&["alice", "bob"]);
    let Some(Event::Me { link, .. }) = world.run(1, Command::Me).first().cloned() else { panic!("no link") };
    let events = world.run(0, Command::Add { link: link.clone() });
    assert!(matches!(events.first(), Some(Event::Contact { trust: Trust::Verified, .. })), "{events:?}");
    world.send(0, "bob", "hi");
    assert!(world.history(0, "bob")[0].verified);
    let left = world.run(0, Command::Verify { name: Some("bob".into()), mark: None });
    let right = world.run(1, Command::Verify { name: Some("alice".into()), mark: None });
    let number = |events: &[Event]| match events.first() {
        Some(Event::Safety { number, .. }) => number.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(number(&left), number(&right));
    assert_eq!(number(&left).len(), 60 + 11);
    let marked = world.run(1, Command::Verify { name: Some("alice".into()), mark: Some(number(&left)) });
    assert!(matches!(marked.first(), Some(Event::Safety { trust: Trust::Verified, .. })));
    let wrong = world.run(1, Command::Verify { name: Some("alice".into()), mark: Some("1".repeat(60)) });
    assert_eq!(error_of(&wrong), Some(ErrorCode::NotTrusted));
}

#[test]
fn rooms_reach_everybody_and_newcomers() {
    let mut world = World::new(&["alice", "bob"]);
    world.send(0, "#lobby", "hello all");
    world.send(1, "#lobby", "hello back");
    world.pass(1_000);
    let visible = |world: &mut World, who| {
        let history = world.history(who, "#lobby");
        history
            .into_iter()
            .filter(|m| m.kind == crate::api::Kind::Text)
            .map(|m| m.text.as_raw().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(visible(&mut world, 0), ["hello all", "hello back"]);
    assert_eq!(visible(&mut world, 1), ["hello all", "hello back"]);
    let events = world.send(0, "#other", "nobody");
    assert_eq!(error_of(&events), Some(ErrorCode::NoSuchRoom));
    assert!(world.run(0, Command::Join { room: "#other".into() }).contains(&Event::Done));
    world.send(0, "#other", "early");
    assert!(world.run(1, Command::Join { room: "#other".into() }).contains(&Event::Done));
    world.pass(1_000);
    assert_eq!(visible(&mut world, 1).len(), 2);
    let other: Vec<_> = world.history(1, "#other").into_iter().map(|m| m.text.as_raw().to_owned()).collect();
    assert!(other.contains(&"early".to_owned()), "{other:?}");
    assert!(world.run(1, Command::Leave { room: "#other".into() }).contains(&Event::Done));
    world.send(0, "#other", "late");
    assert!(!world.history(1, "#other").iter().any(|m| m.text.as_raw() == "late"));
}

#[test]
fn unknown_names_and_an_absent_relay_have_their_own_errors() {
    let mut world = World::new(&["alice", "bob"]);
    let send = |to: &str, wait| Command::Send { to: to.into(), text: "x".into(), wait, timeout_ms: 2_000 };
    let events = world.run(0, send("nobody", Wait::Sent));
    assert_eq!(error_of(&events), Some(ErrorCode::NoSuchName), "{events:?}");
    assert!(world.run(0, Command::Contacts).iter().all(|event| !matches!(event, Event::Contact { .. })));
    world.relay.up = false;
    world.go_offline(0);
    let id = world.give(0, send("bob", Wait::Sent));
    world.pass(3_000);
    assert_eq!(error_of(&world.of(0, id)), Some(ErrorCode::Waiting));
    world.relay.up = true;
    world.come_back(0);
    world.pass(60_000);
    assert_eq!(world.recv(1), ["x"]);
}

#[test]
fn a_copied_profile_starts_new_sessions() {
    let mut world = World::new(&["alice", "bob"]);
    world.send(0, "bob", "one");
    world.send(1, "alice", "two");
    world.pass(5_000);
    let (home, copy) = (world.people[0].dir.path().join("p"), world.people[0].dir.path().join("copy"));
    world.people[0].engine = None;
    let copy_all = |from: &std::path::Path, to: &std::path::Path| {
        let _ = std::fs::remove_dir_all(to);
        assert!(std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
    };
    copy_all(&home, &copy);
    world.restart(0);
    world.give(0, Command::Subscribe);
    for i in 0..3 {
        world.send(0, "bob", &format!("original {i}"));
    }
    world.pass(5_000);
    world.people[0].engine = None;
    copy_all(&copy, &home);
    world.restart(0);
    world.give(0, Command::Subscribe);
    world.settle();
    world.send(0, "bob", "from the copy");
    world.send(1, "alice", "to the copy");
    world.pass(20_000);
    let history = world.history(1, "alice");
    assert!(texts(&history).contains(&"from the copy"), "{:?}", texts(&history));
    assert_eq!(world.gaps(1), 0);
    assert!(texts(&world.history(0, "bob")).contains(&"to the copy"));
    assert_eq!(world.history(0, "bob").iter().filter(|m| m.state == State::Sent).count(), 0);
}

#[test]
fn a_missing_message_is_shown_as_missing_and_a_late_one_at_its_place() {
    let mut world = World::new(&["alice", "bob"]);
    world.send(1, "alice", "hi");
    world.send(0, "bob", "1");
    world.pass(5_000);
    world.relay.hold_back = true;
    world.send(0, "bob", "2");
    world.relay.hold_back = false;
    world.send(0, "bob", "3");
    assert_eq!(world.recv(1), ["1"]);
    world.pass(6_000);
    assert_eq!(world.recv(1), ["3"]);
    assert_eq!(world.gaps(1), 1);
    world.relay.release();
    world.pass(1_000);
    assert_eq!(texts(&world.history(1, "alice")), ["hi", "1", "2", "3"]);
}

#[test]
fn garbage_and_refusals_leave_no_trace() {
    let mut world = World::new(&["alice", "bob"]);
    let now = world.now;
    let engine = world.engine(0);
    for length in [0, 1, 6 * 1024, 16 * 1024] {
        let push = sealpost_spec::mailbox::Push::Envelope {
            seq: sealpost_spec::mailbox::Seq(9),
            id: sealpost_spec::mailbox::EnvelopeId([length as u8; 16]),
            sealed: vec![1; length].into(),
        };
        engine.handle_link(now, LinkEvent::Push(push));
    }
    engine.handle_link(
        now,
        LinkEvent::Answer { id: RequestId(9_999), result: Err(Failure::Refused(Refusal::Malformed)) },
    );
    assert!(engine.poisoned().is_none());
    assert!(engine.peers.is_empty());
    world.settle();
    assert_eq!(world.send(0, "bob", "still here").len(), 2);
}
