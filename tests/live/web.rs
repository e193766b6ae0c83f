//! The page, in a real browser and over bare HTTP.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use rustix::process::Signal;
use sealpost_tests::processes::{Browser, Following, PATIENCE, Person, RelayProcess, programs, signal, until};
use sealpost_tests::skip;
use serde_json::{Value, json};

use super::Pair;
use super::terminal::Terminal;

/// Somebody's page, and the link that leads there once.
pub(super) struct Page {
    process: Option<Following>,
    link: String,
}

impl Page {
    pub(super) fn of(person: &Person) -> Self {
        Self::started(person.command(&["--json", "web"]))
    }

    fn started(command: std::process::Command) -> Self {
        let mut process = Following::start(command);
        let line = process.lines.until(|line| line.contains("\"listening\""));
        let line: Value = serde_json::from_str(&line).unwrap();
        Self { process: Some(process), link: line["at"].as_str().unwrap().to_owned() }
    }

    /// Of a program on a terminal, which shows the link.
    pub(super) fn on(terminal: &Terminal) -> Self {
        let link = until("the terminal shows a link", || {
            let shown = terminal.shown();
            shown.split_whitespace().find(|word| word.contains("/?token=")).map(str::to_owned)
        });
        Self { process: None, link }
    }

    /// `127.0.0.1:PORT`
    fn host(&self) -> &str {
        self.link.strip_prefix("http://").unwrap().split_once('/').unwrap().0
    }

    fn token(&self) -> &str {
        self.link.split_once("/?token=").unwrap().1
    }
}

/// A browser that has come in, and the address below which everything stands.
fn enter(page: &Page, browser: &Browser) -> String {
    browser.go(&page.link);
    let base = until("it is let in", || {
        let url = browser.url();
        (!url.contains("token=")).then_some(url)
    });
    base.trim_end_matches('/').to_owned()
}

/// A browser that has come in, and what it shows is held to this machine and to its own rules when the test ends.
pub(super) struct Visit {
    pub(super) browser: Browser,
    base: String,
}

impl Visit {
    pub(super) fn to(page: &Page, size: (u32, u32), flags: &[&str]) -> Option<Self> {
        let browser = Browser::start(size.0, size.1, flags)?;
        let base = enter(page, &browser);
        Some(Self { browser, base })
    }

    pub(super) fn open(&self, path: &str) {
        self.browser.go(&format!("{}{path}", self.base));
    }

    pub(super) fn say(&self, text: &str) {
        self.browser.typed("#text", &format!("{text}\u{e007}"));
    }

    /// Nothing was asked of any other place, and nothing was refused by the page's own policy.
    fn stays_here(&self) {
        let script = "return performance.getEntriesByType('resource').map((one) => one.name)";
        let asked = self.browser.script(script, &[]);
        for url in asked.as_array().unwrap() {
            assert!(url.as_str().unwrap().starts_with(&self.base), "{url}");
        }
    }

    /// What axe finds on the page as it is now.
    fn is_accessible(&self, what: &str) {
        let axe = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("axe").join("axe.min.js");
        let Ok(axe) = std::fs::read_to_string(axe) else { return skip("axe", "axe") };
        // The page's policy lets no foreign script in: the driver's own scripts are not asked.
        let run = format!("{axe}; const done = arguments[0]; axe.run().then((found) => done(found.violations));");
        let found = self.browser.later(&run, &[]);
        let found: Vec<String> = found
            .as_array()
            .unwrap()
            .iter()
            .map(|one| format!("{}: {} {}", one["id"], one["help"], one["nodes"][0]["html"]))
            .collect();
        assert!(found.is_empty(), "{what}: {}", found.join("\n"));
    }

    /// Nobody has to scroll sideways.
    fn fits(&self, what: &str) {
        let script = "return document.documentElement.scrollWidth - innerWidth";
        let over = self.browser.script(script, &[]).as_i64().unwrap();
        assert!(over <= 0, "{what} is {over} pixels too wide");
    }
}

