//! What became of files: measured, moved, uploaded and announced, saved, or stopped.

use sealpost_spec::message::FilePointer;
use sealpost_spec::relay::Refusal;

use super::{FIRST_PAUSE, FileJob, FileNews, FileOrder, FileTrouble, LONGEST_PAUSE};
use crate::api::bytes_in_words;
use crate::api::{Error, ErrorCode, Event, State};
use crate::engine::account::refused;
use crate::engine::command::Waiting;
use crate::engine::say::Say;
use crate::engine::timers::Timer;
use crate::engine::{CommandId, Engine, Failure, Transmit};
use crate::store::Stored;
use crate::store::files::{FileKey, FileRow, Stage};

/// So many characters of an id are told to a person.
const SHORT: usize = 8;

/// What a file that stopped does next.
enum Next {
    /// It is tried again by itself. The error is told to who waits only once their patience is over.
    Again(Error),
    /// It is tried again by itself, and who waits is told at once.
    Later(Error),
    /// Only another command changes that.
    Never(Error),
}

impl Engine {
    pub(in crate::engine) fn file_news(&mut self, job: FileJob, news: FileNews) -> Stored<()> {
        // Of an order that was ended since, or of an earlier life of this engine.
        let Some(key) = self.files.under_way.get(&job).copied() else { return Ok(()) };
        let Some(row) = self.rows().file(&key)?.filter(|row| row.stage == Stage::Wanted) else {
            self.files.under_way.remove(&job);
            self.transmit(Transmit::File(FileOrder::Stop { job }));
            return self.start_files();
        };
        if let FileNews::Moved { done } = news {
            self.files.done.insert(key, done);
            self.files.pauses.remove(&key);
            self.be_patient(&key);
            self.tell_file(&row);
            return Ok(());
        }
        self.files.under_way.remove(&job);
        match news {
            FileNews::Moved { .. } => {}
            FileNews::Measured { size, hash, stamp } => {
                if !Self::is_file_size(size) {
                    let error = Error::new(ErrorCode::Usage, "the file is larger than any may be");
                    return self.file_fails(row, error);
                }
                let row = FileRow { pointer: FilePointer { size, hash, ..row.pointer }, stamp: Some(stamp), ..row };
                self.rows().put_file(&row)?;
                self.files.done.remove(&key);
                self.files.waiting.push_front(key);
            }
            FileNews::Uploaded { size, hash } => self.announce(row, size, &hash)?,
            FileNews::Saved { path } => self.file_saved(row, path)?,
            FileNews::Stopped(trouble) => self.file_stopped(row, trouble)?,
        }
        self.start_files()
    }

    /// Who waits for a file waits on as long as it moves.
    fn be_patient(&mut self, key: &FileKey) {
        for id in self.waiting_for_file(key) {
            if let Some(Waiting::File { patience, .. }) = self.waits.get(&id) {
                self.timers.set(Timer::Command(id), self.now.saturating_add(*patience));
            }
        }
    }

    /// The relay has all of it: now it is announced, to the key for which it was begun, and only if what was sealed is what was
    /// measured. **[FILE-9]** **[ACCT-13]**
    fn announce(&mut self, mut row: FileRow, size: u64, hash: &[u8; 32]) -> Stored<()> {
        if (size, hash) != (row.pointer.size, &row.pointer.hash) {
            return self.file_stopped(row, FileTrouble::Changed);
        }
        if let Some(error) = self.may_not_send_to(&row.peer) {
            return self.file_fails(row, error);
        }
        let account = self.contacts.get(&row.peer).and_then(|contact| contact.account);
        if row.recipient.is_some() && row.recipient != account {
            let error = Error::new(ErrorCode::KeyChanged, format!("the key of @{} has changed since", row.peer))
                .because("the file was begun for the earlier one, and is not announced")
                .advise("give the command again");
            return self.file_fails(row, error);
        }
        let key = row.key();
        let say = Say::file(row.pointer.clone(), row.expire);
        row.stage = Stage::Done;
        row.forget_key();
        self.rows().put_file(&row)?;
        self.files.done.remove(&key);
        self.tell_file(&row);
        let conversation = format!("@{}", row.peer);
        self.queue_as(row.id, &row.peer, &say)?;
        for id in self.waiting_for_file(&key) {
            let Some(Waiting::File { wait, .. }) = self.waits.remove(&id) else { continue };
            self.tell(Some(id), Event::Queued { id: row.id.to_string(), conversation: conversation.clone() });
            self.waits.insert(id, Waiting::Send { message: row.id, conversation: conversation.clone(), wait });
        }
        self.reached(row.id, State::Queued);
        self.pump(&row.peer)
    }

