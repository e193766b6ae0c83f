use super::*;

/// [MSG-31] [ACCT-9] what nobody confirmed is sent again at once, and posts are offered again.
#[test]
fn a_relay_without_its_store_is_filled_again() {
    let mut world = World::new(&["alice", "bob"]);
    world.send(1, "alice", "hi");
    world.send(0, "#lobby", "to all");
    world.pass(5_000);
    world.go_offline(1);
    world.send(0, "bob", "one");
    world.send(0, "bob", "two");
    world.pass(5_000);
    assert_eq!(world.history(0, "bob").last().map(|message| message.state), Some(State::Sent));
    world.go_offline(0);
    world.relay.lose_store(8);
    world.come_back(0);
    world.come_back(1);
    world.pass(400_000);
    assert_eq!(texts(&world.history(1, "alice")), ["hi", "one", "two"]);
    assert_eq!(world.history(0, "bob").last().map(|message| message.state), Some(State::Delivered));
    assert_eq!(world.relay.posts("lobby"), 3, "both joined, and a text");
    let posts = world.history(1, "#lobby");
    assert_eq!(posts.iter().filter(|post| post.text.as_raw() == "to all").count(), 1);
}

#[test]
fn a_crash_at_any_commit_loses_and_doubles_nothing() {
    for crash in 0..12 {
        for point in [CrashPoint::BeforeCommit, CrashPoint::AfterCommit] {
            let mut world = World::new(&["alice", "bob"]);
            world.send(0, "bob", "first");
            world.send(1, "alice", "yes");
            world.pass(5_000);
            let victim: usize = crash % 2;
            let mut left = i64::from(crash as u32 / 2);
            world.engine(victim).profile.set_faults(Box::new(move |at| {
                if at != point {
                    return false;
                }
                left -= 1;
                left < 0
            }));
            for i in 0..4 {
                world.send(0, "bob", &format!("a{i}"));
                world.send(1, "alice", &format!("b{i}"));
                world.pass(2_000);
            }
            assert!(world.engine(victim).poisoned().is_some());
            world.restart(victim);
            world.give(victim, Command::Subscribe);
            world.pass(26 * 3_600 * 1_000);
            let (left, right) = (world.history(0, "bob"), world.history(1, "alice"));
            let sorted = |messages: &[Message]| {
                let mut ids: Vec<_> = messages.iter().map(|m| (m.id.clone(), m.text.clone())).collect();
                ids.sort();
                ids
            };
            assert_eq!(sorted(&left), sorted(&right), "crash {crash} {point:?}");
            assert!(
                left.iter().all(|m| matches!(m.state, State::Delivered | State::Received)),
                "crash {crash} {point:?}"
            );
        }
    }
}

/// [ACCT-12]
#[test]
fn a_copied_profile_starts_new_sessions() {
    let mut world = World::new(&["alice", "bob"]);
    world.send(0, "bob", "one");
    world.send(1, "alice", "two");
    world.pass(5_000);
    let (home, copy) = (world.people[0].dir.path().join("p"), world.people[0].dir.path().join("copy"));
    world.people[0].engine = None;
    let copy_all = |from: &std::path::Path, to: &std::path::Path| {
        let _ = std::fs::remove_dir_all(to);
        assert!(std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
    };
    copy_all(&home, &copy);
    world.restart(0);
    world.give(0, Command::Subscribe);
    for i in 0..3 {
        world.send(0, "bob", &format!("original {i}"));
    }
    world.pass(5_000);
    world.people[0].engine = None;
    copy_all(&copy, &home);
    world.restart(0);
    world.give(0, Command::Subscribe);
    world.settle();
    world.send(0, "bob", "from the copy");
    world.send(1, "alice", "to the copy");
    world.pass(20_000);
    let history = world.history(1, "alice");
    assert!(texts(&history).contains(&"from the copy"), "{:?}", texts(&history));
    assert_eq!(world.gaps(1), 0);
    assert!(texts(&world.history(0, "bob")).contains(&"to the copy"));
    assert_eq!(world.history(0, "bob").iter().filter(|m| m.state == State::Sent).count(), 0);
}

/// What a message that is waited for still lacks is said as it is: that the relay has not taken it, or that nobody has
/// confirmed it.
#[test]
fn what_a_message_waits_for_is_said() {
    let mut world = World::new(&["alice", "bob"]);
    world.relay.insatiable = true;
    world.go_offline(1);
    for (to, wait, lacks) in
        [("#lobby", Wait::Sent, "the relay has not taken it yet"), ("bob", Wait::Delivered, "nobody has confirmed it")]
    {
        let say = Command::Send { to: to.into(), text: "hello".into(), wait, timeout_ms: 10_000, expire: None };
        let id = world.give(0, say);
        world.pass(11_000);
        let told = world.of(0, id);
        let cause =
            told.iter().find_map(|event| if let Event::Error(error) = event { error.cause.clone() } else { None });
        assert_eq!(cause.as_deref(), Some(lacks), "{to}: {told:?}");
    }
}
