//! The line one types in: it wraps, edits as a shell does, and completes commands, names and rooms.

use std::collections::VecDeque;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui_textarea::{CursorMove, TextArea, WrapMode};

use super::ink;
use super::theme::{Role, Theme};

/// Lines that can be fetched back; they are kept in memory only.
const REMEMBERED: usize = 1000;

/// Longest text in bytes: what is too long for a message is refused with its limit.
const MAX_TEXT: usize = 64 * 1024;

/// Rows of the screen that it may take.
const MAX_ROWS: usize = 6;

/// What a key came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// This was sent.
    Send(String),
    Changed,
    /// It is no key of the line.
    NotMine,
}

#[derive(Default)]
pub(super) struct Composer {
    area: TextArea<'static>,
    sent: VecDeque<String>,
    /// Which of those is shown, counted from the last one.
    recalled: Option<usize>,
    /// What was typed before one was fetched back.
    kept: String,
    completion: Option<Completion>,
}

/// Words that fit, and which one is shown.
struct Completion {
    words: Vec<String>,
    shown: usize,
}

fn area_of(text: &str) -> TextArea<'static> {
    let mut area = TextArea::new(text.split('\n').map(str::to_owned).collect());
    area.set_wrap_mode(WrapMode::WordOrGlyph);
    area.set_cursor_line_style(Style::new());
    // The terminal's own cursor stands there.
    area.set_cursor_style(Style::new());
    area.move_cursor(CursorMove::Bottom);
    area.move_cursor(CursorMove::End);
    area
}

impl Composer {
    pub(super) fn text(&self) -> String {
        self.area.lines().join("\n")
    }

    pub(super) fn is_empty(&self) -> bool {
        self.area.is_empty()
    }

    /// Replaces what is typed.
    pub(super) fn set(&mut self, text: &str) {
        self.area = area_of(text);
        self.recalled = None;
        self.completion = None;
    }

    /// Several lines at once, as one text. What a terminal would obey is left out: nobody means to send it.
    pub(super) fn paste(&mut self, text: &str) {
        let text = text.replace("\r\n", "\n").replace('\r', "\n").replace('\t', "    ");
        let mut text: String = text.chars().filter(|c| *c == '\n' || !crate::api::is_obeyed(*c)).collect();
        while text.len() + self.text().len() > MAX_TEXT {
            text.pop();
        }
        self.begin();
        self.area.insert_str(text);
    }

    /// A key; `words` are what can be completed.
    pub(super) fn key(&mut self, key: KeyEvent, words: impl FnOnce() -> Vec<String>) -> Outcome {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        let shift = key.modifiers.contains(KeyModifiers::SHIFT);
        self.begin();
        if key.code != KeyCode::Tab {
            self.completion = None;
        }
        match key.code {
            KeyCode::Enter if alt || shift => self.area.insert_newline(),
            KeyCode::Char('j') if control => self.area.insert_newline(),
            KeyCode::Enter => {
                let text = self.text();
                if text.trim().is_empty() {
                    return Outcome::NotMine;
                }
                self.remember(&text);
                self.set("");
                return Outcome::Send(text);
            }
            KeyCode::Tab => self.complete(words),
            KeyCode::Char('u') if control => {
                self.area.delete_line_by_head();
            }
            // What Ctrl-_ and Ctrl-/ are on the wire.
            KeyCode::Char('7' | '_' | '/') if control => {
                self.area.undo();
            }
            KeyCode::Char('p') if control => self.recall(true),
            KeyCode::Char('n') if control => self.recall(false),
            KeyCode::Up if !alt && !control && self.area.cursor().0 == 0 => self.recall(true),
            KeyCode::Down if !alt && !control && self.area.cursor().0 + 1 >= self.area.lines().len() => {
                self.recall(false);
            }
            KeyCode::Char(c) if !control && !alt => {
                if !crate::api::is_obeyed(c) && self.text().len() < MAX_TEXT {
                    self.area.insert_char(c);
                }
            }
            KeyCode::Char('a' | 'b' | 'd' | 'e' | 'f' | 'h' | 'w' | 'y') if control => {
                self.area.input(key);
            }
            KeyCode::Char('b' | 'd' | 'f' | 'h') | KeyCode::Backspace | KeyCode::Delete if alt => {
                self.area.input(key);
            }
            KeyCode::Left | KeyCode::Right | KeyCode::Home | KeyCode::End => {
                self.area.input(key);
            }
            KeyCode::Up | KeyCode::Down | KeyCode::Backspace | KeyCode::Delete if !alt => {
                self.area.input(key);
            }
            _ => return Outcome::NotMine,
        }
        Outcome::Changed
    }

