//! Standard output and standard error: events as lines, errors in three parts.

use std::io::{ErrorKind, IsTerminal as _, Write as _};

use clap::ValueEnum;

use super::{Stop, json, plain};
use crate::api::{Error, ErrorCode, Event, Shown};

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Colour {
    /// Always
    Always,
    /// On a terminal, unless NO_COLOR is set or TERM is dumb
    Auto,
    /// Never
    Never,
}

impl Colour {
    fn on(self, terminal: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                terminal
                    && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                    && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
            }
        }
    }
}

/// Where events go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Screen {
    /// One JSON object a line instead of text.
    pub(super) json: bool,
    /// Nothing but data and errors.
    pub(super) quiet: bool,
    /// Message ids too.
    pub(super) verbose: bool,
    /// Escape sequences may be used on standard output.
    pub(super) colour: bool,
    /// Standard output is a terminal.
    pub(super) terminal: bool,
    /// Advice is given as slash commands: there is a line to type them in.
    pub(super) slash: bool,
}

impl Screen {
    pub(super) fn new(json: bool, quiet: bool, verbose: bool, colour: Colour) -> Self {
        let terminal = std::io::stdout().is_terminal();
        Self { json, quiet, verbose, colour: colour.on(terminal) && !json, terminal, slash: false }
    }

    /// Text that goes to no terminal: a page.
    pub(super) fn plain() -> Self {
        Self { json: false, quiet: false, verbose: false, colour: false, terminal: false, slash: true }
    }

    /// Shows an event on standard output, in whichever way was asked for.
    pub(super) fn show(&self, event: &Event) -> Result<(), Stop> {
        if let Event::Error(error) = event {
            self.complain(error);
            return Ok(());
        }
        match self.line(event) {
            Some(line) => self.print(&line),
            None => Ok(()),
        }
    }

    /// The line or lines of an event; `None` where there is nothing to say.
    pub(super) fn line(&self, event: &Event) -> Option<Shown> {
        if self.json { json::line(event) } else { plain::line(event, self) }
    }

    /// Prints lines on standard output.
    pub(super) fn print(&self, text: &Shown) -> Result<(), Stop> {
        let mut out = std::io::stdout().lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Stop::Closed),
            Err(error) => {
                Err(Error::new(ErrorCode::Failed, "standard output can't be written").because(error.to_string()).into())
            }
        }
    }

    /// Something a person wants to know and a program does not.
    pub(super) fn note(&self, text: impl Into<Shown>) {
        if !self.quiet && !self.json {
            let _ = writeln!(std::io::stderr(), "{}", text.into());
        }
    }

    /// Reports an error: to people on standard error, to programs on standard output.
    pub(super) fn complain(&self, error: &Error) {
        if self.json {
            if let Some(line) = json::line(&Event::Error(error.clone())) {
                let _ = self.print(&line);
            }
        } else {
            let _ = write!(std::io::stderr(), "{}", plain::error(error, self.slash));
        }
    }

    /// The last line for a program.
    pub(super) fn end(&self, exit: u8) -> Result<(), Stop> {
        if self.json { self.print(&json::end(exit)) } else { Ok(()) }
    }
}
