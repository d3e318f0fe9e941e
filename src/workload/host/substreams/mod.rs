//! The ABI of Substreams' handlers, as its engine on wasmtime has it.
//!
//! The host asks the guest for room (`alloc`), writes the block there, and calls a handler with where it is and how long. What
//! comes out is one message (`env.output`), or changes of a store whose keys are text (`state.set` and others). A value that the
//! guest reads is put into room that the host asks it for in the middle of the call, and where that is is written to the place
//! that the guest has named. `env.register_panic` takes note of a failure and returns; the guest traps by itself then.
//!
//! There, a manifest says which store a handler reads and which it writes. Here is one store for both, whatever its index, and one
//! handler, whose one input is the block.

mod changes;
mod reads;

use reset_strategies::Session;
use serde::{Deserialize, Serialize};
use wasmparser::{FuncType, ValType};
use wasmtime::{Caller, Linker, Result, format_err};

use super::state::LOG_BYTES;
use super::{Abi, BlockState, Given, Interface, MEMORY, memory, signature};
use crate::hosts::Calls;
use crate::workload::blocks::{self, Block, Trace, firehose};

/// A guest that is handed its block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Substreams {
    /// The export that runs a block.
    handler: String,
}

/// The export that gives room for so many bytes.
const ALLOC: &str = "alloc";

/// The export that takes it back. Hosts that make an instance for each block have no use for it, and ask for it all the same.
const DEALLOC: &str = "dealloc";

/// How the names of handlers begin, by what comes out of them.
const KINDS: [&str; 2] = ["map_", "store_"];

impl Abi for Substreams {
    const NAME: &'static str = "substreams";

    const FUNCTIONS: &'static [(&'static str, &'static str)] = &[
        ("env", "output"),
        ("env", "register_panic"),
        ("logger", "println"),
        ("state", "set"),
        ("state", "set_if_not_exists"),
        ("state", "append"),
        ("state", "delete_prefix"),
        ("state", "add_int64"),
        ("state", "set_min_int64"),
        ("state", "set_max_int64"),
        ("state", "get_at"),
        ("state", "get_first"),
        ("state", "get_last"),
        ("state", "has_at"),
        ("state", "has_first"),
        ("state", "has_last"),
    ];

    fn of(interface: &Interface, handler: Option<&str>) -> Result<Self, String> {
        let named = |(name, _): &&(String, FuncType)| match handler {
            Some(handler) => name == handler,
            None => KINDS.iter().any(|kind| name.starts_with(kind)),
        };
        let found: Vec<_> = interface.functions.iter().filter(named).collect();
        let (name, kind) = match (found.as_slice(), handler) {
            ([only], _) => only,
            ([], Some(handler)) => return Err(format!("it exports no function `{handler}`")),
            ([], None) => {
                return Err("it exports no `map_*` or `store_*`, the function that runs a block".into());
            }
            (several, _) => {
                let names: Vec<_> = several.iter().map(|(name, _)| format!("`{name}`")).collect();
                return Err(format!(
                    "it exports {}: say with --handler which is to run",
                    crate::prose::enumerated(&names)
                ));
            }
        };
        const I32: ValType = ValType::I32;
        for (name, kind, params, results) in [
            (name.as_str(), Some(kind), &[I32, I32][..], &[][..]),
            (ALLOC, interface.function(ALLOC), &[I32], &[I32]),
            (DEALLOC, interface.function(DEALLOC), &[I32, I32], &[]),
        ] {
            let Some(kind) = kind else { return Err(format!("it exports no function `{name}`")) };
            if (kind.params(), kind.results()) != (params, results) {
                return Err(format!(
                    "its `{name}` is {}, where {} belongs",
                    signature(kind.params(), kind.results()),
                    signature(params, results)
                ));
            }
        }
        Ok(Self { handler: name.clone() })
    }

    /// None does so by itself.
    fn entry(&self) -> Option<&'static str> {
        None
    }

    /// As they are: they may be any chain's, and what height they have, they say themselves.
    fn read(&self, given: &Given<'_>) -> anyhow::Result<Trace> {
        given.without_height("a handler of Substreams")?;
        Ok(blocks::as_they_are(given.path, given.limit)?)
    }

    fn example(&self) -> anyhow::Result<Trace> {
        let mut trace = Trace::mainnet();
        for block in &mut trace.blocks {
            *block = firehose::message(block, usize::MAX)?;
        }
        Ok(trace)
    }

    /// The block as it is.
    fn input(&self, block: &Block) -> Vec<u8> {
        block.bytes.to_vec()
    }

    fn execute(&self, session: &mut Session<BlockState>) -> Result<()> {
        let length = length(session)?;
        let at = session.call(ALLOC, length)?;
        hand_over(session, at)?;
        session.call(&self.handler, (at, length))
    }

    async fn execute_async(&self, session: &mut Session<BlockState>) -> Result<()> {
        let length = length(session)?;
        let at = session.call_async(ALLOC, length).await?;
        hand_over(session, at)?;
        session.call_async(&self.handler, (at, length)).await
    }

    fn link(&self, linker: &mut Linker<BlockState>, calls: Calls) -> Result<()> {
        linker.func_wrap("env", "output", |mut caller: Caller<'_, BlockState>, at: i32, length: i32| {
            let memory = memory(&mut caller)?;
            let (bytes, state) = memory.data_and_store_mut(&mut caller);
            state.flushed(&[part(bytes, at, length)?]);
            Ok(())
        })?;
        linker.func_wrap("env", "register_panic", register_panic)?;
        linker.func_wrap(
            "logger",
            "println",
            |mut caller: Caller<'_, BlockState>, at: i32, length: i32| {
                let memory = memory(&mut caller)?;
                let (bytes, state) = memory.data_and_store_mut(&mut caller);
                state.log(part(bytes, at, length)?);
                Ok(())
            },
        )?;
        changes::define(linker)?;
        reads::define(linker, calls)
    }
}

