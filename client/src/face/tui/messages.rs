//! The messages of the open conversation, newest at the bottom.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::ink;
use super::theme::{Role, Theme};
use crate::api::{Kind, Message, Trust};
use crate::face::view::{Conversation, Entry, is_public, own};
use crate::face::{names, plain};

/// Messages of one author within this time stand under one name, in seconds.
const TOGETHER: i64 = 300;

/// What is drawn of a conversation.
pub(super) struct Drawn {
    /// Lines that did not fit above.
    pub(super) above: bool,
    /// How far it is scrolled, at most as far as there are lines.
    pub(super) scroll: usize,
    /// Which message stands in which row.
    pub(super) ids: Vec<(u16, String)>,
}

/// Draws the messages that end `scroll` lines before the last one; a selected one is brought into sight.
pub(super) fn draw(
    frame: &mut ratatui::Frame,
    area: Rect,
    conversation: &Conversation,
    scroll: usize,
    selected: Option<&str>,
    theme: Theme,
) -> Drawn {
    let (columns, rows) = (usize::from(area.width), usize::from(area.height));
    let mut scroll = scroll;
    let mut looking = selected.is_some_and(|id| conversation.message(id).is_some());
    // From the newest backwards, only as far as the screen reaches.
    let mut blocks: Vec<(Option<String>, Vec<Line<'static>>)> = Vec::new();
    let mut count = 0;
    let mut at = conversation.entries.len();
    while at > 0 && (looking || count <= rows.saturating_add(scroll)) {
        at -= 1;
        let before = at.checked_sub(1).and_then(|before| conversation.entries.get(before));
        let Some(entry) = conversation.entries.get(at) else { break };
        let mut block = lines(conversation, entry, before, columns, theme);
        let id = if let Entry::Message(message) = entry { Some(message.id.clone()) } else { None };
        if id.is_some() && id.as_deref() == selected {
            looking = false;
            block = block.into_iter().map(|line| line.patch_style(theme.style(Role::Chosen))).collect();
            scroll = scroll.clamp((count + block.len()).saturating_sub(rows), count);
        }
        count += block.len();
        blocks.push((id, block));
    }
    let mut all: Vec<(Option<String>, Line<'static>)> = Vec::new();
    for (id, block) in blocks.into_iter().rev() {
        all.extend(block.into_iter().map(|line| (id.clone(), line)));
    }
    if at == 0 && conversation.whole {
        let words = if conversation.entries.is_empty() { nothing(conversation) } else { "the beginning" };
        all.insert(0, (None, ink::line(words, theme.style(Role::Quiet))));
    }
    let scroll = scroll.min(all.len().saturating_sub(rows));
    let end = all.len() - scroll;
    let start = end.saturating_sub(rows);
    let (ids, shown): (Vec<_>, Vec<_>) = all.get(start..end).unwrap_or_default().iter().cloned().unzip();
    let missing = u16::try_from(rows.saturating_sub(shown.len())).unwrap_or(0);
    let lower = Rect { y: area.y + missing, height: area.height - missing, ..area };
    frame.render_widget(Paragraph::new(shown), lower);
    let ids = ids.into_iter().zip(lower.y..).filter_map(|(id, row)| Some((row, id?))).collect();
    Drawn { above: start > 0 || at > 0, scroll, ids }
}

const fn nothing(conversation: &Conversation) -> &'static str {
    if conversation.blocked { "blocked: nothing more of them is shown" } else { "no messages yet" }
}

fn lines(
    conversation: &Conversation,
    entry: &Entry,
    before: Option<&Entry>,
    columns: usize,
    theme: Theme,
) -> Vec<Line<'static>> {
    match entry {
        Entry::Message(message) => {
            let before = match before {
                Some(Entry::Message(before)) => Some(before.as_ref()),
                _ => None,
            };
            self::message(conversation, message, before, columns, theme)
        }
        Entry::Gap { from, missing } => {
            let noun = if *missing == 1 { "message" } else { "messages" };
            let text = format!("--- {missing} {noun} of {} missing here ---", plain::account(from));
            ink::wrap(&text, columns).iter().map(|line| ink::line(line, theme.style(Role::Careful))).collect()
        }
        Entry::Note(text) => {
            let role = if text.starts_with("error:") { Role::Alarm } else { Role::Quiet };
            ink::wrap(text, columns).iter().map(|line| ink::line(line, theme.style(role))).collect()
        }
    }
}

