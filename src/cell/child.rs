//! The child process: one strategy on one workload, doing what the parent asks.

use std::io::{self, BufRead};
use std::sync::Arc;

use anyhow::{Context, Result};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use reset_strategies::Error;

use super::crew::Crew;
use super::ground::{Find, Ground, Lacking};
use super::serving::Server;
use super::times::Stages;
use crate::protocol::{Ready, Refusal, Reply, Request, Spec, say};
use crate::units::bytes;

/// Serves the parent until it closes the pipe.
///
/// # Errors
/// When the pipe breaks; whatever concerns the cell is told to the parent instead.
pub fn serve(spec: &Spec, find: Find) -> Result<()> {
    let mut stages = Stages::since(spec.started_ns);
    let ground = Ground::lay(spec, find, &mut stages).map(Arc::new);
    match spec.places {
        None => {
            let crew = ground.and_then(|ground| Crew::start(ground, &mut stages));
            answer(crew, stages, Crew::handle)
        }
        Some(places) => {
            let server = ground.and_then(|ground| Server::start(ground, places, &mut stages));
            answer(server, stages, Server::handle)
        }
    }
}

/// Says whether it has started, and then answers requests.
fn answer<S>(
    started: Result<S>,
    stages: Stages,
    handle: impl Fn(&mut S, &Request) -> Result<Reply>,
) -> Result<()> {
    let mut who = match started {
        Ok(who) => who,
        Err(error) => return say(&failed(&error)),
    };
    say(&Reply::Ready(Ready::new(stages.done())))?;
    for line in io::stdin().lock().lines() {
        let request: Request = serde_json::from_str(&line?).context("a request of the parent")?;
        say(&handle(&mut who, &request).unwrap_or_else(|error| failed(&error)))?;
    }
    Ok(())
}

fn failed(error: &anyhow::Error) -> Reply {
    if let Some(lacking) = error.downcast_ref::<Lacking>() {
        return Reply::Failed { refusal: Refusal::Unavailable, reason: lacking.to_string() };
    }
    let (refusal, reason) = match error.downcast_ref::<Error>() {
        Some(Error::Unavailable { reason, .. }) => (Refusal::Unavailable, reason.clone()),
        Some(Error::Refused { reason, .. }) => (Refusal::Refused, reason.clone()),
        _ => (Refusal::Error, with_limit(format!("{error:#}"))),
    };
    Reply::Failed { refusal, reason }
}

/// What went wrong, and the limit that is the cause where there was no room to reserve a memory.
fn with_limit(reason: String) -> String {
    match getrlimit(Resource::RLIMIT_AS) {
        Ok((limit, _)) if limit != RLIM_INFINITY && reason.contains("reserve") => format!(
            "{reason}; the address space of a process is limited to {}, and a memory reserves 4 GiB: raise it (ulimit -v)",
            bytes(limit)
        ),
        _ => reason,
    }
}
