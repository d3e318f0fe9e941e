//! The functions by which a handler changes the store.

use wasmtime::{Caller, Linker, Result, ensure, format_err};

use super::super::state::Change;
use super::super::{BlockState, memory};
use super::part;

/// What becomes of a key.
pub(super) enum Put {
    Value(Box<[u8]>),
    Nothing,
}

/// The functions by which a guest changes the store.
pub(super) fn define(linker: &mut Linker<BlockState>) -> Result<()> {
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
pub(super) fn change(
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
    let old = store.get(key);
    if let Put::Value(new) = put(old)? {
        let old = old.map(Box::from);
        store.insert(key.into(), new);
        changes.push(Change { ordinal, key: key.into(), old });
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
    let removed = store.remove_prefix(prefix).into_iter();
    changes.extend(removed.map(|(key, old)| Change { ordinal, key, old: Some(old) }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_its_decimals() {
        assert_eq!(number(b"-12").unwrap(), -12);
        for value in [&b""[..], b"1.5", b"9223372036854775808", b"\xff"] {
            assert!(number(value).is_err(), "{value:?}");
        }
    }
}
