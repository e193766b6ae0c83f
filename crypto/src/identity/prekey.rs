use sealpost_spec::account::{DeviceKey, Prekey, PrekeyId, PrekeyRole, X_WING_KEY};
use sealpost_spec::wire::layout::Reader;
use sealpost_spec::wire::{Bytes, Signature, Signed};

use super::DeviceSecret;
use super::purpose::Purpose;
use crate::primitive::{ml_kem, x_wing, x25519_public};
use crate::secret::Secret;
use crate::vault::door::{Door, Pass, Writing};
use crate::{CryptoRng, Refused, Zeroizing};

/// Version and kind of what lies in the vault.
const PREKEY: u8 = 0x13;

/// A prekey's private half with its signed public half. ML-KEM and X-Wing keys are kept as their seeds.
pub struct PrekeySecret {
    half: Half,
    public: Prekey,
    signed: Signed,
}

enum Half {
    Curve(Secret<32>),
    Kem(Secret<64>),
    Wing(Secret<32>),
}

impl PrekeySecret {
    /// A new key, signed by its device. `made_at`: Unix seconds. `id`: from 1, never used before in this role.
    pub fn generate(
        role: PrekeyRole,
        id: PrekeyId,
        made_at: u64,
        device: &DeviceSecret,
        rng: &mut dyn CryptoRng,
    ) -> Self {
        let (half, key) = match role {
            PrekeyRole::Signed | PrekeyRole::OneTime => {
                let secret = Secret::random(rng);
                let key = x25519_public(&secret).to_vec();
                (Half::Curve(secret), key)
            }
            PrekeyRole::LastResortKem | PrekeyRole::OneTimeKem => {
                let seed = Secret::random(rng);
                let key = ml_kem::KeyPair::from_seed(&seed).public().to_vec();
                (Half::Kem(seed), key)
            }
            PrekeyRole::Box => {
                let seed = Secret::random(rng);
                let key = x_wing::public(&seed);
                (Half::Wing(seed), key)
            }
        };
        let public = Prekey { role, id, made_at, key };
        Self { half, signed: device.sign_prekey(&public), public }
    }
    /// What is published.
    pub fn signed(&self) -> &Signed {
        &self.signed
    }
    /// The public half.
    pub fn public(&self) -> &Prekey {
        &self.public
    }
    /// Its role.
    pub fn role(&self) -> PrekeyRole {
        self.public.role
    }
    /// Its id.
    pub fn id(&self) -> PrekeyId {
        self.public.id
    }
    /// Unix time in seconds at which it was made.
    pub fn made_at(&self) -> u64 {
        self.public.made_at
    }

    pub(crate) fn curve(&self) -> Result<&Secret<32>, Refused> {
        match &self.half {
            Half::Curve(secret) => Ok(secret),
            _ => Err(Refused),
        }
    }
    pub(crate) fn curve_pair(&self) -> Result<(&Secret<32>, [u8; 32]), Refused> {
        Ok((self.curve()?, self.public.key.as_slice().try_into().map_err(|_| Refused)?))
    }
    pub(crate) fn kem(&self) -> Result<&Secret<64>, Refused> {
        match &self.half {
            Half::Kem(seed) => Ok(seed),
            _ => Err(Refused),
        }
    }
    pub(crate) fn wing_pair(&self) -> Result<(&Secret<32>, &[u8; X_WING_KEY]), Refused> {
        match &self.half {
            Half::Wing(seed) => Ok((seed, self.public.key.as_slice().try_into().map_err(|_| Refused)?)),
            _ => Err(Refused),
        }
    }
}

impl Door for PrekeySecret {
    fn leave(&self, _: Pass) -> Zeroizing<Vec<u8>> {
        let Self { half, public, signed } = self;
        let secret: &[u8] = match half {
            Half::Curve(secret) | Half::Wing(secret) => secret.expose(),
            Half::Kem(seed) => seed.expose(),
        };
        let mut out = Writing::with_room(1 + 1 + secret.len() + 64 + signed.body.0.len());
        out.u8(PREKEY).u8(public.role as u8).put(secret).put(&signed.signature.0).put(&signed.body.0);
        out.done()
    }
    fn enter(bytes: &[u8], _: Pass) -> Result<Self, Refused> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != PREKEY {
            return Err(Refused);
        }
        let role = PrekeyRole::from_number(reader.u8()?)?;
        let half = match role {
            PrekeyRole::Signed | PrekeyRole::OneTime => Half::Curve(Secret::copied(reader.slice(32)?)?),
            PrekeyRole::LastResortKem | PrekeyRole::OneTimeKem => Half::Kem(Secret::copied(reader.slice(64)?)?),
            PrekeyRole::Box => Half::Wing(Secret::copied(reader.slice(32)?)?),
        };
        let signature = Signature(reader.fixed()?);
        let body = reader.rest().to_vec();
        let public = Prekey::parse(&body)?;
        if public.role != role {
            return Err(Refused);
        }
        Ok(Self { half, public, signed: Signed { body: Bytes(body), signature } })
    }
}

/// Parses a prekey and verifies that this device made it for this role.
///
/// # Errors
/// Malformed, of another role, or not signed by this device. **[ACCT-7]**
pub fn verify_prekey(signed: &Signed, device: &DeviceKey, role: PrekeyRole) -> Result<Prekey, Refused> {
    let prekey = Prekey::parse(&signed.body.0)?;
    if prekey.role != role {
        return Err(Refused);
    }
    Purpose::Prekey.verify(&device.0, signed)?;
    Ok(prekey)
}
