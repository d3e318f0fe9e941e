//! The child process: one strategy on one workload, doing what the parent asks.

use std::io::{self, BufRead, Write};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use reset_strategies::{Error, Hooks, Options, Plan, Session, Strategy};
use wasmtime::{Engine, Linker, Module, ResourceLimiter};

use super::crew::Crew;
use super::plan::PlantedIn;
use super::protocol::{Observed, Refusal, Reply, Request, Spec};
use super::waste::Waste;
use super::{counters, follow, staging};
use crate::machine::clock;
use crate::machine::group::Joined;
use crate::measure::warm;
use crate::verify::schedule::Schedule;
use crate::verify::state::Fresh;
use crate::verify::{committed, compare};
use crate::workload::host::{self, BlockState, Outcome, Shared, Store};

/// Ticks of the epoch that make up a block's timeout. Few, so that the ticking thread is hardly ever awake.
const TICKS: u64 = 20;

/// Ticks that each block has by the options, where these set the deadline and not the host: a block spends one.
const ALLOWANCE: u64 = 3;

/// Engine settings that every strategy shares.
pub fn options() -> Options {
    Options {
        configure: |config| {
            config.epoch_interruption(true);
        },
        deadline: TICKS,
        ..Options::default()
    }
}

/// Finds a strategy by its name.
pub type Find = fn(&str) -> Option<&'static Strategy>;

/// Serves the parent until it closes the pipe.
///
/// # Errors
/// When the pipe breaks; whatever concerns the cell is told to the parent instead.
pub fn serve(spec: &Spec, find: Find) -> Result<()> {
    let mut stages = Stages::since(spec.started_ns);
    let ground = Ground::lay(spec, find, &mut stages);
    let mut crew = match ground.and_then(|ground| Crew::start(Arc::new(ground), &mut stages)) {
        Ok(crew) => crew,
        Err(error) => return answer(&failed(&error)),
    };
    answer(&Reply::Ready { stages: stages.done() })?;
    for line in io::stdin().lock().lines() {
        let request: Request = serde_json::from_str(&line?).context("a request of the parent")?;
        answer(&crew.handle(&request).unwrap_or_else(|error| failed(&error)))?;
    }
    Ok(())
}

fn answer(reply: &Reply) -> Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, reply)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

fn failed(error: &anyhow::Error) -> Reply {
    let (refusal, reason) = match error.downcast_ref::<Error>() {
        Some(Error::Unavailable { reason, .. }) => (Refusal::Unavailable, reason.clone()),
        Some(Error::Refused { reason, .. }) => (Refusal::Refused, reason.clone()),
        _ => (Refusal::Error, format!("{error:#}")),
    };
    Reply::Failed { refusal, reason }
}

/// Times the stages of startup.
pub struct Stages {
    done: Vec<(String, u64)>,
    last: Instant,
}

impl Stages {
    /// Begins with the time since the parent started this process.
    fn since(started_ns: u64) -> Self {
        let process = clock::monotonic_ns().saturating_sub(started_ns);
        Self { done: vec![("process".into(), process)], last: Instant::now() }
    }

    /// Begins here, in a process that runs already.
    pub fn here() -> Self {
        Self { done: Vec::new(), last: Instant::now() }
    }

    /// The stages in nanoseconds, in the order in which they happened.
    pub fn done(self) -> Vec<(String, u64)> {
        self.done
    }

    /// Begins the next stage here: what came before is no part of startup.
    fn skip(&mut self) {
        self.last = Instant::now();
    }

