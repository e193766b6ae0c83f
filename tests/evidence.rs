//! Each claim about the cryptography, what supports it, and how to run that again: one list, from which the `evidence`
//! program runs everything and `spec/README.md` has its table.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// One claim.
pub struct Row {
    /// What is claimed.
    pub claim: &'static str,
    /// What supports it.
    pub evidence: &'static str,
    /// Where to look.
    pub place: &'static str,
    /// What runs it; all of them must hold.
    pub runs: &'static [Run],
}

/// One command.
pub enum Run {
    /// Tests of a package whose names contain one of these.
    Tests(&'static str, &'static [&'static str]),
    /// A program from the repository's root, with a limit in minutes: what takes long, or needs what is slow to install.
    Long(&'static [&'static str], u64),
}

/// How a command ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds; what it said last.
    Holds(String),
    /// Something is missing on this machine, or it was not asked for.
    Skipped(String),
    /// It does not hold; the end of what it said.
    Fails(String),
}

/// How a command ends that goes on when it is called again (EX_TEMPFAIL).
const UNFINISHED: i32 = 75;
/// Every test run has this long.
const TESTS: Duration = Duration::from_secs(20 * 60);

/// The rows of the table in `spec/README.md`.
#[must_use]
pub fn table() -> String {
    let mut table = String::from("| claim | evidence | where to look |\n|---|---|---|\n");
    for Row { claim, evidence, place, .. } in ROWS {
        let _ = writeln!(table, "| {claim} | {evidence} | {place} |");
    }
    table
}

impl Run {
    /// As a person would type it.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let fixed = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        match self {
            Self::Tests(package, filters) => {
                let target: &[&str] = if *package == "sealpost-tests" { &["--test", "all"] } else { &["--lib"] };
                [fixed(&["cargo", "test", "--locked", "-p", package]), fixed(target), fixed(&["--"]), fixed(filters)]
                    .concat()
            }
            Self::Long(words, _) => fixed(words),
        }
    }

    /// Runs it from the repository's root, and ends it, with its children, when its time is over.
    ///
    /// # Panics
    /// The folder of temporary files can't be written.
    #[must_use]
    pub fn run(&self, long: bool) -> Outcome {
        let limit = match self {
            Self::Tests(..) => TESTS,
            Self::Long(..) if !long => return Outcome::Skipped("with --long".into()),
            Self::Long(_, minutes) => Duration::from_secs(minutes * 60),
        };
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the workspace");
        let words = self.words();
        let (Some(program), output) = (words.first(), tempfile::NamedTempFile::new().expect("a temporary file")) else {
            return Outcome::Fails("no command".into());
        };
        let streams = || output.reopen().map(Stdio::from).expect("the temporary file is there");
        let mut command = Command::new(program);
        command.current_dir(root).args(&words[1..]).stdin(Stdio::null()).stdout(streams()).stderr(streams());
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let started = command.spawn();
        let Ok(mut child) = started else { return Outcome::Skipped(format!("(missing {program})")) };
        let ends = Instant::now() + limit;
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < ends => std::thread::sleep(Duration::from_millis(50)),
                _ => {
                    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
                    let _ =
                        group.map(|group| rustix::process::kill_process_group(group, rustix::process::Signal::KILL));
                    let _ = child.wait();
                    return Outcome::Fails(format!("not over after {} minutes", limit.as_secs() / 60));
                }
            }
        };
        let said = std::fs::read(output.path()).unwrap_or_default();
        self.outcome(status.code(), &String::from_utf8_lossy(&said))
    }

    /// What an end and the words before it mean.
    fn outcome(&self, code: Option<i32>, said: &str) -> Outcome {
        let last = |lines: usize| {
            let all: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
            all[all.len().saturating_sub(lines)..].join("\n")
        };
        match code {
            Some(0) => {}
            Some(UNFINISHED) => return Outcome::Skipped(last(1)),
            _ => return Outcome::Fails(last(25)),
        }
        if let Some(line) = said.lines().find(|line| line.starts_with("skipped: ")) {
            return Outcome::Skipped(line["skipped: ".len()..].to_owned());
        }
        match self {
            Self::Long(..) => Outcome::Holds(last(1)),
            Self::Tests(..) => {
                // A name that nothing has would hold for ever.
                let passed = said.lines().filter_map(|line| line.strip_prefix("test result: ok. "));
                let passed: u32 = passed.filter_map(|rest| rest.split(' ').next()?.parse::<u32>().ok()).sum();
                if passed == 0 { Outcome::Fails(last(25)) } else { Outcome::Holds(format!("{passed} tests")) }
            }
        }
    }
}

mod rows;

pub use rows::ROWS;

#[cfg(test)]
mod tests {
    use super::*;

    /// A run that says nothing of a test, or was ended, is no evidence.
    #[test]
    fn only_what_ran_holds() {
        let tests = Run::Tests("sealpost-crypto", &["x"]);
        let holds = "test result: ok. 3 passed; 0 failed\ntest result: ok. 1 passed; 0 failed";
        assert_eq!(tests.outcome(Some(0), holds), Outcome::Holds("4 tests".into()));
        assert!(matches!(tests.outcome(Some(0), "test result: ok. 0 passed; 0 failed"), Outcome::Fails(_)));
        assert!(matches!(tests.outcome(Some(101), holds), Outcome::Fails(_)));
        let skipped = "skipped: interop (missing python)\ntest result: ok. 1 passed; 0 failed";
        assert_eq!(tests.outcome(Some(0), skipped), Outcome::Skipped("interop (missing python)".into()));
        let long = |script| Run::Long(script, 1).run(true);
        assert!(matches!(long(&["sh", "-c", "exit 1"]), Outcome::Fails(_)));
        assert_eq!(long(&["sh", "-c", "echo go on; exit 75"]), Outcome::Skipped("go on".into()));
        assert_eq!(Run::Long(&["echo", "all"], 1).run(true), Outcome::Holds("all".into()));
        assert!(matches!(Run::Long(&["sleep", "60"], 0).run(true), Outcome::Fails(_)));
        assert!(matches!(Run::Long(&["echo", "all"], 1).run(false), Outcome::Skipped(_)));
    }
}
