//! What Mallory's process is told to do: a line each, answered by one that says what she does from now on.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sealpost_crypto::identity::{RelaySecret, mailbox, verify_devices};
use sealpost_crypto::session::VerifiedBundle;
use sealpost_relay::store::Memory;
use sealpost_spec::account::{DeviceList, Name};
use sealpost_spec::mailbox::{MailboxId, Push, Seq};
use sealpost_spec::relay::{Answer, Request};
use sealpost_spec::room::{Post, PostKind, RoomName};
use sealpost_spec::wire::Signed;

use super::lies::{keys, messages, rooms};
use super::puppet::Puppet;
use super::relay::{House, now, over};

/// Accounts of her own, by the name that they bear, and what she put by.
#[derive(Default)]
pub(super) struct Cast {
    puppets: BTreeMap<String, Puppet>,
    backup: Option<Memory>,
}

impl Cast {
    /// Her own account of this name.
    fn puppet(&mut self, name: &str) -> &mut Puppet {
        let new = || Puppet::new(name, now(), ChaCha20Rng::from_rng(&mut rand::rng()));
        self.puppets.entry(name.to_owned()).or_insert_with(new)
    }

    /// Whether this is a delivery to one of hers: somebody was fooled.
    pub(super) fn owns(&self, request: &Request) -> bool {
        let theirs = |puppet: &Puppet| mailbox(&puppet.public().key);
        matches!(request, Request::Deliver { envelope, .. }
            if self.puppets.values().any(|puppet| theirs(puppet) == envelope.mailbox))
    }
}

impl House {
    /// Does what a line says.
    pub(super) async fn order(&self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        self.obeys(&words).await.unwrap_or_else(|| format!("? {line}"))
    }

