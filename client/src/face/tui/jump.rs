//! Ctrl-K: a few letters of a conversation, person or room, and Enter.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::widgets::Paragraph;

use super::mouse::Row;
use super::theme::{Role, Theme};
use super::{draw, ink};
use crate::face::view::View;

/// Longest thing typed.
const MAX_TYPED: usize = 64;

#[derive(Default)]
pub(super) struct Jump {
    typed: String,
    chosen: usize,
}

/// What a key came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Jumped {
    Stay,
    Close,
    /// This is opened.
    To(String),
}

impl Jump {
    pub(super) fn key(&mut self, key: KeyEvent, view: &View, rooms: &[String]) -> Jumped {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Esc => return Jumped::Close,
            KeyCode::Char('k' | 'g') if control => return Jumped::Close,
            KeyCode::Enter => {
                let found = self.found(view, rooms);
                return found.into_iter().nth(self.chosen).map_or(Jumped::Stay, Jumped::To);
            }
            KeyCode::Up => self.chosen = self.chosen.saturating_sub(1),
            KeyCode::Char('p') if control => self.chosen = self.chosen.saturating_sub(1),
            KeyCode::Down => self.down(view, rooms),
            KeyCode::Char('n') if control => self.down(view, rooms),
            KeyCode::Char('u') if control => self.set(""),
            KeyCode::Backspace => {
                self.typed.pop();
                self.chosen = 0;
            }
            KeyCode::Char(c) if !control && self.typed.len() < MAX_TYPED && !crate::api::is_obeyed(c) => {
                self.typed.push(c);
                self.chosen = 0;
            }
            _ => {}
        }
        Jumped::Stay
    }

    /// A line of the list was clicked.
    pub(super) fn clicked(&self, at: usize, view: &View, rooms: &[String]) -> Option<String> {
        self.found(view, rooms).into_iter().nth(at)
    }

    fn set(&mut self, typed: &str) {
        typed.clone_into(&mut self.typed);
        self.chosen = 0;
    }

    fn down(&mut self, view: &View, rooms: &[String]) {
        self.chosen = (self.chosen + 1).min(self.found(view, rooms).len().saturating_sub(1));
    }

    /// What fits, best first: conversations as they moved, then people and rooms, then what the typed word may name.
    fn found(&self, view: &View, rooms: &[String]) -> Vec<String> {
        let mut names: Vec<String> = view.list().iter().map(|one| one.name.clone()).collect();
        names.extend(view.people().map(|person| format!("@{}", person.name)));
        names.extend(rooms.iter().cloned());
        let mut found: Vec<(usize, usize, String)> = Vec::new();
        for (at, name) in names.into_iter().enumerate() {
            if found.iter().any(|(_, _, known)| *known == name) {
                continue;
            }
            if let Some(cost) = cost(&self.typed, &name) {
                found.push((cost, at, name));
            }
        }
        found.sort();
        let mut found: Vec<String> = found.into_iter().map(|(_, _, name)| name).collect();
        for named in named(&self.typed) {
            if !found.contains(&named) {
                found.push(named);
            }
        }
        found
    }

    pub(super) fn draw(
        &mut self,
        frame: &mut ratatui::Frame,
        area: Rect,
        view: &View,
        rooms: &[String],
        theme: Theme,
    ) -> Vec<Row> {
        let area = area.centered(Constraint::Max(60), Constraint::Max(18));
        let inner = draw::panel(frame, area, "Jump to", "Enter opens, Esc closes", theme);
        let [field, list] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(inner);
        frame.render_widget(
            Paragraph::new(ink::line(&format!("{} {}", theme.pointer(), self.typed), theme.style(Role::Strong))),
            field,
        );
        let column = u16::try_from(ink::width(&self.typed) + 2).unwrap_or(u16::MAX);
        frame.set_cursor_position(Position { x: field.x.saturating_add(column).min(field.right() - 1), y: field.y });
        let found = self.found(view, rooms);
        self.chosen = self.chosen.min(found.len().saturating_sub(1));
        let fits = usize::from(list.height);
        let first = (self.chosen + 1).saturating_sub(fits.max(1));
        let (mut lines, mut rows) = (Vec::new(), Vec::new());
        for (at, name) in found.iter().enumerate().skip(first).take(fits) {
            rows.push(Row { row: list.y.saturating_add(u16::try_from(lines.len()).unwrap_or(0)), at });
            let unread = view.conversation(name).map_or(0, |one| one.unread);
            let known = view.conversation(name).is_some() || view.person(name).is_some() || rooms.contains(name);
            let unread = match (unread, known) {
                (_, false) if name.starts_with('#') => "  join".to_owned(),
                (_, false) => "  write to".to_owned(),
                (0, true) => String::new(),
                (unread, true) => format!("  {unread} new"),
            };
            let role = if at == self.chosen { Role::Chosen } else { Role::Plain };
            let name = draw::named(name, usize::from(list.width).saturating_sub(ink::width(&unread)), theme);
            lines.push(ink::line(&format!("{name}{unread}"), theme.style(role)));
        }
        if lines.is_empty() {
            lines.push(ink::line("nothing fits; a name begins with @, a room with #", theme.style(Role::Quiet)));
        }
        frame.render_widget(Paragraph::new(lines), list);
        rows
    }
}

/// Somebody or some room that a word may name: whoever is not known yet is looked up when the first message goes out.
fn named(typed: &str) -> Vec<String> {
    let letters = typed.trim_start_matches(['@', '#']);
    let fits = letters.len() >= 2
        && letters.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.' | '-'));
    match typed.chars().next() {
        _ if !fits => Vec::new(),
        Some('@' | '#') => vec![typed.to_owned()],
        _ => vec![format!("@{letters}"), format!("#{letters}")],
    }
}

/// How far the letters of a pattern lie apart in a name, in order; `None` where they are not all in it. Letters at the
/// beginning and side by side cost nothing.
fn cost(pattern: &str, name: &str) -> Option<usize> {
    let mut cost = 0;
    let mut letters = name.chars().flat_map(char::to_lowercase);
    if !pattern.starts_with(['@', '#']) {
        letters.next();
    }
    for wanted in pattern.chars().flat_map(char::to_lowercase) {
        let mut skipped = 0;
        while letters.next()? != wanted {
            skipped += 1;
        }
        cost += skipped;
    }
    Some(cost)
}

#[cfg(test)]
mod tests {
    use super::{cost, named};

    /// The better a word fits, the less it costs; what does not fit is left out.
    #[test]
    fn the_best_fit_comes_first() {
        assert_eq!(cost("bo", "@bob"), Some(0));
        assert_eq!(cost("bb", "@bob"), Some(1));
        assert_eq!(cost("LOB", "#lobby"), Some(0));
        assert_eq!(cost("#lob", "#lobby"), Some(0));
        assert_eq!(cost("#b", "@bob"), None);
        assert_eq!(cost("xyz", "@bob"), None);
        assert!(cost("gl", "#gardenlovers") > cost("ga", "#gardenlovers"));
        assert_eq!(cost("", "@bob"), Some(0));
    }

    /// A name that nobody has told yet can be written to.
    #[test]
    fn an_unknown_name_is_offered() {
        assert_eq!(named("carol"), ["@carol", "#carol"]);
        assert_eq!(named("#garden"), ["#garden"]);
        assert!(named("c").is_empty() && named("not a name").is_empty());
    }
}
