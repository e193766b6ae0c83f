//! `sealpost-relay`: the only file that names a concrete store.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, CommandFactory, Parser, Subcommand};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use rand::SeedableRng;
use sealpost_crypto::identity::{RelaySecret, relay_pin};
use sealpost_relay::Relay;
use sealpost_relay::config::{self, Config, ConfigError, Register};
use sealpost_relay::connection::Timing;
use sealpost_relay::demo::Demo;
use sealpost_relay::folder::{self, Folder, FolderError};
use sealpost_relay::listen::{Server, tls};
use sealpost_relay::store::Sqlite;
use sealpost_relay::store::sqlite::OpenError;
use sealpost_spec::relay::{Address, Host};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Carries sealed messages that it can't open.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  sealpost-relay serve --demo
  sealpost-relay serve --data /var/lib/sealpost --listen 0.0.0.0:7443 --host relay.example.org
  sealpost-relay address --data /var/lib/sealpost
  sealpost-relay init /etc/sealpost/relay.toml
  sealpost-relay check";

#[derive(Subcommand)]
enum Command {
    /// Runs the relay in the foreground; the first line on stdout is its address
    Serve {
        #[command(flatten)]
        options: Options,
        /// Use a temporary folder, and print the commands that two people paste to talk
        #[arg(long, conflicts_with = "data")]
        demo: bool,
    },
    /// Prints the relay's address, and its QR code
    Address {
        #[command(flatten)]
        options: Options,
    },
    /// Writes a commented configuration, to be edited; nothing in it changes a default yet
    Init {
        /// The file; it must not be there yet. `-` prints it
        #[arg(value_name = "FILE", default_value = config::SYSTEM)]
        file: PathBuf,
    },
    /// Shows the configuration that is in force, and where each value comes from
    Check {
        #[command(flatten)]
        options: Options,
        /// Print one JSON object a line, for programs
        #[arg(long)]
        json: bool,
    },
    /// Prints what a shell needs to complete commands
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Prints the manual page, or writes one for each command into a folder
    Man {
        /// The folder, which must be there
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
    },
}

/// What is given wins over environment and files.
#[derive(Args, Serialize)]
struct Options {
    /// The data folder [default: ./sealpost-relay]
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<PathBuf>,
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:7443]
    #[arg(long, value_name = "ADDR:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<std::net::SocketAddr>,
    /// Names under which clients find the relay, for the printed address
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    host: Vec<String>,
    /// Who may register [default: open]
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    register: Option<Register>,
    /// A configuration file, over /etc/sealpost/relay.toml
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    config: Option<PathBuf>,
}

/// An error as it is printed, with the exit code that belongs to it.
struct Failure {
    exit: u8,
    error: String,
    cause: String,
    advice: String,
}

/// Exit codes: a promise to scripts.
const RUNTIME: u8 = 1;
const CONFIGURATION: u8 = 2;
const ENVIRONMENT: u8 = 3;
const NEWER: u8 = 4;

impl Failure {
    fn new(exit: u8, error: &str, cause: impl std::fmt::Display, advice: impl Into<String>) -> Self {
        Self { exit, error: error.to_owned(), cause: cause.to_string(), advice: advice.into() }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(CONFIGURATION, "the configuration makes no sense", error.cause, error.advice)
    }
}

impl From<FolderError> for Failure {
    fn from(error: FolderError) -> Self {
        let advice = match &error {
            FolderError::InUse(_) => "stop the other one, or give this one a folder with --data DIR".to_owned(),
            FolderError::Open { path, .. } => format!("chmod go= {}", path.display()),
            FolderError::Key(_) => {
                "restore the file from a backup: without it the relay has another address".to_owned()
            }
            FolderError::Io { .. } => "check the folder's owner and the space on its disk".to_owned(),
        };
        Self::new(ENVIRONMENT, "the data folder can't be used", error, advice)
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Newer => {
                Self::new(NEWER, "the data can't be read", error, "install the version that wrote it, or a newer one")
            }
            OpenError::Io(_) => {
                Self::new(ENVIRONMENT, "the store can't be opened", error, "check the folder's owner and its disk")
            }
            OpenError::Sqlite(_) | OpenError::Schema(_) => {
                Self::new(RUNTIME, "the store can't be opened", error, "check the disk, or restore a backup")
            }
        }
    }
}

