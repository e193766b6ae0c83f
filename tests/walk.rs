//! The walk of a direct message, from the face that takes it to the face that shows it: one test, fourteen steps.

use sealpost_client::api::{Event, State, Wait};
use sealpost_spec::mailbox::Push;
use sealpost_spec::message::BOX_SIZES;
use sealpost_spec::relay::{Answer, Request};
use sealpost_spec::wire::{LENGTH_PREFIX, RelayFrame, decode};

use crate::world::World;

/// What the relay was asked, in order.
fn requests(world: &World) -> Vec<Request> {
    world.record.of("request").filter_map(|bytes| decode(bytes).ok()).collect()
}

/// What the relay answered, in order.
fn answers(world: &World) -> Vec<Answer> {
    let answer = |bytes| match decode(bytes) {
        Ok(RelayFrame::Answer { answer: Ok(answer), .. }) => Some(answer),
        _ => None,
    };
    world.record.of("answer").filter_map(answer).collect()
}

/// What the relay pushed, in order.
fn pushes(world: &World) -> Vec<Push> {
    let push = |bytes: &[u8]| match decode(bytes.get(LENGTH_PREFIX..)?) {
        Ok(RelayFrame::Push(push)) => Some(push),
        _ => None,
    };
    world.record.of("push").filter_map(push).collect()
}

/// Alice writes to Bob for the first time.
#[test]
fn a_direct_message_walks_from_alice_to_bob() {
    let mut world = World::new(14);
    let asked_before = requests(&world).len();
    let answered_before = answers(&world).len();

    //  1 client/face: "/dm bob hello" becomes a command.
    let text = "hello from the other side of the hill";
    //  5 client/store: the commit makes it visible as queued, before anything has left.
    let id = world.alice().says("bob", text);
    assert_eq!(world.alice().state_of("bob", &id), State::Queued);
    world.settle();

    //  2 client/engine/send: no session yet, so a bundle is asked for first, on an anonymous link.
    let asked = requests(&world).split_off(asked_before);
    let fetch =
        asked.iter().position(|request| matches!(request, Request::FetchBundle(name) if name.as_str() == "bob"));
    let deliver = asked.iter().position(|request| matches!(request, Request::Deliver { .. }));
    assert!(fetch.expect("a bundle is fetched") < deliver.expect("an envelope is delivered"));

    //  3 crypto/session and 4 crypto/sealed: what leaves is a padded box that shows neither text nor sender.
    //  6 client/link and 7 relay/connection: frame, request.
    let Request::Deliver { token, envelope } = &asked[deliver.unwrap()] else { unreachable!("it is one") };
    assert_eq!(*token, None, "nobody has given alice bob's token yet: she has worked for it");
    assert_eq!(envelope.sealed.0.len(), BOX_SIZES[0]);
    assert_eq!(world.record.traces_of(&[text.to_owned()]), Vec::<String>::new());

    //  8 relay/answer and 9 relay/store: accepted, with its place in the mailbox.
    let answered = answers(&world).split_off(answered_before);
    let accepted = answered.iter().find_map(|answer| match answer {
        Answer::Accepted { seq } => Some(*seq),
        _ => None,
    });
    let accepted = accepted.expect("the envelope is accepted");

    // 10 relay/connection: pushed to Bob, the very box; 11 client/link: heard by his engine.
    let pushed = pushes(&world).into_iter().any(|push| {
        matches!(push, Push::Envelope { seq, id, sealed }
            if seq == accepted && id == envelope.id && sealed == envelope.sealed)
    });
    assert!(pushed, "the box is pushed as it came");

    // 12 client/engine/receive: opened, certificate checked, decrypted, trust decided.
    // 13 client/store: one commit with the message, and the acknowledgement that lets the relay forget the box.
    let acknowledged = asked
        .iter()
        .any(|request| matches!(request, Request::Acknowledge(pairs) if pairs.contains(&(accepted, envelope.id))));
    assert!(acknowledged, "bob acknowledges what he has stored");

    // 14 client/face: shown, under the same id on both sides.
    assert_eq!(world.bob().heard(), [text]);
    let shown = world.bob().shown().pop().unwrap();
    assert_eq!(
        (shown.id.as_str(), shown.from.as_str(), shown.conversation.as_str()),
        (id.as_str(), "@alice", "@alice")
    );

    // Alice is a stranger to Bob until he answers: only then does she learn that he has it.
    assert_eq!(world.alice().state_of("bob", &id), State::Sent);
    world.bob().sends("alice", "and hello to you", Wait::Sent).unwrap();
    world.settle();
    assert_eq!(world.alice().state_of("bob", &id), State::Delivered);
    assert_eq!(world.alice().heard(), ["and hello to you"]);
    let delivered = |event: &Event| matches!(event, Event::State { id: of, state: State::Delivered, .. } if *of == id);
    assert!(world.alice().events().iter().any(delivered));
}

/// Steps 8 and 9 the other way round would lose it: what was accepted is there after the relay's death.
#[test]
fn accepted_means_durable() {
    let mut world = World::new(15);
    world.bob().leaves();
    world.alice().sends("bob", "into the dark", Wait::Sent).unwrap();
    world.kill_relay();
    world.start_relay();
    world.bob().returns();
    world.settle();
    assert_eq!(world.bob().heard(), ["into the dark"]);
}

/// Step 5 the other way round would lose it: what is queued is sent by the next life of the client.
#[test]
fn queued_means_stored() {
    let mut world = World::new(16);
    let _ = world.alice().says("bob", "my last words");
    world.alice().leaves();
    world.alice().returns();
    world.settle();
    assert_eq!(world.bob().heard(), ["my last words"]);
}
