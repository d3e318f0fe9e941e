//! Ways to bring a wasmtime instance back to what it was right after instantiation.
//!
//! A host that runs one module per block and must forget everything in between either makes a fresh instance each
//! time or resets the one that it has. This crate holds both kinds as interchangeable [`Strategy`]s under one
//! [reset contract](contract), so that what was measured is what ships:
//!
//! ```
//! use reset_strategies::{Options, Plan, registry};
//! use wasmtime::{Linker, Module};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let wasm = br#"(module (memory (export "memory") 1) (func (export "_start")))"#;
//! # let wasm = &wat::parse_bytes(wasm)?;
//! let strategy = registry::find("copy/full").expect("a registered name");
//! let plan = Plan::new(strategy, wasm, Options::default())?;
//! let engine = plan.engine()?;
//! let module = Module::new(&engine, plan.wasm())?;
//! let mut session = plan.start(&module, &Linker::new(&engine), || ())?;
//! for _block in 0..3 {
//!     session.execute()?;
//!     session.reset()?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Many calls at once
//!
//! Blocks come one at a time, views in hundreds. A [`Pool`] has as many sessions as its [`Limits`] allow, lends each to one
//! caller at a time, and resets it in between; those who find none wait in turn, threads and futures in the same queue:
//!
//! ```
//! use std::time::Duration;
//!
//! use reset_strategies::{Hooks, Limits, Options, Plan, Pool, registry};
//! use wasmtime::{Linker, Module};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let wasm = r#"(module
//! #     (memory (export "memory") 1)
//! #     (func (export "view") (param i32) (result i32)
//! #         (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (local.get 0)))
//! #         (i32.load (i32.const 8))))"#;
//! # let wasm = &wat::parse_str(wasm)?;
//! let strategy = registry::find("copy/full").expect("a registered name");
//! let plan = Plan::new(strategy, wasm, Options { entry: None, sessions: 4, ..Options::default() })?;
//! let engine = plan.engine()?;
//! let (module, linker) = (Module::new(&engine, plan.wasm())?, Linker::new(&engine));
//! let limits = Limits::most(4).most_bytes(1 << 30).within(Duration::from_secs(5));
//! let pool = Pool::new(plan, &module, &linker, || (), Hooks::default(), limits)?;
//! std::thread::scope(|scope| {
//!     for caller in 0..100 {
//!         let pool = &pool;
//!         scope.spawn(move || {
//!             let mut session = pool.checkout().expect("a place within five seconds");
//!             let answer: i32 = session.call("view", caller).expect("the guest does not trap");
//!             assert_eq!(answer, caller, "nothing of another call is left");
//!         });
//!     }
//! });
//! assert!(pool.metrics().started <= 4);
//! # Ok(())
//! # }
//! ```
//!
//! What is counted, what is bounded, and where sessions are reset is said in [`pool`].
//!
//! # Futures
//!
//! With the feature `async` all of it can be done in futures: [`Plan`] has `start_async`, and [`Session`] `execute_async`,
//! `call_async` and `reset_async`, [`Pool`] `checkout_async`.
//!
//! Linux only, x86-64 and aarch64.

pub mod commit;
pub mod condition;
pub mod contract;
pub mod control;
pub mod fresh;
pub mod in_place;
pub mod module;
#[cfg(feature = "mutants")]
pub mod mutants;
pub mod pool;
pub mod registry;
pub mod restore;
pub mod sys;
pub mod track;

mod block;
mod calls;
mod error;
mod hooks;
mod judgement;
mod learned;
mod older;
mod options;
mod plan;
mod session;
mod strategy;

pub use block::Reset;
pub use condition::Condition;
pub use error::{Error, Scarce};
pub use hooks::{Define, Hooks};
pub use judgement::{Answer, Judgement, Support};
pub use options::{Configure, Options};
pub use plan::Plan;
pub use pool::{Lease, Limits, Metrics, Pool, Resets};
pub use session::Session;
pub use strategy::{Availability, Lifecycle, Strategy, Swap};
pub use sys::{Broken, Kernel, Mechanism};
