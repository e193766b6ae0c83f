//! The listener for whoever looks after the relay: three pages, nothing to be sent.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::{METRICS, Metrics, exposition};
use crate::listen::LiveLimits;

/// Connections at once: a scraper, a probe, a browser. Whoever comes beyond that waits with the kernel.
const CONNECTIONS: usize = 16;
/// For the head of a request.
const HEAD: Duration = Duration::from_secs(5);
/// For a connection, however many requests it carries: a scraper that keeps it open opens another one.
const CONNECTION: Duration = Duration::from_secs(120);
/// Longest head of a request, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// Most headers of a request.
const MAX_HEADERS: usize = 32;
/// After an accept that failed for want of files.
const BREATH: Duration = Duration::from_millis(100);

/// What makes a relay ready or not, beside its figures.
#[derive(Clone)]
pub struct Health {
    /// What there may be of links and handshakes.
    pub limits: LiveLimits,
}

impl Health {
    /// Why no client should be sent here now, in a sentence each; none where all is well.
    fn complaints(&self, metrics: &Metrics) -> Vec<&'static str> {
        let handshakes = i64::try_from(self.limits.now().handshakes).unwrap_or(i64::MAX);
        let complaints = [
            (
                metrics.store.refusing.value() != 0,
                "the store can't be written: look at the log and the disk's free space",
            ),
            (metrics.draining.value() != 0, "the relay drains: sealpost-relay admin reopen undoes it"),
            (
                metrics.cluster.refusing.value() != 0,
                "the cluster can't be written: sealpost-relay cluster status tells which server is missing",
            ),
            (metrics.handshakes.value() >= handshakes, "as many handshakes are under way as may be: links.handshakes"),
        ];
        complaints.into_iter().filter_map(|(holds, why)| holds.then_some(why)).collect()
    }
}

/// What is not as it should be, though clients may be sent here.
fn warnings(metrics: &Metrics) -> &'static str {
    match metrics.cluster.unsynced.value() {
        0 => "",
        _ => {
            "warning: it is not known that every server of the cluster syncs before it answers (sync_interval: always): a \
             power cut of all of them may lose what was accepted\n"
        }
    }
}

/// Serves `/healthz`, `/readyz` and `/metrics` for ever.
pub async fn listen(listener: TcpListener, health: Health) {
    exposition::begin();
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // Nobody closes it.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((tcp, _)) => {
                let health = health.clone();
                tokio::spawn(async move {
                    // Who takes longer, or speaks something else, is gone.
                    let _ = timeout(CONNECTION, connection(tcp, &health)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("a connection to the figures could not be accepted: {error}");
                sleep(BREATH).await;
            }
        }
    }
}

async fn connection(tcp: TcpStream, health: &Health) -> hyper::Result<()> {
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(tcp), service_fn(async |request| Ok::<_, Infallible>(answer(&request, health))))
        .await
}

/// Nothing of a request but its method and path is looked at; a body is never read.
fn answer<B>(request: &Request<B>, health: &Health) -> Response<Full<Bytes>> {
    const TEXT: &str = "text/plain; charset=utf-8";
    let (status, kind, body) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/healthz") => (StatusCode::OK, TEXT, "alive\n".to_owned()),
        (&Method::GET | &Method::HEAD, "/readyz") => match health.complaints(&METRICS).as_slice() {
            [] => (StatusCode::OK, TEXT, format!("ready\n{}", warnings(&METRICS))),
            complaints => (StatusCode::SERVICE_UNAVAILABLE, TEXT, complaints.join("\n") + "\n"),
        },
        (&Method::GET | &Method::HEAD, "/metrics") => match exposition::exposition() {
            Ok(text) => (StatusCode::OK, exposition::CONTENT_TYPE, text),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n")),
        },
        (&Method::GET | &Method::HEAD, _) => {
            (StatusCode::NOT_FOUND, TEXT, "there are /healthz, /readyz and /metrics\n".to_owned())
        }
        _ => (StatusCode::METHOD_NOT_ALLOWED, TEXT, "there is nothing to send here, only to GET\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::listen::Limits;

    fn health(handshakes: usize) -> Health {
        Health { limits: LiveLimits::new(Limits { handshakes, ..Limits::default() }) }
    }

    async fn door() -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(listen(listener, health(1)));
        address
    }

    async fn ask(address: std::net::SocketAddr, request: &str) -> String {
        let mut tcp = TcpStream::connect(address).await.unwrap();
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).await.unwrap();
        answer
    }

    fn get(path: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    }

    /// The three pages are there and nothing else, to be read only; a head beyond its bound is refused.
    #[tokio::test]
    async fn there_are_three_pages() {
        let door = door().await;
        assert!(ask(door, &get("/healthz")).await.starts_with("HTTP/1.1 200 OK"));
        let figures = ask(door, &get("/metrics?x=1")).await;
        assert!(figures.contains("content-type: application/openmetrics-text; version=1.0.0"), "{figures}");
        assert!(figures.ends_with("# EOF\n"));
        assert!(ask(door, &get("/admin")).await.starts_with("HTTP/1.1 404"));
        let posted = ask(door, &get("/metrics").replace("GET", "POST")).await;
        assert!(posted.starts_with("HTTP/1.1 405"), "{posted}");
        let long = get("/metrics").replace("host: x", &format!("host: {}", "x".repeat(2 * MAX_HEAD)));
        assert!(ask(door, &long).await.starts_with("HTTP/1.1 431"));
        assert!(ask(door, "nonsense\r\n\r\n").await.starts_with("HTTP/1.1 400"));
    }

    /// Silent connections take every place only until their deadline: the next one is then served.
    #[tokio::test(start_paused = true)]
    async fn silence_holds_no_place() {
        let door = door().await;
        let mut silent = Vec::new();
        for _ in 0..CONNECTIONS {
            silent.push(TcpStream::connect(door).await.unwrap());
        }
        assert!(ask(door, &get("/healthz")).await.starts_with("HTTP/1.1 200 OK"));
    }

    /// A relay says why nobody should be sent to it: each reason in words, none where all is well.
    #[test]
    fn readiness_says_why_not() {
        let metrics = Metrics::new();
        let health = health(2);
        assert!(health.complaints(&metrics).is_empty());
        metrics.draining.set(1);
        metrics.handshakes.set(2);
        metrics.store.refusing.set(1);
        metrics.cluster.refusing.set(1);
        let complaints = health.complaints(&metrics).join("\n");
        for word in ["store", "drains", "handshakes", "cluster"] {
            assert!(complaints.contains(word), "{complaints}");
        }
        assert_eq!(warnings(&metrics), "");
        metrics.cluster.unsynced.set(1);
        assert!(warnings(&metrics).contains("sync_interval: always"));
    }
}
