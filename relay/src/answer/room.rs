//! Rooms: signed posts in, the same posts out.

mod moderation;

use sealpost_crypto::identity::{post_hash, verify_post, verify_post_by};
use sealpost_spec::account::{DeviceList, Name};
use sealpost_spec::mailbox::Seq;
use sealpost_spec::relay::{Answer, MAX_LISTED, Member as Listed, Refusal, RoomSummary};
use sealpost_spec::room::{MAX_POST_BODY, MAX_ROOMS, MAX_ROOMS_JOINED, Post, PostHash, PostHead, PostKind, RoomName};
use sealpost_spec::wire::encode;

use super::push::LoggedPost;
use super::row::{
    self, Account, Author, Current, Joined, Member, Retention, Room, RoomBan, Row, StoredPost, account, author, joined,
    member, put, room,
};
use super::tail::room_log;
use super::{ATTEMPTS, Caller, No, Outcome, Relay};
use crate::store::{Append, Fault, Store, Write, Written};
use moderation::{Bench, well_said};

/// What stands in the tables before a post.
struct Before {
    room: Option<Current<Room>>,
    member: Option<Current<Member>>,
    joined: Option<Current<Joined>>,
    author: Option<Current<Author>>,
    stored: Option<Current<StoredPost>>,
    target: Option<Current<StoredPost>>,
    /// The author may not come in.
    ban: Option<Current<RoomBan>>,
    /// Of a post that moderates, or that makes a room.
    bench: Option<Bench>,
    /// Whether the room has let posts go.
    trimmed: bool,
    /// The number of the first post that is to be written.
    first: u64,
}

impl Before {
    /// Whether this is the next post of its author's chain, by a member, and changes nothing that was there. What it writes
    /// begins with its own row then: where that is there already, nothing is written.
    fn goes_on(&self, head: &PostHead) -> bool {
        let last = self.author.as_ref().map(|author| author.row.number).filter(|number| *number > 0);
        let next = last.and_then(|number| number.checked_add(1)) == Some(head.number);
        next && plain(head.kind) && self.room.is_some() && self.member.is_some()
    }
}

/// A post whose signatures hold and whose author is who says it.
pub(crate) struct Said {
    post: Post,
    head: PostHead,
    hash: PostHash,
}

impl Said {
    fn append(&self) -> Result<Write, Refusal> {
        let logged = LoggedPost { head: self.post.head.clone(), author: self.post.author.clone() };
        let bytes = encode(&logged).ok_or(Refusal::Malformed)?;
        Ok(Write::Append(Append { log: room_log(&self.head.room), id: self.head.id.0, bytes }))
    }
}

/// Those of the others that simply go on where the first ends: the same room, the next numbers, ids of their own, and
/// nothing that asks for more than the first did.
fn run<'a>(first: &Said, others: &'a [Said]) -> &'a [Said] {
    let goes_on = |(at, next): &(usize, &Said)| {
        let earlier = || std::iter::once(first).chain(others.iter().take(*at));
        let follows = earlier().last().is_some_and(|before| {
            Some(next.head.number) == before.head.number.checked_add(1) && next.head.previous == before.hash
        });
        let new = earlier().all(|other| other.head.id != next.head.id);
        plain(next.head.kind)
            && follows
            && new
            && next.head.room == first.head.room
            && first.head.kind != PostKind::Leave
    };
    let length = others.iter().enumerate().take_while(goes_on).count();
    others.get(..length).unwrap_or_default()
}

/// Whether a post of this kind changes nothing but its room's log.
fn plain(kind: PostKind) -> bool {
    matches!(kind, PostKind::Text | PostKind::Reply | PostKind::Reaction)
}

impl<S: Store> Relay<S> {
    /// `#lobby` is there from the start. [ROOM-1]
    pub(super) async fn open_lobby(&self) -> Result<(), Fault> {
        let lobby = RoomName::lobby();
        if self.row::<Room>(room(&lobby)).await?.is_none() {
            let write = put(room(&lobby), None, &Room { made_at: 0, maker: None })?;
            // Another relay over the same store may have opened it meanwhile.
            self.store.write(vec![write]).await?;
        }
        Ok(())
    }

