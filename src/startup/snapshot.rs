//! Pre-initialisation: a module's initialisation is run once, ahead of time, and its memory and globals become the
//! initial ones of a new module (Wizer).
//!
//! It works where initialisation calls no import and where it is a function of its own. The bundled indexers initialise
//! lazily in their first block, which reads its input: there is nothing in them to run ahead.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use anyhow::{Result, anyhow};
use wasmparser::ValType;
use wasmtime::{Config, Engine, Instance, Linker, Module, Store, Val};
use wasmtime_wizer::{InstanceState, SnapshotVal, Wizer};

/// The export that initialises, by Wizer's own convention.
pub const INITIALISE: &str = "wizer-initialize";

/// The module after its initialisation.
///
/// # Errors
/// When it has no initialisation, or that traps or calls an import.
pub fn pre_initialised(wasm: &[u8]) -> Result<Vec<u8>> {
    let wizer = {
        let mut wizer = Wizer::new();
        wizer.init_func(INITIALISE);
        wizer
    };
    let plain = |error: wasmtime::Error| anyhow!("{error:#}");
    let (context, instrumented) = wizer.instrument(wasm).map_err(plain)?;
    let engine = Engine::new(&Config::new()).map_err(plain)?;
    let module = Module::new(&engine, instrumented).map_err(plain)?;
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    linker.define_unknown_imports_as_traps(&module).map_err(plain)?;
    let instance = linker.instantiate(&mut store, &module).map_err(plain)?;
    let initialise = instance.get_typed_func::<(), ()>(&mut store, INITIALISE).map_err(plain)?;
    initialise.call(&mut store, ()).map_err(plain)?;
    let mut state = Stopped { store, instance };
    let mut snapshot = pin!(wizer.snapshot(&context, &mut state));
    // Wizer's interface is asynchronous for the sake of others; ours answers at once.
    match snapshot.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(module) => module.map_err(plain),
        Poll::Pending => unreachable!("nothing of ours waits"),
    }
}

/// An instance that has been initialised and runs no more.
struct Stopped {
    store: Store<()>,
    instance: Instance,
}

impl InstanceState for Stopped {
    async fn global_get(&mut self, name: &str, _: ValType) -> SnapshotVal {
        let global = self.instance.get_global(&mut self.store, name).expect("Wizer has exported it");
        match global.get(&mut self.store) {
            Val::I32(value) => SnapshotVal::I32(value),
            Val::I64(value) => SnapshotVal::I64(value),
            Val::F32(bits) => SnapshotVal::F32(bits),
            Val::F64(bits) => SnapshotVal::F64(bits),
            Val::V128(value) => SnapshotVal::V128(value.as_u128()),
            _ => unreachable!("Wizer asks for numbers only"),
        }
    }

    async fn memory_contents(&mut self, name: &str, contents: impl FnOnce(&[u8]) + Send) {
        let memory = self.instance.get_memory(&mut self.store, name).expect("Wizer has exported it");
        contents(memory.data(&self.store));
    }
}

#[cfg(test)]
mod tests {
    use super::super::generate;
    use super::*;

    /// What a block leaves in memory.
    fn run(wasm: &[u8]) -> Vec<u8> {
        let engine = Engine::default();
        let module = Module::new(&engine, wasm).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        instance.get_typed_func::<(), ()>(&mut store, "_start").unwrap().call(&mut store, ()).unwrap();
        instance.get_memory(&mut store, "memory").unwrap().data(&store).to_vec()
    }

    #[test]
    fn a_block_after_a_snapshot_does_what_a_block_after_initialisation_does() {
        let wasm = generate::module(3, 20_000);
        let snapshot = pre_initialised(&wasm).unwrap();
        assert!(snapshot.len() > wasm.len(), "the table is in it");
        assert!(run(&wasm) == run(&snapshot));
    }

    #[test]
    fn what_cannot_be_initialised_ahead_is_an_error() {
        let none =
            wat::parse_str("(module (memory (export \"memory\") 1) (func (export \"_start\")))").unwrap();
        assert!(pre_initialised(&none).is_err());
        let asks = "(module (import \"env\" \"__host_len\" (func $f (result i32))) (memory (export \"memory\") 1) \
                    (func (export \"wizer-initialize\") (drop (call $f))))";
        assert!(pre_initialised(&wat::parse_str(asks).unwrap()).is_err());
    }
}
