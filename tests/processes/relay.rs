use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{Lines, Outcome, finish, programs, until};

/// A relay in a process of its own, killed when it goes out of scope.
pub struct RelayProcess {
    child: Child,
    /// What people register with.
    pub address: String,
    /// Its data folder.
    pub data: PathBuf,
    /// Its log: standard error of all its lives.
    pub log: PathBuf,
    listen: String,
    options: Vec<String>,
    wrapper: Vec<String>,
    program: PathBuf,
}

impl RelayProcess {
    /// Starts a relay on a free port of 127.0.0.1, with its data in `folder/relay`.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[])
    }

    /// The same with further options.
    ///
    /// # Panics
    /// It does not start.
    pub fn start_with(folder: &Path, options: &[&str]) -> Self {
        Self::start_under(folder, options, &[])
    }

    /// The same under another program that goes over to it in the same process, as `env` does.
    ///
    /// # Panics
    /// It does not start.
    pub fn start_under(folder: &Path, options: &[&str], wrapper: &[&str]) -> Self {
        Self::start_at(folder, "127.0.0.1:0", options, wrapper)
    }

    /// The same at this address and port.
    ///
    /// # Panics
    /// It does not start.
    pub fn start_at(folder: &Path, listen: &str, options: &[&str], wrapper: &[&str]) -> Self {
        Self::start_program(&programs().relay, folder, listen, options, wrapper)
    }

    /// The same of another program than the one that is tested.
    ///
    /// # Panics
    /// It does not start.
    pub fn start_program(program: &Path, folder: &Path, listen: &str, options: &[&str], wrapper: &[&str]) -> Self {
        let data = folder.join("relay");
        let log = folder.join("relay.log");
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let (options, wrapper) = (words(options), words(wrapper));
        let (child, address) = Self::spawn(program, &data, &log, listen, &options, &wrapper).expect("the relay starts");
        let (listen, program) = (listen.to_owned(), program.to_owned());
        let mut relay = Self { child, address, data, log, listen, options, wrapper, program };
        // From now on it has the port that it took.
        if relay.listen.ends_with(":0") {
            relay.listen = relay.socket();
        }
        relay
    }

    /// From the next [`Self::restart`] on it runs under this program.
    pub fn under(&mut self, wrapper: &[&str]) {
        self.wrapper = wrapper.iter().map(|word| (*word).to_owned()).collect();
    }

    /// From the next [`Self::restart`] on it is this program.
    pub fn becomes(&mut self, program: &Path) {
        program.clone_into(&mut self.program);
    }

    fn spawn(
        program: &Path,
        data: &Path,
        log: &Path,
        listen: &str,
        options: &[String],
        wrapper: &[String],
    ) -> Option<(Child, String)> {
        let log = File::options().create(true).append(true).open(log).expect("a log file");
        let mut words = wrapper.iter().map(AsRef::as_ref).chain([program.as_os_str()]);
        let mut child = Command::new(words.next().expect("the relay at least"))
            .args(words)
            .arg("serve")
            .arg("--data")
            .arg(data)
            .args(["--listen", listen])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the relay's program is there");
        let mut lines = Lines::of(child.stdout.take().expect("it is piped"));
        match lines.next_line() {
            Some(address) => {
                assert!(address.starts_with("sealpost://"), "the first line is the address: {address}");
                Some((child, address))
            }
            None => {
                let _ = child.wait();
                None
            }
        }
    }

    /// `127.0.0.1:PORT`
    ///
    /// # Panics
    /// The address is none.
    pub fn socket(&self) -> String {
        let rest = self.address.strip_prefix("sealpost://").expect("an address");
        rest.split('/').next().expect("an address").to_owned()
    }

    /// Ends it as a power cut would: SIGKILL.
    pub fn kill(&mut self) {
        // Killed before, perhaps.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end by a signal, and waits; returns its exit code.
    ///
    /// # Panics
    /// It does not end in time.
    pub fn stop(&mut self, by: rustix::process::Signal) -> Option<i32> {
        super::signal(self.pid(), by);
        super::end_of(&mut self.child, super::PATIENCE, "the relay").code()
    }

    /// Waits until it has ended by itself; returns its exit code.
    ///
    /// # Panics
    /// It does not end in time.
    pub fn ended(&mut self) -> Option<i32> {
        super::end_of(&mut self.child, super::PATIENCE, "the relay").code()
    }

    /// Starts it again, after [`Self::kill`], with the same data and port.
    ///
    /// # Panics
    /// It does not start, or shows another address.
    pub fn restart(&mut self) {
        let (child, address) = until("the relay starts again", || {
            Self::spawn(&self.program, &self.data, &self.log, &self.listen, &self.options, &self.wrapper)
        });
        self.child = child;
        assert_eq!(address, self.address, "the address is the same after a restart");
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Runs `sealpost-relay` with other arguments.
    pub fn program(arguments: &[&str]) -> Outcome {
        let mut command = Command::new(&programs().relay);
        command.args(arguments);
        finish(command, "")
    }

    /// The same with these environment variables.
    pub fn program_with(environment: &[(&str, &str)], arguments: &[&str]) -> Outcome {
        let mut command = Command::new(&programs().relay);
        command.envs(environment.iter().copied()).args(arguments);
        finish(command, "")
    }

    /// What it has logged so far.
    pub fn logged(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for RelayProcess {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("log of the relay:\n{}", self.logged());
        }
    }
}
