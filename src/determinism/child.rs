//! The process of a case: instantiate, commit, say so, run the blocks, say what is stored now.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use reset_strategies::commit::{self, Shortage, canary, room};
use reset_strategies::{Hooks, Plan, Session, registry};
use serde::{Deserialize, Serialize};
use wasmtime::{Linker, StoreLimitsBuilder};

use super::root::root;
use crate::cell::cache;
use crate::files;
use crate::hosts::{self, Calls};
use crate::protocol::{say, staging};
use crate::workload::host::{BlockState, Outcome, Shared, Spoken, Store};

/// What the process runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Spec {
    pub strategy: String,
    pub policy: String,
    /// What the policy commits.
    pub commit_bytes: u64,
    pub module: PathBuf,
    pub trace: PathBuf,
    pub cache: PathBuf,
    pub store: BTreeMap<String, String>,
    pub blocks: usize,
    /// What the guest's memory may grow to.
    pub budget: Option<u64>,
    /// Whether a failed `memory.grow` traps.
    pub fail_fast: bool,
    /// What limits have to leave at startup.
    pub requirement: Option<u64>,
}

/// What it says, one JSON line each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    /// The first block comes next.
    Ready { committed_bytes: u64 },
    /// A block failed, and why.
    Trapped { block: usize, reason: String },
    /// All blocks are done.
    Done {
        root: String,
        /// The value of the last key, if it is text.
        stored: Option<String>,
    },
}

/// Runs a case.
///
/// # Errors
/// When the case is refused for any reason but a [`Shortage`], which is an exit code.
pub fn serve(spec: &Spec) -> Result<ExitCode> {
    let (mut session, store, trace) = match start(spec) {
        Ok(started) => started,
        Err(error) if shortage(&error).is_some() => {
            eprintln!("error: {error:#}");
            return Ok(ExitCode::from(canary::EXIT_CODE));
        }
        Err(error) => return Err(error),
    };
    for (block, input) in trace.into_iter().take(spec.blocks).enumerate() {
        if block > 0 {
            session.reset()?;
            limit(&mut session, spec)?;
        }
        session.store_mut()?.data_mut().begin(input);
        let result = session.execute();
        match session.store_mut()?.data_mut().outcome(result) {
            Outcome::Completed => {}
            Outcome::Trapped(reason) | Outcome::Failed(reason) => {
                say(&Line::Trapped { block, reason })?;
                return Ok(ExitCode::SUCCESS);
            }
            Outcome::TimedOut => bail!("block {block} was interrupted, which nobody asked for"),
        }
    }
    let store = store.lock();
    let last = store.iter().max_by_key(|(key, _)| *key).map(|(_, value)| value);
    let stored = last.and_then(|value| String::from_utf8(value.to_vec()).ok());
    say(&Line::Done { root: root(&store)?, stored: stored.filter(|text| text.is_ascii()) })?;
    Ok(ExitCode::SUCCESS)
}

type Started = (Session<BlockState>, Shared, Vec<Arc<[u8]>>);

fn start(spec: &Spec) -> Result<Started> {
    let Spec { strategy, policy, .. } = spec;
    let strategy = registry::find(strategy).with_context(|| format!("there is no strategy `{strategy}`"))?;
    let policy = commit::find(policy).with_context(|| format!("there is no policy `{policy}`"))?;
    if let Some(bytes) = spec.requirement {
        room::check_reservation()?;
        room::check(bytes)?;
    }
    policy.preflight(spec.commit_bytes)?;
    let trace = staging::read_trace(&spec.trace)?;
    let wasm = files::read(&spec.module)?;
    let wasm = policy.module(&wasm, spec.commit_bytes)?;
    let plan = Plan::new(strategy, &wasm, hosts::plain().options())?;
    let engine = plan.engine()?;
    let (module, _) = cache::module(&spec.cache, &engine, plan.wasm())?;
    let store: Store =
        spec.store.iter().map(|(key, value)| (key.as_bytes().into(), value.as_bytes().into())).collect();
    let store = Shared::new(store);
    let mut linker = Linker::new(&engine);
    Spoken::default().link(&mut linker, &module, Calls::Blocking)?;
    let state = {
        let store = store.clone();
        move || BlockState::new(store.clone())
    };
    let hooks = Hooks { limiter: Some(|state: &mut BlockState| &mut state.limits), ..Hooks::default() };
    let mut session = plan.start_with(&module, &linker, state, hooks)?;
    let committed = policy.commit(&mut session, spec.commit_bytes)?;
    limit(&mut session, spec)?;
    say(&Line::Ready { committed_bytes: committed.resident_bytes })?;
    Ok((session, store, trace))
}

/// Sets the limits, which a reset takes away with the host's state.
fn limit(session: &mut Session<BlockState>, spec: &Spec) -> Result<()> {
    let mut limits = StoreLimitsBuilder::new().trap_on_grow_failure(spec.fail_fast);
    if let Some(budget) = spec.budget {
        limits = limits.memory_size(usize::try_from(budget).unwrap_or(usize::MAX));
    }
    session.store_mut()?.data_mut().limits = limits.build();
    Ok(())
}

/// The shortage behind an error, if that is what it is.
fn shortage(error: &anyhow::Error) -> Option<&Shortage> {
    error.chain().find_map(|cause| match cause.downcast_ref::<commit::Error>() {
        Some(commit::Error::Shortage(shortage)) => Some(shortage),
        _ => cause.downcast_ref(),
    })
}
