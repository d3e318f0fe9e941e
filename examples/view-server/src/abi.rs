//! What views of metashrew are given by their host.
//!
//! A pointer leads to bytes whose length stands in the four bytes before, as a little-endian `u32`.

use std::collections::HashMap;
use std::sync::Arc;

use reset_strategies::{Hooks, Session};
use wasmtime::{
    Caller, Linker, Memory, ResourceLimiter, Result, StoreLimits, StoreLimitsBuilder, bail, format_err,
};

/// What blocks have stored, as views see it.
pub type Stored = Arc<HashMap<Vec<u8>, Vec<u8>>>;

/// The host's state for one call; a reset makes it anew.
pub struct Call {
    input: Vec<u8>,
    stored: Stored,
    limits: StoreLimits,
}

impl Call {
    /// A call that has not been given its input. The guest's memory may grow to so many bytes.
    pub fn new(stored: Stored, memory_bytes: usize) -> Self {
        let limits = StoreLimitsBuilder::new().memory_size(memory_bytes).build();
        Self { input: Vec::new(), stored, limits }
    }

    /// Puts the limit into force.
    pub fn hooks() -> Hooks<Self> {
        Hooks { limiter: Some(Self::limiter), ..Hooks::default() }
    }

    fn limiter(&mut self) -> &mut dyn ResourceLimiter {
        &mut self.limits
    }
}

/// Calls a view, and reads its answer.
pub fn call(session: &mut Session<Call>, view: &str, input: Vec<u8>) -> Result<Vec<u8>> {
    session.store_mut()?.data_mut().input = input;
    let at: i32 = session.call(view, ())?;
    let (instance, mut store) = (session.instance()?, session.store_mut()?);
    let memory = instance.get_memory(&mut store, "memory").ok_or_else(|| format_err!("no memory"))?;
    Ok(buffer(memory.data(&store), at)?.to_vec())
}

/// Defines the host's functions.
pub fn link(linker: &mut Linker<Call>) -> Result<()> {
    linker.func_wrap("env", "__host_len", |caller: Caller<'_, Call>| caller.data().input.len() as i32)?;
    linker.func_wrap("env", "__load_input", |mut caller: Caller<'_, Call>, at: i32| {
        let (bytes, call) = memory(&mut caller)?.data_and_store_mut(&mut caller);
        write(bytes, at, &call.input)
    })?;
    linker.func_wrap("env", "__get_len", |mut caller: Caller<'_, Call>, key: i32| -> Result<i32> {
        let (bytes, call) = memory(&mut caller)?.data_and_store_mut(&mut caller);
        Ok(call.stored.get(buffer(bytes, key)?).map_or(0, |value| value.len() as i32))
    })?;
    linker.func_wrap("env", "__get", |mut caller: Caller<'_, Call>, key: i32, value: i32| -> Result<()> {
        let (bytes, call) = memory(&mut caller)?.data_and_store_mut(&mut caller);
        match call.stored.get(buffer(bytes, key)?) {
            Some(found) => write(bytes, value, found),
            None => Ok(()),
        }
    })?;
    linker.func_wrap("env", "__flush", |_: i32| -> Result<()> { bail!("a view stores nothing") })?;
    linker.func_wrap("env", "__log", |_: i32| ())?;
    linker.func_wrap("env", "abort", |_: i32, _: i32, line: i32, column: i32| -> Result<()> {
        bail!("the guest aborted at {line}:{column}")
    })?;
    Ok(())
}

fn memory(caller: &mut Caller<'_, Call>) -> Result<Memory> {
    let export = caller.get_export("memory").and_then(|export| export.into_memory());
    export.ok_or_else(|| format_err!("the module exports no memory"))
}

/// The bytes that a pointer leads to.
fn buffer(memory: &[u8], at: i32) -> Result<&[u8]> {
    let at = at as u32 as usize;
    let length = at.checked_sub(4).and_then(|start| memory.get(start..at));
    let length = length.and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    let bytes = length.and_then(|length| memory.get(at..)?.get(..length as usize));
    bytes.ok_or_else(|| format_err!("no buffer at {at:#x}"))
}

fn write(memory: &mut [u8], at: i32, bytes: &[u8]) -> Result<()> {
    let room = memory.get_mut(at as u32 as usize..).and_then(|memory| memory.get_mut(..bytes.len()));
    room.ok_or_else(|| format_err!("no room for {} bytes at {at:#x}", bytes.len()))?.copy_from_slice(bytes);
    Ok(())
}
