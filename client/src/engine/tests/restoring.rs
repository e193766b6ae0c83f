//! A device out of a backup, in the place of the one before it.

use sealpost_crypto::identity::verify_devices;
use sealpost_spec::account::DeviceId;
use sealpost_spec::room::{PostHead, PostKind};

use super::*;

impl World {
    /// Somebody's account on another device, out of a backup that is made of it now.
    fn restore(&mut self, from: usize) -> usize {
        let mut file = Vec::new();
        let (home, now, who) = (self.people[from].dir.path().join("p"), self.now, self.people.len());
        let seed = 7_000 + who as u64;
        let written =
            crate::store::write_backup(&home, b"secret", Cost::FLOOR, &mut file, &mut dice(seed), now, &mut |_| ());
        written.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (to, mut from) = (dir.path().join("p"), &file[..]);
        let mut rng = dice(seed + 1);
        let profile = Profile::restore(&to, b"secret", Cost::FLOOR, &mut from, &mut rng, now, &mut |_| ()).unwrap();
        profile.without_sync();
        let engine = Engine::new(profile, Box::new(dice(seed + 2))).unwrap();
        self.people.push(Person {
            engine: Some(engine),
            dir,
            online: false,
            wants: false,
            seed,
            commands: 0,
            heard: Vec::new(),
            orders: Vec::new(),
        });
        let told = self.run(who, Command::Register { invite: None });
        assert_eq!(error_of(&told), None, "{told:?}");
        self.settle();
        who
    }

    fn number_of(&mut self, who: usize) -> u64 {
        verify_devices(&self.engine(who).own.list).unwrap().number
    }
}

/// [ACCT-21] a relay that shows an older list than the backup knows of does not get one whose number was there already: to
/// everybody who has seen it two lists of one number are a changed key.
#[test]
fn a_restored_list_is_newer_than_all_that_is_known() {
    let mut world = World::new(&["alice", "bob"]);
    let oldest = world.engine(0).own.list.clone();
    let second = world.restore(0);
    assert_eq!(world.number_of(second), 2);
    *world.relay.list_of("alice") = oldest;
    let third = world.restore(second);
    assert_eq!(world.number_of(third), 3);
    assert_eq!(world.engine(third).own.device.id, DeviceId(3));
}

/// [ACCT-10] the relay's word for the name comes back with a backup: to a relay that has lost its store it counts as early as it
/// was given.
#[test]
fn a_backup_has_the_name_receipt() {
    let mut world = World::new(&["alice", "bob"]);
    let receipt = world.engine(0).own.receipt.clone();
    world.pass(60_000);
    world.relay.lose_store(8);
    let next = world.restore(0);
    assert!(receipt.is_some() && world.engine(next).own.receipt == receipt);
}

/// The posts of a new device are a chain of their own, which begins with a join in every room that the account is in.
#[test]
fn a_restored_device_joins_its_rooms() {
    let mut world = World::new(&["alice", "bob"]);
    assert!(world.run(0, Command::Join { room: "#garden".into() }).contains(&Event::Done));
    assert!(world.run(0, Command::Leave { room: "#lobby".into() }).contains(&Event::Done));
    let before = world.relay.posts("lobby");
    let next = world.restore(0);
    world.pass(3_000);
    let head = PostHead::parse(&world.relay.last_post("garden").head.body.0).unwrap();
    assert_eq!((head.kind, head.device.id, head.number), (PostKind::Join, DeviceId(2), 1));
    assert_eq!(world.relay.posts("lobby"), before, "it was left");
    assert_eq!(error_of(&world.send(next, "#garden", "here again")), None);
    world.pass(3_000);
    let head = PostHead::parse(&world.relay.last_post("garden").head.body.0).unwrap();
    assert_eq!((head.kind, head.number), (PostKind::Text, 2));
}
