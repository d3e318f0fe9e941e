//! The parent's side of a case: start it under its limit, wait, and tell from its end what became of it.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use reset_strategies::commit::canary;

use super::Outcome;
use super::child::{Line, Spec};
use super::environment::{Environment, size};
use crate::launch;
use crate::launch::stage::Stage;

/// The hidden verb under which the binary is a case.
pub const CELL_VERB: &str = "cell";

/// How a process ended, before it is compared with anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Of a process that completed, [`Outcome::Reference`] until it is compared.
    pub outcome: Outcome,
    pub reason: Option<String>,
    pub exit_code: Option<i32>,
    /// Root over what is stored, where it completed.
    pub root: Option<String>,
    pub stored: Option<String>,
    pub committed_bytes: Option<u64>,
    pub wall: Duration,
}

/// Runs a case to its end.
///
/// # Errors
/// When no process can be started. That a limit cannot be set is an ending: [`Outcome::NotRun`].
pub fn run(stage: &Stage, environment: Environment, spec: &Spec, timeout: Duration) -> Result<Ended> {
    let started = Instant::now();
    let mut command = launch::child(&stage.binary, CELL_VERB, spec)?;
    command.stdin(Stdio::null());
    let group = match environment.confine(&mut command) {
        Ok(group) => group,
        Err(error) => return Ok(not_run(format!("{error:#}"))),
    };
    let mut child = match command.spawn() {
        Ok(child) => child,
        // The limit is set before exec: where it stands in the way of that, nothing of ours has run.
        Err(error) => return Ok(not_run(format!("no process can be started under this limit: {error}"))),
    };
    let out = collect(child.stdout.take().context("the child's standard output")?);
    let err = collect(child.stderr.take().context("the child's standard error")?);
    let waited = wait(&mut child, started + timeout, stage)?;
    let killed_by = group.as_ref().and_then(|group| {
        let kills = group.oom_kills().filter(|kills| *kills > 0)?;
        let limit = size(environment.limit?);
        Some(format!("the OOM killer of its control group, limit {limit} ({kills} killed)"))
    });
    // Before the pipes are read to their end: a child of the child could hold them open.
    drop(group);
    let (out, err) = (out.join().unwrap_or_default(), err.join().unwrap_or_default());
    let wall = started.elapsed();
    Ok(match waited {
        Some(status) => Ended { wall, ..judge(status, &out, &err, killed_by) },
        None if stage.stopped() => not_run("interrupted".into()),
        None => not_run(format!("it took longer than {} s", timeout.as_secs())),
    })
}

/// An ending without a process.
pub fn not_run(reason: String) -> Ended {
    Ended {
        outcome: Outcome::NotRun,
        reason: Some(reason),
        exit_code: None,
        root: None,
        stored: None,
        committed_bytes: None,
        wall: Duration::ZERO,
    }
}

/// Reads a pipe to its end in a thread of its own, so that neither pipe fills up while the other is read.
fn collect(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = Vec::new();
        // What was read until an error is what there is to judge by.
        let _cut_short = pipe.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    })
}

/// Waits for the process to end; kills it when the time is up or the user wants to stop.
fn wait(child: &mut Child, until: Instant, stage: &Stage) -> Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait().context("waiting for a child")? {
            return Ok(Some(status));
        }
        if stage.stopped() || Instant::now() > until {
            child.kill().and_then(|()| child.wait()).context("ending a child")?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// Sorts an end into an outcome.
fn judge(status: ExitStatus, out: &str, err: &str, killed_by: Option<String>) -> Ended {
    let lines: Vec<Line> = out.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let committed_bytes = lines.iter().find_map(|line| match line {
        Line::Ready { committed_bytes } => Some(*committed_bytes),
        _ => None,
    });
    let said = err.trim().trim_start_matches("error: ");
    let said = (!said.is_empty()).then(|| said.lines().last().unwrap_or(said).to_owned());
    let (mut root, mut stored) = (None, None);
    let (outcome, reason) = match (lines.into_iter().next_back(), status.signal()) {
        (Some(Line::Done { root: all, stored: last }), None) => {
            (root, stored) = (Some(all), last);
            (Outcome::Reference, None)
        }
        (Some(Line::Trapped { block, reason }), None) => {
            (Outcome::Trapped, Some(format!("block {block}: {reason}")))
        }
        (_, Some(signal)) => {
            let when = match committed_bytes {
                Some(_) => Outcome::KilledInBlock,
                None => Outcome::KilledAtStartup,
            };
            let by = killed_by.unwrap_or_else(|| said.unwrap_or_else(|| "from outside".into()));
            (when, Some(format!("killed by signal {signal}: {by}")))
        }
        // Without a signal and without a result: it said no, before the first block or, as a failed reset, after it.
        (_, None) => (Outcome::Refused, said),
    };
    Ended { outcome, reason, exit_code: status.code(), root, stored, committed_bytes, wall: Duration::ZERO }
}

/// Whether a refusal is the canary's.
pub fn is_shortage(code: Option<i32>) -> bool {
    code == Some(i32::from(canary::EXIT_CODE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_process_tells_the_outcome() {
        let ready = "{\"ready\":{\"committed_bytes\":4096}}\n";
        let done = &format!("{ready}{{\"done\":{{\"root\":\"ab\",\"stored\":null}}}}\n");
        let trapped = &format!("{ready}{{\"trapped\":{{\"block\":0,\"reason\":\"unreachable\"}}}}\n");
        for (raw, out, err, outcome, code) in [
            (0, done.as_str(), "", Outcome::Reference, Some(0)),
            (0, trapped, "", Outcome::Trapped, Some(0)),
            (9, "", "", Outcome::KilledAtStartup, None),
            (9, ready, "", Outcome::KilledInBlock, None),
            // A result counts only if the process lived to its end.
            (9, done, "", Outcome::KilledInBlock, None),
            (6, ready, "memory allocation failed", Outcome::KilledInBlock, None),
            (78 << 8, "", "error: too small", Outcome::Refused, Some(78)),
            (1 << 8, "", "error: cannot reserve", Outcome::Refused, Some(1)),
        ] {
            let ended = judge(ExitStatus::from_raw(raw), out, err, None);
            assert_eq!((ended.outcome, ended.exit_code), (outcome, code), "{raw} {out} {err}");
            assert_eq!(ended.root.as_deref(), (outcome == Outcome::Reference).then_some("ab"));
        }
    }
}
