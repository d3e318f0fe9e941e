//! The functions by which a handler reads the store.

use wasmtime::{Caller, Extern, Linker, Memory, Result, TypedFunc, bail};

use super::super::state::Change;
use super::super::{BlockState, memory};
use super::{ALLOC, part, write};
use crate::hosts::Calls;

/// The functions for all times.
pub(super) fn define(linker: &mut Linker<BlockState>, calls: Calls) -> Result<()> {
    for when in [When::At, When::First, When::Last] {
        reads(linker, when, calls)?;
    }
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
            None => store.get(key).map(Box::from),
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
    use crate::workload::host::substreams::changes::{Put, change};
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
    fn a_block_begins_its_ordinals_anew_where_no_reset_comes_before_it() {
        let mut state = BlockState::new(Shared::default());
        set(&mut state, 7, "seven").unwrap();
        state.begin(Arc::from([]));
        set(&mut state, 6, "six").unwrap();
        assert_eq!(read(&mut state, When::First, 0), Some("seven".into()));
    }

    #[test]
    fn ordinals_never_go_down() {
        let mut state = BlockState::new(Shared::default());
        set(&mut state, 7, "seven").unwrap();
        let error = set(&mut state, 6, "six").unwrap_err().to_string();
        assert_eq!(error, "set: ordinal 6 comes after 7, and they must not go down");
        assert_eq!(read(&mut state, When::Last, 0), Some("seven".into()));
    }
}
