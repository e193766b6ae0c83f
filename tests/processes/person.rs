use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{Lines, Outcome, finish, programs, schema};

/// Somebody with a client: a home of their own and a passphrase.
pub struct Person {
    /// Their name.
    pub name: String,
    /// Given as `--home`.
    pub home: PathBuf,
    /// Given as `--passphrase-file`.
    pub passphrase: PathBuf,
}

impl Person {
    /// Somebody whose home is `folder/NAME`; not registered anywhere.
    ///
    /// # Panics
    /// The folder can't be written.
    pub fn new(folder: &Path, name: &str) -> Self {
        let home = folder.join(name);
        let passphrase = folder.join(format!("{name}.passphrase"));
        std::fs::write(&passphrase, format!("{name} likes long walks by the sea\n")).expect("a passphrase file");
        set_private(&passphrase);
        Self { name: name.to_owned(), home, passphrase }
    }

    /// The same, registered with the relay at this address.
    ///
    /// # Panics
    /// The registration fails.
    pub fn registered(folder: &Path, name: &str, address: &str) -> Self {
        let person = Self::new(folder, name);
        let _ = person.run(&["register", address, name]).expect(0);
        person
    }

    /// Their client with these arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&programs().client);
        command.arg("--home").arg(&self.home).arg("--passphrase-file").arg(&self.passphrase).args(arguments);
        for variable in ["SEALPOST_HOME", "SEALPOST_PROFILE", "SEALPOST_PASSPHRASE", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env_remove(variable);
        }
        command
    }

    /// Runs their client to its end.
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        finish(self.command(arguments), "")
    }

    /// The same with `--json`.
    ///
    /// # Panics
    /// A line is not what the published schema says.
    pub fn json(&self, arguments: &[&str]) -> Outcome {
        let mut all = vec!["--json"];
        all.extend(arguments);
        let outcome = self.run(&all);
        outcome.json().iter().for_each(schema::assert_line);
        outcome
    }

    /// `recv --follow --json`, going on in the background.
    ///
    /// # Panics
    /// It can't be started.
    pub fn follow(&self) -> Following {
        Following::start(self.command(&["--json", "recv", "--follow"]))
    }

    /// The same, once it holds the profile: others need no passphrase.
    ///
    /// # Panics
    /// It does not, in time.
    pub fn holds(&self) -> Following {
        let following = self.follow();
        super::until(&format!("{} holds the profile", self.name), || {
            let profiles = self.json(&["profiles"]).expect(0);
            profiles.events("profile").iter().any(|one| one["held"] == true).then_some(())
        });
        following
    }

    /// Texts of a conversation as `history` has them, with the names of their senders.
    ///
    /// # Panics
    /// The command fails.
    pub fn history(&self, with: &str) -> Vec<(String, String)> {
        let outcome = self.json(&["history", with, "--limit", "100000"]).expect(0);
        let word = |line: &serde_json::Value, field: &str| line[field].as_str().unwrap_or_default().to_owned();
        outcome.events("message").iter().map(|line| (word(line, "from"), word(line, "text"))).collect()
    }

    /// `recv` until so many messages have come: their texts, in order.
    ///
    /// # Panics
    /// They do not come in time.
    pub fn receives(&self, count: usize) -> Vec<String> {
        let mut texts = Vec::new();
        super::until(&format!("{} receives {count} messages", self.name), || {
            let outcome = self.json(&["recv", "--timeout", "20s"]).expect(0);
            let new = outcome.events("message");
            texts.extend(new.iter().map(|line| line["text"].as_str().unwrap_or_default().to_owned()));
            (texts.len() >= count).then_some(())
        });
        texts
    }
}

fn set_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("one's own file");
}

/// A client that goes on in the background, killed when it goes out of scope.
pub struct Following {
    child: Child,
    /// What it prints.
    pub lines: Lines,
    /// What it complains about.
    pub complaints: Lines,
}

impl Following {
    /// Starts it.
    ///
    /// # Panics
    /// It can't be started.
    pub fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let lines = Lines::of(child.stdout.take().expect("it is piped"));
        let complaints = Lines::of(child.stderr.take().expect("it is piped"));
        Self { child, lines, complaints }
    }

    /// The next message that it prints.
    ///
    /// # Panics
    /// None comes in time.
    pub fn message(&mut self) -> serde_json::Value {
        self.event("message")
    }

    /// The next event of this kind that it prints.
    ///
    /// # Panics
    /// None comes in time.
    pub fn event(&mut self, kind: &str) -> serde_json::Value {
        let wanted = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            schema::assert_line(&line);
            line["event"] == kind
        };
        let line = self.lines.until(wanted);
        serde_json::from_str(&line).expect("just parsed")
    }

    /// How it ended, once it has.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its standard input.
    pub fn stdin(&mut self) -> &mut std::process::ChildStdin {
        self.child.stdin.as_mut().expect("it is piped")
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.kill();
    }
}
