//! In-place strategies: one instance is kept, and its memory, size, globals and tables are brought back.

pub(crate) mod backing;
mod callers;
pub(crate) mod image;
mod memories;
pub(crate) mod parts;
pub(crate) mod region;
mod self_test;
mod session;
mod support;
mod tail;
mod turns;

pub use backing::Backing;
pub(crate) use image::is_blank;
pub use image::{Image, Piece};
pub use region::{Bounds, Pages, Region};
pub use self_test::{BOUNDS_CHECKS, SHRINK};
pub use turns::SECOND_CORE;

pub(crate) use region::{Creator, RESERVATION};
pub(crate) use session::{InPlaceSession, Template};
pub(crate) use support::{constructs, judge};
pub(crate) use turns::Turns;

use std::io;

use wasmtime::{Config, InstanceAllocationStrategy};

use crate::module::Facts;
use parts::{Restorer, Tracker};

/// How a host runs blocks under an in-place strategy, shown for `copy/full`.
pub(crate) const RECIPE: &str = include_str!("recipe.rs");

/// The same for a host whose blocks are futures.
#[cfg(feature = "async")]
pub(crate) const RECIPE_ASYNC: &str = include_str!("recipe_async.rs");

/// The interchangeable parts of an in-place strategy.
#[derive(Clone, Copy, Debug)]
pub struct InPlace {
    /// Finds the dirty pages; made once per memory.
    pub tracker: fn() -> Box<dyn Tracker>,
    /// Makes them clean; made once per memory.
    pub restorer: fn() -> Box<dyn Restorer>,
    /// What the initial pages are made of.
    pub backing: Backing,
    /// What is brought back. Less than everything makes a control.
    pub scope: Scope,
    /// What keeps the guest from what lies beyond a memory's size.
    pub bounds: Bounds,
    /// Whether two instances take turns: while a block runs in one, a thread resets the other.
    pub turns: bool,
}

impl InPlace {
    /// The same, with another tracker.
    pub const fn tracking<T: Tracker + Default + 'static>(self) -> Self {
        Self { tracker: || Box::new(T::default()), ..self }
    }

    /// The same, with another restorer.
    pub const fn restoring<R: Restorer + Default + 'static>(self) -> Self {
        Self { restorer: || Box::new(R::default()), ..self }
    }
}

/// The parts of the reset contract that a strategy keeps.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// Every byte of these memories.
    pub bytes: Which,
    /// The size of every memory: makes it that many bytes again.
    pub size: fn(&mut Pages<'_>, usize) -> io::Result<()>,
    /// The value of these mutable globals, the flags of dropped segments among them.
    pub globals: Which,
    /// Every element of every table.
    pub tables: bool,
    /// What the block has put on the garbage-collected heap.
    pub heap: bool,
    /// The host's state for the block.
    pub host: bool,
    /// The same after a trap, a timeout or an error of the host.
    pub host_after_failure: bool,
    /// The epoch deadline and the fuel that each block is given.
    pub allowances: bool,
    /// All of it after a trap, a timeout or an error of the host, too.
    pub failed: bool,
    /// All of it after a block whose future was dropped.
    pub dropped: bool,
    /// Only in the process that the session was started in: a reset in a forked child is an error.
    pub process: bool,
    /// What any thread has written, unless the host says that those which call are the only ones.
    pub any_thread: bool,
}

/// Chooses items of a module by their index.
pub type Which = fn(&Facts, usize) -> bool;

impl Scope {
    /// The whole contract.
    pub const ALL: Self = Self {
        bytes: |_, _| true,
        size: |pages, bytes| pages.shrink_to(bytes),
        globals: |_, _| true,
        tables: true,
        heap: true,
        host: true,
        host_after_failure: true,
        allowances: true,
        failed: true,
        dropped: true,
        process: true,
        any_thread: true,
    };
    /// Nothing: what the last block left stays.
    pub const NOTHING: Self = Self {
        bytes: |_, _| false,
        size: |_, _| Ok(()),
        globals: |_, _| false,
        tables: false,
        heap: false,
        host: false,
        host_after_failure: false,
        allowances: false,
        failed: false,
        dropped: false,
        process: false,
        any_thread: false,
    };
}

impl InPlace {
    /// Sets an engine up to run on our regions.
    pub(crate) fn configure(self, config: &mut Config) {
        // Any other allocator would make the memories itself.
        config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
        // A region never moves: what it cannot grow into now it never will.
        match self.bounds {
            Bounds::Guard => config.memory_reservation(RESERVATION),
            // Not told that memories stay where they are, wasmtime reads a memory's address more often than it need. But
            // told so, version 48 takes the garbage-collected heap for corrupt under these settings (`tests/spec_suite`).
            Bounds::Check => config.memory_reservation(0).memory_guard_size(0),
        };
        // wasmtime lays its own image over memories that it mapped itself, and 48 panics on any other.
        config.memory_init_cow(false);
    }
}
