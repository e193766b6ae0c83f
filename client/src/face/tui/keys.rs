//! What a key does, by what stands on the screen. `help` lists them.

use crossterm::event::{Event as Input, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::act::Asked;
use super::composer::Outcome;
use super::files::{self, Files};
use super::help::Help;
use super::jump::{Jump, Jumped};
use super::people::{People, Wanted};
use super::verify::Compared;
use super::{App, Next, Panel, Stage};
use crate::api::Command;
use crate::face::view::is_public;

impl App {
    /// Something was typed, pasted, clicked, or the size has changed.
    pub(super) fn input(&mut self, input: Input) {
        match input {
            Input::Key(key) if key.kind != KeyEventKind::Release => self.key(key),
            Input::Paste(text) => match (&mut self.stage, &self.panel) {
                (Stage::Locked(unlock), _) => unlock.paste(&text),
                (Stage::Talking | Stage::Opening, Panel::None) => self.paste(&text),
                _ => return,
            },
            Input::Mouse(mouse) => return self.mouse(mouse),
            Input::Resize(..) => {}
            Input::FocusGained => self.look(true),
            Input::FocusLost => self.look(false),
            _ => return,
        }
        self.dirty = true;
    }

    fn key(&mut self, key: KeyEvent) {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => self.next = Next::Leave,
            KeyCode::Char('z') if control => self.next = Next::Suspend,
            KeyCode::Char('l') if control => self.next = Next::Redraw,
            _ => match &mut self.stage {
                Stage::Locked(unlock) => {
                    if let Some(passphrase) = unlock.key(key) {
                        self.unlocked = Some(passphrase);
                        self.stage = Stage::Opening;
                    }
                }
                Stage::Opening | Stage::Talking => self.key_in_panel(key),
            },
        }
    }

    fn key_in_panel(&mut self, key: KeyEvent) {
        match &mut self.panel {
            Panel::None => self.key_in_talk(key),
            Panel::Help(help) => {
                if !help.key(key) {
                    self.panel = Panel::None;
                }
            }
            Panel::Jump(jump) => match jump.key(key, &self.view, &self.rooms) {
                Jumped::Stay => {}
                Jumped::Close => self.panel = Panel::None,
                Jumped::To(name) => {
                    self.panel = Panel::None;
                    self.go(&name);
                }
            },
            Panel::People(people) => match people.key(key, &self.view) {
                Wanted::Nothing => {}
                Wanted::Close => self.panel = Panel::None,
                Wanted::Open(name) => {
                    self.panel = Panel::None;
                    self.open(&format!("@{name}"));
                }
                Wanted::Verify(name) => self.ask(Command::Verify { name: Some(name), mark: None }, Asked::Safety),
                Wanted::Block(name) => {
                    let blocked = self.view.person(&name).is_some_and(|person| person.blocked);
                    let command = if blocked { Command::Unblock { name } } else { Command::Block { name } };
                    self.ask(command, Asked::Silent);
                }
            },
            Panel::Files(files) => match files.key(key, &self.view) {
                files::Wanted::Nothing => {}
                files::Wanted::Close => self.panel = Panel::None,
                files::Wanted::Open(conversation) => {
                    self.panel = Panel::None;
                    self.open(&conversation);
                }
                files::Wanted::Go(command) => {
                    let place = self.view.here().to_owned();
                    self.ask(*command, Asked::File(place));
                }
            },
            Panel::Verify(verify) => match verify.key(key) {
                Compared::Nothing => {}
                Compared::Close => self.panel = Panel::None,
                Compared::Equal => {
                    let (name, number) = (verify.name.clone(), verify.number.clone());
                    self.ask(Command::Verify { name: Some(name), mark: Some(number) }, Asked::Marked);
                }
            },
        }
    }

    fn key_in_talk(&mut self, key: KeyEvent) {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            // Nothing is sent while the profile is closed; what was typed stays.
            KeyCode::Enter if matches!(self.stage, Stage::Opening) => {}
            KeyCode::F(1) => self.panel = Panel::Help(Help::new()),
            KeyCode::F(2) => self.people(),
            KeyCode::F(3) => self.files(),
            KeyCode::F(4) => self.verify(None),
            KeyCode::Char('k') if control => self.panel = Panel::Jump(Jump::default()),
            KeyCode::Char('d') if control && self.composer.is_empty() => self.next = Next::Leave,
            KeyCode::Up if alt => self.step(false),
            KeyCode::Down if alt => self.step(true),
            KeyCode::Char('a') if alt => self.next_unread(),
            KeyCode::PageUp => self.scroll_by(usize::from(self.areas.messages.height).saturating_sub(1).max(1), true),
            KeyCode::PageDown => {
                self.scroll_by(usize::from(self.areas.messages.height).saturating_sub(1).max(1), false)
            }
            _ if self.about.is_some() => {
                if !self.key_about(key) {
                    self.key_in_composer(key);
                }
            }
            _ if self.selected.is_some() => self.key_in_selection(key),
            KeyCode::Esc => self.select(true),
            KeyCode::End if self.composer.is_empty() => self.scroll = 0,
            KeyCode::Up if self.composer.is_empty() && self.edit_last() => {}
            _ => self.key_in_composer(key),
        }
    }

    fn key_in_composer(&mut self, key: KeyEvent) {
        // A changed key blocks what is said, not what is commanded.
        if let Some(changed) = self.view.changed(self.view.here()).filter(|_| self.composer.is_empty()) {
            let trust = format!("/trust {} {}", self.view.here().trim_start_matches('@'), changed.new);
            match key.code {
                KeyCode::Tab => return self.composer.set(&trust),
                KeyCode::Char(c) if c != '/' => return,
                _ => {}
            }
        }
        let words = if key.code == KeyCode::Tab { self.words() } else { Vec::new() };
        let outcome = self.composer.key(key, || words);
        if outcome != Outcome::NotMine {
            self.tell_typing();
        }
        if let Outcome::Send(line) = outcome {
            self.scroll = 0;
            if self.about.is_some() {
                self.say_about(line);
            } else {
                self.line(&line);
            }
        }
    }

    fn paste(&mut self, text: &str) {
        if self.view.changed(self.view.here()).is_none() || text.starts_with('/') || !self.composer.is_empty() {
            self.composer.paste(text);
        }
    }

    /// Opens a place, and becomes a member of a room that is new.
    fn go(&mut self, name: &str) {
        let joined = self.view.conversation(name).is_some_and(|room| room.joined) || name == crate::face::slash::LOBBY;
        if is_public(name) && !joined {
            self.line(&format!("/join {name}"));
        } else {
            self.open(name);
        }
    }

    /// The conversation above or below in the list.
    fn step(&mut self, down: bool) {
        let names: Vec<String> = self.view.list().iter().map(|one| one.name.clone()).collect();
        let at = names.iter().position(|name| name == self.view.here()).unwrap_or(0);
        let next = if down { at + 1 } else { at.wrapping_sub(1) };
        if let Some(name) = names.get(next) {
            self.open(name);
        }
    }

    fn next_unread(&mut self) {
        let next = self.view.list().into_iter().find(|one| one.unread > 0 && !one.muted).map(|one| one.name.clone());
        if let Some(name) = next {
            self.open(&name);
        }
    }

    /// Scrolls the messages; what is older than all that is known is asked for.
    pub(super) fn scroll_by(&mut self, lines: usize, up: bool) {
        self.scroll = if up { self.scroll.saturating_add(lines) } else { self.scroll.saturating_sub(lines) };
        if up && self.wants_more {
            self.ask_older();
        }
    }

    /// Files: asked for anew, since what was not heard of stands in the store.
    pub(super) fn files(&mut self) {
        self.ask(Command::Files, Asked::Silent);
        self.panel = Panel::Files(Files::default());
    }

    fn people(&mut self) {
        let here = self.view.here().to_owned();
        let room = is_public(&here).then_some(here);
        if let Some(room) = &room {
            self.ask(Command::Who { room: Some(room.clone()) }, Asked::Members);
        }
        self.panel = Panel::People(People::new(room));
    }
}
