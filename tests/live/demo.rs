//! README's first command, from where it has built the programs: `serve --demo`, and what two people paste.

use std::process::Command;

use rustix::process::Signal;
use sealpost_tests::processes::{Following, programs, signal};

use super::terminal::Terminal;

/// The commands that `serve --demo` prints work unedited, each in a shell of its own, and two people talk.
#[test]
fn pasted_commands_work_unedited() {
    let mut serve = Command::new(&programs().relay);
    serve.args(["serve", "--demo", "--listen", "127.0.0.1:0"]);
    let mut relay = Following::start(serve);
    let address = relay.lines.next_line().unwrap();
    assert!(address.starts_with("sealpost://"), "{address}");
    let mut blocks: Vec<String> = Vec::new();
    let mut block = String::new();
    // A block to paste begins with a path and goes on while its lines end with a backslash.
    while blocks.len() < 2 {
        let line = relay.lines.next_line().unwrap();
        if !block.is_empty() || line.starts_with(['/', '\'']) {
            block.push_str(&line);
            block.push('\n');
            if !line.ends_with('\\') {
                blocks.push(std::mem::take(&mut block));
            }
        }
    }
    let folder = blocks[0].split(" --home ").nth(1).unwrap().rsplit_once("/alice").unwrap().0;
    let folder = folder.split("/alice").next().unwrap().to_owned();
    assert!(std::path::Path::new(&folder).is_dir(), "{folder}");
    let shells: Vec<Terminal> =
        blocks.iter().map(|block| Terminal::of("sh", ["-c", block.as_str()].into_iter())).collect();
    let [alice, bob] = shells.as_slice() else { panic!("two people") };
    alice.shows("#lobby");
    bob.shows("#lobby");
    alice.types("/dm bob hello bob, it works\r");
    bob.shows("hello bob, it works");
    bob.types("/dm alice so it does\r");
    alice.shows("so it does");
    for shell in [alice, bob] {
        shell.types("/quit\r");
    }
    for mut shell in shells {
        assert_eq!(shell.ends(), 0);
    }
    signal(relay.pid(), Signal::INT);
    while relay.lines.next_line().is_some() {}
    sealpost_tests::processes::until("the demo removes what it wrote", || {
        (!std::path::Path::new(&folder).exists()).then_some(())
    });
}
