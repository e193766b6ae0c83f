//! The conversation with whoever holds the profile, which is this process where nobody else does: as long as pages are not
//! locked.

use tokio::task::JoinHandle;

use crate::api::{Command, Error};
use crate::holder::{self, Opening, PAUSE, Session, Zeroizing};

/// How often in a row another holder of the profile is looked for.
const MAX_HOLDERS: u32 = 200;

pub(super) struct Held {
    opening: Opening,
    session: Option<Session>,
    /// Others may have something under way that is finished first.
    closing: Option<JoinHandle<()>>,
    left: u32,
}

impl Held {
    pub(super) async fn open(mut opening: Opening) -> Result<Self, Error> {
        let session = opened(&mut opening).await?;
        Ok(Self { opening, session: Some(session), closing: None, left: MAX_HOLDERS })
    }

    /// Reads what happens: the pages that are open are told of it by themselves. Goes on with the next holder where one has gone;
    /// ends where there is none any more, and never while pages are locked.
    pub(super) async fn reads(&mut self) -> Error {
        loop {
            let Some(session) = &mut self.session else { return std::future::pending().await };
            if session.next().await.is_some() {
                self.left = MAX_HOLDERS;
                continue;
            }
            if self.left == 0 {
                return holder::gone();
            }
            self.left -= 1;
            tokio::time::sleep(PAUSE).await;
            match opened(&mut self.opening).await {
                Ok(next) => std::mem::replace(session, next).finish().await,
                Err(error) => return error,
            }
        }
    }

    /// Ends the conversation; where this process holds the profile, its keys go.
    pub(super) fn lock(&mut self) {
        if let Some(session) = self.session.take() {
            self.closing = Some(tokio::spawn(session.finish()));
        }
    }

    /// Opens it again. Whoever else holds the profile would not ask for the passphrase, so it is compared here.
    pub(super) async fn unlock(&mut self, passphrase: Zeroizing<String>) -> Result<(), Error> {
        holder::unlock_header(&self.opening.dir, &passphrase).await?;
        if let Some(closing) = &mut self.closing {
            // A task that failed has closed everything, too.
            let _ = closing.await;
            self.closing = None;
        }
        if self.session.is_none() {
            self.session = Some(opened(&mut self.opening.with(passphrase)).await?);
        }
        Ok(())
    }

    pub(super) async fn finish(mut self) {
        self.lock();
        if let Some(closing) = self.closing {
            let _ = closing.await;
        }
    }
}

/// A conversation in which this process is told what happens, so that files go on to move.
async fn opened(opening: &mut Opening) -> Result<Session, Error> {
    let mut session = Session::open(opening).await?;
    session.give(Command::Subscribe).await?;
    Ok(session)
}
