//! A sealed box from anybody: it opens for nobody unless it was sealed for them under this very id, and what it then
//! holds is what was put in.

use std::sync::OnceLock;

use sealpost_crypto::sealed::{box_key_id, open, seal};
use sealpost_spec::account::DeviceId;
use sealpost_spec::mailbox::EnvelopeId;
use sealpost_spec::message::{BOX_SIZES, SealedBox, Sealing};

use super::people::{couple, dice};
use super::script::Script;

/// Under which the one genuine box was sealed.
const ID: EnvelopeId = EnvelopeId([3; 16]);

fn sealing() -> Sealing {
    let couple = couple();
    Sealing { device: DeviceId::FIRST, list: couple.alice.list.clone(), message: couple.to_bob.clone() }
}

/// What Alice sealed for Bob.
pub fn genuine() -> &'static [u8] {
    static SEALED: OnceLock<Vec<u8>> = OnceLock::new();
    SEALED.get_or_init(|| {
        let bob = &couple().bob;
        seal(bob.box_key.public(), &bob.party.device, &ID, &sealing(), &mut dice(9)).unwrap()
    })
}

pub fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let couple = couple();
    let choice = script.byte();
    let mut id = ID;
    if choice & 8 != 0 {
        id.0[script.below(16)] ^= script.byte();
    }
    let mut bytes = match choice & 7 {
        0 => script.rest().to_vec(),
        1 => fitting(&mut script),
        _ => script.bent(genuine()),
    };
    if choice & 16 != 0 {
        // An input need not be long to be of a length that boxes have.
        bytes.resize(BOX_SIZES[usize::from(choice >> 5) % BOX_SIZES.len()], 0);
    }
    let named = box_key_id(&bytes);
    assert_eq!(named.ok(), SealedBox::parse(&bytes).ok().map(|sealed| sealed.key));
    let opened = open(&couple.bob.box_key, &couple.bob.party.device, &id, &bytes);
    assert_eq!(opened.is_ok(), bytes == genuine() && id == ID, "a box that nobody sealed so");
    if let Ok(opened) = opened {
        assert_eq!(opened, sealing());
    }
    for person in [&couple.alice, &couple.bob] {
        let others = open(&couple.alice.box_key, &person.party.device, &id, &bytes);
        assert!(others.is_err(), "a box that opens for somebody else");
        assert!(open(&person.signed, &person.party.device, &id, &bytes).is_err(), "with a key that is no box key");
    }
}

/// Any content that fits comes out as it went in; one that does not is refused.
fn fitting(script: &mut Script<'_>) -> Vec<u8> {
    let bob = &couple().bob;
    let length = usize::from(script.short());
    let sealing = Sealing { message: vec![script.byte(); length], ..sealing() };
    let sealed = seal(bob.box_key.public(), &bob.party.device, &ID, &sealing, &mut dice(u64::from(script.byte())));
    assert_eq!(sealed.is_ok(), sealing.padded().is_some());
    let Ok(sealed) = sealed else { return Vec::new() };
    assert!(BOX_SIZES.contains(&sealed.len()));
    assert_eq!(open(&bob.box_key, &bob.party.device, &ID, &sealed), Ok(sealing));
    script.bent(&sealed[..64])
}
