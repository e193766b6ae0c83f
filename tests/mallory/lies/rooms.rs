//! Lies about rooms.

use sealpost_crypto::identity::{RelaySecret, body_hash};
use sealpost_spec::account::{AccountKey, Name};
use sealpost_spec::mailbox::Push;
use sealpost_spec::relay::{Answer, Request};
use sealpost_spec::room::{Person, Post, PostHash, PostHead, PostId, PostKind, RoomName, RoomReceipt};
use sealpost_spec::wire::Bytes;

use crate::mallory::Mallory;
use crate::mallory::puppet::Puppet;

/// Bends each post that is pushed; `None` withholds it.
fn bends_posts(mut bend: impl FnMut(RoomName, Post) -> Option<(RoomName, Post)> + Send + 'static) -> Mallory {
    Mallory {
        push: Some(Box::new(move |_, push| match push {
            Push::Post { room, seq, post } => {
                bend(room, post).map(|(room, post)| Push::Post { room, seq, post }).into_iter().collect()
            }
            push => vec![push],
        })),
        ..Mallory::default()
    }
}

/// Puts other words into posts that say these.
pub fn alters_posts(said: String, into: String) -> Mallory {
    bends_posts(move |room, mut post| {
        if post.body.as_ref().is_some_and(|body| body.0 == said.as_bytes()) {
            post.body = Some(Bytes(into.clone().into_bytes()));
        }
        Some((room, post))
    })
}

/// Shows posts in another room than they were written for.
pub fn moves_posts(to: RoomName) -> Mallory {
    bends_posts(move |_, post| Some((to.clone(), post)))
}

/// Keeps posts with these words back.
pub fn withholds_posts(said: String) -> Mallory {
    bends_posts(move |room, post| {
        let keeps = post.body.as_ref().is_some_and(|body| body.0 == said.as_bytes());
        (!keeps).then_some((room, post))
    })
}

/// Shows of a room only what is said from now on. `now`: Unix milliseconds.
pub fn truncates_history(now: u64) -> Mallory {
    bends_posts(move |room, post| {
        let time = PostHead::parse(&post.head.body.0).map_or(0, |head| head.time);
        (time >= now).then_some((room, post))
    })
}

/// Names another creator of every room, in a receipt that the relay's own key signs.
pub fn names_another_creator(secret: RelaySecret, name: Name, account: AccountKey) -> Mallory {
    Mallory {
        answer: Some(Box::new(move |_, request, answer| match request {
            Request::Room { room, .. } => {
                let lie = RoomReceipt { room: room.clone(), name: name.clone(), account, time: 1 };
                Ok(Answer::Room { receipt: Some(secret.sign_room(&lie)) })
            }
            _ => answer,
        })),
        ..Mallory::default()
    }
}

/// A post in a puppet's name, signed by its device: where the name is somebody's, a forged one.
pub fn forged_post(puppet: &Puppet, relay: [u8; 32], room: RoomName, words: &str, now: u64) -> Post {
    let body = words.as_bytes().to_vec();
    signed(puppet, relay, room, (PostKind::Text, PostHash::default()), body, now)
}

/// A decision about somebody in a puppet's name. `key`: the account whom it means.
pub fn forged_decision(
    puppet: &Puppet,
    relay: [u8; 32],
    room: RoomName,
    kind: PostKind,
    whom: (&Name, AccountKey),
    now: u64,
) -> Post {
    let body = Person { name: whom.0.clone(), reason: "go away".to_owned() }.layout();
    signed(puppet, relay, room, (kind, PostHash(whom.1.0)), body, now)
}

fn signed(
    puppet: &Puppet,
    relay: [u8; 32],
    room: RoomName,
    (kind, target_hash): (PostKind, PostHash),
    body: Vec<u8>,
    now: u64,
) -> Post {
    let head = PostHead {
        relay,
        room,
        author: puppet.name.clone(),
        account: puppet.account.key(),
        device: puppet.public(),
        number: 1,
        previous: PostHash::default(),
        time: now,
        id: PostId::new(now, [kind as u8; 10]),
        kind,
        target: PostId::NONE,
        target_hash,
        body_hash: body_hash(&body),
    };
    Post { head: puppet.device.sign_post(&head), author: puppet.list(), body: Some(Bytes(body)) }
}
