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
//! With the feature `async` all of it can be done in futures: [`Plan`] has `start_async`, and [`Session`] `execute_async`,
//! `call_async` and `reset_async`.
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
pub use error::Error;
pub use hooks::{Define, Hooks};
pub use judgement::{Answer, Judgement, Support};
pub use options::{Configure, Options};
pub use plan::Plan;
pub use session::Session;
pub use strategy::{Availability, Lifecycle, Strategy, Swap};
pub use sys::{Broken, Kernel, Mechanism};