/// Files are chosen or dropped on the page, how far they are is shown, and what was fetched the browser may have: bit for bit, and
/// without leaving the page.
#[test]
fn files_go_over_the_page() {
    let pair = Pair::acquainted();
    let (alice, bob) = (Page::of(&pair.alice), Page::of(&pair.bob));
    let Some(a) = Visit::to(&alice, (1280, 800), &[]) else { return };
    let Some(b) = Visit::to(&bob, (1280, 800), &[]) else { return };
    a.open("/with/bob");
    b.open("/with/alice");
    // What a browser does when a file is dropped, and when one is chosen.
    let made = "const bytes = new Uint8Array(arguments[1]).map((_, at) => (at * 7) % 251); \
                const data = new DataTransfer(); data.items.add(new File([bytes], arguments[0]));";
    let drop = format!(
        "{made} document.body.dispatchEvent(new DragEvent('drop', {{ dataTransfer: data, bubbles: true, cancelable: true }}));"
    );
    let choose =
        format!("{made} attach.files = data.files; attach.dispatchEvent(new Event('change')); return attach.value;");
    a.browser.script(&drop, &[json!("dropped <b>.bin"), json!(3_000_000)]);
    b.browser.shows("dropped <b>.bin");
    b.browser.shows("not fetched");
    a.browser.script(&choose, &[json!("chosen.bin"), json!(70_000)]);
    b.browser.shows("chosen.bin");
    until("both were sent", || (a.browser.text().matches(", sent").count() == 2).then_some(()));
    let kept = || std::fs::read_dir(pair.alice.home.join("default")).unwrap().flatten();
    until("nothing of them is kept at their sender's", || {
        (!kept().any(|file| file.file_name().to_string_lossy().starts_with("page-"))).then_some(())
    });

    let fetch = "const forms = [...document.querySelectorAll('.file form')]; forms.forEach((form) => form.requestSubmit()); \
                 return forms.length;";
    assert_eq!(b.browser.script(fetch, &[]), json!(2));
    until("both are saved", || (b.browser.text().matches("saved as").count() == 2).then_some(()));
    let sums = "const done = arguments[0]; Promise.all([...document.querySelectorAll('.file a[download]')].map(async (link) => { \
                const bytes = new Uint8Array(await (await fetch(link.href)).arrayBuffer()); \
                return [bytes.length, bytes.every((byte, at) => byte === (at * 7) % 251)]; })).then(done);";
    assert_eq!(b.browser.later(sums, &[]), json!([[3_000_000, true], [70_000, true]]));
    let saved = std::fs::read(pair.bob.home.join("downloads/dropped _b_.bin")).unwrap();
    assert!(saved.len() == 3_000_000 && saved.iter().enumerate().all(|(at, byte)| *byte == ((at * 7) % 251) as u8));
    // Without a script a form fetches, too, and a room has no files.
    a.open("/room/lobby");
    assert_eq!(a.browser.script("return document.getElementById('pick')", &[]), Value::Null);
    b.is_accessible("a conversation with files");
    b.fits("a conversation with files");
    for visit in [&a, &b] {
        visit.stays_here();
    }
}

