//! What is said of a command that there is not.

use super::ENTRIES;
use crate::api::{Error, ErrorCode, Text};

/// There is no such command: which one was meant, where a slip of a finger explains it.
pub(super) fn unknown(name: &str) -> Error {
    let name = name.to_ascii_lowercase();
    let names = ENTRIES.iter().flat_map(|entry| entry.names);
    let near = names.map(|known| (distance(&name, known), *known)).min();
    // One wrong letter, or two that changed places: what is further from all is no slip of a finger.
    let begins_alike = |known: &str| name.len() > 3 && name.chars().next() == known.chars().next();
    let near = near.filter(|(distance, known)| *distance < 2 || *distance == 2 && begins_alike(known));
    Error::new(ErrorCode::Usage, format!("there is no command /{}", Text::new(name).on_one_line()))
        .advise(near.map_or_else(|| "/help".to_owned(), |(_, known)| format!("/{known}")))
}

/// Letters to insert, delete or replace until two words are equal (Levenshtein); words are cut at 16 letters.
pub(super) fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().take(16).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().take(16).enumerate() {
        let mut diagonal = i;
        let mut before = i + 1;
        for (slot, b) in row.iter_mut().skip(1).zip(&right) {
            let next = (diagonal + usize::from(a != *b)).min(before + 1).min(*slot + 1);
            diagonal = std::mem::replace(slot, next);
            before = next;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}
