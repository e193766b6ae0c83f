//! Which session of a device sends, and which only receive: at most one sends at any time.

use sealpost_crypto::session::{Party, Session, SessionId, VerifiedBundle};

use super::{DAY, Engine, MAX_SESSIONS};
use crate::store::Stored;
use crate::store::people::{PeerId, SessionNote};

/// How long a session that lost still receives, in milliseconds: longer than an envelope waits. **[MSG-26]**
const RECEIVES: u64 = 35 * DAY;

impl Engine {
    /// This side of every session.
    pub(super) fn party(&self) -> Party {
        Party { name: self.own.name.clone(), account: self.own.account, device: self.own.device }
    }

    /// Whether something can be encrypted for this device.
    pub(super) fn can_encrypt(&self, peer: &PeerId) -> bool {
        self.peers
            .get(peer)
            .is_some_and(|peer| peer.box_key.is_some() && peer.sessions.iter().any(|note| note.retired_at.is_none()))
    }

    /// Starts a session and sends on it from now on. Whether that went well.
    pub(super) fn start_session(&mut self, peer: &PeerId, bundle: &VerifiedBundle) -> Stored<bool> {
        let own = self.party();
        let started = Session::initiate(&own, &self.secret, bundle, &mut **self.rows().dice());
        let Ok(session) = started else { return Ok(false) };
        self.retire_all(peer)?;
        self.rows().put_session(&session)?;
        let SessionId(id) = session.id();
        self.add_note(peer, SessionNote { id, ours: true, confirmed: false, retired_at: None })?;
        Ok(true)
    }

    /// Takes in a session that the other side started. Of two that were started at once both sides send on the one with
    /// the lower id; otherwise the newer one is sent on. `repairs`: the other side can't read the present one, so it
    /// loses in any case, unless this one is `late`: its first message is older than another that came. **[MSG-26]**
    pub(super) fn take_session(&mut self, peer: &PeerId, session: &Session, repairs: bool, late: bool) -> Stored<()> {
        let SessionId(id) = session.id();
        let present =
            self.peers.get(peer).and_then(|peer| peer.sessions.iter().rev().find(|note| note.retired_at.is_none()));
        let lower = |present: &SessionNote| present.ours && !present.confirmed && present.id < id && !repairs;
        let loses = present.is_some_and(|present| late || lower(present));
        let now = self.now;
        if loses {
            self.rows().put_session(&session.receiving_only())?;
        } else {
            self.retire_all(peer)?;
            self.rows().put_session(session)?;
        }
        let retired_at = loses.then_some(now);
        self.add_note(peer, SessionNote { id, ours: false, confirmed: true, retired_at })
    }

    /// A message of a session was decrypted: stores its next state.
    pub(super) fn step_session(&mut self, peer: &PeerId, session: &Session) -> Stored<()> {
        self.rows().put_session(session)?;
        let (SessionId(id), confirmed) = (session.id(), session.confirmed());
        if let Some(note) = self.peer_mut(peer).and_then(|peer| peer.sessions.iter_mut().find(|note| note.id == id)) {
            note.confirmed = confirmed;
        }
        Ok(())
    }

    /// Nothing is sent on any session of this device any more.
    pub(super) fn retire_all(&mut self, peer: &PeerId) -> Stored<()> {
        let now = self.now;
        let mut retired = Vec::new();
        let Some(known) = self.peers.get_mut(peer) else { return Ok(()) };
        for note in known.sessions.iter_mut().filter(|note| note.retired_at.is_none()) {
            note.retired_at = Some(now);
            retired.push(note.id);
        }
        if !retired.is_empty() {
            self.peers_touched.insert(*peer);
        }
        for id in retired {
            if let Some(session) = self.rows().session(&id)? {
                self.rows().put_session(&session.receiving_only())?;
            }
        }
        Ok(())
    }

    fn add_note(&mut self, peer: &PeerId, note: SessionNote) -> Stored<()> {
        let mut gone = Vec::new();
        if let Some(peer) = self.peer_mut(peer) {
            peer.sessions.push(note);
            while peer.sessions.len() > MAX_SESSIONS {
                let oldest = peer.sessions.iter().position(|note| note.retired_at.is_some()).unwrap_or(0);
                gone.push(peer.sessions.remove(oldest).id);
            }
        }
        gone.iter().try_for_each(|id| self.rows().delete_session(id).map(drop))
    }

    /// Deletes sessions that have only received for long enough.
    pub(super) fn prune_sessions(&mut self) -> Stored<()> {
        let now = self.now;
        let over = |note: &SessionNote| note.retired_at.is_some_and(|at| at + RECEIVES <= now);
        let mut gone = Vec::new();
        for (id, peer) in &mut self.peers {
            if peer.sessions.iter().any(over) {
                gone.extend(peer.sessions.iter().filter(|note| over(note)).map(|note| note.id));
                peer.sessions.retain(|note| !over(note));
                self.peers_touched.insert(*id);
            }
        }
        gone.iter().try_for_each(|id| self.rows().delete_session(id).map(drop))
    }

    /// Wipes skipped keys of messages that can't come any more. **[MSG-35]**
    pub(super) fn expire_skipped_keys(&mut self) -> Stored<()> {
        let today = u32::try_from(self.now / DAY).unwrap_or(u32::MAX);
        let ids = self.peers.values().flat_map(|peer| &peer.sessions).map(|note| note.id);
        for id in ids.collect::<Vec<_>>() {
            if let Some(next) = self.rows().session(&id)?.and_then(|session| session.expire_skipped(today)) {
                self.rows().put_session(&next)?;
            }
        }
        Ok(())
    }
}
