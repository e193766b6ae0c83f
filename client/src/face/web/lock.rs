//! Locking: pages forget what they show, and show nothing more until the passphrase was given.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{Html, IntoResponse as _, Response};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::Web;
use crate::api::{Error, ErrorCode, Shown};
use crate::face::plain;
use crate::holder::{self, Zeroizing};

/// Where the passphrase is given.
pub(super) const UNLOCK: &str = "/unlock";

pub(super) struct Lock {
    /// So long without a request of a person's.
    after: Option<Duration>,
    touched: Mutex<Instant>,
    locked: watch::Sender<bool>,
}

#[derive(Template)]
#[template(path = "locked.html")]
struct LockedPage {
    base: String,
    why: Option<Shown>,
}

#[derive(Deserialize)]
pub(super) struct Given {
    passphrase: String,
}

impl Lock {
    pub(super) fn new(after: Option<Duration>) -> Self {
        Self { after, touched: Mutex::new(Instant::now()), locked: watch::Sender::new(false) }
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

    fn unlock(&self) {
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

/// The passphrase was given. Whoever holds the profile would not ask for it, so it is compared here.
pub(super) async fn unlock(State(web): State<Arc<Web>>, Form(Given { passphrase }): Form<Given>) -> Response {
    let passphrase = Zeroizing::new(passphrase);
    let opened = match passphrase.is_empty() {
        true => Err(Error::new(ErrorCode::Locked, "there is no passphrase")),
        false => holder::unlock_header(web.ask.profile(), &passphrase).await,
    };
    match opened {
        Ok(_) => {
            web.lock.unlock();
            (StatusCode::SEE_OTHER, [(LOCATION, format!("{}/", web.gate.base()))]).into_response()
        }
        Err(error) => page(&web, Some(&error)),
    }
}
