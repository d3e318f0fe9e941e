//! What the tests that compare answers share.

mod compiled;
mod sound;

pub use compiled::Compiled;
pub use sound::sound_in_place;

use reset_strategies::Hooks;
use wasmtime::{
    AsContextMut, Func, Instance, Ref, ResourceLimiter, RootScope, Store, StoreLimits, StoreLimitsBuilder,
    ThrownException, Trap, Val, ValType,
};

/// A refusal without its indices: the same construct at another place is the same reason.
pub fn kind(reason: &str) -> String {
    let mut kind: Vec<_> = reason.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect();
    kind.dedup_by(|a, b| (*a, *b) == ('#', '#'));
    kind.into_iter().collect()
}

/// What a call gave: its results, or how it failed. References are told apart as far as the host can.
pub type Answer = Result<Vec<String>, String>;

/// The host's state: nothing but a limit on memory, since a full copy writes what the guest grew.
pub struct Host {
    limits: StoreLimits,
}

impl Host {
    /// Memories grow to so many bytes at most.
    pub fn new(memory: usize) -> Self {
        Self { limits: StoreLimitsBuilder::new().memory_size(memory).build() }
    }

    /// Puts the limits into force.
    pub fn limit(store: &mut Store<Self>) {
        store.limiter(Self::limiter);
    }

    /// The same for each store of a session.
    pub fn hooks() -> Hooks<Self> {
        Hooks { limiter: Some(Self::limiter), ..Hooks::default() }
    }

    fn limiter(&mut self) -> &mut dyn ResourceLimiter {
        &mut self.limits
    }
}

/// Calls an export with the arguments that `args` makes for its parameters.
pub fn call<'a, C: AsContextMut<Data = Host>>(
    store: &'a mut C,
    instance: Instance,
    name: &str,
    args: impl FnOnce(&mut RootScope<&'a mut C>, &[ValType]) -> Vec<Val>,
) -> Answer {
    let (function, mut scope, args, mut results) = prepared(store, instance, name, args)?;
    let ended = function.call(&mut scope, &args, &mut results);
    answer(ended, &results, scope)
}

/// A call that is ready to be made: the function, where its values live, its arguments, and room for its results.
pub type Prepared<'a, C> = (Func, RootScope<&'a mut C>, Vec<Val>, Vec<Val>);

/// Makes a call ready.
///
/// # Errors
/// When there is no such function.
pub fn prepared<'a, C: AsContextMut<Data = Host>>(
    store: &'a mut C,
    instance: Instance,
    name: &str,
    args: impl FnOnce(&mut RootScope<&'a mut C>, &[ValType]) -> Vec<Val>,
) -> Result<Prepared<'a, C>, String> {
    let function = instance.get_func(&mut *store, name).ok_or("no such function")?;
    let mut scope = RootScope::new(store);
    let ty = function.ty(&scope);
    let params: Vec<_> = ty.params().collect();
    let args = args(&mut scope, &params);
    let results = vec![Val::I32(0); ty.results().len()];
    Ok((function, scope, args, results))
}

/// What a call gave that has ended.
pub fn answer(ended: wasmtime::Result<()>, results: &[Val], mut store: impl AsContextMut) -> Answer {
    match ended {
        Ok(()) => Ok(results.iter().map(|value| described(value, &mut store)).collect()),
        Err(error) if error.is::<ThrownException>() => Err("exception".into()),
        Err(error) => {
            Err(error.downcast_ref::<Trap>().map_or_else(|| error.to_string(), |trap| format!("{trap:?}")))
        }
    }
}

/// A value in words.
pub fn described(value: &Val, mut store: impl AsContextMut) -> String {
    let reference = match value {
        // As bits, so that NaNs compare.
        Val::I32(_) | Val::I64(_) | Val::F32(_) | Val::F64(_) | Val::V128(_) => return format!("{value:?}"),
        reference => reference.ref_().expect("all that is no number"),
    };
    match reference {
        null if null.is_null() => "null".into(),
        Ref::Func(Some(function)) => format!("function of type {}", function.ty(&store)),
        Ref::Extern(Some(host)) => match host.data(&store) {
            Ok(Some(data)) => format!("host reference {:?}", data.downcast_ref::<u32>()),
            _ => "host reference".into(),
        },
        Ref::Any(Some(any)) => match any.as_i31(&mut store) {
            Ok(Some(number)) => format!("number {}", number.get_i32()),
            _ if any.is_struct(&store).unwrap_or(false) => "struct".into(),
            _ => "array or host reference".into(),
        },
        _ => "a reference".into(),
    }
}
