//! A conversation of everything that there is, by people, in rooms and in words that nobody would say by chance; and all that
//! the programs wrote of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use sealpost_tests::processes::{Following, Outcome, Person, RelayProcess, finish, until};
use tempfile::TempDir;

/// Named in the relay's store, since it must find them there.
pub(super) const ROOM: &str = "qxz-orangery";
pub(super) const POST: &str = "qxz post: the orangery opens at nine";
/// Known to those who say and hear them.
pub(super) const TEXTS: [(&str, &str); 6] = [
    ("a message", "qxz direct: the heron lands at the old mill"),
    ("an answer", "qxz answer: bring the second lantern"),
    ("a request", "qxz request: we met under the viaduct"),
    ("a note", "qxz note: milk, thread, a new padlock"),
    ("a label", "qxz Uncle Lysander"),
    ("a file's name", "qxz-floor-plan.svg"),
];
pub(super) const PLAN: &str = "qxz plan: the safe stands behind the third bookcase, left of the door";
const NICK: &str = "qxz The Gardener";

/// Who talked, and what was left.
pub(super) struct Talk {
    pub(super) relay: RelayProcess,
    pub(super) alice: Person,
    pub(super) bob: Person,
    pub(super) carol: Person,
    /// Holders of the profiles of Alice and Bob, which go on.
    pub(super) holders: [Following; 2],
    pub(super) folder: TempDir,
    /// What all clients have logged.
    pub(super) log: String,
}

impl Talk {
    /// Holds it, over a relay and with clients at this level; `None`: as they are.
    pub(super) fn at(level: Option<&'static str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["temporary", "runtime", "current"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let variable = level.map(|level| format!("RUST_LOG={level}"));
        let wrapper: Vec<&str> = variable.iter().flat_map(|variable| ["env", variable.as_str()]).collect();
        let relay = RelayProcess::start_under(folder.path(), &["--metrics", "127.0.0.1:0"], &wrapper);
        let person = |name: &str| Person::new(folder.path(), name);
        let mut clients = Clients { folder: folder.path().to_owned(), level, log: String::new() };
        let people = ["qxz-alice", "qxz-bob", "qxz-carol"].map(person);
        for person in &people {
            let _ = clients.run(person, &["register", &relay.address, &person.name], "");
        }
        let [alice, bob, carol] = people;
        let holders = [&alice, &bob].map(|person| {
            let mut holder = Following::start(clients.command(person, &["--json", "daemon"]));
            let _ = holder.lines.until(|line| line.contains("\"listening\""));
            holder
        });
        let text = |what: &str| TEXTS.iter().find(|(name, _)| *name == what).unwrap().1;
        for (from, to, what) in
            [(&alice, &bob, "a message"), (&bob, &alice, "an answer"), (&carol, &alice, "a request")]
        {
            let _ = clients.run(from, &["send", &to.name], text(what));
            until(&format!("{what} has come"), || {
                let shown = clients.outcome(to, &["--json", "history", &from.name], "");
                shown.out.contains(text(what)).then_some(())
            });
        }
        let _ = clients.run(&alice, &["send", &alice.name], text("a note"));
        let _ = clients.run(&alice, &["alias", &bob.name, text("a label")], "");
        for person in [&alice, &bob] {
            let _ = clients.run(person, &["join", &format!("#{ROOM}")], "");
        }
        let _ = clients.run(&alice, &["nick", NICK], "");
        let _ = clients.run(&alice, &["send", &format!("#{ROOM}")], POST);
        let plan = folder.path().join(text("a file's name"));
        std::fs::write(&plan, PLAN).unwrap();
        let _ = clients.run(&alice, &["send", &bob.name, "-f", plan.to_str().unwrap()], "");
        std::fs::remove_file(&plan).unwrap();
        until("the file has come", || {
            let got = clients.outcome(&bob, &["get"], "");
            (got.code == Some(0)).then_some(())
        });
        for (person, with) in [(&alice, &bob), (&bob, &alice)] {
            for arguments in [&["history", &with.name][..], &["search", "lantern"], &["whois", &with.name], &["files"]]
            {
                let _ = clients.run(person, arguments, "");
            }
        }
        // What waits at the relay while it is searched.
        let _ = clients.run(&bob, &["send", &carol.name], text("an answer"));
        let log = clients.log;
        Self { relay, alice, bob, carol, holders, folder, log }
    }

    pub(super) fn people(&self) -> [&Person; 3] {
        [&self.alice, &self.bob, &self.carol]
    }

    /// Everything below the folder but the relay's: name and contents. Without what people saved on purpose, and without
    /// their passphrases, which the test wrote.
    pub(super) fn written(&self) -> Vec<(String, Vec<u8>)> {
        let all = sealpost_tests::processes::files_below(self.folder.path()).into_iter();
        all.filter(|(path, _)| {
            let path = Path::new(path);
            !path.starts_with(&self.relay.data)
                && *path != self.relay.log
                && path.extension().is_none_or(|extension| extension != "passphrase")
                && !path.components().any(|part| part.as_os_str() == "downloads")
        })
        .collect()
    }

    pub(super) fn apart(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Starts clients, and keeps what they say on standard error.
struct Clients {
    folder: PathBuf,
    level: Option<&'static str>,
    log: String,
}

impl Clients {
    fn command(&self, person: &Person, arguments: &[&str]) -> Command {
        let mut command = person.command(arguments);
        command.env("TMPDIR", self.folder.join("temporary"));
        command.env("XDG_RUNTIME_DIR", self.folder.join("runtime"));
        command.current_dir(self.folder.join("current"));
        match self.level {
            Some(level) => command.env("SEALPOST_LOG", level),
            None => command.env_remove("SEALPOST_LOG"),
        };
        command
    }

    fn outcome(&mut self, person: &Person, arguments: &[&str], input: &str) -> Outcome {
        // Nothing but data and errors on standard error, beside the log.
        let arguments = [&["--quiet"], arguments].concat();
        let outcome = finish(self.command(person, &arguments), input);
        self.log += &outcome.err;
        outcome
    }

    fn run(&mut self, person: &Person, arguments: &[&str], input: &str) -> Outcome {
        self.outcome(person, arguments, input).expect(0)
    }
}
