//! The list of conversations: what each is, whom one may believe, how much waits to be read.

use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::ink;
use super::theme::{Role, Theme};
use crate::api::Trust;
use crate::face::view::{Conversation, View, is_public, privacy};

/// Lines of one conversation in the list.
const LINES: usize = 2;

/// Where each conversation was drawn: the row, and the name.
pub(super) type Rows = Vec<(u16, String)>;

pub(super) fn draw(frame: &mut ratatui::Frame, area: Rect, view: &View, theme: Theme) -> Rows {
    let columns = usize::from(area.width);
    let list = view.list();
    let open = list.iter().position(|one| one.name == view.here()).unwrap_or(0);
    // The open one stays in sight.
    let fits = usize::from(area.height) / LINES;
    let first = (open + 1).saturating_sub(fits.max(1));
    let mut lines: Vec<Line<'static>> = Vec::new();
    let mut rows = Rows::new();
    for conversation in list.into_iter().skip(first).take(fits) {
        let row = area.y.saturating_add(u16::try_from(lines.len()).unwrap_or(u16::MAX));
        rows.extend([(row, conversation.name.clone()), (row.saturating_add(1), conversation.name.clone())]);
        let here = conversation.name == view.here();
        let unread = match (conversation.unread, conversation.mentions) {
            (0, _) => String::new(),
            (unread, 0) => format!(" {unread} new"),
            (unread, _) => format!(" {unread} new, @you"),
        };
        let pointer = if here { theme.pointer() } else { " " };
        let name = columns.saturating_sub(ink::width(&unread) + 2);
        let role = if here {
            Role::Chosen
        } else if conversation.unread > 0 && !conversation.muted {
            Role::Unread
        } else {
            Role::Plain
        };
        let name = ink::padded(&conversation.name, name, theme.more());
        lines.push(ink::line(&format!("{pointer} {name}{unread}"), theme.style(role)));
        lines.push(marks(view, conversation, columns, theme));
    }
    frame.render_widget(Paragraph::new(lines), area);
    rows
}

/// `E2E verified` or `PUBLIC 3 members`
pub(super) fn marks(view: &View, conversation: &Conversation, columns: usize, theme: Theme) -> Line<'static> {
    let public = is_public(&conversation.name);
    let (words, role) = match (view.trust(&conversation.name), conversation.members) {
        (_, _) if conversation.blocked => ("blocked".to_owned(), Role::Careful),
        (Some(trust), _) => (trust.words().to_owned(), role_of(trust)),
        (None, Some(1)) if public => ("1 member".to_owned(), Role::Quiet),
        (None, Some(members)) if public => (format!("{members} members"), Role::Quiet),
        (None, _) => (String::new(), Role::Quiet),
    };
    let stranger = if conversation.request { ", a stranger" } else { "" };
    let muted = if conversation.muted { ", muted" } else { "" };
    let words = format!("{words}{stranger}{muted}");
    let privacy = format!("  {} ", privacy(&conversation.name));
    let words = ink::fit(words.trim_start_matches(", "), columns.saturating_sub(privacy.len()), theme.more());
    let beside = if public { Role::Careful } else { Role::Quiet };
    Line::from(vec![ink::span(&privacy, theme.style(beside)), ink::span(&words, theme.style(role))])
}

pub(super) const fn role_of(trust: Trust) -> Role {
    match trust {
        Trust::Verified => Role::Good,
        Trust::Unverified => Role::Careful,
        Trust::KeyChanged => Role::Alarm,
    }
}
