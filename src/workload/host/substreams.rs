//! The ABI of Substreams' handlers, as its engine on wasmtime has it.
//!
//! The host asks the guest for room (`alloc`), writes the block there, and calls a handler with where it is and how long. What
//! comes out is one message (`env.output`), or changes of a store whose keys are text (`state.set` and others). A value that the
//! guest reads is put into room that the host asks it for in the middle of the call, and where that is is written to the place
//! that the guest has named. `env.register_panic` takes note of a failure and returns; the guest traps by itself then.
//!
//! There, a manifest says which store a handler reads and which it writes. Here is one store for both, whatever its index, and one
//! handler, whose one input is the block.

use std::collections::hash_map::Entry;

use reset_strategies::Session;
use serde::{Deserialize, Serialize};
use wasmparser::{FuncType, ValType};
use wasmtime::{Caller, Extern, Linker, Memory, Result, TypedFunc, bail, ensure, format_err};

use super::state::{Change, LOG_BYTES};
use super::{Abi, BlockState, Exports, Given, MEMORY, memory};
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

    fn of(exports: &Exports, handler: Option<&str>) -> Result<Self, String> {
        let named = |(name, _): &&(String, FuncType)| match handler {
            Some(handler) => name == handler,
            None => KINDS.iter().any(|kind| name.starts_with(kind)),
        };
        let found: Vec<_> = exports.functions.iter().filter(named).collect();
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
            (ALLOC, exports.function(ALLOC), &[I32], &[I32]),
            (DEALLOC, exports.function(DEALLOC), &[I32, I32], &[]),
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
        anyhow::ensure!(
            given.start_height.is_none(),
            "--start-height is for Bitcoin blocks: a handler of Substreams is given files as they are"
        );
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
        changes(linker)?;
        for when in [When::At, When::First, When::Last] {
            reads(linker, when, calls)?;
        }
        Ok(())
    }
}

/// A function's type, as it is written.
fn signature(params: &[ValType], results: &[ValType]) -> String {
    let list = |types: &[ValType]| types.iter().map(ValType::to_string).collect::<Vec<_>>().join(", ");
    format!("({}) -> ({})", list(params), list(results))
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

/// What becomes of a key.
enum Put {
    Value(Box<[u8]>),
    Nothing,
}

/// The functions by which a guest changes the store.
fn changes(linker: &mut Linker<BlockState>) -> Result<()> {
    type Bytes = fn(Option<&[u8]>, &[u8]) -> Put;
    let functions: [(&str, Bytes); 3] = [
        ("set", |_, value| Put::Value(value.into())),
        ("set_if_not_exists", |old, value| match old {
            Some(_) => Put::Nothing,
            None => Put::Value(value.into()),
        }),
        ("append", |old, value| Put::Value([old.unwrap_or_default(), value].concat().into())),
    ];
    for (name, put) in functions {
        let function = move |mut caller: Caller<'_, BlockState>,
                             ordinal: i64,
                             key: i32,
                             key_length: i32,
                             value: i32,
                             value_length: i32| {
            let memory = memory(&mut caller)?;
            let (bytes, state) = memory.data_and_store_mut(&mut caller);
            let key = part(bytes, key, key_length)?;
            let value = part(bytes, value, value_length)?;
            change(state, name, ordinal, key, value, |old| Ok(put(old, value)))
        };
        linker.func_wrap("state", name, function)?;
    }

    type Number = fn(i64, i64) -> i64;
    let functions: [(&str, Number); 3] =
        [("add_int64", i64::wrapping_add), ("set_min_int64", i64::min), ("set_max_int64", i64::max)];
    for (name, of) in functions {
        let function =
            move |mut caller: Caller<'_, BlockState>, ordinal: i64, key: i32, key_length: i32, value: i64| {
                let memory = memory(&mut caller)?;
                let (bytes, state) = memory.data_and_store_mut(&mut caller);
                let key = part(bytes, key, key_length)?;
                change(state, name, ordinal, key, &value.to_le_bytes(), |old| {
                    let new = match old {
                        Some(old) => of(number(old)?, value),
                        None => value,
                    };
                    Ok(Put::Value(new.to_string().into_bytes().into()))
                })
            };
        linker.func_wrap("state", name, function)?;
    }

    linker.func_wrap("state", "delete_prefix", delete_prefix)?;
    Ok(())
}

/// A number in a store is its decimals.
fn number(value: &[u8]) -> Result<i64> {
    let digits = str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    digits.ok_or_else(|| format_err!("{:?} is no 64-bit number", String::from_utf8_lossy(value)))
}

