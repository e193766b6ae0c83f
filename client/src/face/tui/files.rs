//! Files that were sent or came, and how far they are.

use std::time::Instant;

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::mouse::Row;
use super::theme::{Role, Theme};
use super::{draw, ink};
use crate::api::{Command, Transfer, Wait, Way, bytes_in_words};
use crate::face::slash::PATIENCE_MS;
use crate::face::view::{File, View};
use crate::face::{meter, plain};

/// Lines that a file takes.
const LINES: usize = 2;

/// The newest stands first.
#[derive(Default)]
pub(super) struct Files {
    chosen: usize,
}

/// What a key came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Nothing,
    Close,
    /// The conversation in which it stands.
    Open(String),
    /// What lets it go on.
    Go(Box<Command>),
}

impl Files {
    pub(super) fn key(&mut self, key: KeyEvent, view: &View) -> Wanted {
        let last = view.files.len().saturating_sub(1);
        match key.code {
            KeyCode::Esc | KeyCode::F(3) => return Wanted::Close,
            KeyCode::Up => self.chosen = self.chosen.saturating_sub(1),
            KeyCode::Down => self.chosen = (self.chosen + 1).min(last),
            KeyCode::Home => self.chosen = 0,
            KeyCode::End => self.chosen = last,
            KeyCode::Enter => {
                if let Some(file) = view.files.iter().rev().nth(self.chosen) {
                    return enter(&file.transfer);
                }
            }
            KeyCode::Char('x') | KeyCode::Delete => {
                if let Some(file) = view.files.iter().rev().nth(self.chosen) {
                    return end(&file.transfer);
                }
            }
            _ => {}
        }
        Wanted::Nothing
    }

    /// A line of the list was clicked.
    pub(super) const fn choose(&mut self, at: usize) {
        self.chosen = at;
    }

    pub(super) fn draw(&mut self, frame: &mut ratatui::Frame, area: Rect, view: &View, theme: Theme) -> Vec<Row> {
        let keys = "Enter fetches, goes on, or opens the conversation, x ends it, Esc closes";
        let inner = draw::panel(frame, area, "Files", keys, theme);
        self.chosen = self.chosen.min(view.files.len().saturating_sub(1));
        let fits = usize::from(inner.height) / LINES;
        let first = (self.chosen + 1).saturating_sub(fits.max(1));
        let columns = usize::from(inner.width);
        let (mut lines, mut rows) = (Vec::new(), Vec::new());
        for (at, file) in view.files.iter().rev().enumerate().skip(first).take(fits) {
            for _ in 0..LINES {
                rows.push(Row { row: inner.y.saturating_add(u16::try_from(rows.len()).unwrap_or(0)), at });
            }
            lines.extend(drawn(file, at == self.chosen, columns, theme));
        }
        if lines.is_empty() {
            let words = "None yet. /file PATH sends one to the person whose conversation is open.";
            lines.extend(ink::wrap(words, columns).iter().map(|line| ink::line(line, theme.style(Role::Quiet))));
        }
        frame.render_widget(Paragraph::new(lines), inner);
        rows
    }
}

fn enter(file: &Transfer) -> Wanted {
    let goes_on = matches!(file.state, Way::Offered | Way::Waiting | Way::Failed);
    match (&file.path, file.incoming) {
        (_, true) if goes_on => {
            let id = Some(file.id.clone());
            let get = Command::Get { id, within: None, to: None, keep: false, timeout_ms: PATIENCE_MS };
            Wanted::Go(Box::new(get))
        }
        (Some(path), false) if goes_on => {
            let (to, path) = (file.conversation.clone(), path.clone());
            let (wait, timeout_ms) = (Wait::Queued, PATIENCE_MS);
            Wanted::Go(Box::new(Command::SendFile { to, path, wait, timeout_ms, expire: None }))
        }
        _ => Wanted::Open(file.conversation.clone()),
    }
}

/// Ends what is on its way.
fn end(file: &Transfer) -> Wanted {
    match file.state {
        Way::Waiting | Way::Reading | Way::Moving => Wanted::Go(Box::new(Command::Cancel { id: file.id.clone() })),
        Way::Offered | Way::Done | Way::Failed => Wanted::Nothing,
    }
}

