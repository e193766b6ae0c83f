//! What a click and the wheel mean, by what was drawn there.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::{App, Panel, Stage, conversations};
use crate::face::view::says;

/// Lines that one notch of the wheel scrolls.
const NOTCH: usize = 3;

/// Where things were drawn.
#[derive(Default)]
pub(super) struct Areas {
    pub(super) list: conversations::Rows,
    pub(super) messages: Rect,
    /// Which message stands in which row.
    pub(super) ids: Vec<(u16, String)>,
    /// Of a panel with a list.
    pub(super) rows: Vec<Row>,
}

/// A line of a list in a panel.
pub(super) struct Row {
    pub(super) row: u16,
    /// Which one it is, counted from the first.
    pub(super) at: usize,
}

impl App {
    pub(super) fn mouse(&mut self, mouse: MouseEvent) {
        if !matches!(self.stage, Stage::Talking) {
            return;
        }
        match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) => self.clicked(Position { x: mouse.column, y: mouse.row }),
            MouseEventKind::ScrollUp => self.wheel(false),
            MouseEventKind::ScrollDown => self.wheel(true),
            _ => return,
        }
        self.dirty = true;
    }

    fn wheel(&mut self, down: bool) {
        match &mut self.panel {
            Panel::Help(help) => help.scroll(down),
            Panel::None if down => self.scroll_by(NOTCH, false),
            Panel::None => self.scroll_by(NOTCH, true),
            Panel::Jump(_) | Panel::People(_) | Panel::Files(_) | Panel::Verify(_) => {}
        }
    }

    fn clicked(&mut self, at: Position) {
        let row = self.areas.rows.iter().find(|row| row.row == at.y).map(|row| row.at);
        let opened = match (&self.panel, row) {
            (Panel::Jump(jump), Some(row)) => jump.clicked(row, &self.view, &self.rooms),
            (Panel::People(people), Some(row)) => people.clicked(row, &self.view).map(|name| format!("@{name}")),
            (Panel::Files(_), Some(row)) => {
                if let Panel::Files(files) = &mut self.panel {
                    files.choose(row);
                }
                None
            }
            (Panel::None, _) if at.x < self.areas.messages.x => {
                self.areas.list.iter().find(|(row, _)| *row == at.y).map(|(_, name)| name.clone())
            }
            (Panel::None, _) if self.areas.messages.contains(at) => {
                let id = self.areas.ids.iter().find(|(row, _)| *row == at.y).map(|(_, id)| id.clone());
                let says = |id: &String| self.view.current().message(id).is_some_and(says);
                self.selected = id.filter(says).filter(|_| self.about.is_none());
                None
            }
            _ => None,
        };
        if let Some(name) = opened {
            self.panel = Panel::None;
            self.open(&name);
        }
    }
}
