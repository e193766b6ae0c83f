//! Initiate and accept: what two devices agree on before the first message (PQXDH paper, sections 3.3 and 3.4).
use sealpost_spec::account::{AccountKey, Device, DeviceBundle, DeviceList, Name, Prekey, PrekeyId, PrekeyRole};
use sealpost_spec::label;
use sealpost_spec::message::PqxdhPart;
use sealpost_spec::wire::layout::Writer;
use sealpost_spec::wire::{Signed, VERSION};

use crate::identity::{DeviceSecret, PrekeySecret, verify_prekey};
use crate::primitive::{hkdf, ml_kem, sha256, x_wing, x25519, x25519_public};
use crate::secret::Secret;
use crate::{CryptoRng, Refused};

/// One side of a session, as both sides authenticate it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// The account's name.
    pub name: Name,
    /// The account's key.
    pub account: AccountKey,
    /// The device.
    pub device: Device,
}
impl Party {
    /// Name, account key, device: as the associated data has them.
    pub(crate) fn layout(&self) -> Vec<u8> {
        Writer::new().short(self.name.as_str().as_bytes()).fixed(&self.account.0).fixed(&self.device.layout()).done()
    }
}

/// A device's prekeys, every signature of which was verified; the only thing a session can be started with.
#[derive(Debug)]
pub struct VerifiedBundle {
    party: Party,
    signed: Prekey,
    one_time: Option<Prekey>,
    kem: Prekey,
    box_key: Prekey,
    hash: [u8; 32],
}
impl VerifiedBundle {
    /// Verifies all prekeys of one device with its key in `list`, which [`crate::identity::verify_devices`] returned.
    ///
    /// # Errors
    /// The list has no such device; a signature, a role or a KEM key is wrong. **[MSG-1]** **[MSG-3]**
    pub fn verify(bundle: &DeviceBundle, list: &DeviceList) -> Result<Self, Refused> {
        let device = list.device(bundle.device).ok_or(Refused)?;
        let one_time = bundle.one_time.as_ref();
        let kem = verify_prekey(&bundle.kem, &device.key, PrekeyRole::OneTimeKem)
            .or_else(|_| verify_prekey(&bundle.kem, &device.key, PrekeyRole::LastResortKem))?;
        let verified = Self {
            party: Party { name: list.name.clone(), account: list.account, device: *device },
            signed: verify_prekey(&bundle.signed, &device.key, PrekeyRole::Signed)?,
            one_time: one_time.map(|key| verify_prekey(key, &device.key, PrekeyRole::OneTime)).transpose()?,
            kem,
            box_key: verify_prekey(&bundle.box_key, &device.key, PrekeyRole::Box)?,
            hash: bundle_hash(&bundle.signed, one_time, &bundle.kem),
        };
        let kem_key = verified.kem.key.as_slice().try_into().map_err(|_| Refused)?;
        if !ml_kem::valid(kem_key) || !x_wing::valid(&verified.box_key.key) {
            return Err(Refused);
        }
        Ok(verified)
    }
    /// Whose bundle it is.
    pub fn party(&self) -> &Party {
        &self.party
    }
    /// The box key, for [`crate::sealed::seal`].
    pub fn box_key(&self) -> &Prekey {
        &self.box_key
    }
    /// The signed prekey, whose id never falls.
    pub fn signed_prekey(&self) -> &Prekey {
        &self.signed
    }
    /// Whether the relay still had a one-time key of each kind: without them the first message has less forward
    /// secrecy.
    pub fn is_one_time(&self) -> bool {
        self.one_time.is_some() && self.kem.role == PrekeyRole::OneTimeKem
    }
    /// The X25519 signed prekey, to which the first chain is started.
    pub(crate) fn signed_key(&self) -> Result<[u8; 32], Refused> {
        curve_key(&self.signed)
    }
}

/// The prekeys of one's own that a first message names.
pub struct OwnPrekeys<'a> {
    /// The signed prekey it names.
    pub signed: &'a PrekeySecret,
    /// The one-time prekey it names, where it names one.
    pub one_time: Option<&'a PrekeySecret>,
    /// The KEM prekey it names.
    pub kem: &'a PrekeySecret,
}
impl OwnPrekeys<'_> {
    /// Whether these are the keys that the message names.
    fn match_part(&self, part: &PqxdhPart) -> bool {
        let one_time = self.one_time.map_or(PrekeyId::NONE, PrekeySecret::id);
        (self.signed.role(), self.signed.id()) == (PrekeyRole::Signed, part.signed)
            && self.one_time.is_none_or(|key| key.role() == PrekeyRole::OneTime)
            && one_time == part.one_time
            && (self.kem.role(), self.kem.id()) == (part.kem_role, part.kem)
    }
    fn hash(&self) -> [u8; 32] {
        bundle_hash(self.signed.signed(), self.one_time.map(PrekeySecret::signed), self.kem.signed())
    }
}