    fn file_saved(&mut self, mut row: FileRow, path: String) -> Stored<()> {
        row.stage = Stage::Done;
        row.path = Some(path);
        row.trouble = None;
        // Each device of one's own may want it; the relay keeps it for 30 days.
        if !row.keep && !self.has_siblings() {
            row.drop = true;
            row.forget_key();
            self.ask_to_drop(&row);
        }
        self.files.done.remove(&row.key());
        self.tell_file(&row);
        if row.keep {
            // It only passes through there.
            row.path = None;
        }
        self.rows().put_file(&row)?;
        for id in self.waiting_for_file(&row.key()) {
            self.end(id);
        }
        Ok(())
    }

    fn file_stopped(&mut self, mut row: FileRow, trouble: FileTrouble) -> Stored<()> {
        let next = self.what_next(&row, trouble);
        let (error, at_once) = match next {
            Next::Never(error) => return self.file_fails(row, error),
            Next::Again(error) => (error, false),
            Next::Later(error) => (error, true),
        };
        let key = row.key();
        row.trouble = Some(error.message.clone());
        self.rows().put_file(&row)?;
        let (_, pause) = self.files.pauses.get(&key).copied().unwrap_or_default();
        let pause = if at_once { LONGEST_PAUSE } else { (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE) };
        self.files.pauses.insert(key, (self.now + pause, pause));
        self.timers.set(Timer::File(key), self.now + pause);
        self.tell_file(&row);
        if at_once {
            self.fail_file_waits(&key, &error);
        }
        Ok(())
    }

    /// Nothing more happens to it by itself.
    pub(super) fn file_fails(&mut self, mut row: FileRow, error: Error) -> Stored<()> {
        let key = row.key();
        row.stage = Stage::Failed;
        row.trouble = Some(error.message.clone());
        if self.is_outgoing(&row) {
            row.forget_key();
        }
        self.rows().put_file(&row)?;
        self.files.done.remove(&key);
        self.tell_file(&row);
        self.fail_file_waits(&key, &error);
        Ok(())
    }

    /// Nothing is sent or fetched any more. **[ACCT-20]**
    pub(in crate::engine) fn give_up_files(&mut self, error: &Error) -> Stored<()> {
        self.stop_files();
        for row in self.rows().files()?.into_iter().filter(|row| row.stage == Stage::Wanted) {
            self.timers.clear(&Timer::File(row.key()));
            self.file_fails(row, error.clone())?;
        }
        Ok(())
    }

    pub(super) fn fail_file_waits(&mut self, key: &FileKey, error: &Error) {
        for id in self.waiting_for_file(key) {
            self.tell(Some(id), Event::Error(error.clone()));
            self.end(id);
        }
    }

