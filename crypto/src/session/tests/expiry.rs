//! How long a skipped key is kept.
use sealpost_spec::message::SKIPPED_KEY_DAYS;

use super::*;

/// A day of 2026.
const TODAY: u32 = 20_500;

/// [MSG-35] a skipped key goes 35 days after the first look at it, and nothing else with it; also through the vault.
#[test]
fn a_skipped_key_lasts_five_weeks() {
    let rng = &mut dice(40);
    let (a, b) = established(rng);
    let (_, messages) = sent(&a, 6, rng);
    let (b, _) = text(b.decrypt(&messages[2]));
    let b = reopened(&b.expire_skipped(TODAY).unwrap());
    let (b, _) = text(b.decrypt(&messages[4]));
    let b = b.expire_skipped(TODAY + 10).unwrap();
    assert!(b.expire_skipped(TODAY + 10).is_none(), "twice a day changes nothing");
    let before = TODAY + SKIPPED_KEY_DAYS - 1;
    assert!(b.expire_skipped(before).is_none());
    assert_eq!(text(b.decrypt(&messages[0])).1, "0");

    let b = reopened(&b.expire_skipped(before + 1).unwrap());
    assert_eq!(b.ratchet.skipped.len(), 1);
    assert_eq!(b.decrypt(&messages[0]).unwrap_err(), Refused);
    assert_eq!(b.decrypt(&messages[1]).unwrap_err(), Refused);
    assert_eq!(text(b.decrypt(&messages[3])).1, "3");
    assert_eq!(text(b.decrypt(&messages[5])).1, "5");
    assert_eq!(b.expire_skipped(before + 11).unwrap().ratchet.skipped.len(), 0);
}

/// A clock that went back neither keeps a key for ever nor wipes one at once.
#[test]
fn a_clock_that_went_back_starts_anew() {
    let rng = &mut dice(41);
    let (a, b) = established(rng);
    let (_, messages) = sent(&a, 2, rng);
    let (b, _) = text(b.decrypt(&messages[1]));
    let b = b.expire_skipped(TODAY + 1_000).unwrap();
    let b = b.expire_skipped(TODAY).unwrap();
    assert!(b.expire_skipped(TODAY + SKIPPED_KEY_DAYS - 1).is_none());
    assert_eq!(b.expire_skipped(TODAY + SKIPPED_KEY_DAYS).unwrap().ratchet.skipped.len(), 0);
}

/// A state that was stored before skipped keys had a day is read, and its keys are kept from now on.
#[test]
fn a_state_without_days_is_read() {
    let rng = &mut dice(42);
    let (a, b) = established(rng);
    let (_, messages) = sent(&a, 3, rng);
    let (b, _) = text(b.decrypt(&messages[2]));
    let now = state(&b.expire_skipped(TODAY).unwrap());
    // Chain id, number, day, key: twice, at the end.
    let mut before = now[..now.len() - 2 * 72].to_vec();
    before[0] = 1;
    for key in now[now.len() - 2 * 72..].chunks(72) {
        before.extend_from_slice(&[&key[..36], &key[40..]].concat());
    }
    let b = Session::enter(&before, crate::vault::tests::pass()).unwrap();
    assert_eq!(text(b.decrypt(&messages[1])).1, "1");
    assert_eq!(state(&b.expire_skipped(TODAY).unwrap()), now);
    before[0] = 0;
    assert!(Session::enter(&before, crate::vault::tests::pass()).is_err());
}
