//! From envelope to content: open the box, judge the sender, choose the session, decrypt.
//!
//! Everything here derives and compares; what it finds is written only once the session message has opened.

use std::collections::{BTreeMap, BTreeSet};

use sealpost_crypto::identity::verify_devices;
use sealpost_crypto::sealed;
use sealpost_crypto::session::{self, OwnPrekeys, Party, Session, SessionId};
use sealpost_crypto::{Refused, Zeroizing};
use sealpost_spec::account::{Device, DeviceList, Name, PrekeyId, PrekeyRole};
use sealpost_spec::mailbox::{EnvelopeId, MAX_ENVELOPES, Seq};
use sealpost_spec::message::{Body, Content, Sealing};
use sealpost_spec::wire::{Signed, decode};

use super::devices::{Verdict, judge};
use super::prekeys::KEPT;
use super::{Engine, Failure, Transmit};
use crate::api::Event;
use crate::store::Stored;
use crate::store::people::{Come, Contact, PeerId};

/// Most envelopes that wait for the directory's word: a whole mailbox.
const MAX_PARKED: usize = MAX_ENVELOPES;
/// Most people whom the directory is asked about at a time.
const MAX_ASKED: usize = 8;
/// For so long a directory's word against a sender is believed, in milliseconds.
const BELIEVED: u64 = 60_000;
/// Most strangers within an hour whose first messages name keys that are gone and who are asked to write again.
const MAX_STRANGERS: u32 = 16;
/// Most people who have written and are neither answered nor blocked: whoever makes up names without end is not kept.
const MAX_REQUESTS: usize = 1_000;
const HOUR: u64 = 60 * 60 * 1_000;
/// Most refusals that are told within [`WINDOW`] milliseconds: a flood of forgeries is no flood of lines.
const MAX_TOLD: u32 = 100;
const WINDOW: u64 = 60_000;

/// Envelopes whose sender is judged once the directory has answered.
#[derive(Default)]
pub(super) struct Parked {
    envelopes: BTreeMap<Name, Vec<(Seq, EnvelopeId, Vec<u8>)>>,
    /// Some did not fit: the relay has to push them once more.
    overflow: bool,
    strangers_since: u64,
    strangers: u32,
    told_since: u64,
    told: u32,
}

impl Parked {
    pub(super) fn clear(&mut self) {
        self.envelopes.clear();
        self.overflow = false;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.envelopes.is_empty()
    }
}

/// Who says to have sent an envelope.
struct Claim {
    signed: Signed,
    list: DeviceList,
    device: Device,
    verdict: Verdict,
}

impl Claim {
    fn peer(&self) -> PeerId {
        (self.list.account, self.device.id)
    }
}

/// What a session message turned out to be.
struct Opened {
    content: Option<Content>,
    session: Session,
    /// The prekeys that a new session used up.
    accepted: Option<session::NamedPrekeys>,
}

