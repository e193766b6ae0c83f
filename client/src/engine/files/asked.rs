//! What people ask for: send this file, fetch that one, list them all, or rather not.

use sealpost_spec::account::Name;
use sealpost_spec::attachment::BlobId;
use sealpost_spec::message::FilePointer;

use crate::api::{Error, ErrorCode, Event, Kind, Wait};
use crate::engine::change::{MIN_PREFIX, conversation_of};
use crate::engine::command::Waiting;
use crate::engine::files::kept_name;
use crate::engine::{CommandId, Engine};
use crate::store::Stored;
use crate::store::files::{FileKey, FileRow, Stage};

/// Most files that are on their way to others and not sent.
const MOST_UNSENT: usize = 100;

/// What `send -f` says.
pub(in crate::engine) struct SendFile {
    pub(in crate::engine) to: String,
    pub(in crate::engine) path: String,
    pub(in crate::engine) wait: Wait,
    pub(in crate::engine) patience: u64,
    pub(in crate::engine) expire: Option<u32>,
}

/// What `get` says.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Get {
    pub(in crate::engine) id: Option<String>,
    pub(in crate::engine) within: Option<String>,
    pub(in crate::engine) to: Option<String>,
    pub(in crate::engine) keep: bool,
    pub(in crate::engine) patience: u64,
}

impl Engine {
    /// `send -f`: begins with a file, or goes on with it.
    pub(in crate::engine) fn send_file(&mut self, id: CommandId, asked: SendFile) -> Stored<()> {
        let SendFile { to, path, wait, patience, expire } = asked;
        if !self.is_enrolled() {
            return self.not_registered(id);
        }
        if to.starts_with('#') {
            let error = Error::new(ErrorCode::Usage, "a room has no files")
                .because("what is posted there is kept for everybody, and a file is for one person")
                .advise("sealpost send NAME -f FILE, for each person");
            return self.end_with(id, error);
        }
        let Some(name) = self.name_for(id, &to)? else { return Ok(()) };
        if name == self.own.name {
            let error = Error::new(ErrorCode::Usage, "a file for oneself stays where it is");
            return self.end_with(id, error.advise("sealpost send NAME -f FILE"));
        }
        if let Some(error) = self.may_not_send_to(&name) {
            return self.end_with(id, error);
        }
        if !path.starts_with('/') || path.contains('\0') {
            let error = Error::new(ErrorCode::Usage, "the path of a file to send begins with /");
            return self.end_with(id, error);
        }
        let (mut unsent, mut known) = (0, None);
        for row in self.rows().files()? {
            if self.is_outgoing(&row) && row.stage == Stage::Wanted {
                unsent += 1;
                if row.peer == name && row.path.as_ref() == Some(&path) {
                    known = Some(row);
                }
            }
        }
        let key = match known {
            Some(row) => {
                // What was said last counts, where something was.
                let row = FileRow { expire: expire.or(row.expire), ..row };
                self.rows().put_file(&row)?;
                row.key()
            }
            None if unsent >= MOST_UNSENT => {
                let error = Error::new(ErrorCode::Usage, format!("{MOST_UNSENT} files wait to be sent already"));
                return self.end_with(id, error.advise("sealpost files"));
            }
            None => self.begin_file(&name, path, expire)?,
        };
        self.go_online();
        self.wait(id, Waiting::File { key, wait, patience }, self.now.saturating_add(patience));
        self.want_file(key)
    }

    /// [FILE-1] key and id are drawn for this file and recipient alone.
    fn begin_file(&mut self, name: &Name, path: String, expire: Option<u32>) -> Stored<FileKey> {
        self.accept_contact(name);
        let key = self.file_key();
        let suggested = path.rsplit('/').next().unwrap_or_default();
        self.rows().put_file(&FileRow {
            account: key.0,
            id: key.1,
            peer: name.clone(),
            pointer: FilePointer {
                blob: BlobId(self.random()),
                name: kept_name(suggested),
                size: 0,
                hash: [0; 32],
                key: self.random(),
            },
            since: self.now,
            stage: Stage::Wanted,
            path: Some(path),
            stamp: None,
            recipient: self.contacts.get(name).and_then(|contact| contact.account),
            expire,
            keep: false,
            drop: false,
            trouble: None,
        })?;
        Ok(key)
    }

