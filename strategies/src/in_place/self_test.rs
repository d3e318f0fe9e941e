//! Does a memory really shrink on the engine at hand?
//!
//! wasmtime documents no way to shrink a memory. Ours is to lower what `LinearMemory::byte_size` answers, take access
//! to the tail away or have compiled code keep from it, and let the instance read its length anew by growing by nothing.
//! That holds on wasmtime 48; these tests ask the engine that is linked in.

use wasmtime::{Engine, Instance, Linker, Module, StoreContextMut};

use super::{Bounds, InPlace};
use crate::error::Error;
use crate::options::Options;
use crate::plan::Plan;
use crate::strategy::Strategy;
use crate::sys::Mechanism;

/// `run` grows the memory by two pages and writes to the last; the other exports look at it from inside.
const GUEST: &str = r#"
(module
  (memory 1)
  (func (export "run")
    (drop (memory.grow (i32.const 2)))
    (i32.store (i32.const 196604) (i32.const 7)))
  (func (export "size") (result i32) memory.size)
  (func (export "grow") (result i32) (memory.grow (i32.const 2)))
  (func (export "beyond") (result i32) (i32.load (i32.const 65536)))
  (func (export "last") (result i32) (i32.load (i32.const 196604))))
"#;

static GUARDED: Strategy =
    Strategy::in_place("probe/shrink", "copies the whole memory back", &[], InPlace::BASE);

static CHECKED: Strategy = Strategy::in_place(
    "probe/bounds-checks",
    "copies the whole memory back and leaves it accessible",
    &[],
    InPlace { bounds: Bounds::Check, ..InPlace::BASE },
);

/// Shrinking a memory of the engine that is linked in.
pub static SHRINK: Mechanism = Mechanism::new(
    "memory shrink",
    "wasmtime reads a memory's size anew after a reset made it smaller",
    || {
        shrinks(&GUARDED)
            .map_err(|reason| format!("wasmtime does not follow a memory that shrinks: {reason}"))
    },
);

/// Compiled code that keeps a guest from what its memory once had.
pub static BOUNDS_CHECKS: Mechanism = Mechanism::new(
    "bounds checks",
    "compiled code compares each access with a memory's size, so that what is beyond it may stay accessible",
    || {
        shrinks(&CHECKED)
            .map_err(|reason| format!("compiled code does not keep to a memory's size: {reason}"))
    },
);

fn shrinks(strategy: &'static Strategy) -> Result<(), String> {
    let failed = |error: Error| error.in_full();
    let wasm = wat::parse_str(GUEST).map_err(|e| e.to_string())?;
    let options = Options { entry: Some("run"), ..Options::default() };
    let plan = Plan::unprobed(strategy, &wasm, options).map_err(failed)?;
    let engine: Engine = plan.engine().map_err(failed)?;
    let module = Module::new(&engine, plan.wasm()).map_err(|e| e.to_string())?;
    let mut session = plan.start(&module, &Linker::new(&engine), || ()).map_err(failed)?;
    session.execute().map_err(|e| format!("the guest cannot grow: {e}"))?;
    session.reset().map_err(failed)?;

    let instance = session.instance().map_err(failed)?;
    let store = &mut session.store_mut().map_err(failed)?;
    expect(store, instance, "size", Some(1))?;
    expect(store, instance, "beyond", None)?;
    expect(store, instance, "grow", Some(1))?;
    expect(store, instance, "last", Some(0))?;
    expect(store, instance, "size", Some(3))
}

/// Calls an export and compares its answer; `None` stands for a trap.
fn expect(
    store: &mut StoreContextMut<'_, ()>,
    instance: Instance,
    name: &str,
    wanted: Option<i32>,
) -> Result<(), String> {
    let call = instance.get_typed_func::<(), i32>(&mut *store, name).map_err(|e| e.to_string())?;
    let found = call.call(store, ()).ok();
    if found == wanted { Ok(()) } else { Err(format!("`{name}` gave {found:?} instead of {wanted:?}")) }
}