    /// Rows that it takes at this width.
    pub(super) fn rows(&self, columns: u16) -> u16 {
        let columns = usize::from(columns).saturating_sub(1);
        let rows: usize = self.area.lines().iter().map(|line| ink::wrap(line, columns).len()).sum();
        u16::try_from(rows.clamp(1, MAX_ROWS)).unwrap_or(1)
    }

    /// Draws it and puts the cursor where the next letter goes.
    pub(super) fn draw(&mut self, frame: &mut ratatui::Frame, area: Rect, theme: Theme, placeholder: &str) {
        self.area.set_style(theme.style(Role::Plain));
        self.area.set_placeholder_style(theme.style(Role::Quiet));
        self.area.set_placeholder_text(ink::fit(placeholder, usize::from(area.width).saturating_sub(2), theme.more()));
        frame.render_widget(&self.area, area);
        let cursor = self.area.screen_cursor();
        let (top, left) = self.area.scroll_offset();
        let row = u16::try_from(cursor.row).unwrap_or(u16::MAX).saturating_sub(top);
        let column = u16::try_from(cursor.col).unwrap_or(u16::MAX).saturating_sub(left);
        frame.set_cursor_position(Position {
            x: area.x.saturating_add(column).min(area.right().saturating_sub(1)),
            y: area.y.saturating_add(row).min(area.bottom().saturating_sub(1)),
        });
    }

    /// A new field has none of the settings.
    fn begin(&mut self) {
        if self.area.is_empty() && self.area.wrap_mode() == WrapMode::None {
            self.area = area_of("");
        }
    }

    fn remember(&mut self, text: &str) {
        if self.sent.back().is_none_or(|last| last != text) {
            self.sent.push_back(text.to_owned());
        }
        if self.sent.len() > REMEMBERED {
            self.sent.pop_front();
        }
    }

    /// Fetches back what was typed before, or goes on to what was typed after it.
    fn recall(&mut self, earlier: bool) {
        let next = match (self.recalled, earlier) {
            (None, true) => Some(0),
            (Some(at), true) => Some(at + 1),
            (Some(at), false) => at.checked_sub(1),
            (None, false) => return,
        };
        if self.recalled.is_none() {
            self.kept = self.text();
        }
        let text = match next {
            Some(at) => match self.sent.iter().rev().nth(at) {
                Some(text) => text.clone(),
                None => return,
            },
            None => std::mem::take(&mut self.kept),
        };
        self.set(&text);
        self.recalled = next;
    }

    /// Completes the word before the cursor; a further Tab shows the next one that fits.
    fn complete(&mut self, words: impl FnOnce() -> Vec<String>) {
        if let Some(mut completion) = self.completion.take() {
            let shown = completion.words.get(completion.shown).map_or(0, |word| word.chars().count());
            for _ in 0..shown {
                self.area.delete_char();
            }
            completion.shown = (completion.shown + 1) % completion.words.len();
            self.insert(&completion);
            self.completion = Some(completion);
            return;
        }
        let (row, column) = (self.area.cursor().0, self.area.cursor().1);
        let line: String =
            self.area.lines().get(row).map_or_else(String::new, |line| line.chars().take(column).collect());
        let word = line.rsplit(char::is_whitespace).next().unwrap_or_default();
        if word.is_empty() {
            return;
        }
        let mut fitting: Vec<String> = words().into_iter().filter(|known| known.starts_with(word)).collect();
        fitting.sort_unstable();
        fitting.dedup();
        if fitting.is_empty() {
            return;
        }
        for _ in word.chars() {
            self.area.delete_char();
        }
        let completion = Completion { words: fitting, shown: 0 };
        self.insert(&completion);
        self.completion = Some(completion).filter(|completion| completion.words.len() > 1);
    }

    fn insert(&mut self, completion: &Completion) {
        let word = completion.words.get(completion.shown).map(String::as_str).unwrap_or_default();
        self.area.insert_str(if completion.words.len() == 1 { format!("{word} ") } else { word.to_owned() });
    }
}
