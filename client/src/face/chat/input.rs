//! Where lines come from: a terminal with an editor, or a pipe.

use std::io::{BufRead as _, IsTerminal as _, Read as _};

use tokio::sync::mpsc;

use super::talk::{Printer, Talk};
use super::terminal::Terminal;
use crate::face::screen::Screen;

/// Longest line of a pipe in bytes; the rest of a longer one becomes a line of its own.
const MAX_LINE: u64 = 64 * 1024;

/// Lines that wait to be taken.
const QUEUE: usize = 16;

/// What came of reading.
pub(super) enum Typed {
    /// A line, or several that were pasted as one.
    Line(String),
    /// The pipe ended.
    End,
    /// Ctrl-C or Ctrl-D.
    Left,
}

pub(super) enum Input {
    Pipe {
        lines: mpsc::Receiver<String>,
        screen: Screen,
    },
    Terminal(Terminal),
    /// A terminal that is somebody else's for a moment: to ask for a passphrase.
    Paused(Screen),
}

impl Input {
    pub(super) fn start(screen: Screen, may_ask: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let terminal = screen.terminal && std::io::stdin().is_terminal() && !screen.json && may_ask && !dumb;
        if terminal && let Some(terminal) = Terminal::start(screen) {
            return Self::Terminal(terminal);
        }
        let (given, lines) = mpsc::channel(QUEUE);
        std::thread::spawn(move || read_pipe(&given));
        Self::Pipe { lines, screen }
    }

    /// How events are printed without tearing what is being typed.
    pub(super) fn printer(&self) -> Printer {
        match self {
            Self::Pipe { screen, .. } | Self::Paused(screen) => {
                let screen = *screen;
                Box::new(move |text| screen.print(text))
            }
            Self::Terminal(terminal) => terminal.printer(),
        }
    }

    pub(super) async fn next(&mut self) -> Typed {
        match self {
            Self::Pipe { lines, .. } => lines.recv().await.map_or(Typed::End, Typed::Line),
            Self::Terminal(terminal) => terminal.next().await,
            Self::Paused(_) => std::future::pending().await,
        }
    }

    /// Gives the terminal back as it was; a line that was being typed is given up.
    pub(super) async fn pause(&mut self) {
        if let Self::Terminal(terminal) = self {
            let screen = terminal.screen();
            if let Self::Terminal(terminal) = std::mem::replace(self, Self::Paused(screen)) {
                terminal.stop().await;
            }
        }
    }

    /// Takes the terminal back.
    pub(super) fn resume(&mut self, talk: &mut Talk) {
        if let Self::Paused(screen) = self
            && let Some(terminal) = Terminal::start(*screen)
        {
            *self = Self::Terminal(terminal);
            talk.print_with(self.printer());
        }
    }

    /// Shows where typed text goes, and lets the next line be typed.
    pub(super) fn describe(&mut self, talk: &Talk) {
        if let Self::Terminal(terminal) = self {
            terminal.describe(talk.prompt(), talk.words());
        }
    }

    /// Whether a person types what comes.
    pub(super) const fn is_typed(&self) -> bool {
        matches!(self, Self::Terminal(_))
    }
}

fn read_pipe(given: &mpsc::Sender<String>) {
    let mut stdin = std::io::stdin().lock();
    loop {
        let mut line = Vec::new();
        match stdin.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let line = String::from_utf8_lossy(&line).into_owned();
                if given.blocking_send(line).is_err() {
                    return;
                }
            }
        }
    }
}
