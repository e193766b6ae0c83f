//! Reads the memory of this process as the kernel shows it: every mapping that can be read and written.
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Piece, mask};

const BLOCK: usize = 64 * 1024;
/// Positions of the filter that is asked before the list.
const FILTER: u32 = 20;

/// Held by a test that searches, from before it makes what it looks for. Another search would read that into a buffer, and it
/// would be found there after it was wiped.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static SEARCHES: Mutex<()> = Mutex::new(());
    SEARCHES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How often each masked piece stands in memory, at any address; those that do not are left out. And the bytes read.
pub(crate) fn search(pieces: &[Piece]) -> (BTreeMap<Piece, usize>, usize) {
    let place = |masked: Piece| (masked.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - FILTER)) as usize;
    let mut filter = vec![false; 1 << FILTER];
    pieces.iter().for_each(|piece| filter[place(*piece)] = true);
    let wanted: std::collections::HashSet<Piece> = pieces.iter().copied().collect();
    let (mask, zeros) = (mask(), vec![0; BLOCK]);
    let (mut found, mut read) = (BTreeMap::new(), 0);
    let memory = File::open("/proc/self/mem").unwrap();
    let mut block = vec![0; BLOCK];
    for (start, end) in mappings() {
        let mut window = 0_u64;
        let mut at = start;
        while at < end {
            let length = BLOCK.min((end - at) as usize);
            // Another thread may have given the mapping back meanwhile.
            if memory.read_exact_at(&mut block[..length], at).is_err() {
                break;
            }
            at += length as u64;
            read += length;
            if block[..length] == zeros[..length] {
                window = 0;
                continue;
            }
            for byte in &block[..length] {
                window = window >> 8 | (*byte as u64) << 56;
                let masked = window ^ mask;
                if filter[place(masked)] && wanted.contains(&masked) {
                    *found.entry(masked).or_insert(0) += 1;
                }
            }
        }
    }
    zeroize::Zeroize::zeroize(&mut block);
    (found, read)
}

fn mappings() -> Vec<(u64, u64)> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let address = |text: &str| u64::from_str_radix(text, 16).unwrap();
    maps.lines()
        .filter_map(|line| {
            let (range, rest) = line.split_once(' ')?;
            let (start, end) = range.split_once('-')?;
            rest.starts_with("rw").then(|| (address(start), address(end)))
        })
        .collect()
}

/// The lowest address of the stack that `work` writes to.
pub(super) fn lowest_written(work: impl FnOnce()) -> usize {
    let bottom = paint();
    work();
    let mut stack = vec![0; PAINTED];
    File::open("/proc/self/mem").unwrap().read_exact_at(&mut stack, bottom as u64).unwrap();
    bottom + stack.iter().position(|byte| *byte != PAINT).unwrap()
}

const PAINTED: usize = 256 * 1024;
const PAINT: u8 = 0xa5;

/// Paints the stack below the caller's frame; the lowest address of that.
#[inline(never)]
fn paint() -> usize {
    let mut stack = [PAINT; PAINTED];
    std::hint::black_box(&mut stack).as_ptr().addr()
}
