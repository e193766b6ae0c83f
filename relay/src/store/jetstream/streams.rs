//! The streams of a cluster, with exactly the settings that the store's promises need: made where they are not there,
//! and refused where they are otherwise.

use data_encoding::HEXLOWER;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::OpenError;
use super::bus::{Bus, Deadline, Patience};
use super::names::{KINDS, Names};
use crate::store::{DUPLICATE_WINDOW, Fault};

/// Where a stream carries the id of its store. [STORE-10]
const STORE: &str = "sealpost-store";

/// A stream as it has to be.
pub(super) struct Plan {
    pub(super) name: String,
    /// On so many servers.
    pub(super) replicas: u64,
    settings: Json,
}

/// All streams, the one with the tables first: it says what the store's id is.
pub(super) fn plans(names: &Names, replicas: u8) -> Vec<Plan> {
    let plan = |of: &str, subjects: String, more: Json| {
        let name = names.stream(of);
        let mut settings = json!({
            "name": name,
            "subjects": [subjects],
            "retention": "limits",
            "storage": "file",
            "num_replicas": replicas,
            // What is accepted stays until somebody removes it.
            "discard": "new",
            "max_age": 0,
            "max_msgs": -1,
            "max_bytes": -1,
            "max_msg_size": -1,
            "max_msgs_per_subject": -1,
            "max_consumers": -1,
            "compression": "none",
            "sealed": false,
            "no_ack": false,
            "deny_delete": false,
            "deny_purge": false,
            "allow_rollup_hdrs": false,
            // What is read in many messages at once is read from any replica.
            "allow_direct": true,
            // What is written together, is written wholly or not at all.
            "allow_atomic": true,
        });
        if let (Some(settings), Json::Object(more)) = (settings.as_object_mut(), more) {
            settings.extend(more);
        }
        Plan { name, replicas: replicas.into(), settings }
    };
    let window = u64::try_from(DUPLICATE_WINDOW.as_nanos()).unwrap_or(u64::MAX);
    // A value is its last one. A deletion that nobody clears up goes by itself.
    let tables = json!({ "max_msgs_per_subject": 1, "allow_msg_ttl": true });
    let mut plans = vec![plan("tables", names.all("table"), tables)];
    for kind in KINDS {
        let entries = json!({
            "duplicate_window": window,
            "republish": { "src": names.entries(kind), "dest": names.wakes(kind), "headers_only": true },
        });
        plans.push(plan(kind, names.entries(kind), entries));
    }
    plans.push(plan("blobs", names.all("blob"), json!({})));
    plans
}

#[derive(Deserialize)]
struct Info {
    config: Json,
}

impl Plan {
    /// Finds the stream, or makes it. `id`: of the store, where that is known; it is given back.
    pub(super) async fn settle(&self, bus: &Bus, id: Option<[u8; 16]>, until: Deadline) -> Result<[u8; 16], OpenError> {
        let mut patience = Patience::until(until);
        loop {
            match bus.api::<Info>(&format!("STREAM.INFO.{}", self.name), &Json::Null, until).await? {
                Ok(info) => return self.check(&info.config, id),
                Err(refused) if refused.no_stream() => {}
                Err(refused) => return Err(Fault::from(refused).into()),
            }
            let mut settings = self.settings.clone();
            let new = id.unwrap_or_else(rand::random);
            if let Some(settings) = settings.as_object_mut() {
                settings.insert("metadata".to_owned(), json!({ STORE: HEXLOWER.encode(&new) }));
            }
            match bus.api::<Info>(&format!("STREAM.CREATE.{}", self.name), &settings, until).await? {
                // Looked at once more: another relay may have been quicker.
                Ok(_) => {}
                Err(refused) if refused.other_stream() => {}
                Err(refused) => return Err(Fault::from(refused).into()),
            }
            patience.wait().await?;
        }
    }

    /// Compares what is there with what has to be.
    fn check(&self, found: &Json, id: Option<[u8; 16]>) -> Result<[u8; 16], OpenError> {
        let setting = |name: &str| match found.get(name) {
            Some(value) => value.clone(),
            // What a server leaves out is off, or nothing.
            None => Json::Bool(false),
        };
        for (name, wanted) in self.settings.as_object().into_iter().flatten() {
            let is = setting(name);
            let fits = match name.as_str() {
                // A longer memory does no harm.
                "duplicate_window" => is.as_u64() >= wanted.as_u64(),
                _ => is == *wanted || (is == Json::Bool(false) && wanted.as_u64() == Some(0)),
            };
            if !fits {
                return Err(OpenError::Differs {
                    stream: self.name.clone(),
                    setting: name.clone(),
                    is: is.to_string(),
                    wanted: wanted.to_string(),
                });
            }
        }
        // Written in memory first, it would be accepted and not durable. [STORE-1]
        if found.get("persist_mode").is_some_and(|mode| mode.as_str() == Some("async")) {
            let (is, wanted) = ("\"async\"".to_owned(), "\"default\"".to_owned());
            return Err(OpenError::Differs {
                stream: self.name.clone(),
                setting: "persist_mode".to_owned(),
                is,
                wanted,
            });
        }
        let there = found.get("metadata").and_then(|metadata| metadata.get(STORE)).and_then(Json::as_str);
        let there = there.and_then(|id| HEXLOWER.decode(id.as_bytes()).ok()?.try_into().ok());
        match (there, id) {
            (Some(there), None) => Ok(there),
            (Some(there), Some(id)) if there == id => Ok(there),
            _ => Err(OpenError::Stranger(self.name.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        plans(&Names::new("sealpost"), 3).remove(1)
    }

    fn there(plan: &Plan) -> Json {
        let mut found = plan.settings.clone();
        found["metadata"] = json!({ STORE: HEXLOWER.encode(&[7; 16]), "_nats.level": "5" });
        found["more"] = json!("than we know");
        // A server shows what is off, or leaves it out.
        found.as_object_mut().unwrap().remove("no_ack");
        found
    }

    /// [STORE-1] [STORE-4] a stream that keeps less than it must is refused by the name of the setting; one with a
    /// longer window is not.
    #[test]
    fn settings_are_held_to() {
        let plan = plan();
        assert_eq!(plan.check(&there(&plan), None).unwrap(), [7; 16]);
        for (setting, value) in [
            ("storage", json!("memory")),
            ("num_replicas", json!(1)),
            ("max_age", json!(3_600_000_000_000_u64)),
            ("discard", json!("old")),
            ("duplicate_window", json!(1_000)),
            ("no_ack", json!(true)),
            ("persist_mode", json!("async")),
            ("republish", json!(null)),
        ] {
            let mut found = there(&plan);
            found[setting] = value;
            let refused = plan.check(&found, None).unwrap_err().to_string();
            assert!(refused.contains(setting) && refused.contains("sealpost-mailbox"), "{refused}");
        }
        let mut longer = there(&plan);
        longer["duplicate_window"] = json!(3_600_000_000_000_u64);
        assert!(plan.check(&longer, Some([7; 16])).is_ok());
    }

    /// [STORE-10] streams of two stores don't make one, and what is nobody's stream is left alone.
    #[test]
    fn strangers_are_refused() {
        let plan = plan();
        assert!(matches!(plan.check(&there(&plan), Some([8; 16])), Err(OpenError::Stranger(_))));
        let mut bare = there(&plan);
        bare["metadata"] = json!({});
        assert!(matches!(plan.check(&bare, None), Err(OpenError::Stranger(_))));
    }
}
