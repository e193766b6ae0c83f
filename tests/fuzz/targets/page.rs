//! Requests to the page, by whatever else runs on the machine and by pages of others in the same browser: who lacks the cookie, the
//! page's own address or, to change something, its own origin is shown nothing and changes nothing. What has all of them is answered;
//! nothing in it comes back as markup.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::OnceLock;
use std::time::Duration;

use sealpost_client::face::web::serve_held;
use sealpost_client::holder::{Opening, Session};
use sealpost_client::store::Profile;
use sealpost_crypto::vault::Cost;
use tokio::net::TcpListener;

use super::people::{NOW, dice};
use super::script::Script;

/// Stands on every page that is shown to its owner, and nowhere else.
const NAME: &str = "qxz-alice";
/// What would be an element, where it came back as it went in.
const MARKUP: &str = "<qxz onload=x>";
/// Longest that an answer may take: pages ask a holder on the same machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Without those that ask the relay, which is not there: each would wait for it.
const PATHS: [&str; 12] = [
    "/",
    "/with/bob",
    "/people",
    "/search?q=x",
    "/verify",
    "/do",
    "/say",
    "/file",
    "/file/00",
    "/unlock",
    "/page.js",
    "/../vault",
];
const FORMS: [&str; 6] = [
    "here=%40bob&text=",
    "command=draft&with=bob&text=",
    "command=alias&name=bob&label=",
    "command=stop&x=",
    "here=%23lobby&text=%2Fsearch+",
    "passphrase=",
];

/// A page that is served, and what lets one in.
struct Served {
    host: String,
    base: String,
    cookie: String,
}

fn served() -> &'static Served {
    static SERVED: OnceLock<Served> = OnceLock::new();
    SERVED.get_or_init(|| {
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let folder = tempfile::tempdir().unwrap();
            let dir = folder.path().join("alice");
            let relay = format!("sealpost://127.0.0.1:1/{}", "a".repeat(52)).parse().unwrap();
            let (name, cost) = (NAME.parse().unwrap(), Cost::FLOOR);
            let profile = Profile::create(&dir, b"correct horse", cost, &name, &relay, &mut dice(1), NOW).unwrap();
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            runtime.block_on(async {
                let refuses = || panic!("nobody asks for a passphrase");
                let opening = Opening::of_holder(&dir, Box::new(refuses));
                let _held = Session::hold(profile, &opening).await.map_err(|error| error.message).unwrap();
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                serve_held(&dir, listener, |way_in| tell.send(way_in).unwrap()).await.unwrap();
            });
        });
        let way_in = told.recv().unwrap();
        let (host, token) = way_in.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let way_in = format!("GET /{token} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let entered = asked(host, way_in.as_bytes(), false);
        let cookie = entered.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
        let (cookie, rest) = cookie.split_once(';').unwrap();
        let base = rest.split(';').find_map(|part| part.trim().strip_prefix("Path=")).unwrap();
        Served { host: host.to_owned(), base: base.to_owned(), cookie: cookie.to_owned() }
    })
}

/// What comes back, to the end. `half`: nothing more will come, so that half a request is not waited for; who has said that gets
/// no answer to a whole one either.
fn asked(host: &str, bytes: &[u8], half: bool) -> String {
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // It may be refused before it is read.
    let _ = stream.write_all(bytes);
    if half {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
            panic!("no end of the answer to {:?}", String::from_utf8_lossy(bytes));
        }
        _ => String::from_utf8_lossy(&answer).into_owned(),
    }
}

pub fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let served = served();
    if script.below(8) == 0 {
        // Whatever it is, the cookie is not in it.
        return foreign(&asked(&served.host, script.rest(), true));
    }
    let (method, path, form) = (*script.one(&["GET", "POST", "HEAD", "PUT"]), *script.one(&PATHS), *script.one(&FORMS));
    let choice = script.byte();
    let own_host = choice & 3 != 0;
    let own_cookie = choice & 12 != 0;
    let own_origin = choice & 48 != 0;
    let host = if own_host { served.host.as_str() } else { "evil.example" };
    let cookie = if own_cookie { served.cookie.as_str() } else { "sealpost=0123" };
    let origin = if own_origin { format!("http://{}", served.host) } else { "http://evil.example".to_owned() };
    let text = match script.below(3) {
        0 => encoded(MARKUP.as_bytes()),
        1 => encoded(script.some()),
        _ => String::from_utf8_lossy(script.some()).into_owned(),
    };
    let body = format!("{form}{text}");
    let path = match script.below(4) {
        0 => format!("{path}{}", encoded(script.some())),
        1 => format!("{path}?with={}&edit={text}&q={text}", encoded(MARKUP.as_bytes())),
        _ => path.to_owned(),
    };
    let path = path.replace(['\r', '\n', ' '], "+");
    let length = body.len();
    let head = format!(
        "{method} {}{path} HTTP/1.1\r\nhost: {host}\r\ncookie: {cookie}\r\norigin: {origin}\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n",
        served.base
    );
    let answer = asked(&served.host, format!("{head}{body}").as_bytes(), false);
    let reads = matches!(method, "GET" | "HEAD");
    if own_host && own_cookie && (reads || own_origin) {
        // Who breaks off in the middle has panicked.
        assert!(answer.starts_with("HTTP/1.1 "), "no answer to {head}");
        assert!(!answer.contains("<qxz"), "markup comes back: {answer}");
    } else {
        foreign(&answer);
    }
}

/// An answer to somebody else: nothing of the profile.
fn foreign(answer: &str) {
    assert!(!answer.contains(NAME), "a stranger is shown {answer}");
    if !answer.is_empty() {
        assert!((400..500).contains(&status(answer)), "{answer}");
    }
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no status: {answer}"))
}

fn encoded(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("%{byte:02X}")).collect()
}
