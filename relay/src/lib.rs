//! Sealpost's relay: a dumb, durable carrier of sealed boxes and a public notice board for rooms.
//!
//! [`Relay`] is the whole of it without a socket and without a clock: what a link says goes in with the time, answers
//! and pushes come out. `connection` drives one over TLS; a simulation drives it directly:
//!
//! ```
//! use sealpost_crypto::work;
//! use sealpost_relay::{Peer, Relay, Rules, store::Memory};
//! use sealpost_spec::relay::{ClientHello, LinkKind, Request};
//! # use rand::SeedableRng as _;
//! # async fn example(secret: sealpost_crypto::identity::RelaySecret, body: &[u8]) {
//! let rng = rand::rngs::StdRng::seed_from_u64(7);
//! let relay = Relay::new(Memory::new([7; 16]), secret, Rules::default(), rng).await.unwrap();
//!
//! let now = 1_790_000_000_000; // Unix time in milliseconds, an argument everywhere
//! let peer = Peer { address: [127, 0, 0, 1].into(), channel: [9; 32] }; // the exporter of the link's TLS
//! let hello = ClientHello { lowest: 1, highest: 1, kind: LinkKind::Authenticated };
//! let (reply, caller) = relay.hello(now, &hello, peer);   // `reply`: bytes of the RelayHello
//! let mut caller = caller.unwrap();                       // `None`: no version fits, the link is closed
//!
//! // an encoded `Request` as it stands in `ClientFrame::Request { body, .. }`, with its work where it has a price
//! let answer = relay.handle(now, &mut caller, None, body).await;
//!
//! // frames of `RelayFrame::Push`, ready to be written, until it returns none; then wait for the bell, or, in a
//! // simulation, ask again after each step
//! while let pushes @ [_, ..] = relay.pushes(now, &mut caller, 256 * 1024).await.unwrap().as_slice() {}
//! caller.bell().rung().await;
//! if let Some(reason) = caller.ended() {} // write `RelayFrame::Goodbye(reason)` and drop the caller
//! # }
//! ```
//!
//! With the [`store::Memory`] store every future is ready at its first poll: no runtime is needed
//! ([`store::memory::ready`] drives one). A crash is [`store::CrashPoint`]s in the store; a restart is a new [`Relay`]
//! over [`store::Memory::reopen`]; a lost disk is a new [`Relay`] with the same key over an empty store.
//!
//! The walk of a message through here: `connection` reads a frame, [`Relay::handle`] checks its work, `answer`
//! authorises it and writes to the [`store`], the store wakes the recipient's bell, [`Relay::pushes`] reads what is new.
#![deny(missing_docs)]

pub mod admin;
pub mod answer;
pub mod backup;
pub mod config;
pub mod connection;
pub mod course;
pub mod demo;
pub mod folder;
pub mod known;
pub mod listen;
pub mod metrics;
pub mod migrate;
pub mod quota;
pub mod shared;
pub mod store;

pub use answer::{Caller, Peer, Relay, Rules, Shard};
