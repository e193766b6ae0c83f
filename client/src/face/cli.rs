//! The command line: arguments in, exit code out.

mod arguments;
mod device;
mod doctor;
mod file;
mod online;
mod profile;
mod register;
mod restore;

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};

use super::passphrase::Source;
use super::screen::Screen;
use super::{Stop, chat, daemon, place, process, tui, web};
use crate::api::{Error, ErrorCode};
use crate::holder::{Opening, Profile};
use arguments::{Cli, Device, Global, Passphrase, Verb};
pub(super) use online::interrupted;

/// How long a command that asks the relay may take, where `--timeout` does not say.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Runs the program.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return misused(&error, &arguments),
    };
    let Some(verb) = cli.verb else { return bare(arguments, &cli.global) };
    match &verb {
        Verb::Completions { shell } => return printed(|out| completions(*shell, out)),
        Verb::Schema => return printed(|out| out.write_all(super::json::SCHEMA.as_bytes())),
        Verb::Man { folder: None } => return printed(|out| clap_mangen::Man::new(Cli::command()).render(out)),
        Verb::Man { folder: Some(folder) } => return pages(folder),
        _ => {}
    }
    process::harden();
    let global = cli.global;
    let screen = Screen::new(global.json, global.quiet, global.verbose > 0, global.color);
    // A log on the terminal would tear what is drawn there.
    if !matches!(verb, Verb::Tui(_)) || !std::io::stderr().is_terminal() {
        process::log(global.verbose, global.quiet, screen.colour);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            screen.complain(&Error::new(ErrorCode::Failed, "no threads").because(error.to_string()));
            return ExitCode::from(ErrorCode::Failed.exit());
        }
    };
    let exit = runtime.block_on(async {
        match carry_out(global, verb, screen).await {
            Ok(exit) => exit,
            Err(Stop::Closed) => 0,
            Err(Stop::Error(error)) => {
                screen.complain(&error);
                error.exit
            }
        }
    });
    let _ = screen.end(exit);
    // A thread that still reads standard input or a terminal must not keep the process.
    runtime.shutdown_background();
    ExitCode::from(exit)
}

async fn carry_out(global: Global, verb: Verb, screen: Screen) -> Result<u8, Stop> {
    let context = Context::new(&global, screen)?;
    match verb {
        Verb::Init => register::init(context).await,
        Verb::Passphrase { passphrase: Passphrase::Change { new_passphrase_file, new_passphrase_fd } } => {
            profile::change_passphrase(context, new_passphrase_file, new_passphrase_fd).await
        }
        Verb::Doctor => doctor::run(context, global.timeout.unwrap_or(TIMEOUT)).await,
        Verb::Relay { relay } => profile::relay(&context, relay),
        Verb::Profiles => profile::profiles(&context).await,
        Verb::Backup { file } => restore::backup(context, file).await,
        Verb::Restore { words: false, from: Some(file), .. } => restore::from_file(context, file.into()).await,
        Verb::Restore { from: relay, name, words_file: file, words_fd: descriptor, invite, .. } => {
            restore::from_words(context, restore::ByWords { relay, name, file, descriptor, invite }).await
        }
        Verb::Unregister { name } => profile::unregister(context, name, global.timeout).await,
        Verb::Device { device: Device::Link { link } } => device::link(context, &link, global.timeout).await,
        Verb::Device { device } => {
            device::change(context, device, global.timeout.unwrap_or(TIMEOUT), global.timeout.is_some()).await
        }
        Verb::Wipe { yes } => profile::wipe(context, yes).await,
        Verb::Register { address, name, invite } => register::register(context, &address, name, invite).await,
        Verb::Web { listen, open, lock } => {
            let lock = lock.0.filter(|_| context.passphrase.is_asked_for());
            let options = web::Options { listen, open, may_ask: !global.no_input, lock };
            web::run(context.opening(), screen, options).await
        }
        Verb::Daemon { socket } => daemon::run(context.opening(), screen, socket).await,
        Verb::Chat { notify, lock } => {
            let lock = lock.0.filter(|_| context.passphrase.is_asked_for());
            let options = chat::Options { may_ask: !global.no_input, notify, lock };
            chat::run(context.opening(), screen, global.timeout, options).await
        }
        Verb::Tui(look) => full_screen(context, look).await,
        verb => online::run(context, verb, global.timeout.unwrap_or(TIMEOUT), global.timeout.is_some()).await,
    }
}

