//! The ABI of metashrew's indexers.
//!
//! Keys, values, logs and flushes are "arraybuffer" pointers: the u32 little-endian length sits in the four bytes
//! before the pointer. A flush is the protobuf message `{ repeated bytes list = 1 }` of alternating keys and values, and is in
//! the store at once: it stays there if the block fails later. `abort` takes note of the failure and returns, so that the guest
//! goes on, and the block has failed when it is over.

use reset_strategies::Session;
use serde::{Deserialize, Serialize};
use wasmtime::{Caller, Linker, Result, bail, format_err};

use super::state::LOG_BYTES;
use super::{Abi, BlockState, Given, Interface, START, called, memory, runs_alone};
use crate::hosts::Calls;
use crate::workload::blocks::{self, Block, Trace};

/// A guest that fetches its block, and writes lists of keys and values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metashrew;

impl Abi for Metashrew {
    const NAME: &'static str = "metashrew";

    const FUNCTIONS: &'static [(&'static str, &'static str)] = &[
        ("env", "__host_len"),
        ("env", "__load_input"),
        ("env", "__get_len"),
        ("env", "__get"),
        ("env", "__flush"),
        ("env", "__log"),
        ("env", "abort"),
    ];

    fn of(interface: &Interface, handler: Option<&str>) -> Result<Self, String> {
        runs_alone(interface, handler)?;
        Ok(Self)
    }

    fn entry(&self) -> Option<&'static str> {
        Some(START)
    }

    fn read(&self, given: &Given<'_>) -> anyhow::Result<Trace> {
        Ok(blocks::read(given.path, given.start_height, Some(given.limit))?)
    }

    fn example(&self) -> anyhow::Result<Trace> {
        Ok(Trace::mainnet())
    }

    /// The height as 4 bytes, little-endian, then the block.
    fn input(&self, block: &Block) -> Vec<u8> {
        [&block.height.to_le_bytes()[..], &block.bytes].concat()
    }

    fn execute(&self, session: &mut Session<BlockState>) -> Result<()> {
        session.execute()
    }

    async fn execute_async(&self, session: &mut Session<BlockState>) -> Result<()> {
        session.execute_async().await
    }

    fn link(&self, linker: &mut Linker<BlockState>, _: Calls) -> Result<()> {
        define(linker, 0)?;
        linker.func_wrap("env", "__flush", |mut caller: Caller<'_, BlockState>, at: i32| {
            let memory = memory(&mut caller)?;
            let (bytes, state) = memory.data_and_store_mut(&mut caller);
            let message = buffer(bytes, at)?;
            state.flushed(&[message]);
            let (mut store, _) = state.store_mut();
            let mut fields = Fields(message);
            while let Some(key) = fields.next()? {
                let value = fields.next()?.ok_or_else(|| format_err!("__flush: a key without a value"))?;
                store.insert(key.into(), value.into());
            }
            Ok(())
        })?;
        Ok(())
    }
}

/// Defines all but what takes a flush. Of the input, so many bytes are for the host, and the guest sees what is behind them.
pub(super) fn define(linker: &mut Linker<BlockState>, ours: usize) -> Result<()> {
    linker.func_wrap("env", "__host_len", move |mut caller: Caller<'_, BlockState>| {
        called(&mut caller);
        behind(caller.data().input(), ours).len() as i32
    })?;
    linker.func_wrap("env", "__load_input", move |mut caller: Caller<'_, BlockState>, at: i32| {
        let memory = memory(&mut caller)?;
        let input = caller.data().input().clone();
        Ok(memory.write(&mut caller, at as u32 as usize, behind(&input, ours))?)
    })?;
    linker.func_wrap("env", "__get_len", |mut caller: Caller<'_, BlockState>, key: i32| {
        let memory = memory(&mut caller)?;
        let (bytes, state) = memory.data_and_store_mut(&mut caller);
        let store = state.stored();
        Ok(store.get(buffer(bytes, key)?).map_or(0, |value| value.len() as i32))
    })?;
    linker.func_wrap("env", "__get", |mut caller: Caller<'_, BlockState>, key: i32, value: i32| {
        let memory = memory(&mut caller)?;
        let (bytes, state) = memory.data_and_store_mut(&mut caller);
        let store = state.stored();
        let Some(found) = store.get(buffer(bytes, key)?) else { return Ok(()) };
        let at = value as u32 as usize;
        let room = bytes.get_mut(at..at + found.len());
        room.ok_or_else(|| format_err!("__get: the value does not fit the memory at {at:#x}"))?
            .copy_from_slice(found);
        Ok(())
    })?;
    linker.func_wrap("env", "__log", |mut caller: Caller<'_, BlockState>, at: i32| {
        let memory = memory(&mut caller)?;
        let (bytes, state) = memory.data_and_store_mut(&mut caller);
        state.log(buffer(bytes, at)?);
        Ok(())
    })?;
    linker.func_wrap(
        "env",
        "abort",
        |mut caller: Caller<'_, BlockState>,
         message: i32,
         _file: i32,
         line: i32,
         column: i32|
         -> Result<()> {
            let memory = memory(&mut caller)?;
            let (bytes, state) = memory.data_and_store_mut(&mut caller);
            let said = text(bytes, message).map_or_else(String::new, |text| format!(": {text}"));
            state.abort(|| format!("the guest aborted at {line}:{column}{said}"));
            Ok(())
        },
    )?;
    Ok(())
}