fn main() -> ExitCode {
    log();
    let outcome = match Cli::parse().command {
        Command::Serve { options, demo } => serve(&options, demo),
        Command::Address { options } => address(&options),
        Command::Init { file } => init(&file),
        Command::Check { options, json } => check(&options, json),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "sealpost-relay", &mut script);
            say(&String::from_utf8_lossy(&script));
            Ok(())
        }
        Command::Man { folder } => manual(folder.as_deref()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { exit, error, cause, advice }) => {
            let _ = writeln!(std::io::stderr(), "error: {error}\ncause: {cause}\ntry: {advice}");
            ExitCode::from(exit)
        }
    }
}

/// To stderr, in colour on a terminal only, without anything that names somebody at the default level.
fn log() {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,rusqlite_migration=warn"));
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(colour).with_env_filter(filter).init();
}

fn serve(options: &Options, demo: bool) -> Result<(), Failure> {
    let mut config = Config::load(options.config.as_deref(), options)?;
    let demo = demo.then(Demo::new).transpose().map_err(|error| {
        Failure::new(ENVIRONMENT, "the demo's folder can't be made", error, "set TMPDIR to a folder that is writable")
    })?;
    if let Some(demo) = &demo {
        config.data = demo.data();
        if options.listen.is_none() {
            config.listen.set_port(0);
        }
    }
    if !config.dumpable {
        shut_memory();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(ENVIRONMENT, "the relay could not start", error, "allow it more threads"))?;
    let outcome = runtime.block_on(run(config, demo.as_ref()));
    // Nothing is left to wait for: links have ended, and the store with them.
    runtime.shutdown_background();
    outcome
}

async fn run(mut config: Config, demo: Option<&Demo>) -> Result<(), Failure> {
    let runtime = |error: &dyn std::fmt::Display| {
        Failure::new(RUNTIME, "the relay could not start", error, "look at the log above, and report this")
    };
    // First of all: whoever stops it while it starts finds nothing left of a demo either.
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| runtime(&error))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| runtime(&error))?;
    // A terminal that was closed.
    let mut hangup = signal(SignalKind::hangup()).map_err(|error| runtime(&error))?;
    config.links = config.links.within(open_files());
    let folder = Folder::open(&config.data)?;
    let secret = folder.key()?;
    let store = Sqlite::open(&folder.store())?;
    let broken = store.stopped();
    let acceptor = tls(&secret).map_err(|error| runtime(&error))?;
    let listener = TcpListener::bind(config.listen).await.map_err(|error| {
        let advice = "choose another one with --listen ADDR:PORT, or stop what uses it";
        Failure::new(ENVIRONMENT, &format!("can't listen on {}", config.listen), error, advice)
    })?;
    let port = listener.local_addr().map_err(|error| runtime(&error))?.port();
    folder.note_port(port)?;
    let address = printed(&config, port, &secret)?;
    let rng = rand::rngs::StdRng::try_from_rng(&mut rand::rngs::SysRng).map_err(|error| runtime(&error))?;
    let relay = Relay::new(store, secret, config.rules(), rng).await.map_err(|fault| runtime(&fault))?;
    let server = Server::new(Arc::new(relay), acceptor, config.links.clone(), Timing::default());

    let (stop, stopping) = watch::channel(false);
    let serving = tokio::spawn(server.run(listener, stopping));
    say(&format!("{address}\n"));
    tracing::info!("the relay listens on port {port}");
    if let Some(demo) = demo {
        say(&demo.instructions(&address, &client()));
    }

    let failed = tokio::select! {
        _ = terminate.recv() => false,
        _ = interrupt.recv() => false,
        _ = hangup.recv() => false,
        () = broken => true,
    };
    tracing::info!("the relay stops");
    stop.send_replace(true);
    let ended = serving.await;
    if failed {
        let advice = "check the disk and its free space, then start again: what was accepted is there";
        return Err(Failure::new(RUNTIME, "the relay stopped", "its store could not be written", advice));
    }
    ended.map_err(|error| runtime(&error))
}

