//! What can happen in a world, by name, and how often it has: commands and events of the engine, requests, answers,
//! pushes and refusals of the relay, and the steps that sessions take.

use std::collections::BTreeMap;

use sealpost_client::api::{Command, Event};
use sealpost_spec::mailbox::Push;
use sealpost_spec::message::SessionMessage;
use sealpost_spec::relay::{Answer, Refusal, Request};

/// Every variant of a type by its name: one that is new does not compile until it stands here.
macro_rules! named {
    ($all:ident, $name:ident, $type:ident: $($variant:ident)+) => {
        pub(crate) const $all: &[&str] = &[$(stringify!($variant)),+];
        pub(crate) fn $name(one: &$type) -> &'static str {
            match one {
                $($type::$variant { .. } => stringify!($variant),)+
            }
        }
    };
}

named!(COMMANDS, command, Command:
    Register Me Add Send Recv History Subscribe Verify Trust Join Leave Rooms Who Topic Kick Ban Unban Whois Alias Nick Away
    Contacts Block Unblock Conversations Read Reply Edit Delete React Accept Refuse Mute Draft Expire Typing Settings Search
    SendFile Get Files Cancel Status Doctor Devices DeviceAdd DeviceRevoke DeviceLink Unregister BotAdd Bots BotRemove BotCheck
    Stop);

named!(EVENTS, event, Event:
    Message Queued State Gap Refused KeyChanged NewDevice Restored Me Conversation Contact Person About Typing Settings Safety Room
    Presence Status Progress Check Device DeviceRequest Relay Profile Listening Bot BotRemoved Notice Connection Taken Done
    Error End);

named!(REQUESTS, request, Request:
    Register Login Publish SetToken Acknowledge FetchBundle FetchDevices Deliver Post Follow Unfollow Rooms Members PutBlob
    FetchBlob DropBlob Room Unregister SetDevices);

named!(ANSWERS, answer, Answer:
    Done Registered LoggedIn Published Bundle Devices Accepted Posted Rooms Members Blob Stored Room);

named!(PUSHES, push, Push: Envelope Post Notice);

/// Refusals are added to without a new version, so that their type asks for a rest.
pub(crate) const REFUSALS: &[&str] = &[
    "Malformed",
    "Unsupported",
    "WrongLink",
    "BadSignature",
    "NameTaken",
    "RegistrationClosed",
    "InviteNeeded",
    "NoSuchName",
    "NoSuchMailbox",
    "MailboxFull",
    "WorkNeeded",
    "UnknownToken",
    "TooFast",
    "TooLarge",
    "QuotaReached",
    "NoSuchRoom",
    "NotMember",
    "PostOutOfOrder",
    "StaleDeviceList",
    "StaleKey",
    "Banned",
    "Kicked",
    "Replaced",
    "Stopping",
    "Internal",
    "TimedOut",
    "TooManyLinks",
    "NoSuchPost",
    "NoSuchBlob",
    "NotCreator",
    "BannedFromRoom",
];

pub(crate) fn refusal(one: &Refusal) -> &'static str {
    REFUSALS.get(one.number()).expect("every refusal stands in the list, at its number")
}

/// What went wrong.
pub(crate) const FAULTS: &[&str] = &[
    "link breaks",
    "push lost",
    "push doubled",
    "answer lost",
    "client dies",
    "relay dies",
    "store crashes",
    "store lost",
    "store restored",
    "store full",
    "disk full",
    "profile put back",
    "clock set",
    "cut off",
    "partition",
];

/// What people did of which each must come out right.
pub(crate) const SAID: &[&str] = &["message", "change", "post"];

/// What sessions do, as their messages show it.
pub(crate) const SESSIONS: &[&str] = &["begins", "is not confirmed yet", "begins a chain", "goes on in a chain"];

/// How often what has happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Walked(BTreeMap<(&'static str, &'static str), u64>);

impl Walked {
    /// It has happened.
    pub(crate) fn note(&mut self, sort: &'static str, name: &'static str) {
        *self.0.entry((sort, name)).or_default() += 1;
    }

    /// A session message has left.
    pub(crate) fn session(&mut self, message: &SessionMessage) {
        let SessionMessage { pqxdh, header, .. } = message;
        let first_chain = header.chain.ciphertext.is_none();
        let what = match (pqxdh.is_some(), first_chain, header.number) {
            (true, true, 0) => "begins",
            (true, ..) => "is not confirmed yet",
            (false, _, 0) => "begins a chain",
            (false, ..) => "goes on in a chain",
        };
        self.note("session", what);
    }

    /// Both together.
    pub(crate) fn add(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            *self.0.entry(*what).or_default() += count;
        }
    }

    /// How often.
    pub(crate) fn count(&self, sort: &'static str, name: &'static str) -> u64 {
        self.0.get(&(sort, name)).copied().unwrap_or_default()
    }
}
