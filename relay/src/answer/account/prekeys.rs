//! A device's published keys: each id once.

use sealpost_crypto::identity::{mailbox, verify_prekey};
use sealpost_spec::account::{
    Device, DeviceBundle, DeviceId, DeviceKey, MAX_PREKEYS_AT_ONCE, Name, PrekeyId, PrekeyRole, PublishedKeys,
};
use sealpost_spec::relay::Refusal;
use sealpost_spec::wire::Signed;
use tokio::task::yield_now;

use super::one_time::Beyond;
use crate::answer::row::{self, Current, Mailbox, Presented, decoded, put};
use crate::answer::{No, Relay};
use crate::store::{Fault, Store, Write};

/// So many signatures are verified in one turn of a link: a third of a millisecond.
const SIGNATURES: usize = 8;

/// Published keys, every signature of which was verified with the device's key.
pub(super) struct Verified {
    signed: Option<(PrekeyId, Signed)>,
    last_resort_kem: Option<(PrekeyId, Signed)>,
    box_key: Option<(PrekeyId, Signed)>,
    pub(super) one_time: Vec<(PrekeyId, Signed)>,
    pub(super) one_time_kem: Vec<(PrekeyId, Signed)>,
}

impl Verified {
    /// Verifies each for its role, and lets the `others` of the thread have turns in between. [ACCT-6] [ACCT-7]
    pub(super) async fn new(keys: &PublishedKeys, device: &DeviceKey, others: bool) -> Result<Self, Refusal> {
        if keys.one_time.len().max(keys.one_time_kem.len()) > MAX_PREKEYS_AT_ONCE {
            return Err(Refusal::TooLarge { limit: MAX_PREKEYS_AT_ONCE as u64 });
        }
        let one = |key: &Option<Signed>, role| key.as_ref().map(|key| verified(key, device, role)).transpose();
        Ok(Self {
            signed: one(&keys.signed, PrekeyRole::Signed)?,
            last_resort_kem: one(&keys.last_resort_kem, PrekeyRole::LastResortKem)?,
            box_key: one(&keys.box_key, PrekeyRole::Box)?,
            one_time: all(&keys.one_time, device, PrekeyRole::OneTime, others).await?,
            one_time_kem: all(&keys.one_time_kem, device, PrekeyRole::OneTimeKem, others).await?,
        })
    }
}

fn verified(signed: &Signed, device: &DeviceKey, role: PrekeyRole) -> Result<(PrekeyId, Signed), Refusal> {
    match verify_prekey(signed, device, role) {
        Ok(key) => Ok((key.id, signed.clone())),
        Err(_) => Err(Refusal::BadSignature),
    }
}

async fn all(
    keys: &[Signed],
    device: &DeviceKey,
    role: PrekeyRole,
    others: bool,
) -> Result<Vec<(PrekeyId, Signed)>, Refusal> {
    let mut all = Vec::with_capacity(keys.len());
    for some in keys.chunks(SIGNATURES) {
        if others {
            yield_now().await;
        }
        for signed in some {
            all.push(verified(signed, device, role)?);
        }
    }
    Ok(all)
}

/// Replaces a rotating key by a newer one. The one that is there already changes nothing; an older id, or another key
/// under the same one, is refused. [RELAY-17]
fn rotate(
    current: &mut Option<Signed>,
    highest: &mut [PrekeyId; 5],
    role: PrekeyRole,
    new: Option<&(PrekeyId, Signed)>,
) -> Result<(), Refusal> {
    let Some((id, signed)) = new else { return Ok(()) };
    if current.as_ref() == Some(signed) {
        return Ok(());
    }
    let Some(highest) = highest.get_mut(role as usize - 1) else { return Ok(()) };
    if id <= highest {
        return Err(Refusal::StaleKey);
    }
    *highest = *id;
    *current = Some(signed.clone());
    Ok(())
}

/// The same with all that rotate.
fn rotate_all(device: &mut row::Device, keys: &Verified) -> Result<(), Refusal> {
    let highest = &mut device.highest;
    rotate(&mut device.signed, highest, PrekeyRole::Signed, keys.signed.as_ref())?;
    rotate(&mut device.last_resort_kem, highest, PrekeyRole::LastResortKem, keys.last_resort_kem.as_ref())?;
    rotate(&mut device.box_key, highest, PrekeyRole::Box, keys.box_key.as_ref())
}

