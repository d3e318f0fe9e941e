//! The guest: it asks the host for each step, so that one compiled module runs every history.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use reset_strategies::contract::State;
use reset_strategies::module::Facts;
use reset_strategies::{Options, Plan, Strategy, registry};
use wasmtime::{
    AsContext, AsContextMut, Caller, Engine, Error, Instance, Linker, Memory, Module, Result, Store,
    format_err,
};

use super::input::{Does, End, Shape, Step};

pub const WASM_PAGE: usize = 1 << 16;
const PAGE: usize = 1 << 12;
const HUGE_PAGE: usize = 1 << 21;

/// The host's state for a block: what is to be done in it.
#[derive(Default)]
pub struct Host {
    steps: Vec<Step>,
    next: usize,
    end: Option<End>,
    /// What the guest was told to grow, and the step that said so.
    growing: Option<Step>,
}

impl Host {
    pub fn of(steps: &[Step], end: End) -> Self {
        Self { steps: steps.to_vec(), next: 0, end: Some(end), growing: None }
    }

    /// Whether everything was done, but for the way it ends.
    pub fn is_done(&self) -> bool {
        self.next == self.steps.len()
    }
}

/// What the guest is told: an operation, a memory, and three operands.
type Told = (i32, i32, i32, i32, i32);

const END: Told = (0, 0, 0, 0, 0);
const FILL: i32 = 1;
const TOUCH: i32 = 2;
const READ: i32 = 3;
const GROW: i32 = 4;
const COPY: i32 = 5;
const ACROSS: i32 = 6;
const UNREACHABLE: Told = (7, 0, 0, 0, 0);

/// A module of that shape; operations are those above.
fn module(shape: Shape) -> Vec<u8> {
    let memories = if shape.two_memories { 2 } else { 1 };
    let first = if shape.large {
        // Not blank from the second to the last but one wasm page.
        r#"(memory (export "memory 0") 64 512)
           (start $fill)
           (func $fill (memory.fill (i32.const 65536) (i32.const 9) (i32.const 4063232)))"#
    } else {
        r#"(memory (export "memory 0") 3 512)
           (data (i32.const 4090) "a run that lies on two pages")
           (data (i32.const 131072) "\09")"#
    };
    let second = if shape.two_memories {
        r#"(memory (export "memory 1") 2 64) (data (memory 1) (i32.const 70000) "second")"#
    } else {
        ""
    };
    let across = if shape.two_memories {
        "(memory.copy 1 0 (local.get $a) (local.get $b) (local.get $c))"
    } else {
        ""
    };
    let does: String = (0..memories)
        .map(|m| {
            format!(
                r#"(func $do{m} (param $op i32) (param $a i32) (param $b i32) (param $c i32) (result i32)
                  (if (i32.eq (local.get $op) (i32.const {FILL}))
                    (then (memory.fill {m} (local.get $a) (local.get $b) (local.get $c))))
                  (if (i32.eq (local.get $op) (i32.const {TOUCH})) (then (loop $more
                    (i32.store8 {m} (local.get $a) (local.get $b))
                    (local.set $a (i32.add (local.get $a) (i32.const {PAGE})))
                    (br_if $more (local.tee $c (i32.sub (local.get $c) (i32.const 1)))))))
                  (if (i32.eq (local.get $op) (i32.const {READ})) (then (loop $more
                    (global.set $read (i32.add (global.get $read) (i32.load8_u {m} (local.get $a))))
                    (local.set $a (i32.add (local.get $a) (i32.const {PAGE})))
                    (br_if $more (local.tee $c (i32.sub (local.get $c) (i32.const 1)))))))
                  (if (i32.eq (local.get $op) (i32.const {GROW}))
                    (then (return (memory.grow {m} (local.get $a)))))
                  (if (i32.eq (local.get $op) (i32.const {COPY}))
                    (then (memory.copy {m} {m} (local.get $a) (local.get $b) (local.get $c))))
                  (if (i32.eq (local.get $op) (i32.const {ACROSS})) (then {across}))
                  (i32.const 0))
                (func (export "load {m}") (param i32) (result i32) (i32.load8_u {m} (local.get 0)))"#
            )
        })
        .collect();
    let last = memories - 1;
    let text = format!(
        r#"(module
          (import "env" "next" (func $next (param i32) (result i32 i32 i32 i32 i32)))
          {first} {second}
          (global $read (mut i32) (i32.const 1))
          {does}
          (func (export "_start")
            (local $op i32) (local $m i32) (local $a i32) (local $b i32) (local $c i32) (local $result i32)
            (loop $work
              (call $next (local.get $result))
              (local.set $c) (local.set $b) (local.set $a) (local.set $m) (local.set $op)
              (if (i32.eq (local.get $op) (i32.const {})) (then unreachable))
              (if (local.get $op) (then
                (local.set $result (if (result i32) (local.get $m)
                  (then (call $do{last} (local.get $op) (local.get $a) (local.get $b) (local.get $c)))
                  (else (call $do0 (local.get $op) (local.get $a) (local.get $b) (local.get $c)))))
                (br $work))))))"#,
        UNREACHABLE.0
    );
    wat::parse_str(text).expect("a guest of our own")
}

