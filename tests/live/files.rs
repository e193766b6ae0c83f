//! Files: sent, interrupted, gone on with, fetched, saved; and what is done to them on the way.

use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use sealpost_tests::processes::{Following, Person, RelayProcess, files_below, finish, until};
use sealpost_tests::skip;
use serde_json::Value;

use super::Pair;
use super::terminal::Terminal;

/// Parts of a file that the slow relay takes, or gives, in a second.
const SLOW: &str = "[rates]\nuploads = { burst = 20, every_ms = 40 }\ndownloads = { burst = 20, every_ms = 40 }\n\
    [files]\nfree = 0\n";

/// Bytes that no compression or repetition hides a mistake in.
fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    })
    .take(length)
    .collect()
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> String {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A pair over a relay that takes and gives little at a time.
fn slow() -> Pair {
    let folder = tempfile::tempdir().unwrap();
    let config = write(folder.path(), "relay.toml", SLOW.as_bytes());
    let relay = RelayProcess::start_with(folder.path(), &["--config", &config]);
    let alice = Person::registered(folder.path(), "alice", &relay.address);
    let bob = Person::registered(folder.path(), "bob", &relay.address);
    let _ = alice.run(&["send", "bob", "hello"]).expect(0);
    assert_eq!(bob.receives(1), ["hello"]);
    let _ = bob.run(&["send", "alice", "hello"]).expect(0);
    assert_eq!(alice.receives(1), ["hello"]);
    Pair { relay, alice, bob, folder }
}

/// The id of the newest message that announces a file, once it has come.
fn offered(bob: &Person) -> String {
    until("a file is announced", || {
        let outcome = bob.json(&["recv", "--timeout", "20s"]).expect(0);
        outcome.events("file").pop().map(|file| file["id"].as_str().unwrap().to_owned())
    })
}

fn fetched(bob: &Person, arguments: &[&str]) -> PathBuf {
    let mut all = vec!["get"];
    all.extend(arguments);
    PathBuf::from(bob.run(&all).expect(0).out.trim_end())
}

fn blobs(relay: &RelayProcess) -> Vec<(String, u64)> {
    let entries = std::fs::read_dir(relay.data.join("blobs")).unwrap().flatten();
    entries.map(|file| (file.file_name().into_string().unwrap(), file.metadata().unwrap().len())).collect()
}

/// Nobody has to read of a file before they fetch it: what waits in the mailbox counts.
#[test]
fn a_file_is_fetched_at_once() {
    let pair = Pair::acquainted();
    let film = bytes(100_000, 5);
    let path = write(pair.folder.path(), "film.mkv", &film);
    let _ = pair.alice.run(&["send", "bob", "-f", &path]).expect(0);
    let saved = fetched(&pair.bob, &[]);
    assert!(saved.ends_with("film.mkv") && std::fs::read(&saved).unwrap() == film, "{saved:?}");
    let none = pair.bob.run(&["get"]).expect(6);
    assert!(none.err.contains("sealpost files"), "{}", none.err);
}

fn moved(event: &Value) -> u64 {
    event["done"].as_u64().unwrap()
}

/// Files with a text and without, empty or not, arrive bit for bit under their names and for nobody else's eyes; how far they are
/// stands on stderr; the relay keeps nothing that was fetched.
#[test]
fn files_arrive() {
    let pair = Pair::acquainted();
    let Pair { relay, alice, bob, folder } = &pair;
    let (photo, none) = (bytes(1_000_000, 7), Vec::new());
    let photo_path = write(folder.path(), "photo.jpg", &photo);
    let none_path = write(folder.path(), "none", &none);
    let sent = alice.run(&["send", "bob", "look at these", "-f", &photo_path, "-f", &none_path]).expect(0);
    assert!(sent.err.contains("photo.jpg: sending") && sent.err.contains("photo.jpg: sent"), "{}", sent.err);
    assert!(
        !sent.err.contains('\u{1b}') && !sent.err.contains('\r'),
        "no bar where there is no terminal: {}",
        sent.err
    );
    assert_eq!(bob.receives(1), ["look at these"]);
    let listed = until("both are announced", || {
        let _ = bob.run(&["recv"]).expect(0);
        let listed = bob.json(&["files"]).expect(0).events("progress");
        (listed.len() == 2).then_some(listed)
    });
    assert!(listed.iter().all(|file| file["state"] == "offered" && file["conversation"] == "@alice"), "{listed:?}");
    assert_eq!(blobs(relay).len(), 2);
    assert!(!bob.home.join("downloads").exists(), "nothing is fetched that nobody asked for");
    for (file, whole, name) in [(&listed[0], &photo, "photo.jpg"), (&listed[1], &none, "none")] {
        let saved = fetched(bob, &[&file["id"].as_str().unwrap()[..8]]);
        assert_eq!(saved, bob.home.join("downloads").join(name));
        assert_eq!(&std::fs::read(&saved).unwrap(), whole);
        assert_eq!(saved.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    until("the relay has removed them", || blobs(relay).is_empty().then_some(()));
    let own = alice.json(&["files"]).expect(0).events("progress");
    assert!(own.iter().all(|file| file["state"] == "done" && file["incoming"] == false), "{own:?}");
    let quiet = alice.run(&["-q", "send", "bob", "-f", &none_path]).expect(0);
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""));
}

/// On a terminal there is a bar, with rate and time left, which goes when the file has gone.
#[test]
fn a_terminal_has_a_bar() {
    let pair = slow();
    let path = write(pair.folder.path(), "film.mkv", &bytes(3_000_000, 19));
    let terminal = Terminal::run(&pair.alice, &["send", "bob", "-f", &path]);
    terminal.shows("MiB/2.86 MiB");
    terminal.shows("s left");
    terminal.shows("sent to bob");
    assert!(!terminal.shown().contains("left"), "{}", terminal.shown());
}

/// [FILE-5] [FILE-9] a file whose sender is killed, and whose relay is, goes on where it was, with the same command, and arrives bit
/// for bit; so does its recipient, killed while fetching.
#[test]
fn an_interrupted_file_goes_on_where_it_was() {
    let mut pair = slow();
    let Pair { relay, alice, bob, folder } = &mut pair;
    let whole = bytes(10_000_000, 3);
    let path = write(folder.path(), "film.mkv", &whole);
    let mut first = Following::start(alice.command(&["--json", "send", "bob", "-f", &path]));
    while moved(&first.event("progress")) < 2_500_000 {}
    first.kill();
    let there = blobs(relay)[0].1;
    assert!(there > 2_000_000, "{there}");

    let mut second = Following::start(alice.command(&["--json", "send", "bob", "-f", &path]));
    let uploads = |event: &Value| event["state"] == "moving" && moved(event) > 0;
    let begins = moved(&loop {
        let event = second.event("progress");
        if uploads(&event) {
            break event;
        }
    });
    assert!(begins + 200_000 > there.min(2_500_000), "it went on at {begins} of {there}");
    while moved(&second.event("progress")) < 5_000_000 {}
    relay.kill();
    relay.restart();
    assert_eq!(second.event("end")["exit"], 0);
    assert_eq!(blobs(relay).len(), 1);

    let id = offered(bob);
    let mut fetching = Following::start(bob.command(&["--json", "get", &id]));
    while moved(&fetching.event("progress")) < 3_000_000 {}
    fetching.kill();
    let downloads = bob.home.join("downloads");
    let names = |folder: &Path| -> Vec<String> {
        std::fs::read_dir(folder).unwrap().flatten().map(|file| file.file_name().into_string().unwrap()).collect()
    };
    // [FILE-13]
    assert!(names(&downloads).iter().all(|name| name.starts_with(".sealpost-")), "{:?}", names(&downloads));
    let mut again = Following::start(bob.command(&["--json", "get", &id]));
    let begins = moved(&loop {
        let event = again.event("progress");
        if uploads(&event) {
            break event;
        }
    });
    assert!(begins >= 2_500_000, "it went on at {begins}");
    while moved(&again.event("progress")) < 6_000_000 {}
    relay.kill();
    relay.restart();
    assert_eq!(again.event("end")["exit"], 0);
    assert_eq!(names(&downloads), ["film.mkv"]);
    assert!(std::fs::read(downloads.join("film.mkv")).unwrap() == whole, "bit for bit");
}

/// [FILE-9] a file that is written to while it is sent is not announced, and its sender is told; the same command sends what it is
/// then.
#[test]
fn a_file_that_changes_is_not_announced() {
    let pair = slow();
    let Pair { alice, bob, folder, .. } = &pair;
    let path = write(folder.path(), "log", &bytes(6_000_000, 5));
    let mut sending = Following::start(alice.command(&["--json", "send", "bob", "-f", &path]));
    while moved(&sending.event("progress")) < 1_500_000 || sending.event("progress")["state"] != "moving" {}
    std::fs::File::options().append(true).open(&path).unwrap().write_all(b"one line more").unwrap();
    let error = sending.event("error");
    assert!(error["message"].as_str().unwrap().contains("changed"), "{error}");
    assert_eq!(sending.event("end")["exit"], 1);
    assert!(bob.json(&["recv"]).expect(0).events("file").is_empty());
    let small = bytes(300_000, 6);
    std::fs::write(&path, &small).unwrap();
    let _ = alice.run(&["send", "bob", "-f", &path]).expect(0);
    let id = offered(bob);
    assert!(std::fs::read(fetched(bob, &[&id])).unwrap() == small);
}

/// [FILE-14] whatever a file is called, and whatever lies where it is to go, it stays in its folder, and nothing is followed or
/// replaced.
#[test]
fn names_from_strangers_stay_in_their_folder() {
    let pair = Pair::acquainted();
    let Pair { alice, bob, folder, .. } = &pair;
    let downloads = bob.home.join("downloads");
    std::fs::create_dir(&downloads).unwrap();
    let elsewhere = folder.path().join("elsewhere");
    std::fs::write(&elsewhere, "precious").unwrap();
    symlink(&elsewhere, downloads.join("link")).unwrap();
    std::fs::write(downloads.join("taken.txt"), "precious").unwrap();
    let sources = folder.path().join("sources");
    std::fs::create_dir(&sources).unwrap();
    let table = [
        ("link", "link (2)"),
        ("taken.txt", "taken (2).txt"),
        (".bashrc", "bashrc"),
        ("..\\..\\.bashrc", "bashrc (2)"),
        ("-rf", "rf"),
        ("CON", "_CON"),
        ("a\u{1b}]52;c;AAAA\u{7}b", "a_]52;c;AAAA_b"),
        ("line\nbreak", "line_break"),
        ("invoice\u{202e}fdp.exe", "invoice_fdp.exe"),
    ];
    for (name, saved) in table {
        let path = write(&sources, name, name.as_bytes());
        let sent = alice.run(&["send", "bob", "-f", &path]).expect(0);
        assert!(!sent.err.contains('\u{1b}'), "{}", sent.err);
        let id = offered(bob);
        let outcome = bob.run(&["get", &id]).expect(0);
        assert_eq!(outcome.out.trim_end(), downloads.join(saved).to_str().unwrap(), "{name:?}");
        assert!(!outcome.err.contains(['\u{1b}', '\u{202e}']), "{}", outcome.err);
        assert_eq!(std::fs::read(downloads.join(saved)).unwrap(), name.as_bytes());
    }
    assert_eq!(std::fs::read_to_string(elsewhere).unwrap(), "precious");
    assert_eq!(std::fs::read_to_string(downloads.join("taken.txt")).unwrap(), "precious");
    assert_eq!(std::fs::read_dir(&downloads).unwrap().count(), 2 + table.len());
}

/// Where a file goes is one's own choice: another folder, another name that nothing has yet, standard output. What makes no sense says
/// so, each with its exit code.
#[test]
fn a_file_goes_where_one_wants_it() {
    let pair = Pair::acquainted();
    let Pair { alice, bob, folder, .. } = &pair;
    let whole = bytes(200_000, 9);
    let path = write(folder.path(), "data.bin", &whole);
    let send = || {
        let _ = alice.run(&["send", "bob", "-f", &path]).expect(0);
        offered(bob)
    };
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let id = send();
    let taken = bob.run(&["get", &id, "-o", &path]).expect(2);
    assert!(taken.err.contains("there is something under this name"), "{}", taken.err);
    let _ = bob.run(&["get", &id, "-o", &at("no/such/folder/x")]).expect(1);
    let _ = bob.run(&["get", &id, "-o", &at("nowhere/")]).expect(2);
    assert_eq!(fetched(bob, &["-o", &at("mine")]), folder.path().join("mine"));
    assert!(std::fs::read(at("mine")).unwrap() == whole);
    // It was fetched, so the relay has it no more.
    let _ = bob.run(&["get", &id, "-o", &at("again")]).expect(6);
    assert_eq!(fetched(bob, &[&id]), folder.path().join("mine"));

    let id = send();
    std::fs::create_dir(at("folder")).unwrap();
    // The holder stands elsewhere: a path is the command's.
    let mut holder = Following::start(bob.command(&["--json", "recv", "--follow"]));
    until("it holds the profile", || bob.run(&["status"]).err.is_empty().then_some(()));
    let mut get = bob.command(&["get", &id, "-o", "folder"]);
    get.current_dir(folder.path());
    assert_eq!(finish(get, "").expect(0).out.trim_end(), at("folder/data.bin"));
    holder.kill();

    let id = send();
    for _ in 0..2 {
        let given = folder.path().join("given");
        let mut get = Command::new("sh");
        let shell = format!("\"$@\" > {}", given.display());
        get.args(["-c", &shell, "sh"]).arg(&sealpost_tests::processes::programs().client);
        get.arg("--home").arg(&bob.home).arg("--passphrase-file").arg(&bob.passphrase).args(["get", &id, "-o", "-"]);
        let _ = finish(get, "").expect(0);
        assert!(std::fs::read(&given).unwrap() == whole, "the relay keeps what went to standard output");
    }
    let left = files_below(&bob.home).into_iter().filter(|(name, _)| name.contains("stdout") || name.contains(".part"));
    assert_eq!(left.count(), 0);

    let _ = alice.run(&["send", "#lobby", "-f", &path]).expect(2);
    let _ = alice.run(&["send", "bob", "-f", &at("missing")]).expect(6);
    let _ = alice.run(&["send", "bob", "-f", folder.path().to_str().unwrap()]).expect(1);
    let _ = alice.run(&["send", "nobody", "-f", &path]).expect(6);
    let _ = alice.run(&["send", "bob", "-f", "-"]).expect(2);
    let _ = bob.run(&["get", "ffff"]).expect(6);
}

/// A file goes through whoever holds the profile, from the folder in which the command was given; and where that process ends in the
/// middle, it goes on.
#[test]
fn a_file_goes_through_the_holder() {
    let pair = slow();
    let Pair { alice, bob, folder, .. } = &pair;
    let whole = bytes(4_000_000, 11);
    write(folder.path(), "through.bin", &whole);
    let mut daemon = Following::start(alice.command(&["daemon"]));
    daemon.lines.until(|line| line.starts_with('/'));
    let mut send = alice.command(&["--json", "send", "bob", "-f", "through.bin"]);
    send.current_dir(folder.path());
    let mut sending = Following::start(send);
    while sending.event("progress")["state"] != "moving" {}
    daemon.kill();
    assert_eq!(sending.event("end")["exit"], 0);
    let id = offered(bob);
    assert!(std::fs::read(fetched(bob, &[&id])).unwrap() == whole);
}

/// [FILE-7] a stranger's file is shown, and fetched only when its recipient asks; each part costs its sender work.
#[test]
fn a_strangers_file_waits_for_a_word() {
    let pair = Pair::new();
    let Pair { alice, bob, folder, .. } = &pair;
    let whole = bytes(150_000, 13);
    let path = write(folder.path(), "gift.bin", &whole);
    let _ = alice.run(&["send", "bob", "-f", &path]).expect(0);
    let id = until("it is shown as a stranger's", || {
        let outcome = bob.json(&["recv", "--timeout", "20s"]).expect(0);
        outcome.events("file").pop().filter(|file| file["request"] == true).map(|file| file["id"].clone())
    });
    assert!(std::fs::read(fetched(bob, &[id.as_str().unwrap()])).unwrap() == whole);
}

/// [FILE-13] A full disk: there is no file under the name, the reason is told, and once there is room the same command goes on.
#[test]
fn a_full_disk_saves_nothing_half() {
    if !Command::new("unshare").args(["-m", "true"]).output().is_ok_and(|output| output.status.success()) {
        return skip("full disk", "mount");
    }
    let pair = slow();
    let Pair { alice, bob, folder, .. } = &pair;
    let whole = bytes(6_000_000, 17);
    let path = write(folder.path(), "large.bin", &whole);
    let _ = alice.run(&["send", "bob", "-f", &path]).expect(0);
    let id = offered(bob);
    let downloads = bob.home.join("downloads");
    std::fs::create_dir(&downloads).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=4m tmpfs {0} && {{ \"$@\"; echo $? > {1}/first; ls {0} > {1}/listed; \
         mount -o remount,size=7m {0}; \"$@\" & while ! ls -s {0}/.sealpost-* 2>/dev/null | grep -q '^[0-9]\\{{4\\}}'; do :; done; \
         head -c 5000000 /dev/zero > {0}/filler; wait $!; echo $? > {1}/second; ls {0} > {1}/listed-2; \
         rm {0}/filler; \"$@\"; echo $? > {1}/third; cp {0}/large.bin {1}/saved; }}",
        downloads.display(),
        folder.path().display()
    );
    let mut under = Command::new("unshare");
    under.args(["-m", "sh", "-c", &script, "sh"]).arg(&sealpost_tests::processes::programs().client);
    under.arg("--home").arg(&bob.home).arg("--passphrase-file").arg(&bob.passphrase).args(["get", &id]);
    let outcome = finish(under, "");
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!([read("first"), read("second"), read("third")], ["1\n", "1\n", "0\n"], "{}", outcome.err);
    assert_eq!(outcome.err.matches("error: the disk is full").count(), 2, "{}", outcome.err);
    assert!(!read("listed").contains("large.bin") && !read("listed-2").contains("large.bin"));
    assert!(std::fs::read(folder.path().join("saved")).unwrap() == whole);
}
