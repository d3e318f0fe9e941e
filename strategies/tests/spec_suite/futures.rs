//! The suite where calls are futures, and the guest waits again and again.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use reset_strategies::contract::State;
use reset_strategies::module::{Facts, Item};
use reset_strategies::{Error, Options, Plan, Strategy, registry};
use wasmtime::{Config, Engine, Instance, Module, RootScope, StoreContextMut, ValType};

use super::script::{Action, Case, cases};
use super::{Host, MEMORY, common, configure, expected, files, linker, perform};
use crate::common::Answer;

/// Fuel after which a guest waits.
const INTERVAL: u64 = 1_000;

/// One that copies, one that tracks, and one that learns: the calls are the same for all.
const STRATEGIES: [&str; 3] = ["copy/full", "dirty/pagemap-scan", "adaptive/hot-cold"];

/// Runs what is done to a module.
async fn performed(
    store: &mut StoreContextMut<'_, Host>,
    instance: Instance,
    actions: &[Action],
) -> Vec<Answer> {
    let mut answers = Vec::new();
    for action in actions {
        answers.push(match action {
            Action::Get { .. } => perform(&mut *store, instance, std::slice::from_ref(action)).remove(0),
            Action::Call { function, args } => {
                let values = |scope: &mut RootScope<&mut StoreContextMut<'_, Host>>, params: &[ValType]| {
                    args.iter().zip(params).map(|(arg, ty)| arg.value(&mut *scope, ty)).collect()
                };
                match common::prepared(store, instance, function, values) {
                    Ok((function, mut scope, args, mut results)) => {
                        let ended = function.call_async(&mut scope, &args, &mut results).await;
                        common::answer(ended, &results, scope)
                    }
                    Err(none) => Err(none),
                }
            }
        });
    }
    answers
}

fn counting(config: &mut Config) {
    configure(config);
    config.consume_fuel(true);
}

/// Runs the actions and resets three times; says where that was not as in a fresh instance.
async fn run(strategy: &'static Strategy, case: &Case, fresh: &[Answer]) -> Result<Option<String>, Error> {
    let options = Options {
        configure: &counting,
        entry: None,
        fuel_async_yield_interval: Some(INTERVAL),
        ..Options::default()
    };
    let plan = Plan::new(strategy, &case.wasm, options)?;
    let engine = plan.engine()?;
    let module = Module::new(&engine, plan.wasm()).expect("it has run before");
    let state = || Host::new(MEMORY);
    let mut session = plan.start_async_with(&module, &linker(&engine), state, Host::hooks()).await?;
    let instance = session.instance()?;
    let begins = State::read(plan.facts(), instance, session.store_mut()?);
    for round in ["before", "after", "after"] {
        let instance = session.instance()?;
        let found = performed(&mut session.store_mut()?, instance, &case.actions).await;
        if let Some(at) = (0..fresh.len()).find(|&at| found[at] != fresh[at]) {
            let (action, found, fresh) = (&case.actions[at], &found[at], &fresh[at]);
            return Ok(Some(format!("{action:?} gives {found:?} {round} a reset, and {fresh:?} when fresh")));
        }
        session.reset_async().await?;
    }
    let instance = session.instance()?;
    let difference = begins.first_difference_in(plan.facts(), instance, session.store_mut()?);
    Ok(difference.map(|difference| difference.to_string()))
}

#[test]
fn every_module_answers_in_futures_as_when_it_was_fresh() {
    let sound = common::sound_in_place();
    let strategies = STRATEGIES.map(|name| registry::find(name).unwrap());
    let strategies =
        strategies.into_iter().filter(|strategy| sound.iter().any(|s| s.name() == strategy.name()));
    let strategies: Vec<_> = strategies.collect();
    let mut config = Config::new();
    configure(&mut config);
    let engine = Engine::new(&config).unwrap();
    let (mut runs, mut waits) = (0, 0);
    for case in files().flat_map(|file| cases(&file)) {
        let Ok(facts) = Facts::read(&case.wasm) else { continue };
        let alone = |import: &reset_strategies::module::Import| {
            import.module == "spectest" && import.item == Item::Function
        };
        if !facts.imports.iter().all(alone) {
            continue;
        }
        let Some(fresh) = expected(&engine, &case) else { continue };
        for strategy in &strategies {
            let mut future = pin!(run(strategy, &case, &fresh));
            let ended = loop {
                match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(ended) => break ended,
                    Poll::Pending => waits += 1,
                }
            };
            match ended {
                Ok(difference) => assert_eq!(difference, None, "{}, {strategy}", case.name),
                Err(Error::Refused { .. }) => break,
                Err(error) => panic!("{}, {strategy}: {error}", case.name),
            }
            runs += 1;
        }
    }
    println!("{runs} runs of modules under {} strategies, which waited {waits} times", strategies.len());
    assert!(runs > 1_000 * strategies.len() && waits > 1_000, "{runs} runs, {waits} waits");
}
