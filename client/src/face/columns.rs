//! How text fits into the columns of a terminal.
//!
//! Terminals disagree about how wide a joined emoji is. Where the sum of its parts is not what Unicode says, the parts
//! are drawn one after the other, so that nothing after them stands where another cell is.

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::api::Text;

/// How far right a line goes on.
const INDENT: usize = 4;

/// As it can be drawn: nothing that a terminal would obey, line breaks kept, no cluster of a width that terminals
/// disagree about.
pub(in crate::face) fn safe(text: &str) -> String {
    let shown = Text::new(text).shown();
    let mut safe = String::with_capacity(shown.len());
    for cluster in shown.graphemes(true) {
        let parts: usize = cluster.chars().filter_map(char::width).sum();
        match cluster {
            "\t" => safe.push_str("    "),
            "\n" => safe.push('\n'),
            _ if parts == cluster.width() => safe.push_str(cluster),
            _ => safe.extend(cluster.chars().filter(|c| !joins(*c))),
        }
    }
    safe
}

/// Joins two emoji into one, or changes how one looks.
const fn joins(c: char) -> bool {
    matches!(c, '\u{200d}' | '\u{fe0e}' | '\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}')
}

/// Columns that a line takes.
pub(in crate::face) fn width(text: &str) -> usize {
    safe(text).width()
}

/// At most so many columns of a text, on one line; `more` stands where something was cut.
pub(in crate::face) fn fit(text: &str, columns: usize, more: &str) -> String {
    let text = safe(text).replace('\n', " ");
    if text.width() <= columns {
        return text;
    }
    let room = columns.saturating_sub(more.width());
    let mut fitting = String::new();
    let mut used = 0;
    for cluster in text.graphemes(true) {
        used += cluster.width();
        if used > room {
            break;
        }
        fitting.push_str(cluster);
    }
    if more.width() <= columns {
        fitting.push_str(more);
    }
    fitting
}

/// The same with spaces behind it, so that it takes exactly so many columns.
pub(in crate::face) fn padded(text: &str, columns: usize, more: &str) -> String {
    let mut text = fit(text, columns, more);
    let missing = columns.saturating_sub(text.width());
    text.extend(std::iter::repeat_n(' ', missing));
    text
}

/// Lines of at most so many columns, broken between words, and within a word only where it is longer than a line.
pub(in crate::face) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(2);
    let mut lines = Vec::new();
    for line in safe(text).split('\n') {
        let (mut begun, mut used) = (String::new(), 0);
        for word in line.split_inclusive(' ') {
            if used > 0 && used + word.trim_end().width() > columns {
                lines.push(std::mem::take(&mut begun));
                used = 0;
            }
            for cluster in word.graphemes(true) {
                let wide = cluster.width();
                // A space at the end stays there, beyond the edge: the lines together are the text.
                if used + wide > columns && cluster != " " {
                    lines.push(std::mem::take(&mut begun));
                    used = 0;
                }
                begun.push_str(cluster);
                used += wide;
            }
        }
        lines.push(begun);
    }
    lines
}

/// Lines of a text that is printed: what is longer than the columns goes on below, four columns further right.
pub(in crate::face) fn indented(text: &str, columns: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.split('\n') {
        let mut parts = wrap(line, columns).into_iter();
        lines.extend(parts.next().map(|first| first.trim_end().to_owned()));
        let rest: String = parts.collect();
        if !rest.is_empty() {
            let rest = wrap(&rest, columns.saturating_sub(INDENT));
            lines.extend(rest.iter().map(|part| format!("{:INDENT$}{}", "", part.trim_end())));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

    use super::{fit, indented, padded, safe, wrap};

    /// Whichever way a terminal counts, what is drawn takes as many columns.
    #[test]
    fn all_terminals_agree_on_the_width() {
        let texts = ["naïve", "日本語", "👍🏽 ok", "❤️", "👩‍👩‍👧‍👦 family", "🇩🇪🇫🇷", "1️⃣", "क्षि", "مرحبا", "e\u{301}"];
        for text in texts {
            let drawn = safe(text);
            let parts: usize = drawn.chars().filter_map(|c| c.width()).sum();
            assert_eq!(parts, drawn.width(), "{text} as {drawn}");
        }
        assert_eq!(safe("👩‍👩‍👧‍👦 👍🏽"), "👩👩👧👦 👍");
    }

    /// A line never takes more columns than there are, and nothing is lost at a break but the space.
    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrap("one two three", 8), ["one two ", "three"]);
        assert_eq!(wrap("unbreakable", 4), ["unbr", "eaka", "ble"]);
        assert_eq!(wrap("a\n\nb", 10), ["a", "", "b"]);
        assert_eq!(wrap("日本語日本語", 5), ["日本", "語日", "本語"]);
        for columns in 2..30 {
            let lines = wrap("Pack my 箱 with five dozen liquor jugs, 👍 says the quick brown fox.", columns);
            assert!(lines.iter().all(|line| line.trim_end().width() <= columns), "{lines:?}");
        }
    }

    /// What is too long says so, and stays in its columns.
    #[test]
    fn what_is_cut_is_marked() {
        assert_eq!(fit("conversation", 8, "…"), "convers…");
        assert_eq!(fit("日本語日本語", 7, "~"), "日本語~");
        assert_eq!(fit("short", 8, "…"), "short");
        assert_eq!(padded("ab", 4, "…"), "ab  ");
        assert_eq!(padded("日本語", 4, "…").width(), 4);
    }

    /// A line of a terminal that is too long goes on below, further right.
    #[test]
    fn what_goes_on_is_indented() {
        assert_eq!(indented("@bob: one two three four", 12), "@bob: one\n    two\n    three\n    four");
        assert_eq!(indented("a\nb", 12), "a\nb");
    }
}
