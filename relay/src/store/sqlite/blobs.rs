//! Blobs: one file each, in a folder beside the store's own. One thread adds parts, two read them.
//!
//! A part stands behind a check of its own: 16 bytes of SHA-256 over blob, number and part. What waits together is
//! written together and synced once for each file. A crash may leave parts behind the last sync that are torn, and of
//! those alone the checks are looked at when the file is opened again. [STORE-12]

use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

use bytes::Bytes;
use sealpost_spec::attachment::PART;
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::store::Fault;
use crate::store::bell::lock;

/// Bytes of a part's check.
const CHECK: usize = 16;
/// Bytes of a part in its file.
const STRIDE: usize = CHECK + PART;
/// Most parts that are written before a sync: so many may be torn by a crash.
const GROUP: usize = 64;
/// Parts that wait to be written, 32 MiB of them. Who brings more waits.
const ROOM: usize = 512;
/// Files that stay open between two parts.
const OPEN: usize = 64;
/// Threads that read.
const READERS: usize = 2;
/// Most files that are open at once: those that stay, one for each part of a group, and those that are read.
pub(crate) const FILES: usize = OPEN + GROUP + READERS;

type Blob = [u8; 16];
type Read = Box<dyn FnOnce(&Folder) + Send>;

/// What the writing thread is asked.
enum Job {
    Put { blob: Blob, number: u32, bytes: Bytes, answer: Answer<u32>, _room: OwnedSemaphorePermit },
    Count { blob: Blob, answer: Answer<u32> },
    Delete { blob: Blob, answer: Answer<()> },
}

type Answer<T> = oneshot::Sender<std::result::Result<T, Fault>>;

pub(super) struct Blobs {
    folder: Folder,
    jobs: Option<mpsc::Sender<Job>>,
    reads: mpsc::Sender<Read>,
    room: Arc<Semaphore>,
    writer: Option<JoinHandle<()>>,
}

/// Where the files are.
#[derive(Clone)]
struct Folder(PathBuf);

impl Folder {
    fn file(&self, blob: &Blob) -> PathBuf {
        let name: String = blob.iter().map(|byte| format!("{byte:02x}")).collect();
        self.0.join(name)
    }

    fn sync(&self) -> Result<()> {
        File::open(&self.0)?.sync_all()
    }
}

/// The folder of a store's blobs: `blobs` beside its file.
pub(crate) fn folder(store: &Path) -> PathBuf {
    store.with_file_name("blobs")
}

/// The names of the files in it.
pub(crate) fn names(store: &Path) -> Result<Vec<String>> {
    let files = match std::fs::read_dir(folder(store)) {
        Ok(files) => files,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
    Ok(names.filter(|name| is_name(name)).collect())
}

/// Whether a file of this name is a blob's.
pub(crate) fn is_name(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit))
}

/// So many of the bytes of a file are whole parts.
pub(crate) fn whole_parts(length: u64) -> u64 {
    length / STRIDE as u64 * STRIDE as u64
}

impl Blobs {
    /// Starts the threads.
    pub(super) fn start(store: &Path) -> Result<Self> {
        let folder = Folder(folder(store));
        match DirBuilder::new().mode(0o700).create(&folder.0) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let (jobs, given) = mpsc::channel();
        let mut writer = Writer { folder: folder.clone(), open: HashMap::new(), turn: 0 };
        let writer = std::thread::Builder::new().name("blob-writer".to_owned()).spawn(move || writer.run(&given))?;
        let (reads, waiting) = mpsc::channel::<Read>();
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..READERS {
            let (folder, waiting) = (folder.clone(), Arc::clone(&waiting));
            std::thread::Builder::new().name("blob-reader".to_owned()).spawn(move || {
                loop {
                    let read = lock(&waiting).recv();
                    match read {
                        Ok(read) => read(&folder),
                        Err(_) => break,
                    }
                }
            })?;
        }
        let room = Arc::new(Semaphore::new(ROOM));
        Ok(Self { folder, jobs: Some(jobs), reads, room, writer: Some(writer) })
    }

    pub(super) async fn put(&self, blob: Blob, number: u32, bytes: Bytes) -> std::result::Result<u32, Fault> {
        if bytes.len() != PART {
            return Err(Fault::Damaged("a part"));
        }
        let _room = Arc::clone(&self.room).acquire_owned().await.map_err(|_| Fault::Stopped)?;
        self.ask(|answer| Job::Put { blob, number, bytes, answer, _room }).await
    }

