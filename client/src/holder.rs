//! Whoever holds the profile: one process at a time, which serves all others over a socket beside it.
//!
//! A [`Session`] speaks the same lines in both cases: to the holder in another process over the profile's socket, or
//! to the one that this process has become. A command whose holder goes away before it took the command is given
//! to the next one.

mod line;
mod owner;
mod serve;
mod socket;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sealpost_crypto::vault::Cost;
use sealpost_spec::account::{ContactLink, Name};
use sealpost_spec::relay::Address;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};

use crate::api::{Command, Error, ErrorCode, Event};
use crate::link::Proxy;
use line::{Asked, Told};

pub use crate::store::{Header, Profile, Progress};
pub(crate) use line::LineReader;
pub use owner::Holder;
pub use sealpost_crypto::Zeroizing;
pub(crate) use socket::{listen as listen_at, remove as remove_socket};

/// How long a holder may take to take a command, or to become reachable, before the profile counts as in use.
const UNRESPONSIVE: Duration = Duration::from_secs(5);

/// How long a process that was told to end lets others finish what it carries out for them.
const IMPATIENT: Duration = Duration::from_secs(3);

/// How long a command is given to one holder after the other because each lets go in that very moment: longer than one
/// that lets go refuses new commands.
const CHANGING: Duration = Duration::from_secs(10);

/// The pause before another holder is looked for.
pub const PAUSE: Duration = Duration::from_millis(50);

/// Gives the passphrase; asked at most once, and only when this process opens the profile itself.
pub type AskPassphrase = Box<dyn FnMut() -> Result<Zeroizing<String>, Error> + Send + Sync>;

/// Where the profile is and how its holder goes online.
pub struct Opening {
    /// The profile's folder.
    pub dir: PathBuf,
    /// Where the passphrase comes from.
    pub passphrase: AskPassphrase,
    /// The proxy, where this process becomes the holder.
    pub proxy: Option<Proxy>,
    /// Where files are saved that are not to go elsewhere, where this process becomes the holder.
    pub downloads: PathBuf,
}

impl Opening {
    /// Of a profile that is held already, so that nothing is needed to become its holder.
    pub fn of_holder(dir: &Path, passphrase: AskPassphrase) -> Self {
        Self { dir: dir.to_owned(), passphrase, proxy: None, downloads: dir.to_owned() }
    }

    /// The same with a passphrase that was given already.
    #[must_use]
    pub fn with(&self, passphrase: Zeroizing<String>) -> Self {
        let Self { dir, proxy, downloads, .. } = self;
        let passphrase = Box::new(move || Ok(passphrase.clone()));
        Self { dir: dir.clone(), passphrase, proxy: proxy.clone(), downloads: downloads.clone() }
    }
}

/// A conversation with whoever holds the profile.
pub struct Session {
    reader: LineReader,
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    held: Option<Holder>,
    next: u64,
}