/// Changes the value of a key, and keeps what it was. The digest has the whole request.
fn change(
    state: &mut BlockState,
    function: &str,
    ordinal: i64,
    key: &[u8],
    argument: &[u8],
    put: impl FnOnce(Option<&[u8]>) -> Result<Put>,
) -> Result<()> {
    let ordinal = ordinal as u64;
    state.flushed(&[
        function.as_bytes(),
        &ordinal.to_le_bytes(),
        &sized(key),
        key,
        &sized(argument),
        argument,
    ]);
    let (mut store, changes) = state.store_mut();
    in_order(changes, function, ordinal)?;
    match store.entry(key.into()) {
        Entry::Occupied(mut entry) => {
            if let Put::Value(new) = put(Some(entry.get()))? {
                changes.push(Change { ordinal, key: key.into(), old: Some(entry.insert(new)) });
            }
        }
        Entry::Vacant(entry) => {
            if let Put::Value(new) = put(None)? {
                entry.insert(new);
                changes.push(Change { ordinal, key: key.into(), old: None });
            }
        }
    }
    Ok(())
}

fn sized(bytes: &[u8]) -> [u8; 8] {
    (bytes.len() as u64).to_le_bytes()
}

/// A store is changed in the order of the ordinals.
fn in_order(changes: &[Change], function: &str, ordinal: u64) -> Result<()> {
    let last = changes.last().map_or(0, |change| change.ordinal);
    ensure!(last <= ordinal, "{function}: ordinal {ordinal} comes after {last}, and they must not go down");
    Ok(())
}

fn delete_prefix(
    mut caller: Caller<'_, BlockState>,
    ordinal: i64,
    prefix: i32,
    prefix_length: i32,
) -> Result<()> {
    const NAME: &str = "delete_prefix";
    let memory = memory(&mut caller)?;
    let (bytes, state) = memory.data_and_store_mut(&mut caller);
    let prefix = part(bytes, prefix, prefix_length)?;
    let ordinal = ordinal as u64;
    state.flushed(&[NAME.as_bytes(), &ordinal.to_le_bytes(), &sized(prefix), prefix]);
    let (mut store, changes) = state.store_mut();
    in_order(changes, NAME, ordinal)?;
    changes.extend(store.extract_if(|key, _| key.starts_with(prefix)).map(|(key, old)| Change {
        ordinal,
        key,
        old: Some(old),
    }));
    Ok(())
}

/// As of when a guest reads the store.
#[derive(Clone, Copy)]
enum When {
    /// After all changes up to an ordinal.
    At,
    /// Before the block.
    First,
    /// As it is.
    Last,
}

impl When {
    /// The names of the functions that read a value and ask for one.
    fn functions(self) -> (&'static str, &'static str) {
        match self {
            Self::At => ("get_at", "has_at"),
            Self::First => ("get_first", "has_first"),
            Self::Last => ("get_last", "has_last"),
        }
    }

    /// The value of a key, given what the block has changed so far.
    fn value(self, state: &mut BlockState, ordinal: i64, key: &[u8]) -> Option<Box<[u8]>> {
        let (store, changes) = state.store_mut();
        let undone = |change: &&Change| match self {
            Self::At => change.ordinal > ordinal as u64,
            Self::First => true,
            Self::Last => false,
        };
        // Ordinals never go down, so that the changes to be undone are the last ones, and of these the first of a key counts.
        match changes.iter().rev().take_while(undone).filter(|change| *change.key == *key).last() {
            Some(change) => change.old.clone(),
            None => store.get(key).cloned(),
        }
    }
}

/// A value to be read: of which key, as of when.
struct Wanted {
    when: When,
    ordinal: i64,
    key: (i32, i32),
}

impl Wanted {
    fn find(&self, caller: &mut Caller<'_, BlockState>) -> Result<(Memory, Option<Box<[u8]>>)> {
        let memory = memory(caller)?;
        let (bytes, state) = memory.data_and_store_mut(caller);
        let found = self.when.value(state, self.ordinal, part(bytes, self.key.0, self.key.1)?);
        Ok((memory, found))
    }

    fn is_there(&self, caller: &mut Caller<'_, BlockState>) -> Result<i32> {
        Ok(self.find(caller)?.1.is_some().into())
    }

    /// Gives the guest the value, in room that it makes; 0 if there is none.
    fn get(&self, caller: &mut Caller<'_, BlockState>, to: i32) -> Result<i32> {
        let (memory, Some(value)) = self.find(caller)? else { return Ok(0) };
        let (alloc, length) = room(caller, &value)?;
        let at = alloc.call(&mut *caller, length)?;
        answer(caller, memory, at, &value, to)
    }

    /// The same where calls are futures.
    async fn get_async(&self, caller: &mut Caller<'_, BlockState>, to: i32) -> Result<i32> {
        let (memory, Some(value)) = self.find(caller)? else { return Ok(0) };
        let (alloc, length) = room(caller, &value)?;
        let at = alloc.call_async(&mut *caller, length).await?;
        answer(caller, memory, at, &value, to)
    }
}

/// What makes room, and for how many bytes.
fn room(caller: &mut Caller<'_, BlockState>, value: &[u8]) -> Result<(TypedFunc<i32, i32>, i32)> {
    let Some(Extern::Func(alloc)) = caller.get_export(ALLOC) else { bail!("the guest exports no `{ALLOC}`") };
    Ok((alloc.typed(&*caller)?, value.len().try_into()?))
}

