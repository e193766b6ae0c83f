//! How a session lies in the vault: a version byte, then field after field; every bound is checked when it is read.
use std::sync::Arc;

use sealpost_spec::account::{AccountKey, Device, DeviceId, DeviceKey, IdentityKey, Name};
use sealpost_spec::message::{ChainKey, MAX_SKIPPED_KEYS, ML_KEM_CIPHERTEXT, PqxdhPart};
use sealpost_spec::wire::layout::Reader;

use super::{Facts, Session, id_of};
use crate::pqxdh::Party;
use crate::ratchet::{OwnKey, PeerKey, Ratchet, Receiving, Sending, SkippedKey};
use crate::secret::Secret;
use crate::vault::door::{Door, Pass, Writing};
use crate::{Refused, Zeroizing};

/// Version of this layout. A newer one is refused: the profile was written by a newer program.
const VERSION: u8 = 2;
/// The layout before skipped keys had a day.
const WITHOUT_DAYS: u8 = 1;
/// More than all fields but the skipped keys take.
const FIXED: usize = 8 * 1024;
/// Chain id, number, day, key.
const SKIPPED: usize = 32 + 4 + 4 + 32;

impl Door for Session {
    fn leave(&self, _: Pass) -> Zeroizing<Vec<u8>> {
        let Self { facts, ratchet, receiving_only } = self;
        let Facts { own, peer, initiated, part, id: _, associated } = &**facts;
        let Ratchet { root, peer: peer_key, own: own_key, sending, previous, receiving, skipped } = ratchet;
        let mut out = Writing::with_room(FIXED + skipped.len() * SKIPPED);
        out.u8(VERSION).u8(u8::from(*initiated)).u8(u8::from(*receiving_only));
        out.put(&own.layout()).put(&peer.layout()).put(&part.layout()).put(associated);
        out.put(root.expose());
        match &**peer_key {
            PeerKey::Prekey(curve) => out.u8(0).put(curve),
            PeerKey::Ratchet { curve, kem } => out.u8(1).put(curve).put(&kem[..]),
        };
        match own_key {
            None => out.u8(0),
            Some(own) => {
                out.u8(1).put(own.curve.expose()).put(own.kem.expose()).put(&own.header.ratchet).put(&own.header.kem);
                match &own.header.ciphertext {
                    None => out.u8(0),
                    Some(ciphertext) => out.u8(1).put(ciphertext),
                }
            }
        };
        match sending {
            None => out.u8(0),
            Some(chain) => out.u8(1).put(chain.key.expose()).u32(chain.next),
        };
        out.u32(*previous);
        match receiving {
            None => out.u8(0),
            Some(chain) => out.u8(1).put(&chain.chain).put(chain.key.expose()).u32(chain.next),
        };
        out.u32(skipped.len() as u32);
        for key in skipped.iter() {
            out.put(&key.chain).u32(key.number).u32(key.day).put(key.key.expose());
        }
        out.done()
    }

    fn enter(bytes: &[u8], _: Pass) -> Result<Self, Refused> {
        let mut reader = Reader::new(bytes);
        let version = reader.u8()?;
        if !(WITHOUT_DAYS..=VERSION).contains(&version) {
            return Err(Refused);
        }
        let initiated = flag(&mut reader)?;
        let receiving_only = flag(&mut reader)?;
        let own = party(&mut reader)?;
        let peer = party(&mut reader)?;
        let part = PqxdhPart::parse(&mut reader)?;
        let facts = Facts { own, peer, initiated, id: id_of(&part), part, associated: reader.fixed()? };
        let ratchet = ratchet(&mut reader, version)?;
        reader.done()?;
        if receiving_only && ratchet.sending.is_some() {
            return Err(Refused);
        }
        Ok(Self { facts: Arc::new(facts), ratchet, receiving_only })
    }
}

fn ratchet(reader: &mut Reader<'_>, version: u8) -> Result<Ratchet, Refused> {
    let root = Arc::new(secret(reader)?);
    let peer = match flag(reader)? {
        false => PeerKey::Prekey(reader.fixed()?),
        true => PeerKey::Ratchet { curve: reader.fixed()?, kem: Box::new(reader.fixed()?) },
    };
    let own = match flag(reader)? {
        false => None,
        true => Some(Arc::new(OwnKey {
            curve: secret(reader)?,
            kem: secret(reader)?,
            header: Arc::new(ChainKey {
                ratchet: reader.fixed()?,
                kem: reader.fixed()?,
                ciphertext: match flag(reader)? {
                    false => None,
                    true => Some(reader.fixed::<ML_KEM_CIPHERTEXT>()?),
                },
            }),
        })),
    };
    let sending = match flag(reader)? {
        false => None,
        true => Some(Sending { key: Arc::new(secret(reader)?), next: reader.u32()? }),
    };
    let previous = reader.u32()?;
    let receiving = match flag(reader)? {
        false => None,
        true => Some(Receiving {
            chain: reader.fixed()?,
            header: None,
            key: Arc::new(secret(reader)?),
            next: reader.u32()?,
        }),
    };
    let count = usize::try_from(reader.u32()?).map_err(|_| Refused)?;
    if count > MAX_SKIPPED_KEYS || (sending.is_some() && own.is_none()) {
        return Err(Refused);
    }
    let skipped = (0..count)
        .map(|_| {
            let (chain, number) = (reader.fixed()?, reader.u32()?);
            let day = if version == WITHOUT_DAYS { 0 } else { reader.u32()? };
            Ok(Arc::new(SkippedKey { chain, number, day, key: Arc::new(secret(reader)?) }))
        })
        .collect::<Result<Vec<_>, Refused>>()?;
    Ok(Ratchet { root, peer: Arc::new(peer), own, sending, previous, receiving, skipped: Arc::new(skipped) })
}

fn flag(reader: &mut Reader<'_>) -> Result<bool, Refused> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Refused),
    }
}

fn secret<const N: usize>(reader: &mut Reader<'_>) -> Result<Secret<N>, Refused> {
    Secret::copied(reader.slice(N)?)
}

fn party(reader: &mut Reader<'_>) -> Result<Party, Refused> {
    Ok(Party {
        name: Name::from_bytes(reader.short()?)?,
        account: AccountKey(reader.fixed()?),
        device: Device {
            id: DeviceId(reader.u32()?),
            key: DeviceKey(reader.fixed()?),
            identity: IdentityKey(reader.fixed()?),
        },
    })
}
