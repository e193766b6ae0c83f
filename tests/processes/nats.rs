use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::until;

/// Servers of NATS with JetStream, in processes of their own, which hold one cluster; killed when this goes out of scope.
pub struct Nats {
    nodes: Vec<Node>,
    scheme: &'static str,
}

struct Node {
    child: Option<Child>,
    program: PathBuf,
    /// Goes over to the program in the same process.
    under: Vec<String>,
    config: PathBuf,
    log: PathBuf,
    host: &'static str,
    /// For clients.
    port: u16,
    /// For whoever looks after it.
    monitor: u16,
}

/// A machine on which a server runs, and a relay beside it.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// Its address.
    pub host: &'static str,
    /// What runs something there, as `ip netns exec NAME` does.
    pub under: &'static [&'static str],
}

/// This one.
const HERE: Machine = Machine { host: "127.0.0.1", under: &[] };

/// How a server is set up beside its ports.
#[derive(Clone, Copy)]
pub struct Setup {
    /// Syncs before it answers.
    pub syncs: bool,
    /// Asks for this user and password.
    pub login: Option<(&'static str, &'static str)>,
    /// Speaks TLS, by `server.pem` and `server.key` in the folder.
    pub tls: bool,
    /// Where each runs; none: all on this machine.
    pub machines: &'static [Machine],
}

impl Default for Setup {
    fn default() -> Self {
        Self { syncs: true, login: None, tls: false, machines: &[] }
    }
}

/// The server's program: what `tests/cluster/prepare` has put into the target folder.
pub fn nats_server() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let there = own.ancestors().map(|folder| folder.join("nats/bin/nats-server"));
    there.into_iter().find(|program| program.is_file())
}

impl Nats {
    /// Starts so many servers; `None` where there is no program.
    ///
    /// # Panics
    /// They don't start.
    pub fn start(folder: &Path, count: usize, setup: Setup) -> Option<Self> {
        let program = nats_server()?;
        // Held until all are known, so that none comes twice.
        let free: Vec<TcpListener> =
            (0..3 * count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
        let port = |at: usize| free[at].local_addr().expect("it is bound").port();
        let ports: Vec<[u16; 3]> =
            (0..count).map(|node| [port(3 * node), port(3 * node + 1), port(3 * node + 2)]).collect();
        drop(free);
        let mut nodes = Vec::new();
        for (number, [port, route, monitor]) in (1..).zip(&ports) {
            let home = folder.join(format!("nats-{number}"));
            std::fs::create_dir_all(&home).expect("a folder");
            let sync = if setup.syncs { "always" } else { "2m" };
            let machine = |number: usize| setup.machines.get(number - 1).unwrap_or(&HERE);
            let Machine { host, under } = *machine(number);
            let mut text = format!(
                "server_name: n{number}\nlisten: {host}:{port}\nhttp: {host}:{monitor}\n\
                 jetstream {{ store_dir: {:?}, sync_interval: {sync:?} }}\n",
                home.join("jetstream")
            );
            if count > 1 {
                let routes =
                    (1..).zip(&ports).map(|(at, [_, route, _])| format!("nats://{}:{route}", machine(at).host));
                let routes = routes.collect::<Vec<_>>().join(", ");
                text += &format!("cluster {{ name: tests, listen: {host}:{route}, routes: [{routes}] }}\n");
            }
            if let Some((user, password)) = setup.login {
                let user = format!("{{ user: {user}, password: {password} }}");
                text += &format!(
                    "accounts {{ S: {{ jetstream: enabled, users: [{user}] }}, SYS: {{}} }}\nsystem_account: SYS\n"
                );
            }
            if setup.tls {
                let file = |name: &str| folder.join(name);
                let (certificate, key) = (file("server.pem"), file("server.key"));
                text += &format!("tls {{ cert_file: {certificate:?}, key_file: {key:?} }}\n");
            }
            let config = home.join("nats.conf");
            std::fs::write(&config, text).expect("a configuration");
            let (log, program) = (home.join("log"), program.clone());
            let under = under.iter().map(|word| (*word).to_owned()).collect();
            nodes.push(Node { child: None, program, under, config, log, host, port: *port, monitor: *monitor });
        }
        let mut nats = Self { nodes, scheme: if setup.tls { "tls" } else { "nats" } };
        (0..count).for_each(|node| nats.restart(node));
        Some(nats)
    }

    /// What a relay is told.
    pub fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(|node| format!("{}://{}:{}", self.scheme, node.host, node.port)).collect()
    }

    /// Where servers tell about themselves.
    pub fn monitors(&self) -> Vec<String> {
        self.nodes.iter().map(|node| format!("{}:{}", node.host, node.monitor)).collect()
    }

