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

/// Completions for each shell, and a manual page for each command, name the commands that there are.
#[test]
fn completions_and_manual_name_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, out, _) = said(&relay(&["completions", shell]).output().unwrap());
        assert!(code == 0 && out.contains("serve") && out.contains("sealpost-relay"), "{shell}");
    }
    let (code, out, _) = said(&relay(&["man"]).output().unwrap());
    assert!(code == 0 && out.starts_with(".ie") && out.contains("serve"), "{out}");
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(said(&relay(&["man", folder.path().to_str().unwrap()]).output().unwrap()).0, 0);
    let page = |name: &str| folder.path().join(format!("sealpost-relay{name}.1"));
    for name in ["", "-serve", "-address", "-init", "-check"] {
        assert!(page(name).is_file(), "{name}");
    }
    let (code, _, err) = said(&relay(&["man", "/nowhere"]).output().unwrap());
    assert!(code == 3 && err.contains("try: "), "{err}");
    assert!(!Path::new("/nowhere").exists());
}