impl Session {
    /// Reaches the holder, or becomes it.
    ///
    /// # Errors
    /// As [`Profile::open`]; `InUse` where the holder does not answer.
    pub async fn open(opening: &mut Opening) -> Result<Self, Error> {
        let mut passphrase: Option<Zeroizing<String>> = None;
        let deadline = Instant::now() + UNRESPONSIVE;
        loop {
            if let Some(stream) = socket::connect(&opening.dir, socket::NAME).await {
                let (reader, writer) = stream.into_split();
                return Ok(Self::new(Box::new(reader), Box::new(writer), None));
            }
            if !Profile::exists(&opening.dir) {
                return Err(no_profile(&opening.dir));
            }
            let passphrase = match &passphrase {
                Some(given) => given,
                None => passphrase.insert((opening.passphrase)()?),
            };
            match unlock(&opening.dir, passphrase).await {
                Ok(profile) => return Self::hold(profile, opening).await,
                Err(error) if error.code == ErrorCode::InUse && Instant::now() < deadline => {
                    // It has just been opened, and its socket is not there yet; or it is about to let go.
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Becomes the holder of a profile that is open already.
    ///
    /// # Errors
    /// The profile can't be read, or its socket can't be made.
    pub async fn hold(profile: Profile, opening: &Opening) -> Result<Self, Error> {
        let holder = Holder::start(profile, opening).await?;
        let (own, served) = tokio::io::duplex(64 * 1024);
        holder.serve(served).await;
        let (reader, writer) = tokio::io::split(own);
        Ok(Self::new(Box::new(reader), Box::new(writer), Some(holder)))
    }

    fn new(
        reader: Box<dyn tokio::io::AsyncRead + Send + Unpin>,
        writer: Box<dyn AsyncWrite + Send + Unpin>,
        held: Option<Holder>,
    ) -> Self {
        Self { reader: LineReader::new(reader), writer, held, next: 1 }
    }

    /// With a holder that a test plays.
    #[cfg(test)]
    pub(crate) fn over(stream: tokio::io::DuplexStream) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self::new(Box::new(reader), Box::new(writer), None)
    }

    /// Gives a command; the number comes back with what answers it. Errors: the holder has gone.
    pub async fn give(&mut self, command: Command) -> Result<u64, Error> {
        let id = self.next;
        self.next += 1;
        let asked = Asked { v: crate::api::VERSION, id, command };
        let written = self.writer.write_all(&line::encode(&asked)).await;
        written.map_err(|_| gone())?;
        Ok(id)
    }

    /// The next event, with the number of the command that it answers or for everybody. `None`: the holder has gone.
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<(Option<u64>, Event)> {
        let line = self.reader.next().await.ok()??;
        let told: Told = serde_json::from_slice(&line).ok()?;
        Some((told.re, told.event))
    }

    /// Whether this process holds the profile.
    pub fn holds(&self) -> bool {
        self.held.is_some()
    }

    /// Ends the conversation. Where this process is the holder, it first finishes what others have under way.
    pub async fn finish(mut self) {
        let _ = self.writer.shutdown().await;
        drop((self.reader, self.writer));
        if let Some(holder) = self.held {
            holder.finish().await;
        }
    }
}

/// Carries out one command, as [`run_all`] does.
///
/// # Errors
/// As [`run_all`].
pub async fn run<S, E: From<Error>>(
    opening: &mut Opening,
    command: &Command,
    stop: impl Future<Output = S>,
    each: impl FnMut(Event) -> Result<(), E>,
) -> Result<Option<S>, E> {
    run_all(opening, std::slice::from_ref(command), stop, each).await
}

/// Carries out commands one after the other, up to one that fails, whoever holds the profile, and hands each event that answers
/// them to `each`. Where `stop` completes first, they are given up: what they queued stays queued.
///
/// # Errors
/// What [`Session::open`] says; `Failed` where the holder died in the middle of the command. Errors of the command
/// itself are events.
pub async fn run_all<S, E: From<Error>>(
    opening: &mut Opening,
    commands: &[Command],
    stop: impl Future<Output = S>,
    mut each: impl FnMut(Event) -> Result<(), E>,
) -> Result<Option<S>, E> {
    tokio::pin!(stop);
    let mut left = commands;
    let mut deadline = Instant::now() + CHANGING;
    while Instant::now() < deadline {
        let mut session = Session::open(opening).await?;
        let outcome = tokio::select! {
            outcome = session.carry_out_all(&mut left, &mut each) => outcome,
            stopped = &mut stop => {
                // Whoever waits for this process does not wait for others.
                let _ = timeout(IMPATIENT, session.finish()).await;
                return Ok(Some(stopped));
            }
        };
        session.finish().await;
        match outcome? {
            CarriedOut::Whole => return Ok(None),
            CarriedOut::Part => deadline = Instant::now() + CHANGING,
            CarriedOut::Nothing => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(in_use().into())
}

/// How far a command came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CarriedOut {
    /// To its end.
    Whole,
    /// The holder went away in the middle; the next one goes on.
    Part,
    /// The holder went away without having told anything of it.
    Nothing,
}

impl Session {
    /// Carries out commands, as far as none fails; `left` are those that are not carried out.
    async fn carry_out_all<E: From<Error>>(
        &mut self,
        left: &mut &[Command],
        each: &mut impl FnMut(Event) -> Result<(), E>,
    ) -> Result<CarriedOut, E> {
        let mut failed = false;
        while let Some((command, others)) = left.split_first() {
            let mut each = |event: Event| {
                failed |= matches!(event, Event::Error(_));
                each(event)
            };
            let outcome = self.carry_out(command, &mut each).await?;
            if outcome != CarriedOut::Whole {
                return Ok(outcome);
            }
            *left = if failed { &[] } else { others };
        }
        Ok(CarriedOut::Whole)
    }

    /// Carries out one command.
    ///
    /// # Errors
    /// `InUse`: the holder does not answer; `Failed`, `Waiting`: it died while it sent something; what `each` says.
    pub async fn carry_out<E: From<Error>>(
        &mut self,
        command: &Command,
        each: &mut impl FnMut(Event) -> Result<(), E>,
    ) -> Result<CarriedOut, E> {
        let Ok(id) = self.give(command.clone()).await else { return Ok(CarriedOut::Nothing) };
        let (mut taken, mut told, mut queued) = (false, false, false);
        let goes_on = goes_on(command);
        loop {
            let next = if taken {
                self.next().await
            } else {
                timeout(UNRESPONSIVE, self.next()).await.map_err(|_| in_use())?
            };
            match next {
                Some((Some(re), Event::Taken)) if re == id => taken = true,
                Some((Some(re), Event::End)) if re == id => return Ok(CarriedOut::Whole),
                Some((Some(re), event)) if re == id => {
                    queued |= matches!(event, Event::Queued { .. });
                    told = true;
                    each(event)?;
                }
                Some((None, Event::Error(error))) => return Err(error.into()),
                Some(_) => {}
                None if !taken => return Ok(CarriedOut::Nothing),
                None if queued => return Err(left_queued().into()),
                None if goes_on => return Ok(CarriedOut::Part),
                // Sent twice would be said twice, and so would what was told already; all else may be asked again.
                None if told || says_something(command) => return Err(gone().into()),
                None => return Ok(CarriedOut::Nothing),
            }
        }
    }
}

/// Whether giving it to the next holder goes on where this one stopped.
fn goes_on(command: &Command) -> bool {
    matches!(
        command,
        Command::Recv { follow: true, .. } | Command::Subscribe | Command::SendFile { .. } | Command::Get { .. }
    )
}

/// Whether carrying it out twice says something twice.
fn says_something(command: &Command) -> bool {
    matches!(
        command,
        Command::Send { .. }
            | Command::Reply { .. }
            | Command::Edit { .. }
            | Command::Delete { .. }
            | Command::React { .. }
    )
}

/// Makes a profile; the passphrase's key derivation takes a moment.
///
/// # Errors
/// As [`Profile::create`].
pub async fn create(
    dir: &Path,
    passphrase: &Zeroizing<String>,
    name: &Name,
    relay: &Address,
) -> Result<Profile, Error> {
    let (dir, passphrase, name, relay) = (dir.to_owned(), passphrase.clone(), name.clone(), relay.clone());
    let created = tokio::task::spawn_blocking(move || {
        let (cost, now) = (Cost::RECOMMENDED, owner::now());
        Profile::create(&dir, passphrase.as_bytes(), cost, &name, &relay, &mut rand::rng(), now)
    });
    created.await.map_err(|_| Error::new(ErrorCode::Failed, "making the profile was interrupted"))?
}

/// Makes the profile of a machine that is to become a device of an account.
///
/// # Errors
/// As [`Profile::link`].
pub async fn link(dir: &Path, passphrase: &Zeroizing<String>, link: &ContactLink) -> Result<Profile, Error> {
    let (dir, passphrase, link) = (dir.to_owned(), passphrase.clone(), link.clone());
    let made = tokio::task::spawn_blocking(move || {
        Profile::link(&dir, passphrase.as_bytes(), Cost::RECOMMENDED, &link, &mut rand::rng(), owner::now())
    });
    made.await.map_err(|_| Error::new(ErrorCode::Failed, "making the profile was interrupted"))?
}

/// The version of the database that is built in.
pub fn sqlite() -> &'static str {
    rusqlite::version()
}

/// Whether a process holds the profile and can be reached.
pub async fn is_held(dir: &Path) -> bool {
    socket::connect(dir, socket::NAME).await.is_some()
}

/// Deletes the profile, after its holder has let go; returns what else is in the folder.
///
/// # Errors
/// `InUse`: the holder does not let go; what the disk says.
pub async fn wipe(dir: &Path) -> Result<Vec<String>, Error> {
    let deadline = Instant::now() + CHANGING;
    loop {
        if let Some(stream) = socket::connect(dir, socket::NAME).await {
            let (reader, writer) = stream.into_split();
            let mut holder = Session::new(Box::new(reader), Box::new(writer), None);
            let mut each = |_| Ok::<(), Error>(());
            // However it ends: whether the holder has let go is seen from its lock.
            let _ = timeout(UNRESPONSIVE, holder.carry_out(&Command::Stop, &mut each)).await;
        }
        match crate::store::wipe(dir) {
            Err(error) if error.code == ErrorCode::InUse && Instant::now() < deadline => {
                tokio::time::sleep(PAUSE).await;
            }
            done => return done,
        }
    }
}

/// How far a backup or a restore has come is told to this.
pub type Meter = Box<dyn FnMut(Progress) + Send>;

/// Writes the profile, whoever holds it, into a file that is not there yet, for its owner alone; `-` is standard output.
///
/// # Errors
/// As [`Profile::open`], `InUse` excepted; the file is there, or can't be written.
pub async fn backup(dir: &Path, passphrase: &Zeroizing<String>, file: &Path, mut meter: Meter) -> Result<(), Error> {
    let (dir, passphrase, file) = (dir.to_owned(), passphrase.clone(), file.to_owned());
    let mut write = move |out: &mut dyn std::io::Write| {
        let (cost, now) = (Cost::RECOMMENDED, owner::now());
        crate::store::write_backup(&dir, passphrase.as_bytes(), cost, out, &mut rand::rng(), now, &mut *meter)
    };
    let written = tokio::task::spawn_blocking(move || match file == Path::new("-") {
        true => write(&mut std::io::stdout().lock()),
        false => crate::store::appear(&file, write),
    });
    written.await.map_err(|_| Error::new(ErrorCode::Failed, "the backup was interrupted"))?
}

/// Makes a profile of a backup; `-` is standard input.
///
/// # Errors
/// As [`Profile::restore`].
pub async fn restore(
    dir: &Path,
    passphrase: &Zeroizing<String>,
    file: &Path,
    mut meter: Meter,
) -> Result<Profile, Error> {
    let (dir, passphrase, file) = (dir.to_owned(), passphrase.clone(), file.to_owned());
    let restored = tokio::task::spawn_blocking(move || {
        let mut from: Box<dyn std::io::Read> = match file == Path::new("-") {
            true => Box::new(std::io::stdin().lock()),
            false => Box::new(std::io::BufReader::new(std::fs::File::open(&file).map_err(|cause| {
                Error::new(ErrorCode::Usage, format!("{} can't be read", file.display()))
                    .because(cause.to_string())
                    .advise("give a file that sealpost backup has written")
            })?)),
        };
        let (cost, now) = (Cost::RECOMMENDED, owner::now());
        Profile::restore(&dir, passphrase.as_bytes(), cost, &mut *from, &mut rand::rng(), now, &mut *meter)
    });
    restored.await.map_err(|_| Error::new(ErrorCode::Failed, "restoring was interrupted"))?
}

/// Makes a profile of an account's recovery words.
///
/// # Errors
/// As [`Profile::recover`].
pub async fn recover(
    dir: &Path,
    passphrase: &Zeroizing<String>,
    name: &Name,
    words: &Zeroizing<String>,
    relay: &Address,
) -> Result<Profile, Error> {
    let (dir, passphrase, name, words, relay) =
        (dir.to_owned(), passphrase.clone(), name.clone(), words.clone(), relay.clone());
    let made = tokio::task::spawn_blocking(move || {
        let (cost, now) = (Cost::RECOMMENDED, owner::now());
        Profile::recover(&dir, passphrase.as_bytes(), cost, (&name, &words), &relay, &mut rand::rng(), now)
    });
    made.await.map_err(|_| Error::new(ErrorCode::Failed, "making the profile was interrupted"))?
}

/// Opens the profile in this process; the passphrase's key derivation takes a moment.
///
/// # Errors
/// As [`Profile::open`].
pub async fn unlock(dir: &Path, passphrase: &Zeroizing<String>) -> Result<Profile, Error> {
    let (dir, passphrase) = (dir.to_owned(), passphrase.clone());
    let opened =
        tokio::task::spawn_blocking(move || Profile::open(&dir, passphrase.as_bytes(), &mut rand::rng())).await;
    opened.map_err(|_| Error::new(ErrorCode::Failed, "opening the profile was interrupted"))?
}

/// Opens the vault alone, while another process may hold the profile.
///
/// # Errors
/// As [`Header::open`].
pub async fn unlock_header(dir: &Path, passphrase: &Zeroizing<String>) -> Result<Header, Error> {
    let (dir, passphrase) = (dir.to_owned(), passphrase.clone());
    let opened = tokio::task::spawn_blocking(move || Header::open(&dir, passphrase.as_bytes())).await;
    opened.map_err(|_| Error::new(ErrorCode::Failed, "opening the profile was interrupted"))?
}

/// Gives the profile another passphrase.
///
/// # Errors
/// As [`Header::change`].
pub async fn change_passphrase(header: Header, new: &Zeroizing<String>) -> Result<(), Error> {
    let new = new.clone();
    let changed =
        tokio::task::spawn_blocking(move || header.change(new.as_bytes(), Cost::RECOMMENDED, &mut rand::rng())).await;
    changed.map_err(|_| Error::new(ErrorCode::Failed, "changing the passphrase was interrupted"))?
}

/// Nothing is there yet.
pub fn no_profile(dir: &Path) -> Error {
    Error::new(ErrorCode::NoProfile, "there is no profile here yet")
        .because(format!("{} is empty", dir.display()))
        .advise("sealpost init")
}

fn in_use() -> Error {
    Error::new(ErrorCode::InUse, "another process holds this profile and does not answer")
        .advise("end that process, or wait for it")
}

fn left_queued() -> Error {
    Error::new(ErrorCode::Waiting, "the message is queued and has not gone out yet")
        .because("the process that held the profile has ended")
        .advise("nothing: it goes out with the next command; sealpost status shows how far it came")
}

/// The holder ended in the middle of a conversation.
pub fn gone() -> Error {
    Error::new(ErrorCode::Failed, "the process that held the profile has ended")
        .because("the command may have been carried out or not")
        .advise("look at `sealpost history` before giving it again")
}

#[cfg(test)]
mod tests;