    /// `None`: she does not understand, or somebody whom it takes is not there.
    #[expect(clippy::too_many_lines, reason = "one line for each attack")]
    async fn obeys(&self, words: &[&str]) -> Option<String> {
        let said = match *words {
            ["honest"] => {
                let mut state = self.state();
                state.lies.reform();
                state.waiting.clear();
                (state.lied, state.fooled) = (0, 0);
                "is honest".to_owned()
            }
            ["lied"] => self.state().lied.to_string(),
            ["fooled"] => self.state().fooled.to_string(),
            ["swap-keys", name] => {
                let mut state = self.state();
                let bundle = state.cast.puppet(name).bundle();
                state.lies = keys::swaps_keys(name.parse().ok()?, bundle);
                format!("answers whoever asks for {name}'s keys with keys of her own")
            }
            ["swap-keys-and-shut", name] => {
                let real = self.mailbox_of(name).await?;
                let mut state = self.state();
                let bundle = state.cast.puppet(name).bundle();
                state.lies = keys::swaps_keys(name.parse().ok()?, bundle).and(keys::shuts_a_mailbox(real));
                format!("says that {name}'s mailbox is gone, and answers whoever asks for his keys with her own")
            }
            ["swap-keys-once", name] => {
                let mut state = self.state();
                let bundle = state.cast.puppet(name).bundle();
                state.lies = keys::shows_the_first_others(name.parse().ok()?, bundle);
                format!("shows the first who asks for {name}'s keys her own, and everybody else the real ones")
            }
            ["cut-post-quantum"] => {
                self.state().lies = keys::leaves_out_the_post_quantum_half();
                "puts an elliptic key where a bundle's post-quantum one belongs".to_owned()
            }
            ["withhold-one-time-keys", name] => {
                let mut state = self.state();
                let last = state.seen.last_resort(&name.parse().ok()?)?.clone();
                state.lies = keys::withholds_one_time_keys(last);
                format!("hands out none of {name}'s one-time keys")
            }
            ["old-version"] => {
                self.state().lies = keys::rewrites_the_version(0x0100);
                "says hello in another version of the protocol".to_owned()
            }
            ["false-name-receipts"] => {
                let key = RelaySecret::generate(&mut rand::rng());
                self.state().lies = keys::forges_name_receipts(key);
                "gives who registers a name receipt that the relay's key did not sign".to_owned()
            }
            ["drop", name] => {
                let real = self.mailbox_of(name).await?;
                self.state().lies = messages::drops(real);
                format!("says accepted, and throws away what is for {name}")
            }
            ["delay"] => {
                self.state().lies = messages::delays();
                "keeps every message back".to_owned()
            }
            ["reorder"] => {
                self.state().lies = messages::reorders();
                "hands messages out in twos, the second one first".to_owned()
            }
            ["duplicate", times] => {
                self.state().lies = messages::duplicates(times.parse().ok().filter(|times| *times <= 100)?);
                format!("hands every message out {times} times")
            }
            ["bend"] => {
                self.state().lies = messages::bends_boxes();
                "flips one bit in the middle of each message".to_owned()
            }
            ["relabel"] => {
                self.state().lies = messages::relabels();
                "gives each message another envelope's id".to_owned()
            }
            ["replay", name, times] => {
                let times: usize = times.parse().ok().filter(|times| *times <= 20)?;
                let mut state = self.state();
                let all = state.seen.envelopes();
                let count = all.len();
                for push in all.iter().cycle().take(times * count) {
                    state.inject(name, push.clone());
                }
                format!("hands {name} all {count} messages that she has ever seen, {times} times")
            }
            ["impersonate", sender, "to", victim] => {
                let (bundle, list) = self.both(victim, sender).await?;
                let mut state = self.state();
                let words = "transfer everything";
                let push = messages::impersonates(state.cast.puppet("mallory"), &bundle, list, words, now());
                state.inject(victim, push);
                format!("writes \"{words}\" to {victim}, with {sender}'s certificate and keys of her own")
            }
            ["forge-receipt", sender, "to", victim] => {
                let (bundle, list) = self.both(victim, sender).await?;
                let mut state = self.state();
                let push = messages::forges_a_receipt(state.cast.puppet("mallory"), &bundle, list, now());
                state.inject(victim, push);
                format!("makes up a receipt of {sender}'s for everything")
            }
            ["control-characters", name] => {
                self.state().inject(name, messages::control_characters(now()));
                "sends a notice full of escape sequences, as the relay's operator".to_owned()
            }
            ["alter-posts", said, into] => {
                self.state().lies = rooms::alters_posts(said.replace('_', " "), into.replace('_', " "));
                format!("puts \"{}\" where a post says \"{}\"", into.replace('_', " "), said.replace('_', " "))
            }
            ["move-posts", room] => {
                self.state().lies = rooms::moves_posts(room.parse().ok()?);
                format!("shows every post in #{room} instead of its own room")
            }
            ["withhold-posts", said] => {
                self.state().lies = rooms::withholds_posts(said.replace('_', " "));
                format!("keeps the post \"{}\" back", said.replace('_', " "))
            }
            ["truncate-history"] => {
                self.state().lies = rooms::truncates_history(now());
                "shows of every room only what is said from now on".to_owned()
            }
            ["forge-post", author, "in", room, "to", victim] => {
                let key = self.secret().public();
                let mut state = self.state();
                let post = rooms::forged_post(state.cast.puppet(author), key, room.parse().ok()?, "send money", now());
                state.inject(victim, pushed(room, post)?);
                format!("posts \"send money\" as {author}, signed with keys of her own")
            }
            ["forge-kick", whom, "by", author, "in", room] => {
                let key = self.secret().public();
                let list = self.devices_of(whom).await?;
                let mut state = self.state();
                let whom = (&list.name, list.account);
                let room_name: RoomName = room.parse().ok()?;
                let puppet = state.cast.puppet(author);
                let post = rooms::forged_decision(puppet, key, room_name, PostKind::Kick, whom, now());
                state.inject(list.name.as_str(), pushed(room, post)?);
                format!("puts {} out of #{room} in {author}'s name, signed with keys of her own", list.name.as_str())
            }
            ["replay-kick", "to", victim, "in", room] => {
                let mut state = self.state();
                let post = state.seen.post(PostKind::Kick)?.clone();
                state.inject(victim, pushed(room, post)?);
                format!("hands {victim} the real kick from before once more")
            }
            ["name-creator", name] => {
                let secret = self.secret();
                let mut state = self.state();
                let account = state.cast.puppet(name).account.key();
                state.lies = rooms::names_another_creator(secret, name.parse().ok()?, account);
                format!("says that {name} has made the room, in a receipt with the relay's signature")
            }
            ["remember"] => {
                let mut state = self.state();
                state.cast.backup = Some(state.relay.store().backup());
                "puts a copy of her store by".to_owned()
            }
            ["roll-back"] => {
                let backup = self.state().cast.backup.take()?;
                let relay = over(backup, self.secret()).await;
                let mut state = self.state();
                state.relay = relay;
                state.lied += 1;
                state.close_all();
                "rolls her store back to that copy".to_owned()
            }
            ["lose-store"] => {
                let relay = over(Memory::new(rand::random()), self.secret()).await;
                let mut state = self.state();
                state.relay = relay;
                state.lied += 1;
                state.close_all();
                "throws her store away".to_owned()
            }
            _ => return None,
        };
        Some(said)
    }

    async fn devices_of(&self, name: &str) -> Option<DeviceList> {
        verify_devices(&self.list_of(name).await?).ok()
    }

    async fn list_of(&self, name: &str) -> Option<Signed> {
        match self.asks(Request::FetchDevices(name.parse().ok()?)).await {
            Ok(Answer::Devices(list)) => Some(list),
            _ => None,
        }
    }

    async fn mailbox_of(&self, name: &str) -> Option<MailboxId> {
        self.devices_of(name).await?.devices.first().map(|device| mailbox(&device.key))
    }

    /// To whom, as everybody may ask for it, and under whose certificate.
    async fn both(&self, victim: &str, sender: &str) -> Option<(VerifiedBundle, Signed)> {
        let name: Name = victim.parse().ok()?;
        let Ok(Answer::Bundle(bundle)) = self.asks(Request::FetchBundle(name)).await else { return None };
        let list = verify_devices(&bundle.list).ok()?;
        let bundle = VerifiedBundle::verify(bundle.devices.first()?, &list).ok()?;
        Some((bundle, self.list_of(sender).await?))
    }
}

fn pushed(room: &str, post: Post) -> Option<Push> {
    Some(Push::Post { room: room.parse().ok()?, seq: Seq(3_000_000), post })
}
