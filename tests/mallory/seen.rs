//! What went through Mallory's hands: she keeps it, to say it again to somebody else, at another time.

use std::collections::{BTreeMap, VecDeque};

use sealpost_spec::account::Name;
use sealpost_spec::mailbox::{Envelope, Push, Seq};
use sealpost_spec::relay::Request;
use sealpost_spec::room::{Post, PostHead, PostKind};
use sealpost_spec::wire::Signed;

/// Envelopes and posts that are remembered, of each sort: the oldest are forgotten first.
const REMEMBERED: usize = 10_000;

/// What went through her hands.
#[derive(Default)]
pub struct Seen {
    envelopes: VecDeque<Envelope>,
    posts: VecDeque<Post>,
    last_resorts: BTreeMap<Name, Signed>,
}

impl Seen {
    /// Somebody asks something.
    pub fn request(&mut self, who: &str, request: &Request) {
        match request {
            Request::Deliver { envelope, .. } => keep(&mut self.envelopes, envelope.clone()),
            Request::Post(post) => keep(&mut self.posts, post.clone()),
            Request::Register(registration) => {
                if let Some(key) = &registration.keys.last_resort_kem {
                    self.last_resorts.insert(registration.login.name.clone(), key.clone());
                }
            }
            Request::Publish(keys) => {
                if let (Some(key), Ok(name)) = (&keys.last_resort_kem, who.parse()) {
                    self.last_resorts.insert(name, key.clone());
                }
            }
            _ => {}
        }
    }

    /// Every envelope, as a push to whomever she likes.
    pub fn envelopes(&self) -> Vec<Push> {
        let push = |(at, envelope): (u64, &Envelope)| Push::Envelope {
            seq: Seq(1_000_000 + at),
            id: envelope.id,
            sealed: envelope.sealed.clone(),
        };
        (0..).zip(&self.envelopes).map(push).collect()
    }

    /// The newest post of this kind.
    pub fn post(&self, kind: PostKind) -> Option<&Post> {
        self.posts.iter().rev().find(|post| PostHead::parse(&post.head.body.0).is_ok_and(|head| head.kind == kind))
    }

    /// Somebody's last-resort key, as they published it.
    pub fn last_resort(&self, name: &Name) -> Option<&Signed> {
        self.last_resorts.get(name)
    }
}

fn keep<T>(kept: &mut VecDeque<T>, new: T) {
    if kept.len() == REMEMBERED {
        kept.pop_front();
    }
    kept.push_back(new);
}
