//! Answers views over HTTP: `POST /view/EXPORT` with the request as body.
//!
//! What is in flight is bounded before anything of it is read: so many calls run as the pool has places, so many more wait, and
//! whoever comes then is told to come again. Neither connections nor a queue can make memory grow without end.

mod abi;

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header::RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use reset_strategies::{Lease, Limits, Options, Plan, Pool, Strategy};
use tokio::sync::{Semaphore, oneshot};
use tokio::{task, time};
use wasmtime::{ExternType, Linker, Module};

use abi::Call;
pub use abi::Stored;

/// Bytes that a request may have.
const MOST_BODY: usize = 1 << 20;

/// Bytes that a guest's memory may grow to, as in metashrew's own host.
const MOST_MEMORY: usize = 256 << 20;

/// How often the engine's epoch moves on, and how often a call may see it do so: ten seconds.
const TICK: Duration = Duration::from_millis(100);
const TICKS: u64 = 100;

/// How much may happen at once.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Calls that run.
    pub places: usize,
    /// Calls that wait.
    pub most_waiting: usize,
    /// How long a call waits until it runs.
    pub within: Duration,
}

/// What answers.
pub struct Server {
    pool: Pool<Call>,
    module: Module,
    in_flight: Semaphore,
    height: u32,
    load: Load,
}

impl Server {
    /// A server of one module's views over what blocks have stored up to a height.
    ///
    /// # Errors
    /// When the strategy cannot run the module, or there cannot be so many places.
    pub fn new(
        strategy: &'static Strategy,
        wasm: &[u8],
        stored: HashMap<Vec<u8>, Vec<u8>>,
        height: u32,
        load: Load,
    ) -> Result<Self> {
        let options = Options {
            configure: &|config| {
                config.epoch_interruption(true);
            },
            entry: None,
            deadline: TICKS,
            sessions: u32::try_from(load.places)?,
            ..Options::default()
        };
        let plan = Plan::new(strategy, wasm, options)?;
        let engine = plan.engine()?;
        let module = Module::new(&engine, plan.wasm())?;
        let mut linker = Linker::new(&engine);
        abi::link(&mut linker)?;
        // Waiting is bounded in `view` already, together with what is read.
        let limits = Limits::most(load.places).most_bytes((load.places * MOST_MEMORY) as u64);
        let stored = Stored::new(stored);
        let state = move || Call::new(stored.clone(), MOST_MEMORY);
        let pool = Pool::new(plan, &module, &linker, state, Call::hooks(), limits)?;
        let weak = engine.weak();
        thread::Builder::new().name("epoch".into()).spawn(move || {
            while let Some(engine) = weak.upgrade() {
                engine.increment_epoch();
                drop(engine);
                thread::sleep(TICK);
            }
        })?;
        let in_flight = Semaphore::new(load.places + load.most_waiting);
        Ok(Self { pool, module, in_flight, height, load })
    }

    /// What it answers to.
    pub fn router(self) -> Router {
        let router = Router::new().route("/view/{view}", post(view)).route("/metrics", get(metrics));
        router.with_state(Arc::new(self))
    }

    /// A view is a function without parameters that returns a pointer.
    fn has_view(&self, name: &str) -> bool {
        let Some(ExternType::Func(ty)) = self.module.get_export(name) else { return false };
        ty.params().len() == 0 && ty.results().len() == 1 && ty.result(0).is_some_and(|ty| ty.is_i32())
    }

    /// Reads a request, and waits for a session to answer it.
    async fn admit(&self, body: Body) -> Result<(Lease<Call>, Vec<u8>), Refusal> {
        let both = async {
            let body = to_bytes(body, MOST_BODY).await.map_err(|_| Refusal::TooLong)?;
            let lease =
                self.pool.checkout_async().await.map_err(|error| Refusal::Failed(error.to_string()))?;
            Ok((lease, [&self.height.to_le_bytes()[..], &body].concat()))
        };
        time::timeout(self.load.within, both).await.unwrap_or(Err(Refusal::Busy))
    }
}

async fn view(
    State(server): State<Arc<Server>>,
    Path(view): Path<String>,
    body: Body,
) -> Result<Vec<u8>, Refusal> {
    let Ok(_in_flight) = server.in_flight.try_acquire() else { return Err(Refusal::Busy) };
    if !server.has_view(&view) {
        return Err(Refusal::Unknown);
    }
    let (mut lease, input) = server.admit(body).await?;
    let (answers, answer) = oneshot::channel();
    // A guest computes: it would keep this thread from all other connections.
    task::spawn_blocking(move || {
        let answer = abi::call(&mut lease, &view, input);
        // Nobody listens if the caller has hung up. The session is reset when the answer is on its way.
        let _ = answers.send(answer);
    });
    match answer.await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Refusal::Failed(format!("{error:#}"))),
        Err(_) => Err(Refusal::Failed("the call panicked".into())),
    }
}

async fn metrics(State(server): State<Arc<Server>>) -> String {
    format!("{:#?}\n", server.pool.metrics())
}

/// Why there is no answer.
enum Refusal {
    Busy,
    Unknown,
    TooLong,
    Failed(String),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], "busy\n").into_response(),
            Self::Unknown => (StatusCode::NOT_FOUND, "no such view\n").into_response(),
            Self::TooLong => (StatusCode::PAYLOAD_TOO_LARGE, "the request is too long\n").into_response(),
            Self::Failed(why) => (StatusCode::INTERNAL_SERVER_ERROR, why + "\n").into_response(),
        }
    }
}

/// Answers with what it was asked, and works for a moment before; traps where anything of another call is left.
pub const GUEST: &str = r#"(module
    (import "env" "__host_len" (func $len (result i32)))
    (import "env" "__load_input" (func $load (param i32)))
    (memory (export "memory") 64)
    (global $calls (mut i32) (i32.const 0))
    (func (export "echo") (result i32)
        (local $at i32)
        (if (global.get $calls) (then (unreachable)))
        (global.set $calls (i32.const 1))
        (local.set $at (i32.const 0x200000))
        (loop $pages
            (if (i32.load (local.get $at)) (then (unreachable)))
            (i32.store (local.get $at) (i32.const 1))
            (local.set $at (i32.add (local.get $at) (i32.const 0x1000)))
            (br_if $pages (i32.lt_u (local.get $at) (i32.const 0x240000))))
        (loop $work
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if $work (i32.lt_u (local.get $at) (i32.const 0x300000))))
        (call $load (i32.const 1024))
        ;; Behind the height, which is four bytes.
        (i32.store (i32.const 1024) (i32.sub (call $len) (i32.const 4)))
        (i32.const 1028))
    (func (export "fail") (result i32) (unreachable)))"#;

/// Reads a module, or takes the guest that comes with this.
///
/// # Errors
/// When the file cannot be read.
pub fn module(path: Option<&std::path::Path>) -> Result<Vec<u8>> {
    match path {
        Some(path) => std::fs::read(path).with_context(|| path.display().to_string()),
        None => Ok(wat::parse_str(GUEST)?),
    }
}
