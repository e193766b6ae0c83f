//! A profile in the hands of whoever does not have its passphrase: header and rows, damaged or moved. Nothing opens but
//! what was sealed, where it was sealed. A header that would cost more than it may is refused before anything is derived.

use sealpost_crypto::vault::{Cost, HEADER, Vault};

use super::key::{PASSPHRASE, locker};
use super::people::{couple, dice};
use super::script::Script;

pub fn run(input: &[u8]) {
    let mut script = Script::new(input);
    match script.byte() % 4 {
        0 => header(script.rest()),
        1 => header(&script.bent(&locker().header)),
        2 => row(&mut script),
        _ => secret(&mut script),
    }
}

/// Deriving a key takes a tenth of a second, so only headers are tried that are refused without.
fn header(header: &[u8]) {
    let cost = header.get(8..20).map(|cost| {
        let field = |at: usize| u32::from_le_bytes([cost[at], cost[at + 1], cost[at + 2], cost[at + 3]]);
        Cost { memory: field(0), passes: field(4), lanes: field(8) }
    });
    let within = cost.is_some_and(|cost| {
        (Cost::FLOOR.memory..=Cost::CEILING.memory).contains(&cost.memory)
            && (Cost::FLOOR.passes..=Cost::CEILING.passes).contains(&cost.passes)
            && (Cost::FLOOR.lanes..=Cost::CEILING.lanes).contains(&cost.lanes)
    });
    if header.len() == HEADER && header.starts_with(b"SPVAULT1") && within {
        return;
    }
    assert!(Vault::unlock(header, PASSPHRASE).is_err());
}

const TABLES: [&str; 3] = ["contacts", "contact", ""];

fn row(script: &mut Script<'_>) {
    let vault = &locker().vault;
    let (table, other) = (*script.one(&TABLES), *script.one(&TABLES));
    let (key, other_key) = (vault.blind(table, script.some()), vault.blind(other, script.some()));
    let plain = script.some();
    let sealed = vault.seal(table, &key, plain, &mut dice(7));
    assert_eq!(vault.open(table, &key, &sealed).unwrap().as_slice(), plain);
    let bent = script.bent(&sealed);
    let same = (table, key) == (other, other_key) && bent == sealed;
    assert_eq!(vault.open(other, &other_key, &bent).is_ok(), same, "a row that opens elsewhere or altered");
}

/// A secret opens as what it is, and never as a plain row.
fn secret(script: &mut Script<'_>) {
    use sealpost_crypto::identity::{AccountSecret, DeviceSecret, PrekeySecret};
    use sealpost_crypto::session::Session;
    let (vault, couple, rng) = (&locker().vault, couple(), &mut dice(8));
    let (table, key) = ("secrets", [1; 32]);
    let kind = script.below(4);
    let sealed = match kind {
        0 => vault.seal_secret(table, &key, &couple.alices, rng),
        1 => vault.seal_secret(table, &key, &couple.alice.account, rng),
        2 => vault.seal_secret(table, &key, &couple.alice.device, rng),
        _ => vault.seal_secret(table, &key, &couple.alice.signed, rng),
    };
    let bent = script.bent(&sealed);
    let opens = [
        vault.open_secret::<Session>(table, &key, &bent).is_ok(),
        vault.open_secret::<AccountSecret>(table, &key, &bent).is_ok(),
        vault.open_secret::<DeviceSecret>(table, &key, &bent).is_ok(),
        vault.open_secret::<PrekeySecret>(table, &key, &bent).is_ok(),
    ];
    let mut wanted = [false; 4];
    wanted[kind] = bent == sealed;
    assert_eq!(opens, wanted, "a secret of another kind, or an altered one");
    assert!(vault.open(table, &key, &bent).is_err(), "a secret as plain bytes");
}
