//! What becomes of an event: an answer to what was asked, or something that happened by itself.

use super::act::Asked;
use super::verify::Verify;
use super::{App, Panel};
use crate::api::{Command, Event, Kind, Message, State, Way};
use crate::face::screen::Screen;
use crate::face::slash::LOBBY;
use crate::face::view::is_public;
use crate::face::{names, plain};

impl App {
    pub(super) fn told(&mut self, number: Option<u64>, event: Event) {
        if let Some(Asked::Page { events, .. }) = number.and_then(|number| self.asked.get_mut(&number)) {
            if event != Event::End {
                events.push(event);
            } else if let Some(Asked::Page { of, newest, limit, events }) =
                number.and_then(|number| self.asked.remove(&number))
            {
                self.view.page(&of, events, limit, newest);
            }
            return;
        }
        if event == Event::End {
            number.and_then(|number| self.asked.remove(&number));
            return;
        }
        if let Some(Asked::Found(place)) = number.and_then(|number| self.asked.get(&number).cloned()) {
            return self.found(&place, &event);
        }
        let gap = matches!(&event, Event::Message(message) if self.fills_a_gap(message));
        self.view.hear(&event);
        if let Event::Room { name, .. } = &event
            && !self.rooms.contains(name)
        {
            self.rooms.push(name.clone());
        }
        match number.and_then(|number| self.asked.get(&number).cloned()) {
            Some(asked) => self.answered(number, asked, event),
            // It answers a command of an earlier holder.
            None if number.is_some() => {}
            None => self.unasked(event),
        }
        if self.view.current().unread > 0 {
            self.view.current_mut().unread = 0;
            self.seen();
        }
        if gap {
            self.ask_newest();
        }
    }

    /// Whether it comes from somebody whose messages were missing in the open conversation.
    fn fills_a_gap(&self, message: &Message) -> bool {
        message.conversation == self.view.here() && self.view.current().misses(&message.from)
    }

    fn answered(&mut self, number: Option<u64>, asked: Asked, event: Event) {
        match (asked, event) {
            (Asked::Members, Event::Presence { room, name, online, creator, label, display, away }) => {
                let creator = if creator { ", made the room" } else { "" };
                let away = away.map_or_else(String::new, |why| format!(", away: {}", why.on_one_line()));
                let told = format!("{}{creator}{away}", names::beside(label.as_ref(), display.as_ref()));
                if let Panel::People(people) = &mut self.panel {
                    people.tell(&room, &name, online, told);
                }
            }
            (Asked::Safety, Event::Safety { name, number, code, trust }) => {
                let name = name.trim_start_matches('@').to_owned();
                self.number = Some((name.clone(), number.clone()));
                self.panel = Panel::Verify(Verify { name, number, code, trust });
            }
            (Asked::Marked, Event::Safety { name, trust, .. }) => {
                self.panel = Panel::None;
                self.note_here(format!("{} is {}", plain::account(&name), trust.words()));
                self.ask(Command::Contacts, Asked::Silent);
            }
            (Asked::Send { place, to, text }, Event::Error(error)) => {
                self.note(&place, plain::error(&error, true).trim_end());
                // What was not taken is not lost: it stands in the line again.
                let again = if to == place { text } else { format!("/dm {} {text}", to.trim_start_matches('@')) };
                if self.view.here() == place && self.composer.is_empty() {
                    self.composer.set(&again);
                }
                self.ask(Command::Contacts, Asked::Silent);
            }
            (Asked::Send { to, .. }, Event::Queued { .. }) => {
                if let Some(number) = number {
                    self.asked.insert(number, Asked::Silent);
                }
                let here = self.view.here();
                if here != to && to.starts_with('@') {
                    self.open(&to);
                }
            }
            (Asked::Shown(place), Event::Done) if is_public(&place) => self.ask(Command::Rooms, Asked::Silent),
            (Asked::Shown(_), Event::Done) => {}
            (Asked::Shown(place), event) => self.show(&place, &event),
            (Asked::Refused(place), Event::Done) => {
                let was_open = self.view.here() == place;
                self.view.forget(&place);
                if was_open {
                    self.open(LOBBY);
                }
            }
            (Asked::File(place), Event::Error(error)) => {
                self.note(&place, plain::error(&error, true).trim_end());
            }
            (Asked::Silent | Asked::File(_), _) => {}
            (_, Event::Error(error)) => self.note_here(plain::error(&error, true).trim_end()),
            _ => {}
        }
    }

    /// A message that was searched for: shown where the search was typed, wherever it stands.
    fn found(&mut self, place: &str, event: &Event) {
        let screen = Screen::plain();
        match event {
            Event::Error(error) => self.note(place, plain::error(error, true).trim_end()),
            event => {
                if let Some(words) = plain::line(event, &screen) {
                    self.note(place, words);
                }
            }
        }
    }

    /// Something happened by itself.
    fn unasked(&mut self, event: Event) {
        let here = self.view.here().to_owned();
        if let Event::Message(message) = &event
            && !(self.looking && message.conversation == here)
        {
            let muted = self.view.conversation(&message.conversation).is_some_and(|one| one.muted);
            let notice = self.notifier.about(message, muted, std::time::Instant::now());
            self.notice = notice.or(self.notice.take());
        }
        match &event {
            Event::Message(message) if message.state == State::Received && message.conversation == here => self.seen(),
            Event::Message(message) if message.kind == Kind::Timer => self.ask(Command::Conversations, Asked::Silent),
            Event::NewDevice { name, .. } => self.show(&format!("@{}", name.trim_start_matches('@')), &event),
            Event::Restored { name } => {
                let place = name.as_ref().map_or(here, |name| format!("@{}", name.trim_start_matches('@')));
                self.show(&place, &event);
            }
            Event::Refused { conversation, .. } => {
                let place = conversation.clone().unwrap_or(here);
                self.show(&place, &event);
            }
            // Where it is now, a person wants to know wherever they are.
            Event::Progress(file) if file.incoming && file.state == Way::Done => self.show(&here, &event),
            Event::About { conversation, .. } => self.show(conversation, &event),
            Event::Notice { .. } | Event::Error(_) => self.show(&here, &event),
            // There is something to say of it, such as that a clock is wrong.
            Event::Connection { online: true, detail } if detail != "connected" => self.show(&here, &event),
            _ => {}
        }
    }

    /// Puts the words of an event into a conversation.
    fn show(&mut self, place: &str, event: &Event) {
        let screen = Screen::plain();
        if matches!(event, Event::Message(_) | Event::State { .. } | Event::Gap { .. }) {
            return;
        }
        if let Some(words) = plain::line(event, &screen) {
            self.note(place, words);
        }
    }
}
