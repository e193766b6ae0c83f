//! The filter between what others wrote and whatever shows it.

use std::fmt::{self, Write as _};
use std::ops::Deref;

use serde::Serialize;
use unicode_width::UnicodeWidthChar as _;

/// Text that nobody obeys: all that a face may show. Whatever becomes one goes through the filter, what the program itself says and
/// what was put together of such texts included: what was filtered already stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Default, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Shown(String);

/// More marks than this on one character are no script, but an attempt to paint over other lines.
const MAX_MARKS: usize = 8;

/// What a character is to whoever shows it.
enum Means {
    /// Itself.
    Itself,
    /// Something to be done: it is spelled out.
    Order,
    /// A mark beyond those that a character can carry.
    Mark,
}

/// Says of one character after the other what it means.
#[derive(Default)]
struct Filter {
    marks: usize,
}

impl Filter {
    fn next(&mut self, c: char) -> Means {
        if !is_obeyed(c) && c.width() == Some(0) {
            self.marks += 1;
            return if self.marks <= MAX_MARKS { Means::Itself } else { Means::Mark };
        }
        self.marks = 0;
        if is_obeyed(c) { Means::Order } else { Means::Itself }
    }
}

impl Shown {
    /// `lines`: line breaks and tabs are kept.
    pub(super) fn of(text: &str, lines: bool) -> Self {
        let mut shown = String::with_capacity(text.len());
        let mut filter = Filter::default();
        for c in text.chars() {
            match filter.next(c) {
                Means::Order if (c == '\n' || c == '\t') && lines => shown.push(c),
                // Writing to a String can't fail.
                Means::Order => drop(write!(shown, "<U+{:04X}>", u32::from(c))),
                Means::Itself => shown.push(c),
                Means::Mark => {}
            }
        }
        Self(shown)
    }

    /// JSON in which nothing is left that a terminal would obey.
    pub(crate) fn json(value: &impl Serialize) -> Self {
        let json = serde_json::to_string(value).expect("strings, numbers and enums have a JSON form");
        // JSON's own syntax has none of what is escaped, so it stands inside strings, where an escape means the same.
        let mut escaped = String::with_capacity(json.len());
        let mut filter = Filter::default();
        for c in json.chars() {
            if matches!(filter.next(c), Means::Itself) {
                escaped.push(c);
                continue;
            }
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String can't fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
        Self(escaped)
    }

    /// With this below it.
    #[must_use]
    pub(crate) fn above(mut self, below: impl Into<Self>) -> Self {
        self.0.push('\n');
        self.0.push_str(&below.into().0);
        self
    }

    /// With a QR code below it, drawn by whoever draws codes: of blocks alone. With colour it is black on white whatever the
    /// terminal's theme.
    #[must_use]
    pub(crate) fn above_code(mut self, drawn: &str, colour: bool) -> Self {
        for line in drawn.lines() {
            let blocks = line.chars().filter(|c| matches!(c, ' ' | '▀' | '▄' | '█'));
            self.0.push('\n');
            self.0.push_str(if colour { "\u{1b}[97;40m" } else { "" });
            self.0.extend(blocks);
            self.0.push_str(if colour { "\u{1b}[0m" } else { "" });
        }
        self
    }
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

impl Deref for Shown {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<&str> for Shown {
    fn from(text: &str) -> Self {
        Self::of(text, true)
    }
}

impl From<String> for Shown {
    fn from(text: String) -> Self {
        Self::of(&text, true)
    }
}

impl From<&String> for Shown {
    fn from(text: &String) -> Self {
        Self::of(text, true)
    }
}

impl From<Shown> for String {
    fn from(text: Shown) -> Self {
        text.0
    }
}

impl From<&Self> for Shown {
    fn from(text: &Self) -> Self {
        text.clone()
    }
}

impl PartialEq<&str> for Shown {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

#[cfg(test)]
mod tests {
    use super::{Shown, is_obeyed};
    use crate::api::Text;

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

    /// Filtered again, a text stays as it is: whoever puts texts together may filter them as a whole.
    #[test]
    fn what_was_filtered_stays_as_it_is() {
        for hostile in crate::face::PAYLOADS {
            let once = Text::new(*hostile).shown();
            assert_eq!(Shown::from(once.to_string()), once);
            assert!(once.chars().all(|c| c == '\n' || c == '\t' || !is_obeyed(c)), "{once:?}");
        }
    }

    /// Everything that Unicode has for orders rather than signs, to the edge of each range, and nothing beside it: scripts and
    /// emoji need their joiners, and flags their tags.
    #[test]
    fn the_edges_of_what_is_obeyed() {
        let ranges = [
            ('\u{0}', '\u{1f}'),
            ('\u{7f}', '\u{9f}'),
            ('\u{ad}', '\u{ad}'),
            ('\u{61c}', '\u{61c}'),
            ('\u{180e}', '\u{180e}'),
            ('\u{200b}', '\u{200b}'),
            ('\u{200e}', '\u{200f}'),
            ('\u{2028}', '\u{202e}'),
            ('\u{2060}', '\u{206f}'),
            ('\u{feff}', '\u{feff}'),
            ('\u{fff9}', '\u{fffb}'),
            ('\u{e0000}', '\u{e001f}'),
        ];
        let count = ('\u{0}'..=char::MAX).filter(|c| is_obeyed(*c)).count();
        assert_eq!(count, ranges.iter().map(|(first, last)| (*first..=*last).count()).sum::<usize>());
        for (first, last) in ranges {
            assert!((first..=last).all(is_obeyed), "{first:?} to {last:?}");
        }
        assert!(!['\u{200c}', '\u{200d}', '\u{fe0f}', '\u{e0020}', '\u{e007f}'].into_iter().any(is_obeyed));
    }

    /// Whatever a text is made of, it goes through the filter: none of the ways to make one leads past it.
    #[test]
    fn every_way_to_make_one_filters() {
        for hostile in crate::face::PAYLOADS {
            let shown = Text::new(*hostile).shown();
            let owned = hostile.to_string();
            let made =
                [Shown::from(*hostile), Shown::from(&owned), Shown::from(owned.clone()), Shown::default().above(owned)];
            let [borrowed, referred, owned, below] = made;
            assert_eq!([&borrowed, &referred, &owned], [&shown; 3]);
            assert_eq!(below, Shown::from(format!("\n{shown}")));
        }
    }

    /// Everything comes back from JSON, a tower of marks included, and none of it stands there as it is.
    #[test]
    fn json_escapes_what_is_obeyed() {
        for hostile in crate::face::PAYLOADS {
            let json = Shown::json(&[hostile]);
            assert_eq!(serde_json::from_str::<[String; 1]>(&json).unwrap(), [*hostile]);
            assert_eq!(Shown::from(&*json), json, "{json:?}");
        }
    }

    /// Below a text stands a code, or what looks like one, but no order to the terminal beside the two for its colour.
    #[test]
    fn a_code_has_blocks_alone() {
        assert_eq!(Shown::from("me").above_code("█▀\u{1b}[2J ▄\n█", false), "me\n█▀ ▄\n█");
        assert_eq!(Shown::from("me").above_code("█", true), "me\n\u{1b}[97;40m█\u{1b}[0m");
    }
}
