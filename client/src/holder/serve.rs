//! Connections to the holder: lines in, lines out, and a bound for each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::line::{Asked, LineReader, Told, encode};
use super::owner::{ConnectionId, Input};
use crate::api::{Error, ErrorCode, Event, VERSION};

/// Connections at once: a script's forty processes, and some.
const MAX_CONNECTIONS: usize = 64;

/// Bytes that wait for a connection to read them: a long history.
const MAX_WAITING: usize = 64 * 1024 * 1024;

/// A connection that asks for nothing is closed after this long.
const FIRST_LINE: Duration = Duration::from_secs(30);

/// A connection that reads nothing of what it asked for is closed after this long.
const STALL: Duration = Duration::from_secs(30);

/// What the owner tells a connection.
pub(super) struct Output {
    lines: mpsc::UnboundedSender<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
}

impl Output {
    /// `false`: the connection has gone, or does not read.
    pub(super) fn push(&self, line: Vec<u8>) -> bool {
        let waiting = self.waiting.fetch_add(line.len(), Ordering::Relaxed);
        waiting < MAX_WAITING && self.lines.send(line).is_ok()
    }
}

/// All connections of a holder.
#[derive(Clone)]
pub(super) struct Connections {
    inputs: mpsc::Sender<Input>,
    next: Arc<AtomicU64>,
    open: Arc<AtomicUsize>,
}

impl Connections {
    pub(super) fn new(inputs: mpsc::Sender<Input>) -> Self {
        Self { inputs, next: Arc::default(), open: Arc::default() }
    }

    /// Serves whoever connects to the socket, until it is aborted.
    pub(super) fn accept(&self, listener: UnixListener) -> AbortHandle {
        let connections = self.clone();
        let own = rustix::process::geteuid().as_raw();
        let accepting = tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) if stream.peer_cred().is_ok_and(|peer| peer.uid() == own) => {
                        connections.serve(stream).await;
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::warn!(%error, "the profile's socket accepts nobody for a moment");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        });
        accepting.abort_handle()
    }

    /// Serves one connection, in a task of its own.
    pub(super) async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let place = Place::take(&self.open);
        let id = ConnectionId(self.next.fetch_add(1, Ordering::Relaxed));
        let (lines, given) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let (reader, writer) = tokio::io::split(stream);
        let writing = write_lines(writer, given, Arc::clone(&waiting));
        // The owner alone holds the way to this connection: it closes by forgetting it.
        let own = lines.downgrade();
        let output = Output { lines, waiting };
        if place.is_none() {
            refuse(&output, "too many connections to this profile");
            drop(output);
            tokio::spawn(async move { timeout(Duration::from_secs(1), writing).await });
            return;
        }
        if self.inputs.send(Input::Opened(id, output)).await.is_err() {
            return;
        }
        let inputs = self.inputs.clone();
        tokio::spawn(async move {
            let _place = place;
            tokio::pin!(writing);
            let mut written = false;
            let complaint = tokio::select! {
                complaint = read_commands(LineReader::new(Box::new(reader)), id, &inputs) => complaint,
                () = &mut writing => {
                    written = true;
                    None
                }
            };
            if let (Some(complaint), Some(lines)) = (complaint, own.upgrade()) {
                refuse(&Output { lines, waiting: Arc::default() }, complaint);
            }
            let _ = inputs.send(Input::Closed(id)).await;
            if !written {
                let _ = timeout(Duration::from_secs(1), writing).await;
            }
        });
    }
}

/// One of the places for connections.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(open: &Arc<AtomicUsize>) -> Option<Self> {
        let place = Self(Arc::clone(open));
        (open.fetch_add(1, Ordering::Relaxed) < MAX_CONNECTIONS).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn refuse(output: &Output, why: &str) {
    let error = Error::new(ErrorCode::Usage, why).advise("give one JSON command a line, as `sealpost help` says");
    output.push(encode(&Told { v: VERSION, re: None, event: Event::Error(error) }));
}

/// Gives what is asked to the owner, until the connection ends; where it is cut, with what is to be said.
async fn read_commands(
    mut reader: LineReader,
    from: ConnectionId,
    inputs: &mpsc::Sender<Input>,
) -> Option<&'static str> {
    let mut first = true;
    loop {
        let next = match first {
            true => timeout(FIRST_LINE, reader.next()).await.unwrap_or(Ok(None)),
            false => reader.next().await,
        };
        first = false;
        let line = match next {
            Ok(Some(line)) => line,
            Ok(None) => return None,
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => return Some("the line is too long"),
            Err(_) => return None,
        };
        if line.is_empty() {
            continue;
        }
        match serde_json::from_slice::<Asked>(&line) {
            Ok(Asked { v: VERSION, id, command }) => {
                if inputs.send(Input::Command { from, id, command }).await.is_err() {
                    return None;
                }
            }
            Ok(_) => return Some("this version of the lines is not spoken here"),
            Err(_) => return Some("the line is no command"),
        }
    }
}