impl<S: Store> Relay<S> {
    /// What changes when a device presents itself: its generation, its mailbox, and keys where it brings some; with the
    /// generation that it presented before.
    pub(super) async fn device(
        &self,
        name: &Name,
        device: &Device,
        generation: u64,
        keys: Option<&Verified>,
    ) -> Result<(u64, Vec<Write>), No> {
        let (address, presented) = (row::mailbox(&mailbox(&device.key)), row::presented(name, device.id));
        let mut values = self.store.get(vec![presented.clone(), address.clone()]).await?.into_iter();
        let shown = values.next().flatten().map(decoded::<Presented>).transpose()?;
        let owner = values.next().flatten().map(decoded::<Mailbox>).transpose()?;
        // A row under another key is that of an account that had this name before.
        let before = shown.as_ref().filter(|shown| shown.row.key == device.key).map(|shown| shown.row.generation);
        let (mut batch, earlier) = match (keys, before) {
            // What a login needs is all in the small row.
            (None, Some(before)) => (Vec::new(), before),
            _ => self.published(name, device, keys).await?,
        };
        // [ACCT-12]
        let before = before.unwrap_or_default().max(earlier);
        let mine = Mailbox { name: name.clone(), device: device.id };
        if owner.as_ref().is_none_or(|owner| (&owner.row.name, owner.row.device) != (name, device.id)) {
            batch.push(put(address, Current::rev(owner.as_ref()), &mine)?);
        }
        // Whoever is behind stays behind until they have heard of it, also where this answer is lost. [ACCT-12]
        let generation = if generation > before { generation } else { before.saturating_add(1) };
        let next = Presented { key: device.key, generation };
        if shown.as_ref().is_none_or(|shown| (shown.row.key, shown.row.generation) != (next.key, next.generation)) {
            batch.push(put(presented, Current::rev(shown.as_ref()), &next)?);
        }
        Ok((before, batch))
    }

    /// What changes of all that a device has published, with keys where it brings some; and the generation that stands
    /// there, of a device that has not presented itself since that has a row of its own.
    async fn published(&self, name: &Name, device: &Device, keys: Option<&Verified>) -> Result<(Vec<Write>, u64), No> {
        let current = self.row::<row::Device>(row::device(name, device.id)).await?;
        let new = row::Device {
            key: device.key,
            generation: 0,
            signed: None,
            last_resort_kem: None,
            box_key: None,
            highest: [PrekeyId::NONE; 5],
        };
        let mut pool = self.pool(name, device.id).await?;
        let mut next = match &current {
            Some(current) if current.row.key == device.key => current.row.clone(),
            _ => {
                pool.clear();
                new
            }
        };
        if let Some(keys) = keys {
            rotate_all(&mut next, keys)?;
            // A registration whose answer was lost is made again with new keys: it must not fail for their number.
            self.fill(&mut pool, &mut next.highest, keys, Beyond::LeftOut).await?;
        }
        let mut batch = pool.writes(self).await?;
        if current.as_ref().is_none_or(|current| current.row != next) {
            batch.push(put(row::device(name, device.id), Current::rev(current.as_ref()), &next)?);
        }
        Ok((batch, next.generation))
    }

    /// Merges keys into a device's row; returns what else changes.
    pub(super) async fn with_keys(
        &self,
        name: &Name,
        id: DeviceId,
        device: &mut row::Device,
        keys: &Verified,
    ) -> Result<Vec<Write>, No> {
        rotate_all(device, keys)?;
        let mut pool = self.pool(name, id).await?;
        self.fill(&mut pool, &mut device.highest, keys, Beyond::Refused).await?;
        Ok(pool.writes(self).await?)
    }

    /// The keys of one device for one asker; `None` for a device that has not published all that it must.
    pub(super) async fn device_bundle(
        &self,
        name: &Name,
        device: &Device,
        one_time: bool,
    ) -> Result<Option<DeviceBundle>, Fault> {
        let Some(Current { row, .. }) = self.row::<row::Device>(row::device(name, device.id)).await? else {
            return Ok(None);
        };
        let (Some(signed), Some(last_resort), Some(box_key)) = (row.signed, row.last_resort_kem, row.box_key) else {
            return Ok(None);
        };
        let [first, kem] = match one_time && row.key == device.key {
            true => self.take(name, device.id).await?,
            false => [None, None],
        };
        Ok(Some(DeviceBundle { device: device.id, signed, one_time: first, kem: kem.unwrap_or(last_resort), box_key }))
    }
}
