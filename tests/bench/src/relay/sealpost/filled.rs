//! A relay over a store that is full already.
use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use super::fill::{Filling, fill};
use super::people::Person;
use super::{CONFIG, launch, run};
use crate::relay::codec::Wrong;
use crate::relay::host::{Host, Process, Site};

/// A relay that can be started over a full store, as often as one likes.
pub struct Filled {
    relay: PathBuf,
    folder: PathBuf,
    free: u32,
}

impl Filled {
    /// Fills the store, unless an earlier row or run has done so.
    pub fn new(site: &Site, filling: Filling) -> Result<Self, Wrong> {
        let folder = site.kept().join(format!("accounts-{}", filling.accounts));
        std::fs::create_dir_all(&folder)?;
        fill(&folder.join("data"), filling)?;
        Ok(Self { relay: site.relay.clone(), folder, free: filling.free })
    }

    /// Until it says that it listens.
    pub fn start(&self) -> Result<Process, Wrong> {
        launch(Command::new(&self.relay), &self.folder, CONFIG).map(|(process, _)| process)
    }

    /// With those people as clients for whom nothing waits.
    pub fn host(&self) -> Result<Host, Wrong> {
        let people = (0..self.free).map(|number| Rc::new(Person::new(number))).collect();
        let host = run(Command::new(&self.relay), &self.folder, people, CONFIG)?;
        rests(&host.process)?;
        Ok(host)
    }
}

/// Waits until a process does nothing: a relay looks through all mailboxes when it starts, and now and then.
fn rests(process: &Process) -> Result<(), Wrong> {
    for _ in 0..240 {
        let before = process.cpu()?;
        std::thread::sleep(Duration::from_millis(250));
        if process.cpu()? == before {
            return Ok(());
        }
    }
    Err(Wrong::new("the relay is busy with itself for a minute"))
}
