#![doc = include_str!("../README.md")]
#![deny(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

pub mod account;
pub mod attachment;
pub mod group;
pub mod label;
pub mod mailbox;
pub mod message;
pub mod relay;
pub mod room;
pub mod transparency;
pub mod wire;

#[doc = include_str!("../threats.md")]
pub mod threats {}

#[doc = include_str!("../analyses.md")]
pub mod analyses {}

#[doc = include_str!("../CHANGES.md")]
pub mod changes {}
