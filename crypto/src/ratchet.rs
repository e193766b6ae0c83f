//! The hybrid double ratchet: `step(&old) -> next`. Not its concern: who the parties are, and how a session began.
//!
//! Double Ratchet (Signal), section 3, with one KEM per turn: a chain is made of an X25519 and an ML-KEM-768
//! agreement, and begins at the first send after a new peer key. `spec/message.md`, "Ratchet".
use std::sync::Arc;

use sealpost_spec::account::ML_KEM_KEY;
use sealpost_spec::message::{
    ChainKey, MAX_JUMP, MAX_SKIPPED_KEYS, PqxdhPart, RatchetHeader, SKIPPED_KEY_DAYS, SessionMessage,
};

use crate::primitive::{ml_kem, open, seal, sha256, x25519, x25519_public};
use crate::secret::Secret;
use crate::{CryptoRng, Refused, Zeroizing, chain};

/// The state of one side. Its parts are shared between the old and the next state, and wiped with the last of them.
pub(crate) struct Ratchet {
    pub(crate) root: Arc<Secret<32>>,
    /// What the next chain of one's own is made to.
    pub(crate) peer: Arc<PeerKey>,
    /// One's own ratchet pair: from the first send after a new peer key until the peer's answer to it.
    pub(crate) own: Option<Arc<OwnKey>>,
    pub(crate) sending: Option<Sending>,
    /// PN: messages in one's own chain before the current one.
    pub(crate) previous: u32,
    pub(crate) receiving: Option<Receiving>,
    /// Oldest first.
    pub(crate) skipped: Arc<Vec<Arc<SkippedKey>>>,
}

pub(crate) enum PeerKey {
    /// The signed prekey of PQXDH: the first chain is made to it, without KEM.
    Prekey([u8; 32]),
    /// The peer's ratchet key: A' and ek' of its latest header.
    Ratchet { curve: [u8; 32], kem: Box<[u8; ML_KEM_KEY]> },
}

pub(crate) struct OwnKey {
    pub(crate) curve: Secret<32>,
    /// ML-KEM's `d || z`.
    pub(crate) kem: Secret<64>,
    /// The public halves, and the ciphertext to the peer's KEM key: what every header of the chain repeats.
    pub(crate) header: Arc<ChainKey>,
}

pub(crate) struct Sending {
    pub(crate) key: Arc<Secret<32>>,
    pub(crate) next: u32,
}

pub(crate) struct Receiving {
    pub(crate) chain: [u8; 32],
    /// What `chain` is the hash of, once a message of it was opened: comparing the next message's with it costs less
    /// than hashing that. Not stored.
    pub(crate) header: Option<Arc<ChainKey>>,
    pub(crate) key: Arc<Secret<32>>,
    pub(crate) next: u32,
}

pub(crate) struct SkippedKey {
    pub(crate) chain: [u8; 32],
    pub(crate) number: u32,
    /// The first day, counted from 1970, on which somebody looked whether it is old; 0 until then.
    pub(crate) day: u32,
    pub(crate) key: Arc<Secret<32>>,
}

/// A message taken apart, with the bytes that its tag covers.
pub(crate) struct Arrived<'a> {
    pub(crate) message: &'a SessionMessage,
    pub(crate) chain: [u8; 32],
    /// The session's associated data and the header as it travelled.
    pub(crate) associated: &'a [u8],
}

/// Names a chain: SHA-256 of A', ek' and ct.
pub(crate) fn chain_id(chain: &ChainKey) -> [u8; 32] {
    sha256(&[&chain.ratchet, &chain.kem, ciphertext(chain)])
}

fn ciphertext(chain: &ChainKey) -> &[u8] {
    chain.ciphertext.as_ref().map_or(&[], |ciphertext| ciphertext)
}

impl Ratchet {
    /// The initiator's state after PQXDH.
    pub(crate) fn initiate(root: Secret<32>, signed_prekey: [u8; 32]) -> Self {
        Self {
            root: Arc::new(root),
            peer: Arc::new(PeerKey::Prekey(signed_prekey)),
            own: None,
            sending: None,
            previous: 0,
            receiving: None,
            skipped: Arc::default(),
        }
    }

