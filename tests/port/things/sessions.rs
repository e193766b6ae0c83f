//! Verbs of sessions. Each borrows the old state and keeps the next: what was refused has changed nothing.

use std::sync::Arc;

use sealpost_crypto::session::{OwnPrekeys, Session, VerifiedBundle, chain_id, named_prekeys, session_id};
use sealpost_crypto::vault::{Cost, Vault};
use sealpost_crypto::{Refused, identity};
use sealpost_spec::account::{DeviceBundle, PrekeyId, PrekeyRole};
use serde_json::{Value, json};

use super::{Failure, Named, Role, Things, find, hex, keep, listed};
use crate::port::given::draw;
use crate::port::request;

/// Table and key of the row that a session's state is.
const STATE: (&str, [u8; 32]) = ("session", [0; 32]);

impl Things {
    pub(super) fn initiate(&mut self, request: request::Initiate) -> Result<Value, Failure> {
        let person = find(&self.persons, &request.person, "person")?;
        let served = request.bundle;
        let list = identity::verify_devices(&served.list.into())?;
        let bundle = DeviceBundle {
            device: served.device.into(),
            signed: served.signed.into(),
            one_time: served.one_time.map(Into::into),
            kem: served.kem.into(),
            box_key: served.box_key.into(),
        };
        let bundle = VerifiedBundle::verify(&bundle, &list)?;
        let session = draw(&request.random.0, |rng| Session::initiate(&person.party, &person.secret, &bundle, rng))?;
        let answer = json!({ "id": hex(&session.id().0) });
        keep(&mut self.sessions, request.r#as, Arc::new(session))?;
        Ok(answer)
    }

    pub(super) fn accept(&mut self, request: request::Accept) -> Result<Value, Failure> {
        let person = find(&self.persons, &request.person, "person")?;
        let peer = listed(request.peer)?;
        let message = &request.message.0;
        let prekeys = match request.keys {
            Some(Named { signed, one_time, kem_role: Role(kem_role), kem }) => OwnPrekeys {
                signed: person.own_prekey(PrekeyRole::Signed, signed.into())?,
                one_time: one_time.map(|id| person.own_prekey(PrekeyRole::OneTime, id.into())).transpose()?,
                kem: person.own_prekey(kem_role, kem.into())?,
            },
            // As a client does: a first message that names a deleted key opens nothing.
            None => {
                let named = named_prekeys(message)?.ok_or(Refused)?;
                let one_time = (named.one_time != PrekeyId::NONE).then_some(named.one_time);
                let one_time = one_time.map(|id| person.prekey(PrekeyRole::OneTime, id).ok_or(Refused));
                OwnPrekeys {
                    signed: person.prekey(PrekeyRole::Signed, named.signed).ok_or(Refused)?,
                    one_time: one_time.transpose()?,
                    kem: person.prekey(named.kem_role, named.kem).ok_or(Refused)?,
                }
            }
        };
        let (session, plaintext) = Session::accept(&person.party, &person.secret, &prekeys, &peer, message)?;
        let answer = json!({ "id": hex(&session.id().0), "plaintext": hex(&plaintext) });
        keep(&mut self.sessions, request.r#as, Arc::new(session))?;
        Ok(answer)
    }

    pub(super) fn encrypt(&mut self, request: request::Encrypt) -> Result<Value, Failure> {
        let session = find(&self.sessions, &request.session, "session")?;
        let (next, message) = draw(&request.random.0, |rng| session.encrypt(&request.plaintext.0, rng))?;
        keep(&mut self.sessions, request.r#as.unwrap_or(request.session), Arc::new(next))?;
        Ok(json!({ "message": hex(&message) }))
    }

    pub(super) fn decrypt(&mut self, request: request::Decrypt) -> Result<Value, Failure> {
        let session = find(&self.sessions, &request.session, "session")?;
        let (next, plaintext) = session.decrypt(&request.message.0)?;
        keep(&mut self.sessions, request.r#as.unwrap_or(request.session), Arc::new(next))?;
        Ok(json!({ "plaintext": hex(&plaintext) }))
    }

    pub(super) fn copy(&mut self, request: request::Kept) -> Result<Value, Failure> {
        let session = Arc::clone(find(&self.sessions, &request.session, "session")?);
        keep(&mut self.sessions, request.r#as, session)?;
        Ok(json!({}))
    }

    pub(super) fn retire(&mut self, request: request::Kept) -> Result<Value, Failure> {
        let session = find(&self.sessions, &request.session, "session")?.receiving_only();
        keep(&mut self.sessions, request.r#as, Arc::new(session))?;
        Ok(json!({}))
    }

    pub(super) fn expire(&mut self, request: request::Expire) -> Result<Value, Failure> {
        let next = find(&self.sessions, &request.session, "session")?.expire_skipped(request.today);
        let changed = next.is_some();
        if let Some(next) = next {
            keep(&mut self.sessions, request.session, Arc::new(next))?;
        }
        Ok(json!({ "changed": changed }))
    }

    pub(super) fn facts(&self, request: &request::OfSession) -> Result<Value, Failure> {
        let session = find(&self.sessions, &request.session, "session")?;
        let side = |party: &sealpost_crypto::session::Party| {
            json!({
                "name": party.name.as_str(),
                "account": hex(&party.account.0),
                "device": party.device.id.0,
                "device-key": hex(&party.device.key.0),
                "identity": hex(&party.device.identity.0),
            })
        };
        Ok(json!({
            "id": hex(&session.id().0),
            "own": side(session.own()),
            "peer": side(session.peer()),
            "initiated": session.initiated(),
            "confirmed": session.confirmed(),
            "only-receives": session.only_receives(),
        }))
    }

    /// The session as the vault would store it. The door out stays the vault's: this one's key is known to everybody,
    /// and so is every secret whose random bytes the caller gave.
    pub(super) fn state(&mut self, request: &request::OfSession) -> Result<Value, Failure> {
        let states = states(&mut self.states)?;
        let session = find(&self.sessions, &request.session, "session")?;
        let (table, key) = STATE;
        // The same nonce each time, so that two states are the same bytes exactly where the sessions are the same.
        let state = draw(&[0; 24], |rng| Ok(states.seal_secret(table, &key, &**session, rng)))?;
        Ok(json!({ "state": hex(&state) }))
    }

    pub(super) fn restore(&mut self, request: request::Restore) -> Result<Value, Failure> {
        let (table, key) = STATE;
        let session: Session = states(&mut self.states)?.open_secret(table, &key, &request.state.0)?;
        keep(&mut self.sessions, request.r#as, Arc::new(session))?;
        Ok(json!({}))
    }

    pub(super) fn message(request: &request::OfMessage) -> Result<Value, Failure> {
        let message = &request.message.0;
        let named = named_prekeys(message)?.map(|named| {
            json!({
                "signed": named.signed.0,
                "one-time": (named.one_time != PrekeyId::NONE).then_some(named.one_time.0),
                "kem-role": named.kem_role as u8,
                "kem": named.kem.0,
            })
        });
        Ok(json!({
            "chain": hex(&chain_id(message)?),
            "session": session_id(message)?.map(|id| hex(&id.0)),
            "keys": named,
            "replay": named_prekeys(message)?.map(|named| hex(&named.replay)),
        }))
    }
}

/// The vault of all states: an empty passphrase, the least cost, and random bytes that are all zero.
fn states(vault: &mut Option<Vault>) -> Result<&Vault, Failure> {
    if vault.is_none() {
        let (made, _) = draw(&[0; 88], |rng| Vault::create(b"", Cost::FLOOR, rng))?;
        *vault = Some(made);
    }
    vault.as_ref().ok_or(Failure::Refused)
}