impl Engine {
    /// An envelope was pushed.
    pub(super) fn envelope(&mut self, seq: Seq, id: EnvelopeId, sealed: &[u8]) -> Stored<()> {
        self.heard_a_push();
        if let Some(come) = self.rows().come(&id)?.filter(|come| !self.is_asked_for_once_more(come)) {
            // The sender may not have heard that it came: another receipt tells them.
            if let Some((account, device, number)) = come.stored {
                self.confirm(&(account, device), number);
            }
            self.acknowledge(seq, id);
            return Ok(());
        }
        let Some(sealing) = self.open_box(&id, sealed)? else {
            self.own_mut().dropped += 1;
            self.acknowledge(seq, id);
            return Ok(());
        };
        let Some(mut claim) = self.claim(&sealing) else {
            self.refuse(None, "a message without a genuine sender was dropped");
            self.acknowledge(seq, id);
            return Ok(());
        };
        let name = claim.list.name.clone();
        let own = self.is_sibling(&claim);
        if !own && (name == self.own.name || claim.list.account == self.own.account) {
            // One's own message, sent back. **[MSG-17]**
            self.refuse(None, "a message that claims to be from oneself was dropped");
            self.acknowledge(seq, id);
            return Ok(());
        }
        // [MSG-33] whoever is not pinned by this key is who the directory says; a box alone proves nobody's name.
        let pinned =
            self.contacts.get(&name).is_some_and(|contact| contact.account.is_some() || contact.pinned.is_some());
        if !own && (!pinned || claim.verdict == Verdict::Changed) {
            match self.fetching.shown(&name) {
                None => return self.park(name, seq, id, sealed),
                Some((at, shown)) => {
                    let shown = shown.and_then(|shown| DeviceList::parse(&shown.body.0).ok());
                    let genuine = shown.is_some_and(|list| list.account == claim.list.account);
                    if !genuine && at + BELIEVED < self.now {
                        // The name may have a new owner since.
                        self.fetching.forget(&name);
                        return self.park(name, seq, id, sealed);
                    }
                    if !genuine {
                        self.refuse(Some(&name), "a message under a name that is not its sender's was dropped");
                        self.acknowledge(seq, id);
                        return Ok(());
                    }
                }
            }
            claim.verdict = judge(self.contacts.get(&name), &claim.signed, &claim.list);
        }
        match claim.verdict {
            Verdict::Same | Verdict::Newer | Verdict::First => self.read(seq, id, &sealing, &claim),
            Verdict::Older => {
                self.refuse(Some(&name), "a message with an outdated device list was refused");
                self.acknowledge(seq, id);
                Ok(())
            }
            Verdict::Changed if own => {
                self.refuse(None, "a message with another list of your own devices was refused");
                self.acknowledge(seq, id);
                Ok(())
            }
            Verdict::Changed => {
                self.key_changed(&name, &claim.signed, &claim.list)?;
                self.refuse(
                    Some(&name),
                    "a message signed with a changed key was refused; ask for it again after `trust`",
                );
                self.acknowledge(seq, id);
                Ok(())
            }
        }
    }

    /// All failures look alike, and nobody is told of them. **[MSG-22]**
    fn open_box(&self, id: &EnvelopeId, sealed: &[u8]) -> Stored<Option<Sealing>> {
        let Ok(key) = sealed::box_key_id(sealed) else { return Ok(None) };
        let Some(key) = self.rows().prekey(PrekeyRole::Box, key)? else { return Ok(None) };
        Ok(sealed::open(&key, &self.own.device, id, sealed).ok())
    }

    /// Whether it says to come from another device of one's own account. **[MSG-42]**
    fn is_sibling(&self, claim: &Claim) -> bool {
        let same_account = claim.list.name == self.own.name && claim.list.account == self.own.account;
        let (other, own) = (&claim.device, &self.own.device);
        // [MSG-17]
        same_account && other.id != own.id && other.key != own.key && other.identity != own.identity
    }

    /// Who says to have sent it: verified, and not believed yet. **[MSG-23]** **[ACCT-5]**
    fn claim(&self, sealing: &Sealing) -> Option<Claim> {
        let list = verify_devices(&sealing.list).ok()?;
        let device = *list.device(sealing.device)?;
        let mut verdict = judge(self.contacts.get(&list.name), &sealing.list, &list);
        if self.is_own(&list.name) && list.account == self.own.account {
            verdict = self.judge_own(&sealing.list, &list);
        }
        // An id is never used again for other keys. **[ACCT-3]**
        let known = self.peers.get(&(list.account, device.id));
        if known.is_some_and(|known| known.device != device || known.name != list.name) {
            return None;
        }
        Some(Claim { signed: sealing.list.clone(), list, device, verdict })
    }

    fn park(&mut self, name: Name, seq: Seq, id: EnvelopeId, sealed: &[u8]) -> Stored<()> {
        if self.parked.envelopes.values().map(Vec::len).sum::<usize>() >= MAX_PARKED {
            self.parked.overflow = true;
            return Ok(());
        }
        let of_name = self.parked.envelopes.entry(name).or_default();
        if of_name.iter().all(|(_, other, _)| *other != id) {
            of_name.push((seq, id, sealed.to_vec()));
        }
        self.ask_about_all_parked();
        Ok(())
    }

    fn ask_about_all_parked(&mut self) {
        let names: Vec<Name> = self.parked.envelopes.keys().take(MAX_ASKED).cloned().collect();
        for name in names {
            self.fetch_devices(&name);
        }
    }

    /// Asks again about somebody whose messages wait.
    pub(super) fn ask_about_parked(&mut self, name: &Name) {
        if self.parked.envelopes.contains_key(name) && self.fetching.shown(name).is_none() {
            self.fetch_devices(name);
        }
    }

