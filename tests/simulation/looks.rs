//! What people do beside talking to those who keep count: they look around, and have to do with Zoe.

use rand::RngExt;
use sealpost_client::api::{Command, Wait};

use super::{PEOPLE, Walk};
use crate::world::{HOUR, MINUTE, SECOND};

/// Somebody whom people add, block, refuse and forget: what she says and hears is not counted, but shown at most once.
pub(super) const ZOE: &str = "zoe";

impl Walk {
    /// Looks around, and does what changes nothing of what was said.
    pub(super) fn looks_around(&mut self, who: &'static str, other: &'static str) {
        let first = self.dice(24);
        for number in first..first + 6 {
            if self.world.person(who).is_here() {
                self.looks(number % 24, who, other);
            }
        }
    }

    fn looks(&mut self, number: usize, who: &'static str, other: &'static str) {
        let (name, with, room) = (other.to_owned(), other.to_owned(), "#lobby".to_owned());
        let command = match number {
            0 => Command::Me,
            1 => Command::Verify { name: Some(name), mark: None },
            2 => Command::Rooms,
            3 => Command::Who { room: Some(room) },
            4 => Command::Whois { name },
            5 => Command::Alias { name, label: "a label".to_owned() },
            6 => Command::Nick { display: "Somebody".to_owned() },
            7 => Command::Away { why: "asleep".to_owned() },
            8 => Command::Contacts,
            9 => Command::Conversations,
            10 => Command::Read { with, through: None },
            11 => Command::Accept { name },
            12 => Command::Mute { with, on: true },
            13 => Command::Draft { with, text: "not yet".to_owned() },
            14 => Command::Typing { to: name, on: true },
            15 => Command::Settings { read_receipts: Some(true), typing: Some(true) },
            16 => Command::Search { words: "planted".to_owned(), with: None, limit: Some(5) },
            17 => Command::Devices,
            18 => Command::Doctor,
            19 => Command::Files,
            20 => Command::Bots,
            21 => Command::Recv { from: None, limit: None, follow: false, timeout_ms: 1_000 },
            22 => Command::Topic { room, text: None },
            _ => Command::Join { room },
        };
        self.world.person(who).tries(command);
    }

    /// Something to do with Zoe.
    pub(super) fn meets_zoe(&mut self, who: &'static str) {
        if !self.world.person(who).is_here() {
            return;
        }
        let (name, with, link) = (ZOE.to_owned(), format!("@{ZOE}"), self.links[ZOE].clone());
        let command = match self.dice(10) {
            0 => Command::Block { name },
            1 => Command::Unblock { name },
            2 => Command::Refuse { name },
            3 => Command::Add { link },
            4 => Command::Expire { with, seconds: [None, Some(30), Some(3_600)][self.dice(3)] },
            5 | 6 => return self.zoe_says(who),
            _ => {
                self.world.person(who).tries_to_say(ZOE, "hello zoe");
                return;
            }
        };
        self.world.person(who).tries(command);
    }

    fn zoe_says(&mut self, to: &'static str) {
        if !self.world.person(ZOE).is_here() {
            return self.world.person(ZOE).returns();
        }
        self.world.person(ZOE).tries_to_say(to, "hello from zoe");
        if self.dice(6) == 0 && self.world.person(ZOE).is_here() {
            self.world.person(ZOE).leaves();
        }
    }

    /// Zoe comes back, nobody blocks her, and they have all written to each other, so that nobody is left a stranger.
    pub(super) fn makes_up_with_zoe(&mut self) {
        if !self.world.person(ZOE).is_here() {
            self.world.person(ZOE).returns();
        }
        for who in PEOPLE {
            self.world.person(who).tries(Command::Unblock { name: ZOE.to_owned() });
            self.world.person(who).tries_to_say(ZOE, "no hard feelings");
            self.world.person(ZOE).tries_to_say(who, "none");
        }
    }

    /// Adds somebody by the link that they show, as one does who meets them.
    pub(super) fn adds(&mut self, who: &'static str, other: &'static str) {
        let link = self.links[other].clone();
        if self.world.person(who).is_here() {
            self.world.person(who).tries(Command::Add { link });
        }
    }

    /// Answers the last thing that somebody said to them.
    pub(super) fn replies(&mut self, who: &'static str, other: &'static str) {
        if !self.world.person(who).is_here() {
            return;
        }
        let from = format!("@{other}");
        let said = self.world.person(who).shown();
        let Some(last) = said.into_iter().rfind(|message| message.from == from && message.conversation == from) else {
            return;
        };
        let text = self.marker(who, other);
        let reply = Command::Reply { id: last.id, text: text.clone(), wait: Wait::Queued, timeout_ms: 60_000 };
        let queued = self.world.person(who).tries(reply);
        self.has_said(who, other, text, queued);
    }

    /// A program gets a token, shows it, and loses it.
    pub(super) fn has_a_bot(&mut self, who: &'static str) {
        let name = "dice".to_owned();
        let command = match self.dice(3) {
            0 => Command::BotAdd { name, conversations: vec!["#lobby".to_owned()], read_only: self.dice(2) == 0 },
            1 => Command::BotRemove { name },
            _ => Command::BotCheck { token: "0".repeat(64) },
        };
        if self.world.person(who).is_here() {
            self.world.person(who).tries(command);
        }
    }

    /// Up to three hours pass, mostly seconds.
    pub(super) fn pauses(&mut self) {
        let pause = match self.dice(10) {
            0..=5 => self.world.dice.random_range(0..2 * SECOND),
            6..=8 => self.world.dice.random_range(0..MINUTE),
            _ => self.world.dice.random_range(0..3 * HOUR),
        };
        self.world.pass(pause);
    }
}
