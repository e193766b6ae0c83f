//! A real browser: Chromium, driven through its ChromeDriver.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{Lines, PATIENCE, until};

/// Where Debian's packages put them.
const CHROMIUM: &str = "/usr/bin/chromium";
const DRIVER: &str = "/usr/bin/chromedriver";

/// A browser with a profile of its own and one window; gone when it goes out of scope.
pub struct Browser {
    driver: Child,
    runtime: Runtime,
    client: Client,
    _profile: TempDir,
}

impl Browser {
    /// A browser with a window of this size; `flags`: more for Chromium. `None` where there is none on this machine.
    ///
    /// # Panics
    /// It is there and does not start.
    pub fn start(width: u32, height: u32, flags: &[&str]) -> Option<Self> {
        if !Path::new(CHROMIUM).exists() || !Path::new(DRIVER).exists() {
            crate::skip("browser", "chromium");
            return None;
        }
        let mut driver = Command::new(DRIVER)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("ChromeDriver starts");
        let mut lines = Lines::of(driver.stdout.take().expect("it is piped"));
        let line = lines.until(|line| line.contains("started successfully on port"));
        let port: String =
            line.chars().rev().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
        let port: String = port.chars().rev().collect();
        let profile = tempfile::tempdir().expect("a folder");
        let user_data = format!("--user-data-dir={}", profile.path().display());
        let size = format!("--window-size={width},{height}");
        // It looks for nothing on any network but what a test asks of it.
        let mut arguments = vec![
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            &user_data,
            &size,
        ];
        arguments.extend(flags);
        let options = json!({ "binary": CHROMIUM, "args": arguments });
        let capabilities = json!({ "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } });
        let Value::Object(capabilities) = capabilities else { unreachable!("it is an object") };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        // Plain HTTP: the driver listens on loopback alone.
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let _ = builder.capabilities(capabilities);
        let driver_at = format!("http://127.0.0.1:{port}");
        let connecting = builder.connect(&driver_at);
        let client = runtime.block_on(async { tokio::time::timeout(PATIENCE, connecting).await });
        let client = client.expect("ChromeDriver answers").expect("Chromium starts");
        Some(Self { driver, runtime, client, _profile: profile })
    }

    fn wait<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, what).await }).expect("the browser answers")
    }

    /// Loads a page.
    ///
    /// # Panics
    /// It does not load.
    pub fn go(&self, url: &str) {
        self.wait(self.client.goto(url)).unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    /// Where it is.
    ///
    /// # Panics
    /// The browser has gone.
    pub fn url(&self) -> String {
        self.wait(self.client.current_url()).expect("there is a page").to_string()
    }

    /// The first element of this selector, waited for.
    ///
    /// # Panics
    /// None comes.
    pub fn find(&self, selector: &str) -> Element {
        until(&format!("there is {selector}"), || self.wait(self.client.find(Locator::Css(selector))).ok())
    }

    /// How many elements of this selector there are now.
    pub fn count(&self, selector: &str) -> usize {
        self.wait(self.client.find_all(Locator::Css(selector))).map_or(0, |found| found.len())
    }

    /// Clicks on it.
    ///
    /// # Panics
    /// Nothing can be clicked there.
    pub fn click(&self, selector: &str) {
        let element = self.find(selector);
        self.wait(element.click()).unwrap_or_else(|error| panic!("{selector}: {error}"));
    }

    /// Types into it.
    ///
    /// # Panics
    /// Nothing can be typed there.
    pub fn typed(&self, selector: &str, keys: &str) {
        let element = self.find(selector);
        self.wait(element.send_keys(keys)).unwrap_or_else(|error| panic!("{selector}: {error}"));
    }

    /// Waits until the page's text has this.
    ///
    /// # Panics
    /// It does not come.
    pub fn shows(&self, text: &str) {
        until(&format!("the page shows {text:?}"), || self.text().contains(text).then_some(()));
    }

    /// The text that a person sees.
    pub fn text(&self) -> String {
        self.script("return document.body.innerText", &[]).as_str().unwrap_or_default().to_owned()
    }

    /// What a script in the page returns.
    ///
    /// # Panics
    /// It throws.
    pub fn script(&self, script: &str, arguments: &[Value]) -> Value {
        let ran = self.wait(self.client.execute(script, arguments.to_vec()));
        ran.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// What a script in the page gives to its last argument, a function.
    ///
    /// # Panics
    /// It throws.
    pub fn later(&self, script: &str, arguments: &[Value]) -> Value {
        let ran = self.wait(self.client.execute_async(script, arguments.to_vec()));
        ran.unwrap_or_else(|error| panic!("a script: {error}"))
    }

    /// Gives the window another size.
    ///
    /// # Panics
    /// The browser has gone.
    pub fn resize(&self, width: u32, height: u32) {
        self.wait(self.client.set_window_size(width, height)).expect("it has a window");
    }

    /// A picture of the window, kept as output of the tests, and in place of the one in the folder that `SEALPOST_PICTURES` names.
    ///
    /// # Panics
    /// It can't be written.
    pub fn picture(&self, name: &str) -> PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/pictures");
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join(format!("{name}.png"));
        let picture = self.wait(self.client.screenshot()).expect("a picture");
        std::fs::write(&path, &picture).expect("a file");
        super::refresh(&format!("{name}.png"), &picture);
        path
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let client = self.client.clone();
        let closing = async { tokio::time::timeout(Duration::from_secs(10), client.close()).await };
        let _ = self.runtime.block_on(closing);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