/// Two people with a page each talk through a real relay: what one says, changes, takes back and thinks of something the other
/// sees at once, and a script on the same profile sees the same.
#[test]
fn two_people_talk_on_the_page() {
    let pair = Pair::acquainted();
    let (alice, bob) = (Page::of(&pair.alice), Page::of(&pair.bob));
    let Some(a) = Visit::to(&alice, (1280, 800), &[]) else { return };
    let Some(b) = Visit::to(&bob, (1280, 800), &[]) else { return };
    a.browser.shows("@bob");
    a.open("/with/bob");
    b.open("/with/alice");
    a.browser.shows("private, unverified");
    a.say("tea on <b>friday</b>?");
    b.browser.shows("tea on <b>friday</b>?");
    b.say("yes // at four");
    a.browser.shows("yes // at four");
    until("it is delivered", || a.browser.text().contains("delivered").then_some(()));

    a.browser.click(".message.own:last-of-type .acts summary, .message.own .acts summary");
    let edits = a.browser.script("return [...document.querySelectorAll('.message.own')].pop().id", &[]);
    let id = edits.as_str().unwrap().strip_prefix("m-").unwrap().to_owned();
    a.open(&format!("/with/bob?edit={id}"));
    a.browser.script("document.getElementById('text').value = ''", &[]);
    a.say("tea on saturday?");
    b.browser.shows("tea on saturday?");
    b.browser.shows("edited");
    until("the old text has gone", || (!b.browser.text().contains("friday")).then_some(()));

    let react = "const line = document.getElementById(arguments[0]); line.querySelector('details').open = true; \
                 line.querySelector('input[name=emoji]').value = '👍'; \
                 line.querySelector('input[name=emoji]').form.requestSubmit();";
    b.browser.script(react, &[json!(format!("m-{id}"))]);
    a.browser.shows("👍 1");
    let _ = a.browser.picture("page");
    a.browser.resize(400, 800);
    let _ = a.browser.picture("page-narrow");
    a.browser.resize(1280, 800);

    let delete = "const line = document.getElementById(arguments[0]); \
                  line.querySelector('input[value=delete]').form.requestSubmit();";
    a.browser.script(delete, &[json!(format!("m-{id}"))]);
    b.browser.shows("deleted");

    // A script on Bob's profile, through the page's process: the same conversation.
    let said: Vec<String> = pair.bob.history("alice").into_iter().map(|(_, text)| text).collect();
    assert_eq!(said.last().map(String::as_str), Some("yes // at four"));
    assert!(!said.iter().any(|text| text.contains("saturday")), "{said:?}");
    a.open("/search?q=FOUR");
    a.browser.shows("1 message with");
    for visit in [&a, &b] {
        visit.stays_here();
    }
    signal(alice.process.as_ref().unwrap().pid(), Signal::TERM);
    a.browser.shows("this page has lost its program");
}

/// A changed key blocks the composer, and says in words what it means and what to do; the number is compared on the page.
#[test]
fn a_changed_key_blocks_the_composer() {
    let pair = Pair::acquainted();
    let alice = Page::of(&pair.alice);
    let Some(visit) = Visit::to(&alice, (1280, 800), &[]) else { return };
    visit.open("/verify/bob");
    visit.browser.shows("Compare this number");
    let shown =
        pair.bob.json(&["verify", "alice"]).expect(0).events("safety")[0]["number"].as_str().unwrap().to_owned();
    let _ = visit.browser.picture("page-verify");
    visit.is_accessible("verification");
    visit.browser.typed("#mark", &format!("{}\u{e007}", "11111 ".repeat(12)));
    visit.browser.shows("this is not the safety number with @bob");
    visit.open("/verify/bob");
    visit.browser.typed("#mark", &format!("{shown}\u{e007}"));
    visit.browser.shows("private, verified");

    // Bob's name is released, and somebody else takes it.
    let data = pair.relay.data.to_str().unwrap();
    let _ = RelayProcess::program(&["admin", "release", "bob", "--data", data]).expect(0);
    let other = Person::new(pair.folder.path(), "other");
    let _ = other.run(&["register", &pair.relay.address, "bob"]).expect(0);
    visit.open("/with/bob");
    visit.say("are you there?");
    visit.browser.shows("The key of bob has changed");
    visit.open("/with/bob");
    assert_eq!(visit.browser.count("#composer"), 0);
    visit.browser.shows("private, key changed");
    let _ = visit.browser.picture("page-key-changed");
    visit.is_accessible("a changed key");
    visit.browser.typed("#fingerprint", &format!("{}\u{e007}", "a".repeat(52)));
    visit.browser.shows("try:");
    assert_eq!(visit.browser.count("#composer"), 0);
}