/// How many bytes the block has.
fn length(session: &mut Session<BlockState>) -> Result<i32> {
    Ok(session.store_mut()?.data().input().len().try_into()?)
}

/// Writes the block to where the guest has room for it.
fn hand_over(session: &mut Session<BlockState>, at: i32) -> Result<()> {
    let instance = session.instance()?;
    let mut store = session.store_mut()?;
    let input = store.data().input().clone();
    let memory = instance.get_memory(&mut store, MEMORY);
    let memory = memory.ok_or_else(|| format_err!("the guest exports no memory"))?;
    write(memory.data_mut(&mut store), at, &input, ALLOC)
}

/// Bytes of the guest.
fn part(memory: &[u8], at: i32, length: i32) -> Result<&[u8]> {
    let (at, length) = (at as u32 as usize, length as u32 as usize);
    memory
        .get(at..at + length)
        .ok_or_else(|| format_err!("{length} bytes at {at:#x} do not lie in the guest's memory"))
}

/// Writes bytes to where a function of the guest has said.
fn write(memory: &mut [u8], at: i32, bytes: &[u8], function: &str) -> Result<()> {
    let at = at as u32 as usize;
    let room = memory.get_mut(at..at + bytes.len());
    room.ok_or_else(|| format_err!("{function}: {} bytes do not fit the memory at {at:#x}", bytes.len()))?
        .copy_from_slice(bytes);
    Ok(())
}

fn register_panic(
    mut caller: Caller<'_, BlockState>,
    message: i32,
    message_length: i32,
    file: i32,
    file_length: i32,
    line: i32,
    column: i32,
) -> Result<()> {
    let memory = memory(&mut caller)?;
    let (bytes, state) = memory.data_and_store_mut(&mut caller);
    let text = |at, length| -> Result<_> {
        let bytes = part(bytes, at, length)?;
        Ok(String::from_utf8_lossy(&bytes[..bytes.len().min(LOG_BYTES)]))
    };
    let said = text(message, message_length)?;
    // Where the guest does not know the file, it says so by no pointer.
    let file = if file == 0 { "an unknown file".into() } else { text(file, file_length)? };
    state.abort(|| format!("the guest panicked at {file}:{line}:{column}: {said}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_lie_in_the_memory_to_the_last() {
        assert_eq!(part(b"abc", 1, 2).unwrap(), b"bc");
        for (at, length) in [(1, 3), (4, 0), (-1, 1), (0, -1)] {
            assert!(part(b"abc", at, length).is_err(), "{length} at {at}");
        }
    }
}