/// What the guest does next.
fn next(mut caller: Caller<'_, Host>, result: i32) -> Result<Told> {
    if let Some(step) = caller.data_mut().growing.take() {
        let Does::Grow { pages } = step.does else { return Err(format_err!("only growing is asked about")) };
        let memory = memory(&mut caller, step.memory)?;
        let size = memory.size(&caller);
        if result < 0 {
            let most = memory.ty(&caller).maximum().unwrap_or(u64::MAX);
            if size + u64::from(pages) <= most {
                return Err(format_err!(
                    "growing from {size} by {pages} wasm pages failed, {most} are allowed"
                ));
            }
        } else {
            let old = result as usize * WASM_PAGE;
            if step.value & 1 == 1
                && let Some(at) = first_byte(&memory.data(&caller)[old..])
            {
                return Err(format_err!(
                    "after growing by {pages} wasm pages, byte {} is not zero",
                    old + at
                ));
            }
            if step.value != 0 {
                let touched = pages as usize * WASM_PAGE / PAGE;
                return Ok((TOUCH, step.memory.into(), old as i32, step.value.into(), touched as i32));
            }
        }
    }
    loop {
        let host = caller.data_mut();
        let Some(step) = host.steps.get(host.next).copied() else {
            return match host.end {
                Some(End::Unreachable) => Ok(UNREACHABLE),
                Some(End::OutOfBounds) => Ok((TOUCH, 0, -1, 1, 1)),
                Some(End::HostError) => Err(format_err!("the host's own error")),
                Some(End::Return) | None => Ok(END),
            };
        };
        host.next += 1;
        let memory = memory(&mut caller, step.memory)?;
        if step.is_host() {
            by_host(step, memory, &mut caller);
            continue;
        }
        let m = i32::from(step.memory);
        let size = memory.data_size(&caller);
        let (at, bytes) = within(step, size);
        let a = at as i32;
        let length = bytes as i32;
        let pages = bytes.div_ceil(PAGE) as i32;
        return Ok(match step.does {
            Does::Fill => (FILL, m, a, step.value.into(), length),
            // The last page of a range may be begun only.
            Does::Touch => (TOUCH, m, a, step.value.into(), pages),
            Does::Read => (READ, m, a, 0, pages),
            Does::Grow { pages } => {
                caller.data_mut().growing = Some(step);
                (GROW, m, pages as i32, 0, 0)
            }
            Does::Copy { from } => {
                let from = from as usize % size;
                (COPY, m, a, from as i32, bytes.min(size - from) as i32)
            }
            Does::Across { from } => {
                // From the first to the second, whichever the step names.
                let [source, target] = [0, 1].map(|index| self::memory(&mut caller, index));
                let [source, target] = [source?.data_size(&caller), target?.data_size(&caller)];
                let (at, bytes) = within(step, target);
                let from = from as usize % source;
                (ACROSS, m, at as i32, from as i32, bytes.min(source - from) as i32)
            }
            Does::HostFill | Does::Advise { .. } | Does::Collapse => unreachable!("the host's"),
        });
    }
}

/// Where a step begins and how long it is, in a memory of that size, which is not 0.
fn within(step: Step, size: usize) -> (usize, usize) {
    let at = step.at as usize % size;
    (at, (step.bytes as usize).min(size - at))
}

fn memory(caller: &mut Caller<'_, Host>, index: u8) -> Result<Memory> {
    let found = |name: &str, caller: &mut Caller<'_, Host>| caller.get_export(name)?.into_memory();
    let name = if index == 0 { "memory 0" } else { "memory 1" };
    found(name, caller).or_else(|| found("memory 0", caller)).ok_or_else(|| format_err!("no memory"))
}

/// The memory of that index, or the first.
pub fn memory_of(instance: Instance, mut store: impl AsContextMut, index: u8) -> Memory {
    let second = (index != 0).then(|| instance.get_memory(&mut store, "memory 1")).flatten();
    second.or_else(|| instance.get_memory(&mut store, "memory 0")).expect("a guest of our own")
}

