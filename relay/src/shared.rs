//! What relays that share a store agree on there: their key. Each proves it to clients, so all of them have one address.

use crate::store::{Fault, Key, Store, Write, Written};

/// Attempts where relays begin at the same moment.
const ATTEMPTS: usize = 8;

/// Where it stands.
pub fn place() -> Key {
    Key { table: "cluster", key: b"key".to_vec() }
}

/// The public key that the relays of this store have; `None` where there was none yet.
///
/// # Errors
/// The store's own.
pub async fn key<S: Store>(store: &S) -> Result<Option<[u8; 32]>, Fault> {
    let Some(value) = store.get(vec![place()]).await?.pop().flatten() else { return Ok(None) };
    value.bytes.as_ref().try_into().map(Some).map_err(|_| Fault::Damaged("the cluster's key"))
}

/// Writes down a relay's key where there is none yet, and gives the one that stands there.
///
/// # Errors
/// The store's own.
pub async fn agree<S: Store>(store: &S, own: [u8; 32]) -> Result<[u8; 32], Fault> {
    for _ in 0..ATTEMPTS {
        if let Some(there) = key(store).await? {
            return Ok(there);
        }
        let put = Write::Put { key: place(), expected: None, value: own.to_vec() };
        if let [Written::Put(_)] = store.write(vec![put]).await?.as_slice() {
            return Ok(own);
        }
    }
    Err(Fault::Contended("the cluster's key"))
}

/// Makes another key the relays' own.
///
/// # Errors
/// The store's own.
pub async fn replace<S: Store>(store: &S, new: [u8; 32]) -> Result<(), Fault> {
    for _ in 0..ATTEMPTS {
        let before = store.get(vec![place()]).await?.pop().flatten();
        let put = Write::Put { key: place(), expected: before.map(|value| value.rev), value: new.to_vec() };
        if let [Written::Put(_)] = store.write(vec![put]).await?.as_slice() {
            return Ok(());
        }
    }
    Err(Fault::Contended("the cluster's key"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Memory, memory::ready};

    /// The first key is the one, until it is replaced.
    #[test]
    fn the_first_key_stays() {
        let store = Memory::new([7; 16]);
        assert_eq!(ready(key(&store)).unwrap().unwrap(), None);
        for own in [[1; 32], [2; 32]] {
            assert_eq!(ready(agree(&store, own)).unwrap().unwrap(), [1; 32]);
        }
        ready(replace(&store, [2; 32])).unwrap().unwrap();
        assert_eq!(ready(agree(&store, [1; 32])).unwrap().unwrap(), [2; 32]);
    }
}
