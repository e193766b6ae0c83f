//! What the relay costs, beside a bare server that does no more than it must, and beside what people would take instead.
//!
//! One [`engine`] on one thread drives all of them, each over its [`codec`]; the CPU time that counts is that of the
//! server's process. `README.md` tells what is measured, and how.
pub mod bare;
pub mod clock;
pub mod codec;
pub mod engine;
pub mod gate;
pub mod host;
pub mod neighbours;
pub mod peers;
pub mod picture;
pub mod play;
pub mod row;
pub mod rows;
pub mod sealpost;
pub mod table;
pub mod tls;