/// What both sides have after PQXDH: the root key, and the hash of everything it was made from.
pub(crate) struct Agreement {
    pub(crate) root: Secret<32>,
    pub(crate) associated: [u8; 32],
}

/// The initiator's side. The ephemeral secret and all shared secrets are wiped when this returns.
pub(crate) fn initiate(
    own: &Party,
    secret: &DeviceSecret,
    bundle: &VerifiedBundle,
    rng: &mut dyn CryptoRng,
) -> Result<(PqxdhPart, Agreement), Refused> {
    let ephemeral = Secret::random(rng);
    let random = Secret::random(rng);
    let signed = bundle.signed_key()?;
    let kem = bundle.kem.key.as_slice().try_into().map_err(|_| Refused)?;
    let (ciphertext, shared) = ml_kem::encapsulate(kem, &random)?;
    let one_time = bundle.one_time.as_ref();
    let dh4 = one_time.map(|key| x25519(&ephemeral, &curve_key(key)?)).transpose()?;
    let root = root_key(
        &x25519(secret.identity(), &signed)?,
        &x25519(&ephemeral, &bundle.party.device.identity.0)?,
        &x25519(&ephemeral, &signed)?,
        dh4.as_ref(),
        &shared,
    );
    let part = PqxdhPart {
        ephemeral: x25519_public(&ephemeral),
        signed: bundle.signed.id,
        one_time: one_time.map_or(PrekeyId::NONE, |key| key.id),
        kem_role: bundle.kem.role,
        kem: bundle.kem.id,
        ciphertext,
    };
    let associated = associated_data(own, &bundle.party, &bundle.hash, &part);
    Ok((part, Agreement { root, associated }))
}

/// The recipient's side.
pub(crate) fn accept(
    own: &Party,
    secret: &DeviceSecret,
    prekeys: &OwnPrekeys<'_>,
    peer: &Party,
    part: &PqxdhPart,
) -> Result<Agreement, Refused> {
    if !prekeys.match_part(part) {
        return Err(Refused);
    }
    let signed = prekeys.signed.curve()?;
    let dh4 = prekeys.one_time.map(|key| x25519(key.curve()?, &part.ephemeral)).transpose()?;
    let root = root_key(
        &x25519(signed, &peer.device.identity.0)?,
        &x25519(secret.identity(), &part.ephemeral)?,
        &x25519(signed, &part.ephemeral)?,
        dh4.as_ref(),
        &ml_kem::KeyPair::from_seed(prekeys.kem.kem()?).decapsulate(&part.ciphertext),
    );
    Ok(Agreement { root, associated: associated_data(peer, own, &prekeys.hash(), part) })
}

/// `SK = HKDF(salt = zeros, F || DH1 || DH2 || DH3 [|| DH4] || SS, label)`, F being 32 bytes of 0xFF. **[MSG-5]**
pub(crate) fn root_key(
    dh1: &Secret<32>,
    dh2: &Secret<32>,
    dh3: &Secret<32>,
    dh4: Option<&Secret<32>>,
    kem: &Secret<32>,
) -> Secret<32> {
    let dh4: &[u8] = dh4.map_or(&[], |secret| secret.expose());
    let material = [&[0xff; 32], &dh1.expose()[..], dh2.expose(), dh3.expose(), dh4, kem.expose()];
    hkdf(&[0; 32], &material, &[label::PQXDH])
}

/// Hash of everything that both sides must agree on besides the keys. **[MSG-6]**
pub(crate) fn associated_data(initiator: &Party, recipient: &Party, bundle: &[u8; 32], part: &PqxdhPart) -> [u8; 32] {
    sha256(&[label::SESSION, &VERSION.to_le_bytes(), &initiator.layout(), &recipient.layout(), bundle, &part.layout()])
}

/// Hash of the prekeys as they were served, signatures included.
pub(crate) fn bundle_hash(signed: &Signed, one_time: Option<&Signed>, kem: &Signed) -> [u8; 32] {
    let key = |writer: Writer, key: &Signed| writer.long(&key.body.0).fixed(&key.signature.0);
    let writer = key(Writer::new().fixed(label::BUNDLE), signed);
    let writer = match one_time {
        Some(one_time) => key(writer.u8(1), one_time),
        None => writer.u8(0),
    };
    sha256(&[&key(writer, kem).done()])
}

fn curve_key(key: &Prekey) -> Result<[u8; 32], Refused> {
    key.key.as_slice().try_into().map_err(|_| Refused)
}

#[cfg(test)]
mod tests;
