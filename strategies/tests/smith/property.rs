//! The property: whatever a random module did in random calls, after a reset it answers as a fresh instance does, and
//! its state is the same.

use arbitrary::Unstructured;
use reset_strategies::contract::{Edges, State};
use reset_strategies::module::{Facts, Item};
use reset_strategies::{Error, Options, Plan, Strategy, registry};
use wasmtime::{AsContextMut, Config, Engine, Instance, Linker, Module, OptLevel, Store, Val, ValType};

use crate::common::{self, Answer, Compiled, Host};

/// What became of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It held for so many calls under each strategy.
    Held { calls: usize },
    /// No in-place strategy runs the module.
    Refused { reason: String },
    /// No instance could be made, or it has no function to call.
    Inert,
}

/// Fuel of one call: enough to go round a loop some hundred times. A fill of the whole memory costs no more than one.
pub const FUEL: u64 = 2_000;

/// Fuel of an instantiation, start function included: sessions give it as much as it wants, so that a module whose start
/// function does not end must not come so far.
const START_FUEL: u64 = 1_000_000;

/// The most that a memory may grow to, in bytes.
pub const MEMORY: usize = 1 << 20;

/// Calls in each sequence.
const CALLS: u64 = 8;

/// One call: the arguments follow from the seed.
#[derive(Clone, Debug)]
pub struct Call {
    pub function: String,
    seed: u64,
}

impl Call {
    /// The arguments for parameters of these types.
    pub fn arguments(&self, params: &[ValType]) -> Vec<Val> {
        let mut random = Random(self.seed);
        params.iter().map(|ty| random.value(ty)).collect()
    }
}

/// What bytes decode to.
pub struct Case {
    pub wasm: Vec<u8>,
    pub facts: Facts,
    /// For whatever else there is to decide.
    pub random: Random,
}

/// An answer, and the fuel that is left: it tells apart what took another way to the same answer.
type Told = (Answer, u64);

/// Makes a module from `bytes`; `None` where they are too few.
///
/// # Errors
/// When it is no module after all.
pub fn case(bytes: &[u8]) -> Result<Option<Case>, String> {
    let Some((seed, bytes)) = bytes.split_first_chunk() else { return Ok(None) };
    let mut random = Random(u64::from_le_bytes(*seed));
    let Ok(module) = wasm_smith::Module::new(shape(&mut random), &mut Unstructured::new(bytes)) else {
        return Ok(None);
    };
    let wasm = module.to_bytes();
    let facts = Facts::read(&wasm).map_err(|error| error.to_string())?;
    Ok(Some(Case { wasm, facts, random }))
}

