//! How long a link waits that is refused again and again: what it asks costs as much as what others ask, and comes faster.

use std::time::Duration;

use sealpost_spec::relay::{Answer, Refusal};
use tokio::time::Instant;

use super::link::MAX_ASKED;

/// So much is refused at no cost: whoever is refused once may have asked for so much before it hears of it.
const FREE: u32 = MAX_ASKED as u32;
/// What is not asked for in one go counts as so many, and as one more for each of so many bytes: a delivery, a post or a
/// part of a file counts as one. A registration with all its keys takes as long to read as to refuse.
pub(super) const ALONE: u32 = 4;
const PIECE: usize = 512;

/// What a request of so many bytes counts that goes alone.
pub(super) fn alone(bytes: usize) -> u32 {
    ALONE + u32::try_from(bytes / PIECE).unwrap_or(FREE)
}
/// After the first one beyond it. Each further one waits twice as long as the one before.
const LEAST: Duration = Duration::from_millis(1);
/// At most: a client that has mended its ways is heard again within a second.
const MOST: Duration = Duration::from_secs(1);

/// What is left of the relay's patience with a link. [RELAY-23]
#[derive(Default)]
pub(super) struct Patience {
    /// What was refused, up to [`FREE`], less what was served since.
    refused: u32,
    /// Refusals beyond it.
    beyond: u32,
    until: Option<Instant>,
}

impl Patience {
    /// Takes note of an answer that the link gets, to something that counts as so much.
    pub(super) fn answered(&mut self, answer: &Result<Answer, Refusal>, weight: u32) {
        match answer {
            Ok(_) if self.beyond > 0 => self.beyond -= 1,
            Ok(_) => self.refused = self.refused.saturating_sub(1),
            // The relay's own trouble.
            Err(Refusal::Internal { .. }) => {}
            Err(_) if self.refused < FREE => self.refused = (self.refused + weight).min(FREE),
            Err(_) => {
                let wait = LEAST.saturating_mul(1_u32.checked_shl(self.beyond).unwrap_or(u32::MAX)).min(MOST);
                self.beyond = self.beyond.saturating_add(1);
                self.until = Some(Instant::now() + wait);
            }
        }
    }

    /// Until when nothing more is read.
    pub(super) fn waits(&self) -> Option<Instant> {
        self.until
    }

    /// It is so late now.
    pub(super) fn waited(&mut self, now: Instant) {
        self.until = self.until.filter(|until| now < *until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(patience: &mut Patience, answer: &Result<Answer, Refusal>) -> Duration {
        patience.answered(answer, 1);
        let wait = patience.waits().map(|until| until - Instant::now()).unwrap_or_default();
        patience.waited(Instant::now() + MOST);
        wait
    }

    /// [RELAY-23] as many refusals as a link may have asked for at once cost it nothing; then each waits twice as long as
    /// the one before, up to a second. What is served makes up for as much; the relay's own trouble counts against nobody.
    #[tokio::test(start_paused = true)]
    async fn patience_ends_slowly() {
        let (mut patience, refused) = (Patience::default(), Err(Refusal::TooFast { retry_after_ms: 1 }));
        assert!((0..FREE).all(|_| waits(&mut patience, &refused).is_zero()));
        let next: Vec<u128> = (0..12).map(|_| waits(&mut patience, &refused).as_millis()).collect();
        assert_eq!(next, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 1000]);
        assert!((0..13).all(|_| waits(&mut patience, &Ok(Answer::Done)).is_zero()));
        assert!(waits(&mut patience, &Err(Refusal::Internal { id: 1 })).is_zero());
        assert!(waits(&mut patience, &refused).is_zero());
        assert_eq!(waits(&mut patience, &refused), LEAST);
        (0..u16::MAX).for_each(|_| patience.answered(&refused, alone(100)));
        assert_eq!(waits(&mut patience, &refused), MOST);
        let mut patience = Patience::default();
        (0..FREE / ALONE).for_each(|_| patience.answered(&refused, alone(100)));
        assert_eq!(patience.waits(), None);
        assert_eq!(waits(&mut patience, &refused), LEAST);
        // Of what is long, fewer: sixteen short ones, or three of ten KiB.
        for (bytes, free) in [(0, 16), (511, 16), (512, 13), (10 * 1024, 3), (64 * 1024, 1)] {
            let mut patience = Patience::default();
            let unhindered = (0..99).take_while(|_| {
                patience.answered(&refused, alone(bytes));
                patience.waits().is_none()
            });
            assert_eq!(unhindered.count(), free, "{bytes} bytes");
        }
    }
}
