//! Rooms have a creator, who moderates them by signed posts.

use sealpost_crypto::identity::verify_room;
use sealpost_spec::account::AccountKey;
use sealpost_spec::relay::{Answer, Refusal};
use sealpost_spec::room::{
    MAX_ROOM_BANS, MAX_ROOMS, MAX_TOPIC, Person, Post, PostHead, PostKind, RoomName, RoomReceipt, one_line,
};
use sealpost_spec::wire::Signed;

use super::super::row::{
    self, Account, Current, Founder, Joined, Member, Room, RoomBan, Row, account, founder, joined, member, put, room,
    room_ban,
};
use super::super::{ATTEMPTS, Caller, No, Outcome, Relay};
use crate::store::{Fault, Store, Write, Written};

/// What stands in the tables before a post that moderates, or that makes a room.
pub(super) struct Bench {
    pub(super) founder: Option<Current<Founder>>,
    /// Whom it is about.
    accused: Option<Accused>,
    full: bool,
}

struct Accused {
    account: AccountKey,
    person: Person,
    /// The name is still theirs.
    holds: bool,
    member: Option<Current<Member>>,
    joined: Option<Current<Joined>>,
    ban: Option<Current<RoomBan>>,
}

/// Refuses what a post of this kind does not say. [ROOM-15] [ROOM-16]
pub(super) fn well_said(head: &PostHead, post: &Post) -> Result<(), Refusal> {
    let body = post.body.as_ref().map(|body| body.0.as_slice());
    if let (Some(most), Some(body)) = (head.kind.line(), body) {
        within(body, most)?;
        one_line(body, most).ok_or(Refusal::Malformed)?;
    }
    if let Some(accused) = head.person() {
        // Nobody moderates themselves.
        let body = body.filter(|_| accused != head.account).ok_or(Refusal::Malformed)?;
        let name = body.first().map_or(0, |length| usize::from(*length) + 1);
        within(body, name + MAX_TOPIC)?;
        Person::parse(body).map_err(|_| Refusal::Malformed)?;
    }
    Ok(())
}

fn within(body: &[u8], most: usize) -> Result<(), Refusal> {
    if body.len() > most { Err(Refusal::TooLarge { limit: most as u64 }) } else { Ok(()) }
}

impl<S: Store> Relay<S> {
    /// What has to be known besides what every post needs.
    pub(super) async fn bench(&self, head: &PostHead, post: &Post) -> Result<Bench, Fault> {
        let about = head.person().zip(post.body.as_ref().and_then(|body| Person::parse(&body.0).ok()));
        let mut keys = vec![founder(&head.room)];
        if let Some((accused, Person { name, .. })) = &about {
            keys.extend([account(name), member(&head.room, name), joined(name, &head.room)]);
            keys.push(room_ban(&head.room, accused));
        }
        let mut values = self.store.get(keys).await?.into_iter();
        let mut next = || values.next().flatten();
        let founder = next().map(row::decoded).transpose()?;
        let accused = match about {
            Some((account, person)) => Some(Accused {
                account,
                person,
                holds: next().map(row::decoded::<Account>).transpose()?.is_some_and(|row| row.row.account == account),
                member: next().map(row::decoded).transpose()?,
                joined: next().map(row::decoded).transpose()?,
                ban: next().map(row::decoded).transpose()?,
            }),
            None => None,
        };
        let full = head.kind == PostKind::Ban
            && self.store.count(RoomBan::TABLE, &row::of(head.room.as_str())).await? >= MAX_ROOM_BANS as u64;
        Ok(Bench { founder, accused, full })
    }

