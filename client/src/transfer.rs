//! Files on their way: whatever reads, seals, sends, fetches, opens and writes them, a chunk at a time.
//!
//! [`start`] runs on tokio beside the links and is driven as they are: it takes [`FileOrder`]s and gives
//! [`LinkEvent::File`]s. What is sent or fetched, and when, the engine decides; which bytes are where, the relay and the disk
//! know. So nothing has to be remembered here, and whatever breaks off goes on from what they say.

mod fetch;
mod folder;
mod name;
mod pace;
mod source;
mod upload;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::engine::{FileJob, FileNews, FileOrder, FileTrouble, LinkEvent};
use crate::link::{Config, Lines};

/// How often it is told how far a file has come.
const TOLD: Duration = Duration::from_millis(200);

/// Starts it; the task ends when the engine's side of `orders` is gone, and nothing moves any more then. `downloads`: where files
/// go that are not to go elsewhere.
pub fn start(
    config: Config,
    downloads: PathBuf,
    mut orders: mpsc::Receiver<FileOrder>,
    events: mpsc::Sender<LinkEvent>,
) -> JoinHandle<()> {
    let lines = Lines::new(config);
    tokio::spawn(async move {
        let mut under_way: HashMap<FileJob, AbortHandle> = HashMap::new();
        let mut tasks = JoinSet::new();
        while let Some(order) = orders.recv().await {
            under_way.retain(|_, task| !task.is_finished());
            while tasks.try_join_next().is_some() {}
            if let FileOrder::Stop { job } = order {
                if let Some(task) = under_way.remove(&job) {
                    task.abort();
                }
                continue;
            }
            if let FileOrder::Forget { blob, to } = order {
                let to = to.map_or_else(|| folder::To::Downloads(downloads.clone()), |to| folder::To::Path(to.into()));
                tasks.spawn(async move {
                    // Where it can't be removed nobody waits to hear of it.
                    let _ = apart(move || folder::forget(to, &blob)).await;
                });
                continue;
            }
            let job = order.job();
            let told = Told { job, events: events.clone(), last: None };
            under_way.insert(job, tasks.spawn(carry_out(order, lines.clone(), downloads.clone(), told)));
        }
    })
}

async fn carry_out(order: FileOrder, lines: Lines, downloads: PathBuf, mut told: Told) {
    let outcome = match order {
        FileOrder::Measure { path, .. } => source::measure(PathBuf::from(path), &mut told).await,
        FileOrder::Upload { path, stamp, recipient, token, pointer, .. } => {
            let upload = upload::Upload { path: path.into(), stamp, recipient, token, pointer };
            upload.run(lines.line(), &mut told).await
        }
        FileOrder::Fetch { pointer, to, .. } => {
            let to = to.map_or(folder::To::Downloads(downloads), |to| folder::To::Path(to.into()));
            fetch::run(pointer, to, lines.line(), &mut told).await
        }
        FileOrder::Stop { .. } | FileOrder::Forget { .. } => return,
    };
    told.end(outcome).await;
}

/// Tells the engine of one file.
struct Told {
    job: FileJob,
    events: mpsc::Sender<LinkEvent>,
    last: Option<Instant>,
}

impl Told {
    /// So many bytes of it are there: told now and then.
    async fn moved(&mut self, done: u64) {
        if self.last.is_some_and(|last| last.elapsed() < TOLD) {
            return;
        }
        self.last = Some(Instant::now());
        self.say(FileNews::Moved { done }).await;
    }

    async fn end(&self, outcome: Result<FileNews, FileTrouble>) {
        self.say(outcome.unwrap_or_else(FileNews::Stopped)).await;
    }

    async fn say(&self, news: FileNews) {
        // Nobody listens any more where the engine has gone.
        let _ = self.events.send(LinkEvent::File { job: self.job, news }).await;
    }
}

/// Runs something that waits for the disk on a thread of its own, from now on.
fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FileTrouble> + Send + 'static,
) -> impl Future<Output = Result<T, FileTrouble>> {
    let running = tokio::task::spawn_blocking(work);
    async { running.await.unwrap_or_else(|_| Err(FileTrouble::Unreadable("it was interrupted".to_owned()))) }
}
