//! One module under many strategies, compiled once for all whose engines are set up alike.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use wasmtime::{Engine, Module, Result};

/// A module as it was compiled, by the settings that go into compiled code.
#[derive(Default)]
pub struct Compiled(HashMap<u64, Vec<u8>>);

impl Compiled {
    /// The module for an engine: loaded if an engine that is set up alike has compiled it, or else compiled.
    pub fn module(&mut self, engine: &Engine, wasm: &[u8]) -> Result<Module> {
        let mut settings = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut settings);
        let settings = settings.finish();
        if let Some(compiled) = self.0.get(&settings) {
            // SAFETY: these bytes were serialised by this process a moment ago.
            return unsafe { Module::deserialize(engine, compiled) };
        }
        let module = Module::new(engine, wasm)?;
        self.0.insert(settings, module.serialize()?);
        Ok(module)
    }
}
