//! A relay that keeps everything in memory and checks next to nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sealpost_crypto::identity::{
    RelaySecret, fingerprint, mailbox, post_hash, relay_pin, verify_devices, verify_leave, verify_prekey, verify_room,
};
use sealpost_spec::account::{
    AccountKey, Bundle, DeviceBundle, DeviceId, Fingerprint, LeaveProof, NameReceipt, PrekeyCounts, PrekeyRole,
    PublishedKeys,
};
use sealpost_spec::mailbox::{Envelope, EnvelopeId, MailboxId, Push, Seq, StoreId};
use sealpost_spec::relay::{
    Address, Answer, Member, Refusal, Registering, RelayHello, Request, RoomSummary, WorkPrice,
};
use sealpost_spec::room::{Post, PostHead, PostKind, RoomName, RoomReceipt};
use sealpost_spec::transparency::TreeHead;
use sealpost_spec::wire::Signed;

use super::super::Failure;
use super::dice;

struct Account {
    who: usize,
    list: Signed,
    keys: PublishedKeys,
    generation: u64,
    receipt: Signed,
}

pub(super) struct FakeRelay {
    secret: RelaySecret,
    store: [u8; 16],
    accounts: BTreeMap<String, Account>,
    boxes: BTreeMap<MailboxId, Vec<(Seq, Envelope)>>,
    seen: Vec<EnvelopeId>,
    history: BTreeMap<MailboxId, Vec<(Seq, Envelope)>>,
    rooms: BTreeMap<RoomName, Vec<Post>>,
    members: BTreeMap<RoomName, Vec<String>>,
    pub(super) creators: BTreeMap<RoomName, RoomReceipt>,
    follows: BTreeMap<usize, Vec<RoomName>>,
    pushes: BTreeMap<usize, VecDeque<Push>>,
    logged_in: BTreeMap<usize, String>,
    held: Vec<Envelope>,
    seq: u64,
    /// Blobs that their account wanted removed.
    pub(super) dropped: Vec<sealpost_spec::attachment::BlobId>,
    pub(super) up: bool,
    pub(super) hold_back: bool,
    pub(super) withhold: bool,
    /// Wants the first post, whatever it is given.
    pub(super) insatiable: bool,
    /// Gives the same full page of a list for ever.
    pub(super) repeats: bool,
    /// Does not take a post that says this.
    pub(super) refuses: Option<&'static [u8]>,
    /// How often somebody has registered.
    pub(super) registrations: u32,
    /// Lets nobody in, and says this.
    pub(super) shuts_out: Option<Refusal>,
    /// Whom their rooms' creators have banned.
    banned: BTreeSet<(RoomName, AccountKey)>,
    /// What nobody was pushed is not given to whoever asks, either.
    pub(super) hide: bool,
    pub(super) delivered: u64,
}

impl FakeRelay {
    pub(super) fn new(store: u8) -> Self {
        Self {
            secret: RelaySecret::generate(&mut dice(u64::from(store))),
            store: [store; 16],
            accounts: BTreeMap::new(),
            boxes: BTreeMap::new(),
            seen: Vec::new(),
            history: BTreeMap::new(),
            rooms: BTreeMap::new(),
            members: BTreeMap::new(),
            creators: BTreeMap::new(),
            follows: BTreeMap::new(),
            pushes: BTreeMap::new(),
            logged_in: BTreeMap::new(),
            held: Vec::new(),
            seq: 0,
            dropped: Vec::new(),
            up: true,
            hold_back: false,
            withhold: false,
            insatiable: false,
            repeats: false,
            refuses: None,
            registrations: 0,
            shuts_out: None,
            banned: BTreeSet::new(),
            hide: false,
            delivered: 0,
        }
    }

    pub(super) fn lose_store(&mut self, store: u8) {
        let secret = std::mem::replace(self, Self::new(store)).secret;
        self.secret = secret;
    }