    /// Who made a room; from whoever shows an earlier receipt of this relay's than it has, since it may have lost one.
    /// [ROOM-12] [ROOM-14]
    pub(in crate::answer) async fn room_made(
        &self,
        caller: &mut Caller,
        name: RoomName,
        shown: Option<Signed>,
    ) -> Outcome {
        self.quota.load().request(&caller.logged_in()?.name)?;
        let shown = match shown {
            Some(signed) => {
                let check = caller.check().await;
                let receipt = verify_room(&signed, &self.key).map_err(|_| Refusal::BadSignature)?;
                drop(check);
                Some(receipt).filter(|receipt| receipt.room == name)
            }
            None => None,
        };
        for _ in 0..ATTEMPTS {
            let known = self.row::<Founder>(founder(&name)).await?;
            let made = self.row::<Room>(room(&name)).await?.is_some();
            let receipt = known.as_ref().map(|known| known.row.receipt(&name));
            let earlier = |shown: &&RoomReceipt| receipt.as_ref().is_none_or(|known| shown.outranks(known));
            let Some(shown) = shown.as_ref().filter(earlier) else {
                if !made {
                    return Err(Refusal::NoSuchRoom.into());
                }
                return Ok(Answer::Room { receipt: receipt.map(|receipt| self.secret.sign_room(&receipt)) });
            };
            if !made && self.store.count(Room::TABLE, &[]).await? >= MAX_ROOMS as u64 {
                return Err(Refusal::QuotaReached { limit: MAX_ROOMS as u64 }.into());
            }
            let RoomReceipt { name: creator, account, time, .. } = shown.clone();
            let row = Founder { name: creator, account, time };
            // Whoever made the room in the meantime may have banned its creator.
            let ban = room_ban(&name, &account);
            let banned = self.row::<RoomBan>(room_ban(&name, &account)).await?;
            let mut batch: Vec<Write> =
                banned.map(|banned| Write::Delete { key: ban, expected: banned.rev }).into_iter().collect();
            batch.push(put(founder(&name), Current::rev(known.as_ref()), &row)?);
            if !made {
                batch.push(put(room(&name), None, &Room { made_at: time, maker: Some(account) })?);
            }
            if self.store.write(batch).await?.last() != Some(&Written::Moved) {
                return Ok(Answer::Room { receipt: Some(self.secret.sign_room(shown)) });
            }
        }
        Err(Fault::Contended("a room").into())
    }
}

impl Bench {
    /// Whether the author may say this. [ROOM-15] [ROOM-17]
    pub(super) fn allows(&self, head: &PostHead) -> Result<(), No> {
        let creator = self.founder.as_ref().is_some_and(|founder| founder.row.account == head.account);
        if head.kind.moderates() && !creator {
            return Err(Refusal::NotCreator.into());
        }
        if self.full && self.accused.as_ref().is_some_and(|accused| accused.ban.is_none()) {
            return Err(Refusal::QuotaReached { limit: MAX_ROOM_BANS as u64 }.into());
        }
        Ok(())
    }

    /// The rows that a post changes that moderates. [ROOM-17]
    pub(super) fn changes(&self, head: &PostHead) -> Result<Vec<Write>, Fault> {
        let Some(accused) = &self.accused else { return Ok(Vec::new()) };
        let Person { name, reason } = &accused.person;
        let ban = room_ban(&head.room, &accused.account);
        let mut batch = Vec::with_capacity(3);
        match head.kind {
            PostKind::Ban => {
                let row = RoomBan { name: name.clone(), reason: reason.clone() };
                batch.push(put(ban, Current::rev(accused.ban.as_ref()), &row)?);
            }
            PostKind::Unban => {
                batch.extend(accused.ban.as_ref().map(|row| Write::Delete { key: ban, expected: row.rev }));
            }
            _ => {}
        }
        if matches!(head.kind, PostKind::Kick | PostKind::Ban) && accused.holds {
            let (of_room, of_name) = (member(&head.room, name), joined(name, &head.room));
            batch.extend(accused.joined.as_ref().map(|row| Write::Delete { key: of_name, expected: row.rev }));
            batch.extend(accused.member.as_ref().map(|row| Write::Delete { key: of_room, expected: row.rev }));
        }
        Ok(batch)
    }

    /// Who makes a room is its creator from now on. [ROOM-12]
    pub(super) fn found(&self, now: u64, head: &PostHead) -> Result<Option<Write>, Fault> {
        if head.kind != PostKind::Join || head.room.is_lobby() {
            return Ok(None);
        }
        let row = Founder { name: head.author.clone(), account: head.account, time: now };
        put(founder(&head.room), Current::rev(self.founder.as_ref()), &row).map(Some)
    }
}