    /// How many servers there are.
    pub fn count(&self) -> usize {
        self.nodes.len()
    }

    /// Ends a server as a power cut would, but for what the system still writes: SIGKILL.
    pub fn kill(&mut self, node: usize) {
        if let Some(mut child) = self.nodes[node].child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks a server to end, and waits.
    ///
    /// # Panics
    /// It does not end in time.
    pub fn stop(&mut self, node: usize) {
        if let Some(mut child) = self.nodes[node].child.take() {
            super::signal(child.id(), rustix::process::Signal::TERM);
            let _ = super::end_of(&mut child, super::PATIENCE, "the NATS server");
        }
    }

    /// From the next [`Self::restart`] on a server runs under this program, which goes over to it in the same process.
    pub fn under(&mut self, node: usize, words: &[&str]) {
        self.nodes[node].under = words.iter().map(|word| (*word).to_owned()).collect();
    }

    /// Takes away what a server has on its disk.
    ///
    /// # Panics
    /// It runs.
    pub fn lose(&mut self, node: usize) {
        assert!(!self.runs(node), "a server that runs keeps what it has");
        let home = self.nodes[node].config.with_file_name("jetstream");
        std::fs::remove_dir_all(home).expect("it has written something");
    }

    /// Starts a server again, after [`Self::kill`].
    ///
    /// # Panics
    /// It does not start.
    pub fn restart(&mut self, node: usize) {
        let node = &mut self.nodes[node];
        let log = std::fs::File::options().create(true).append(true).open(&node.log).expect("a log file");
        let mut words = node.under.iter().map(AsRef::as_ref).chain([node.program.as_os_str()]);
        let child = Command::new(words.next().expect("the program at least"))
            .args(words)
            .arg("-c")
            .arg(&node.config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the server's program is there");
        node.child = Some(child);
        until("a NATS server answers", || {
            let tcp = TcpStream::connect((node.host, node.port)).ok()?;
            tcp.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
            let mut line = String::new();
            BufReader::new(tcp).read_line(&mut line).ok()?;
            line.starts_with("INFO ").then_some(())
        });
    }

    /// Asks JetStream through a server, without a login; `None` where nobody answers.
    pub fn ask(&self, node: usize, what: &str, body: &serde_json::Value) -> Option<serde_json::Value> {
        let node = &self.nodes[node];
        let mut tcp = TcpStream::connect((node.host, node.port)).ok()?;
        tcp.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let mut lines = BufReader::new(tcp.try_clone().ok()?);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let hello = "CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\nSUB answer 1\r\n";
        let asked = format!("{hello}PUB $JS.API.{what} answer {}\r\n{body}\r\n", body.len());
        tcp.write_all(asked.as_bytes()).ok()?;
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line).ok()? == 0 || line.starts_with("HMSG ") {
                return None;
            }
            if line.starts_with("MSG answer ") {
                let length = line.trim_end().rsplit(' ').next()?.parse().ok()?;
                let mut payload = vec![0; length];
                lines.read_exact(&mut payload).ok()?;
                return serde_json::from_slice(&payload).ok();
            }
        }
    }

    /// The server that leads a stream.
    ///
    /// # Panics
    /// None does, for too long.
    pub fn leader(&self, stream: &str) -> usize {
        let what = format!("STREAM.INFO.{stream}");
        until("a stream has a leader", || {
            let ask = |node: &usize| self.ask(*node, &what, &serde_json::Value::Null);
            let info = (0..self.nodes.len()).filter(|node| self.runs(*node)).find_map(|node| ask(&node))?;
            info["cluster"]["leader"].as_str().map(|name| self.named(name))
        })
    }

    /// The server of this name, as NATS calls it.
    ///
    /// # Panics
    /// There is none.
    pub fn named(&self, name: &str) -> usize {
        let number: usize = name.strip_prefix('n').and_then(|number| number.parse().ok()).expect("a server's name");
        number - 1
    }

    /// Its process, while it runs.
    pub fn pid(&self, node: usize) -> Option<u32> {
        self.nodes[node].child.as_ref().map(Child::id)
    }

    /// Whether it runs.
    pub fn runs(&self, node: usize) -> bool {
        self.nodes[node].child.is_some()
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        (0..self.nodes.len()).for_each(|node| self.kill(node));
        if std::thread::panicking() {
            for node in &self.nodes {
                let log = std::fs::read_to_string(&node.log).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                let last = lines.len().saturating_sub(40);
                eprintln!("the end of {}:\n{}", node.log.display(), lines[last..].join("\n"));
            }
        }
    }
}
