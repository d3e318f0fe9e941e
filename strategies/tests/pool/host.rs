//! A guest that finds out what others left behind, and pools of it.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use reset_strategies::{Error, Hooks, Limits, Metrics, Options, Plan, Pool, Session, Strategy, registry};
use wasmtime::{Engine, Linker, Module};

/// Adds up all that it finds, then overwrites it and grows its memory, and traps where it is to fail.
const GUEST: &str = r#"(module
  (memory (export "memory") 2 64)
  (data (i32.const 4080) "initial")
  (global $calls (mut i32) (i32.const 5))
  (func (export "_start"))
  (func (export "view") (param $seed i32) (param $fails i32) (result i32)
    (local $at i32) (local $sum i32)
    (local.set $sum (i32.add (global.get $calls) (i32.mul (memory.size) (i32.const 1000003))))
    (drop (memory.grow (i32.and (local.get $seed) (i32.const 3))))
    (loop $words
      (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 31)) (i32.load (local.get $at))))
      (i32.store (local.get $at) (local.get $seed))
      (local.set $at (i32.add (local.get $at) (i32.const 1020)))
      (br_if $words (i32.lt_u (local.get $at) (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 4)))))
    (global.set $calls (i32.add (global.get $calls) (local.get $seed)))
    (if (local.get $fails) (then (unreachable)))
    (i32.add (local.get $sum) (local.get $seed)))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;

/// Bytes of its memory in the beginning.
pub const INITIAL: u64 = 2 << 16;

/// Sessions that an engine has room for.
pub const SESSIONS: u32 = 4;

/// What sessions are started from.
pub struct Parts {
    pub strategy: &'static Strategy,
    wasm: Vec<u8>,
}

impl Parts {
    pub fn of(strategy: &str) -> Self {
        Self::new(registry::find(strategy).unwrap())
    }

    pub fn new(strategy: &'static Strategy) -> Self {
        Self { strategy, wasm: wat::parse_str(GUEST).unwrap() }
    }

    /// Plan, compiled module and an empty linker.
    pub fn compiled<T>(&self) -> (Plan<'static>, Module, Linker<T>) {
        let options = Options { sessions: SESSIONS, ..Options::default() };
        let plan = Plan::new(self.strategy, &self.wasm, options).unwrap().into_owned();
        let engine: Engine = plan.engine().unwrap();
        let module = Module::new(&engine, plan.wasm()).unwrap();
        (plan, module, Linker::new(&engine))
    }

    pub fn pool(&self, limits: Limits) -> Result<Pool<()>, Error> {
        self.pool_with(limits, Hooks::default(), || ())
    }

    pub fn pool_with<T: Send + 'static>(
        &self,
        limits: Limits,
        hooks: Hooks<T>,
        state: impl Fn() -> T + Send + Sync + 'static,
    ) -> Result<Pool<T>, Error> {
        let (plan, module, linker) = self.compiled();
        Pool::new(plan, &module, &linker, state, hooks, limits)
    }

    /// What a fresh instance answers to each seed below `seeds`.
    pub fn answers(&self, seeds: i32) -> Vec<i32> {
        let (plan, module, linker) = self.compiled::<()>();
        let answer = |seed| {
            let mut fresh = plan.start(&module, &linker, || ()).unwrap();
            view(&mut fresh, seed, false).unwrap()
        };
        (0..seeds).map(answer).collect()
    }
}

/// Calls the guest.
pub fn view<T: 'static>(session: &mut Session<T>, seed: i32, fails: bool) -> wasmtime::Result<i32> {
    session.call("view", (seed, i32::from(fails)))
}

/// Waits until a pool is as it should be. It ends as soon as that is so, and never otherwise.
pub fn until<T: Send + 'static>(pool: &Pool<T>, is_so: impl Fn(Metrics) -> bool) {
    while !is_so(pool.metrics()) {
        thread::yield_now();
    }
}

/// Runs a future in this thread.
#[allow(dead_code, reason = "of use with futures only")]
pub fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}