/// Makes a module and calls from `bytes` and checks the property under `strategies`.
///
/// # Errors
/// Where it does not hold.
pub fn check(bytes: &[u8], strategies: &[&'static Strategy]) -> Result<Checked, String> {
    let Some(Case { wasm, facts, mut random }) = case(bytes)? else { return Ok(Checked::Inert) };
    let plan = match Plan::new(registry::find("copy/full").unwrap(), &wasm, options()) {
        Ok(plan) => plan,
        Err(Error::Refused { reason, .. }) => return Ok(Checked::Refused { reason }),
        Err(error) => return Err(error.to_string()),
    };
    let first = Sequence::random(&facts, &mut random);
    let second = Sequence::random(&facts, &mut random);
    let engine = engine();
    let mut compiled = Compiled::default();
    let module = compiled.module(&engine, plan.wasm()).map_err(|error| format!("rewritten: {error:?}"))?;
    let Some(mut guest) = Guest::new(&engine, &module) else { return Ok(Checked::Inert) };
    if first.0.is_empty() {
        return Ok(Checked::Inert);
    }
    let fresh = guest.state(&facts);
    let first_told = guest.run(&first);
    let Some(mut guest) = Guest::new(&engine, &module) else { return Err("no second instance".into()) };
    let second_told = guest.run(&second);
    let second_state = guest.state(&facts);
    drop(guest);
    let segments = facts.data.iter().chain(&facts.elements);
    if segments.clone().any(|segment| segment.passive && segment.dropped.is_some()) {
        rewritten_answers_as_the_original(&engine, &wasm, &first, &first_told)?;
    }

    let looker = random.below(strategies.len() as u64) as usize;
    for (index, strategy) in strategies.iter().enumerate() {
        let fails = |what: String| format!("{strategy}: {what}");
        let plan = Plan::new(strategy, &wasm, options()).map_err(|error| fails(error.to_string()))?;
        let engine = plan.engine().map_err(|error| fails(error.to_string()))?;
        let module = compiled.module(&engine, plan.wasm()).map_err(|error| fails(error.to_string()))?;
        let linker = Linker::new(&engine);
        let mut session = match plan.start_with(&module, &linker, || Host::new(MEMORY), Host::hooks()) {
            Ok(session) => session,
            // What a limiter has allowed a start function cannot be asked again.
            Err(Error::Refused { reason, .. }) => return Ok(Checked::Refused { reason }),
            Err(error) => return Err(fails(error.to_string())),
        };
        // Looking at the state touches every page, which could hide that one was overlooked: the first resets are
        // judged by answers only.
        for (sequence, told, state) in [
            (&first, &first_told, None),
            (&second, &second_told, Some(&second_state)),
            (&first, &first_told, None),
        ] {
            let instance = session.instance().map_err(|error| fails(error.to_string()))?;
            same(
                sequence,
                told,
                &sequence.run(session.store_mut().map_err(|error| fails(error.to_string()))?, instance),
            )
            .map_err(fails)?;
            if let Some(state) = state {
                let store = session.store_mut().map_err(|error| fails(error.to_string()))?;
                if let Some(difference) = state.first_difference_in(&facts, instance, store) {
                    return Err(fails(format!("after equal calls, {difference}")));
                }
            }
            session.reset().map_err(|error| fails(error.to_string()))?;
        }
        let instance = session.instance().map_err(|error| fails(error.to_string()))?;
        if let Some(difference) = fresh.first_difference_in(
            &facts,
            instance,
            session.store_mut().map_err(|error| fails(error.to_string()))?,
        ) {
            return Err(fails(format!("after a reset, {difference}")));
        }
        if index == looker {
            let _ = session.store_mut().map_err(|error| fails(error.to_string()))?.set_fuel(FUEL);
            let edges =
                Edges::of(&facts, instance, session.store_mut().map_err(|error| fails(error.to_string()))?)
                    .map_err(|error| fails(error.to_string()))?;
            let difference = edges.first_difference(
                &fresh,
                session.store_mut().map_err(|error| fails(error.to_string()))?,
                3,
            );
            if let Some(difference) = difference.map_err(|error| fails(error.to_string()))? {
                return Err(fails(format!("beyond the size, {difference}")));
            }
            session.reset().map_err(|error| fails(error.to_string()))?;
            let instance = session.instance().map_err(|error| fails(error.to_string()))?;
            if let Some(difference) = fresh.first_difference_in(
                &facts,
                instance,
                session.store_mut().map_err(|error| fails(error.to_string()))?,
            ) {
                return Err(fails(format!("after growing and a reset, {difference}")));
            }
        }
    }
    Ok(Checked::Held { calls: 2 * first.0.len() + second.0.len() })
}

/// What modules look like: small, closed, with as many kinds of state as there are.
fn shape(random: &mut Random) -> wasm_smith::Config {
    wasm_smith::Config {
        max_imports: 0,
        min_types: 6,
        max_types: 20,
        max_type_size: 100_000,
        min_funcs: 3,
        max_funcs: 10,
        min_globals: 2,
        max_globals: 12,
        max_tags: 4,
        // Half of them hide what is not exported by chance.
        export_everything: random.below(2) == 0,
        min_exports: 6,
        min_memories: 1,
        max_memories: 3,
        max_memory32_bytes: 1 << 18,
        max_memory64_bytes: 1 << 18,
        memory_max_size_required: true,
        min_tables: 1,
        max_tables: 4,
        max_table_elements: 100,
        max_data_segments: 8,
        max_element_segments: 8,
        gc_enabled: random.below(4) == 0,
        allow_start_export: random.below(4) == 0,
        threads_enabled: false,
        ..wasm_smith::Config::default()
    }
}

pub fn options() -> Options {
    Options { configure: &configure, entry: None, ..Options::default() }
}

fn configure(config: &mut Config) {
    config.consume_fuel(true);
    // Compilation is most of the time.
    config.cranelift_opt_level(OptLevel::None).parallel_compilation(false);
    config.wasm_backtrace_max_frames(None);
}

/// Plain wasmtime, but for one setting that goes into compiled code and lets sessions load the same.
pub fn engine() -> Engine {
    let mut config = Config::new();
    configure(&mut config);
    config.memory_init_cow(false);
    Engine::new(&config).expect("a valid configuration")
}

/// A fresh instance of plain wasmtime.
pub struct Guest {
    store: Store<Host>,
    instance: Instance,
}

impl Guest {
    /// `None` where it cannot be made, or its start function does not end.
    pub fn new(engine: &Engine, module: &Module) -> Option<Self> {
        let mut store = Store::new(engine, Host::new(MEMORY));
        store.set_fuel(START_FUEL).expect("fuel is counted");
        let instance = Instance::new(&mut store, module, &[]).ok()?;
        Host::limit(&mut store);
        Some(Self { store, instance })
    }

    fn run(&mut self, sequence: &Sequence) -> Vec<Told> {
        sequence.run(&mut self.store, self.instance)
    }

    fn state(&mut self, facts: &Facts) -> State {
        State::read(facts, self.instance, &mut self.store)
    }
}

pub struct Sequence(pub Vec<Call>);

impl Sequence {
    pub fn random(facts: &Facts, random: &mut Random) -> Self {
        let functions: Vec<_> = facts.exports.iter().filter(|export| export.item == Item::Function).collect();
        let calls = if functions.is_empty() { 0 } else { CALLS };
        let call = |_| {
            let function = functions[random.below(functions.len() as u64) as usize].name.clone();
            Call { function, seed: random.next() }
        };
        Self((0..calls).map(call).collect())
    }

    fn run(&self, mut store: impl AsContextMut<Data = Host>, instance: Instance) -> Vec<Told> {
        let store = &mut store.as_context_mut();
        let run = |call: &Call| {
            store.set_fuel(FUEL).expect("fuel is counted");
            let answer = common::call(store, instance, &call.function, |_, params| call.arguments(params));
            (answer, store.get_fuel().expect("fuel is counted"))
        };
        self.0.iter().map(run).collect()
    }
}

fn same(sequence: &Sequence, expected: &[Told], found: &[Told]) -> Result<(), String> {
    match (0..expected.len()).find(|&at| expected[at] != found[at]) {
        None => Ok(()),
        Some(at) => {
            let (call, found, expected) = (&sequence.0[at], &found[at], &expected[at]);
            Err(format!("call {at}, {call:?}, gives {found:?} instead of {expected:?}"))
        }
    }
}

/// Rewriting must not show, other than in the fuel and the stack that it takes.
fn rewritten_answers_as_the_original(
    engine: &Engine,
    wasm: &[u8],
    sequence: &Sequence,
    told: &[Told],
) -> Result<(), String> {
    let module = Module::new(engine, wasm).map_err(|error| format!("original: {error:?}"))?;
    let mut guest = Guest::new(engine, &module).ok_or("the original does not instantiate")?;
    let exhausted =
        |answer: &Answer| matches!(answer, Err(trap) if trap == "OutOfFuel" || trap == "StackOverflow");
    for ((call, (original, _)), (rewritten, _)) in sequence.0.iter().zip(guest.run(sequence)).zip(told) {
        if exhausted(&original) || exhausted(rewritten) {
            break;
        }
        if original != *rewritten {
            return Err(format!("{call:?} gives {rewritten:?} when rewritten, and {original:?} before"));
        }
    }
    Ok(())
}

/// SplitMix64 (Steele, Lea and Flood, 2014): seeds need no preparation, and no crate is needed for it.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// Small numbers are addresses and lengths that are within bounds; large ones are not.
    fn number(&mut self) -> u64 {
        let number = self.next();
        match self.below(4) {
            0 => number % 16,
            1 => number % (1 << 17),
            2 => (number % 16).wrapping_neg(),
            _ => number,
        }
    }

    fn value(&mut self, ty: &ValType) -> Val {
        match ty {
            ValType::I32 => Val::I32(self.number() as i32),
            ValType::I64 => Val::I64(self.number().cast_signed()),
            ValType::F32 => Val::F32(self.number() as u32),
            ValType::F64 => Val::F64(self.number()),
            ValType::V128 => Val::V128((u128::from(self.number()) << 64 | u128::from(self.number())).into()),
            // Where null is not allowed the call is an error, and has to be the same one.
            ValType::Ref(ty) => Val::null_ref(ty.heap_type()),
        }
    }
}
