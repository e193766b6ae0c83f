//! What the process takes of the machine, as Prometheus names it.

use std::fs;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// Read of `/proc/self`; what can't be read is left out.
pub(super) struct Process {
    pub(super) resident: Option<u64>,
    pub(super) open_files: Option<u64>,
    pub(super) most_files: Option<u64>,
    pub(super) cpu_seconds: Option<f64>,
    pub(super) started: f64,
}

/// Ticks of a second in `/proc`: the same on every Linux that Rust runs on.
const TICKS: f64 = 100.0;

impl Process {
    pub(super) fn now() -> Self {
        Self {
            resident: resident(),
            open_files: fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as u64),
            most_files: rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
            cpu_seconds: cpu_seconds(),
            started: started(),
        }
    }
}

/// When the relay was started, Unix seconds: when this was first asked, which is then.
pub(super) fn started() -> f64 {
    static STARTED: OnceLock<f64> = OnceLock::new();
    *STARTED.get_or_init(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64())
}

fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes: u64 =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name stands in parentheses and may hold anything; the twelfth and thirteenth field after it count.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS)
}
