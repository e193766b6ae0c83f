//! Clocks that are wrong.

use sealpost_client::api::{Event, Trust, Wait};

use crate::world::{DAY, HOUR, World};

/// Whoever's clock is hours or days off talks as others do: in order, with old acquaintances and new ones, also once keys
/// have been replaced. What is said of it is that it is so.
#[test]
fn a_wrong_clock_keeps_nobody_from_talking() {
    for (seed, ahead) in (170..).zip([-5, 5, -80, 80].map(|hours| hours * i64::try_from(HOUR).unwrap())) {
        let mut world = World::new(seed);
        world.alice().sends("bob", "before", Wait::Sent).unwrap();
        world.bob().sends("alice", "as ever", Wait::Delivered).unwrap();
        world.settle();
        let _ = (world.alice().heard(), world.bob().heard());
        world.alice().leaves();
        world.sets_clock("alice", ahead);
        world.alice().returns();
        world.settle();
        let told = world.alice().events();
        let told_of_clock =
            |event: &Event| matches!(event, Event::Connection { online: true, detail } if detail.contains("clock"));
        assert!(told.iter().any(told_of_clock), "{ahead}: {told:?}");

        for weeks in 0..3 {
            world.bob().leaves();
            for number in 0..4 {
                let _ = world.alice().says("bob", &format!("{weeks}.{number}"));
            }
            world.settle();
            world.bob().returns();
            world.settle();
            let wanted: Vec<String> = (0..4).map(|number| format!("{weeks}.{number}")).collect();
            assert_eq!(world.bob().heard(), wanted, "{ahead}");
            world.bob().sends("alice", "thank you", Wait::Delivered).unwrap();
            world.settle();
            assert_eq!(world.alice().heard(), ["thank you"], "{ahead}");
            world.pass(8 * DAY);
        }
        world.carol().sends("alice", "may I?", Wait::Sent).unwrap();
        world.settle();
        assert_eq!(world.alice().heard(), ["may I?"], "{ahead}");
        world.alice().sends("carol", "yes", Wait::Delivered).unwrap();
        for (who, other) in [("alice", "bob"), ("bob", "alice"), ("carol", "alice")] {
            assert_ne!(world.person(who).trust_in(other), Some(Trust::KeyChanged), "{ahead}");
            let told = world.person(who).events();
            let refused = |event: &&Event| matches!(event, Event::Refused { .. } | Event::Gap { .. });
            assert_eq!(told.iter().find(refused), None, "{ahead}: {who}");
        }
        assert_eq!((world.alice().queue(), world.bob().queue()), ((0, 0), (0, 0)), "{ahead}");
        assert_eq!(world.reused_keys(), Vec::<String>::new());
    }
}