    pub(super) fn address(&self) -> Address {
        format!("sealpost://localhost:7443/{}", relay_pin(&self.secret.public())).parse().unwrap()
    }

    pub(super) fn key(&self) -> [u8; 32] {
        self.secret.public()
    }

    pub(super) fn hello(&self, now: u64) -> RelayHello {
        RelayHello {
            store: StoreId(self.store),
            challenge: [3; 32],
            time: now,
            registering: Registering::Open,
            work: WorkPrice { fetch: 0, deliver: 0 },
            tree_head: TreeHead::NONE,
        }
    }

    pub(super) fn logged_out(&mut self, who: usize) {
        self.logged_in.remove(&who);
        self.pushes.remove(&who);
        self.follows.remove(&who);
    }

    pub(super) fn next_push(&mut self, who: usize) -> Option<Push> {
        self.pushes.get_mut(&who)?.pop_front()
    }

    /// Another account takes over a name.
    pub(super) fn rename(&mut self, from: &str, to: &str) -> Fingerprint {
        let mut account = self.accounts.remove(from).unwrap();
        let list = verify_devices(&account.list).unwrap();
        let mut rng = dice(99);
        let secret = sealpost_crypto::identity::AccountSecret::generate(&mut rng);
        let device = sealpost_crypto::identity::DeviceSecret::generate(&mut rng);
        let changed = sealpost_spec::account::DeviceList {
            name: to.parse().unwrap(),
            account: secret.key(),
            devices: vec![device.public(DeviceId(1))],
            ..list
        };
        account.list = secret.sign_devices(&changed);
        self.accounts.insert(to.to_owned(), account);
        fingerprint(&secret.key())
    }

    /// What the directory shows of somebody, and from now on shows instead.
    pub(super) fn list_of(&mut self, name: &str) -> &mut Signed {
        &mut self.accounts.get_mut(name).unwrap().list
    }

    pub(super) fn waiting(&self, name: &str) -> usize {
        let list = verify_devices(&self.accounts[name].list).unwrap();
        self.boxes.get(&mailbox(&list.devices[0].key)).map_or(0, Vec::len)
    }

    pub(super) fn posts(&self, room: &str) -> usize {
        self.rooms.get(&room.parse().unwrap()).map_or(0, Vec::len)
    }

    pub(super) fn last_post(&self, room: &str) -> Post {
        self.rooms[&room.parse().unwrap()].last().unwrap().clone()
    }

    /// Everything that this person ever got is pushed once more.
    pub(super) fn push_again(&mut self, who: usize) {
        let all: Vec<_> = self.history.values().flatten().cloned().collect();
        for (seq, envelope) in all {
            if self.owner(envelope.mailbox) == Some(who) {
                self.push_envelope(seq, &envelope);
            }
        }
    }

    /// Somebody who never comes online.
    pub(super) fn alias(&mut self, of: &str, name: &str) {
        let mut rng = dice(98);
        let secret = sealpost_crypto::identity::AccountSecret::generate(&mut rng);
        let device = sealpost_crypto::identity::DeviceSecret::generate(&mut rng);
        let list = sealpost_spec::account::DeviceList {
            number: 1,
            name: name.parse().unwrap(),
            account: secret.key(),
            devices: vec![device.public(DeviceId(1))],
        };
        let model = &self.accounts[of];
        let account = Account {
            who: usize::MAX,
            list: secret.sign_devices(&list),
            keys: model.keys.clone(),
            generation: 1,
            receipt: model.receipt.clone(),
        };
        self.accounts.insert(name.to_owned(), account);
    }

    /// From now on a later login is claimed than there was.
    pub(super) fn claim_generation(&mut self, name: &str, generation: u64) {
        self.accounts.get_mut(name).unwrap().generation = generation;
    }

    /// The time is over in which an envelope with a known id is dropped.
    pub(super) fn forget_ids(&mut self) {
        self.seen.clear();
    }

    pub(super) fn envelopes(&self) -> usize {
        self.seen.len()
    }

