//! Everybody one knows; in a room, who is in it.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::mouse::Row;
use super::theme::{Role, Theme};
use super::{conversations, draw, ink};
use crate::face::plain;
use crate::face::view::View;

pub(super) struct People {
    /// The room whose members are shown.
    room: Option<String>,
    members: Vec<Member>,
    chosen: usize,
}

/// Somebody in the room.
struct Member {
    name: String,
    online: bool,
    /// What stands beside the name, what they made, and why they are away.
    told: String,
}

/// What a key came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Nothing,
    Close,
    Open(String),
    Verify(String),
    Block(String),
}

impl People {
    pub(super) const fn new(room: Option<String>) -> Self {
        Self { room, members: Vec::new(), chosen: 0 }
    }

    /// A member of the room.
    pub(super) fn tell(&mut self, room: &str, name: &str, online: bool, told: String) {
        let name = name.trim_start_matches('@').to_owned();
        if self.room.as_deref() == Some(room) && !self.members.iter().any(|known| known.name == name) {
            self.members.push(Member { name, online, told });
            // Who is there stands first.
            self.members.sort_by(|a, b| b.online.cmp(&a.online).then_with(|| a.name.cmp(&b.name)));
        }
    }

    pub(super) fn key(&mut self, key: KeyEvent, view: &View) -> Wanted {
        let names = self.names(view);
        let name = || names.get(self.chosen).cloned();
        let wanted = match key.code {
            KeyCode::Esc | KeyCode::F(2) => Some(Wanted::Close),
            KeyCode::Enter => name().map(Wanted::Open),
            KeyCode::Char('v') => name().map(Wanted::Verify),
            KeyCode::Char('b') => name().map(Wanted::Block),
            _ => None,
        };
        match key.code {
            KeyCode::Up => self.chosen = self.chosen.saturating_sub(1),
            KeyCode::Down => self.chosen = (self.chosen + 1).min(names.len().saturating_sub(1)),
            KeyCode::Home => self.chosen = 0,
            KeyCode::End => self.chosen = names.len().saturating_sub(1),
            _ => {}
        }
        wanted.unwrap_or(Wanted::Nothing)
    }

    /// A line of the list was clicked.
    pub(super) fn clicked(&self, at: usize, view: &View) -> Option<String> {
        self.names(view).into_iter().nth(at)
    }

    fn names(&self, view: &View) -> Vec<String> {
        match &self.room {
            Some(_) => self.members.iter().map(|member| member.name.clone()).collect(),
            None => view.people().map(|person| person.name.clone()).collect(),
        }
    }

    pub(super) fn draw(&mut self, frame: &mut ratatui::Frame, area: Rect, view: &View, theme: Theme) -> Vec<Row> {
        let title =
            self.room.as_deref().map_or_else(|| "People".to_owned(), |room| format!("In {}", plain::said(room)));
        let inner =
            draw::panel(frame, area, &title, "Enter writes, v verifies, b blocks or unblocks, Esc closes", theme);
        let names = self.names(view);
        self.chosen = self.chosen.min(names.len().saturating_sub(1));
        let fits = usize::from(inner.height);
        let first = (self.chosen + 1).saturating_sub(fits.max(1));
        let columns = usize::from(inner.width);
        let (mut lines, mut rows) = (Vec::new(), Vec::new());
        for (at, name) in names.iter().enumerate().skip(first).take(fits) {
            rows.push(Row { row: inner.y.saturating_add(u16::try_from(lines.len()).unwrap_or(0)), at });
            let role = if at == self.chosen { Role::Chosen } else { Role::Strong };
            let mut spans = vec![
                ink::span(&ink::padded(&plain::account(name), columns.min(22), theme.more()), theme.style(role)),
                ink::span(" ", theme.style(Role::Plain)),
            ];
            let member = self.members.iter().find(|member| member.name == *name);
            if let Some(member) = member {
                let (words, role) = if member.online { ("online   ", Role::Good) } else { ("offline  ", Role::Quiet) };
                spans.push(ink::span(words, theme.style(role)));
            }
            match view.person(name) {
                _ if view.own.as_ref().is_some_and(|own| own.name == *name) => {
                    spans.push(ink::span("you", theme.style(Role::Own)));
                }
                Some(person) => {
                    let words = person.trust.words();
                    spans.push(ink::span(words, theme.style(conversations::role_of(person.trust))));
                    let blocked = if person.blocked { ", blocked" } else { "" };
                    let stranger = if person.accepted { "" } else { ", a stranger" };
                    spans.push(ink::span(&format!("{blocked}{stranger}"), theme.style(Role::Careful)));
                    let room = columns.saturating_sub(Line::from(spans.clone()).width() + 2);
                    if room >= 16 && member.is_none_or(|member| member.told.is_empty()) {
                        let print = ink::fit(&person.fingerprint, room, theme.more());
                        spans.push(ink::span(&format!("  {print}"), theme.style(Role::Quiet)));
                    }
                }
                None => spans.push(ink::span("not known yet", theme.style(Role::Quiet))),
            }
            if let Some(told) = member.map(|member| member.told.as_str()).filter(|told| !told.is_empty()) {
                let room = columns.saturating_sub(Line::from(spans.clone()).width());
                spans.push(ink::span(&ink::fit(told, room, theme.more()), theme.style(Role::Quiet)));
            }
            lines.push(Line::from(spans));
        }
        if lines.is_empty() {
            let words = match &self.room {
                Some(_) => "The relay was asked who is in the room.",
                None => "Nobody yet. Give people your link (sealpost me), add theirs (sealpost add LINK), or /dm NAME.",
            };
            lines.extend(ink::wrap(words, columns).iter().map(|line| ink::line(line, theme.style(Role::Quiet))));
        }
        frame.render_widget(Paragraph::new(lines), inner);
        rows
    }
}
