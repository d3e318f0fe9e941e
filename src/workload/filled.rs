//! A store that indexing has filled, from which requests are answered.

use std::fmt;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use sha2::{Digest, Sha256};
use wasmtime::{Config, Engine, Linker, Module};

use super::host::{self, Base, BlockState, Entries, Outcome, Shared, Spoken, Store};
use crate::hosts::Calls;

/// The indexer and the blocks that fill a store. Clones are filled once.
#[derive(Clone)]
pub struct Filled {
    module: Arc<[u8]>,
    abi: Spoken,
    blocks: Vec<Arc<[u8]>>,
    base: Arc<OnceLock<Arc<Base>>>,
}

/// A failed assertion should not print megabytes.
impl fmt::Debug for Filled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = self.base.get().is_some();
        f.debug_struct("Filled").field("blocks", &self.blocks.len()).field("done", &done).finish()
    }
}

impl Filled {
    /// What a module stores for these inputs, by the ABI that it speaks. Nothing is run yet.
    pub fn by(module: Arc<[u8]>, abi: Spoken, blocks: Vec<Arc<[u8]>>) -> Self {
        Self { module, abi, blocks, base: Arc::default() }
    }

    /// Whether another one comes to the same.
    pub fn is_like(&self, other: &Self) -> bool {
        (&self.module, &self.abi, &self.blocks) == (&other.module, &other.abi, &other.blocks)
    }

    /// What the indexer is given, one after the other.
    pub fn blocks(&self) -> impl Iterator<Item = &[u8]> {
        self.blocks.iter().map(|block| &**block)
    }

    /// SHA-256 of the blocks one after the other, in hex.
    pub fn blocks_sha256(&self) -> String {
        let mut hash = Sha256::new();
        self.blocks.iter().for_each(|block| hash.update(block));
        host::hex(&hash.finalize())
    }

    /// What is stored when the last block has run: by plain wasmtime and none of our strategies, with an instance for each
    /// block, as long as it takes.
    ///
    /// # Errors
    /// When the module cannot be run, or a block does not complete.
    pub fn base(&self) -> Result<Arc<Base>> {
        self.fill(|_, _| {})
    }

    /// The same; says before each block which it is and how many there are.
    ///
    /// # Errors
    /// As [`base`](Self::base).
    pub fn fill(&self, say: impl FnMut(usize, usize)) -> Result<Arc<Base>> {
        if let Some(base) = self.base.get() {
            return Ok(base.clone());
        }
        let base = Arc::new(Base::new(self.run(say, LONGEST).context("the store cannot be filled")?));
        Ok(self.base.get_or_init(|| base).clone())
    }

    fn run(&self, mut say: impl FnMut(usize, usize), longest: Duration) -> Result<Entries> {
        let mut config = Config::new();
        // A memfd is not to be had everywhere.
        config.memory_init_cow(false);
        // Nor are gigabytes of address space, where `ulimit -v` is set.
        config.memory_reservation(0).memory_guard_size(0);
        config.epoch_interruption(true);
        let engine = Engine::new(&config)?;
        let _clock = Clock::start(&engine, longest);
        let module = Module::new(&engine, &self.module)?;
        let mut linker = Linker::new(&engine);
        self.abi.link(&mut linker, &module, Calls::Blocking)?;
        let instances = linker.instantiate_pre(&module)?;
        let entry = self.abi.entry().context("the module has no function that runs a block all by itself")?;
        let shared = Shared::new(Store::default());
        for (at, block) in self.blocks.iter().enumerate() {
            say(at, self.blocks.len());
            let mut state = BlockState::new(shared.clone());
            state.begin(block.clone());
            let mut store = wasmtime::Store::new(&engine, state);
            store.set_epoch_deadline(TICKS);
            let instance =
                instances.instantiate(&mut store).map_err(|error| match host::timed_out(&error) {
                    true => anyhow!("the start function takes more than {longest:?}"),
                    false => error.into(),
                })?;
            let run = instance.get_typed_func::<(), ()>(&mut store, entry)?;
            let result = run.call(&mut store, ());
            let outcome = store.data_mut().outcome(result);
            ensure!(outcome != Outcome::TimedOut, "block {at} takes more than {longest:?}");
            ensure!(outcome == Outcome::Completed, "block {at} {outcome}");
        }
        let store = shared.lock();
        Ok(store.iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

/// How long a block may take that fills a store, and its instance with it.
const LONGEST: Duration = Duration::from_secs(60);

/// Ticks of the clock until then.
const TICKS: u64 = 60;

/// Ticks until it is dropped, so that nothing that fills a store goes on for ever.
struct Clock {
    /// Held open: the thread ends when it is gone.
    _going: Sender<()>,
}

impl Clock {
    fn start(engine: &Engine, longest: Duration) -> Self {
        let (going, gone) = channel();
        let engine = engine.clone();
        let tick = longest / TICKS as u32;
        thread::spawn(move || {
            while gone.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
                engine.increment_epoch();
            }
        });
        Self { _going: going }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stores the first bytes of a block of four, and fails on any other.
    const INDEXER: &str = r#"(module
        (import "env" "__host_len" (func $length (result i32)))
        (import "env" "__load_input" (func $load (param i32)))
        (import "env" "__flush" (func $flush (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 12) "\08\00\00\00\0a\01k\0a\03")
        (func (export "_start")
            (if (i32.ne (call $length) (i32.const 4)) (then unreachable))
            (call $load (i32.const 21))
            (call $flush (i32.const 16))))"#;

    fn filled(blocks: &[&[u8]]) -> Filled {
        let module = wat::parse_str(INDEXER).unwrap();
        Filled::by(module.into(), Spoken::default(), blocks.iter().map(|block| Arc::from(*block)).collect())
    }

    #[test]
    fn blocks_fill_a_store_one_after_the_other_and_once() {
        let filled = filled(&[b"one ", b"two "]);
        let mut said = Vec::new();
        let base = filled.clone().fill(|at, of| said.push((at, of))).unwrap();
        assert_eq!(said, [(0, 2), (1, 2)]);
        assert_eq!(Store::over(base.clone()).get(b"k"), Some(&b"two"[..]));
        assert!(Arc::ptr_eq(&base, &filled.base().unwrap()), "a clone has filled it");
    }

    #[test]
    fn a_block_that_fails_leaves_no_store() {
        let error = format!("{:#}", filled(&[b"one ", b"longer"]).base().unwrap_err());
        assert!(error.starts_with("the store cannot be filled: block 1 trapped"), "{error}");
    }

    #[test]
    fn nothing_that_fills_a_store_goes_on_for_ever() {
        let endless = "(loop $on (br $on))";
        for (wat, why) in [
            (
                format!("(module (memory (export \"memory\") 1) (func (export \"_start\") {endless}))"),
                "block 0",
            ),
            (
                format!(
                    "(module (memory (export \"memory\") 1) (func (export \"_start\")) (func $s {endless}) (start $s))"
                ),
                "the start function",
            ),
        ] {
            let module = wat::parse_str(wat).unwrap();
            let filled = Filled::by(module.into(), Spoken::default(), vec![Arc::from(*b"one ")]);
            let error = filled.run(|_, _| {}, Duration::from_millis(120)).unwrap_err();
            assert_eq!(format!("{error:#}"), format!("{why} takes more than 120ms"));
        }
    }

    #[test]
    fn what_fills_a_store_tells_it_from_others() {
        let one = filled(&[b"one "]);
        assert!(one.is_like(&filled(&[b"one "])) && !one.is_like(&filled(&[b"two "])));
    }
}
