//! Alice has made the garden and decides in it, whatever goes wrong; the others come, go, and are put out.

use sealpost_client::api::{Command, Event, State};

use super::{PEOPLE, Walk};

/// What Alice said the garden is about, and whether that surely was queued.
#[derive(Default)]
pub(super) struct Decisions {
    topics: Vec<(String, bool)>,
}

fn garden() -> String {
    "#garden".to_owned()
}

impl Walk {
    /// Alice sets a topic, puts somebody out, or lets them in again.
    pub(super) fn decides(&mut self) {
        if !self.world.alice().is_here() {
            return;
        }
        let (room, name) = (garden(), ["bob", "carol"][self.dice(2)].to_owned());
        let reason = Some("a planted reason".to_owned());
        let command = match self.dice(5) {
            0 => Command::Kick { room, name, reason },
            1 => Command::Ban { room, name, reason },
            2 => Command::Unban { room, name, reason },
            _ => {
                let text = format!("topic {}", self.decisions.topics.len());
                let command = Command::Topic { room, text: Some(text.clone()) };
                let queued = self.world.alice().tries(command);
                return self.decisions.topics.push((text, queued));
            }
        };
        self.world.alice().tries(command);
    }

    /// Somebody comes in, goes, or says something, where they may or may not.
    pub(super) fn meets_decisions(&mut self, who: &'static str) {
        if !self.world.person(who).is_here() {
            return;
        }
        match self.dice(5) {
            0 | 1 => drop(self.world.person(who).tries(Command::Join { room: garden() })),
            2 if who != PEOPLE[0] => drop(self.world.person(who).tries(Command::Leave { room: garden() })),
            _ => drop(self.world.person(who).tries_to_say("#garden", "does anybody hear me?")),
        }
    }

    /// When nothing goes wrong any more, everybody whom Alice lets in can come in and be heard, and reads the topic that she
    /// set last.
    pub(super) fn check_decisions(&mut self, replay: &str) {
        for name in ["bob", "carol"] {
            let told = self.world.alice().asks(Command::Unban { room: garden(), name: name.to_owned(), reason: None });
            assert_eq!(crate::world::actor::error_of(&told), None, "{replay}: {told:?}");
        }
        self.world.settle();
        for who in PEOPLE {
            let text = format!("{who} is here after all");
            // Who was put out learns it by what they say at the latest, and comes in again.
            let heard = (0..3).any(|_| {
                self.world.person(who).asks(Command::Join { room: garden() });
                let before = self.world.person(who).tries_to_say("#garden", &text);
                self.world.settle();
                before && self.is_sent(who, &text)
            });
            assert!(heard, "{replay}: {who} is kept out of the garden");
        }
        let set = self.topic(PEOPLE[0]);
        let sure = self.decisions.topics.iter().rposition(|(_, queued)| *queued);
        let last = set.as_ref().and_then(|set| self.decisions.topics.iter().position(|(text, _)| text == set));
        assert!(last >= sure, "{replay}: alice has forgotten her topic: {set:?} of {:?}", self.decisions.topics);
        for who in PEOPLE {
            assert_eq!(self.topic(who), set, "{replay}: {who} reads another topic");
            let said = self.world.person(who).conversation("#garden");
            for other in PEOPLE {
                let text = format!("{other} is here after all");
                assert!(said.iter().any(|(_, one)| *one == text), "{replay}: {who} does not hear {other}: {said:?}");
            }
        }
    }

    fn is_sent(&mut self, who: &str, text: &str) -> bool {
        self.world.person(who).history("#garden").into_iter().any(
            |event| matches!(event, Event::Message(said) if said.text.as_raw() == text && said.state == State::Sent),
        )
    }

    fn topic(&mut self, who: &str) -> Option<String> {
        let told = self.world.person(who).asks(Command::Topic { room: garden(), text: None });
        told.into_iter().find_map(|event| match event {
            Event::Conversation { topic, .. } => topic.map(|topic| topic.as_raw().to_owned()),
            _ => None,
        })
    }
}
