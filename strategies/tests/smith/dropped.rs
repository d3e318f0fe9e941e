//! The property where calls are futures that are dropped half-way: after a reset, the state is a fresh instance's.

use std::pin::pin;

use reset_strategies::contract::State;
use reset_strategies::{Error, Options, Plan, Strategy};
use wasmtime::{Instance, Linker, Module, RootScope, StoreContextMut, Val};

use crate::common::Host;
use crate::polled::{poll, wait};
use crate::property::{Call, Case, FUEL, Guest, MEMORY, Sequence, case, engine, options};

/// Fuel after which a guest waits.
const INTERVAL: u64 = 20;

/// Polls until a future is dropped, at most: a call with all of its fuel waits about as often.
const POLLS: u64 = FUEL / INTERVAL;

/// Makes a module and calls from `bytes`, drops each call somewhere, and returns how many had not ended by then; `None` where
/// there is nothing to call, or no in-place strategy runs the module.
///
/// # Errors
/// Where the property does not hold.
pub fn check(bytes: &[u8], strategies: &[&'static Strategy]) -> Result<Option<usize>, String> {
    let Some(Case { wasm, facts, mut random }) = case(bytes)? else { return Ok(None) };
    let calls = Sequence::random(&facts, &mut random);
    // A start function that does not end would be waited for.
    let plain = engine();
    let original = Module::new(&plain, &wasm).map_err(|error| format!("{error:?}"))?;
    if calls.0.is_empty() || Guest::new(&plain, &original).is_none() {
        return Ok(None);
    }
    let mut dropped = 0;
    for strategy in strategies {
        let fails = |what: String| format!("{strategy}: {what}");
        let failed = |error: Error| fails(error.to_string());
        let options = Options { fuel_async_yield_interval: Some(INTERVAL), ..options() };
        let plan = match Plan::new(strategy, &wasm, options) {
            Err(Error::Refused { .. }) => return Ok(None),
            plan => plan.map_err(failed)?,
        };
        let engine = plan.engine().map_err(failed)?;
        let module = Module::new(&engine, plan.wasm()).map_err(|error| fails(format!("{error:?}")))?;
        let linker = Linker::new(&engine);
        let mut session =
            match wait(plan.start_async_with(&module, &linker, || Host::new(MEMORY), Host::hooks())) {
                Err(Error::Refused { .. }) => return Ok(None),
                session => session.map_err(failed)?,
            };
        let instance = session.instance().map_err(failed)?;
        let fresh = State::read(&facts, instance, session.store_mut().map_err(failed)?);
        for call in &calls.0 {
            let instance = session.instance().map_err(failed)?;
            let mut store = session.store_mut().map_err(failed)?;
            store.set_fuel(FUEL).map_err(|error| fails(error.to_string()))?;
            let polls = random.below(POLLS);
            dropped += usize::from(poll(pin!(made(store, instance, call)), polls).is_none());
            wait(session.reset_async()).map_err(failed)?;
            let instance = session.instance().map_err(failed)?;
            let store = session.store_mut().map_err(failed)?;
            if let Some(difference) = fresh.first_difference_in(&facts, instance, store) {
                return Err(fails(format!("after {call:?}, dropped after {polls} polls, {difference}")));
            }
        }
    }
    Ok(Some(dropped))
}

/// Makes a call, whatever comes of it.
async fn made(mut store: StoreContextMut<'_, Host>, instance: Instance, call: &Call) {
    let function = instance.get_func(&mut store, &call.function).expect("it is exported");
    let mut scope = RootScope::new(&mut store);
    let ty = function.ty(&scope);
    let params: Vec<_> = ty.params().collect();
    let mut results = vec![Val::I32(0); ty.results().len()];
    let _answer = function.call_async(&mut scope, &call.arguments(&params), &mut results).await;
}
