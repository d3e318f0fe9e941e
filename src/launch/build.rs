//! Another build of this program, whose children run beside ours: another commit, another wasmtime, other settings of the
//! compiler.
//!
//! It is asked what it is before anything is measured, and has to answer in time: whatever else a path may lead to is told
//! from a build by that.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::about::{About, Has};
use super::program::Program;
use crate::machine::pace;
use crate::prose::printable;
use crate::protocol::{VERSION, lacks, misunderstood};

/// The hidden verb by which a build says what it is.
pub const ABOUT_VERB: &str = "about";

/// What another build is called unless it is given a name.
const OTHER: &str = "other";

/// How long it may take to say what it is.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked at whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Most bytes that are read of what it says: it is some 20 KB.
const MOST_BYTES: u64 = 1 << 20;

/// Most characters of it that an error repeats.
const MOST_TOLD: usize = 300;

/// A program and its name, as they are typed: `PROGRAM` or `PROGRAM=NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Against {
    pub program: PathBuf,
    pub name: String,
}

/// Another build, ready to be started.
#[derive(Clone, Debug)]
pub struct Build {
    pub name: String,
    pub program: Program,
    pub about: About,
    pub sha256: String,
}

/// The other build of a run, in `run.json`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
pub struct BuildRecord {
    /// What stands behind the `@` of its contenders.
    pub name: String,
    /// Version of the program.
    pub version: String,
    pub wasmtime: String,
    /// Of the executable file.
    pub executable_sha256: String,
}

impl Against {
    /// Takes what was typed apart. What stands behind the last `=` is a name unless it has a slash in it, and then belongs to
    /// the path.
    ///
    /// # Errors
    /// When either part is missing, or the name is no plain word.
    pub fn parse(typed: OsString) -> Result<Self, String> {
        let bytes = typed.as_bytes();
        let at = bytes.iter().rposition(|byte| *byte == b'=').filter(|at| !bytes[*at..].contains(&b'/'));
        let (program, name) = match at {
            Some(at) => (&bytes[..at], OsStr::from_bytes(&bytes[at + 1..]).to_string_lossy().into_owned()),
            None => (bytes, OTHER.into()),
        };
        if program.is_empty() {
            return Err("there is no program before the `=`: say PROGRAM or PROGRAM=NAME".into());
        }
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-';
        if name.is_empty() || !name.chars().all(plain) {
            return Err(format!(
                "`{}` is no name: it may have small letters, digits, `.` and `-`, such as `main` or `wasmtime-47.0`",
                printable(&name)
            ));
        }
        Ok(Self { program: OsString::from_vec(program.to_vec()).into(), name })
    }
}

impl Build {
    /// Opens a program and asks it what it is.
    ///
    /// # Errors
    /// When it is no build that speaks our protocol, with the file, the cause and a remedy.
    pub fn ask(against: &Against) -> Result<Arc<Self>> {
        let program = Program::open(&against.program).context("--against")?;
        let about = ask(&program, pace::patience(PATIENCE)).with_context(|| {
            format!("--against: {} cannot be measured beside this program", program.shown())
        })?;
        let sha256 = program.sha256().context("--against")?;
        Ok(Arc::new(Self { name: against.name.clone(), program, about, sha256 }))
    }

    /// This program as another build, for tests.
    #[cfg(test)]
    pub(super) fn own(name: &str) -> Result<Arc<Self>> {
        let program = Program::own()?;
        Ok(Arc::new(Self { name: name.into(), program, about: About::own(), sha256: String::new() }))
    }

    /// How `run.json` has it: without its path.
    pub fn record(&self) -> BuildRecord {
        BuildRecord {
            name: self.name.clone(),
            version: self.about.version.clone(),
            wasmtime: self.about.wasmtime.clone(),
            executable_sha256: self.sha256.clone(),
        }
    }

    /// A strategy as it has it.
    pub fn has(&self, strategy: &str) -> Has {
        let known = self.about.strategies.iter().find(|has| has.name == strategy);
        known.cloned().unwrap_or_else(|| Has {
            name: strategy.into(),
            unavailable: Some(lacks(strategy)),
            configuration: String::new(),
        })
    }
}

