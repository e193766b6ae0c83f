//! What the operator wants everybody to know: one line, until it is withdrawn. [RELAY-21]

use std::sync::Arc;

use sealpost_spec::relay::{MAX_NOTICE, Notice, NoticeId};

use super::{Answer, done};
use crate::admin::{MAX_WORDS, Trouble, Words, duration};
use crate::answer::caller::NOTICE;
use crate::answer::{Relay, row};
use crate::store::bell::lock;
use crate::store::{Fault, Store, Write};

const _: () = assert!(MAX_WORDS * char::MAX.len_utf8() <= MAX_NOTICE, "an operator's words fit a notice");

impl<S: Store> Relay<S> {
    /// Has a notice stand in place of the one that does; without words, tells which one does.
    pub(super) async fn notice(&self, now: u64, text: Option<Words>) -> Answer {
        let Some(text) = text else {
            let standing = self.operator.notice.load_full();
            return done(standing.map_or_else(
                || "no notice stands".to_owned(),
                |notice| format!("for {}: {}", duration(now.saturating_sub(notice.time) / 1000), notice.text),
            ));
        };
        if text.as_str().trim().is_empty() {
            let advice = "sealpost-relay admin notice --withdraw    # takes back the one that stands";
            return Err(Trouble::new("there is no notice without words", "the text is empty", advice).exits(2));
        }
        let mut id = [0; 16];
        lock(&self.rng).fill_bytes(&mut id);
        let notice = Notice { id: NoticeId(id), time: now, text: text.as_str().to_owned() };
        let _changing = self.operator.changing.lock().await;
        self.known(self.set(row::notice(), &notice).await)?;
        self.announce(Some(notice));
        done("everybody who is logged in is told, and whoever logs in until it is withdrawn".to_owned())
    }

    /// Tells it to nobody more.
    pub(super) async fn withdraw_notice(&self) -> Answer {
        let _changing = self.operator.changing.lock().await;
        let Some(current) = self.known(self.row::<Notice>(row::notice()).await)? else {
            let advice = "sealpost-relay admin notice TEXT    # makes one";
            return Err(Trouble::new("nothing was withdrawn", "no notice stands", advice));
        };
        let delete = Write::Delete { key: row::notice(), expected: current.rev };
        self.known(self.store.write(vec![delete]).await)?;
        self.announce(None);
        done("the notice is withdrawn; who was told already has read it".to_owned())
    }

    /// Reads the one that stands, which another relay of the cluster may have been given.
    pub(super) async fn remember_notice(&self) -> Result<(), Fault> {
        let standing = self.row::<Notice>(row::notice()).await?.map(|current| current.row);
        if standing.as_ref() != self.operator.notice.load().as_deref() {
            self.announce(standing);
        }
        Ok(())
    }

    /// In memory first, then to every link: who logs in meanwhile looks by itself.
    fn announce(&self, notice: Option<Notice>) {
        let new = notice.is_some();
        self.operator.notice.store(notice.map(Arc::new));
        if new {
            self.presence.ring(NOTICE);
        }
    }

    /// The notice that stands, where a link was not told it yet.
    pub(in crate::answer) fn news(&self, told: &mut Option<NoticeId>) -> Option<Notice> {
        let notice = self.operator.notice.load_full().filter(|notice| *told != Some(notice.id))?;
        *told = Some(notice.id);
        Some(Notice::clone(&notice))
    }
}
