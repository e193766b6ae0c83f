//! Who may come in: a token that serves once, a cookie, and requests that this page itself has made.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Query, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, HOST, ORIGIN, REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use rand::RngExt as _;
use serde::Deserialize;

use super::{Web, lock};

/// Ways in that were printed and not taken.
const MAX_TOKENS: usize = 16;
/// Browsers at once; the oldest has to ask again.
const MAX_COOKIES: usize = 8;

/// Nothing but what this page brings along, and nobody may frame it.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

pub(super) struct Gate {
    address: SocketAddr,
    base: String,
    tokens: Mutex<Vec<String>>,
    /// Looked up by a hash with a key that is drawn at the start: how long it takes tells nothing.
    cookies: Mutex<Cookies>,
}

#[derive(Default)]
struct Cookies {
    known: HashSet<String>,
    order: Vec<String>,
}

fn secret() -> String {
    let bytes: [u8; 32] = rand::rng().random();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What it guards is whole between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gate {
    pub(super) fn new(address: SocketAddr) -> Self {
        let base = format!("/{}", &secret()[..32]);
        Self { address, base, tokens: Mutex::default(), cookies: Mutex::default() }
    }

    /// Below this path everything stands.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// A link with a new token.
    pub(super) fn way_in(&self) -> String {
        let token = secret();
        let mut tokens = lock(&self.tokens);
        if tokens.len() == MAX_TOKENS {
            tokens.remove(0);
        }
        tokens.push(token.clone());
        format!("http://{}/?token={token}", self.address)
    }

    /// A cookie for a token, which has served with that.
    fn exchange(&self, token: &str) -> Option<String> {
        let mut tokens = lock(&self.tokens);
        let at = tokens.iter().position(|known| same(known, token))?;
        tokens.remove(at);
        let cookie = secret();
        let mut cookies = lock(&self.cookies);
        if cookies.order.len() == MAX_COOKIES {
            let oldest = cookies.order.remove(0);
            cookies.known.remove(&oldest);
        }
        cookies.order.push(cookie.clone());
        cookies.known.insert(cookie.clone());
        Some(cookie)
    }

    fn knows(&self, headers: &HeaderMap) -> bool {
        let known = lock(&self.cookies);
        let texts = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.any(|(name, value)| name == "sealpost" && known.known.contains(value))
    }

    /// Whether a name is one of this machine alone: a name that somebody else's resolver leads here is not.
    fn is_own_host(&self, host: &str) -> bool {
        let port = self.address.port();
        [self.address.to_string(), format!("localhost:{port}")].iter().any(|own| own == host)
    }

    /// Why a request is not this page's own.
    fn stranger(&self, method: &Method, headers: &HeaderMap) -> Option<&'static str> {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let Some(host) = text(&HOST).filter(|host| self.is_own_host(host)) else {
            return Some("this page is only reached by its own address");
        };
        let reads = matches!(*method, Method::GET | Method::HEAD);
        if !reads && text(&ORIGIN) != Some(&format!("http://{host}")) {
            return Some("the request comes from another page");
        }
        match text(&FETCH_SITE) {
            None | Some("same-origin" | "none") => None,
            Some(_) => Some("the request comes from another page"),
        }
    }
}

/// Takes equally long wherever they differ.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

#[derive(Deserialize)]
pub(super) struct Token {
    token: Option<String>,
}

/// The way in: the token becomes a cookie, and is gone from the address.
pub(super) async fn enter(State(web): State<Arc<Web>>, Query(Token { token }): Query<Token>) -> Response {
    let Some(cookie) = token.and_then(|token| web.gate.exchange(&token)) else {
        return refused(
            StatusCode::FORBIDDEN,
            "this link has served, or is nobody's: take the newest one that \
             `sealpost web` printed; Enter in its terminal prints another",
        );
    };
    let base = web.gate.base();
    let cookie = format!("sealpost={cookie}; Path={base}; HttpOnly; SameSite=Strict");
    // Not by a redirection: a browser that comes from a file does not send a strict cookie with that.
    let body = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Sealpost</title>\
         <meta http-equiv=\"refresh\" content=\"0;url={base}/\"><p><a href=\"{base}/\">Go on to Sealpost</a>"
    );
    let mut response = axum::response::Html(body).into_response();
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