    fn end(&mut self, stage: &str) {
        let now = Instant::now();
        self.done.push((stage.into(), nanos(now - self.last)));
        self.last = now;
    }
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What the sessions of a process share: the blocks, the engine and the compiled module.
pub struct Ground {
    spec: Spec,
    trace: Vec<Arc<[u8]>>,
    plan: Plan<'static>,
    module: Module,
    /// What a fresh instance of the module looks like, once somebody has asked.
    fresh: Mutex<Option<Arc<Fresh>>>,
}

impl Ground {
    /// Reads the files, warms the memory, and makes engine and module.
    ///
    /// # Errors
    /// When a file cannot be read, or the strategy cannot run the module here.
    pub fn lay(spec: &Spec, find: Find, stages: &mut Stages) -> Result<Self> {
        if let Some(group) = &spec.group {
            std::fs::write(group, std::process::id().to_string())
                .with_context(|| format!("cannot join {}", group.display()))?;
        }
        let strategy =
            find(&spec.strategy).with_context(|| format!("there is no strategy `{}`", spec.strategy))?;
        let trace = staging::read_trace(&spec.trace)?;
        let wasm = module(spec)?;
        warm::warm(spec.warm_bytes)?;
        stages.skip();

        let plan = Plan::new(strategy, &wasm, spec.options())?.into_owned();
        stages.end("judge");
        let engine = plan.engine()?;
        stages.end("engine");
        let (module, stage) = super::cache::module(&spec.cache, &engine, plan.wasm())?;
        stages.end(stage);
        if !spec.is(Schedule::Allowances) {
            tick(&engine, spec.timeout_ms);
        }
        Ok(Self { spec: spec.clone(), trace, plan, module, fresh: Mutex::default() })
    }

    /// Instances at once.
    pub(super) fn threads(&self) -> u32 {
        self.spec.threads
    }
}

impl Spec {
    /// Whether this child is for that schedule alone.
    pub(super) fn is(&self, schedule: Schedule) -> bool {
        self.script.is_some_and(|script| script.schedule == schedule)
    }

    fn options(&self) -> Options {
        // What is for a schedule alone may need a second session, or room for an instance that looks.
        let sessions = self.threads * if self.script.is_some() { 2 } else { 1 };
        Options { sessions, deadline: self.ticks(), ..options() }
    }

    /// Ticks until the deadline of a block.
    fn ticks(&self) -> u64 {
        if self.is(Schedule::Allowances) { ALLOWANCE } else { TICKS }
    }
}

/// A session with its blocks.
pub struct Cell {
    ground: Arc<Ground>,
    store: Shared,
    waste: Waste,
    /// What was committed before the first block, or why nothing was.
    committed: Result<String, String>,
    pub session: Session<BlockState>,
}

/// Samples of each block in nanoseconds, in trace order.
#[derive(Clone, Debug, Default)]
pub struct Timed {
    pub execute: Vec<u64>,
    pub reset: Vec<u64>,
}

impl Cell {
    /// Starts a session and runs the first block.
    ///
    /// # Errors
    /// When the module cannot be linked or instantiated, or the first reset fails.
    pub fn on(ground: &Arc<Ground>, stages: &mut Stages) -> Result<Self> {
        let Ground { spec, plan, module, .. } = &**ground;
        let store = Shared::new(initial(spec));
        let mut linker = Linker::new(module.engine());
        host::link(&mut linker).map_err(anyhow::Error::from)?;
        stages.end("link");
        let state = {
            let store = store.clone();
            move || BlockState::new(store.clone())
        };
        // Where growth is not to fail, no limiter is asked.
        let limiter: Option<fn(&mut BlockState) -> &mut dyn ResourceLimiter> =
            if spec.is(Schedule::FailingGrowth) { Some(|state| &mut state.scarcity) } else { None };
        let mut session = plan.start_with(module, &linker, state, Hooks { limiter, ..Hooks::default() })?;
        stages.end("instantiate");
        let waste = Waste::new(spec.planted);
        let committed = match &spec.script {
            Some(script) => committed::commit(script, plan, &mut session)?,
            None => Err("nothing is committed".into()),
        };
        let mut cell = Self { ground: ground.clone(), store, waste, committed, session };
        if !cell.trace().is_empty() {
            cell.execute(0)?;
            stages.end("first-block");
            cell.session.reset()?;
            cell.rewind();
        }
        Ok(cell)
    }