    pub(super) async fn count(&self, blob: Blob) -> std::result::Result<u32, Fault> {
        self.ask(|answer| Job::Count { blob, answer }).await
    }

    pub(super) async fn delete(&self, blob: Blob) -> std::result::Result<(), Fault> {
        self.ask(|answer| Job::Delete { blob, answer }).await
    }

    async fn ask<T>(&self, job: impl FnOnce(Answer<T>) -> Job) -> std::result::Result<T, Fault> {
        let (answer, answered) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or(Fault::Stopped)?;
        jobs.send(job(answer)).map_err(|_| Fault::Stopped)?;
        answered.await.map_err(|_| Fault::Stopped)?
    }

    pub(super) async fn part(&self, blob: Blob, number: u32) -> std::result::Result<Option<Bytes>, Fault> {
        let (answer, answered) = oneshot::channel();
        let read: Read = Box::new(move |folder| {
            // Whoever asked may be gone.
            let _ = answer.send(read(folder, &blob, number));
        });
        self.reads.send(read).map_err(|_| Fault::Stopped)?;
        answered.await.map_err(|_| Fault::Stopped)?
    }

    /// Bytes that are free where the files are.
    pub(super) fn free(&self) -> u64 {
        rustix::fs::statvfs(&self.folder.0).map_or(0, |found| found.f_bavail.saturating_mul(found.f_frsize))
    }
}

impl Drop for Blobs {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(writer) = self.writer.take() {
            // It panicked: that was logged, and nothing can be done here.
            let _ = writer.join();
        }
    }
}

fn check(blob: &Blob, number: u32, bytes: &[u8]) -> [u8; CHECK] {
    let hash = Sha256::new().chain_update(blob).chain_update(number.to_le_bytes()).chain_update(bytes).finalize();
    hash.first_chunk().copied().unwrap_or_default()
}

/// A part with its check, where there are so many bytes in the file.
fn stored(file: &File, blob: &Blob, number: u32) -> std::result::Result<Option<Bytes>, Fault> {
    let mut bytes = vec![0; STRIDE];
    match file.read_exact_at(&mut bytes, u64::from(number) * STRIDE as u64) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(fault(&error)),
    }
    let bytes = Bytes::from(bytes);
    let part = bytes.slice(CHECK..);
    let whole = bytes.starts_with(&check(blob, number, &part));
    if whole { Ok(Some(part)) } else { Err(Fault::Damaged("a blob")) }
}

fn read(folder: &Folder, blob: &Blob, number: u32) -> std::result::Result<Option<Bytes>, Fault> {
    match File::open(folder.file(blob)) {
        Ok(file) => stored(&file, blob, number),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fault(&error)),
    }
}

fn fault(error: &Error) -> Fault {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Fault::Full,
        _ => Fault::Backend(error.to_string()),
    }
}

/// A file with the parts that are durable in it, and those that were written since.
struct Open {
    file: File,
    durable: u32,
    written: u32,
    turn: u64,
}

struct Writer {
    folder: Folder,
    open: HashMap<Blob, Open>,
    turn: u64,
}

impl Writer {
    /// Until nobody asks any more.
    fn run(&mut self, jobs: &mpsc::Receiver<Job>) {
        while let Ok(first) = jobs.recv() {
            let more = jobs.try_iter().take(GROUP - 1);
            let group: Vec<Job> = std::iter::once(first).chain(more).collect();
            self.work(group);
        }
    }

