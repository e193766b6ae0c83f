//! What somebody types who sets a relay up, before it runs.

use std::path::Path;
use std::process::{Command, Output};

use sealpost_tests::processes::programs;

fn relay(arguments: &[&str]) -> Command {
    let mut command = Command::new(&programs().relay);
    command.args(arguments);
    command
}

fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// `init` writes a file that `check` and `serve` take, once; `check` says of each value where it comes from, and an
/// unknown key is an error with a suggestion.
#[test]
fn a_configuration_is_written_checked_and_explained() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("relay.toml");
    let path = file.to_str().unwrap();
    let (code, out, _) = said(&relay(&["init", path]).output().unwrap());
    assert!(code == 0 && out.contains(&format!("sealpost-relay check --config {path}")), "{out}");
    let (code, _, err) = said(&relay(&["init", path]).output().unwrap());
    assert!(code == 3 && err.contains("try: sealpost-relay init -"), "{err}");
    assert_eq!(said(&relay(&["init", "-"]).output().unwrap()).1, std::fs::read_to_string(&file).unwrap());

    let written = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, written.replace("#register = \"open\"", "register = \"closed\"")).unwrap();
    let mut check = relay(&["check", "--config", path, "--listen", "127.0.0.1:9"]);
    let (code, out, _) = said(&check.env("SEALPOST_RELAY_WORK__FETCH", "20").output().unwrap());
    assert_eq!(code, 0);
    for (value, origin) in [
        ("listen = \"127.0.0.1:9\" ", "# command line"),
        ("register = \"closed\" ", &format!("# {path}")),
        ("work.fetch = 20 ", "# SEALPOST_RELAY_WORK__FETCH"),
        ("work.deliver = 18 ", "# default"),
    ] {
        assert!(out.lines().any(|line| line.starts_with(value) && line.ends_with(origin)), "{value}{origin}: {out}");
    }
    let (code, out, _) = said(&relay(&["check", "--json", "--config", path]).output().unwrap());
    let closed = r#"{"key":"register","origin":"#;
    assert!(code == 0 && out.lines().any(|line| line.starts_with(closed)), "{out}");

    std::fs::write(&file, "[links]\nhandshake = 7\n").unwrap();
    let (code, _, err) = said(&relay(&["check", "--config", path]).output().unwrap());
    assert!(code == 2 && err.contains("did you mean handshakes?") && err.contains(path), "{err}");
}

/// Completions for each shell, and a manual page for each command, name the commands that there are, in both programs.
#[test]
fn completions_and_manual_name_every_command() {
    let programs = programs();
    for (program, name, commands) in [
        (
            &programs.relay,
            "sealpost-relay",
            &["serve", "admin", "drain", "backup", "restore", "what-i-know", "address", "init", "check"][..],
        ),
        (&programs.client, "sealpost", &["send", "recv", "verify", "chat"]),
    ] {
        let run = |arguments: &[&str]| said(&Command::new(program).args(arguments).output().unwrap());
        let names = |text: &str| commands.iter().all(|command| text.replace(r"\-", "-").contains(command));
        for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
            let (code, out, _) = run(&["completions", shell]);
            assert!(code == 0 && names(&out) && out.contains(name), "{name} {shell}");
        }
        let (code, out, _) = run(&["man"]);
        assert!(code == 0 && out.starts_with(".ie") && names(&out), "{out}");
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(run(&["man", folder.path().to_str().unwrap()]).0, 0);
        for page in commands.iter().map(|command| format!("{name}-{command}.1")).chain([format!("{name}.1")]) {
            assert!(folder.path().join(&page).is_file(), "{page}");
        }
        let (code, _, err) = run(&["man", "/nowhere"]);
        assert!([1, 3].contains(&code) && err.contains("try: "), "{err}");
    }
    assert!(!Path::new("/nowhere").exists());
}

/// The unit for systemd leaves the relay as little of the machine as it needs, by systemd's own count: at most 2.0 of 10.
#[test]
fn the_unit_is_hardened() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("relay/dist/sealpost-relay.service");
    let mut analyze = Command::new("systemd-analyze");
    analyze.args(["security", "--offline=true", "--no-pager", "--threshold=20"]).arg(&unit);
    let Ok(output) = analyze.output() else { return sealpost_tests::skip("unit", "systemd-analyze") };
    let (code, out, err) = said(&output);
    assert!(code == 0 && out.contains("Overall exposure level"), "{out}{err}");
}
