//! The passphrase of a profile, typed into a field that shows how much was typed and nothing of it.

use crossterm::event::KeyEvent;
use ratatui::layout::{Constraint, Rect};
use ratatui::widgets::{Block, Clear, Paragraph};

use super::ink;
use super::theme::{Role, Theme};
use crate::api::Error;
use crate::face::field::Field;
use crate::face::plain;
use crate::holder::Zeroizing;

pub(super) struct Unlock {
    field: Field,
    why: Option<Error>,
}

impl Unlock {
    pub(super) fn new(why: Option<Error>) -> Self {
        Self { field: Field::new(), why }
    }

    /// A key; the passphrase where it is complete.
    pub(super) fn key(&mut self, key: KeyEvent) -> Option<Zeroizing<String>> {
        self.field.key(key)
    }

    pub(super) fn paste(&mut self, text: &str) {
        self.field.paste(text);
    }

    pub(super) fn draw(&self, frame: &mut ratatui::Frame, area: Rect, theme: Theme) {
        let block =
            Block::bordered().border_set(theme.border()).title(ink::line(" Sealpost ", theme.style(Role::Strong)));
        let field = area.centered(Constraint::Max(60), Constraint::Length(7));
        let dots = (if theme.ascii() { "*" } else { "•" }).repeat(self.field.length().min(40));
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
