//! What faces and programs say to the engine, and what they hear: this folder is the JSON schema.
//!
//! A [`Command`] with a number goes in; [`Event`]s come out, those that answer a command with its number, the last one
//! of them being [`Event::End`]. The same lines travel over the profile's socket, one JSON object a line. Fields are
//! only ever added.

mod command;
mod error;
mod event;
mod file;
mod message;
mod shown;
mod text;

pub use command::{Command, Wait};
pub use error::{Error, ErrorCode};
pub use event::{Bot, Event, Found};
pub(crate) use file::bytes_in_words;
pub use file::{Transfer, Way};
pub use message::{Kind, Message, Reaction, State, Trust};
pub use shown::Shown;
pub(crate) use shown::is_obeyed;
pub use text::Text;
pub(crate) use text::in_words;

/// Version of the JSON below.
pub const VERSION: u32 = 1;
