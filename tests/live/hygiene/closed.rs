//! Files, folders and sockets are their owner's alone, whatever the umask; and no process leaves an image of its memory.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use sealpost_tests::processes::{Following, Person, finish, programs, signal, under, until};
use sealpost_tests::skip;

use super::open_to_all;

/// Runs a program under a umask that takes nothing away.
pub(super) const OPEN: [&str; 4] = ["sh", "-c", "umask 000; exec \"$@\"", "sh"];

fn openly(command: &Command) -> Command {
    under(&OPEN, command)
}

/// Everything below a folder, itself included, that others may do something with; and how many sockets were seen.
fn open_below(path: &Path) -> (Vec<String>, usize) {
    let about = std::fs::symlink_metadata(path).unwrap();
    let (mut open, mut sockets) = (Vec::new(), usize::from(about.file_type().is_socket()));
    // A link has no mode of its own.
    if !about.file_type().is_symlink() && about.mode() & 0o077 != 0 {
        open.push(format!("{} {:o}", path.display(), about.mode() & 0o7777));
    }
    if about.is_dir() {
        for entry in std::fs::read_dir(path).unwrap().flatten() {
            let (more, some) = open_below(&entry.path());
            open.extend(more);
            sockets += some;
        }
    }
    (open, sockets)
}

/// Profile, vault, database, sockets, downloads and backup of a client, data folder, key, store, sockets and backup of a relay:
/// nobody else may read, write or enter them, though the umask would let everybody.
#[test]
fn nothing_is_open_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let relay = open_to_all(folder.path());
    let [alice, bob] = ["alice", "bob"].map(|name| Person::new(folder.path(), name));
    let run = |person: &Person, arguments: &[&str]| finish(openly(&person.command(arguments)), "").expect(0);
    for person in [&alice, &bob] {
        let _ = run(person, &["register", &relay.address, &person.name]);
    }
    let mut holder = Following::start(openly(&alice.command(&["--json", "daemon"])));
    let _ = holder.lines.until(|line| line.contains("\"listening\""));
    let plan = folder.path().join("plan.txt");
    std::fs::write(&plan, "a plan").unwrap();
    let _ = run(&bob, &["send", "alice", "hello"]);
    let _ = run(&bob, &["send", "alice", "-f", plan.to_str().unwrap()]);
    until("the file has come", || (finish(openly(&alice.command(&["get"])), "").code == Some(0)).then_some(()));
    let (of_client, of_relay) = (folder.path().join("alice.backup"), folder.path().join("relay.tar"));
    let _ = run(&alice, &["backup", of_client.to_str().unwrap()]);
    let mut backup = Command::new(&programs().relay);
    backup.arg("backup").arg(&of_relay).arg("--data").arg(&relay.data);
    let _ = finish(openly(&backup), "").expect(0);
    for (path, wanted) in [(&alice.home, 2), (&bob.home, 0), (&relay.data, 1), (&of_client, 0), (&of_relay, 0)] {
        let (open, sockets) = open_below(path);
        assert!(open.is_empty(), "open to others: {open:#?}");
        assert!(sockets >= wanted, "{sockets} sockets below {}", path.display());
    }
    // The test sees what is open: the file that it wrote itself.
    std::fs::set_permissions(&plan, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(open_below(&plan).0.len(), 1);
}

/// `Max core file size` as the kernel has it.
fn core_limit(pid: u32) -> String {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
    line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// Without a limit on core images.
fn unlimited(command: &Command, folder: &Path) -> Command {
    let mut unlimited = under(&["prlimit", "--core=unlimited:unlimited"], command);
    unlimited.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    unlimited
}

/// Whether the kernel wrote an image of a process that died by a signal at which it writes one.
fn leaves_an_image(command: &Command, folder: &Path, ready: impl Fn(u32) -> bool) -> bool {
    let mut child = unlimited(command, folder).spawn().unwrap();
    until("the process is ready", || ready(child.id()).then_some(()));
    signal(child.id(), Signal::ABORT);
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()), "{status}");
    status.core_dumped()
}

/// A client or a relay that dies leaves no image of its memory, though whoever started it allows that, and nobody but root may
/// look into it while it lives.
#[test]
fn no_image_of_memory_is_left() {
    if Command::new("prlimit").arg("-V").output().is_err() {
        return skip("no image of memory", "prlimit");
    }
    let pair = super::super::Pair::new();
    let folder = tempfile::tempdir().unwrap();
    let mut sleep = Command::new("sleep");
    sleep.arg("600");
    let slept = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n");
    let images = leaves_an_image(&sleep, folder.path(), slept);
    let off = |pid: u32| core_limit(pid) == "0 0";
    let client = pair.alice.command(&["recv", "--follow"]);
    assert!(!leaves_an_image(&client, folder.path(), off), "of a client");
    let mut relay = Command::new(&programs().relay);
    relay.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(folder.path().join("relay"));
    assert!(!leaves_an_image(&relay, folder.path(), off), "of a relay");
    assert_eq!(core_limit(pair.relay.pid()), "0 0");
    if !images {
        skip("no image of memory", "a kernel that writes images of other processes");
    }
}