/// Every page can be used without a mouse and without eyes, in three widths, light and dark: axe finds nothing, and nothing is
/// wider than the window. What strangers write stays text.
#[test]
fn the_page_is_for_everybody() {
    let pair = Pair::acquainted();
    let _ = pair.alice.run(&["join", "#lobby"]).expect(0);
    let hostile = "<img src=x onerror=document.title='gone'> \u{202e}evil\u{1b}[31m https://example.org/?q=1 x̂\u{301}\u{301}\u{301}";
    let _ = pair.bob.run(&["send", "alice", hostile]).expect(0);
    let _ = pair.bob.run(&["send", "alice", &"unbroken".repeat(100)]).expect(0);
    let _ = pair.alice.receives(2);
    let dark = Some("--blink-settings=preferredColorScheme=0");
    for (scheme, flag, widths) in [("light", None, &[1280, 800, 320][..]), ("dark", dark, &[1280])] {
        let flags: Vec<&str> = flag.into_iter().collect();
        let page = Page::of(&pair.alice);
        let Some(visit) = Visit::to(&page, (1280, 800), &flags) else { return };
        for &width in widths {
            visit.browser.resize(width, 700);
            for path in ["/", "/with/bob", "/room/lobby", "/people?of=%23lobby", "/verify", "/search?q=unbroken"] {
                visit.open(path);
                let what = format!("{path} {scheme} {width}");
                visit.is_accessible(&what);
                visit.fits(&what);
            }
            visit.open("/with/bob");
            visit.browser.shows("<img src=x");
            visit.browser.shows("<U+202E>evil<U+001B>");
            assert_eq!(visit.browser.script("return document.title", &[]), "@bob – Sealpost");
            let _ = visit.browser.picture(&format!("page-{scheme}-{width}"));
        }
        visit.stays_here();
    }
}

/// Somebody who was let in, and asks without a browser.
pub(super) struct Entered {
    cookie: String,
    base: String,
}

impl Page {
    /// Goes in by the link, which has served with that.
    pub(super) fn enter(&self) -> Entered {
        let way_in = format!("/?token={}", self.token());
        let (status, entered) = request(self, "GET", &way_in, &[("host", self.host())], "");
        assert_eq!(status, 200, "{entered}");
        let cookie = entered.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
        let (cookie, rest) = cookie.split_once(';').unwrap();
        let base = rest.split(';').find_map(|part| part.trim().strip_prefix("Path=")).unwrap();
        Entered { cookie: cookie.to_owned(), base: base.to_owned() }
    }
}

impl Entered {
    pub(super) fn get(&self, page: &Page, path: &str) -> (u16, String) {
        let headers = [("host", page.host()), ("cookie", &self.cookie)];
        request(page, "GET", &format!("{}{path}", self.base), &headers, "")
    }