fn address(options: &Options) -> Result<(), Failure> {
    let config = Config::load(options.config.as_deref(), options)?;
    let Some(secret) = folder::read_key(&config.data)? else {
        let cause = format!("there is no relay in {}", config.data.display());
        return Err(Failure::new(RUNTIME, "no address yet", cause, "sealpost-relay serve --data DIR"));
    };
    let port = match config.listen.port() {
        0 => folder::noted_port(&config.data).unwrap_or_default(),
        port => port,
    };
    let address = printed(&config, port, &secret)?.to_string();
    let code = QrCode::new(&address).map_err(|error| {
        Failure::new(RUNTIME, "the QR code could not be drawn", error, "give fewer or shorter names with --host")
    })?;
    let code = code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
    say(&format!("{address}\n\n{code}\n"));
    Ok(())
}

/// Writes the commented configuration where there is none yet.
fn init(file: &Path) -> Result<(), Failure> {
    if file == Path::new("-") {
        say(config::TEMPLATE);
        return Ok(());
    }
    let options = std::fs::OpenOptions::new().write(true).create_new(true).open(file);
    let written = options.and_then(|mut file| file.write_all(config::TEMPLATE.as_bytes()));
    written.map_err(|error| {
        let advice = match error.kind() {
            std::io::ErrorKind::AlreadyExists => "sealpost-relay init -    # prints it, to compare".to_owned(),
            _ => "sealpost-relay init ./relay.toml    # and serve with --config ./relay.toml".to_owned(),
        };
        Failure::new(ENVIRONMENT, &format!("{} can't be written", file.display()), error, advice)
    })?;
    let read = if file == Path::new(config::SYSTEM) { String::new() } else { format!(" --config {}", file.display()) };
    say(&format!("{}: edit it, then\n  sealpost-relay check{read}\n  sealpost-relay serve{read}\n", file.display()));
    Ok(())
}

/// Shows what is in force.
fn check(options: &Options, json: bool) -> Result<(), Failure> {
    for setting in config::settings(options.config.as_deref(), options)? {
        match json {
            true => say(&format!("{}\n", serde_json::json!(setting))),
            false => say(&format!("{setting}\n")),
        }
    }
    Ok(())
}

/// The manual: one page on stdout, or a page for each command in a folder.
fn manual(folder: Option<&Path>) -> Result<(), Failure> {
    let written = match folder {
        Some(folder) => clap_mangen::generate_to(Cli::command(), folder),
        None => {
            let mut page = Vec::new();
            let rendered = clap_mangen::Man::new(Cli::command()).render(&mut page);
            say(&String::from_utf8_lossy(&page));
            rendered
        }
    };
    written.map_err(|error| {
        Failure::new(ENVIRONMENT, "the manual can't be written", error, "give a folder that is there and writable")
    })
}

fn printed(config: &Config, port: u16, secret: &RelaySecret) -> Result<Address, Failure> {
    let hosts = if config.host.is_empty() {
        let address = config.listen.ip();
        let address = if address.is_unspecified() {
            tracing::warn!("the printed address names this machine only: give its name with --host");
            std::net::Ipv4Addr::LOCALHOST.into()
        } else {
            address
        };
        vec![if address.is_ipv6() { format!("[{address}]") } else { address.to_string() }]
    } else {
        config.host.clone()
    };
    let hosts = hosts.iter().map(|host| host.parse()).collect::<Result<Vec<Host>, _>>();
    let hosts = hosts.map_err(|error| Failure::new(CONFIGURATION, "no address", error, "give a name with --host"))?;
    Ok(Address { hosts, port, pin: relay_pin(&secret.public()) })
}

/// The client's program, which stands beside this one.
fn client() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.parent().unwrap_or(Path::new(".")).join("sealpost")
}

/// A closed pipe is not an error.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Nobody attaches to this process, and no crash writes its memory to disk.
fn shut_memory() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if setrlimit(Resource::Core, none).is_err() {
        tracing::warn!("core files could not be turned off");
    }
    #[cfg(target_os = "linux")]
    if rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable).is_err() {
        tracing::warn!("the process's memory could not be shut");
    }
}

/// How many files the process may have open, after raising what it may to what it can.
fn open_files() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Where it can't be raised, the present limit holds.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let files = getrlimit(Resource::Nofile).current.and_then(|files| usize::try_from(files).ok());
    files.unwrap_or(usize::MAX)
}