    pub(super) fn handle(&mut self, request: &Request) -> Result<Reply> {
        Ok(match *request {
            Request::Observe { ref script } => Reply::Observed(compare::observe(self, script)?),
            Request::Verify { ref script, ref expected } => {
                Reply::Verified(compare::verify(self, script, expected)?)
            }
            Request::Time { passes } => {
                let Timed { execute, reset } = self.time(passes)?;
                Reply::Timed { execute, reset }
            }
            Request::Count { passes } => Reply::Counted(counters::count(self, passes)?),
            Request::Run { millis, blocks } => {
                let until = Instant::now() + Duration::from_millis(millis);
                let mut ran = 0;
                while ran < blocks.max(1) || Instant::now() < until {
                    self.each_block(1, |cell, block| {
                        ran += 1;
                        let outcome = cell.call();
                        cell.session.reset()?;
                        cell.check(block, outcome)
                    })?;
                }
                Reply::Ran { blocks: ran }
            }
            Request::Follow { policy, blocks } => Reply::Followed(follow::follow(self, policy, blocks)?),
        })
    }

    /// Times each block of whole traces.
    ///
    /// # Errors
    /// When a reset fails or a block times out.
    pub fn time(&mut self, passes: u32) -> Result<Timed> {
        let mut timed = Timed::default();
        self.each_block(passes, |cell, block| {
            let started = Instant::now();
            let outcome = cell.call();
            cell.waste.spin(PlantedIn::Execute);
            let executed = Instant::now();
            cell.session.reset()?;
            cell.waste.spin(PlantedIn::Reset);
            let done = Instant::now();
            timed.execute.push(nanos(executed - started));
            timed.reset.push(nanos(done - executed));
            cell.check(block, outcome)
        })?;
        self.waste.settle(&timed);
        Ok(timed)
    }

    /// Runs whole traces, each from the initial store.
    pub(super) fn each_block(
        &mut self,
        passes: u32,
        mut run: impl FnMut(&mut Self, usize) -> Result<()>,
    ) -> Result<()> {
        for _ in 0..passes {
            self.rewind();
            for block in 0..self.trace().len() {
                self.prepare(block)?;
                run(self, block)?;
            }
        }
        Ok(())
    }

    /// The inputs.
    pub fn trace(&self) -> &[Arc<[u8]>] {
        &self.ground.trace
    }

    /// The strategy that resets.
    pub fn strategy(&self) -> &'static Strategy {
        self.ground.plan.strategy()
    }

    /// What was committed before the first block.
    ///
    /// # Errors
    /// Why nothing was, in words.
    pub fn committed(&self) -> Result<&str, &str> {
        self.committed.as_deref().map_err(String::as_str)
    }

    /// Another session like this one in the same process, over a store of its own.
    ///
    /// # Errors
    /// When it cannot start.
    pub fn another(&self) -> Result<Self> {
        Self::on(&self.ground, &mut Stages::here())
    }

    /// The control group of this process.
    ///
    /// # Errors
    /// When it has none of its own.
    pub fn group(&self) -> io::Result<Joined> {
        let members = self.ground.spec.group.as_deref();
        Joined::by(members.ok_or_else(|| io::Error::other("the process has no control group of its own"))?)
    }

    /// Whether no other session lives in this process.
    pub fn is_alone(&self) -> bool {
        self.ground.spec.threads == 1
    }

    /// What a fresh instance of the module looks like; made once for all sessions of the process.
    ///
    /// # Errors
    /// When none can be made.
    pub fn fresh(&self) -> Result<Arc<Fresh>> {
        let Ground { spec, fresh, .. } = &*self.ground;
        let mut made = fresh.lock().map_err(|_| anyhow!("another session of this process panicked"))?;
        if let Some(fresh) = &*made {
            return Ok(fresh.clone());
        }
        let fresh = Arc::new(Fresh::of(&module(spec)?, &spec.cache)?);
        Ok(made.insert(fresh).clone())
    }