/// What the host does, in a block or around it.
pub fn by_host(step: Step, memory: Memory, mut store: impl AsContextMut) {
    let size = memory.data_size(&store);
    let (at, bytes) = within(step, size);
    match step.does {
        Does::HostFill => memory.data_mut(&mut store)[at..at + bytes].fill(step.value),
        Does::Collapse => {
            let base = memory.data_ptr(&store).addr();
            let start = ((base + at) & !(HUGE_PAGE - 1)).max(base.next_multiple_of(HUGE_PAGE)) - base;
            if start + HUGE_PAGE <= size {
                advise(memory, &store, start, HUGE_PAGE, libc::MADV_COLLAPSE);
            }
        }
        Does::Advise { advice: libc::MADV_HUGEPAGE, .. } => {
            advise(memory, &store, at & !(PAGE - 1), bytes, libc::MADV_HUGEPAGE);
        }
        Does::Advise { advice, stride } => {
            for page in (at & !(PAGE - 1)..at + bytes).step_by(PAGE * stride as usize) {
                advise(memory, &store, page, PAGE, advice);
            }
        }
        _ => {}
    }
}

/// Where the kernel refuses an advice, nothing has happened.
fn advise(memory: Memory, store: &impl AsContext, at: usize, bytes: usize, advice: i32) {
    let kept = [libc::MADV_COLLAPSE, libc::MADV_COLD, libc::MADV_PAGEOUT, libc::MADV_HUGEPAGE];
    assert!(kept.contains(&advice) && at + bytes <= memory.data_size(store));
    // SAFETY: the range lies within the memory, and these advices change no byte (madvise(2)).
    unsafe { libc::madvise(memory.data_ptr(store).add(at).cast(), bytes, advice) };
}

/// Where the first byte is that is not 0.
pub fn first_byte(bytes: &[u8]) -> Option<usize> {
    static ZEROS: [u8; PAGE] = [0; PAGE];
    let page = bytes.chunks(PAGE).position(|page| page != &ZEROS[..page.len()])?;
    bytes[page * PAGE..].iter().position(|byte| *byte != 0).map(|at| page * PAGE + at)
}

/// The guest, compiled for a strategy.
pub struct Compiled {
    pub plan: Plan<'static>,
    pub module: Module,
    pub linker: Linker<Host>,
}

type Key = (&'static str, Shape);

/// The guest of that shape for a strategy: compiled once for all inputs.
pub fn compiled(strategy: &'static Strategy, shape: Shape) -> Result<&'static Compiled> {
    static ALL: LazyLock<Mutex<HashMap<Key, &'static Compiled>>> = LazyLock::new(Mutex::default);
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(compiled) = all.get(&(strategy.name(), shape)) {
        return Ok(compiled);
    }
    let wasm = module(shape);
    let plan = Plan::new(strategy, &wasm, Options::default()).map_err(Error::new)?.into_owned();
    let engine = plan.engine().map_err(Error::new)?;
    let module = Module::new(&engine, plan.wasm())?;
    let mut linker = Linker::new(&engine);
    linker.func_wrap("env", "next", next)?;
    let compiled: &Compiled = Box::leak(Box::new(Compiled { plan, module, linker }));
    all.insert((strategy.name(), shape), compiled);
    Ok(compiled)
}

type Fresh = &'static (Facts, State);

/// The state of a fresh instance of plain wasmtime, whose first memory has grown to so many wasm pages.
pub fn fresh(shape: Shape, pages: u64) -> Result<Fresh> {
    static ALL: LazyLock<Mutex<HashMap<(Shape, u64), Fresh>>> = LazyLock::new(Mutex::default);
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(fresh) = all.get(&(shape, pages)) {
        return Ok(fresh);
    }
    let wasm = module(shape);
    let copy = registry::find("copy/full").expect("a registered name");
    let plan = Plan::new(copy, &wasm, Options::default()).map_err(Error::new)?;
    let engine = Engine::default();
    let module = Module::new(&engine, plan.wasm())?;
    let mut linker = Linker::new(&engine);
    linker.func_wrap("env", "next", next)?;
    let mut store = Store::new(&engine, Host::default());
    let instance = linker.instantiate(&mut store, &module)?;
    let memory = memory_of(instance, &mut store, 0);
    let missing = pages.saturating_sub(memory.size(&store));
    memory.grow(&mut store, missing)?;
    let state = State::read(plan.facts(), instance, &mut store);
    let fresh: Fresh = Box::leak(Box::new((plan.facts().clone(), state)));
    all.insert((shape, pages), fresh);
    Ok(fresh)
}