    /// Checks what can be checked of a post without the store.
    pub(super) fn said(&self, caller: &mut Caller, post: Post) -> Result<Said, Refusal> {
        let Caller { login, author: known, .. } = caller;
        let login = super::caller::acts(login)?;
        self.quota.load().post(&login.name)?;
        if post.body.as_ref().is_some_and(|body| body.0.len() > MAX_POST_BODY) {
            return Err(Refusal::TooLarge { limit: MAX_POST_BODY as u64 });
        }
        // [ROOM-2] [THREAT-12] A link's posts carry the same list as a rule, and one signature less is verified.
        let head = match known.as_deref() {
            Some((author, list)) if *author == post.author => verify_post_by(&post, &self.key, list),
            _ => verify_post(&post, &self.key).map(|(head, list)| {
                *known = Some(Box::new((post.author.clone(), list)));
                head
            }),
        };
        let head = head.map_err(|_| Refusal::BadSignature)?;
        let author = (&head.author, head.account, head.device.id, head.device.key);
        if author != (&login.name, login.account, login.device, login.key) {
            return Err(Refusal::BadSignature);
        }
        well_said(&head, &post)?;
        // [RELAY-18]
        self.operator.admits(&login.account)?;
        let hash = post_hash(&post.head.body.0);
        Ok(Said { post, head, hash })
    }

