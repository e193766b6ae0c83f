//! Files between a browser and the profile: what a browser brings is kept until it is sent, and what was fetched is given to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path as Place, Query, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use rand::RngExt as _;
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use super::{Web, acts, pages};
use crate::api::{Command, Error, ErrorCode, Event, Transfer, Wait, Way};

/// How folders begin in which files of a browser wait to be sent.
const FOLDER: &str = "page-";
/// Longest name in bytes: what file systems take.
const LONGEST_NAME: usize = 255;
/// Bytes that are read at once.
const PIECE: usize = 64 * 1024;
/// Pieces that wait for the browser.
const WAITING: usize = 4;
/// As long as the page is there, it waits for a file that does not move.
const PATIENCE_MS: u64 = u64::MAX;

#[derive(Deserialize)]
pub(super) struct Brought {
    to: String,
    name: String,
}

fn failed(message: &str, cause: impl ToString) -> Error {
    Error::new(ErrorCode::Failed, message).because(cause.to_string()).advise("look whether the disk is full")
}

/// A browser brings a file. It gives its bytes once, and sending may be interrupted: so they are kept, for this user alone, until the
/// file has left or is not to be sent any more.
pub(super) async fn bring(
    State(web): State<Arc<Web>>,
    Query(Brought { to, name }): Query<Brought>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let folder = web.ask.profile().join(format!("{FOLDER}{:032x}", rand::rng().random::<u128>()));
    let path = folder.join(kept_name(&name));
    let kept = keep(&folder, &path, body).await;
    let sent = match (kept, path.to_str()) {
        (Ok(()), Some(whole)) => {
            let (path, wait) = (whole.to_owned(), Wait::Queued);
            let send = Command::SendFile { to: to.clone(), path, wait, timeout_ms: PATIENCE_MS, expire: None };
            let gone = folder.clone();
            web.ask.begin(send, move || drop(std::fs::remove_dir_all(gone))).await
        }
        (Ok(()), None) => Err(failed("the file can't be kept", "the profile's folder has no UTF-8 name")),
        (Err(error), _) => Err(failed("the file can't be kept", error)),
    };
    match sent {
        Ok(()) => acts::done(&web, &headers, &pages::whole_path(&web, &to), &[]),
        Err(error) => {
            // It was not begun, or has ended: nothing needs it any more.
            let _ = tokio::fs::remove_dir_all(&folder).await;
            acts::failed(&web, &headers, &error)
        }
    }
}

async fn keep(folder: &Path, path: &Path, body: Body) -> std::io::Result<()> {
    tokio::fs::DirBuilder::new().mode(0o700).create(folder).await?;
    let mut file = tokio::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path).await?;
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        file.write_all(&piece.map_err(std::io::Error::other)?).await?;
    }
    file.flush().await
}

/// The browser's name for a file as one that a folder takes.
fn kept_name(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or_default().replace('\0', "_");
    let cut = &last[..last.floor_char_boundary(LONGEST_NAME)];
    if matches!(cut, "" | "." | "..") { "file".to_owned() } else { cut.to_owned() }
}

/// Removes what an earlier page has kept and nothing waits for any more.
pub(super) async fn sweep(web: &Web) {
    let Ok(listed) = web.ask.of(Command::Files).await else { return };
    let waits = |folder: &Path| {
        listed.iter().any(|event| match event {
            Event::Progress(Transfer { incoming: false, state, path: Some(path), .. }) => {
                !matches!(state, Way::Done | Way::Failed) && Path::new(path).starts_with(folder)
            }
            _ => false,
        })
    };
    let Ok(entries) = std::fs::read_dir(web.ask.profile()) else { return };
    for folder in entries.flatten().map(|entry| entry.path()) {
        let ours = folder.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(FOLDER));
        if ours && !waits(&folder) {
            let _ = tokio::fs::remove_dir_all(&folder).await;
        }
    }
}

/// Gives a file to the browser that was fetched and saved before.
pub(super) async fn give(State(web): State<Arc<Web>>, Place(id): Place<String>) -> Response {
    match given(&web, &id).await {
        Ok(response) => response,
        Err(error) => pages::trouble(&web, &error),
    }
}

async fn given(web: &Web, id: &str) -> Result<Response, Error> {
    let listed = web.ask.of(Command::Files).await?;
    let saved = listed.into_iter().find_map(|event| match event {
        Event::Progress(Transfer { incoming: true, state: Way::Done, path: Some(path), id: other, .. }) => {
            (other == id).then(|| PathBuf::from(path))
        }
        _ => None,
    });
    let missing = |cause: String| {
        Error::new(ErrorCode::NoSuchFile, "the file is not where it was saved").because(cause).advise("fetch it first")
    };
    let path = saved.ok_or_else(|| missing("nothing of this id was saved".to_owned()))?;
    let mut file = tokio::fs::File::open(&path).await.map_err(|error| missing(error.to_string()))?;
    let length = file.metadata().await.map_err(|error| missing(error.to_string()))?.len();
    let (pieces, taken) = mpsc::channel::<std::io::Result<Bytes>>(WAITING);
    tokio::spawn(async move {
        loop {
            let mut piece = vec![0; PIECE];
            let read = file.read(&mut piece).await.map(|count| {
                piece.truncate(count);
                Bytes::from(piece)
            });
            let (ends, fails) = (matches!(&read, Ok(piece) if piece.is_empty()), read.is_err());
            // A browser that has gone takes nothing more.
            if ends || pieces.send(read).await.is_err() || fails {
                break;
            }
        }
    });
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let mut response = Body::from_stream(ReceiverStream::new(taken)).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    let disposition = format!("attachment; filename*=UTF-8''{}", escaped(name));
    if let Ok(disposition) = HeaderValue::from_str(&disposition) {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    Ok(response)
}

/// RFC 8187: all but a few characters as percent signs and digits.
fn escaped(name: &[u8]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    name.iter().map(|byte| if plain(*byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::{escaped, kept_name};

    /// A name that a browser gives stays in its folder, and one that a browser is given ends no header.
    #[test]
    fn names_stay_where_they_are() {
        for (name, kept) in
            [("a.txt", "a.txt"), ("../../a", "a"), ("..", "file"), ("", "file"), ("a/", "file"), ("a\0b", "a_b")]
        {
            assert_eq!(kept_name(name), kept, "{name:?}");
        }
        assert_eq!(kept_name(&"é".repeat(200)).len(), 254);
        assert_eq!(escaped("a \"b\"\r\né.txt".as_bytes()), "a%20%22b%22%0D%0A%C3%A9.txt");
    }
}
