//! `500ms`, `10s`, `2m`, `1h`, `1d`; a bare number is seconds.

use std::time::Duration;

/// A year: more is a mistake.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Parses a duration.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let millis = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err("a duration looks like 500ms, 10s, 2m, 1h or 1d".to_owned()),
    };
    let duration = number.parse::<u64>().ok().and_then(|number| number.checked_mul(millis)).map(Duration::from_millis);
    duration
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| "a duration looks like 500ms, 10s, 2m, 1h or 1d, and is at most a year".to_owned())
}

/// A time after which something happens, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::face) struct After(pub(in crate::face) Option<Duration>);

impl std::str::FromStr for After {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" { Ok(Self(None)) } else { parse(text).map(|after| Self(Some(after))) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::parse;

    #[test]
    fn durations_have_units_and_a_limit() {
        for (text, millis) in [("500ms", 500), ("10s", 10_000), ("7", 7_000), ("2m", 120_000), ("1d", 86_400_000)] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for refused in ["", "s", "1.5s", "-1", "10 s", "1w", "99999999999999999999d", "366d"] {
            assert!(parse(refused).is_err(), "{refused}");
        }
    }
}