fn behind(input: &[u8], ours: usize) -> &[u8] {
    input.get(ours..).unwrap_or_default()
}

/// A string of AssemblyScript, which is UTF-16 with its length in bytes before it; none where the pointer leads to none.
fn text(memory: &[u8], at: i32) -> Option<String> {
    let bytes = buffer(memory, at).ok()?;
    let units =
        bytes[..bytes.len().min(LOG_BYTES)].as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit));
    let text: String =
        char::decode_utf16(units).map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    (!text.is_empty()).then_some(text)
}

/// The bytes that an arraybuffer pointer stands for.
pub(super) fn buffer(memory: &[u8], at: i32) -> Result<&[u8]> {
    let at = at as u32 as usize;
    let length = at.checked_sub(4).and_then(|start| memory.get(start..at));
    let length = length.and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    length
        .and_then(|length| memory.get(at..at + length as usize))
        .ok_or_else(|| format_err!("no buffer at {at:#x}: its length or bytes lie outside the memory"))
}

/// What a flush begins with that asks the host for something else than to store.
const SYSCALL: u8 = 0x01;

/// The fields of a flush. Only field 1 of wire type 2 occurs, so a protobuf library would be all unused code.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn next(&mut self) -> Result<Option<&'a [u8]>> {
        const TAG: u8 = 1 << 3 | 2;
        let Some((&tag, rest)) = self.0.split_first() else { return Ok(None) };
        if tag == SYSCALL {
            bail!(
                "__flush: a system call of newer hosts (it begins with {SYSCALL:#04x}), which this host does not offer"
            );
        }
        if tag != TAG {
            bail!("__flush: protobuf tag {tag:#x} where a byte string of field 1 belongs");
        }
        self.0 = rest;
        let length = self.varint()?;
        let (field, rest) =
            self.0.split_at_checked(length).ok_or_else(|| format_err!("__flush: a field is cut short"))?;
        self.0 = rest;
        Ok(Some(field))
    }

    fn varint(&mut self) -> Result<usize> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let Some((&byte, rest)) = self.0.split_first() else { break };
            self.0 = rest;
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        bail!("__flush: a length is cut short")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn input_is_the_little_endian_height_then_the_block() {
        let block = Block { height: 0x0001_0203, bytes: Arc::from([0xaa, 0xbb]) };
        assert_eq!(Metashrew.input(&block), [0x03, 0x02, 0x01, 0x00, 0xaa, 0xbb]);
    }

    #[test]
    fn a_flush_is_split_into_keys_and_values() {
        let long = [7; 200];
        let message = [&[0x0a, 1, b'k', 0x0a, 200, 1][..], &long[..]].concat();
        let mut fields = Fields(&message);
        assert_eq!(fields.next().unwrap(), Some(&b"k"[..]));
        assert_eq!(fields.next().unwrap(), Some(&long[..]));
        assert_eq!(fields.next().unwrap(), None);
    }

    #[test]
    fn a_malformed_flush_is_an_error() {
        for message in [&[0x12, 0][..], &[0x0a][..], &[0x0a, 5, 1][..], &[0x0a, 0xff, 0xff][..]] {
            assert!(Fields(message).next().is_err(), "{message:?}");
        }
    }

    #[test]
    fn a_buffer_must_lie_inside_the_memory() {
        let memory = [3, 0, 0, 0, b'a', b'b', b'c'];
        assert_eq!(buffer(&memory, 4).unwrap(), b"abc");
        for at in [0, 3, 5, 7, -1] {
            assert!(buffer(&memory, at).is_err(), "{at}");
        }
    }
}
