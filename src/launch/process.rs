//! The parent's hold on one child: started, asked, and watched for a sudden end.

use std::fmt::Display;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ChildStdout};
use std::thread::JoinHandle;

use serde_json::Value;

use super::child;
use super::program::Program;
use crate::analyse::summary::Equivalence;
use crate::machine::clock;
use crate::machine::pinning::keep;
use crate::measure::row::Status;
use crate::protocol::{Answer, Ready, Refusal, Reply, Request, Spec, Stages, VERSION, misunderstood};

/// A running child. Dropping it kills the process.
#[derive(Debug)]
pub struct Cell {
    child: Child,
    requests: ChildStdin,
    replies: BufReader<ChildStdout>,
    errors: Option<JoinHandle<String>>,
}

/// Why a child gives no figures.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// It said so itself, could not be started, or spoke another protocol.
    #[error("{1}")]
    Failed(Refusal, String),
    /// A signal ended it, from outside or from the OOM killer.
    #[error("{0}")]
    Killed(String),
    /// A signal of its own making ended it, such as SIGSEGV.
    #[error("{0}")]
    Crashed(String),
}

impl Ended {
    fn broken(what: &str, cause: impl Display) -> Self {
        Self::Failed(Refusal::Error, format!("{what}: {cause}"))
    }

    /// How a row names it.
    pub fn status(&self) -> Status {
        match self {
            Self::Failed(Refusal::Unavailable, _) => Status::Unavailable,
            Self::Failed(Refusal::Refused, _) => Status::Refused,
            Self::Failed(Refusal::Error, _) => Status::Failed,
            Self::Killed(_) | Self::Crashed(_) => Status::Killed,
        }
    }

    /// What is known of a reset whose child ended so.
    pub fn equivalence(&self) -> Equivalence {
        match self {
            Self::Failed(Refusal::Unavailable, _) => Equivalence::Unavailable,
            Self::Failed(Refusal::Refused, _) => Equivalence::Refused,
            Self::Failed(Refusal::Error, _) | Self::Killed(_) | Self::Crashed(_) => Equivalence::NotRun,
        }
    }

    /// Why there is nothing to compare with, where the child ran fresh instances.
    pub fn of_reference(&self) -> String {
        format!("it does not run on fresh instances: {self}")
    }
}

/// The hidden verb under which the binary is a child.
pub const CHILD_VERB: &str = "child";

