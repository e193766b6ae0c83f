//! Verbs of vaults.

use sealpost_crypto::vault::{self, Vault};
use serde_json::{Value, json};

use super::{Failure, Things, find, hex, keep};
use crate::port::given::draw;
use crate::port::request;

impl From<&request::Cost> for vault::Cost {
    fn from(cost: &request::Cost) -> Self {
        Self { memory: cost.memory, passes: cost.passes, lanes: cost.lanes }
    }
}

impl Things {
    pub(super) fn vault_create(&mut self, request: request::VaultCreate) -> Result<Value, Failure> {
        let passphrase = request.passphrase.0.as_bytes();
        let (vault, header) = draw(&request.random.0, |rng| Vault::create(passphrase, (&request.cost).into(), rng))?;
        keep(&mut self.vaults, request.r#as, vault)?;
        Ok(json!({ "header": hex(&header) }))
    }

    pub(super) fn vault_unlock(&mut self, request: request::VaultUnlock) -> Result<Value, Failure> {
        let vault = Vault::unlock(&request.header.0, request.passphrase.0.as_bytes())?;
        keep(&mut self.vaults, request.r#as, vault)?;
        Ok(json!({}))
    }

    pub(super) fn vault_rewrap(&self, request: &request::VaultRewrap) -> Result<Value, Failure> {
        let vault = find(&self.vaults, &request.vault, "vault")?;
        let passphrase = request.passphrase.0.as_bytes();
        let header = draw(&request.random.0, |rng| vault.rewrap(passphrase, (&request.cost).into(), rng))?;
        Ok(json!({ "header": hex(&header) }))
    }

    pub(super) fn vault_blind(&self, request: &request::VaultBlind) -> Result<Value, Failure> {
        let vault = find(&self.vaults, &request.vault, "vault")?;
        Ok(json!({ "key": hex(&vault.blind(&request.table.0, &request.key.0)) }))
    }

    pub(super) fn vault_seal(&self, request: &request::VaultSeal) -> Result<Value, Failure> {
        let vault = find(&self.vaults, &request.vault, "vault")?;
        let (table, key) = (&request.table.0, &request.key.0);
        let sealed = draw(&request.random.0, |rng| Ok(vault.seal(table, key, &request.row.0, rng)))?;
        Ok(json!({ "sealed": hex(&sealed) }))
    }

    pub(super) fn vault_open(&self, request: &request::VaultOpen) -> Result<Value, Failure> {
        let vault = find(&self.vaults, &request.vault, "vault")?;
        let row = vault.open(&request.table.0, &request.key.0, &request.sealed.0)?;
        Ok(json!({ "row": hex(&row) }))
    }
}
