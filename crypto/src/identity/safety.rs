use sealpost_spec::account::{AccountKey, Name};
use sealpost_spec::label;
use sealpost_spec::wire::layout::Writer;

use crate::primitive::sha512;

/// Version of the safety number; changes only when its formula does.
const VERSION: u16 = 1;
/// Hashes of one side: an attacker who searches a key with a similar number pays each of them.
const ROUNDS: usize = 5_200;

/// 60 digits that two people compare: the same on both sides, whoever computes them. Shown in twelve groups of five.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SafetyNumber(pub String);

impl std::fmt::Display for SafetyNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (place, digit) in self.0.chars().enumerate() {
            if place > 0 && place.is_multiple_of(5) {
                f.write_str(" ")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// The safety number of two accounts. About 10,400 SHA-512 compressions. **[ACCT-11]**
pub fn safety_number(one: (&Name, &AccountKey), other: (&Name, &AccountKey)) -> SafetyNumber {
    let mut sides = [side(one), side(other)];
    sides.sort();
    SafetyNumber(sides.concat())
}

/// 30 digits: six times five bytes, big-endian, modulo 100,000.
fn side((name, key): (&Name, &AccountKey)) -> String {
    let start =
        Writer::new().fixed(label::SAFETY_NUMBER).u16(VERSION).fixed(&key.0).short(name.as_str().as_bytes()).done();
    let first = sha512(&[&start, &key.0]);
    let last = (1..ROUNDS).fold(first, |hash, _| sha512(&[&hash, &key.0]));
    let group = |bytes: &[u8]| bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)) % 100_000;
    last.chunks_exact(5).take(6).map(|bytes| format!("{:05}", group(bytes))).collect()
}