    /// Takes posts of one link in their order: those that follow each other share a commit.
    pub(super) async fn post_all(&self, now: u64, said: Vec<Said>) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(said.len());
        let mut rest = said.as_slice();
        while let Some((first, others)) = rest.split_first() {
            match self.post_run(now, first, others).await {
                Ok(answers) => outcomes.extend(answers.into_iter().map(Ok)),
                Err(no) => outcomes.push(Err(no)),
            }
            rest = said.get(outcomes.len()..).unwrap_or_default();
        }
        outcomes
    }

    /// Takes the first post, and with it those that simply go on where it ends.
    async fn post_run(&self, now: u64, first: &Said, others: &[Said]) -> Result<Vec<Answer>, No> {
        let run = run(first, others);
        for attempt in 0..ATTEMPTS {
            if let Some(answers) = self.try_post(now, first, run, attempt == 0).await? {
                for _ in &answers {
                    self.posted_to(now, &first.head.room).await?;
                }
                return Ok(answers);
            }
        }
        Err(Fault::Contended("a room").into())
    }

    /// One attempt; `None` where another request changed what this one had read. `new`: posts that go on with their
    /// author's chain are taken for new without a look, for nearly all are. The store knows: where one is there already,
    /// this attempt ends with what comes before it.
    async fn try_post(&self, now: u64, first: &Said, run: &[Said], new: bool) -> Result<Option<Vec<Answer>>, No> {
        let Said { post, head, hash } = first;
        // The account may have been evicted, or have dropped this device, since the login.
        let owner = self.row::<Account>(account(&head.author)).await?.ok_or(Refusal::NoSuchName)?.row;
        let list = DeviceList::parse(&owner.list.body.0).map_err(|_| Fault::Damaged(Account::TABLE))?;
        if list.account != head.account || list.device(head.device.id) != Some(&head.device) {
            return Err(Refusal::BadSignature.into());
        }
        let before = self.before(head, post, new).await?;
        let mut batch = Vec::with_capacity(4 + 2 * run.len());
        let mut taken = vec![first];
        if self.repeats(head, *hash, &before)? {
            batch.push(first.append()?);
        } else {
            self.allow(head, *hash, &before).await?;
            batch.extend(self.changes(now, post, head, *hash, &before)?);
            batch.push(first.append()?);
            // One whose id is there already goes by itself.
            let fresh = if new { run.len() } else { self.fresh(run).await? };
            for next in run.iter().take(fresh) {
                let body = StoredPost { account: next.head.account, hash: next.hash, body: next.post.body.clone() };
                batch.push(put(row::post(&next.head.room, &next.head.id), None, &body)?);
                batch.push(next.append()?);
                taken.push(next);
            }
            // Last: a crash in between leaves posts that their author offers again.
            let last = taken.last().copied().unwrap_or(first);
            batch.push(Self::chain(last, &before)?);
        }
        let written = self.store.write(batch).await?;
        if written.last() == Some(&Written::Moved) {
            return Ok(None);
        }
        let seqs = written.iter().filter_map(|written| match written {
            Written::Appended(seq) | Written::Duplicate(seq) => Some(*seq),
            _ => None,
        });
        let answers: Vec<Answer> =
            taken.iter().zip(seqs).map(|(said, seq)| Answer::Posted { seq, id: said.head.id }).collect();
        if answers.len() == taken.len() { Ok(Some(answers)) } else { Err(Fault::Damaged("a room").into()) }
    }

    /// How many there are before the first one whose id is there already.
    async fn fresh(&self, run: &[Said]) -> Result<usize, Fault> {
        let keys = run.iter().map(|next| row::post(&next.head.room, &next.head.id)).collect();
        Ok(self.store.get(keys).await?.iter().take_while(|stored| stored.is_none()).count())
    }

    /// Where the author's chain stands with this post.
    fn chain(last: &Said, before: &Before) -> Result<Write, Fault> {
        let Said { head, hash, .. } = last;
        // What a join leaves out is lost here.
        let whole = |author: &&Current<Author>| author.row.first > 0 && before.first <= author.row.number + 1;
        let first = before.author.as_ref().filter(whole).map_or(before.first, |author| author.row.first);
        let next = Author { account: head.account, first, number: head.number, hash: *hash };
        let at = author(&head.room, &head.author, head.device.id);
        put(at, Current::rev(before.author.as_ref()), &next)
    }

    /// `new`: see [`Self::try_post`].
    async fn before(&self, head: &PostHead, post: &Post, new: bool) -> Result<Before, Fault> {
        let keys = vec![
            room(&head.room),
            member(&head.room, &head.author),
            joined(&head.author, &head.room),
            author(&head.room, &head.author, head.device.id),
            row::retention(&head.room),
            row::room_ban(&head.room, &head.account),
        ];
        let mut values = self.store.get(keys).await?.into_iter();
        let mut next = || values.next().flatten();
        let mut before = Before {
            room: next().map(row::decoded).transpose()?,
            member: next().map(row::decoded).transpose()?,
            joined: next().map(row::decoded).transpose()?,
            author: next().map(row::decoded).transpose()?,
            trimmed: next().map(row::decoded::<Retention>).transpose()?.is_some_and(|row| row.row.trimmed),
            ban: next().map(row::decoded).transpose()?,
            stored: None,
            target: None,
            bench: None,
            first: head.number,
        };
        // A chain of somebody who had this name before is not the author's.
        before.author =
            before.author.map(|row| if row.row.account == head.account { row } else { row.restarted(head) });
        if before.room.is_none() || head.kind.moderates() {
            before.bench = Some(self.bench(head, post).await?);
        }
        if !(new && before.goes_on(head)) {
            let keys = vec![row::post(&head.room, &head.id), row::post(&head.room, &head.target)];
            let mut values = self.store.get(keys).await?.into_iter();
            before.stored = values.next().flatten().map(row::decoded).transpose()?;
            before.target = values.next().flatten().map(row::decoded).transpose()?;
        }
        Ok(before)
    }

    /// Whether this post is there already; refuses one that does not follow its author's previous one. [ROOM-4]
    fn repeats(&self, head: &PostHead, hash: PostHash, before: &Before) -> Result<bool, Refusal> {
        let wanted = match &before.author {
            Some(author) if author.row.number > 0 => author.row.number + 1,
            _ => return Ok(false),
        };
        let stored = before.stored.as_ref().is_some_and(|stored| stored.row.hash == hash);
        if head.number < wanted && stored {
            return Ok(true);
        }
        let follows = before.author.as_ref().is_some_and(|author| author.row.hash == head.previous);
        let returns = head.kind == PostKind::Join && head.number > wanted;
        if head.number == wanted && follows || returns { Ok(false) } else { Err(Refusal::PostOutOfOrder { wanted }) }
    }

    /// Whether the author may post this here.
    async fn allow(&self, head: &PostHead, hash: PostHash, before: &Before) -> Result<(), No> {
        // [ROOM-17]
        if let Some(ban) = &before.ban {
            return Err(Refusal::BannedFromRoom { reason: ban.row.reason.clone() }.into());
        }
        let offered_again = offered_again(head, before);
        let joins = head.kind == PostKind::Join || offered_again;
        if before.room.is_none() && !joins {
            return Err(Refusal::NoSuchRoom.into());
        }
        // [ROOM-8]
        if before.member.is_none() && !joins {
            return Err(Refusal::NotMember.into());
        }
        if before.room.is_none() && self.store.count(Room::TABLE, &[]).await? >= MAX_ROOMS as u64 {
            return Err(Refusal::QuotaReached { limit: MAX_ROOMS as u64 }.into());
        }
        if before.member.is_none() {
            let rooms = self.store.count(Joined::TABLE, &row::of(head.author.as_str())).await?;
            if rooms >= MAX_ROOMS_JOINED as u64 {
                return Err(Refusal::QuotaReached { limit: MAX_ROOMS_JOINED as u64 }.into());
            }
        }
        if let Some(bench) = &before.bench {
            bench.allows(head)?;
        }
        // Another post of this id, whoever wrote it.
        if before.stored.as_ref().is_some_and(|stored| stored.row.hash != hash) {
            return Err(Refusal::Malformed.into());
        }
        // [ROOM-7] where the author's earlier posts were lost here, so may the target be.
        let lost = offered_again || before.author.as_ref().is_some_and(|author| author.row.first > 1);
        let changes = match (head.kind, &before.target) {
            (PostKind::Edit | PostKind::Delete, Some(target)) => {
                target.row.account == head.account && target.row.hash == head.target_hash
            }
            // [ROOM-15] whosever it is.
            (PostKind::Remove, Some(target)) => target.row.hash == head.target_hash,
            // [ROOM-11] it may have been let go.
            (PostKind::Edit | PostKind::Delete | PostKind::Remove, None) => lost || before.trimmed,
            _ => true,
        };
        if !changes {
            return Err(Refusal::NoSuchPost.into());
        }
        Ok(())
    }

    /// The rows that a new post changes, but for that of its author.
    fn changes(
        &self,
        now: u64,
        post: &Post,
        head: &PostHead,
        hash: PostHash,
        before: &Before,
    ) -> Result<Vec<Write>, Fault> {
        let mut batch = Vec::with_capacity(8);
        if before.room.is_none() {
            if let Some(bench) = &before.bench {
                batch.extend(bench.found(now, head)?);
            }
            batch.push(put(room(&head.room), None, &Room { made_at: now, maker: Some(head.account) })?);
        }
        if before.stored.is_none() {
            let stored = StoredPost { account: head.account, hash, body: post.body.clone() };
            batch.push(put(row::post(&head.room, &head.id), None, &stored)?);
        }
        // [ROOM-6]
        if let (PostKind::Delete | PostKind::Remove, Some(target)) = (head.kind, &before.target) {
            let bare = StoredPost { body: None, ..target.row.clone() };
            batch.push(put(row::post(&head.room, &head.target), Some(target.rev), &bare)?);
        }
        if let Some(bench) = &before.bench {
            batch.extend(bench.changes(head)?);
        }
        let (of_room, of_name) = (member(&head.room, &head.author), joined(&head.author, &head.room));
        if head.kind == PostKind::Leave {
            batch.extend(before.joined.as_ref().map(|row| Write::Delete { key: of_name, expected: row.rev }));
            batch.extend(before.member.as_ref().map(|row| Write::Delete { key: of_room, expected: row.rev }));
        } else if before.member.is_none() {
            batch.push(put(of_name, Current::rev(before.joined.as_ref()), &Joined)?);
            batch.push(put(of_room, None, &Member)?);
        }
        Ok(batch)
    }

    pub(super) async fn follow(&self, caller: &mut Caller, name: RoomName, after: Seq) -> Outcome {
        self.quota.load().request(&caller.logged_in()?.name)?;
        if self.row::<Room>(room(&name)).await?.is_none() {
            return Err(Refusal::NoSuchRoom.into());
        }
        self.unfollow(caller, &name)?;
        if caller.following.len() >= MAX_ROOMS_JOINED {
            return Err(Refusal::QuotaReached { limit: MAX_ROOMS_JOINED as u64 }.into());
        }
        let tag = caller.free_tag().ok_or(Refusal::QuotaReached { limit: MAX_ROOMS_JOINED as u64 })?;
        // [ROOM-9] the oldest first, then each as it comes.
        let following = self.following(caller, &name, after, tag);
        caller.following.insert(tag, following);
        caller.bell.ring(tag);
        Ok(Answer::Done)
    }

    pub(super) fn unfollow(&self, caller: &mut Caller, room: &RoomName) -> Outcome {
        caller.logged_in()?;
        caller.following.retain(|_, following| following.tail.room() != room);
        Ok(Answer::Done)
    }

    pub(super) async fn rooms(&self, caller: &mut Caller, after: Option<RoomName>) -> Outcome {
        self.quota.load().list(&caller.logged_in()?.name)?;
        let after = after.as_ref().map(|room| room.as_str().as_bytes());
        let mut rooms = Vec::new();
        for (key, _) in self.store.scan(Room::TABLE, &[], after, MAX_LISTED).await? {
            let name: RoomName = text(key).and_then(|name| name.parse().ok()).ok_or(Fault::Damaged(Room::TABLE))?;
            let members = self.store.count(Member::TABLE, &row::of(name.as_str())).await?;
            let posts = self.store.usage(&room_log(&name)).await?.count;
            rooms.push(RoomSummary { room: name, members: u32::try_from(members).unwrap_or(u32::MAX), posts });
        }
        Ok(Answer::Rooms(rooms))
    }

    pub(super) async fn members(&self, caller: &mut Caller, name: RoomName, after: Option<Name>) -> Outcome {
        self.quota.load().request(&caller.logged_in()?.name)?;
        if self.row::<Room>(room(&name)).await?.is_none() {
            return Err(Refusal::NoSuchRoom.into());
        }
        let prefix = row::of(name.as_str());
        let after = after.map(|after| member(&name, &after).key);
        let mut members = Vec::new();
        for (key, _) in self.store.scan(Member::TABLE, &prefix, after.as_deref(), MAX_LISTED).await? {
            let who = key.get(prefix.len()..).map(<[u8]>::to_vec).and_then(text);
            let name: Name = who.and_then(|name| name.parse().ok()).ok_or(Fault::Damaged(Member::TABLE))?;
            members.push(Listed { online: self.presence.online(&name), name });
        }
        Ok(Answer::Members(members))
    }
}

/// A post out of the middle of a chain that this store does not have: it was lost here, and its author, who was a
/// member, offers it again.
fn offered_again(head: &PostHead, before: &Before) -> bool {
    let known = before.author.as_ref().is_some_and(|author| author.row.number > 0);
    !known && head.number > 1 && head.kind != PostKind::Leave
}

impl Current<Author> {
    /// The row of another account's chain, to be replaced by the first post of this one's.
    fn restarted(mut self, head: &PostHead) -> Self {
        self.row = Author { account: head.account, first: 0, number: 0, hash: PostHash::default() };
        self
    }
}

fn text(bytes: Vec<u8>) -> Option<String> {
    String::from_utf8(bytes).ok()
}
