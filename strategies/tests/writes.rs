//! Random writes over many blocks: pages that are written always, in turns, hardly ever, or again after a long time,
//! in what a memory begins with and in what it grows by.
//!
//! A strategy that learns decides by what blocks did before, so that a page which it loses track of may take a long
//! history to show. Only the guest looks at pages, before it writes to them and at some that it spares: looking touches
//! pages, too.

#[path = "common/sound.rs"]
mod sound;

use std::collections::{BTreeMap, VecDeque};
use std::iter;
use std::sync::{Arc, Mutex};

use rand::rngs::ChaCha8Rng;
use rand::seq::{IndexedRandom, IteratorRandom};
use rand::{RngExt, SeedableRng};
use reset_strategies::contract::State;
use reset_strategies::{Options, Plan, Strategy};
use wasmtime::{Linker, Module};

/// Histories for each strategy that learns, and for each of the others, for which one block is like the next.
const HISTORIES: [u64; 2] = [60, 8];

/// Blocks of each.
const BLOCKS: u32 = 50;

const PAGE: i32 = 4096;

/// Pages that the memory has at first, and pages that it grows by: a huge page and more, wherever it lies.
const FIRST: i32 = 256;
const GROWN: i32 = 1280;

/// An address where the guest traps.
const BEYOND: i32 = i32::MAX - 2 * PAGE + 1;

/// The host says what to do next: look at a page (its address and 1), look at it and write to it (its address), grow by a
/// wasm page (-1), or end (0). A page is looked at in its first and its last word: 9 in page 5, which is the image, else 0.
const GUEST: &str = r#"
(module
  (import "env" "next" (func $next (result i32)))
  (memory (export "memory") 16)
  (data (i32.const 20480) "\09\00\00\00")
  (data (i32.const 24572) "\09\00\00\00")
  (func (export "_start")
    (local $at i32) (local $look i32) (local $clean i32)
    (loop $work
      (local.set $at (call $next))
      (if (i32.eq (local.get $at) (i32.const -1)) (then (drop (memory.grow (i32.const 1))) (br $work)))
      (local.set $look (i32.and (local.get $at) (i32.const 1)))
      (local.set $at (i32.and (local.get $at) (i32.const -2)))
      (if (local.get $at) (then
        (local.set $clean (select (i32.const 9) (i32.const 0) (i32.eq (local.get $at) (i32.const 20480))))
        (if (i32.ne (i32.load (local.get $at)) (local.get $clean)) (then unreachable))
        (if (i32.ne (i32.load offset=4092 (local.get $at)) (local.get $clean)) (then unreachable))
        (br_if $work (local.get $look))
        (i32.store (local.get $at) (i32.const 7))
        (i32.store offset=4092 (local.get $at) (i32.const 7))
        (br $work))))))
"#;

/// What blocks of one kind write.
struct Habit {
    /// Always.
    pages: Vec<i32>,
    /// Hardly ever.
    spared: Vec<i32>,
}

impl Habit {
    /// Of a random part of the memory, so many pages in a hundred are spared.
    fn new(random: &mut ChaCha8Rng) -> Self {
        let (start, end) = match random.random_range(0..3) {
            0 => (1, random.random_range(2..FIRST)),
            1 => (FIRST, FIRST + random.random_range(2..GROWN)),
            _ => (random.random_range(1..FIRST), FIRST + GROWN),
        };
        let spared = *[0, 1, 5, 50, 95].choose(random).unwrap();
        let (spared, pages) = (start..end).partition(|_| random.random_range(0..100) < spared);
        Self { pages, spared }
    }
}

/// The blocks of a history, each as what the host says.
fn history(seed: u64) -> Vec<VecDeque<i32>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let habits: Vec<_> = (0..4).map(|_| Habit::new(&mut random)).collect();
    // Whether the guest looks at pages that it spares.
    let curious = random.random();
    // For a while blocks are of one kind, or of two.
    let (mut active, mut until) = (0..1, 0);
    let mut blocks = Vec::new();
    for block in 0..BLOCKS {
        if block == until {
            let first = random.random_range(0..habits.len() - 1);
            active = first..first + random.random_range(1..=2);
            until = block + random.random_range(5..30);
        }
        let habit = &habits[random.random_range(active.clone())];
        // Pages, and whether each is written or only looked at.
        let mut pages = BTreeMap::new();
        if !random.random_ratio(1, 20) {
            pages.extend(habit.pages.iter().map(|&page| (page, true)));
        }
        if curious {
            pages.extend(habit.spared.iter().map(|&page| (page, false)));
        }
        if random.random_ratio(1, 4) {
            let some = random.random_range(1..8);
            pages.extend(habit.spared.iter().sample(&mut random, some).into_iter().map(|&page| (page, true)));
        }
        if random.random_ratio(1, 12) {
            pages.insert(random.random_range(1..FIRST + GROWN), true);
        }
        let grown = pages.last_key_value().map_or(0, |(last, _)| (last + 1 - FIRST).max(0));
        let grow = iter::repeat_n(-1, ((grown + 15) / 16) as usize);
        let pages = pages.into_iter().map(|(page, write)| page * PAGE + i32::from(!write));
        let trap = random.random_ratio(1, 20).then_some(BEYOND);
        blocks.push(grow.chain(pages).chain(trap).chain([0]).collect());
    }
    blocks
}

/// Runs a history under a strategy; returns whether that learns.
fn run(strategy: &'static Strategy, wasm: &[u8], seed: u64) -> bool {
    let plan = Plan::new(strategy, wasm, Options::default()).unwrap();
    let engine = plan.engine().unwrap();
    let module = Module::new(&engine, plan.wasm()).unwrap();
    let script = Arc::new(Mutex::new(VecDeque::new()));
    let mut linker = Linker::new(&engine);
    let next = Arc::clone(&script);
    linker.func_wrap("env", "next", move || next.lock().unwrap().pop_front().unwrap_or(0)).unwrap();
    let mut session = plan.start(&module, &linker, || ()).unwrap();
    let instance = session.instance().unwrap();
    let fresh = State::read(plan.facts(), instance, session.store_mut().unwrap());
    for (block, said) in history(seed).into_iter().enumerate() {
        let traps = said.contains(&BEYOND);
        *script.lock().unwrap() = said;
        let executed = session.execute();
        // It traps there, having done all else; a page that is not clean makes it trap before.
        let left = script.lock().unwrap().len();
        let as_said = executed.is_err() == traps && left == usize::from(traps);
        assert!(as_said, "{strategy}, history {seed}, block {block}: {executed:?}");
        session.reset().unwrap();
    }
    let instance = session.instance().unwrap();
    let difference = fresh.first_difference_in(plan.facts(), instance, session.store_mut().unwrap());
    assert_eq!(difference, None, "{strategy}, history {seed}");
    !session.learned().is_empty()
}

#[test]
fn whatever_was_written_or_spared_before_a_reset_forgets_it() {
    let wasm = wat::parse_str(GUEST).unwrap();
    let [many, few] = HISTORIES;
    for strategy in sound::sound_in_place() {
        let learns = run(strategy, &wasm, 0);
        for seed in 1..if learns { many } else { few } {
            run(strategy, &wasm, seed);
        }
    }
}
