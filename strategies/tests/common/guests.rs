//! What tests need for guests with a heap, typed references or exceptions under an older wasmtime, which takes these by
//! itself since 47.

#![allow(dead_code, reason = "each test file uses a part of this")]

use reset_strategies::Options;
use wasmtime::{Config, Engine, Module, StoreContextMut};

pub fn allow_heap(config: &mut Config) {
    config.wasm_function_references(true).wasm_gc(true);
}

pub fn allow_exceptions(config: &mut Config) {
    allow_heap(config);
    config.wasm_exceptions(true);
}

/// Since 42 calls can be futures without it.
#[cfg(feature = "async")]
#[allow(deprecated)]
pub fn allow_futures(config: &mut Config) {
    config.async_support(true);
}

/// Whether there are any exceptions; says so if not. 36 has none.
pub fn has_exceptions() -> bool {
    let mut config = Config::new();
    allow_exceptions(&mut config);
    let wasm = wat::parse_str("(module (tag $t) (func (throw $t)))").unwrap();
    let compiled = Engine::new(&config).and_then(|engine| Module::new(&engine, &wasm));
    compiled.inspect_err(|error| eprintln!("NOT TESTED HERE: {error:?}")).is_ok()
}

pub fn options() -> Options {
    Options { configure: &allow_heap, ..Options::default() }
}

/// What the newest `Config` has, whose own goes before this.
pub trait OlderConfig {
    fn gc_heap_initial_size(&mut self, _bytes: u64) -> &mut Self {
        self
    }
}

impl OlderConfig for Config {}

/// The same for a store.
pub trait OlderStore {
    fn has_pending_exception(&self) -> bool {
        false
    }
}

impl<T: 'static> OlderStore for StoreContextMut<'_, T> {}
