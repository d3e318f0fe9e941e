//! As much of the DevTools protocol as these tests need, over a pipe: JSON messages that end in a zero byte.
//!
//! A pipe needs no port, no web socket and no library. The browser reads commands from file descriptor 3 and writes to 4;
//! a shell puts our ends of its standard input and output there.

use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// Only a browser that hangs takes this long.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where a Chromium is, if anywhere.
pub fn program() -> Option<PathBuf> {
    if let Some(named) = env::var_os("CHROMIUM") {
        return Some(named.into());
    }
    let path = env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name))).find(|file| file.is_file())
}

/// A browser with one page.
pub struct Browser {
    child: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    last: u64,
    session: Option<String>,
    /// Events that came while an answer was awaited.
    events: Vec<Value>,
    /// Removed with the browser.
    _profile: TempDir,
}

/// What a page did while it was loaded.
pub struct Shown {
    /// Messages in the console that are errors or warnings, exceptions, and violations of the page's policy.
    pub complaints: Vec<String>,
    /// Addresses that were asked for, the page's own being the first.
    pub requests: Vec<String>,
}

impl Browser {
    /// Starts a browser with a profile of its own.
    pub fn start(program: &Path) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut child = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#])
            .arg(program)
            // As root, which containers run as, Chromium refuses its sandbox; the page is our own.
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--remote-debugging-pipe",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let commands = child.stdin.take().expect("it is piped");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, messages) = mpsc::channel();
        thread::spawn(move || {
            for message in output.split(0) {
                let Ok(Ok(message)) = message.map(|text| serde_json::from_slice(&text)) else { break };
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let mut browser =
            Self { child, commands, messages, last: 0, session: None, events: Vec::new(), _profile: profile };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attached =
            browser.call("Target.attachToTarget", json!({ "targetId": target["targetId"], "flatten": true }));
        browser.session = Some(attached["sessionId"].as_str().expect("a session").to_owned());
        for domain in ["Page", "Runtime", "Network", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Loads a file at a width, and waits until it is there.
    pub fn open(&mut self, page: &Path, width: u32) -> Shown {
        let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.call("Emulation.setDeviceMetricsOverride", metrics);
        self.events.clear();
        let url = format!("file://{}", page.display());
        let loaded = self.call("Page.navigate", json!({ "url": url }));
        assert!(loaded.get("errorText").is_none(), "{loaded}");
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let message = self.receive();
            self.events.push(message);
        }
        // Whatever the page starts once it is loaded has started by the second frame after.
        self.evaluate(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(0))))",
        );
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut shown = Shown { complaints: Vec::new(), requests: Vec::new() };
        for event in self.events.drain(..) {
            let params = &event["params"];
            match event["method"].as_str().unwrap_or_default() {
                "Network.requestWillBeSent" => shown.requests.push(text(&params["request"]["url"])),
                "Runtime.exceptionThrown" => shown.complaints.push(params["exceptionDetails"].to_string()),
                "Log.entryAdded" if params["entry"]["level"] != "info" => {
                    shown.complaints.push(text(&params["entry"]["text"]));
                }
                "Runtime.consoleAPICalled" if params["type"] == "error" || params["type"] == "warning" => {
                    shown.complaints.push(params["args"].to_string());
                }
                _ => {}
            }
        }
        shown
    }

    /// The value of an expression in the page, or what its promise comes to.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let wanted = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", wanted);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let mut message = json!({ "id": self.last, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let text = message.to_string() + "\0";
        self.commands.write_all(text.as_bytes()).expect("the browser reads");
        loop {
            let answer = self.receive();
            if answer["id"] != self.last {
                self.events.push(answer);
                continue;
            }
            assert!(answer.get("error").is_none(), "{method}: {answer}");
            return answer["result"].clone();
        }
    }

    fn receive(&mut self) -> Value {
        self.messages
            .recv_timeout(PATIENCE)
            .expect("the browser answers: does it start by hand, with --headless?")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Asked first, so that its own children go too.
        let close = json!({ "id": self.last + 1, "method": "Browser.close" }).to_string() + "\0";
        let asked = self.commands.write_all(close.as_bytes()).is_ok();
        while asked && self.messages.recv_timeout(Duration::from_secs(10)).is_ok() {}
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