    pub(super) fn release(&mut self) {
        for envelope in std::mem::take(&mut self.held) {
            self.append(envelope);
        }
    }

    fn owner(&self, wanted: MailboxId) -> Option<usize> {
        let of = |account: &Account| mailbox(&verify_devices(&account.list).unwrap().devices[0].key);
        self.accounts.values().find(|account| of(account) == wanted).map(|account| account.who)
    }

    fn push_envelope(&mut self, seq: Seq, envelope: &Envelope) {
        if let Some(who) = self.owner(envelope.mailbox).filter(|who| self.logged_in.contains_key(who)) {
            let push = Push::Envelope { seq, id: envelope.id, sealed: envelope.sealed.clone() };
            self.pushes.entry(who).or_default().push_back(push);
        }
    }

    fn append(&mut self, envelope: Envelope) -> Seq {
        self.seq += 1;
        let seq = Seq(self.seq);
        if !self.seen.contains(&envelope.id) {
            self.seen.push(envelope.id);
            self.boxes.entry(envelope.mailbox).or_default().push((seq, envelope.clone()));
            self.history.entry(envelope.mailbox).or_default().push((seq, envelope.clone()));
            self.push_envelope(seq, &envelope);
        }
        seq
    }

    fn log_in(&mut self, who: usize, name: &str) {
        self.logged_in.insert(who, name.to_owned());
        let list = verify_devices(&self.accounts[name].list).unwrap();
        let waiting = self.boxes.get(&mailbox(&list.devices[0].key)).cloned().unwrap_or_default();
        for (seq, envelope) in waiting {
            self.push_envelope(seq, &envelope);
        }
    }

    fn counts(&self, name: &str) -> PrekeyCounts {
        let keys = &self.accounts[name].keys;
        PrekeyCounts { one_time: keys.one_time.len() as u32, one_time_kem: keys.one_time_kem.len() as u32 }
    }