    /// The directory has answered: what waited for it is judged.
    pub(super) fn read_parked(&mut self, name: &Name) -> Stored<()> {
        if self.fetching.shown(name).is_none() {
            return Ok(());
        }
        for (seq, id, sealed) in self.parked.envelopes.remove(name).unwrap_or_default() {
            self.envelope(seq, id, &sealed)?;
        }
        self.ask_about_all_parked();
        if self.parked.envelopes.is_empty() && std::mem::take(&mut self.parked.overflow) {
            // After a login the relay pushes everything that it still has.
            self.transmit(Transmit::Disconnect);
            self.disconnected(Failure::Unknown)?;
            self.transmit(Transmit::Connect);
        }
        Ok(())
    }

    fn read(&mut self, seq: Seq, id: EnvelopeId, sealing: &Sealing, claim: &Claim) -> Stored<()> {
        let peer = claim.peer();
        let now = self.now;
        let opened = match self.open_message(&peer, claim, &sealing.message)? {
            Ok(opened) => opened,
            Err(Refused) => {
                if session::session_id(&sealing.message).is_ok_and(|id| id.is_some()) {
                    self.meet_stranger(claim)?;
                }
                self.acknowledge(seq, id);
                return self.unreadable(&peer, id);
            }
        };
        if !self.contacts.contains_key(&claim.list.name) && self.strangers() >= MAX_REQUESTS {
            // Nothing of it is kept, so that its sender is heard when they send it again and there is room.
            self.refuse(None, "a message from a stranger was left for later: too many have written already");
            self.acknowledge(seq, id);
            return Ok(());
        }
        self.pin_sender(claim)?;
        if let Some(named) = &opened.accepted {
            self.use_up(named)?;
            let repairs = opened.content.as_ref().is_some_and(|content| matches!(content.body, Body::Repair(_)));
            let newest = self.peers.get(&peer).map_or(0, |peer| peer.newest);
            let late = opened.content.as_ref().is_some_and(|content| content.sent_at < newest);
            self.take_session(&peer, &opened.session, repairs, late)?;
        } else {
            self.step_session(&peer, &opened.session)?;
        }
        // A clock that runs ahead must not make all that comes later look old.
        let sent_at = opened.content.as_ref().map_or(0, |content| content.sent_at.min(now));
        if let Some(peer) = self.peer_mut(&peer).filter(|peer| peer.newest < sent_at) {
            peer.newest = sent_at;
        }
        let blocked = self.contacts.get(&claim.list.name).is_some_and(|contact| contact.blocked);
        let number = opened.content.as_ref().filter(|_| !blocked).map_or(0, |content| content.number);
        self.rows().put_come(&Come { id, stored: Some((peer.0, peer.1, number)), at: now })?;
        self.acknowledge(seq, id);
        // Not where it has waited in the mailbox: only who writes now is there now.
        if sent_at.abs_diff(now) < super::typing::OLD {
            self.heard_from(peer);
        }
        match opened.content {
            Some(content) => self.take_content(&peer, content),
            None => {
                self.refuse(Some(&claim.list.name), "a message was in a format that this version does not know");
                Ok(())
            }
        }
    }

    /// Chooses the session of a message before anything is decrypted: by the session id that it names, else by its
    /// chain. A chain that is new to all may begin in any session that waits for an answer; only of these more than one
    /// is tried. **[MSG-26]**
    fn open_message(&self, id: &PeerId, claim: &Claim, message: &[u8]) -> Stored<Result<Opened, Refused>> {
        let Ok(named_session) = session::session_id(message) else { return Ok(Err(Refused)) };
        let Ok(chain) = session::chain_id(message) else { return Ok(Err(Refused)) };
        let notes = self.peers.get(id).map(|peer| peer.sessions.as_slice()).unwrap_or_default();
        let mut candidates = Vec::new();
        // The one that is sent on first, then from the newest to the oldest.
        let (sending, retired): (Vec<_>, Vec<_>) = notes.iter().rev().partition(|note| note.retired_at.is_none());
        for note in sending.into_iter().chain(retired) {
            if named_session.is_some_and(|SessionId(wanted)| note.id != wanted) {
                continue;
            }
            let Some(session) = self.rows().session(&note.id)? else { continue };
            if named_session.is_some() || session.has_chain(&chain) {
                candidates = vec![session];
                break;
            }
            if session.knows_chain(&chain) {
                candidates.push(session);
            }
        }
        if !candidates.is_empty() {
            let step = candidates.iter().find_map(|session| session.decrypt(message).ok());
            return Ok(step.map(|(session, plaintext)| opened(session, &plaintext, None)).ok_or(Refused));
        }
        if named_session.is_none() {
            return Ok(Err(Refused));
        }
        let Ok(Some(named)) = session::named_prekeys(message) else { return Ok(Err(Refused)) };
        // The last-resort key is used again and again, so the same first message would open again. **[MSG-28]**
        if self.rows().is_replay(&named.replay)? {
            return Ok(Err(Refused));
        }
        let one_time = match named.one_time {
            PrekeyId::NONE => None,
            one_time => match self.rows().prekey(PrekeyRole::OneTime, one_time)? {
                Some(key) => Some(key),
                None => return Ok(Err(Refused)),
            },
        };
        let signed = self.rows().prekey(PrekeyRole::Signed, named.signed)?;
        let kem = self.rows().prekey(named.kem_role, named.kem)?;
        let (Some(signed), Some(kem)) = (signed, kem) else { return Ok(Err(Refused)) };
        let prekeys = OwnPrekeys { signed: &signed, one_time: one_time.as_ref(), kem: &kem };
        let party = Party { name: claim.list.name.clone(), account: claim.list.account, device: claim.device };
        let accepted = Session::accept(&self.party(), &self.secret, &prekeys, &party, message);
        Ok(accepted.map(|(session, plaintext)| opened(session, &plaintext, Some(named))))
    }

