use std::sync::Arc;
use std::time::Duration;

use reset_strategies::mutants;
use reset_strategies::pool::{Limits, Pool, Resets};
use reset_strategies::registry;

use super::super::ground::{Ground, defining};
use super::super::times::Stages;
use super::chain::Tip;
use super::*;
use crate::protocol::Spec;
use crate::protocol::policy::Policy;
use crate::protocol::schedule::VIEWS;
use crate::protocol::staging::stage;
use crate::workload::Workload;
use crate::workload::filled::Filled;
use crate::workload::host::{Metashrew, Shared as HostStore, Spoken, View};

/// An indexer with a view; both count in memory how often they were called, and make that part of what they say.
///
/// A block of 8 bytes stores under `k` three times the old value and its own last word, a shorter one traps. The view answers
/// with the value, traps where its request is 0, and flushes what no store may ever hold.
const GUEST: &str = r#"(module
  (import "env" "__host_len" (func $length (result i32)))
  (import "env" "__load_input" (func $load (param i32)))
  (import "env" "__get" (func $get (param i32 i32)))
  (import "env" "__flush" (func $flush (param i32)))
  (memory (export "memory") 1)
  ;; A flush of `k` with a value of four bytes, the key, and an answer of eight bytes: each behind its length.
  (data (i32.const 1020) "\09\00\00\00\0a\01k\0a\04")
  (data (i32.const 1100) "\01\00\00\00k")
  (data (i32.const 1200) "\08\00\00\00")
  (func $count (result i32)
    (i32.store (i32.const 4096) (i32.add (i32.load (i32.const 4096)) (i32.const 1)))
    (i32.load (i32.const 4096)))
  (func (export "_start")
    (drop (call $count))
    (if (i32.ne (call $length) (i32.const 8)) (then unreachable))
    (call $load (i32.const 2048))
    (call $get (i32.const 1104) (i32.const 1300))
    (i32.store (i32.const 1029)
      (i32.add (i32.load (i32.const 4096))
        (i32.add (i32.load (i32.const 2052)) (i32.mul (i32.load (i32.const 1300)) (i32.const 3)))))
    (call $flush (i32.const 1024)))
  (func (export "view") (result i32)
    (i32.store (i32.const 1208) (call $count))
    (call $load (i32.const 2048))
    (if (i32.eqz (i32.load8_u (i32.const 2052))) (then unreachable))
    (call $get (i32.const 1104) (i32.const 1204))
    (call $flush (i32.const 1024))
    (i32.const 1204)))"#;

const CALLS: usize = 2_000;

/// A ground for the guest, and what is right on it.
struct Laid {
    _folder: tempfile::TempDir,
    ground: Arc<Ground>,
    expected: Expected,
}

fn laid(strategy: &str) -> Laid {
    let folder = tempfile::tempdir().unwrap();
    let module: Arc<[u8]> = wat::parse_str(GUEST).unwrap().into();
    let block = |height: u8| Arc::from([0, 0, 0, 0, height + 1, 0, 0, 0]);
    let blocks: Vec<Arc<[u8]>> = (0..6).map(block).collect();
    let workload = Workload {
        name: "test/crowd".into(),
        category: "view".into(),
        summary: String::new(),
        abi: Spoken::views(&module, &["view".into()]).unwrap(),
        trace: (0..3).map(|request| View::request(0, 6, &[request]).into()).collect(),
        heights: None,
        store: Default::default(),
        filled: Some(Filled::by(module.clone(), Spoken::Metashrew(Metashrew), blocks.clone())),
        module,
        threads: 1,
        params: Default::default(),
    };
    let staged = stage(folder.path(), &workload).unwrap();
    let script = Some(script());
    let spec = Spec { script, ..Spec::new(strategy, &workload, &staged, Duration::from_secs(10)) };
    let ground = Arc::new(Ground::lay(&spec, registry::find, &mut Stages::here()).unwrap());
    let expected = Expected::compute(&ground, Branches::of(blocks)).unwrap();
    Laid { _folder: folder, ground, expected }
}

fn script() -> Script {
    Script { schedule: Schedule::Concurrent, blocks: CALLS, seed: 5, policy: Policy::Every }
}

impl Laid {
    fn run(&self, house: &House, isolated: bool) -> Verified {
        Crowd { house, expected: &self.expected, isolated }.run(&script()).unwrap()
    }

    /// The difference that a pool of views leads to.
    fn with(&self, views: Pool<crate::workload::host::BlockState>) -> Option<String> {
        self.run(&House::of(&self.ground, views).unwrap(), true).difference
    }
}

#[test]
fn every_answer_and_every_store_is_that_of_a_quiet_run() {
    for strategy in ["fresh/relink", "fresh/pooling-scan", "copy/full", "adaptive/hot-cold", "control/oracle"]
    {
        let laid = laid(strategy);
        let verified = laid.run(&House::open(&laid.ground).unwrap(), true);
        assert_eq!(verified.difference, None, "{strategy}");
        assert!(verified.blocks > CALLS as u64, "{strategy}: {} with the indexer's", verified.blocks);
    }
}

#[test]
fn what_is_expected_depends_on_height_branch_and_request() {
    let laid = laid("copy/full");
    let answer = |branch, height, request: usize| &laid.expected.at(Tip { branch, height }).answers[request];
    assert_ne!(answer(0, 1, 1), answer(0, 2, 1));
    assert_ne!(answer(0, 4, 1), answer(1, 4, 1), "the fork is at 3");
    assert_eq!(answer(0, 3, 1), answer(1, 3, 1));
    assert!(answer(0, 1, 0).outcome.to_string().starts_with("trapped"), "{:?}", answer(0, 1, 0));
}

#[test]
fn pools_that_lend_what_was_not_reset_are_caught() {
    let laid = laid("dirty/pagemap-scan");
    for (name, resets) in [
        ("pool/never-resets", Resets::Inline),
        ("pool/before-its-reset", Resets::AtCheckout),
        ("pool/after-trap", Resets::Inline),
    ] {
        let mutant = mutants::pools().iter().find(|mutant| mutant.name() == name).unwrap();
        let state = laid.ground.state(&HostStore::default());
        let (plan, linker) = (laid.ground.plan.clone(), laid.ground.linker().unwrap());
        let limits = Limits::most(VIEWS as usize).resets(resets);
        let views = Pool::mutant(mutant, plan, &laid.ground.module, &linker, state, limits).unwrap();
        let found = laid.with(views).unwrap_or_else(|| panic!("{name} is not caught"));
        assert!(found.contains("where a fresh instance"), "{name}: {found}");
    }
}

#[test]
fn a_preview_that_writes_to_the_store_of_others_is_caught() {
    let laid = laid("copy/full");
    let found = laid.run(&House::open(&laid.ground).unwrap(), false).difference;
    assert!(found.is_some(), "a preview changed what others read, and nobody noticed");
}

#[test]
fn a_view_whose_flush_reaches_the_store_is_caught() {
    let laid = laid("copy/full");
    let define = defining(Spoken::Metashrew(Metashrew), laid.ground.spec.host.calls);
    let mut linker = wasmtime::Linker::new(laid.ground.module.engine());
    define(&mut linker, &laid.ground.module).unwrap();
    let state = laid.ground.state(&HostStore::default());
    let (plan, hooks) = (laid.ground.plan.clone(), laid.ground.hooks());
    let views =
        Pool::new(plan, &laid.ground.module, &linker, state, hooks, Limits::most(VIEWS as usize)).unwrap();
    let found = laid.with(views).expect("a view has written to the store, and nobody noticed");
    assert!(found.contains("fresh instance") || found.contains("has written"), "{found}");
}
