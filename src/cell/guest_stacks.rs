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
use std::time::Duration;

use wasmtime::{FrameInfo, StoreContextMut, UpdateDeadline, WasmBacktrace};

use crate::machine::clock::thread_cpu_ns;
use crate::protocol::GuestStacks;
use crate::workload::host::BlockState;

/// What a thread's guest was seen at.
#[derive(Default)]
struct Seen {
    stacks: BTreeMap<String, u64>,
    /// When the block's CPU time is over. Ticks are for looking now, so that the epoch does not end it.
    until_ns: u64,
}

thread_local! {
    /// `None` while nobody asks. It outlives the host's state, which each reset makes anew.
    static SEEN: RefCell<Option<Seen>> = const { RefCell::new(None) };
}

/// Takes the guest's stack, and has it looked at again at the next tick, until the block's time is over. While nobody asks it is
/// over at once, as it is without this.
///
/// # Errors
/// None.
pub(super) fn see(store: StoreContextMut<'_, BlockState>) -> wasmtime::Result<UpdateDeadline> {
    Ok(SEEN.with_borrow_mut(|seen| {
        let Some(seen) = seen else { return UpdateDeadline::Interrupt };
        if thread_cpu_ns() > seen.until_ns {
            return UpdateDeadline::Interrupt;
        }
        let trace = WasmBacktrace::force_capture(&store);
        let stack: Vec<String> = trace.frames().iter().rev().map(name).collect();
        *seen.stacks.entry(stack.join(";")).or_default() += 1;
        UpdateDeadline::Continue(1)
    }))
}

/// Has this thread's guest be seen from now on.
pub(super) fn begin() {
    SEEN.set(Some(Seen::default()));
}

/// Gives the block that begins now so much CPU time.
pub(super) fn allow(time: Duration) {
    let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    SEEN.with_borrow_mut(|seen| {
        if let Some(seen) = seen {
            seen.until_ns = thread_cpu_ns().saturating_add(time);
        }
    });
}

/// No longer; where it was seen.
pub(super) fn end() -> GuestStacks {
    GuestStacks(SEEN.take().map(|seen| seen.stacks.into_iter().collect()).unwrap_or_default())
}

/// The function of a frame, as a [code map](super::code_map) calls it; without what divides stacks.
fn name(frame: &FrameInfo) -> String {
    let name = frame.func_name().map_or_else(|| format!("wasm function {}", frame.func_index()), Into::into);
    name.chars().map(|c| if c == ';' || c.is_control() { ':' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use wasmtime::{Config, Engine, Instance, Module, Store};

    use super::*;
    use crate::workload::host::{self, Shared};

    #[test]
    fn a_block_that_never_ends_is_seen_until_its_time_is_over() {
        let engine = Engine::new(Config::new().epoch_interruption(true)).unwrap();
        let wasm = wat::parse_str(r#"(module (func $spins (export "_start") (loop (br 0))))"#).unwrap();
        let module = Module::new(&engine, wasm).unwrap();
        let mut store = Store::new(&engine, BlockState::new(Shared::default()));
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(see);
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let start = instance.get_typed_func::<(), ()>(&mut store, "_start").unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let ticks = thread::spawn({
            let over = over.clone();
            move || {
                while !over.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(1));
                    engine.increment_epoch();
                }
            }
        });
        begin();
        allow(Duration::from_millis(200));
        let error = start.call(&mut store, ()).unwrap_err();
        over.store(true, Ordering::Relaxed);
        ticks.join().unwrap();
        assert!(host::timed_out(&error), "{error:#}");
        let GuestStacks(seen) = end();
        assert!(seen.len() == 1 && seen[0].0 == "spins", "{seen:?}");
    }
}
