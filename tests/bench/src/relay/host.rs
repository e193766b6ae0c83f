//! A server's process, and what its clients need to know of it.
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustls::ClientConfig;

use super::codec::{Codec, Wrong};
use super::engine::{Engine, LinkId};

/// A process that is ended with this value.
pub struct Process {
    /// `None`: this very process, which is not ended.
    child: Option<Child>,
    name: String,
}

impl Process {
    /// Starts a program whose output nobody needs.
    pub fn start(name: &str, command: &mut Command) -> Result<Self, Wrong> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.map_err(|error| Wrong(format!("{name} does not start: {error}")))?;
        Ok(Self { child: Some(child), name: name.to_owned() })
    }

    /// This very process, where what is measured has no server.
    pub fn own() -> Self {
        Self { child: None, name: "this program".to_owned() }
    }

    /// Starts a program and reads the first line that it prints: it says that it is ready. What it logs goes to a file.
    pub fn start_and_read(name: &str, command: &mut Command, log: &Path) -> Result<(Self, String), Wrong> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(log)?).spawn();
        let mut child = child.map_err(|error| Wrong(format!("{name} does not start: {error}")))?;
        let stdout = child.stdout.take();
        let process = Self { child: Some(child), name: name.to_owned() };
        let mut line = String::new();
        BufReader::new(stdout.ok_or_else(|| Wrong::new("no output"))?).read_line(&mut line)?;
        match line.trim_end() {
            "" => {
                let log = std::fs::read_to_string(log).unwrap_or_default();
                Err(Wrong(format!("{name} ended before it was ready: {}", log.trim_end())))
            }
            line => Ok((process, line.to_owned())),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn id(&self) -> u32 {
        self.child.as_ref().map_or_else(std::process::id, Child::id)
    }

    /// CPU time of all its threads so far, user and system: `man 5 proc`, a hundred ticks are a second.
    pub fn cpu(&self) -> Result<Duration, Wrong> {
        let stat = self.file("stat")?;
        // The second field is a name in parentheses and may hold anything.
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        let ticks = ticks.sum::<Result<u64, _>>().map_err(|_| Wrong(format!("{}: no CPU time", self.name)))?;
        Ok(Duration::from_millis(10 * ticks))
    }

    /// Bytes of memory that it has for itself and its share of what it has with others.
    pub fn memory(&self) -> Result<u64, Wrong> {
        let rollup = self.file("smaps_rollup")?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.map(|kib| kib * 1024).ok_or_else(|| Wrong(format!("{}: no memory figure", self.name)))
    }

    fn file(&self, name: &str) -> Result<String, Wrong> {
        let path = format!("/proc/{}/{name}", self.id());
        std::fs::read_to_string(&path).map_err(|error| Wrong(format!("{}: {path}: {error}", self.name)))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let Some(child) = &mut self.child else { return };
        if let Some(pid) = Pid::from_raw(child.id().cast_signed()) {
            let _ = kill_process(pid, Signal::TERM);
        }
        for _ in 0..100 {
            match child.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(50)),
                _ => return,
            }
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// What makes the links of one server's clients.
pub trait Clients {
    /// Will subscribe to topics. `number`: below how many there are in the play; each is somebody else.
    fn subscriber(&self, number: u32) -> Result<Box<dyn Codec>, Wrong>;

    /// Will publish to a topic.
    fn publisher(&self, topic: u32) -> Result<Box<dyn Codec>, Wrong>;

    /// Receives boxes, and sends them where [`Self::sender`] has no link for it.
    fn person(&self, number: u32) -> Result<Box<dyn Codec>, Wrong>;

    /// The link on which a person sends boxes to another one, where it is not that of [`Self::person`].
    fn sender(&self, _from: u32, _to: u32) -> Result<Option<Box<dyn Codec>>, Wrong> {
        Ok(None)
    }

    /// Sends boxes to somebody who is away, and hears [`super::codec::Event::Accepted`] of each that is kept.
    fn depositor(&self, from: u32, to: u32) -> Result<Box<dyn Codec>, Wrong> {
        self.sender(from, to)?.ok_or_else(|| Wrong::new("this server keeps no boxes"))
    }

    /// Comes back to so many boxes, takes them, acknowledges them, and hears [`super::codec::Event::Settled`].
    fn returner(&self, number: u32, _boxes: u32) -> Result<Box<dyn Codec>, Wrong> {
        self.person(number)
    }

    /// Fetches the keys of a person, once for each [`Codec::send`], and hears [`super::codec::Event::Accepted`].
    fn fetcher(&self, _number: u32) -> Result<Box<dyn Codec>, Wrong> {
        Err(Wrong::new("this server has no keys"))
    }

    /// Whether who sends a box hears [`super::codec::Event::Accepted`] of it.
    fn accepts(&self) -> bool {
        false
    }
}

/// A server that runs, and its clients.
pub struct Host {
    pub process: Process,
    pub address: SocketAddr,
    /// `None` where it is measured without TLS.
    pub tls: Option<Arc<ClientConfig>>,
    pub clients: Box<dyn Clients>,
}

impl Host {
    /// Opens a link of one of its clients.
    pub fn open(&self, engine: &mut Engine, codec: Box<dyn Codec>) -> Result<LinkId, Wrong> {
        engine.open(self.address, self.tls.as_ref(), codec)
    }
}

/// Where everything stands.
pub struct Site {
    /// For what servers keep; gone with the run.
    pub folder: tempfile::TempDir,
    /// The relay's program.
    pub relay: PathBuf,
    /// For stores that take long to fill, where they are to be used again.
    pub keep: Option<PathBuf>,
    /// Fewer and shorter of everything, to see whether it works.
    pub quick: bool,
}

impl Site {
    /// An empty folder for one server.
    pub fn folder(&self, name: &str) -> Result<PathBuf, Wrong> {
        let folder = tempfile::Builder::new().prefix(name).tempdir_in(&self.folder)?;
        Ok(folder.keep())
    }

    /// Where stores are that take long to fill.
    pub fn kept(&self) -> &Path {
        self.keep.as_deref().unwrap_or(self.folder.path())
    }
}

/// A port that is free at the moment, for servers that can't be told to find one and say which.
pub fn free_port() -> Result<u16, Wrong> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Waits until somebody listens on this port, and gives its address.
pub fn listening(port: u16, name: &str) -> Result<SocketAddr, Wrong> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    for _ in 0..200 {
        if std::net::TcpStream::connect(address).is_ok() {
            return Ok(address);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(Wrong(format!("{name} does not listen on {address}")))
}

/// The program of this name, where it is installed. `/usr/sbin` is looked into too: Debian puts servers there.
pub fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([Path::new("/usr/sbin").to_owned()]);
    folders.map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// A row has up to ten thousand links, each a file.
pub fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    // Where it can't be raised, opening links will say so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
