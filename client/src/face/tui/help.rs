//! What the keys and commands do.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::theme::{Role, Theme};
use super::{draw, ink};
use crate::face::slash::ENTRIES;

/// The keys, as they are carried out in `keys`.
const KEYS: &[(&str, &str)] = &[
    ("Enter", "send"),
    ("Alt-Enter, Ctrl-J", "start a new line"),
    ("Ctrl-K", "jump to a conversation, person or room"),
    ("Alt-Up, Alt-Down", "the conversation above, below"),
    ("Alt-A", "the next conversation with something new"),
    ("PageUp, PageDown", "scroll the messages; the mouse wheel does too"),
    ("End", "on an empty line: back to the newest message"),
    ("Tab", "complete a command, name or room; again for the next"),
    ("Up", "on an empty line: change your last message"),
    ("Esc", "choose a message: r answers, e changes, d deletes, + reacts"),
    ("Ctrl-P, Ctrl-N", "what was typed before; Up and Down do too"),
    ("Ctrl-A, Ctrl-E", "to the beginning, the end of the line"),
    ("Ctrl-W, Ctrl-U", "delete the word, all before the cursor"),
    ("Ctrl-_", "undo"),
    ("F1", "this help"),
    ("F2", "people: everybody you know, or who is in the room"),
    ("F3", "files: how far they are; Enter fetches one, x ends it"),
    ("F4", "verify: the number and the code to compare"),
    ("Ctrl-L", "draw the screen anew"),
    ("Ctrl-Z", "leave for the shell; fg comes back"),
    ("Ctrl-C, Ctrl-D", "quit; Ctrl-D on an empty line only"),
    ("Shift and mouse", "select text, in most terminals"),
];

pub(super) struct Help {
    scroll: u16,
}

impl Help {
    pub(super) const fn new() -> Self {
        Self { scroll: 0 }
    }

    /// `false`: it is closed.
    pub(super) fn key(&mut self, key: KeyEvent) -> bool {
        match key.code {
            KeyCode::Up => self.scroll = self.scroll.saturating_sub(1),
            KeyCode::Down => self.scroll = self.scroll.saturating_add(1),
            KeyCode::PageUp => self.scroll = self.scroll.saturating_sub(10),
            KeyCode::PageDown | KeyCode::Char(' ') => self.scroll = self.scroll.saturating_add(10),
            KeyCode::Home => self.scroll = 0,
            KeyCode::End => self.scroll = u16::MAX,
            _ => return false,
        }
        true
    }

    pub(super) fn scroll(&mut self, down: bool) {
        self.scroll = if down { self.scroll.saturating_add(3) } else { self.scroll.saturating_sub(3) };
    }

    pub(super) fn draw(&mut self, frame: &mut ratatui::Frame, area: Rect, theme: Theme) {
        let inner = draw::panel(frame, area, "Help", "Up and Down scroll, any other key closes", theme);
        let columns = usize::from(inner.width);
        let mut lines = vec![ink::line("Keys", theme.style(Role::Strong))];
        for (key, does) in KEYS {
            lines.extend(entry(key, 18, does, columns, theme));
        }
        lines.push(ink::line("", theme.style(Role::Plain)));
        lines.push(ink::line("Commands; // sends a slash", theme.style(Role::Strong)));
        for command in ENTRIES {
            lines.extend(entry(&command.usage(), 24, command.does, columns, theme));
        }
        let last = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_sub(inner.height);
        self.scroll = self.scroll.min(last);
        frame.render_widget(Paragraph::new(lines).scroll((self.scroll, 0)), inner);
    }
}

fn entry(name: &str, names: usize, does: &str, columns: usize, theme: Theme) -> Vec<Line<'static>> {
    let names = if ink::width(name) > names { ink::width(name) } else { names };
    let words = ink::wrap(does, columns.saturating_sub(names + 2).max(12));
    let name = ink::padded(name, names, theme.more());
    let mut lines = Vec::new();
    for (at, words) in words.iter().enumerate() {
        let left = if at == 0 { name.clone() } else { " ".repeat(names) };
        lines.push(Line::from(vec![
            ink::span(&left, theme.style(Role::Own)),
            ink::span(&format!("  {words}"), theme.style(Role::Plain)),
        ]));
    }
    lines
}
