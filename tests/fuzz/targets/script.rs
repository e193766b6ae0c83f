//! Reads an input as a script: small numbers that choose, then bytes as they stand.

/// What is left of an input. Where it is used up, every choice is 0 and nothing is left to take.
pub struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Two bytes.
    pub fn short(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// A number below `count`.
    pub fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count.max(1)
    }

    /// One of these.
    pub fn one<'c, T>(&mut self, choices: &'c [T]) -> &'c T {
        &choices[self.below(choices.len())]
    }

    /// The next bytes: as many as a first one says, fewer where fewer are left.
    pub fn some(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// A copy of something genuine, damaged as the script says: up to eight edits.
    pub fn bent(&mut self, genuine: &[u8]) -> Vec<u8> {
        let mut bytes = genuine.to_vec();
        for _ in 0..=self.below(8) {
            if self.is_empty() {
                break;
            }
            let act = self.byte();
            let at = usize::from(self.short()) % (bytes.len() + 1);
            match act % 7 {
                0 if at < bytes.len() => bytes[at] ^= 1 << (act >> 5),
                1 if at < bytes.len() => bytes[at] = self.byte(),
                2 => bytes.truncate(at),
                3 => {
                    bytes.splice(at..at, self.some().iter().copied());
                }
                4 => {
                    let end = (at + self.below(64)).min(bytes.len());
                    bytes.drain(at..end);
                }
                5 => {
                    let new = self.some();
                    let end = (at + new.len()).min(bytes.len());
                    bytes.splice(at..end, new.iter().copied());
                }
                _ => {
                    // A field that moved to the place of another one.
                    let from = usize::from(self.short()) % (bytes.len() + 1);
                    let length = self.below(256).min(bytes.len() - from).min(bytes.len() - at);
                    bytes.copy_within(from..from + length, at);
                }
            }
        }
        bytes
    }
}
