//! Wrong about everything but pages: globals, tables, segments, size, host, store and process.

use std::io;
use std::sync::OnceLock;

use crate::fresh::{Drops, Fresh};
use crate::in_place::{InPlace, Scope};
use crate::module::Item;
use crate::strategy::Strategy;
use crate::sys::page::{self, Access};
use crate::sys::pagemap::Pagemap;

/// Substrate's instance reuse restored the mutable globals that were exported (paritytech/substrate#8394).
pub(super) static HIDDEN_GLOBALS: Strategy = Strategy::in_place(
    "mutant/hidden-globals",
    "restores exported globals only",
    &[],
    InPlace {
        scope: Scope {
            globals: |facts, index| {
                facts.exports.iter().any(|e| e.item == Item::Global && e.index as usize == index)
            },
            ..Scope::ALL
        },
        ..InPlace::BASE
    },
);

/// A guest that returns leaves its stack pointer as it was; one that traps does not (paritytech/substrate#2967).
pub(super) static STACK_POINTER: Strategy = Strategy::in_place(
    "mutant/stack-pointer",
    "restores all globals but the first, which compilers use as the stack pointer",
    &[],
    InPlace { scope: Scope { globals: |_, index| index != 0, ..Scope::ALL }, ..InPlace::BASE },
);

/// "We are not restoring global variables and tables" (paritytech/substrate#2967).
pub(super) static TABLES: Strategy = Strategy::in_place(
    "mutant/tables",
    "does not restore tables",
    &[],
    InPlace { scope: Scope { tables: false, ..Scope::ALL }, ..InPlace::BASE },
);

/// One of the "internal flags" that a reset from outside cannot reach (bytecodealliance/wasmtime#14313).
pub(super) static DROPPED_SEGMENTS: Strategy = Strategy::in_place(
    "mutant/dropped-segments",
    "leaves segments dropped",
    &[],
    InPlace {
        scope: Scope {
            globals: |facts, index| facts.tracked_drops().all(|drop| drop.flag as usize != index),
            ..Scope::ALL
        },
        ..InPlace::BASE
    },
);

/// The guest's allocator is rewound, the memory's size is not: each block grows it further until the host dies
/// (sourcenetwork/lens#155).
pub(super) static NO_SHRINK: Strategy = Strategy::in_place(
    "mutant/no-shrink",
    "does not shrink the memory",
    &[],
    InPlace { scope: Scope { size: |_, _| Ok(()), ..Scope::ALL }, ..InPlace::BASE },
);

/// A guest whose bounds checks are left to the hardware reads whatever is mapped beyond its memory. wasmtime keeps a
/// shrunk slot accessible only for guests that check by themselves (bytecodealliance/wasmtime#5208).
pub(super) static READABLE_TAIL: Strategy = Strategy::in_place(
    "mutant/readable-tail",
    "shrinks the memory and leaves what is beyond it accessible",
    &[],
    InPlace {
        scope: Scope {
            size: |pages, bytes| {
                let grown = bytes..pages.size();
                pages.shrink_to(bytes)?;
                // SAFETY: access is given, not taken.
                unsafe { page::protect(pages.map(), grown, Access::ReadWrite) }
            },
            ..Scope::ALL
        },
        ..InPlace::BASE
    },
);

/// CosmWasm's instance cache handed an instance on with what its last user had put into it (CosmWasm/cosmwasm#389).
pub(super) static HOST_STATE: Strategy = Strategy::in_place(
    "mutant/host-state",
    "keeps the host's state of the block before",
    &[],
    InPlace { scope: Scope { host: false, ..Scope::ALL }, ..InPlace::BASE },
);

/// What belongs to a block is dropped where the block returns, and the way out by an error has no such line. No public
/// report known; this crate's first verifier would not have seen it, since it asked after blocks that returned.
pub(super) static AFTER_FAILURE: Strategy = Strategy::in_place(
    "mutant/after-failure",
    "keeps the host's state of a block that failed",
    &[],
    InPlace { scope: Scope { host_after_failure: false, ..Scope::ALL }, ..InPlace::BASE },
);

/// A deadline is a number of ticks from the moment at which it is set: set once, it is one for all blocks together. Every
/// strategy of this crate that keeps its store had it so.
pub(super) static ALLOWANCES: Strategy = Strategy::in_place(
    "mutant/allowances",
    "sets neither deadline nor fuel anew, so that blocks share what the first was given",
    &[],
    InPlace { scope: Scope { allowances: false, ..Scope::ALL }, ..InPlace::BASE },
);

/// Whoever resets where a call returns does not where its future was dropped, as a timeout of an asynchronous host does. No public
/// report known.
pub(super) static AFTER_DROP: Strategy = Strategy::in_place(
    "mutant/after-drop",
    "skips the reset after a block whose future was dropped",
    &[],
    InPlace { scope: Scope { dropped: false, ..Scope::ALL }, ..InPlace::BASE },
);

/// An instance that trapped was used on as it was (B3Pay/ic-reactor#463).
pub(super) static AFTER_TRAP: Strategy = Strategy::in_place(
    "mutant/after-trap",
    "skips the reset after a block that failed",
    &[],
    InPlace { scope: Scope { failed: false, ..Scope::ALL }, ..InPlace::BASE },
);

/// Substrate made all instances in one store, "and after 10k calls into the runtime the executor will get
/// permabricked" (paritytech/substrate#10313).
pub(super) static ONE_STORE: Strategy = Strategy::fresh(
    "mutant/one-store",
    "makes every instance in the same store, which frees none",
    &[],
    Fresh { drops: Drops::Nothing, ..Fresh::BASE },
);

/// What `mutant/parents-pagemap` reads.
pub(super) static FIRST_PAGEMAP: OnceLock<Pagemap> = OnceLock::new();

/// Opens the pagemap of this process for `mutant/parents-pagemap`; the mutant is wrong in processes forked later.
///
/// # Errors
/// When there is no `/proc/self/pagemap`.
pub fn open_pagemap_before_fork() -> io::Result<()> {
    let pagemap = Pagemap::open()?;
    FIRST_PAGEMAP.get_or_init(|| pagemap);
    Ok(())
}
