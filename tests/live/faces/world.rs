//! A relay, Alice, whose client is asked, and two people she talks with, whose clients stay online.

use std::sync::{Mutex, PoisonError};

use sealpost_client::api::{Command, Event, State, Wait};
use sealpost_crypto::identity::{DeviceSecret, device_code, device_request};
use sealpost_spec::account::DeviceId;
use sealpost_tests::processes::{Following, Person, RelayProcess, until};
use tempfile::TempDir;

use super::ears::Ears;

pub(super) struct World {
    pub(super) alice: Person,
    pub(super) ears: Ears,
    /// It holds Alice's profile, and lets programs in.
    _daemon: Following,
    bob: Person,
    carol: Person,
    /// Carol, on a new machine and with a new key.
    again: Person,
    online: Mutex<Vec<Following>>,
    relay: RelayProcess,
    folder: TempDir,
}

impl World {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let relay = RelayProcess::start(folder.path());
        let person = |name: &str| Person::registered(folder.path(), name, &relay.address);
        let (alice, bob, carol) = (person("alice"), person("bob"), person("carol"));
        let again = Person::new(folder.path(), "carol.again");
        let mut daemon = Following::start(alice.command(&["--json", "daemon"]));
        let _ = daemon.lines.until(|line| line.contains("\"listening\""));
        let ears = Ears::at(&alice.home.join("default"));
        let online = Mutex::new(vec![bob.follow(), carol.follow()]);
        let world = Self { alice, ears, _daemon: daemon, bob, carol, again, online, relay, folder };
        world.bob_says("hello");
        let hello = Command::Send {
            to: "bob".to_owned(),
            text: "hello".to_owned(),
            wait: Wait::Delivered,
            timeout_ms: 60_000,
            expire: None,
        };
        let _ = world.ask(&hello);
        world.carol_says("buy my beans");
        world
    }

    /// Alice's client, past the faces. No command that the script gives this way fails.
    pub(super) fn ask(&self, command: &Command) -> Vec<Event> {
        let events = self.ears.ask(command);
        let failed = events.iter().find(|event| matches!(event, Event::Error(_)));
        assert!(failed.is_none(), "{command:?}: {failed:?}");
        events
    }

    pub(super) fn bob_does(&self, arguments: &[&str]) {
        let _ = self.bob.run(arguments).expect(0);
    }

    /// Alice makes the orchard, and Bob joins it.
    pub(super) fn bob_enters_the_orchard(&self) {
        let _ = self.ask(&Command::Join { room: "#orchard".to_owned() });
        self.bob_does(&["join", "#orchard"]);
    }

    pub(super) fn bob_says(&self, text: &str) {
        self.bob_does(&["send", "alice", text]);
        let _ = self.id_of("@bob", text);
    }

    pub(super) fn carol_says(&self, text: &str) {
        let _ = self.carol.run(&["send", "alice", text]).expect(0);
        let _ = self.id_of("@carol", text);
    }

    /// A file that Alice may send.
    pub(super) fn a_file(&self) -> String {
        self.file("tea.txt")
    }

    fn file(&self, name: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, format!("what {name} says")).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The id of a file to Bob that is on its way for longer than anybody waits: it is read before it is sent.
    pub(super) fn a_file_on_its_way(&self) -> String {
        let path = self.folder.path().join("film.mkv");
        std::fs::File::create(&path).unwrap().set_len(64 << 30).unwrap();
        let path = path.to_str().unwrap().to_owned();
        // How it ends is no matter: the file goes on.
        let _ = self.ears.ask(&Command::SendFile {
            to: "@bob".to_owned(),
            path: path.clone(),
            wait: Wait::Sent,
            timeout_ms: 1,
            expire: None,
        });
        let files = self.ask(&Command::Files);
        let found = files.into_iter().find_map(|event| match event {
            Event::Progress(file) if file.path.as_ref() == Some(&path) => Some(file.id),
            _ => None,
        });
        found.unwrap()
    }

    pub(super) fn bob_sends_a_file(&self) {
        self.bob_does(&["send", "alice", "-f", &self.file("beans.txt")]);
        let _ = self.id_of("@bob", "beans.txt");
    }

    /// The id of the message that says this, once it is there.
    pub(super) fn id_of(&self, with: &str, text: &str) -> String {
        let history = Command::History { with: with.to_owned(), limit: None, before: None };
        until(&format!("alice has {text:?} from {with}"), || {
            self.ears.ask(&history).into_iter().find_map(|event| match event {
                Event::Message(message) if message.text.as_raw() == text => Some(message.id),
                _ => None,
            })
        })
    }

    pub(super) fn number_with(&self, name: &str) -> String {
        let events = self.ask(&Command::Verify { name: Some(name.to_owned()), mark: None });
        let number = events.into_iter().find_map(|event| match event {
            Event::Safety { number, .. } => Some(number),
            _ => None,
        });
        number.unwrap()
    }

    /// What a machine shows that is to become a device of Alice's, and never comes.
    pub(super) fn request_of_a_device(&self) -> (String, String) {
        let fingerprint = self.ask(&Command::Me).into_iter().find_map(|event| match event {
            Event::Me { fingerprint, .. } => Some(fingerprint.parse().unwrap()),
            _ => None,
        });
        let machine = DeviceSecret::generate(&mut rand::rng()).public(DeviceId::FIRST);
        let request = device_request(&machine, fingerprint.unwrap());
        (request.to_string(), device_code(&request).unwrap().to_string())
    }

    pub(super) fn link_of_carol(&self) -> String {
        self.carol.json(&["me"]).expect(0).events("me")[0]["link"].as_str().unwrap().to_owned()
    }

    /// Her name is released, she takes it again with another key, and writes: Alice learns of that.
    pub(super) fn carol_loses_her_key(&self) {
        self.online.lock().unwrap_or_else(PoisonError::into_inner).truncate(1);
        let data = self.relay.data.to_str().unwrap();
        let _ = RelayProcess::program(&["admin", "release", "carol", "--data", data]).expect(0);
        let _ = self.again.run(&["register", &self.relay.address, "carol"]).expect(0);
        let _ = self.again.run(&["send", "alice", "it is me"]).expect(0);
        until("alice knows of the new key", || {
            self.ears.ask(&Command::Contacts).into_iter().find_map(|event| match event {
                Event::Contact { name, changed: Some(_), .. } if name == "carol" => Some(()),
                _ => None,
            })
        });
    }

    pub(super) fn new_key_of_carol(&self) -> String {
        self.again.json(&["me"]).expect(0).events("me")[0]["fingerprint"].as_str().unwrap().to_owned()
    }

    /// Waits until everything that Alice has said has come as far as it will: what is asked next has one answer.
    pub(super) fn settles(&self) {
        until("all that alice has said is confirmed", || {
            self.ears.ask(&Command::Status).into_iter().find_map(|event| match event {
                Event::Status { queued: 0, unconfirmed: 0, .. } => Some(()),
                _ => None,
            })
        });
        let stands = |event: &Event| match event {
            Event::Conversation { last: Some(last), .. } => !matches!(last.state, State::Queued),
            _ => true,
        };
        until("and stands in the list so", || self.ears.ask(&Command::Conversations).iter().all(stands).then_some(()));
    }
}
