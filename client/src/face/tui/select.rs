//! A message is chosen, and something is said about it: an answer, a change, a reaction, its end.

use crossterm::event::{KeyCode, KeyEvent};

use super::App;
use super::act::Asked;
use super::theme::Theme;
use crate::api::{Command, Message, Wait};
use crate::face::plain;
use crate::face::view::{own, says};

/// Reactions that one digit gives.
const REACTIONS: [&str; 6] = ["👍", "❤", "😂", "😮", "😢", "🎉"];

/// What is typed next is about this message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// It is answered.
    Reply(String),
    /// Its text is replaced.
    Edit(String),
    /// What one thinks of it.
    React(String),
    /// It is taken back.
    Delete(String),
}

impl About {
    fn id(&self) -> &str {
        match self {
            Self::Reply(id) | Self::Edit(id) | Self::React(id) | Self::Delete(id) => id,
        }
    }
}

impl App {
    /// Chooses the newest message, or the next one above or below.
    pub(super) fn select(&mut self, up: bool) {
        let ids: Vec<&str> =
            self.view.current().messages().filter(|message| says(message)).map(|message| message.id.as_str()).collect();
        let at = self.selected.as_deref().and_then(|selected| ids.iter().position(|id| *id == selected));
        let next = match at {
            None => Some(0),
            Some(at) if up => Some((at + 1).min(ids.len().saturating_sub(1))),
            Some(at) => at.checked_sub(1),
        };
        self.selected = next.and_then(|next| ids.get(next)).map(|id| (*id).to_owned());
        if self.selected.is_none() {
            self.scroll = 0;
        }
    }

    /// The message that is chosen.
    fn chosen(&self) -> Option<&Message> {
        self.view.current().message(self.selected.as_deref()?)
    }

    pub(super) fn key_in_selection(&mut self, key: KeyEvent) {
        let Some(message) = self.chosen() else {
            self.selected = None;
            return;
        };
        let (id, mine, text) = (message.id.clone(), own(message), message.text.as_raw().to_owned());
        match key.code {
            KeyCode::Up => {
                self.select(true);
                if self.wants_more {
                    self.ask_older();
                }
            }
            KeyCode::Down => self.select(false),
            KeyCode::Char('r') | KeyCode::Enter => self.begin_about(About::Reply(id), ""),
            KeyCode::Char('+') => self.begin_about(About::React(id), ""),
            KeyCode::Char('e') if mine => self.begin_about(About::Edit(id), &text),
            KeyCode::Char('d') if mine => self.begin_about(About::Delete(id), ""),
            KeyCode::Esc => self.selected = None,
            _ => {}
        }
    }

    /// Up on an empty line: one's own last message is changed. `false` where there is none.
    pub(super) fn edit_last(&mut self) -> bool {
        let last = self.view.current().messages().find(|message| own(message) && says(message));
        let Some((id, text)) = last.map(|message| (message.id.clone(), message.text.as_raw().to_owned())) else {
            return false;
        };
        self.begin_about(About::Edit(id), &text);
        true
    }

    fn begin_about(&mut self, about: About, text: &str) {
        self.selected = Some(about.id().to_owned());
        self.composer.set(text);
        self.about = Some(about);
    }

    /// Gives up what was begun.
    pub(super) fn end_about(&mut self) {
        if matches!(self.about.take(), Some(About::Edit(_))) {
            self.composer.set("");
        }
        self.selected = None;
    }

    /// A key that means something because a message is spoken about; `false`: it is one of the line.
    pub(super) fn key_about(&mut self, key: KeyEvent) -> bool {
        let emoji = match (&self.about, key.code) {
            (None, _) => return false,
            (Some(_), KeyCode::Esc) => {
                self.end_about();
                return true;
            }
            (Some(About::Delete(id)), code) => {
                if code == KeyCode::Enter {
                    let command = Command::Delete { id: Some(id.clone()), within: None };
                    let here = self.view.here().to_owned();
                    self.ask(command, Asked::Shown(here));
                }
                self.end_about();
                return true;
            }
            (Some(About::React(_)), KeyCode::Char(digit @ '1'..='6')) if self.composer.is_empty() => {
                digit.to_digit(10).and_then(|digit| REACTIONS.get(usize::try_from(digit).ok()?.checked_sub(1)?))
            }
            _ => None,
        };
        if let Some(emoji) = emoji {
            self.say_about((*emoji).to_owned());
        }
        emoji.is_some()
    }

    /// What was typed is about the message.
    pub(super) fn say_about(&mut self, text: String) {
        let here = self.view.here().to_owned();
        let Some(about) = self.about.take() else { return };
        self.selected = None;
        let again = Asked::Send { place: here.clone(), to: here.clone(), text: text.clone() };
        match about {
            About::Reply(id) => {
                let reply =
                    Command::Reply { id, text, wait: Wait::Queued, timeout_ms: crate::face::slash::PATIENCE_MS };
                self.ask(reply, again);
            }
            About::Edit(id) => self.ask(Command::Edit { id: Some(id), within: None, text }, again),
            About::React(id) => {
                let emoji = if text.trim() == "-" { String::new() } else { text.trim().to_owned() };
                self.ask(Command::React { id, emoji }, Asked::Shown(here));
            }
            About::Delete(_) => {}
        }
    }

    /// What the keys do now, on the line above the one that is typed.
    pub(super) fn hint(&self, theme: Theme) -> Option<String> {
        let said = |id: &str| {
            let message = self.view.current().message(id)?;
            Some(format!("{}: {}", plain::account(&message.from), message.text.on_one_line()))
        };
        match (&self.about, self.chosen()) {
            (Some(About::Reply(id)), _) => Some(format!("Esc: no answer to {}", said(id)?)),
            (Some(About::Edit(_)), _) => Some("Enter changes the message, Esc leaves it".to_owned()),
            (Some(About::Delete(_)), _) => Some("Enter deletes the message, any other key keeps it".to_owned()),
            (Some(About::React(_)), _) if theme.ascii() => Some("a reaction, - takes yours back, Esc".to_owned()),
            (Some(About::React(_)), _) => {
                let digits: Vec<String> =
                    REACTIONS.iter().enumerate().map(|(at, emoji)| format!("{} {emoji}", at + 1)).collect();
                Some(format!("{}, or type one; - takes yours back, Esc", digits.join("  ")))
            }
            (None, Some(message)) if own(message) => {
                Some("r answers, e changes, d deletes, + reacts, Up, Down, Esc".to_owned())
            }
            (None, Some(_)) => Some("r answers, + reacts, Up, Down, Esc".to_owned()),
            (None, None) => None,
        }
    }
}
