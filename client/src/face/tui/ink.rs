//! The only way onto the screen: text becomes spans here, after the filter, and in no other file.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

pub(super) use crate::face::columns::{fit, padded, width, wrap};

use crate::face::columns::safe;

/// Text in one style.
pub(super) fn span(text: &str, style: Style) -> Span<'static> {
    Span::styled(safe(text).replace('\n', " "), style)
}

/// One span as a line.
pub(super) fn line(text: &str, style: Style) -> Line<'static> {
    Line::from(vec![span(text, style)])
}

#[cfg(test)]
mod tests {
    /// Every span of the full-screen face is made here, where the filter is.
    #[test]
    fn no_other_file_makes_spans() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/face/tui");
        let mut seen = 0;
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.extension().is_none_or(|extension| extension != "rs") || path.ends_with("ink.rs") {
                continue;
            }
            let source = std::fs::read_to_string(&path).unwrap();
            let code = source.split("#[cfg(test)]").next().unwrap();
            seen += 1;
            for raw in ["Span::", "Line::raw", "Line::styled", "set_string", "set_symbol", "Paragraph::new(\""] {
                assert!(!code.contains(raw), "{} has {raw}", path.display());
            }
        }
        assert!(seen > 5);
    }
}