fn drawn(file: &File, chosen: bool, columns: usize, theme: Theme) -> [Line<'static>; LINES] {
    let transfer = &file.transfer;
    let way = if transfer.incoming { "from" } else { "to" };
    let name = transfer.name.on_one_line();
    let about = format!("  {way} {}, {}", plain::said(&transfer.conversation), bytes_in_words(transfer.size));
    let name = ink::fit(&name, columns.saturating_sub(ink::width(&about)).max(8), theme.more());
    let role = if chosen { Role::Chosen } else { Role::Strong };
    let head = vec![ink::span(&name, theme.style(role)), ink::span(&about, theme.style(Role::Quiet))];
    let role = match transfer.state {
        Way::Done => Role::Good,
        Way::Failed => Role::Alarm,
        Way::Offered | Way::Waiting => Role::Careful,
        Way::Reading | Way::Moving => Role::Own,
    };
    let words = match (transfer.state, &transfer.path) {
        (Way::Done, Some(path)) if transfer.incoming => format!("saved as {}", plain::said(path)),
        (Way::Offered, _) => "not fetched".to_owned(),
        // Its name stands above.
        _ => meter::words(transfer, file.began, Instant::now()),
    };
    let bar = if transfer.state == Way::Moving { bar(transfer, columns, theme) } else { String::new() };
    let words = ink::fit(&format!("  {bar}{words}"), columns, theme.more());
    [Line::from(head), ink::line(&words, theme.style(role))]
}

/// `[####----] `
fn bar(transfer: &Transfer, columns: usize, theme: Theme) -> String {
    let width: usize = if columns >= 70 { 16 } else { 8 };
    let full = (u128::from(transfer.done) * width as u128).checked_div(u128::from(transfer.size)).unwrap_or(0);
    let full = usize::try_from(full).unwrap_or(0).min(width);
    format!("[{}{}] ", "#".repeat(full), theme.dash().repeat(width - full))
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyEvent};

    use super::{Files, Wanted};
    use crate::api::{Command, Event, Text, Transfer, Way};
    use crate::face::view::View;

    fn view(state: Way, incoming: bool) -> View {
        let mut view = View::default();
        view.hear(&Event::Progress(Transfer {
            id: "00112233".to_owned(),
            conversation: "@bob".to_owned(),
            incoming,
            name: Text::new("a"),
            size: 4,
            done: 1,
            state,
            path: Some("/a".to_owned()),
            trouble: None,
        }));
        view
    }

    /// Enter does what is left to do with a file.
    #[test]
    fn enter_lets_a_file_go_on() {
        let pressed = |view: &View| Files::default().key(KeyEvent::from(KeyCode::Enter), view);
        for state in [Way::Offered, Way::Waiting, Way::Failed] {
            let Wanted::Go(get) = pressed(&view(state, true)) else { panic!("{state:?}") };
            assert!(matches!(&*get, Command::Get { id: Some(id), .. } if id == "00112233"));
        }
        let Wanted::Go(send) = pressed(&view(Way::Waiting, false)) else { panic!("it goes on") };
        assert!(matches!(&*send, Command::SendFile { to, path, .. } if to == "@bob" && path == "/a"));
        for incoming in [true, false] {
            assert_eq!(pressed(&view(Way::Done, incoming)), Wanted::Open("@bob".to_owned()));
        }
        assert_eq!(pressed(&View::default()), Wanted::Nothing);
    }

    /// A key ends what is on its way, and nothing else.
    #[test]
    fn a_key_ends_what_is_on_its_way() {
        let pressed = |view: &View| Files::default().key(KeyEvent::from(KeyCode::Char('x')), view);
        for state in [Way::Waiting, Way::Reading, Way::Moving] {
            let cancel = Wanted::Go(Box::new(Command::Cancel { id: "00112233".to_owned() }));
            assert_eq!(pressed(&view(state, true)), cancel);
            assert_eq!(pressed(&view(state, false)), cancel);
        }
        for state in [Way::Offered, Way::Done, Way::Failed] {
            assert_eq!(pressed(&view(state, true)), Wanted::Nothing, "{state:?}");
        }
        assert_eq!(pressed(&View::default()), Wanted::Nothing);
    }
}
