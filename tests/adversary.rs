//! Mallory, a relay that lies, and strangers. One test at least for each *cannot* of `spec/threats.md`; those that need
//! real sockets, terminals or files are in `live`.

mod keys;
mod messages;
mod moderation;
mod rooms;
mod secrets;

use sealpost_client::api::{Event, Message};
use sealpost_spec::mailbox::MailboxId;
use sealpost_spec::relay::Request;
use sealpost_spec::wire::decode;

use crate::world::World;

/// A world in which Alice and Bob have already talked.
fn acquainted(seed: u64) -> World {
    let mut world = World::new(seed);
    let _ = world.alice().says("bob", "hello bob");
    let _ = world.bob().says("alice", "hello alice");
    world.settle();
    let _ = (world.alice().heard(), world.bob().heard());
    world
}

/// Envelopes that were given to the relay for this mailbox.
fn delivered_to(world: &World, mailbox: MailboxId) -> usize {
    let for_it =
        |bytes: &[u8]| matches!(decode(bytes), Ok(Request::Deliver { envelope, .. }) if envelope.mailbox == mailbox);
    world.record.of("request").filter(|bytes| for_it(bytes)).count()
}

/// Messages among events.
fn messages(events: &[Event]) -> Vec<&Message> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Message(message) => Some(message),
            _ => None,
        })
        .collect()
}

/// Refusals that somebody was told of.
fn refusals(world: &mut World, person: &str) -> Vec<String> {
    let events = world.person(person).events();
    events
        .into_iter()
        .filter_map(|event| match event {
            Event::Refused { reason, .. } => Some(reason),
            _ => None,
        })
        .collect()
}
