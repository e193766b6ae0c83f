//! Sealpost's client: one engine, several faces.
pub mod api;
pub mod engine;
pub mod face;
pub mod holder;
pub mod link;
pub mod store;
pub mod transfer;