/// Writes a value, and where it is and how long to where the guest looks for it.
fn answer(
    caller: &mut Caller<'_, BlockState>,
    memory: Memory,
    at: i32,
    value: &[u8],
    to: i32,
) -> Result<i32> {
    let bytes = memory.data_mut(&mut *caller);
    write(bytes, at, value, ALLOC)?;
    let place = [at.to_le_bytes(), (value.len() as u32).to_le_bytes()].concat();
    write(bytes, to, &place, "the place for the answer")?;
    Ok(1)
}

/// The functions by which a guest reads the store. The first parameter is the index of the store.
fn reads(linker: &mut Linker<BlockState>, when: When, calls: Calls) -> Result<()> {
    let (get, has) = when.functions();
    let wanted = move |ordinal, key| Wanted { when, ordinal, key };
    // Those that ask as of an ordinal have it as a parameter more.
    match (when, calls) {
        (When::At, Calls::Blocking) => linker.func_wrap(
            "state",
            get,
            move |mut caller: Caller<'_, BlockState>,
                  _: i32,
                  ordinal: i64,
                  key: i32,
                  length: i32,
                  to: i32| { wanted(ordinal, (key, length)).get(&mut caller, to) },
        )?,
        (When::At, Calls::Futures) => linker.func_wrap_async(
            "state",
            get,
            move |mut caller: Caller<'_, BlockState>,
                  (_, ordinal, key, length, to): (i32, i64, i32, i32, i32)| {
                Box::new(async move { wanted(ordinal, (key, length)).get_async(&mut caller, to).await })
            },
        )?,
        (_, Calls::Blocking) => linker.func_wrap(
            "state",
            get,
            move |mut caller: Caller<'_, BlockState>, _: i32, key: i32, length: i32, to: i32| {
                wanted(0, (key, length)).get(&mut caller, to)
            },
        )?,
        (_, Calls::Futures) => linker.func_wrap_async(
            "state",
            get,
            move |mut caller: Caller<'_, BlockState>, (_, key, length, to): (i32, i32, i32, i32)| {
                Box::new(async move { wanted(0, (key, length)).get_async(&mut caller, to).await })
            },
        )?,
    };
    match when {
        When::At => linker.func_wrap(
            "state",
            has,
            move |mut caller: Caller<'_, BlockState>, _: i32, ordinal: i64, key: i32, length: i32| {
                wanted(ordinal, (key, length)).is_there(&mut caller)
            },
        )?,
        When::First | When::Last => linker.func_wrap(
            "state",
            has,
            move |mut caller: Caller<'_, BlockState>, _: i32, key: i32, length: i32| {
                wanted(0, (key, length)).is_there(&mut caller)
            },
        )?,
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::workload::host::{Shared, Store};

    fn set(state: &mut BlockState, ordinal: i64, value: &str) -> Result<()> {
        let put = |_: Option<&[u8]>| Ok(Put::Value(value.as_bytes().into()));
        change(state, "set", ordinal, b"key", value.as_bytes(), put)
    }

    fn read(state: &mut BlockState, when: When, ordinal: i64) -> Option<String> {
        let found = when.value(state, ordinal, b"key");
        found.map(|value| String::from_utf8(value.into()).expect("what was set"))
    }

    #[test]
    fn a_store_is_read_as_of_before_as_of_an_ordinal_and_as_it_is() {
        for before in [None, Some("before")] {
            let stored = before.map(|value| (Box::from(*b"key"), Box::from(value.as_bytes())));
            let mut state = BlockState::new(Shared::new(Store::from_iter(stored)));
            state.begin(Arc::from([]));
            for (ordinal, value) in [(3, "three"), (3, "three again"), (7, "seven")] {
                set(&mut state, ordinal, value).unwrap();
            }
            let before = before.map(str::to_owned);
            for (when, ordinal, value) in [
                (When::First, 0, before.clone()),
                (When::At, 2, before),
                (When::At, 3, Some("three again".into())),
                (When::At, 6, Some("three again".into())),
                (When::At, 7, Some("seven".into())),
                (When::Last, 0, Some("seven".into())),
            ] {
                assert_eq!(read(&mut state, when, ordinal), value, "as of {ordinal}");
            }
        }
    }

    #[test]
    fn ordinals_never_go_down() {
        let mut state = BlockState::new(Shared::default());
        set(&mut state, 7, "seven").unwrap();
        let error = set(&mut state, 6, "six").unwrap_err().to_string();
        assert_eq!(error, "set: ordinal 6 comes after 7, and they must not go down");
        assert_eq!(read(&mut state, When::Last, 0), Some("seven".into()));
    }

    #[test]
    fn a_number_is_its_decimals() {
        assert_eq!(number(b"-12").unwrap(), -12);
        for value in [&b""[..], b"1.5", b"9223372036854775808", b"\xff"] {
            assert!(number(value).is_err(), "{value:?}");
        }
    }

    #[test]
    fn bytes_lie_in_the_memory_to_the_last() {
        assert_eq!(part(b"abc", 1, 2).unwrap(), b"bc");
        for (at, length) in [(1, 3), (4, 0), (-1, 1), (0, -1)] {
            assert!(part(b"abc", at, length).is_err(), "{length} at {at}");
        }
    }
}
