//! The whole screen, from what is known at this moment.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::theme::{Role, Theme};
use super::{App, Panel, Stage, conversations, ink, messages};
use crate::api::in_words;
use crate::face::plain;
use crate::face::view::{Connection, KeyChange, is_public, privacy};

/// Smallest terminal that it is drawn on.
const LEAST: (u16, u16) = (40, 10);

/// From this width on the list of conversations stands beside the messages.
const TWO_PANES: u16 = 64;

/// Columns of the list.
const LIST: u16 = 24;

pub(super) fn screen(frame: &mut Frame, app: &mut App) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        too_small(frame, area, app.theme);
        return;
    }
    let [main, status] = Layout::vertical([Constraint::Fill(1), Constraint::Length(1)]).areas(area);
    self::status(frame, status, app);
    app.areas.list.clear();
    let right = if area.width >= TWO_PANES {
        let [list, wall, right] =
            Layout::horizontal([Constraint::Length(LIST), Constraint::Length(1), Constraint::Fill(1)]).areas(main);
        app.areas.list = conversations::draw(frame, list, &app.view, app.theme);
        let bar = ink::line(app.theme.wall(), app.theme.style(Role::Quiet));
        frame.render_widget(Paragraph::new(vec![bar; usize::from(wall.height)]), wall);
        right
    } else {
        main
    };
    conversation(frame, right, app);
    let theme = app.theme;
    app.areas.rows.clear();
    match (&mut app.stage, &mut app.panel) {
        (Stage::Locked(unlock), _) => unlock.draw(frame, area, theme),
        (_, Panel::None) => {}
        (_, Panel::Help(help)) => help.draw(frame, main, theme),
        (_, Panel::Jump(jump)) => app.areas.rows = jump.draw(frame, main, &app.view, &app.rooms, theme),
        (_, Panel::People(people)) => app.areas.rows = people.draw(frame, main, &app.view, theme),
        (_, Panel::Files(files)) => app.areas.rows = files.draw(frame, main, &app.view, theme),
        (_, Panel::Verify(verify)) => verify.draw(frame, main, theme),
    }
}

fn too_small(frame: &mut Frame, area: Rect, theme: Theme) {
    let (columns, rows) = LEAST;
    let words =
        format!("This terminal has {} x {}; {columns} x {rows} are needed. Ctrl-C leaves.", area.width, area.height);
    let lines: Vec<Line<'static>> = ink::wrap(&words, usize::from(area.width))
        .iter()
        .map(|line| ink::line(line, theme.style(Role::Plain)))
        .collect();
    frame.render_widget(Paragraph::new(lines), area);
}

/// The open conversation: what it is, its messages, the line to type in or why there is none.
fn conversation(frame: &mut Frame, area: Rect, app: &mut App) {
    let theme = app.theme;
    let here = app.view.here().to_owned();
    let columns = usize::from(area.width);
    let changed = app.view.changed(&here).map(|changed| key_change(&here, changed, columns, theme));
    // What is typed needs a row at least, and so does what is said.
    let most = area.height.saturating_sub(4).max(1);
    let rows = app.composer.rows(area.width.saturating_sub(2)).min(most);
    let panel =
        changed.as_ref().map_or(0, |lines| u16::try_from(lines.len()).unwrap_or(0)).min(most.saturating_sub(rows));
    let [head, talk, warning, rule, line] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(panel),
        Constraint::Length(1),
        Constraint::Length(rows),
    ])
    .areas(area);
    header(frame, head, app, columns);
    let drawn = messages::draw(frame, talk, app.view.current(), app.scroll, app.selected.as_deref(), theme);
    app.scroll = drawn.scroll;
    app.areas.messages = talk;
    app.areas.ids = drawn.ids;
    // The page before is asked for when its end is in sight.
    app.wants_more = !drawn.above;
    if let Some(lines) = &changed {
        frame.render_widget(Paragraph::new(lines.clone()), warning);
    }
    let below = if app.scroll > 0 { format!(" {} lines below: End ", app.scroll) } else { String::new() };
    let room = columns.saturating_sub(ink::width(&below) + 4);
    let hint = app.hint(theme).map_or_else(String::new, |hint| format!("{} ", ink::fit(&hint, room, theme.more())));
    let dashes = theme.dash().repeat(columns.saturating_sub(ink::width(&below) + ink::width(&hint)));
    let spans = vec![
        ink::span(&hint, theme.style(Role::Own)),
        ink::span(&format!("{dashes}{below}"), theme.style(Role::Quiet)),
    ];
    frame.render_widget(Paragraph::new(Line::from(spans)), rule);
    let [sign, field] = Layout::horizontal([Constraint::Length(2), Constraint::Fill(1)]).areas(line);
    frame.render_widget(Paragraph::new(ink::line(theme.pointer(), theme.style(Role::Strong))), sign);
    let placeholder = match (&changed, is_public(&here)) {
        (Some(_), _) => "nothing is sent; /trust or /block".to_owned(),
        (None, true) => format!("everybody at the relay can read {}", plain::said(&here)),
        (None, false) => format!("only {} can read this", plain::said(&here)),
    };
    app.composer.draw(frame, field, theme, &placeholder);
}