    /// The recipient's state, begun by any message of the initiator's first chain.
    pub(crate) fn accept(
        root: &Secret<32>,
        signed_prekey: &Secret<32>,
        signed_public: &[u8; 32],
        arrived: &Arrived<'_>,
    ) -> Result<(Self, Zeroizing<Vec<u8>>), Refused> {
        let header = &arrived.message.header;
        // [MSG-34]
        if header.chain.ciphertext.is_some() || header.previous != 0 || !ml_kem::valid(&header.chain.kem) {
            return Err(Refused);
        }
        let dh = x25519(signed_prekey, &header.chain.ratchet)?;
        let (root, key) = chain::first(root, &dh, &first_transcript(&header.chain, signed_public));
        let begun = Self {
            root: Arc::new(root),
            peer: Arc::new(PeerKey::of(&header.chain)),
            own: None,
            sending: None,
            previous: 0,
            receiving: Some(Receiving { chain: arrived.chain, header: None, key: Arc::new(key), next: 0 }),
            skipped: Arc::default(),
        };
        begun.decrypt(arrived)
    }

    /// Encrypts: the next state and the whole message. `associated`: the session's. `pqxdh`: repeated until answered.
    pub(crate) fn encrypt(
        &self,
        associated: &[u8; 32],
        pqxdh: Option<&PqxdhPart>,
        plaintext: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<(Self, Vec<u8>), Refused> {
        if self.sending.is_none() {
            return self.begin_chain(rng)?.encrypt(associated, pqxdh, plaintext, rng);
        }
        let (Some(sending), Some(own)) = (&self.sending, &self.own) else { return Err(Refused) };
        let (key, message_key) = chain::step(&sending.key);
        let mut salt = [0; sealpost_spec::message::SALT];
        rng.fill_bytes(&mut salt);
        let header =
            RatchetHeader { chain: Arc::clone(&own.header), previous: self.previous, number: sending.next, salt };
        let mut message = SessionMessage::header_layout(pqxdh, &header);
        let covered = [&associated[..], &message].concat();
        let (key_of_message, nonce) = chain::cipher(&message_key, &salt);
        seal(&key_of_message, &nonce, &covered, plaintext, &mut message)?;
        let next = sending.next.checked_add(1).ok_or(Refused)?;
        Ok((Self { sending: Some(Sending { key: Arc::new(key), next }), ..self.share() }, message))
    }

    /// A chain of one's own to the peer's current key. **[MSG-8]**
    fn begin_chain(&self, rng: &mut dyn CryptoRng) -> Result<Self, Refused> {
        let curve = Secret::random(rng);
        let kem = Secret::random(rng);
        let mut header = ChainKey {
            ratchet: x25519_public(&curve),
            kem: ml_kem::KeyPair::from_seed(&kem).public(),
            ciphertext: None,
        };
        let (root, key) = match &*self.peer {
            PeerKey::Prekey(prekey) => {
                let dh = x25519(&curve, prekey)?;
                chain::first(&self.root, &dh, &first_transcript(&header, prekey))
            }
            PeerKey::Ratchet { curve: peer_curve, kem: peer_kem } => {
                let dh = x25519(&curve, peer_curve)?;
                let (ciphertext, shared) = ml_kem::encapsulate(peer_kem, &Secret::random(rng))?;
                header.ciphertext = Some(ciphertext);
                chain::later(&self.root, &dh, &shared, &later_transcript(&header, peer_curve, peer_kem))
            }
        };
        Ok(Self {
            root: Arc::new(root),
            own: Some(Arc::new(OwnKey { curve, kem, header: Arc::new(header) })),
            sending: Some(Sending { key: Arc::new(key), next: 0 }),
            ..self.share()
        })
    }

    /// Decrypts: the next state and the plaintext. Before the tag is checked it does at most one agreement and
    /// [`MAX_JUMP`] steps.
    pub(crate) fn decrypt(&self, arrived: &Arrived<'_>) -> Result<(Self, Zeroizing<Vec<u8>>), Refused> {
        let header = &arrived.message.header;
        let skipped = self.skipped.iter().position(|key| key.number == header.number && key.chain == arrived.chain);
        if let Some((place, key)) = skipped.and_then(|place| Some((place, self.skipped.get(place)?))) {
            let plaintext = open_message(&key.key, arrived)?;
            let mut left = self.skipped.to_vec();
            left.remove(place);
            return Ok((Self { skipped: Arc::new(left), ..self.share() }, plaintext));
        }
        match &self.receiving {
            Some(receiving) if receiving.chain == arrived.chain => self.continue_chain(receiving, arrived),
            _ => self.answer_chain(arrived),
        }
    }

    /// A message of the peer's current chain.
    fn continue_chain(
        &self,
        receiving: &Receiving,
        arrived: &Arrived<'_>,
    ) -> Result<(Self, Zeroizing<Vec<u8>>), Refused> {
        let number = arrived.message.header.number;
        // A lower number was decrypted before, or its key was evicted. [MSG-13]
        let jump = number.checked_sub(receiving.next).ok_or(Refused)?;
        // [MSG-14]
        if jump > MAX_JUMP {
            return Err(Refused);
        }
        let mut found = Vec::new();
        let key = skip(receiving, number, &mut found);
        let (key, message_key) = chain::step(&key);
        let plaintext = open_message(&message_key, arrived)?;
        let next = number.checked_add(1).ok_or(Refused)?;
        let header = Some(Arc::clone(&arrived.message.header.chain));
        let receiving = Receiving { chain: receiving.chain, header, key: Arc::new(key), next };
        Ok((Self { receiving: Some(receiving), skipped: self.skipped_and(found), ..self.share() }, plaintext))
    }

    /// The first message to arrive of a new chain of the peer, made to one's own current key, which ends here.
    fn answer_chain(&self, arrived: &Arrived<'_>) -> Result<(Self, Zeroizing<Vec<u8>>), Refused> {
        let header = &arrived.message.header;
        let own = self.own.as_ref().ok_or(Refused)?;
        // Without it, whoever can break X25519 later could read on. [MSG-11]
        let ciphertext = header.chain.ciphertext.as_ref().ok_or(Refused)?;
        let read = self.receiving.as_ref().map_or(0, |receiving| receiving.next);
        let missed = header.previous.checked_sub(read).ok_or(Refused)?;
        // [MSG-14] what is missing of the last chain and of the new one, together.
        if missed.checked_add(header.number).is_none_or(|jump| jump > MAX_JUMP) || !ml_kem::valid(&header.chain.kem) {
            return Err(Refused);
        }
        // The peer's first chain follows none. [MSG-34]
        if self.receiving.is_none() && header.previous != 0 {
            return Err(Refused);
        }
        let dh = x25519(&own.curve, &header.chain.ratchet)?;
        let shared = ml_kem::KeyPair::from_seed(&own.kem).decapsulate(ciphertext);
        let transcript = later_transcript(&header.chain, &own.header.ratchet, &own.header.kem);
        let (root, key) = chain::later(&self.root, &dh, &shared, &transcript);
        let mut found = Vec::new();
        if let Some(receiving) = &self.receiving {
            skip(receiving, header.previous, &mut found);
        }
        let begun = Receiving { chain: arrived.chain, header: None, key: Arc::new(key), next: 0 };
        let key = skip(&begun, header.number, &mut found);
        let (key, message_key) = chain::step(&key);
        let plaintext = open_message(&message_key, arrived)?;
        let next = header.number.checked_add(1).ok_or(Refused)?;
        Ok((
            Self {
                root: Arc::new(root),
                peer: Arc::new(PeerKey::of(&header.chain)),
                own: None,
                sending: None,
                previous: self.sending.as_ref().map_or(self.previous, |sending| sending.next),
                receiving: Some(Receiving {
                    chain: arrived.chain,
                    header: Some(Arc::clone(&header.chain)),
                    key: Arc::new(key),
                    next,
                }),
                skipped: self.skipped_and(found),
            },
            plaintext,
        ))
    }

    /// A message taken apart; its chain is hashed only where it is another than the last message's.
    pub(crate) fn parse(&self, message: &[u8]) -> Result<(SessionMessage, [u8; 32]), Refused> {
        let last = self.receiving.as_ref().and_then(|receiving| Some((receiving.header.as_ref()?, receiving.chain)));
        let parsed = SessionMessage::parse_of_chain(message, last.map(|(key, _)| key))?;
        let key = &parsed.header.chain;
        let chain = last.filter(|(last, _)| *last == key).map_or_else(|| chain_id(key), |(_, chain)| chain);
        Ok((parsed, chain))
    }

    /// Whether this is the peer's current chain, or one of which keys are kept.
    pub(crate) fn has_chain(&self, chain: &[u8; 32]) -> bool {
        self.receiving.as_ref().is_some_and(|receiving| receiving.chain == *chain)
            || self.skipped.iter().any(|key| key.chain == *chain)
    }

    /// The same state, unable to encrypt. A chain that the peer began meanwhile can still be read.
    pub(crate) fn receiving_only(&self) -> Self {
        // Without a pair of one's own no further chain can come, and nothing is left that needs the root key.
        let root = if self.own.is_some() { Arc::clone(&self.root) } else { Arc::new(Secret::filled(|_| ())) };
        Self { root, sending: None, ..self.share() }
    }

    /// The same state again: the parts are shared, not copied.
    fn share(&self) -> Self {
        Self {
            root: Arc::clone(&self.root),
            peer: Arc::clone(&self.peer),
            own: self.own.clone(),
            sending: self.sending.as_ref().map(|chain| Sending { key: Arc::clone(&chain.key), next: chain.next }),
            previous: self.previous,
            receiving: self.receiving.as_ref().map(|chain| Receiving {
                chain: chain.chain,
                header: chain.header.clone(),
                key: Arc::clone(&chain.key),
                next: chain.next,
            }),
            skipped: Arc::clone(&self.skipped),
        }
    }

    /// The same state without the skipped keys that were kept for [`SKIPPED_KEY_DAYS`] before `today`, in days since
    /// 1970; `None` where nothing changes. A key that has no day yet, or one to come because a clock went back, gets
    /// this one. **[MSG-35]**
    pub(crate) fn expire_skipped(&self, today: u32) -> Option<Self> {
        let new = |key: &SkippedKey| key.day == 0 || key.day > today;
        let over = |key: &SkippedKey| !new(key) && today.abs_diff(key.day) >= SKIPPED_KEY_DAYS;
        if !self.skipped.iter().any(|key| new(key) || over(key)) {
            return None;
        }
        let stamped = |key: &Arc<SkippedKey>| match new(key) {
            true => Arc::new(SkippedKey { day: today, key: Arc::clone(&key.key), ..**key }),
            false => Arc::clone(key),
        };
        let kept = self.skipped.iter().filter(|key| !over(key)).map(stamped).collect();
        Some(Self { skipped: Arc::new(kept), ..self.share() })
    }

    /// The kept keys and these, the oldest evicted. **[MSG-15]**
    fn skipped_and(&self, found: Vec<Arc<SkippedKey>>) -> Arc<Vec<Arc<SkippedKey>>> {
        if found.is_empty() {
            return Arc::clone(&self.skipped);
        }
        let excess = (self.skipped.len() + found.len()).saturating_sub(MAX_SKIPPED_KEYS);
        Arc::new(self.skipped.iter().cloned().chain(found).skip(excess).collect())
    }
}

impl PeerKey {
    fn of(chain: &ChainKey) -> Self {
        Self::Ratchet { curve: chain.ratchet, kem: Box::new(chain.kem) }
    }
}

/// Keeps the keys of a chain up to `number`, whose chain key it returns. The caller bounds the distance.
fn skip(chain: &Receiving, number: u32, found: &mut Vec<Arc<SkippedKey>>) -> Arc<Secret<32>> {
    let mut key = Arc::clone(&chain.key);
    for skipped in chain.next..number {
        let (next, message_key) = chain::step(&key);
        let message_key = Arc::new(message_key);
        found.push(Arc::new(SkippedKey { chain: chain.chain, number: skipped, day: 0, key: message_key }));
        key = Arc::new(next);
    }
    key
}

fn open_message(message_key: &Secret<32>, arrived: &Arrived<'_>) -> Result<Zeroizing<Vec<u8>>, Refused> {
    let (key, nonce) = chain::cipher(message_key, &arrived.message.header.salt);
    open(&key, &nonce, arrived.associated, &arrived.message.ciphertext)
}

/// SHA-256(A' || ek' || B), B being the signed prekey.
pub(crate) fn first_transcript(header: &ChainKey, prekey: &[u8; 32]) -> [u8; 32] {
    sha256(&[&header.ratchet, &header.kem, prekey])
}

/// SHA-256(A' || ek' || ct || B || ek_B).
pub(crate) fn later_transcript(header: &ChainKey, curve: &[u8; 32], kem: &[u8; ML_KEM_KEY]) -> [u8; 32] {
    sha256(&[&header.ratchet, &header.kem, ciphertext(header), curve, kem])
}
