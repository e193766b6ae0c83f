//! The terminal itself: taken, given back whatever happens, left for a moment by Ctrl-Z.

use std::io::{Stdout, Write as _, stdout};
use std::time::{Duration, Instant};

use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste, EnableFocusChange,
    EnableMouseCapture, Event as Input, KeyCode, KeyEvent, KeyModifiers,
};
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::sync::mpsc;

use super::theme::light_by_answer;
use crate::api::{Error, ErrorCode};

/// How long a terminal may take to say what its background is like.
const ANSWER: Duration = Duration::from_millis(200);

/// Longest answer, with what was typed meanwhile.
const LONGEST: usize = 4096;

/// Keys that wait to be understood.
const KEYS: usize = 256;

/// A terminal that is taken; given back when it goes out of scope.
pub(super) struct Taken {
    pub(super) terminal: Terminal<CrosstermBackend<Stdout>>,
    mouse: bool,
}

impl Taken {
    pub(super) fn take(mouse: bool) -> Result<Self, Error> {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            give_back();
            hook(info);
        }));
        enter(mouse).map_err(unusable)?;
        match Terminal::new(CrosstermBackend::new(stdout())) {
            Ok(terminal) => Ok(Self { terminal, mouse }),
            Err(error) => {
                give_back();
                Err(unusable(error))
            }
        }
    }

    /// Lets the shell have the terminal until it is given back by `fg`.
    pub(super) fn suspend(&mut self) -> Result<(), Error> {
        give_back();
        let stopped = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TSTP);
        enter(self.mouse).map_err(unusable)?;
        stopped.map_err(|error| unusable(error.into()))?;
        self.redraw()
    }

    /// Draws everything anew: something else has written to the terminal.
    pub(super) fn redraw(&mut self) -> Result<(), Error> {
        execute!(stdout(), Clear(ClearType::All)).map_err(unusable)?;
        // One that believes the screen to be empty: `clear` would ask the terminal where its cursor is, and the answer
        // would come as keys.
        self.terminal = Terminal::new(CrosstermBackend::new(stdout())).map_err(unusable)?;
        Ok(())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

fn enter(mouse: bool) -> std::io::Result<()> {
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste, EnableFocusChange)?;
    if mouse { execute!(stdout(), EnableMouseCapture) } else { Ok(()) }
}

/// As it was, as far as that can be had.
fn give_back() {
    let _ = execute!(
        stdout(),
        DisableMouseCapture,
        DisableFocusChange,
        DisableBracketedPaste,
        LeaveAlternateScreen,
        cursor::Show
    );
    let _ = disable_raw_mode();
}

/// Writes what moves no cursor.
pub(super) fn tell(notice: &str) {
    // A terminal that is gone is noticed when it is drawn on.
    let _ = stdout().write_all(notice.as_bytes()).and_then(|()| stdout().flush());
}

pub(super) fn unusable(error: std::io::Error) -> Error {
    Error::new(ErrorCode::Failed, "the terminal can't be used").because(error.to_string()).advise("sealpost chat")
}

/// Asks whether the background is light, and for the terminal's kind, which every terminal tells: whoever answers only
/// the second does not know the first. `None` where it is not known, or told too late; with it what was typed meanwhile.
pub(super) fn ask_light() -> (Option<bool>, Vec<Input>) {
    let mut out = stdout();
    let asked = out.write_all(b"\x1b]11;?\x1b\\\x1b[c").and_then(|()| out.flush());
    let deadline = Instant::now() + ANSWER;
    let mut answer = Vec::new();
    while asked.is_ok() && !ends_with_kind(&answer) && answer.len() < LONGEST {
        let left = deadline.saturating_duration_since(Instant::now());
        let wait = Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
        let stdin = rustix::stdio::stdin();
        let mut ready = [PollFd::new(&stdin, PollFlags::IN)];
        let mut bytes = [0; 256];
        match poll(&mut ready, Some(&wait)) {
            Ok(1..) => match rustix::io::read(stdin, &mut bytes) {
                Ok(read @ 1..) => answer.extend_from_slice(bytes.get(..read).unwrap_or_default()),
                _ => break,
            },
            _ => break,
        }
    }
    let answer = String::from_utf8_lossy(&answer);
    (light_by_answer(&answer), typed_ahead(&answer))
}

/// The keys between the answers: whoever types before the first frame means it. Keys that are sequences are lost.
fn typed_ahead(answer: &str) -> Vec<Input> {
    let mut keys = Vec::new();
    let mut letters = answer.chars();
    while let Some(letter) = letters.next() {
        let (code, control) = match letter {
            '\u{1b}' => {
                match letters.next() {
                    Some('[' | 'O') => drop(letters.by_ref().find(char::is_ascii_alphabetic)),
                    Some(']') => drop(letters.by_ref().find(|c| matches!(c, '\u{7}' | '\\'))),
                    _ => {}
                }
                continue;
            }
            '\r' => (KeyCode::Enter, false),
            '\t' => (KeyCode::Tab, false),
            '\u{7f}' => (KeyCode::Backspace, false),
            '\u{1}'..='\u{1a}' => match char::from_u32(u32::from(letter) + 0x60) {
                Some(letter) => (KeyCode::Char(letter), true),
                None => continue,
            },
            letter => (KeyCode::Char(letter), false),
        };
        let modifiers = if control { KeyModifiers::CONTROL } else { KeyModifiers::NONE };
        keys.push(Input::Key(KeyEvent::new(code, modifiers)));
    }
    keys
}

/// `ESC [ ? ... c`
fn ends_with_kind(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    text.rfind("\u{1b}[?").is_some_and(|at| text.get(at..).is_some_and(|rest| rest.ends_with('c')))
}

/// What is typed, clicked and pasted, from a thread that ends with the process.
pub(super) fn inputs() -> mpsc::Receiver<Input> {
    let (give, inputs) = mpsc::channel(KEYS);
    std::thread::spawn(move || {
        while let Ok(input) = crossterm::event::read() {
            if give.blocking_send(input).is_err() {
                return;
            }
        }
    });
    inputs
}

#[cfg(test)]
mod tests {
    use crossterm::event::{Event as Input, KeyCode, KeyEvent, KeyModifiers};

    use super::{ends_with_kind, typed_ahead};

    /// What is typed while the terminal answers is typed, and the answers are not.
    #[test]
    fn nothing_that_is_typed_ahead_is_lost() {
        let answer = "h\u{1b}]11;rgb:ffff/ffff/ffff\u{1b}\\i\u{b}\r\u{1b}[?62;22c";
        let key = |code, modifiers| Input::Key(KeyEvent::new(code, modifiers));
        let wanted = [
            key(KeyCode::Char('h'), KeyModifiers::NONE),
            key(KeyCode::Char('i'), KeyModifiers::NONE),
            key(KeyCode::Char('k'), KeyModifiers::CONTROL),
            key(KeyCode::Enter, KeyModifiers::NONE),
        ];
        assert_eq!(typed_ahead(answer), wanted);
        assert!(ends_with_kind(answer.as_bytes()) && !ends_with_kind(b"\x1b]11;rgb:0/0/0\x07"));
    }
}