fn refused(status: StatusCode, why: &str) -> Response {
    (status, format!("{why}\n")).into_response()
}

/// Stands before everything: lets nobody past who has no cookie, and tells the browser what this page never does.
pub(super) async fn guard(State(web): State<Arc<Web>>, request: Request, next: Next) -> Response {
    let gate = &web.gate;
    let way_in = request.uri().path() == "/" && request.method() == Method::GET;
    let stranger = gate.stranger(request.method(), request.headers());
    let mut response = match stranger {
        // Whoever follows the link out of a mail or a terminal's window comes from somewhere else.
        Some(why) if !(way_in && gate.is_own_host(host(&request))) => refused(StatusCode::MISDIRECTED_REQUEST, why),
        _ if !way_in && gate.knows(request.headers()) => match web.lock.is_locked() && !opens(&web, &request) {
            true => lock::page(&web, None),
            false => {
                // What a page asks for by itself is nobody's presence.
                let path = request.uri().path().strip_prefix(web.gate.base()).unwrap_or_default();
                if !["/events", "/style.css", "/page.js", "/icon.svg"].contains(&path) {
                    web.lock.touch();
                }
                next.run(request).await
            }
        },
        _ if way_in => next.run(request).await,
        _ => refused(
            StatusCode::FORBIDDEN,
            "this page is for whoever started it: take the link that `sealpost web` printed",
        ),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (OPENER, "same-origin"),
        (RESOURCE, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether a locked page needs it: how it looks, and the passphrase.
fn opens(web: &Web, request: &Request) -> bool {
    let path = request.uri().path().strip_prefix(web.gate.base()).unwrap_or_default();
    matches!(path, "/style.css" | "/icon.svg") || path == lock::UNLOCK && request.method() == Method::POST
}

fn host(request: &Request) -> &str {
    request.headers().get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, Method};

    use super::{Gate, MAX_COOKIES};

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap())).collect()
    }

    fn gate() -> Gate {
        Gate::new("127.0.0.1:4000".parse().unwrap())
    }

    fn token(gate: &Gate) -> String {
        gate.way_in().split_once("?token=").unwrap().1.to_owned()
    }

    /// A token serves once, and a cookie lets in whoever has it, until eight browsers have come after.
    #[test]
    fn a_token_serves_once() {
        let gate = gate();
        let token = token(&gate);
        let cookie = gate.exchange(&token).unwrap();
        assert_eq!(gate.exchange(&token), None);
        assert_eq!(gate.exchange(""), None);
        let with = |cookie: &str| headers(&[("cookie", &format!("other=1; sealpost={cookie}"))]);
        assert!(gate.knows(&with(&cookie)));
        assert!(!gate.knows(&with("")) && !gate.knows(&with(&token)) && !gate.knows(&headers(&[])));
        for _ in 0..MAX_COOKIES {
            gate.exchange(&self::token(&gate)).unwrap();
        }
        assert!(!gate.knows(&with(&cookie)));
    }

    /// A name that leads here by somebody's resolver, and a form on another page, are refused, cookie or not.
    #[test]
    fn other_pages_are_strangers() {
        let gate = gate();
        let get = |pairs: &[(&'static str, &str)]| gate.stranger(&Method::GET, &headers(pairs)).is_some();
        let post = |pairs: &[(&'static str, &str)]| gate.stranger(&Method::POST, &headers(pairs)).is_some();
        assert!(!get(&[("host", "127.0.0.1:4000")]) && !get(&[("host", "localhost:4000")]));
        for host in ["evil.example:4000", "127.0.0.1", "127.0.0.1:4001", "127.0.0.1:4000.evil.example"] {
            assert!(get(&[("host", host)]), "{host}");
        }
        assert!(get(&[]));
        assert!(get(&[("host", "127.0.0.1:4000"), ("sec-fetch-site", "cross-site")]));
        assert!(!post(&[("host", "127.0.0.1:4000"), ("origin", "http://127.0.0.1:4000")]));
        for origin in ["null", "http://127.0.0.1:4001", "https://127.0.0.1:4000", "http://localhost:4000"] {
            assert!(post(&[("host", "127.0.0.1:4000"), ("origin", origin)]), "{origin}");
        }
        assert!(post(&[("host", "127.0.0.1:4000")]));
    }
}