impl Cell {
    /// Starts a child and waits until its first block has run.
    ///
    /// # Errors
    /// When no process can be started, it ends before it is ready, or speaks another protocol.
    pub fn start(program: &Program, mut spec: Spec) -> Result<(Self, Stages), Ended> {
        spec.started_ns = clock::monotonic_ns();
        let mut child = child(program, CHILD_VERB, &spec)
            .map_err(|e| Ended::broken("cannot start a child process", format_args!("{e:#}")))?
            .spawn()
            .map_err(|e| Ended::broken("cannot start a child process", e))?;
        let (requests, replies, mut errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let errors = std::thread::spawn(move || {
            let mut text = String::new();
            // What cannot be read is no reason to fail: this only explains an end that is noticed elsewhere.
            let _unreadable = errors.as_mut().map(|errors| errors.read_to_string(&mut text));
            text
        });
        let mut cell = Self {
            child,
            requests: requests.expect("standard input is piped"),
            replies: BufReader::new(replies.expect("standard output is piped")),
            errors: Some(errors),
        };
        let stages = greeting(&cell.line()?)?;
        Ok((cell, stages))
    }

    /// The child's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Keeps the thread that executes on a CPU, if one is given.
    ///
    /// # Errors
    /// When that cannot be done.
    pub fn keep_on(&self, cpu: Option<usize>) -> Result<(), Ended> {
        let Some(cpu) = cpu else { return Ok(()) };
        keep(self.pid(), cpu).map_err(|error| Ended::broken(&format!("cannot be kept on CPU {cpu}"), error))
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// When the child ends instead of answering, or answers another question.
    pub fn ask<T: Answer>(&mut self, request: &Request) -> Result<T, Ended> {
        let mut line = serde_json::to_vec(request).map_err(|e| Ended::broken("a request", e))?;
        line.push(b'\n');
        // A child that is gone is noticed when the reply does not come.
        let _gone = self.requests.write_all(&line).and_then(|()| self.requests.flush());
        self.receive()
    }

    fn line(&mut self) -> Result<String, Ended> {
        let mut line = String::new();
        let read = self.replies.read_line(&mut line).map_err(|e| Ended::broken("a reply", e))?;
        if read == 0 { Err(self.ended()) } else { Ok(line) }
    }

    fn receive<T: Answer>(&mut self) -> Result<T, Ended> {
        match serde_json::from_str(&self.line()?) {
            Ok(Reply::Failed { refusal, reason }) => Err(Ended::Failed(refusal, reason)),
            Ok(reply) => {
                T::of(reply).map_err(|other| Ended::broken("an unexpected reply", format_args!("{other:?}")))
            }
            Err(error) => Err(Ended::broken("a reply of another protocol", error)),
        }
    }

    /// How the process ended, once its output has.
    fn ended(&mut self) -> Ended {
        let status = match self.child.wait() {
            Ok(status) => status,
            Err(error) => return Ended::broken("lost", error),
        };
        let said = self.errors.take().and_then(|errors| errors.join().ok()).unwrap_or_default();
        let said = said.split("stack backtrace:").next().unwrap_or_default().trim().replace('\n', " ");
        match status.signal() {
            Some(signal) if FAULTS.contains(&signal) => Ended::Crashed(describe(signal)),
            Some(signal) => Ended::Killed(describe(signal)),
            None if said.is_empty() => Ended::Failed(Refusal::Error, format!("it ended with {status}")),
            None => Ended::Failed(Refusal::Error, said),
        }
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        // Both fail only when the process has ended already, which is what is wanted.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// What a child says first, if it speaks as we do.
fn greeting(line: &str) -> Result<Stages, Ended> {
    match serde_json::from_str(line) {
        Ok(Reply::Ready(Ready { protocol: VERSION, stages })) => return Ok(stages),
        Ok(Reply::Failed { refusal, reason }) => return Err(Ended::Failed(refusal, reason)),
        _ => {}
    }
    let said = serde_json::from_str::<Value>(line).ok();
    let other = said.as_ref().and_then(|said| said["ready"]["protocol"].as_u64());
    Err(Ended::Failed(Refusal::Error, misunderstood("the child", other)))
}

/// Signals by which a process ends itself.
const FAULTS: [i32; 6] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGABRT, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP];

fn describe(signal: i32) -> String {
    match signal {
        libc::SIGKILL => "killed by SIGKILL: from outside, or by the kernel for want of memory".into(),
        libc::SIGSEGV => "killed by SIGSEGV: a memory fault outside the guest".into(),
        libc::SIGBUS => "killed by SIGBUS".into(),
        libc::SIGABRT => "killed by SIGABRT".into(),
        libc::SIGTERM => "killed by SIGTERM: from outside".into(),
        other => format!("killed by signal {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_of_another_protocol_or_of_none_is_told_from_ours() {
        let ready = |protocol| Reply::Ready(Ready { protocol, stages: vec![("process".into(), 1)] });
        let line = |reply| serde_json::to_string(&reply).unwrap();
        assert_eq!(greeting(&line(ready(VERSION))), Ok(vec![("process".into(), 1)]));
        let refused = Reply::Failed { refusal: Refusal::Refused, reason: "no".into() };
        assert_eq!(greeting(&line(refused)), Err(Ended::Failed(Refusal::Refused, "no".into())));
        let said = |line: &str| greeting(line).unwrap_err().to_string();
        let other = VERSION + 1;
        assert!(said(&line(ready(other))).contains(&format!("the child speaks protocol {other}")));
        // As builds spoke before there were versions.
        let before = said(r#"{"ready":[["process",1]]}"#);
        assert!(before.contains("the child does not say which protocol it speaks"), "{before}");
        for none in ["hello", "{}", "[]", r#"{"ran":3}"#] {
            assert!(said(none).contains("does not say which protocol"), "{none}");
        }
    }
}