    /// Brings the host's store back to what it was before the first block.
    pub fn rewind(&mut self) {
        self.put_back(initial(&self.ground.spec));
    }

    /// A copy of the host's store.
    pub fn store(&self) -> Store {
        self.store.lock().clone()
    }

    /// Makes that copy the host's store again.
    pub fn put_back(&mut self, store: Store) {
        *self.store.lock() = store;
    }

    /// Digest of the host's store.
    pub fn store_digest(&self) -> String {
        host::digest(&self.store.lock())
    }

    /// Hands the next input over and sets the deadline: the host's own work, which is not timed.
    pub(super) fn prepare(&mut self, block: usize) -> Result<()> {
        self.begin(block as u64, self.ground.trace[block].clone())
    }

    fn begin(&mut self, id: u64, input: Arc<[u8]>) -> Result<()> {
        self.session.expect(id);
        let mut store = self.session.store_mut()?;
        if self.ground.spec.is(Schedule::Allowances) {
            store.engine().increment_epoch();
        } else {
            store.set_epoch_deadline(TICKS);
        }
        store.data_mut().begin(input);
        Ok(())
    }

    pub(super) fn call(&mut self) -> wasmtime::Result<()> {
        self.session.execute()
    }

    pub(super) fn outcome(&mut self, result: wasmtime::Result<()>) -> Result<Outcome> {
        Ok(host::outcome(result, self.session.store_mut()?.data().log()))
    }

    fn execute(&mut self, block: usize) -> Result<Outcome> {
        self.prepare(block)?;
        let result = self.call();
        self.outcome(result)
    }

    /// Executes a block and says what it did. Its deadline passes at the host call `interrupt`, if one is given.
    ///
    /// # Errors
    /// When an earlier reset failed.
    pub fn observe(&mut self, id: u64, input: Arc<[u8]>, interrupt: Option<u32>) -> Result<Observed> {
        self.begin(id, input)?;
        let mut store = self.session.store_mut()?;
        let state = store.data_mut();
        state.record();
        if let Some(call) = interrupt {
            state.interrupt(call, self.ground.spec.ticks());
        }
        let result = self.call();
        let outcome = self.outcome(result)?;
        let flushed = self.session.store_mut()?.data().digest().unwrap_or_default();
        Ok(Observed { outcome, flushed })
    }

    /// A timeout while measuring would be a time that means nothing.
    pub(super) fn check(&self, block: usize, result: wasmtime::Result<()>) -> Result<()> {
        self.in_time(block, &host::outcome(result, ""))
    }

    /// The same of an outcome.
    pub(super) fn in_time(&self, block: usize, outcome: &Outcome) -> Result<()> {
        match outcome {
            Outcome::TimedOut => {
                bail!(
                    "block {block} took longer than {} ms while it was measured",
                    self.ground.spec.timeout_ms
                )
            }
            Outcome::Completed | Outcome::Trapped(_) | Outcome::Failed(_) => Ok(()),
        }
    }
}

fn module(spec: &Spec) -> Result<Vec<u8>> {
    std::fs::read(&spec.module).with_context(|| format!("cannot read {}", spec.module.display()))
}

fn initial(spec: &Spec) -> Store {
    spec.store.iter().map(|(key, value)| (key.as_bytes().into(), value.as_bytes().into())).collect()
}

/// Advances the engine's epoch from a thread that ends with the process.
fn tick(engine: &Engine, timeout_ms: u64) {
    let period = Duration::from_millis(timeout_ms.div_ceil(TICKS).max(1));
    let engine = engine.weak();
    thread::spawn(move || {
        loop {
            thread::sleep(period);
            let Some(engine) = engine.upgrade() else { break };
            engine.increment_epoch();
        }
    });
}
