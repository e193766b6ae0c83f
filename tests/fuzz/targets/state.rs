//! What lies in a profile, in the hands of whoever has its passphrase: secrets of every kind, out of any bytes. What is
//! taken is kept as the same bytes, and can be used without harm.

use sealpost_crypto::identity::{AccountSecret, DeviceSecret, PrekeySecret};
use sealpost_crypto::session::Session;
use sealpost_crypto::vault::Keep;
use sealpost_spec::account::DeviceId;
use sealpost_spec::mailbox::EnvelopeId;

use super::key::locker;
use super::people::{couple, dice};
use super::script::Script;

pub fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let kind = script.byte();
    let couple = couple();
    let bytes = match kind >> 3 {
        0 => script.rest().to_vec(),
        1 => script.bent(&locker().bytes_of(&couple.begun)),
        2 => script.bent(&locker().bytes_of(&couple.alices)),
        3 => script.bent(&locker().bytes_of(&couple.bobs)),
        4 => script.bent(&locker().bytes_of(&couple.bobs.receiving_only())),
        5 => script.bent(&locker().bytes_of(&couple.bob.signed)),
        6 => script.bent(&locker().bytes_of(&couple.bob.kem)),
        7 => script.bent(&locker().bytes_of(&couple.bob.box_key)),
        8 => script.bent(&locker().bytes_of(&couple.bob.device)),
        _ => script.bent(&locker().bytes_of(&couple.bob.account)),
    };
    match kind % 4 {
        0 => session(&bytes),
        1 => prekey(&bytes),
        2 => {
            if let Some(device) = kept::<DeviceSecret>(&bytes) {
                assert_eq!(device.public(DeviceId::FIRST), device.public(DeviceId::FIRST));
            }
        }
        _ => {
            if let Some(account) = kept::<AccountSecret>(&bytes) {
                assert!(AccountSecret::from_words(&account.words()).is_ok_and(|same| same.key() == account.key()));
            }
        }
    }
}

/// What the vault takes the bytes for; it lays the same bytes away again. Those of an older layout become the newer one's.
fn kept<S: Keep>(bytes: &[u8]) -> Option<S> {
    let secret = locker().secret_of::<S>(bytes)?;
    let again = locker().bytes_of(&secret);
    if again.first() == bytes.first() {
        assert!(again == bytes, "two layouts of one secret");
        return Some(secret);
    }
    let newer = locker().secret_of::<S>(&again).expect("what was laid away is taken");
    assert!(again.first() > bytes.first() && locker().bytes_of(&newer) == again);
    Some(secret)
}

/// A session that nobody made: it may refuse everything, and must do so in peace.
fn session(bytes: &[u8]) {
    let Some(session) = kept::<Session>(bytes) else { return };
    let couple = couple();
    for message in couple.first.iter().chain([&couple.exhausted, &couple.to_bob, &couple.to_alice]) {
        if let Ok((next, _)) = session.decrypt(message) {
            kept::<Session>(&locker().bytes_of(&next)).expect("what was decrypted with is kept");
        }
    }
    match session.encrypt(b"hello", &mut dice(8)) {
        Ok((next, message)) => {
            assert!(!session.only_receives());
            assert!(sealpost_crypto::session::chain_id(&message).is_ok());
            kept::<Session>(&locker().bytes_of(&next)).expect("what was encrypted with is kept");
        }
        Err(_) => assert!(locker().bytes_of(&session) == bytes),
    }
    assert!(session.receiving_only().encrypt(b"hello", &mut dice(8)).is_err());
}

fn prekey(bytes: &[u8]) {
    let Some(prekey) = kept::<PrekeySecret>(bytes) else { return };
    let couple = couple();
    let own = &couple.bob.party.device;
    let sealed = vec![0; 6 * 1024];
    assert!(sealpost_crypto::sealed::open(&prekey, own, &EnvelopeId([1; 16]), &sealed).is_err());
}
