//! Whoever is in the way of others: crowds, floods, readers that stop. An honest pair writes to each other all the while,
//! from an address of its own, and what it waits for is compared with what it waited for before anybody came.
//!
//! The relay runs with the limits that it comes with. Crowds and floods are processes of their own that run
//! only where nobody else wants to, as if they were on other machines: it is the relay that they keep busy, and not the
//! pair.
pub mod crowd;
pub mod flood;
pub mod link;
pub mod pair;
pub mod readers;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::codec::Wrong;

/// Another process of this program, ended with this value.
pub struct Neighbour {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Neighbour {
    /// Starts one: `what` are its words behind `--neighbour`.
    pub fn start(relay: SocketAddr, what: &[&str]) -> Result<Self, Wrong> {
        let program = std::env::current_exe()?;
        let mut command = Command::new("chrt");
        command.args(["--idle", "0"]).arg(program).arg("--neighbour").arg(relay.to_string()).args(what);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().ok_or_else(|| Wrong::new("no output"))?;
        Ok(Self { child, lines: BufReader::new(stdout) })
    }

    /// The next thing that it says.
    pub fn says(&mut self) -> Result<String, Wrong> {
        let mut line = String::new();
        match self.lines.read_line(&mut line)? {
            0 => Err(Wrong::new("a neighbour has gone")),
            _ => Ok(line.trim_end().to_owned()),
        }
    }

    /// Tells it to come to its end, and to say what it saw.
    pub fn ends(&self) {
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
