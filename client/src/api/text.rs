use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use unicode_width::UnicodeWidthChar as _;

/// Text that somebody else wrote. It has no `Display`: a face shows it with [`Text::shown`] or [`Text::on_one_line`],
/// which let no control character, escape sequence or bidirectional override through.
#[derive(Clone, PartialEq, Eq, Default, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Text(String);

/// More marks than this on one character are no script, but an attempt to paint over other lines.
const MAX_MARKS: usize = 8;

impl Text {
    /// Wraps text as it arrived.
    pub fn new(raw: impl Into<String>) -> Self {
        Self(raw.into())
    }

    /// For the store and for what is sent on: never for a terminal, a page or a path.
    pub fn as_raw(&self) -> &str {
        &self.0
    }

    /// For a terminal or page: line breaks and tabs are kept, everything else that would be obeyed is spelled out.
    pub fn shown(&self) -> String {
        self.filtered(true)
    }

    /// The same on one line: line breaks are spelled out too.
    pub fn on_one_line(&self) -> String {
        self.filtered(false)
    }

    fn filtered(&self, lines: bool) -> String {
        let mut shown = String::with_capacity(self.0.len());
        let mut marks = 0_usize;
        for c in self.0.chars() {
            if (c == '\n' || c == '\t') && lines {
                shown.push(c);
                marks = 0;
            } else if is_obeyed(c) {
                // Writing to a String can't fail.
                let _ = write!(shown, "<U+{:04X}>", u32::from(c));
                marks = 0;
            } else if c.width() == Some(0) {
                marks += 1;
                if marks <= MAX_MARKS {
                    shown.push(c);
                }
            } else {
                shown.push(c);
                marks = 0;
            }
        }
        shown
    }
}

/// `1 d`, `90 s`: a time in the greatest unit that it fills.
pub(crate) fn in_words(seconds: u32) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min")];
    let unit = units.iter().find(|(length, _)| seconds >= *length && seconds.is_multiple_of(*length));
    unit.map_or_else(|| format!("{seconds} s"), |(length, unit)| format!("{} {unit}", seconds / length))
}

/// Whether a terminal, browser or shell might obey this character instead of showing it.
pub(crate) const fn is_obeyed(c: char) -> bool {
    matches!(
        c,
        '\u{0}'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{200e}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e001f}'
    )
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Text({} bytes)", self.0.len())
    }
}

impl From<String> for Text {
    fn from(raw: String) -> Self {
        Self(raw)
    }
}

#[cfg(test)]
mod tests {
    use super::{Text, in_words};

    #[test]
    fn what_a_terminal_would_obey_is_spelled_out() {
        let hostile = "a\u{1b}]52;c;AAAA\u{7}b\u{9b}2Jc\u{202e}d\re\u{8}\nf";
        assert_eq!(Text::new(hostile).shown(), "a<U+001B>]52;c;AAAA<U+0007>b<U+009B>2Jc<U+202E>d<U+000D>e<U+0008>\nf");
        assert!(Text::new(hostile).on_one_line().ends_with("<U+000A>f"));
    }

    #[test]
    fn scripts_and_emoji_stay_and_towers_of_marks_do_not() {
        let plain = "naïve क्षि 👩‍👩‍👧‍👦 🏴󠁧󠁢󠁥󠁮󠁧󠁿 مرحبا";
        assert_eq!(Text::new(plain).shown(), plain);
        let tower = format!("x{}y", "\u{301}".repeat(10_000));
        assert_eq!(Text::new(tower).shown().chars().count(), 2 + 8);
    }

    #[test]
    fn a_time_is_told_in_its_greatest_unit() {
        for (seconds, told) in [(86_400, "1 d"), (7_200, "2 h"), (90, "90 s"), (120, "2 min"), (0, "0 s")] {
            assert_eq!(in_words(seconds), told);
        }
    }
}
