//! The number and the code that two people compare.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::theme::{Role, Theme};
use super::{conversations, draw, ink};
use crate::api::Trust;
use crate::face::{plain, qr};

/// Columns that the words beside the code need.
const WORDS: u16 = 32;

pub(super) struct Verify {
    pub(super) name: String,
    pub(super) number: String,
    pub(super) code: String,
    pub(super) trust: Trust,
}

/// What a key came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Compared {
    Nothing,
    Close,
    /// The numbers are equal.
    Equal,
}

impl Verify {
    /// Of oneself there is a fingerprint, and nobody to compare it with.
    fn digits(&self) -> bool {
        self.number.split_whitespace().count() == 12
    }

    fn comparable(&self) -> bool {
        self.digits() && self.trust == Trust::Unverified
    }

    pub(super) fn key(&self, key: KeyEvent) -> Compared {
        match key.code {
            KeyCode::Esc | KeyCode::F(4) | KeyCode::Enter => Compared::Close,
            KeyCode::Char('y') if self.comparable() => Compared::Equal,
            _ => Compared::Nothing,
        }
    }

    pub(super) fn draw(&self, frame: &mut ratatui::Frame, area: Rect, theme: Theme) {
        let name = plain::account(&self.name);
        let title = if self.digits() { format!("Verify {name}") } else { format!("{name}, you") };
        let keys = if self.comparable() { "y: they are equal, Esc closes" } else { "Esc closes" };
        let inner = draw::panel(frame, area, &title, keys, theme);
        let code = if theme.ascii() { None } else { qr::draw(&self.code) };
        let size = code.as_deref().map(|code| {
            let columns = code.lines().map(ink::width).max().unwrap_or(0);
            (u16::try_from(columns).unwrap_or(u16::MAX), u16::try_from(code.lines().count()).unwrap_or(u16::MAX))
        });
        let fits = size.is_some_and(|(columns, rows)| columns + WORDS < inner.width && rows <= inner.height);
        let (words, code) = match (code, size) {
            (Some(code), Some((columns, _))) if fits => {
                let [left, _, right] =
                    Layout::horizontal([Constraint::Length(columns), Constraint::Length(2), Constraint::Fill(1)])
                        .areas(inner);
                let lines: Vec<Line<'static>> = code.lines().map(|line| ink::line(line, theme.code())).collect();
                frame.render_widget(Paragraph::new(lines), left);
                (right, true)
            }
            _ => (inner, false),
        };
        frame.render_widget(Paragraph::new(self.words(&name, code, usize::from(words.width), theme)), words);
    }

    fn words(&self, name: &str, code: bool, columns: usize, theme: Theme) -> Vec<Line<'static>> {
        let mut lines = Vec::new();
        let mut say = |text: &str, role: Role| {
            lines.extend(ink::wrap(text, columns).iter().map(|line| ink::line(line, theme.style(role))));
        };
        if self.digits() {
            say(self.trust.words(), conversations::role_of(self.trust));
        }
        say("", Role::Plain);
        let groups: Vec<&str> = self.number.split_whitespace().collect();
        for row in groups.chunks(if self.digits() { 4 } else { 8 }) {
            say(&plain::said(&row.join(" ")), Role::Strong);
        }
        say("", Role::Plain);
        match (self.digits(), self.trust) {
            (true, Trust::Verified) => {
                say("You have compared keys. It stays verified until the key changes.", Role::Plain)
            }
            (true, Trust::Unverified) => say(
                &format!(
                    "Compare it with what {name} sees, in person or by phone. If all 60 digits are equal, press y."
                ),
                Role::Plain,
            ),
            (true, Trust::KeyChanged) => say(
                &format!("The key has changed. Accept the new one first: /trust {}", name.trim_start_matches('@')),
                Role::Alarm,
            ),
            (false, _) => say("This is your own key. /verify NAME shows the number to compare.", Role::Plain),
        }
        if !code {
            let why = if theme.ascii() { "without --ascii" } else { "from 80 x 24 on" };
            say(&format!("A QR code is shown {why}."), Role::Quiet);
        }
        lines
    }
}
