use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use reset_strategies::registry;

use super::*;
use crate::cell::compare;
use crate::protocol::schedule::{Input, Script};
use crate::protocol::staging;
use crate::protocol::{Reference, Spec, Verified};
use crate::workload::Workload;
use crate::workload::host::Spoken;

/// Flushes nothing, for which it has to have the store, and then computes for a moment.
const WAITS: &str = r#"(module
  (import "env" "__flush" (func $flush (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (local $n i32)
    (call $flush (i32.const 8))
    (local.set $n (i32.const 1000))
    (loop $again
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $again (local.get $n)))))"#;

/// Never ends where the input is empty, and leaves a mark in memory before.
const HANGS: &str = r#"(module
  (import "env" "__host_len" (func $length (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (if (i32.eqz (call $length)) (then
      (i32.store (i32.const 64) (i32.const 7))
      (loop $for-ever (br $for-ever))))))"#;

/// Limit of CPU time.
const LIMIT: Duration = Duration::from_millis(200);

struct Laid {
    _folder: tempfile::TempDir,
    cell: Cell,
}

fn laid(strategy: &str, wat: &str, trace: &[&[u8]]) -> Laid {
    let folder = tempfile::tempdir().unwrap();
    let workload = Workload {
        name: "test/late".into(),
        category: "test".into(),
        summary: String::new(),
        module: wat::parse_str(wat).unwrap().into(),
        abi: Spoken::default(),
        trace: trace.iter().map(|block| Arc::from(*block)).collect(),
        heights: None,
        store: Default::default(),
        filled: None,
        threads: 1,
        params: Default::default(),
    };
    let staged = staging::stage(folder.path(), &workload).unwrap();
    let spec = Spec::new(strategy, &workload, &staged, LIMIT);
    let mut stages = Stages::here();
    let ground = Arc::new(Ground::lay(&spec, registry::find, &mut stages).unwrap());
    Laid { _folder: folder, cell: Cell::on(&ground, &mut stages).unwrap() }
}

/// What fresh instances would come to, were each of these blocks to end so.
fn reference(cell: &Cell, outcomes: &[Outcome]) -> Reference {
    let flushed = host::digest_of_nothing();
    let blocks =
        outcomes.iter().map(|outcome| Observed { outcome: outcome.clone(), flushed: flushed.clone() });
    Reference { blocks: blocks.collect(), store: cell.store_digest() }
}

#[test]
fn a_block_that_does_not_execute_does_not_time_out() {
    for strategy in ["fresh/relink", "copy/full"] {
        let mut laid = laid(strategy, WAITS, &[b"block"]);
        let (store, (held, holds)) = (laid.cell.store.clone(), channel());
        let holder = thread::spawn(move || {
            let guard = store.lock();
            held.send(()).unwrap();
            // The block waits for the store meanwhile, which takes no CPU time.
            thread::sleep(5 * LIMIT);
            drop(guard);
        });
        holds.recv().unwrap();
        let input = laid.cell.trace()[0].clone();
        let observed = laid.cell.observe(0, input, &Step::of(Input::Block(0))).unwrap();
        holder.join().unwrap();
        assert_eq!(observed.outcome, Outcome::Completed, "{strategy}");
    }
}

#[test]
fn a_block_that_executes_for_ever_times_out() {
    for strategy in ["fresh/relink", "copy/full"] {
        let mut laid = laid(strategy, HANGS, &[b"block"]);
        let observed = laid.cell.observe(0, Arc::from([]), &Step::of(Input::Block(0))).unwrap();
        assert_eq!(observed.outcome, Outcome::TimedOut, "{strategy}");
        laid.cell.reset().unwrap();
        let observed = laid.cell.observe(1, Arc::from(*b"block"), &Step::of(Input::Block(0))).unwrap();
        assert_eq!(observed.outcome, Outcome::Completed, "{strategy}: the next block has its own time");
    }
}

#[test]
fn a_block_that_timed_out_is_not_judged() {
    use Outcome::{Completed, TimedOut};
    let verify = |strategy, last: Outcome| -> Verified {
        let mut laid = laid(strategy, HANGS, &[b"block", b"block", b""]);
        let expected = reference(&laid.cell, &[Completed, Completed, last]);
        compare::verify(&mut laid.cell, &Script::in_order(), &expected).unwrap()
    };
    for last in [Completed, TimedOut] {
        let verified = verify("copy/full", last.clone());
        assert_eq!(verified.difference, None, "{last}");
        assert_eq!(verified.blocks, 2, "{last}: what came before was equal");
        let reason = verified.unjudged.unwrap();
        for part in ["block 2 ", "0.2 s of CPU time", "--timeout"] {
            assert!(reason.contains(part), "{last}: {reason}");
        }
    }
    // What the reset after it leaves behind has nothing to do with time.
    let difference = verify("control/none", Completed).difference.unwrap();
    assert!(difference.starts_with("after the reset that follows block 2, "), "{difference}");
}

#[test]
fn the_reference_ends_where_a_block_times_out() {
    let mut laid = laid("fresh/relink", HANGS, &[b"block", b"", b"block"]);
    let observed = compare::observe(&mut laid.cell, &Script::in_order()).unwrap();
    let outcomes: Vec<_> = observed.blocks.into_iter().map(|block| block.outcome).collect();
    assert_eq!(outcomes, [Outcome::Completed, Outcome::TimedOut]);
}

#[test]
fn what_counts_comes_after_a_lead_in_of_whole_traces() {
    let mut laid = laid("copy/full", WAITS, &[b"block", b"another"]);
    let timed = laid.cell.time(3).unwrap();
    assert_eq!((timed.execute.len(), timed.reset.len()), (6, 6));
    let traces = timed.lead_in.len() / 2;
    assert!(
        timed.lead_in.len().is_multiple_of(2) && (1..=MOST_LEAD_IN as usize).contains(&traces),
        "{traces}"
    );
}
