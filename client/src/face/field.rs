//! A passphrase that is being typed where somebody can see the screen: nothing of it is shown.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::holder::Zeroizing;

/// Longest passphrase in bytes.
const MAX: usize = 4096;

pub(super) struct Field {
    /// Has room for the longest passphrase from the start: growing would leave copies behind.
    typed: Zeroizing<String>,
}

impl Field {
    pub(super) fn new() -> Self {
        Self { typed: Zeroizing::new(String::with_capacity(MAX)) }
    }

    /// A key; the passphrase where it is complete.
    pub(super) fn key(&mut self, key: KeyEvent) -> Option<Zeroizing<String>> {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Enter if !self.typed.is_empty() => return Some(std::mem::replace(self, Self::new()).typed),
            KeyCode::Char('u') if control => self.typed.clear(),
            KeyCode::Char(c) if !control => self.paste(c.encode_utf8(&mut [0; 4])),
            KeyCode::Backspace => {
                self.typed.pop();
            }
            _ => {}
        }
        None
    }

    /// A passphrase from a password manager; its line break is not part of it.
    pub(super) fn paste(&mut self, text: &str) {
        let text = text.trim_end_matches(['\r', '\n']);
        if self.typed.len() + text.len() <= MAX {
            self.typed.push_str(text);
        }
    }

    /// How many characters were typed.
    pub(super) fn length(&self) -> usize {
        self.typed.chars().count()
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

    use super::{Field, MAX};

    #[test]
    fn what_was_typed_is_the_passphrase() {
        let mut field = Field::new();
        assert!(field.key(KeyCode::Enter.into()).is_none(), "nothing is no passphrase");
        field.paste("wrong");
        field.key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL));
        field.paste("a wor\n");
        field.key(KeyCode::Char('d').into());
        field.key(KeyCode::Char('x').into());
        field.key(KeyCode::Backspace.into());
        field.paste(&"x".repeat(MAX));
        assert_eq!(field.length(), 6);
        assert_eq!(field.key(KeyCode::Enter.into()).as_deref().map(String::as_str), Some("a word"));
        assert_eq!(field.length(), 0);
    }
}