    /// The one-time keys of a first message go in the step that stores its session. **[MSG-7]**
    fn use_up(&self, named: &session::NamedPrekeys) -> Stored<()> {
        if named.one_time != PrekeyId::NONE {
            self.rows().delete_prekey(PrekeyRole::OneTime, named.one_time)?;
        }
        if named.kem_role == PrekeyRole::OneTimeKem {
            self.rows().delete_prekey(PrekeyRole::OneTimeKem, named.kem)?;
        }
        // Rotation comes on top of what a replaced key lives.
        self.rows().put_replay(&named.replay, self.now + 2 * KEPT)
    }

    /// How many have written whom the person has neither answered nor blocked. Who is known by the word of another device of one's own
    /// has not.
    fn strangers(&self) -> usize {
        let wrote: BTreeSet<&Name> = self.peers.values().map(|peer| &peer.name).collect();
        let open = |contact: &&Contact| !contact.accepted && !contact.blocked && wrote.contains(&contact.name);
        self.contacts.values().filter(open).count()
    }

    /// A first message that does not open, because it names a key that is gone: also a stranger's is remembered, to be
    /// asked for again once one has answered, but not of any number of them. **[MSG-30]**
    fn meet_stranger(&mut self, claim: &Claim) -> Stored<()> {
        if self.peers.contains_key(&claim.peer()) {
            return Ok(());
        }
        if self.now >= self.parked.strangers_since + HOUR {
            (self.parked.strangers_since, self.parked.strangers) = (self.now, 0);
        }
        self.parked.strangers += 1;
        if self.parked.strangers <= MAX_STRANGERS && self.strangers() < MAX_REQUESTS {
            self.pin_sender(claim)?;
        }
        Ok(())
    }

    /// The message opened in a session: its sender is who the list says. **[MSG-23]**
    fn pin_sender(&mut self, claim: &Claim) -> Stored<()> {
        let name = &claim.list.name;
        if !self.contacts.contains_key(name) {
            self.contacts.insert(name.clone(), Contact::new(name.clone()));
        }
        if claim.verdict != Verdict::Same {
            self.pin_list(name, &claim.signed, &claim.list)?;
        }
        self.know_peer(name, claim.list.account, claim.device);
        Ok(())
    }

    /// Says that something was refused, once in a while.
    pub(super) fn refuse(&mut self, name: Option<&Name>, reason: &str) {
        self.refuse_in(name.map(|name| format!("@{name}")), reason.to_owned());
    }

    pub(super) fn refuse_in(&mut self, conversation: Option<String>, reason: String) {
        if self.now >= self.parked.told_since + WINDOW {
            (self.parked.told_since, self.parked.told) = (self.now, 0);
        }
        self.parked.told += 1;
        if self.parked.told <= MAX_TOLD {
            self.tell(None, Event::Refused { conversation, reason });
        }
    }
}

fn opened(session: Session, plaintext: &Zeroizing<Vec<u8>>, accepted: Option<session::NamedPrekeys>) -> Opened {
    Opened { content: decode(plaintext).ok(), session, accepted }
}
