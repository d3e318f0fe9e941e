//! The host of the metashrew ABI: what an indexer imports, over a key-value state in memory.
//!
//! Keys, values, logs and flushes are "arraybuffer" pointers: the u32 little-endian length sits in the four bytes
//! before the pointer. A flush is the protobuf message `{ repeated bytes list = 1 }` of alternating keys and values, and is in
//! the store at once: it stays there if the block fails later.
//!
//! As metashrew does, it lets a module import what it does not offer, and such a function traps when it is called; and `abort`
//! takes note of the failure and returns, so that the guest goes on, and the block has failed when it is over.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};
use wasmtime::{
    Caller, Extern, Linker, Memory, Module, Result, StoreContextMut, Trap, UpdateDeadline, bail, format_err,
};

use super::scarcity::Scarcity;

/// The functions that a guest may import from `env`.
pub const FUNCTIONS: [&str; 7] =
    ["__host_len", "__load_input", "__get_len", "__get", "__flush", "__log", "abort"];

/// Whether a guest may import a function of that name.
pub fn offers(name: &str) -> bool {
    FUNCTIONS.contains(&name)
}

/// What the indexer has stored, from block to block.
pub type Store = HashMap<Box<[u8]>, Box<[u8]>>;

/// One store, shared by the states of one session's blocks. Sessions can be sent to other threads, so it can, too.
#[derive(Clone, Debug, Default)]
pub struct Shared(Arc<Mutex<Store>>);

impl Shared {
    /// Shares a store.
    pub fn new(store: Store) -> Self {
        Self(Arc::new(Mutex::new(store)))
    }

    /// The store, for as long as the guard lives. Nobody else wants it meanwhile: blocks run one after another.
    pub fn lock(&self) -> MutexGuard<'_, Store> {
        // No invariant spans two writes, so that a store which a panic left behind is as good as any.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The host's state for one block.
#[derive(Debug)]
pub struct BlockState {
    store: Shared,
    input: Arc<[u8]>,
    flushed: Option<Sha256>,
    log: String,
    /// What the guest said when it aborted first, in its start function or in the block.
    abort: Option<String>,
    interrupt: Option<Interrupt>,
    /// Whether the block lets others run where its deadline has passed, instead of ending there.
    waits: bool,
    /// What the guest may grow to; no limits unless a host sets some and hands them to its store.
    pub limits: wasmtime::StoreLimits,
    /// Has growth fail, once a host arms it and hands it to its store.
    pub scarcity: Scarcity,
}

/// A deadline that passes at a call to the host.
#[derive(Clone, Copy, Debug)]
struct Interrupt {
    /// Calls that remain, the one that interrupts included.
    calls: u32,
    /// Ticks of the epoch until the deadline.
    ticks: u64,
}

/// How a block ended.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome", content = "reason")]
pub enum Outcome {
    /// `_start` returned.
    Completed,
    /// The guest trapped.
    Trapped(String),
    /// A function of the host ended it: the guest aborted, or gave arguments that the host cannot use.
    Failed(String),
    /// The epoch deadline passed.
    TimedOut,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Completed => f.write_str("completed"),
            Self::Trapped(reason) => write!(f, "trapped ({reason})"),
            Self::Failed(reason) => write!(f, "failed ({reason})"),
            Self::TimedOut => f.write_str("timed out"),
        }
    }
}

impl BlockState {
    /// An empty state over a store.
    pub fn new(store: Shared) -> Self {
        Self {
            store,
            input: Arc::from([]),
            flushed: None,
            log: String::new(),
            abort: None,
            interrupt: None,
            waits: false,
            limits: wasmtime::StoreLimits::default(),
            scarcity: Scarcity::default(),
        }
    }

    /// Gives the guest its next input.
    pub fn begin(&mut self, input: Arc<[u8]>) {
        self.input = input;
        self.flushed = None;
    }

    /// Lets the deadline pass at the guest's n-th call to the host, which is the same place in every run.
    pub fn interrupt(&mut self, call: u32, ticks: u64) {
        self.interrupt = Some(Interrupt { calls: call, ticks });
    }

    /// Has the block wait where its deadline has passed, each time that it looks at the epoch, for a host that has
    /// [`deadline`] called.
    pub fn wait(&mut self) {
        self.waits = true;
    }

    /// What of the last block is still here, if anything is.
    pub fn leftover(&self) -> Option<&'static str> {
        if !self.input.is_empty() {
            Some("the block's input")
        } else if !self.log.is_empty() {
            Some("what the block logged")
        } else {
            (self.flushed.is_some() || self.interrupt.is_some() || self.waits).then_some("the block's record")
        }
    }

    /// Has the digest of flushed bytes computed for this block. Off by default: hashing is not the guest's work.
    pub fn record(&mut self) {
        self.flushed = Some(Sha256::new());
    }

    /// SHA-256 of all that was flushed, in hex, if it was recorded.
    pub fn digest(&self) -> Option<String> {
        self.flushed.clone().map(|hash| hex(&hash.finalize()))
    }

    /// Sorts what an execution returned into an outcome, once for each. A guest that has aborted has failed, however it went on.
    pub fn outcome(&mut self, result: Result<()>) -> Outcome {
        let (ended, cause): (fn(String) -> Outcome, _) = match (result, self.abort.take()) {
            (Err(error), _) if timed_out(&error) => return Outcome::TimedOut,
            (_, Some(abort)) => (Outcome::Failed, abort),
            (Ok(()), None) => return Outcome::Completed,
            (Err(error), None) if error.downcast_ref::<Trap>().is_some() => {
                (Outcome::Trapped, error.root_cause().to_string())
            }
            (Err(error), None) => (Outcome::Failed, error.root_cause().to_string()),
        };
        ended(if self.log.is_empty() { cause } else { format!("{cause}; logged: {}", self.log) })
    }
}

