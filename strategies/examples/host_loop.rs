//! The loop of an indexer's host: one instance runs every block, and is reset in between.
//!
//! The host speaks the metashrew ABI: a guest asks for its input, reads what earlier blocks stored, and flushes what
//! it wants stored. Keys, values and flushes are pointers to bytes whose length stands in the four bytes before.
//!
//! ```sh
//! cargo run --release -p reset-strategies --example host_loop -- indexer.wasm block.bin ...
//! ```
//!
//! Without arguments it runs a small guest of its own, once under each strategy that this machine has.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex};

use reset_strategies::{Availability, Options, Plan, Session, Strategy, registry};
use wasmtime::{Caller, Linker, Memory, Module};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What blocks store. It outlives the instance; all else that a block leaves behind is undone.
type Database = Arc<Mutex<HashMap<Vec<u8>, Vec<u8>>>>;

/// The host's state for one block; a reset makes it anew.
struct Block {
    input: Vec<u8>,
    database: Database,
}

/// An indexer that is ready for its next block. It may be sent to another thread.
struct Indexer {
    session: Session<Block>,
}

impl Indexer {
    fn new(strategy: &'static Strategy, wasm: &[u8], database: Database) -> Result<Self> {
        // Says no, with the reason, where machine or module rule the strategy out: there is no wrong reset.
        let plan = Plan::new(strategy, wasm, Options::default())?;
        let engine = plan.engine()?;
        let module = Module::new(&engine, plan.wasm())?;
        let mut linker = Linker::new(&engine);
        link(&mut linker)?;
        let session =
            plan.start(&module, &linker, move || Block { input: Vec::new(), database: database.clone() })?;
        Ok(Self { session })
    }

    /// Runs a block. Whether it succeeds or traps, the next one finds a fresh instance.
    fn index(&mut self, height: u32, block: &[u8]) -> Result<()> {
        self.session.store_mut()?.data_mut().input = [&height.to_le_bytes(), block].concat();
        let outcome = self.session.execute();
        self.session.reset()?;
        Ok(outcome?)
    }
}

fn link(linker: &mut Linker<Block>) -> wasmtime::Result<()> {
    linker.func_wrap("env", "__host_len", |caller: Caller<'_, Block>| caller.data().input.len() as i32)?;
    linker.func_wrap("env", "__load_input", |mut caller: Caller<'_, Block>, at: i32| {
        let memory = memory(&mut caller);
        let input = caller.data().input.clone();
        Ok(memory.write(&mut caller, at as usize, &input)?)
    })?;
    linker.func_wrap("env", "__get_len", |mut caller: Caller<'_, Block>, key: i32| {
        let (bytes, block) = memory(&mut caller).data_and_store_mut(&mut caller);
        let database = block.database.lock().expect("no block panics while it holds this");
        Ok(database.get(buffer(bytes, key)?).map_or(0, |value| value.len() as i32))
    })?;
    linker.func_wrap("env", "__get", |mut caller: Caller<'_, Block>, key: i32, value: i32| {
        let (bytes, block) = memory(&mut caller).data_and_store_mut(&mut caller);
        let database = block.database.lock().expect("no block panics while it holds this");
        let Some(found) = database.get(buffer(bytes, key)?) else { return Ok(()) };
        let room = bytes.get_mut(value as usize..).and_then(|bytes| bytes.get_mut(..found.len()));
        room.ok_or_else(|| wasmtime::format_err!("__get: out of bounds"))?.copy_from_slice(found);
        Ok(())
    })?;
    linker.func_wrap("env", "__flush", |mut caller: Caller<'_, Block>, at: i32| {
        let (bytes, block) = memory(&mut caller).data_and_store_mut(&mut caller);
        let message = buffer(bytes, at)?;
        // A metashrew host decodes the keys and values of the message here.
        let mut database = block.database.lock().expect("no block panics while it holds this");
        database.insert(b"last".to_vec(), message.to_vec());
        Ok(())
    })?;
    linker.func_wrap("env", "__log", |_: i32| ())?;
    Ok(())
}

fn memory(caller: &mut Caller<'_, Block>) -> Memory {
    caller
        .get_export("memory")
        .and_then(|export| export.into_memory())
        .expect("an indexer exports its memory")
}

/// The bytes that a pointer designates.
fn buffer(bytes: &[u8], at: i32) -> wasmtime::Result<&[u8]> {
    let at = at as usize;
    let length = bytes.get(at.wrapping_sub(4)..at).and_then(|length| length.try_into().ok());
    let length = length.map(u32::from_le_bytes).unwrap_or(u32::MAX) as usize;
    bytes
        .get(at..)
        .and_then(|rest| rest.get(..length))
        .ok_or_else(|| wasmtime::format_err!("a buffer out of bounds"))
}

/// Flushes its input, and traps if anything is left of the block before.
const GUEST: &str = r#"(module
    (import "env" "__host_len" (func $len (result i32)))
    (import "env" "__load_input" (func $load (param i32)))
    (import "env" "__flush" (func $flush (param i32)))
    (memory (export "memory") 1)
    (global $blocks (mut i32) (i32.const 0))
    (func (export "_start")
        (if (i32.or (global.get $blocks) (i32.load (i32.const 60))) (then (unreachable)))
        (global.set $blocks (i32.const 1))
        (i32.store (i32.const 60) (call $len))
        (call $load (i32.const 64))
        (call $flush (i32.const 64))))"#;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let Some(path) = arguments.next() else { return demonstrate() };
    let wasm = std::fs::read(&path)?;
    // What `resetbench recommend` names for your module.
    let strategy = registry::find("dirty/pagemap").expect("a registered name");
    let mut indexer = Indexer::new(strategy, &wasm, Database::default())?;
    for (height, path) in (0..).zip(arguments) {
        indexer.index(height, &std::fs::read(path)?)?;
    }
    Ok(())
}

fn demonstrate() -> Result<()> {
    let wasm = wat::parse_str(GUEST)?;
    for strategy in registry::all().iter().filter(|strategy| !strategy.is_control()) {
        if let Availability::Unavailable { reason } = strategy.availability() {
            println!("{strategy}: unavailable here: {reason}");
            continue;
        }
        let database = Database::default();
        let mut indexer = Indexer::new(strategy, &wasm, database.clone())?;
        // Blocks may run wherever there is room for them.
        std::thread::spawn(move || {
            (0..3).try_for_each(|height| indexer.index(height, b"block").map_err(|e| e.to_string()))
        })
        .join()
        .expect("the thread does not panic")?;
        let stored = database.lock().expect("nobody panicked")[b"last".as_slice()].clone();
        assert_eq!(stored, b"\x02\0\0\0block", "{strategy}");
        println!("{strategy}: three blocks, none saw another");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_block_sees_another_under_any_strategy() {
        super::demonstrate().unwrap();
    }
}