fn header(frame: &mut Frame, area: Rect, app: &App, columns: usize) {
    let theme = app.theme;
    let here = app.view.current();
    let name = ink::fit(&here.name, columns.saturating_sub(24).max(12), theme.more());
    let mut line = Line::from(vec![ink::span(&name, theme.style(Role::Strong))]);
    line.extend(conversations::marks(&app.view, here, columns.saturating_sub(ink::width(&name)), theme).spans);
    if let Some(topic) = &here.topic {
        let room = columns.saturating_sub(line.width() + 2);
        let topic = ink::fit(&topic.on_one_line(), room, theme.more());
        line.push_span(ink::span(&format!("  {topic}"), theme.style(Role::Quiet)));
    }
    if here.typing {
        line.push_span(ink::span("  is typing", theme.style(Role::Quiet)));
    }
    if let Some(seconds) = here.expire_after {
        line.push_span(ink::span(&format!("  deleted after {}", in_words(seconds)), theme.style(Role::Careful)));
    }
    frame.render_widget(Paragraph::new(line), area);
}

/// Why nothing is sent, and what to do.
fn key_change(conversation: &str, changed: &KeyChange, columns: usize, theme: Theme) -> Vec<Line<'static>> {
    let name = plain::account(conversation);
    let bare = name.trim_start_matches('@').to_owned();
    let (old, new) = (plain::said(&changed.old), plain::said(&changed.new));
    let told = [
        (
            Role::Alarm,
            format!("The key of {name} has changed. Nothing is sent to {name} until you accept the new one."),
        ),
        (Role::Plain, format!("was  {old}")),
        (Role::Plain, format!("is   {new}")),
        (
            Role::Plain,
            format!(
                "Ask {name} in person or by phone whether this is the new fingerprint. If it is, type \
                 /trust {bare} and the fingerprint; Tab writes it for you. If not: /block {bare}"
            ),
        ),
    ];
    let lines = told
        .iter()
        .flat_map(|(role, text)| ink::wrap(text, columns).into_iter().map(|line| ink::line(&line, theme.style(*role))));
    lines.collect()
}

/// The truth about the connection, and the way to help.
fn status(frame: &mut Frame, area: Rect, app: &App) {
    let theme = app.theme;
    let (words, role) = match (&app.stage, &app.view.connection) {
        (Stage::Opening, _) => ("opening the profile".to_owned(), Role::Quiet),
        (Stage::Locked(_), _) => ("locked".to_owned(), Role::Careful),
        (Stage::Talking, Connection::Unknown) => ("connecting".to_owned(), Role::Quiet),
        (Stage::Talking, Connection::Up) => ("connected".to_owned(), Role::Good),
        (Stage::Talking, Connection::Down(why)) => (format!("offline: {}", plain::said(why)), Role::Alarm),
    };
    let own = app.view.own.as_ref().map_or_else(String::new, |own| format!("{}  ", plain::account(&own.name)));
    let queued = match app.view.queued() {
        0 => String::new(),
        queued => format!(", {queued} queued"),
    };
    let queued = match app.view.moving() {
        None => queued,
        Some((1, percent)) => format!("{queued}, a file {percent} % (F3)"),
        Some((count, percent)) => format!("{queued}, {count} files {percent} % (F3)"),
    };
    let unread = match app.view.unread() {
        0 => String::new(),
        unread => format!("  {unread} new (Alt-A)"),
    };
    let help = "F1 help  Ctrl-K jump";
    let columns = usize::from(area.width);
    let left = columns.saturating_sub(ink::width(&own) + ink::width(&unread) + help.len() + 2);
    let words = ink::fit(&format!("{words}{queued}"), left, theme.more());
    let used = ink::width(&own) + ink::width(&words) + ink::width(&unread);
    let gap = " ".repeat(columns.saturating_sub(used + help.len()));
    let line = Line::from(vec![
        ink::span(&own, theme.style(Role::Own)),
        ink::span(&words, theme.style(role)),
        ink::span(&unread, theme.style(Role::Unread)),
        ink::span(&gap, theme.style(Role::Plain)),
        ink::span(help, theme.style(Role::Quiet)),
    ]);
    frame.render_widget(Paragraph::new(line), area);
}

/// A box in the middle of the screen with a title and what its keys do; what is inside is the caller's.
pub(super) fn panel(frame: &mut Frame, area: Rect, title: &str, keys: &str, theme: Theme) -> Rect {
    use ratatui::widgets::{Block, Clear};
    let block = Block::bordered()
        .border_set(theme.border())
        .border_style(theme.style(Role::Quiet))
        .title(ink::line(&format!(" {title} "), theme.style(Role::Strong)))
        .title_bottom(ink::line(&format!(" {keys} "), theme.style(Role::Quiet)));
    let inner = block.inner(area);
    frame.render_widget(Clear, area);
    frame.render_widget(block, area);
    inner
}

/// `PUBLIC` or `E2E`, with the name.
pub(super) fn named(conversation: &str, columns: usize, theme: Theme) -> String {
    let mark = privacy(conversation);
    format!("{}  {mark}", ink::padded(conversation, columns.saturating_sub(mark.len() + 2), theme.more()))
}