    pub(super) fn authenticated(&mut self, who: usize, now: u64, request: Request) -> Result<Answer, Failure> {
        if let Request::Register(registration) = request {
            self.registrations += 1;
            let list = verify_devices(&registration.list).unwrap();
            let name = list.name.to_string();
            let receipt = registration.receipt.unwrap_or_else(|| {
                let receipt = NameReceipt { name: list.name.clone(), account: list.account, generation: 0, time: now };
                self.secret.sign_receipt(&receipt)
            });
            let account = Account {
                who,
                list: registration.list,
                keys: registration.keys,
                generation: registration.login.generation,
                receipt: receipt.clone(),
            };
            self.accounts.insert(name.clone(), account);
            self.log_in(who, &name);
            return Ok(Answer::Registered { receipt, generation: 0, keys: self.counts(&name) });
        }
        if let Request::Login(login) = request {
            if let Some(refusal) = &self.shuts_out {
                return Err(Failure::Refused(refusal.clone()));
            }
            let name = login.name.to_string();
            let Some(account) = self.accounts.get_mut(&name).filter(|account| account.who == who) else {
                return Err(Failure::Refused(Refusal::NoSuchName));
            };
            let before = account.generation;
            account.generation = before.max(login.generation);
            assert!(!account.receipt.body.0.is_empty());
            self.log_in(who, &name);
            return Ok(Answer::LoggedIn { generation: before, keys: self.counts(&name) });
        }
        let Some(name) = self.logged_in.get(&who).cloned() else { return Err(Failure::Refused(Refusal::WrongLink)) };
        match request {
            Request::Publish(new) => {
                let keys = &mut self.accounts.get_mut(&name).unwrap().keys;
                keys.signed = new.signed.or(keys.signed.take());
                keys.last_resort_kem = new.last_resort_kem.or(keys.last_resort_kem.take());
                keys.box_key = new.box_key.or(keys.box_key.take());
                keys.one_time.extend(new.one_time);
                keys.one_time_kem.extend(new.one_time_kem);
                Ok(Answer::Published { keys: self.counts(&name) })
            }
            Request::Acknowledge(pairs) => {
                let list = verify_devices(&self.accounts[&name].list).unwrap();
                let waiting = self.boxes.entry(mailbox(&list.devices[0].key)).or_default();
                waiting.retain(|(seq, envelope)| !pairs.contains(&(*seq, envelope.id)));
                Ok(Answer::Done)
            }
            Request::Post(post) => self.post(&name, post),
            Request::Follow { room, after } => {
                if !self.rooms.contains_key(&room) {
                    return Err(Failure::Refused(Refusal::NoSuchRoom));
                }
                let posts = if self.hide { Vec::new() } else { self.rooms[&room].clone() };
                for (i, post) in posts.into_iter().enumerate().skip(after.0 as usize) {
                    let push = Push::Post { room: room.clone(), seq: Seq(i as u64 + 1), post };
                    self.pushes.entry(who).or_default().push_back(push);
                }
                self.follows.entry(who).or_default().push(room);
                Ok(Answer::Done)
            }
            Request::Unfollow(room) => {
                self.follows.entry(who).or_default().retain(|other| *other != room);
                Ok(Answer::Done)
            }
            Request::SetToken(_) => Ok(Answer::Done),
            Request::SetDevices { list, .. } => {
                self.accounts.get_mut(&name).unwrap().list = list;
                Ok(Answer::Done)
            }
            Request::Unregister { signature } => {
                let account = verify_devices(&self.accounts[&name].list).unwrap().account;
                let (channel, challenge) = (&[who as u8; 32], &[3; 32]);
                let named = name.parse().unwrap();
                let proof = LeaveProof { relay: &self.key(), channel, challenge, name: &named };
                assert!(verify_leave(&signature, &proof, &account).is_ok(), "only the account ends itself");
                self.accounts.remove(&name);
                self.logged_out(who);
                Ok(Answer::Done)
            }
            Request::DropBlob(blob) => {
                self.dropped.push(blob);
                Ok(Answer::Done)
            }
            Request::Rooms { .. } => {
                let summary = |(room, posts): (&RoomName, &Vec<Post>)| RoomSummary {
                    room: room.clone(),
                    members: self.members[room].len() as u32,
                    posts: posts.len() as u64,
                };
                if self.repeats {
                    let room = RoomSummary { room: RoomName::lobby(), members: 1, posts: 1 };
                    return Ok(Answer::Rooms(vec![room; sealpost_spec::relay::MAX_LISTED]));
                }
                Ok(Answer::Rooms(self.rooms.iter().map(summary).collect()))
            }
            Request::Room { room, receipt } => {
                let shown = receipt.map(|receipt| verify_room(&receipt, &self.key()).unwrap());
                if let Some(shown) = shown
                    && self.creators.get(&room).is_none_or(|known| shown.outranks(known))
                {
                    self.creators.insert(room.clone(), shown);
                }
                if !self.rooms.contains_key(&room) && !self.creators.contains_key(&room) {
                    return Err(Failure::Refused(Refusal::NoSuchRoom));
                }
                let receipt = self.creators.get(&room).map(|creator| self.secret.sign_room(creator));
                Ok(Answer::Room { receipt })
            }
            Request::Members { room, .. } => {
                let member = |name: &String| Member { name: name.parse().unwrap(), online: true };
                Ok(Answer::Members(self.members.get(&room).into_iter().flatten().map(member).collect()))
            }
            other => self.anonymous(other),
        }
    }