/// What becomes of a block whose deadline has passed: it ends, or it [waits](BlockState::wait) and looks again.
///
/// # Errors
/// None.
pub fn deadline(store: StoreContextMut<'_, BlockState>) -> Result<UpdateDeadline> {
    Ok(if store.data().waits { UpdateDeadline::Yield(0) } else { UpdateDeadline::Interrupt })
}

/// Whether the epoch deadline ended an execution.
pub fn timed_out(error: &wasmtime::Error) -> bool {
    error.downcast_ref::<Trap>() == Some(&Trap::Interrupt)
}

/// SHA-256 of nothing, in hex: what a block has flushed that flushed nothing.
pub fn digest_of_nothing() -> String {
    hex(&Sha256::digest([]))
}

/// SHA-256 over all keys and values of a store, in key order, each preceded by its length.
pub fn digest(store: &Store) -> String {
    let mut entries: Vec<_> = store.iter().collect();
    entries.sort_unstable();
    let mut hash = Sha256::new();
    for part in entries.iter().flat_map(|(key, value)| [key, value]) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hex(&hash.finalize())
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Defines the host's functions, and for all others that the module imports some that trap.
///
/// # Errors
/// When the linker already has one of them.
pub fn link(linker: &mut Linker<BlockState>, module: &Module) -> Result<()> {
    linker.func_wrap("env", "__host_len", |mut caller: Caller<'_, BlockState>| {
        called(&mut caller);
        caller.data().input.len() as i32
    })?;
    linker.func_wrap("env", "__load_input", |mut caller: Caller<'_, BlockState>, at: i32| {
        let memory = memory(&mut caller)?;
        let input = caller.data().input.clone();
        Ok(memory.write(&mut caller, at as u32 as usize, &input)?)
    })?;
    linker.func_wrap("env", "__get_len", |mut caller: Caller<'_, BlockState>, key: i32| {
        let memory = memory(&mut caller)?;
        let (bytes, state) = memory.data_and_store_mut(&mut caller);
        let store = state.store.lock();
        Ok(store.get(buffer(bytes, key)?).map_or(0, |value| value.len() as i32))
    })?;
    linker.func_wrap("env", "__get", |mut caller: Caller<'_, BlockState>, key: i32, value: i32| {
        let memory = memory(&mut caller)?;
        let (bytes, state) = memory.data_and_store_mut(&mut caller);
        let store = state.store.lock();
        let Some(found) = store.get(buffer(bytes, key)?) else { return Ok(()) };
        let at = value as u32 as usize;
        let room = bytes.get_mut(at..at + found.len());
        room.ok_or_else(|| format_err!("__get: the value does not fit the memory at {at:#x}"))?
            .copy_from_slice(found);
        Ok(())
    })?;
    linker.func_wrap("env", "__flush", |mut caller: Caller<'_, BlockState>, at: i32| {
        let memory = memory(&mut caller)?;
        let (bytes, state) = memory.data_and_store_mut(&mut caller);
        let message = buffer(bytes, at)?;
        if let Some(hash) = &mut state.flushed {
            hash.update(message);
        }
        let mut store = state.store.lock();
        let mut fields = Fields(message);
        while let Some(key) = fields.next()? {
            let value = fields.next()?.ok_or_else(|| format_err!("__flush: a key without a value"))?;
            store.insert(key.into(), value.into());
        }
        Ok(())
    })?;
    linker.func_wrap("env", "__log", |mut caller: Caller<'_, BlockState>, at: i32| {
        let memory = memory(&mut caller)?;
        let (bytes, state) = memory.data_and_store_mut(&mut caller);
        let text = buffer(bytes, at)?;
        state.log = String::from_utf8_lossy(&text[..text.len().min(LOG_BYTES)]).into_owned();
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
            state.abort.get_or_insert_with(|| format!("the guest aborted at {line}:{column}{said}"));
            Ok(())
        },
    )?;
    linker.define_unknown_imports_as_traps(module)
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

/// How much of a log line is kept: enough for a sentence.
const LOG_BYTES: usize = 512;

/// Counts down to the call at which the deadline passes.
fn called(caller: &mut Caller<'_, BlockState>) {
    let Some(interrupt) = &mut caller.data_mut().interrupt else { return };
    interrupt.calls = interrupt.calls.saturating_sub(1);
    if interrupt.calls == 0 {
        let ticks = interrupt.ticks;
        caller.data_mut().interrupt = None;
        (0..ticks).for_each(|_| caller.engine().increment_epoch());
    }
}

/// The memory that a call is about.
fn memory(caller: &mut Caller<'_, BlockState>) -> Result<Memory> {
    called(caller);
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => Ok(memory),
        _ => bail!("the guest exports no memory"),
    }
}

/// The bytes that an arraybuffer pointer stands for.
fn buffer(memory: &[u8], at: i32) -> Result<&[u8]> {
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
    use super::*;

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

    #[test]
    fn the_digest_of_a_store_depends_on_where_keys_end() {
        let store = |key: &[u8], value: &[u8]| Store::from([(key.into(), value.into())]);
        assert_ne!(digest(&store(b"a", b"bc")), digest(&store(b"ab", b"c")));
    }
}