    /// `get`: fetches a file, or goes on with it.
    pub(in crate::engine) fn fetch_file(&mut self, id: CommandId, asked: Get) -> Stored<()> {
        let Get { id: which, within, to, keep, patience } = asked.clone();
        if !self.is_enrolled() {
            return self.not_registered(id);
        }
        if to.as_ref().is_some_and(|to| !to.starts_with('/') || to.contains('\0')) {
            let error = Error::new(ErrorCode::Usage, "the path to save a file under begins with /");
            return self.end_with(id, error);
        }
        let found = match which {
            Some(which) => self.named_file(&which, within.as_deref())?,
            None => self.newest_offer(within.as_deref())?,
        };
        let mut row = match found {
            Ok(row) => row,
            // It may have been announced, and waits in the mailbox.
            Err(error) if error.code == ErrorCode::NoSuchFile && !self.standing.drained => {
                self.go_online();
                self.wait(id, Waiting::Offer(asked), self.now.saturating_add(patience));
                return Ok(());
            }
            Err(error) => return self.end_with(id, error),
        };
        let key = row.key();
        if row.stage == Stage::Done && !row.keep {
            // [FILE-11] the relay has removed it since.
            let path = row.path.clone().unwrap_or_default();
            self.tell(Some(id), Event::Progress(self.transfer(&row)));
            let error = Error::new(ErrorCode::NoSuchFile, "the file was fetched already, and the relay has it no more")
                .because(format!("it was saved as {path}"));
            return if to.is_none() { self.done_with_file(id) } else { self.end_with(id, error) };
        }
        if self.files.job_of(&key).is_some() {
            if to.is_some() && to != row.path {
                let error = Error::new(ErrorCode::Usage, "the file is being fetched to another place already");
                return self.end_with(id, error.advise("sealpost files"));
            }
        } else {
            let keep = keep || row.account == self.own.account;
            (row.stage, row.path, row.keep, row.trouble) = (Stage::Wanted, to, keep, None);
            self.rows().put_file(&row)?;
        }
        self.go_online();
        self.wait(id, Waiting::File { key, wait: Wait::Sent, patience }, self.now.saturating_add(patience));
        self.want_file(key)
    }

    fn done_with_file(&mut self, id: CommandId) -> Stored<()> {
        self.end(id);
        Ok(())
    }

    /// The file that a message announces.
    fn named_file(&self, which: &str, within: Option<&str>) -> Stored<Result<FileRow, Error>> {
        let line = match self.find(which, within)? {
            Ok(line) => line,
            Err(error) if error.code == ErrorCode::NoSuchMessage => return Ok(Err(no_such_file(&error.message))),
            Err(error) => return Ok(Err(error)),
        };
        let row = self.rows().file(&(line.account, line.id))?;
        if line.account == self.own.account && row.as_ref().is_none_or(|row| self.is_outgoing(row)) {
            return Ok(Err(Error::new(ErrorCode::Usage, "the message is your own; the file is where it was")));
        }
        if line.kind != Kind::File {
            return Ok(Err(no_such_file("the message announces none")));
        }
        Ok(row.ok_or_else(|| no_such_file("the message announces none")))
    }

    /// The newest file that came and was not fetched.
    fn newest_offer(&self, within: Option<&str>) -> Stored<Result<FileRow, Error>> {
        let within = within.map(conversation_of);
        let newest = self.rows().files()?.into_iter().rev().find(|row| {
            row.account != self.own.account
                && matches!(row.stage, Stage::Offered | Stage::Wanted | Stage::Failed)
                && within.as_ref().is_none_or(|within| *within == format!("@{}", row.peer))
        });
        Ok(newest.ok_or_else(|| no_such_file("nobody has sent one that was not fetched")))
    }

    /// `cancel`: what is on its way goes no further. What the relay has of a file that was to be sent, it forgets by itself.
    /// **[FILE-11]**
    pub(in crate::engine) fn cancel_file(&mut self, id: CommandId, which: &str) -> Stored<()> {
        let which = which.trim().to_ascii_lowercase();
        if which.len() < MIN_PREFIX {
            let error = Error::new(ErrorCode::Usage, format!("an id is given by at least {MIN_PREFIX} characters"));
            return self.end_with(id, error.advise("sealpost files"));
        }
        let named = |row: &FileRow| row.stage != Stage::Gone && row.id.to_string().starts_with(&which);
        let mut found: Vec<FileRow> = self.rows().files()?.into_iter().filter(named).collect();
        let (Some(mut row), None) = (found.pop(), found.pop()) else {
            return self.end_with(id, no_such_file("no file has this id, or more than one"));
        };
        if row.stage != Stage::Wanted {
            let error = Error::new(ErrorCode::Usage, "the file is not on its way")
                .because("it has arrived, was not asked for, or does not go on anyway");
            return self.end_with(id, error.advise("sealpost files"));
        }
        self.halt_file(&row);
        let cancelled = Error::new(ErrorCode::Interrupted, "the file was cancelled");
        let key = row.key();
        if self.is_outgoing(&row) {
            self.file_fails(row, cancelled)?;
        } else {
            let keep = row.account == self.own.account;
            (row.stage, row.path, row.keep, row.trouble) = (Stage::Offered, None, keep, None);
            self.rows().put_file(&row)?;
            self.tell_file(&row);
            self.fail_file_waits(&key, &cancelled);
        }
        if let Some(row) = self.rows().file(&key)? {
            let transfer = self.transfer(&row);
            self.tell(Some(id), Event::Progress(transfer));
        }
        self.end(id);
        self.start_files()
    }

    pub(in crate::engine) fn list_files(&mut self, id: CommandId) -> Stored<()> {
        for row in self.rows().files()? {
            if row.stage != Stage::Gone {
                let transfer = self.transfer(&row);
                self.tell(Some(id), Event::Progress(transfer));
            }
        }
        self.end(id);
        Ok(())
    }
}

fn no_such_file(cause: &str) -> Error {
    Error::new(ErrorCode::NoSuchFile, "there is no such file").because(cause).advise("sealpost files")
}