    fn work(&mut self, group: Vec<Job>) {
        let mut waiting: Vec<(Blob, Answer<u32>)> = Vec::new();
        let mut gone: Vec<Answer<()>> = Vec::new();
        for job in group {
            match job {
                Job::Put { blob, number, bytes, answer, .. } => match self.put(&blob, number, &bytes) {
                    Ok(()) => waiting.push((blob, answer)),
                    Err(fault) => drop(answer.send(Err(fault))),
                },
                Job::Count { blob, answer } => match self.opened(&blob, false) {
                    Ok(_) => waiting.push((blob, answer)),
                    Err(fault) => drop(answer.send(Err(fault))),
                },
                Job::Delete { blob, answer } => {
                    self.open.remove(&blob);
                    match std::fs::remove_file(self.folder.file(&blob)) {
                        Ok(()) => gone.push(answer),
                        Err(error) if error.kind() == ErrorKind::NotFound => gone.push(answer),
                        Err(error) => drop(answer.send(Err(fault(&error)))),
                    }
                }
            }
        }
        self.sync();
        if !gone.is_empty() {
            let synced = self.folder.sync().map_err(|error| error.to_string());
            gone.into_iter().for_each(|answer| drop(answer.send(synced.clone().map_err(Fault::Backend))));
        }
        // Who gave up waiting asks again.
        for (blob, answer) in waiting {
            let durable = self.opened(&blob, false).map(|open| open.map_or(0, |open| open.durable));
            let _ = answer.send(durable);
        }
        while self.open.len() > OPEN {
            let Some(oldest) = self.open.iter().min_by_key(|(_, open)| open.turn).map(|(blob, _)| *blob) else { break };
            self.open.remove(&oldest);
        }
    }

    /// Writes a part where the blob ends; anywhere else nothing.
    fn put(&mut self, blob: &Blob, number: u32, bytes: &[u8]) -> std::result::Result<(), Fault> {
        let Some(open) = self.opened(blob, number == 0)? else { return Ok(()) };
        if open.written != number {
            return Ok(());
        }
        let at = u64::from(number) * STRIDE as u64;
        let written = open
            .file
            .write_all_at(&check(blob, number, bytes), at)
            .and_then(|()| open.file.write_all_at(bytes, at + CHECK as u64));
        match written {
            Ok(()) => {
                open.written += 1;
                Ok(())
            }
            Err(error) => {
                // What fits no more is not left half there.
                let _ = open.file.set_len(at);
                Err(fault(&error))
            }
        }
    }

    /// Makes everything durable that was written since the last time.
    fn sync(&mut self) {
        let mut lost = Vec::new();
        for (blob, open) in &mut self.open {
            if open.written == open.durable {
                continue;
            }
            // [STORE-1] the file's own name is durable with its folder.
            let synced = open.file.sync_data();
            match if open.durable == 0 { synced.and_then(|()| self.folder.sync()) } else { synced } {
                Ok(()) => open.durable = open.written,
                Err(error) => {
                    tracing::error!("a blob could not be written, and begins anew: {error}");
                    lost.push(*blob);
                }
            }
        }
        // Linux forgets the dirty pages of a failed sync: what is on the disk is not known any more.
        for blob in lost {
            self.open.remove(&blob);
            let _ = std::fs::remove_file(self.folder.file(&blob));
        }
    }

    /// The file of a blob; `None` where there is none and none is to be made.
    fn opened(&mut self, blob: &Blob, make: bool) -> std::result::Result<Option<&mut Open>, Fault> {
        self.turn += 1;
        let turn = self.turn;
        if !self.open.contains_key(blob) {
            let options = OpenOptions::new().read(true).write(true).create(make).mode(0o600).to_owned();
            let file = match options.open(self.folder.file(blob)) {
                Ok(file) => file,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(fault(&error)),
            };
            let durable = whole(&file, blob)?;
            self.open.insert(*blob, Open { file, durable, written: durable, turn });
        }
        let Some(open) = self.open.get_mut(blob) else { return Ok(None) };
        open.turn = turn;
        Ok(Some(open))
    }
}

/// How many parts of a file are whole, from the first on: only what was written after the last sync may not be.
fn whole(file: &File, blob: &Blob) -> std::result::Result<u32, Fault> {
    let length = file.metadata().map_err(|error| fault(&error))?.len();
    let all = u32::try_from(length / STRIDE as u64).unwrap_or(u32::MAX);
    let synced = all.saturating_sub(GROUP as u32);
    let torn = (synced..all).find(|number| !matches!(stored(file, blob, *number), Ok(Some(_))));
    let whole = torn.unwrap_or(all);
    let end = u64::from(whole) * STRIDE as u64;
    if length != end {
        file.set_len(end).map_err(|error| fault(&error))?;
    }
    if all > 0 {
        // Whoever wrote them may have died before their sync.
        file.sync_data().map_err(|error| fault(&error))?;
    }
    Ok(whole)
}
