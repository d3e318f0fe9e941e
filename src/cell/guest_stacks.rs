//! Stacks of the guest, taken without the kernel's help: a thread advances the engine's epoch again and again, and where the
//! guest looks at it next, wasmtime walks the guest's stack.
//!
//! The guest looks at it when a function begins and at the head of each loop. What passes in functions of the host, in
//! wasmtime and in the kernel falls to the next such place: these are stacks of the guest, not shares of a block's time.
//!
//! Source: `Store::epoch_deadline_callback` and `WasmBacktrace::force_capture` of wasmtime, which its own guest profiler is
//! made of; that one writes the form of Firefox alone, and here stacks are to be folded as others are.

use std::cell::RefCell;
use std::collections::BTreeMap;

use wasmtime::{FrameInfo, StoreContextMut, UpdateDeadline, WasmBacktrace};

use crate::protocol::GuestStacks;
use crate::workload::host::BlockState;

thread_local! {
    /// What this thread's guest was seen at; `None` while nobody asks. It outlives the host's state, which each reset makes anew.
    static SEEN: RefCell<Option<BTreeMap<String, u64>>> = const { RefCell::new(None) };
}

/// Takes the guest's stack, and has it looked at again at the next tick. While nobody asks, the block's time is over, as it
/// is without this.
///
/// # Errors
/// None.
pub(super) fn see(store: StoreContextMut<'_, BlockState>) -> wasmtime::Result<UpdateDeadline> {
    Ok(SEEN.with_borrow_mut(|seen| {
        let Some(seen) = seen else { return UpdateDeadline::Interrupt };
        let trace = WasmBacktrace::force_capture(&store);
        let stack: Vec<String> = trace.frames().iter().rev().map(name).collect();
        *seen.entry(stack.join(";")).or_default() += 1;
        UpdateDeadline::Continue(1)
    }))
}

/// Has this thread's guest be seen from now on.
pub(super) fn begin() {
    SEEN.set(Some(BTreeMap::new()));
}

/// No longer; where it was seen.
pub(super) fn end() -> GuestStacks {
    GuestStacks(SEEN.take().unwrap_or_default().into_iter().collect())
}

/// The function of a frame, as a [code map](super::code_map) calls it; without what divides stacks.
fn name(frame: &FrameInfo) -> String {
    let name = frame.func_name().map_or_else(|| format!("wasm function {}", frame.func_index()), Into::into);
    name.chars().map(|c| if c == ';' || c.is_control() { ':' } else { c }).collect()
}
