//! The end of an account: by its owner, or by the operator who releases its name.

use sealpost_crypto::identity::verify_leave;
use sealpost_spec::account::{LeaveProof, Name};
use sealpost_spec::relay::{Answer, Refusal};
use sealpost_spec::wire::Signature;

use crate::answer::row::{self, Account, Current, Released, put};
use crate::answer::{ATTEMPTS, Caller, Outcome, Relay};
use crate::store::{Fault, Store, Write, Written};

/// What the other devices of an account are told.
const LEFT: &str = "the account was deleted by its owner";

impl<S: Store> Relay<S> {
    /// Removes the account of who asks, with all that is its. **[ACCT-19]**
    pub(in crate::answer) async fn unregister(&self, caller: &mut Caller, signature: &Signature) -> Outcome {
        let login = caller.logged_in()?;
        let (name, account) = (login.name.clone(), login.account);
        self.quota.load().request(&name)?;
        let check = caller.check().await;
        let proof =
            LeaveProof { relay: &self.key, channel: &caller.peer.channel, challenge: &caller.challenge, name: &name };
        verify_leave(signature, &proof, &account).map_err(|_| Refusal::BadSignature)?;
        drop(check);
        // Another link of the device may have come meanwhile. [RELAY-6]
        caller.logged_in()?;
        for _ in 0..ATTEMPTS {
            let current = self.row::<Account>(row::account(&name)).await?;
            let Some(current) = current.filter(|current| current.row.account == account) else {
                return Err(Refusal::NoSuchName.into());
            };
            if self.erase(&name, &current).await? {
                // Its own link is answered; whoever else speaks for the account hears why that ends.
                caller.login = None;
                caller.following.clear();
                self.presence.end(&name, None, &Refusal::Kicked { reason: LEFT.to_owned() });
                return Ok(Answer::Done);
            }
        }
        Err(Fault::Contended("an account").into())
    }

    /// Removes an account and frees its name; `false` where another request changed what was read. [ACCT-18]
    pub(in crate::answer) async fn erase(&self, name: &Name, holder: &Current<Account>) -> Result<bool, Fault> {
        let before = self.row::<Released>(row::released(name)).await?;
        let generation = holder.row.generation.saturating_add(1);
        // First of all: what follows may be cut short, and is then done again.
        let mut batch = vec![put(row::released(name), Current::rev(before.as_ref()), &Released { generation })?];
        self.drop_blobs_of(name).await?;
        batch.extend(self.eviction(name, &holder.row, None).await?);
        batch.push(Write::Delete { key: row::account(name), expected: holder.rev });
        Ok(self.store.write(batch).await?.last() != Some(&Written::Moved))
    }
}
