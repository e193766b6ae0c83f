//! The passphrase of a profile, typed into a field that shows how much was typed and nothing of it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Constraint, Rect};
use ratatui::widgets::{Block, Clear, Paragraph};

use super::ink;
use super::theme::{Role, Theme};
use crate::api::Error;
use crate::face::plain;
use crate::holder::Zeroizing;

/// Longest passphrase in bytes.
const MAX: usize = 4096;

pub(super) struct Unlock {
    /// Has room for the longest passphrase from the start: growing would leave copies behind.
    typed: Zeroizing<String>,
    why: Option<Error>,
}

impl Unlock {
    pub(super) fn new(why: Option<Error>) -> Self {
        Self { typed: Zeroizing::new(String::with_capacity(MAX)), why }
    }

    /// A key; the passphrase where it is complete.
    pub(super) fn key(&mut self, key: KeyEvent) -> Option<Zeroizing<String>> {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Enter if !self.typed.is_empty() => {
                return Some(std::mem::replace(&mut self.typed, Zeroizing::new(String::with_capacity(MAX))));
            }
            KeyCode::Char('u') if control => self.typed.clear(),
            KeyCode::Char(c) if !control => self.paste(c.encode_utf8(&mut [0; 4])),
            KeyCode::Backspace => {
                self.typed.pop();
            }
            _ => {}
        }
        None
    }

    /// A passphrase from a password manager; its line break is not part of it.
    pub(super) fn paste(&mut self, text: &str) {
        let text = text.trim_end_matches(['\r', '\n']);
        if self.typed.len() + text.len() <= MAX {
            self.typed.push_str(text);
        }
    }

    pub(super) fn draw(&self, frame: &mut ratatui::Frame, area: Rect, theme: Theme) {
        let block =
            Block::bordered().border_set(theme.border()).title(ink::line(" Sealpost ", theme.style(Role::Strong)));
        let field = area.centered(Constraint::Max(60), Constraint::Length(7));
        let dots = (if theme.ascii() { "*" } else { "•" }).repeat(self.typed.chars().count().min(40));
        let mut lines = vec![
            ink::line("This profile is locked.", theme.style(Role::Plain)),
            ink::line(&format!("Passphrase: {dots}_"), theme.style(Role::Strong)),
            ink::line("", theme.style(Role::Plain)),
        ];
        if let Some(error) = &self.why {
            let why = error.cause.as_ref().unwrap_or(&error.message);
            lines.push(ink::line(&plain::said(why), theme.style(Role::Alarm)));
        }
        lines.push(ink::line("Enter opens it, Ctrl-C leaves.", theme.style(Role::Quiet)));
        frame.render_widget(Clear, field);
        frame.render_widget(Paragraph::new(lines).block(block), field);
    }
}