    fn post(&mut self, name: &str, post: Post) -> Result<Answer, Failure> {
        let head = PostHead::parse(&post.head.body.0).unwrap();
        if self.insatiable {
            return Err(Failure::Refused(Refusal::PostOutOfOrder { wanted: 1 }));
        }
        if self.refuses.is_some_and(|text| post.body.as_ref().is_some_and(|body| body.0 == text)) {
            return Err(Failure::Refused(Refusal::NoSuchPost));
        }
        if !self.rooms.contains_key(&head.room) && !head.room.is_lobby() {
            let creator = RoomReceipt {
                room: head.room.clone(),
                name: head.author.clone(),
                account: head.account,
                time: head.time,
            };
            self.creators.entry(head.room.clone()).or_insert(creator);
        }
        let posts = self.rooms.entry(head.room.clone()).or_default();
        let parsed: Vec<PostHead> = posts.iter().map(|post| PostHead::parse(&post.head.body.0).unwrap()).collect();
        if let Some(at) = parsed.iter().position(|other| other.id == head.id) {
            return Ok(Answer::Posted { seq: Seq(at as u64 + 1), id: head.id });
        }
        if self.banned.contains(&(head.room.clone(), head.account)) {
            return Err(Failure::Refused(Refusal::BannedFromRoom { reason: "weeds".to_owned() }));
        }
        let last = parsed.iter().rposition(|other| (other.account, other.device.id) == (head.account, head.device.id));
        let wanted = last.map_or(1, |last| parsed[last].number + 1);
        let previous = last.map_or_else(Default::default, |last| post_hash(&posts[last].head.body.0));
        let returns = head.kind == PostKind::Join && head.number > wanted;
        if !returns && (head.number != wanted || head.previous != previous) {
            return Err(Failure::Refused(Refusal::PostOutOfOrder { wanted }));
        }
        match head.person() {
            Some(whom) if head.kind == PostKind::Ban => drop(self.banned.insert((head.room.clone(), whom))),
            Some(whom) if head.kind == PostKind::Unban => drop(self.banned.remove(&(head.room.clone(), whom))),
            _ => {}
        }
        posts.push(post.clone());
        let seq = Seq(posts.len() as u64);
        let members = self.members.entry(head.room.clone()).or_default();
        if !members.iter().any(|member| member == name) {
            members.push(name.to_owned());
        }
        for (who, rooms) in &self.follows {
            if !self.withhold && rooms.contains(&head.room) {
                let push = Push::Post { room: head.room.clone(), seq, post: post.clone() };
                self.pushes.entry(*who).or_default().push_back(push);
            }
        }
        Ok(Answer::Posted { seq, id: head.id })
    }

    pub(super) fn anonymous(&mut self, request: Request) -> Result<Answer, Failure> {
        match request {
            Request::Deliver { envelope, .. } => {
                if self.owner(envelope.mailbox).is_none() {
                    return Err(Failure::Refused(Refusal::NoSuchMailbox));
                }
                self.delivered += 1;
                if self.hold_back {
                    self.held.push(envelope);
                    return Ok(Answer::Accepted { seq: Seq(1) });
                }
                Ok(Answer::Accepted { seq: self.append(envelope) })
            }
            Request::FetchBundle(name) => {
                let Some(account) = self.accounts.get_mut(name.as_str()) else {
                    return Err(Failure::Refused(Refusal::NoSuchName));
                };
                let list = verify_devices(&account.list).unwrap();
                let keys = &mut account.keys;
                assert!(
                    verify_prekey(keys.signed.as_ref().unwrap(), &list.devices[0].key, PrekeyRole::Signed).is_ok()
                        || name.as_str() == "bob"
                );
                let device = DeviceBundle {
                    device: DeviceId(1),
                    signed: keys.signed.clone().unwrap(),
                    one_time: keys.one_time.pop(),
                    kem: keys.one_time_kem.pop().or(keys.last_resort_kem.clone()).unwrap(),
                    box_key: keys.box_key.clone().unwrap(),
                };
                Ok(Answer::Bundle(Bundle { list: account.list.clone(), devices: vec![device] }))
            }
            Request::FetchDevices(name) => match self.accounts.get(name.as_str()) {
                Some(account) => Ok(Answer::Devices(account.list.clone())),
                None => Err(Failure::Refused(Refusal::NoSuchName)),
            },
            other => panic!("{other:?}"),
        }
    }
}
