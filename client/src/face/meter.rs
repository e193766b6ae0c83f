//! How far a file is, on standard error: a bar on a terminal, else a line a second.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::plain;
use super::screen::Screen;
use crate::api::{Transfer, Way, bytes_in_words};

/// How often a line is written where there is no terminal.
const PAUSE: Duration = Duration::from_secs(1);

/// Shows how far files are, one after the other.
pub(super) struct Meter {
    screen: Screen,
    terminal: bool,
    shown: Option<Shown>,
}

/// The file that is shown.
struct Shown {
    id: String,
    state: Way,
    bar: Option<ProgressBar>,
    /// Where it began to move, and when.
    began: (u64, Instant),
    last: Option<Instant>,
}

impl Meter {
    pub(super) fn new(screen: &Screen) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self { screen: *screen, terminal: std::io::stderr().is_terminal() && !dumb, shown: None }
    }

    /// A file came further.
    pub(super) fn shows(&mut self, transfer: &Transfer) {
        if self.screen.quiet || self.screen.json {
            return;
        }
        let now = Instant::now();
        let other = |shown: &Shown| shown.id != transfer.id || shown.state != transfer.state;
        if self.shown.as_ref().is_none_or(other) {
            self.rests();
            let bar = (self.terminal && transfer.state == Way::Moving).then(|| bar(transfer));
            let (id, began) = (transfer.id.clone(), (transfer.done, now));
            self.shown = Some(Shown { id, state: transfer.state, bar, began, last: None });
        }
        let Some(shown) = &mut self.shown else { return };
        match &shown.bar {
            Some(bar) if transfer.state == Way::Moving => bar.set_position(transfer.done),
            _ => {
                let ended = matches!(transfer.state, Way::Done | Way::Failed);
                if ended || shown.last.is_none_or(|last| now.duration_since(last) >= PAUSE) {
                    shown.last = Some(now);
                    self.screen.note(line(transfer, shown.began, now));
                }
            }
        }
    }

    /// Something else is written now.
    pub(super) fn rests(&mut self) {
        if let Some(bar) = self.shown.take().and_then(|shown| shown.bar) {
            bar.finish_and_clear();
        }
    }
}

fn bar(transfer: &Transfer) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg}  {bar:24} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left");
    let bar = ProgressBar::with_draw_target(Some(transfer.size), ProgressDrawTarget::stderr_with_hz(8));
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(transfer.name.on_one_line().to_string());
    // What was there before did not come in this moment.
    bar.set_position(transfer.done);
    bar.reset_eta();
    bar
}

/// `photo.jpg: sending, 1.5 MiB of 3.0 MiB, 512.0 KiB/s, 3 s left`
fn line(transfer: &Transfer, began: (u64, Instant), now: Instant) -> String {
    format!("{}: {}", transfer.name.on_one_line(), words(transfer, began, now))
}

/// The same without its name. `began`: where it began to move, and when.
pub(super) fn words(transfer: &Transfer, (before, since): (u64, Instant), now: Instant) -> String {
    let words = transfer.state.words(transfer.incoming);
    let far = format!("{} of {}", bytes_in_words(transfer.done), bytes_in_words(transfer.size));
    let trouble = transfer.trouble.as_deref().map_or_else(String::new, |trouble| format!(": {}", plain::said(trouble)));
    match transfer.state {
        Way::Moving => {
            let moved = transfer.done.saturating_sub(before);
            let rate =
                (u128::from(moved) * 1_000).checked_div(now.duration_since(since).as_millis()).unwrap_or_default();
            let rate = u64::try_from(rate).unwrap_or(u64::MAX);
            let left = transfer.size.saturating_sub(transfer.done).checked_div(rate);
            let left =
                left.map_or_else(String::new, |left| format!(", {}/s, {} left", bytes_in_words(rate), time(left)));
            format!("{words}, {far}{left}")
        }
        Way::Reading => format!("{words}, {}", bytes_in_words(transfer.done)),
        Way::Offered | Way::Waiting => format!("{words}, {far}{trouble}"),
        Way::Done | Way::Failed => format!("{words}{trouble}"),
    }
}

/// `3 s`, `2 min 5 s`, `1 h 2 min`
fn time(seconds: u64) -> String {
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::line;
    use crate::api::{Text, Transfer, Way};

    fn transfer(state: Way, done: u64) -> Transfer {
        Transfer {
            id: "00".repeat(16),
            conversation: "@bob".to_owned(),
            incoming: false,
            name: Text::new("a\u{1b}[2J.bin"),
            size: 3 << 20,
            done,
            state,
            path: None,
            trouble: Some("the link\u{1b} broke".to_owned()),
        }
    }

    /// A line says how far, how fast and how long; a name is shown, not obeyed.
    #[test]
    fn a_line_says_how_far_it_is() {
        let since = Instant::now();
        let told = |state, done| line(&transfer(state, done), (1 << 20, since), since + Duration::from_secs(2));
        assert_eq!(told(Way::Moving, 2 << 20), "a<U+001B>[2J.bin: sending, 2.0 MiB of 3.0 MiB, 512.0 KiB/s, 2 s left");
        assert_eq!(told(Way::Moving, 1 << 20), "a<U+001B>[2J.bin: sending, 1.0 MiB of 3.0 MiB");
        assert_eq!(told(Way::Waiting, 0), "a<U+001B>[2J.bin: waiting, 0 bytes of 3.0 MiB: the link<U+001B> broke");
        assert_eq!(super::time(3_725), "1 h 2 min");
    }
}