/// What a program says that it is.
fn ask(program: &Program, patience: Duration) -> Result<About> {
    let mut child = program.command()?.arg(ABOUT_VERB).spawn().map_err(started)?;
    drop(child.stdin.take());
    let out = read(child.stdout.take().context("its standard output")?);
    let err = read(child.stderr.take().context("its standard error")?);
    let until = Instant::now() + patience;
    let said = within(&out, until).zip(within(&err, until));
    let status = end(&mut child, until)?;
    let Some((out, err)) = said else {
        bail!(
            "asked what it is (`{ABOUT_VERB}`), it said nothing for {} s: it is no build of resetbench, or it hangs",
            patience.as_secs()
        );
    };
    if !status.success() {
        let said = if err.trim().is_empty() { &out } else { &err };
        bail!(
            "asked what it is (`{ABOUT_VERB}`), it ended with {status} and said `{}`: it is no build of resetbench, or one from \
             before there was a protocol to ask in",
            told(said)
        );
    }
    about(&out)
}

/// What an answer says.
fn about(answer: &str) -> Result<About> {
    let no_build = || {
        format!("asked what it is (`{ABOUT_VERB}`), it said `{}`: it is no build of resetbench", told(answer))
    };
    let value: Value = serde_json::from_str(answer).with_context(no_build)?;
    ensure!(value.is_object(), no_build());
    // Looked at first: what speaks another protocol need not answer with our fields.
    let other = value.get("protocol").and_then(Value::as_u64);
    ensure!(other == Some(VERSION.into()), misunderstood("it", other));
    serde_json::from_value(value).with_context(no_build)
}

/// Why it could not be started.
fn started(error: io::Error) -> anyhow::Error {
    let remedy = match error.kind() {
        io::ErrorKind::PermissionDenied => "make it executable (chmod +x), where the file system allows that",
        _ => "it has to be a program for this machine",
    };
    anyhow!(error).context(format!("it cannot be started: {remedy}"))
}

/// What comes out of a pipe, as far as anybody wants to know; it comes when the pipe is closed.
fn read(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What cannot be read is missing in the answer, which is then none.
        let _unreadable = pipe.take(MOST_BYTES).read_to_end(&mut bytes);
        // Nobody waits any more for what comes too late.
        let _late = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

fn within(receiver: &Receiver<String>, until: Instant) -> Option<String> {
    receiver.recv_timeout(until.saturating_duration_since(Instant::now())).ok()
}

/// Waits for a child until then; whatever it has started ends with it, if it still runs.
fn end(child: &mut Child, until: Instant) -> io::Result<ExitStatus> {
    let status = loop {
        match child.try_wait()? {
            None if Instant::now() < until => thread::sleep(LOOK_EVERY),
            status => break status,
        }
    };
    if let (None, Ok(group)) = (status, i32::try_from(child.id())) {
        // Fails where all of them have ended by now.
        let _ended = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    status.map_or_else(|| child.wait(), Ok)
}

/// The beginning of what was said, in a line.
fn told(said: &str) -> String {
    let line = printable(&said.trim().replace('\n', " "));
    let mut short: String = line.chars().take(MOST_TOLD).collect();
    if short.len() < line.len() {
        short += "...";
    }
    short
}

#[cfg(test)]
mod tests {
    use reset_strategies::registry;

    use super::*;

    fn parsed(typed: &str) -> Result<(String, String), String> {
        let against = Against::parse(typed.into())?;
        Ok((against.program.to_str().unwrap().into(), against.name))
    }

    #[test]
    fn a_name_follows_the_last_equals_sign() {
        let both = |program: &str, name: &str| Ok((program.into(), name.into()));
        assert_eq!(parsed("target/old"), both("target/old", "other"));
        assert_eq!(parsed("target/old=main-2.1"), both("target/old", "main-2.1"));
        assert_eq!(parsed("a=b/old"), both("a=b/old", "other"));
        assert_eq!(parsed("a=b=c"), both("a=b", "c"));
        for wrong in ["old=", "=old", "old=Main", "old=a@b", "old=a b", "old=\u{1b}", "", "old=a_b"] {
            let said = parsed(wrong).unwrap_err();
            assert!(said.contains("is no name") || said.contains("no program"), "{wrong}: {said}");
            assert!(!said.contains('\u{1b}'));
        }
    }

    #[test]
    fn an_answer_is_taken_only_in_our_protocol() {
        let own = serde_json::to_string(&About::own()).unwrap();
        let about_own = about(&own).unwrap();
        assert_eq!(about_own.strategies.len(), registry::all().len());
        let said = |answer: &str| format!("{:#}", about(answer).unwrap_err());
        assert!(said(r#"{"protocol": 999, "news": 1}"#).contains("it speaks protocol 999"));
        assert!(said(r#"{"version": "0.1.0"}"#).contains("does not say which protocol"));
        for none in ["", "hello", "[]", "7"] {
            assert!(said(none).contains("no build of resetbench"), "{none}");
        }
        assert!(said(&"long ".repeat(1_000)).len() < 1_000);
    }
}
