//! Threads that read. A query sees every transaction that was committed before it began. [STORE-5]

use std::sync::{Arc, Mutex, mpsc};

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::store::Fault;
use crate::store::bell::lock;

type Query = Box<dyn FnOnce(&Connection) + Send>;

/// Ends its threads when it is dropped. What waits is bounded by the links: each asks one thing at a time.
pub(super) struct Readers(mpsc::Sender<Query>);

impl Readers {
    pub(super) fn start(connections: Vec<Connection>) -> std::io::Result<Self> {
        let (queries, waiting) = mpsc::channel::<Query>();
        let waiting = Arc::new(Mutex::new(waiting));
        for connection in connections {
            let waiting = Arc::clone(&waiting);
            std::thread::Builder::new().name("store-reader".to_owned()).spawn(move || {
                loop {
                    // The lock is held while waiting: the others wait for the lock instead.
                    let query = lock(&waiting).recv();
                    match query {
                        Ok(query) => query(&connection),
                        Err(_) => break,
                    }
                }
            })?;
        }
        Ok(Self(queries))
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Fault> {
        let (answer, answered) = oneshot::channel();
        let query: Query = Box::new(move |connection| {
            // Whoever asked may be gone.
            let _ = answer.send(query(connection));
        });
        self.0.send(query).map_err(|_| Fault::Stopped)?;
        answered.await.map_err(|_| Fault::Stopped)?.map_err(|error| Fault::Backend(error.to_string()))
    }
}
