use serde::{Deserialize, Serialize};

use super::Shown;

/// Text that somebody else wrote. It has no `Display`: a face shows it with [`Text::shown`] or [`Text::on_one_line`],
/// which let no control character, escape sequence or bidirectional override through.
#[derive(Clone, PartialEq, Eq, Default, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Text(String);

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
    pub fn shown(&self) -> Shown {
        Shown::of(&self.0, true)
    }

    /// The same on one line: line breaks are spelled out too.
    pub fn on_one_line(&self) -> Shown {
        Shown::of(&self.0, false)
    }
}

/// `1 d`, `90 s`: a time in the greatest unit that it fills.
pub(crate) fn in_words(seconds: u32) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min")];
    let unit = units.iter().find(|(length, _)| seconds >= *length && seconds.is_multiple_of(*length));
    unit.map_or_else(|| format!("{seconds} s"), |(length, unit)| format!("{} {unit}", seconds / length))
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
    use super::in_words;

    #[test]
    fn a_time_is_told_in_its_greatest_unit() {
        for (seconds, told) in [(86_400, "1 d"), (7_200, "2 h"), (90, "90 s"), (120, "2 min"), (0, "0 s")] {
            assert_eq!(in_words(seconds), told);
        }
    }
}