    fn what_next(&self, row: &FileRow, trouble: FileTrouble) -> Next {
        let failed = |message: &str| Error::new(ErrorCode::Failed, message);
        let id: String = row.id.to_string().chars().take(SHORT).collect();
        let again = match self.is_outgoing(row) {
            true => format!("sealpost send {} -f FILE, as before", row.peer),
            false => format!("sealpost get {id}"),
        };
        match trouble {
            FileTrouble::Unreadable(cause) => {
                let missing = cause == "there is no such file";
                let code = if missing { ErrorCode::NoSuchFile } else { ErrorCode::Failed };
                Next::Never(
                    Error::new(code, "the file can't be read").because(cause).advise("look whether it is there"),
                )
            }
            FileTrouble::Changed => Next::Never(
                failed("the file was changed while it was sent")
                    .because("what the relay has is neither the old one nor the new one, so nobody was told of it")
                    .advise("give the command again once nobody writes to the file"),
            ),
            FileTrouble::Damaged => Next::Never(
                failed("what the relay gave is not the file that was announced")
                    .because("it was altered, at the relay or by its sender; nothing was saved")
                    .advise("ask its sender to send it again"),
            ),
            FileTrouble::Stale => Next::Again(
                failed("what was there of the file did not fit the rest")
                    .because("the disk did not keep all of it; it is fetched from the start")
                    .advise(again),
            ),
            FileTrouble::Unwritable(cause) => Next::Never(
                failed("the file can't be saved")
                    .because(cause)
                    .advise(format!("sealpost get {id} -o PATH, to another place")),
            ),
            FileTrouble::Full => Next::Never(
                failed("the disk is full")
                    .because(format!("the file has {}", bytes_in_words(row.pointer.size)))
                    .advise("free some space, then give the command again: it goes on where it stopped"),
            ),
            FileTrouble::Taken(path) => Next::Never(
                Error::new(ErrorCode::Usage, "there is something under this name already")
                    .because(path)
                    .advise(format!("sealpost get {id} -o PATH, with another name")),
            ),
            FileTrouble::Link(Failure::Unreachable(cause)) => Next::Again(
                Error::new(ErrorCode::Unreachable, "the relay can't be reached").because(cause).advise(again),
            ),
            FileTrouble::Link(Failure::Unknown) => {
                Next::Again(Error::new(ErrorCode::Unreachable, "the link broke").advise(again))
            }
            FileTrouble::Link(Failure::WrongRelay) => {
                Next::Never(Error::new(ErrorCode::WrongRelay, "the relay's key is not the one in its address"))
            }
            FileTrouble::Link(Failure::Refused(refusal)) => match refusal {
                Refusal::NoSuchBlob => Next::Never(
                    Error::new(ErrorCode::NoSuchFile, "the relay does not have the file any more")
                        .because("it keeps one for 30 days, until it was fetched")
                        .advise("ask its sender to send it again"),
                ),
                Refusal::QuotaReached { .. } => Next::Later(
                    Error::new(ErrorCode::Refused, "the relay has no room for the file now")
                        .because("the recipient has not fetched others, or its disk is nearly full")
                        .advise("give the command again later: it goes on where it stopped"),
                ),
                Refusal::TooLarge { limit } if limit > 0 => Next::Never(
                    Error::new(ErrorCode::Refused, "the relay takes no file so large")
                        .because(format!("its limit is {}, sealed", bytes_in_words(limit)))
                        .advise("send it in parts"),
                ),
                Refusal::Unsupported => {
                    Next::Never(Error::new(ErrorCode::Refused, "the relay takes no files").advise("ask its operator"))
                }
                Refusal::NoSuchName | Refusal::TooLarge { .. } | Refusal::WrongLink | Refusal::Malformed => {
                    Next::Never(refused(&refusal))
                }
                other => Next::Again(refused(&other)),
            },
        }
    }

    /// A command has waited as long as it may while nothing moved.
    pub(in crate::engine) fn file_timeout(&mut self, id: CommandId, key: &FileKey) -> Stored<()> {
        let Some(row) = self.rows().file(key)? else {
            self.end(id);
            return Ok(());
        };
        let transfer = self.transfer(&row);
        let outgoing = self.is_outgoing(&row);
        let code = if outgoing { ErrorCode::Waiting } else { ErrorCode::Unreachable };
        let so_far = format!("{} of {}", bytes_in_words(transfer.done), bytes_in_words(transfer.size));
        let reason = row.trouble.clone().unwrap_or_else(|| self.standing.reason.clone());
        let error =
            Error::new(code, format!("the file is not {} yet: {so_far}", if outgoing { "sent" } else { "here" }))
                .because(if reason.is_empty() { "nothing moved for a while".to_owned() } else { reason })
                .advise("give the command again: it goes on where it stopped");
        self.tell(Some(id), Event::Progress(transfer));
        self.end_with(id, error)
    }
}