async fn write_lines(
    mut writer: impl AsyncWrite + Unpin,
    mut lines: mpsc::UnboundedReceiver<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
) {
    while let Some(line) = lines.recv().await {
        match timeout(STALL, writer.write_all(&line)).await {
            Ok(Ok(())) => waiting.fetch_sub(line.len(), Ordering::Relaxed),
            _ => return,
        };
    }
    let _ = timeout(STALL, writer.shutdown()).await;
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
    use tokio::sync::mpsc;

    use super::{Connections, MAX_CONNECTIONS};
    use crate::api::{Command, Event};
    use crate::holder::line::{Told, encode};
    use crate::holder::owner::Input;

    async fn connect(connections: &Connections) -> DuplexStream {
        let (own, served) = tokio::io::duplex(1024 * 1024);
        connections.serve(served).await;
        own
    }

    async fn rest(mut stream: DuplexStream) -> String {
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn a_command_goes_in_and_its_events_come_out_until_the_owner_forgets_the_connection() {
        let (inputs, mut given) = mpsc::channel(8);
        let mut own = connect(&Connections::new(inputs)).await;
        own.write_all(b"\n{\"v\":1,\"id\":5,\"command\":{\"command\":\"me\"}}\n").await.unwrap();
        let Some(Input::Opened(opened, output)) = given.recv().await else { panic!("opened") };
        let Some(Input::Command { from, id: 5, command: Command::Me }) = given.recv().await else { panic!("command") };
        assert_eq!(from, opened);
        assert!(output.push(encode(&Told { v: 1, re: Some(5), event: Event::End })));
        drop(output);
        assert_eq!(rest(own).await, "{\"v\":1,\"re\":5,\"event\":\"end\"}\n");
        assert!(matches!(given.recv().await, Some(Input::Closed(closed)) if closed == opened));
    }

    #[tokio::test]
    async fn what_is_no_command_is_told_so_and_cut_off() {
        let long = vec![b'x'; crate::holder::line::MAX_LINE + 16 * 1024];
        for line in [&b"rm -rf /\n"[..], b"{\"v\":2,\"id\":1,\"command\":{\"command\":\"me\"}}\n", &long] {
            let (inputs, mut given) = mpsc::channel(8);
            let mut own = connect(&Connections::new(inputs)).await;
            own.write_all(line).await.unwrap();
            let Some(Input::Opened(_, output)) = given.recv().await else { panic!("opened") };
            let Some(Input::Closed(_)) = given.recv().await else { panic!("closed") };
            drop(output);
            assert!(rest(own).await.contains("\"code\":\"usage\""));
        }
    }

    #[tokio::test]
    async fn connections_have_a_limit_and_a_closed_one_makes_room() {
        let (inputs, mut given) = mpsc::channel(4 * MAX_CONNECTIONS);
        let connections = Connections::new(inputs);
        let mut open = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            open.push(connect(&connections).await);
        }
        assert!(rest(connect(&connections).await).await.contains("too many connections"));
        let mut outputs = Vec::new();
        drop(open.pop());
        loop {
            match given.recv().await {
                Some(Input::Opened(_, output)) => outputs.push(output),
                Some(Input::Closed(_)) => break,
                _ => panic!("nothing else is given"),
            }
        }
        // The owner forgets it, as it does with every closed connection; then its place is free.
        drop(outputs);
        drop(open);
        while connections.open.load(std::sync::atomic::Ordering::Relaxed) > 0 {
            tokio::task::yield_now().await;
        }
        let mut again = connect(&connections).await;
        again.write_all(b"{\"v\":1,\"id\":1,\"command\":{\"command\":\"status\"}}\n").await.unwrap();
        // Kept: a connection that the owner forgets is closed, whatever it was about to say.
        let mut kept = Vec::new();
        loop {
            match given.recv().await {
                Some(Input::Command { command: Command::Status, .. }) => break,
                Some(input) => kept.push(input),
                None => panic!("nothing more is given"),
            }
        }
    }
}