    pub(super) fn post(&self, page: &Page, path: &str, form: &str) -> (u16, String) {
        let origin = format!("http://{}", page.host());
        let headers = [
            ("host", page.host()),
            ("cookie", self.cookie.as_str()),
            ("origin", &origin),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        request(page, "POST", &format!("{}{path}", self.base), &headers, form)
    }
}

/// An answer to a request as it stands: status line, headers, body.
fn request(page: &Page, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(page.host()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.1\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let status = text.split(' ').nth(1).unwrap().parse().unwrap();
    (status, text)
}

/// The page is for whoever has the link: once, under its own name, from itself; with a policy that lets nothing in.
#[test]
fn other_pages_and_other_people_stay_outside() {
    let pair = Pair::acquainted();
    let page = Page::of(&pair.alice);
    let host = page.host().to_owned();
    let own = ("host", host.as_str());
    let way_in = format!("/?token={}", page.token());
    assert_eq!(request(&page, "GET", "/", &[own], "").0, 403);
    assert_eq!(request(&page, "GET", &way_in, &[("host", "evil.example")], "").0, 421);
    let (status, entered) = request(&page, "GET", &way_in, &[own], "");
    assert_eq!(status, 200, "{entered}");
    assert_eq!(request(&page, "GET", &way_in, &[own], "").0, 403, "a token serves once");
    let cookie = entered.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let (cookie, rest) = cookie.split_once(';').unwrap();
    let base = rest.split(';').find_map(|part| part.trim().strip_prefix("Path=")).unwrap();
    assert!(base.len() > 32, "a path that nobody guesses: {base}");
    let with = ("cookie", cookie);
    let bob = format!("{base}/with/bob");
    let (status, shown) = request(&page, "GET", &bob, &[own, with], "");
    assert_eq!(status, 200, "{shown}");
    for header in
        ["content-security-policy: default-src 'none'", "x-content-type-options: nosniff", "no-store", "no-referrer"]
    {
        assert!(shown.contains(header), "{header}: {shown}");
    }
    assert_eq!(request(&page, "GET", &bob, &[own], "").0, 403);
    // A page that is told from now on is told so: it asks for what happened while it was on its way.
    let mut told = TcpStream::connect(page.host()).unwrap();
    told.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(told, "GET {base}/events?with=%40bob HTTP/1.1\r\nhost: {host}\r\ncookie: {cookie}\r\n\r\n").unwrap();
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).contains("event: ready") {
        let mut some = [0; 512];
        let read = told.read(&mut some).unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&heard));
        heard.extend_from_slice(&some[..read]);
    }
    assert_eq!(request(&page, "GET", &bob, &[("host", "localhost.evil.example"), with], "").0, 421);
    let act = format!("{base}/say");
    let form = ("content-type", "application/x-www-form-urlencoded");
    let said = "here=%40bob&text=forged";
    let origin = format!("http://{host}");
    for headers in [
        vec![own, with, form],
        vec![own, with, form, ("origin", "http://evil.example")],
        vec![own, with, form, ("origin", "null")],
        vec![own, with, form, ("origin", &origin), ("sec-fetch-site", "cross-site")],
    ] {
        assert_eq!(request(&page, "POST", &act, &headers, said).0, 421, "{headers:?}");
    }
    assert_eq!(request(&page, "POST", &act, &[own, form, ("origin", &origin)], said).0, 403);
    let long = format!("here=%40bob&text={}", "x".repeat(300 * 1024));
    assert_eq!(request(&page, "POST", &act, &[own, with, form, ("origin", &origin)], &long).0, 413);
    for path in ["/../vault", "/with/../../vault", "/with/%2e%2e%2fvault", "/nothing", "/room/%00"] {
        let (status, shown) = request(&page, "GET", &format!("{base}{path}"), &[own, with], "");
        assert!((400..500).contains(&status), "{path}: {shown}");
    }
    assert_eq!(pair.alice.history("bob").len(), 2, "nothing was said");
    // A page for the whole network would show everything to everybody.
    let _ = pair.alice.run(&["web", "--listen", "0.0.0.0:0"]).expect(2);
}

/// After a while without anybody, a page shows nothing until the passphrase was given; by itself it keeps nothing open.
#[test]
fn an_idle_page_locks() {
    let pair = Pair::acquainted();
    let passphrase = std::fs::read_to_string(&pair.alice.passphrase).unwrap();
    // Somebody else holds the profile: nothing but the page asks for the passphrase.
    let _holder = pair.alice.holds();
    let mut command = std::process::Command::new(&programs().client);
    command.arg("--home").arg(&pair.alice.home).args(["--json", "web", "--lock", "3s"]);
    command.env_remove("SEALPOST_PASSPHRASE");
    let page = Page::started(command);
    let entered = page.enter();
    let (status, shown) = entered.get(&page, "/with/bob");
    assert!(status == 200 && shown.contains("hello"), "{shown}");
    // What a page loads by itself is nobody's presence.
    until("the page is locked", || (entered.get(&page, "/page.js").0 == 403).then_some(()));
    for path in ["/", "/with/bob", "/people", "/events?with=@bob"] {
        let (status, shown) = entered.get(&page, path);
        assert!(status == 403 && shown.contains("This page is locked") && !shown.contains("bob"), "{path}: {shown}");
    }
    let (status, _) = entered.post(&page, "/say", "here=%40bob&text=hi");
    assert_eq!(status, 403);
    let (status, shown) = entered.post(&page, "/unlock", "passphrase=wrong");
    assert!(status == 403 && shown.contains("the passphrase is wrong"), "{shown}");
    let right = passphrase.trim_end().replace(' ', "+");
    assert_eq!(entered.post(&page, "/unlock", &format!("passphrase={right}")).0, 303);
    assert!(entered.get(&page, "/with/bob").1.contains("hello"));
}