fn message(
    conversation: &Conversation,
    message: &Message,
    before: Option<&Message>,
    columns: usize,
    theme: Theme,
) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let (day, time) = when(&message.sent_at);
    let day_before = before.map(|before| when(&before.sent_at).0);
    if day_before != Some(day)
        && let Some(day) = day
    {
        let day = day.strftime("%A, %-d %B %Y").to_string();
        lines.push(ruled(&day, columns, Role::Quiet, theme));
    }
    if conversation.fresh.as_ref() == Some(&message.id) {
        lines.push(ruled("new", columns, Role::Unread, theme));
    }
    if let Some(event) = happening(message) {
        let text = format!("{time} {} {event}", plain::account(&message.from));
        lines.extend(ink::wrap(&text, columns).iter().map(|line| ink::line(line, theme.style(Role::Quiet))));
        return lines;
    }
    if !lines.is_empty() || !before.is_some_and(|before| continues(message, before)) {
        lines.push(head(message, &time, theme));
    }
    let mut text =
        if message.kind == Kind::File { plain::file(message, true) } else { message.text.shown().to_string() };
    if let Some(target) = message.target.as_deref().filter(|_| message.kind == Kind::Reply) {
        let quoted = conversation.message(target).map_or_else(
            || "a message that is not here".to_owned(),
            |target| format!("{}: {}", plain::account(&target.from), target.text.on_one_line()),
        );
        let quoted = ink::fit(&format!("in reply to {quoted}"), columns.saturating_sub(4), theme.more());
        lines.push(ink::line(&format!("  {} {quoted}", theme.wall()), theme.style(Role::Quiet)));
    }
    let mut role = if message.mentions_me { Role::Strong } else { Role::Plain };
    if message.action {
        text = format!("* {} {text}", plain::account(&message.from));
    }
    if message.kind == Kind::Removed {
        (text, role) = (format!("({text})"), Role::Quiet);
    }
    let wrapped = ink::wrap(&text, columns.saturating_sub(2));
    // Further lines are indented, so that none can pass for a message of somebody else.
    lines.extend(wrapped.iter().map(|line| ink::line(&format!("  {line}"), theme.style(role))));
    if let Some(marks) = marks(message) {
        put_marks(&mut lines, &marks, columns, theme);
    }
    lines
}

/// What came of a message, in words.
fn marks(message: &Message) -> Option<String> {
    let mut marks = Vec::new();
    if message.edited {
        marks.push("edited".to_owned());
    }
    if let Some(moved) = plain::moved(message.state).filter(|_| own(message)) {
        marks.push(moved.to_owned());
    }
    for reaction in &message.reactions {
        marks.push(format!("{} {}", reaction.emoji.on_one_line(), plain::account(&reaction.from)));
    }
    if marks.is_empty() { None } else { Some(marks.join(", ")) }
}

/// Marks stand behind the last line where there is room, else below it.
fn put_marks(lines: &mut Vec<Line<'static>>, marks: &str, columns: usize, theme: Theme) {
    let style = theme.style(Role::Quiet);
    match lines.last_mut() {
        Some(last) if last.width() + ink::width(marks) + 2 <= columns => {
            last.push_span(ink::span(&format!("  {marks}"), style))
        }
        _ => lines.extend(
            ink::wrap(marks, columns.saturating_sub(2)).iter().map(|line| ink::line(&format!("  {line}"), style)),
        ),
    }
}

/// `@bob verified 08:00`
fn head(message: &Message, time: &str, theme: Theme) -> Line<'static> {
    let (mark, role) = if own(message) {
        ("you", Role::Own)
    } else {
        match message.trust {
            Trust::Verified => ("verified", Role::Good),
            Trust::Unverified => ("unverified", Role::Careful),
            Trust::KeyChanged => ("key changed", Role::Alarm),
        }
    };
    let name = if own(message) { Role::Own } else { Role::Strong };
    let mut spans = vec![
        ink::span(&plain::account(&message.from), theme.style(name)),
        ink::span(&names::beside(message.label.as_ref(), message.display.as_ref()), theme.style(Role::Quiet)),
        ink::span("  ", theme.style(Role::Plain)),
        ink::span(mark, theme.style(role)),
        ink::span(&format!("  {time}"), theme.style(Role::Quiet)),
    ];
    if message.request && !is_public(&message.conversation) {
        spans.push(ink::span("  a stranger: /accept, /refuse or /block", theme.style(Role::Careful)));
    }
    Line::from(spans)
}

/// What happened, where nothing was said.
fn happening(message: &Message) -> Option<String> {
    let about = || message.target.as_deref().map_or_else(String::new, |id| plain::said(id).chars().take(8).collect());
    match message.kind {
        Kind::Join => Some("joined".to_owned()),
        Kind::Leave => Some("left".to_owned()),
        Kind::Reaction => Some(format!("reacted to {}: {}", about(), message.text.on_one_line())),
        Kind::Edit => Some(format!("changed {}: {}", about(), message.text.on_one_line())),
        Kind::Delete => Some(format!("deleted {}", about())),
        Kind::Timer => Some(format!("set: {}", message.text.on_one_line())),
        Kind::Topic | Kind::Kick | Kind::Ban | Kind::Unban | Kind::Remove | Kind::Name | Kind::Away => {
            names::decision(message)
        }
        Kind::Text | Kind::Reply | Kind::Removed | Kind::File => None,
    }
}

/// Whether it stands under the same name as the one before it.
fn continues(message: &Message, before: &Message) -> bool {
    let (one, other) = (before, message);
    let near = match (one.sent_at.parse::<Timestamp>(), other.sent_at.parse::<Timestamp>()) {
        (Ok(one), Ok(other)) => (0..TOGETHER).contains(&other.as_second().saturating_sub(one.as_second())),
        _ => false,
    };
    near && one.from == other.from && one.trust == other.trust && happening(before).is_none() && !other.request
}

/// The day and the time where the reader is.
fn when(sent_at: &str) -> (Option<Date>, String) {
    match sent_at.parse::<Timestamp>() {
        Ok(at) => {
            let at = at.to_zoned(TimeZone::system());
            (Some(at.date()), at.strftime("%H:%M").to_string())
        }
        Err(_) => (None, plain::said(sent_at).to_string()),
    }
}

/// `-- words ------`
fn ruled(words: &str, columns: usize, role: Role, theme: Theme) -> Line<'static> {
    let left = theme.dash().repeat(2);
    let right = theme.dash().repeat(columns.saturating_sub(ink::width(words) + 4));
    ink::line(&format!("{left} {words} {right}"), theme.style(role))
}
