use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::{Lines, programs};

/// A relay that lies, in a process of its own, killed when it goes out of scope.
pub struct MalloryProcess {
    child: Child,
    lines: Lines,
    /// What people register with.
    pub address: String,
}

/// This program, where it is the one that can be Mallory; else the one that cargo builds.
fn program() -> PathBuf {
    match std::env::current_exe() {
        Ok(own) if own.file_name().is_some_and(|name| name == "sealpost-tests") => own,
        _ => programs().tests.clone().expect("the tests' own program is built with the others"),
    }
}

impl MalloryProcess {
    /// Starts her, honest for now.
    ///
    /// # Panics
    /// She does not start.
    #[must_use]
    pub fn start() -> Self {
        let mut child = Command::new(program())
            .arg("mallory")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the tests' own program is there");
        let mut lines = Lines::of(child.stdout.take().expect("it is piped"));
        let address = lines.next_line().expect("the first line is the address");
        assert!(address.starts_with("sealpost://"), "{address}");
        Self { child, lines, address }
    }

    /// Gives her an order; what she says that she does.
    ///
    /// # Panics
    /// She does not understand it.
    pub fn order(&mut self, order: &str) -> String {
        let stdin = self.child.stdin.as_mut().expect("it is piped");
        writeln!(stdin, "{order}").expect("she listens");
        let said = self.lines.next_line().expect("she answers");
        assert!(!said.starts_with('?'), "Mallory can't do that now: {order}");
        said
    }

    /// A number that she counts: `lied` or `fooled`, since she was honest.
    ///
    /// # Panics
    /// It is none.
    pub fn counts(&mut self, what: &str) -> u64 {
        self.order(what).parse().expect("a number")
    }
}

impl Drop for MalloryProcess {
    fn drop(&mut self) {
        // Gone already, perhaps.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
