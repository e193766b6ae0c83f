//! Locking: pages forget what they show, the profile is closed, and the passphrase opens both again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{Html, IntoResponse as _, Response};
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::Web;
use crate::api::{Error, ErrorCode, Shown};
use crate::face::plain;
use crate::holder::{Zeroizing, gone};

/// Where the passphrase is given.
pub(super) const UNLOCK: &str = "/unlock";

pub(super) struct Lock {
    /// So long without a request of a person's.
    after: Option<Duration>,
    touched: Mutex<Instant>,
    locked: watch::Sender<bool>,
    /// To whoever closes and opens the profile.
    give: mpsc::Sender<Given>,
}

/// A passphrase, and whom to tell whether it was the right one.
pub(super) struct Given {
    pub(super) passphrase: Zeroizing<String>,
    pub(super) tell: oneshot::Sender<Result<(), Error>>,
}

/// Passphrases that wait to be tried: each takes a moment.
const WAITING: usize = 4;

#[derive(Template)]
#[template(path = "locked.html")]
struct LockedPage {
    base: String,
    why: Option<Shown>,
}

#[derive(Deserialize)]
pub(super) struct Typed {
    passphrase: String,
}

impl Lock {
    /// With the passphrases that people will give.
    pub(super) fn new(after: Option<Duration>) -> (Self, mpsc::Receiver<Given>) {
        let (give, given) = mpsc::channel(WAITING);
        (Self { after, touched: Mutex::new(Instant::now()), locked: watch::Sender::new(false), give }, given)
    }

    /// Somebody is there.
    pub(super) fn touch(&self) {
        *self.touched.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    pub(super) fn is_locked(&self) -> bool {
        *self.locked.borrow()
    }

    /// Pages that are open go on with what happens until this says so.
    pub(super) fn told(&self) -> watch::Receiver<bool> {
        self.locked.subscribe()
    }

    /// Completes when nobody was there for long enough.
    pub(super) async fn idle(&self) {
        let mut locked = self.told();
        loop {
            match self.after {
                Some(after) if !*locked.borrow_and_update() => {
                    let due = *self.touched.lock().unwrap_or_else(PoisonError::into_inner) + after;
                    if due <= Instant::now() {
                        return;
                    }
                    sleep_until(due).await;
                }
                Some(_) => drop(locked.changed().await),
                None => std::future::pending().await,
            }
        }
    }

    /// Whether pages can be locked: a passphrase that lies in a file opens them for whoever sits there.
    pub(super) fn can(&self) -> bool {
        self.after.is_some()
    }

    pub(super) fn lock(&self) {
        self.locked.send_replace(true);
    }

    pub(super) fn unlock(&self) {
        self.touch();
        self.locked.send_replace(false);
    }
}

/// What every page shows meanwhile.
pub(super) fn page(web: &Web, why: Option<&Error>) -> Response {
    let why = why.map(|error| plain::said(error.cause.as_ref().unwrap_or(&error.message)));
    let page = LockedPage { base: web.gate.base().to_owned(), why };
    match page.render() {
        Ok(text) => (StatusCode::FORBIDDEN, Html(text)).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// The passphrase was given.
pub(super) async fn unlock(State(web): State<Arc<Web>>, Form(Typed { passphrase }): Form<Typed>) -> Response {
    let passphrase = Zeroizing::new(passphrase);
    match tried(&web, passphrase).await {
        Ok(()) => (StatusCode::SEE_OTHER, [(LOCATION, format!("{}/", web.gate.base()))]).into_response(),
        Err(error) => page(&web, Some(&error)),
    }
}

async fn tried(web: &Web, passphrase: Zeroizing<String>) -> Result<(), Error> {
    if passphrase.is_empty() {
        return Err(Error::new(ErrorCode::Locked, "there is no passphrase"));
    }
    let (tell, told) = oneshot::channel();
    web.lock.give.send(Given { passphrase, tell }).await.map_err(|_| gone())?;
    told.await.map_err(|_| gone())?
}