/// A page that holds the profile itself lets go of it when it locks, keys and all, and takes it again with the passphrase.
#[test]
fn a_locked_page_closes_the_profile() {
    let pair = Pair::acquainted();
    let Pair { alice, bob, .. } = &pair;
    let passphrase = std::fs::read_to_string(&alice.passphrase).unwrap();
    let arguments = ["--home", alice.home.to_str().unwrap(), "web", "--lock", "3s"];
    let client = programs().client.to_str().unwrap();
    let mut terminal = Terminal::sized((160, 24), &[], client, arguments.into_iter());
    terminal.shows("Passphrase:");
    terminal.types(&format!("{}\r", passphrase.trim_end()));
    let page = Page::on(&terminal);
    let entered = page.enter();
    assert!(entered.get(&page, "/with/bob").1.contains("hello"));
    let held = || alice.json(&["profiles"]).expect(0).events("profile")[0]["held"] == true;
    until("the page is locked", || (entered.get(&page, "/page.js").0 == 403).then_some(()));
    until("nobody holds the profile", || (!held()).then_some(()));
    // So nothing arrives, and what others say waits.
    let _ = bob.run(&["send", "alice", "are you there?"]).expect(0);
    let (status, shown) = entered.post(&page, "/unlock", "passphrase=wrong");
    assert!(status == 403 && shown.contains("the passphrase is wrong") && !held(), "{shown}");
    let right = passphrase.trim_end().replace(' ', "+");
    assert_eq!(entered.post(&page, "/unlock", &format!("passphrase={right}")).0, 303);
    until("what was said meanwhile is there", || {
        let (status, shown) = entered.get(&page, "/with/bob");
        assert_eq!(status, 200, "{shown}");
        shown.contains("are you there?").then_some(())
    });
    assert!(held());
    terminal.types("\x03");
    assert_eq!(terminal.ends(), 0);
}

/// Whoever made a room removes on the page what others have written there, and nobody else can.
#[test]
fn who_made_a_room_removes_posts_on_the_page() {
    let pair = Pair::new();
    let Pair { alice, bob, .. } = &pair;
    let _ = alice.run(&["join", "#garden"]).expect(0);
    let _ = bob.run(&["join", "#garden"]).expect(0);
    let _ = alice.run(&["send", "#garden", "roses"]).expect(0);
    let _ = bob.run(&["send", "#garden", "buy my beans"]).expect(0);
    let pages = [alice, bob].map(|person| {
        let page = Page::of(person);
        let entered = page.enter();
        (page, entered)
    });
    let shown = |at: usize, text: &str| {
        let (page, entered) = &pages[at];
        until(&format!("the page of {at} shows {text}"), || {
            let (_, shown) = entered.get(page, "/room/garden");
            shown.contains(text).then_some(shown)
        })
    };
    let line = |shown: String, text: &str| {
        let line = shown.split("<li").find(|line| line.contains(text)).unwrap().to_owned();
        let (_, rest) = line.split_once("id=\"m-").unwrap();
        (rest.split_once('"').unwrap().0.to_owned(), line)
    };
    let (_, roses) = line(shown(1, "roses"), "roses");
    assert!(!roses.contains(">Remove<") && !roses.contains(">Delete<"), "it is not his: {roses}");
    let (_, roses) = line(shown(0, "roses"), "roses");
    assert!(roses.contains(">Delete<"), "her own is deleted as everywhere: {roses}");
    let (id, beans) = line(shown(0, "buy my beans"), "buy my beans");
    assert!(beans.contains(">Remove<"), "{beans}");
    let (page, entered) = &pages[0];
    assert_eq!(entered.post(page, "/do", &format!("command=delete&id={id}&here=%23garden")).0, 303);
    for at in [0, 1] {
        let gone = shown(at, "removed by the room");
        assert!(!gone.contains("buy my beans"), "{gone}");
    }
}
