//! Real lines for people to say: Debian's `fortunes` where they are installed, made-up ones else; Unicode in any case.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Lines of many scripts, and what is said where there are no fortunes.
const SAMPLE: &str = include_str!("sample.txt");

/// Shorter ones could stand in a program's memory by chance.
const SHORTEST: usize = 24;
/// Longer ones do not fit on a screen.
const LONGEST: usize = 400;

/// Lines, no two alike, and where they are from.
pub struct Said {
    /// The lines.
    pub lines: Vec<String>,
    /// In a few words.
    pub source: String,
}

/// So many different lines.
pub fn different_lines(count: usize) -> Said {
    let folder =
        std::env::var_os("SEALPOST_FORTUNES").map_or_else(|| "/usr/share/games/fortunes".into(), PathBuf::from);
    let fortunes = fortunes(&folder);
    let mut seen = BTreeSet::new();
    let mut lines: Vec<String> = Vec::new();
    let (rare, plain): (Vec<String>, Vec<String>) = fortunes.into_iter().partition(|line| !line.is_ascii());
    let from_fortunes = rare.len() + plain.len();
    // A tenth in scripts that fortunes rarely are in: the sample again and again, numbered.
    let numbered = |round: usize| SAMPLE.lines().map(move |line| format!("{line} ({round})"));
    let sample = SAMPLE.lines().map(str::to_owned).chain((2..).flat_map(numbered)).take((count / 10).max(20));
    for line in sample.chain(rare).chain(plain) {
        if lines.len() < count && seen.insert(line.clone()) {
            lines.push(line);
        }
    }
    let mut round = 1_000;
    while lines.len() < count {
        lines.extend(numbered(round).take(count - lines.len()));
        round += 1;
    }
    // Spread what is rare: a stride without common divisor visits every line once.
    let stride = (1..).map(|k| count / 3 + k).find(|stride| gcd(*stride, count) == 1).unwrap_or(1);
    let lines = (0..count).map(|i| lines[i * stride % count].clone()).collect();
    let source = if from_fortunes > 0 {
        format!("{} ({from_fortunes} lines) and sample.txt", folder.display())
    } else {
        "sample.txt".to_owned()
    };
    Said { lines, source }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The lines of the fortune files of a folder that can be typed and searched for.
fn fortunes(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_none())
        .collect();
    paths.sort();
    let text: Vec<String> = paths.iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect();
    text.iter()
        .flat_map(|text| text.lines())
        .map(str::trim)
        .filter(|line| (SHORTEST..=LONGEST).contains(&line.len()))
        .filter(|line| line.contains(' ') && !line.chars().any(char::is_control))
        .filter(|line| line.chars().any(char::is_alphabetic))
        .map(str::to_owned)
        .collect()
}