/// Without a command: the full-screen interface where there is a terminal, else short help.
fn bare(mut arguments: Vec<OsString>, global: &Global) -> ExitCode {
    if !global.json && !global.no_input && std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        arguments.push("tui".into());
        return run(arguments);
    }
    let mut command = Cli::command();
    let help = command.render_help();
    misused(&command.error(ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand, help), &arguments)
}

/// The full-screen interface; where there is no profile yet, one is made first.
async fn full_screen(context: Context, look: tui::Look) -> Result<u8, Stop> {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    if dumb || context.screen.json || !std::io::stdin().is_terminal() || !context.screen.terminal {
        return Err(Error::new(ErrorCode::Usage, "the full-screen interface needs a terminal")
            .advise("sealpost chat, which works in a pipe too")
            .into());
    }
    let chosen = if Profile::exists(&context.dir) { None } else { Some(register::wizard(&context).await?) };
    let Context { dir, passphrase, proxy, downloads, screen, .. } = context;
    tui::run(tui::Start { dir, passphrase, chosen, proxy, downloads }, look, screen.colour).await
}

/// What every command needs.
struct Context {
    screen: Screen,
    profile: String,
    dir: std::path::PathBuf,
    passphrase: Source,
    proxy: Option<crate::link::Proxy>,
    downloads: std::path::PathBuf,
    may_ask: bool,
}

impl Context {
    fn new(global: &Global, screen: Screen) -> Result<Self, Error> {
        Ok(Self {
            screen,
            profile: global.profile.clone(),
            dir: place::profile_dir(global.home.as_deref(), &global.profile)?,
            passphrase: Source {
                file: global.passphrase_file.clone(),
                descriptor: global.passphrase_fd,
                variable: Some("SEALPOST_PASSPHRASE"),
                ask: !global.no_input,
            },
            proxy: global.proxy.clone(),
            downloads: place::downloads(global.home.as_deref())?,
            may_ask: !global.no_input,
        })
    }

    fn opening(&self) -> Opening {
        let source = self.passphrase.clone();
        Opening {
            dir: self.dir.clone(),
            passphrase: Box::new(move || source.read()),
            proxy: self.proxy.clone(),
            downloads: self.downloads.clone(),
        }
    }
}

fn completions(shell: clap_complete::Shell, out: &mut Vec<u8>) -> std::io::Result<()> {
    clap_complete::generate(shell, &mut Cli::command(), "sealpost", out);
    Ok(())
}

/// Prints what needs no profile.
fn printed(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> ExitCode {
    let mut text = Vec::new();
    // Neither writing to memory nor a closed pipe is an error.
    let _ = write(&mut text).and_then(|()| std::io::stdout().write_all(&text));
    ExitCode::SUCCESS
}

/// Writes a manual page for each command.
fn pages(folder: &Path) -> ExitCode {
    match clap_mangen::generate_to(Cli::command(), folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let error = Error::new(ErrorCode::Failed, format!("{} can't be written", folder.display()))
                .because(error.to_string())
                .advise("give a folder that is there and writable");
            Screen::new(false, false, false, super::screen::Colour::Never).complain(&error);
            ExitCode::from(error.exit)
        }
    }
}

/// Help, version, or arguments that make no sense.
fn misused(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if !asked && arguments.iter().any(|argument| argument == "--json") {
        let text = error.to_string();
        // The first paragraph: what is missing stands below the first line.
        let lines = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim);
        let message = lines.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned();
        let error = Error::new(ErrorCode::Usage, message).advise("sealpost --help");
        let screen = Screen::new(true, false, false, super::screen::Colour::Never);
        screen.complain(&error);
        let _ = screen.end(error.exit);
    }
    // A closed pipe is no error.
    let _ = error.print();
    ExitCode::from(if asked { 0 } else { 2 })
}
