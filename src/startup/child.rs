//! The process whose startup is measured.

use std::io;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use reset_strategies::{Plan, commit, registry};
use serde::{Deserialize, Serialize};
use wasmtime::{Linker, Module};

use super::{Path, Stage};
use crate::cell::cache;
use crate::files;
use crate::hosts::{self, Calls};
use crate::machine::clock;
use crate::measure::warm;
use crate::protocol::say;
use crate::workload::host::{BlockState, Shared, Spoken};

/// What the child is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Spec {
    pub strategy: String,
    pub path: Path,
    pub policy: String,
    /// Nothing is committed where this is 0.
    pub commit_bytes: u64,
    /// The module; for paths that map compiled code, what a plan has to know of it (see [`super::launch`]).
    pub wasm: PathBuf,
    /// What was compiled from them ahead of time.
    pub compiled: PathBuf,
    pub cache: PathBuf,
    /// `CLOCK_MONOTONIC` when the parent started this child.
    pub started_ns: u64,
}

/// What it says when the first block is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    pub stages: Vec<Stage>,
    /// What the commit policy found resident of the guest's memory.
    pub resident_bytes: u64,
    /// How much it was to commit: less than asked where the memory cannot grow so far.
    pub asked_bytes: u64,
    /// How much memory was warm beforehand: less than was asked where the machine has not got twice that.
    pub warmed_bytes: u64,
}

/// Runs one startup, says what it took, and stays until the parent has looked at it from outside.
///
/// # Errors
/// When a stage fails; the parent reads why from standard error.
pub fn serve(spec: &Spec) -> Result<()> {
    let mut clock = Stages::since(spec.started_ns);
    let Spec { strategy, policy, .. } = spec;
    let strategy = registry::find(strategy).with_context(|| format!("there is no strategy `{strategy}`"))?;
    let policy = commit::find(policy).with_context(|| format!("there is no policy `{policy}`"))?;
    policy.preflight(spec.commit_bytes)?;
    let wasm = files::read(&spec.wasm)?;
    let plan = Plan::new(strategy, &wasm, hosts::plain().options())?;
    clock.end("read and judge");
    let engine = plan.engine()?;
    clock.end("engine");
    let module = match spec.path {
        Path::Jit => Module::new(&engine, plan.wasm())?,
        Path::EngineCache => cache::module(&spec.cache, &engine, plan.wasm())?.0,
        // SAFETY: the parent of this process has made the file by an engine of the same settings, in a folder of its own.
        Path::Precompiled | Path::Snapshot => unsafe { Module::deserialize_file(&engine, &spec.compiled)? },
    };
    clock.end(if spec.path == Path::Jit { "compile" } else { "load" });
    let mut linker = Linker::new(&engine);
    Spoken::default().link(&mut linker, &module, Calls::Blocking)?;
    clock.end("link");
    let store = Shared::default();
    let mut session = plan.start(&module, &linker, move || BlockState::new(store.clone()))?;
    clock.end("instantiate");
    let (mut resident_bytes, mut asked_bytes, mut warmed_bytes) = (0, 0, 0);
    if spec.commit_bytes > 0 {
        // A hypervisor's first backing of a page is dear, and would go to whoever comes first. Here and not in the parent:
        // what is freed has to be taken again before free page reporting gives it back to the host.
        warmed_bytes = warm::warm(spec.commit_bytes)?;
        clock.skip();
        let committed = policy.commit(&mut session, spec.commit_bytes)?;
        (resident_bytes, asked_bytes) = (committed.resident_bytes, committed.asked_bytes);
        // As the policy took it, without the counting that follows.
        clock.add("commit", u64::try_from(committed.time.as_nanos())?);
    }
    session.execute()?;
    clock.end("first block");
    let started = Started { stages: clock.done, resident_bytes, asked_bytes, warmed_bytes };
    say(&started)?;
    // Until the parent closes the pipe.
    io::stdin().read_line(&mut String::new())?;
    // The kernel takes everything back faster than destructors would.
    std::process::exit(0)
}

/// Times stages, and reads what is resident after each; the reading belongs to no stage.
struct Stages {
    done: Vec<Stage>,
    last: Instant,
}

impl Stages {
    fn since(started_ns: u64) -> Self {
        let ns = clock::monotonic_ns().saturating_sub(started_ns);
        let mut stages = Self { done: Vec::new(), last: Instant::now() };
        stages.add("process", ns);
        stages
    }

    fn end(&mut self, name: &str) {
        let ns = u64::try_from(self.last.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.add(name, ns);
    }

    fn add(&mut self, name: &str, ns: u64) {
        let statm = procfs::process::Process::myself().and_then(|process| process.statm());
        let rss_bytes = statm.ok().map(|statm| statm.resident * procfs::page_size());
        self.done.push(Stage { name: name.into(), ns, rss_bytes });
        self.skip();
    }

    fn skip(&mut self) {
        self.last = Instant::now();
    }
}
