use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use reset_strategies::registry;

use super::*;
use crate::protocol::staging;
use crate::workload::Workload;

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
        trace: trace.iter().map(|block| Arc::from(*block)).collect(),
        heights: None,
        store: Default::default(),
        threads: 1,
        params: Default::default(),
    };
    let staged = staging::stage(folder.path(), &workload).unwrap();
    let spec = Spec::new(strategy, &workload, &staged, LIMIT);
    let mut stages = Stages::here();
    let ground = Arc::new(Ground::lay(&spec, registry::find, &mut stages).unwrap());
    Laid { _folder: folder, cell: Cell::on(&ground, &mut stages).unwrap() }
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
        let observed = laid.cell.observe(0, input, None).unwrap();
        holder.join().unwrap();
        assert_eq!(observed.outcome, Outcome::Completed, "{strategy}");
    }
}

#[test]
fn a_block_that_executes_for_ever_times_out() {
    for strategy in ["fresh/relink", "copy/full"] {
        let mut laid = laid(strategy, HANGS, &[b"block"]);
        let observed = laid.cell.observe(0, Arc::from([]), None).unwrap();
        assert_eq!(observed.outcome, Outcome::TimedOut, "{strategy}");
        laid.cell.session.reset().unwrap();
        let observed = laid.cell.observe(1, Arc::from(*b"block"), None).unwrap();
        assert_eq!(observed.outcome, Outcome::Completed, "{strategy}: the next block has its own time");
    }
}
