//! What the tests listen in on: each secret as it is made, and each call of a cipher. Compiled for them alone.
//!
//! What was heard is kept masked, so that a search of the memory for it does not find the list of what it looks for.
use std::cell::{Cell, RefCell};
use std::hint::black_box;

use crate::secret::swept;

pub(crate) mod memory;

/// What a secret came from, and what costs time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    /// Drawn: ephemeral, ratchet and prekey secrets, seeds, the randomness of an encapsulation.
    Random,
    X25519,
    X25519Public,
    KemKey,
    Encapsulate,
    Decapsulate,
    XWing,
    Hmac,
    Hkdf,
    Open,
}

/// Eight bytes of a secret, masked.
pub(crate) type Piece = u64;

/// A secret that was made on this thread.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) by: Option<Call>,
    pub(crate) pieces: Vec<Piece>,
}

thread_local! {
    static LISTENS: Cell<bool> = const { Cell::new(false) };
    static BY: Cell<Option<Call>> = const { Cell::new(None) };
    static MADE: RefCell<Vec<Made>> = const { RefCell::new(Vec::new()) };
    static SWEPT: Cell<usize> = const { Cell::new(0) };
    static CALLS: RefCell<Vec<Call>> = const { RefCell::new(Vec::new()) };
}

/// Kept out of sight of the optimiser, which would otherwise unmask at leisure.
pub(crate) fn mask() -> u64 {
    black_box(0x6a09_e667_f3bc_c908)
}

/// Runs `work`; every secret that this thread made, and every call, in their order.
pub(crate) fn listen<R>(work: impl FnOnce() -> R) -> (R, Vec<Made>, Vec<Call>) {
    LISTENS.set(true);
    let result = work();
    LISTENS.set(false);
    (result, MADE.take(), CALLS.take())
}

/// A cipher is called. What is made from now on is its output.
pub(crate) fn called(call: Call) {
    if LISTENS.get() {
        BY.set(Some(call));
        CALLS.with_borrow_mut(|calls| calls.push(call));
    }
}

/// A secret was filled.
pub(crate) fn made(bytes: &[u8]) {
    if LISTENS.get() {
        let pieces = pieces(bytes);
        MADE.with_borrow_mut(|made| made.push(Made { by: BY.get(), pieces }));
    }
}

/// Every eight bytes in a row of each 32 bytes of a secret, masked; and the eighths of what HMAC makes of it as a key. What
/// goes beyond a multiple of 32 bytes is a nonce; pieces of one or two values, as padding has, are none.
pub(crate) fn pieces(bytes: &[u8]) -> Vec<Piece> {
    swept::<4096, _>(|| {
        let told = |piece: &&[u8]| piece.iter().filter(|byte| **byte != piece[0]).count() > 2;
        let word = |piece: &[u8]| u64::from_le_bytes(piece.try_into().unwrap());
        let mut pieces = Vec::with_capacity(bytes.len() / 32 * (25 + 8));
        for part in bytes.chunks_exact(32) {
            pieces.extend(part.windows(8).filter(told).map(|piece| word(piece) ^ mask()));
            for pad in [0x36, 0x5c] {
                let padded = |piece: &[u8]| word(piece) ^ u64::from_le_bytes([pad; 8]) ^ mask();
                pieces.extend(part.chunks_exact(8).filter(told).map(padded));
            }
        }
        pieces
    })
}

/// The stack was overwritten down to this address.
pub(crate) fn swept_to(lowest: usize) {
    SWEPT.set(SWEPT.get().min(lowest));
}

/// How far below what was swept the stack was written to. Nothing may be left there, but for a few bytes of the sweep's own
/// frame.
pub(crate) fn left_unswept(work: impl FnOnce()) -> usize {
    SWEPT.set(usize::MAX);
    let lowest = memory::lowest_written(work);
    SWEPT.get().saturating_sub(lowest)
}
