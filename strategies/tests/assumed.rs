//! What was measured on a machine can be kept for those like it.

use reset_strategies::sys::zero::{Place, Stores, Tried, Way};
use reset_strategies::track::hot_cold::Costs;
use reset_strategies::{Availability, Options, Plan, registry};
use wasmtime::{Linker, Module};

#[test]
fn what_is_assumed_before_the_first_use_is_not_measured() {
    let costs = Costs { restore_ns: [1.0, 2.0, 3.0, 4.0], fault_ns: 5.0, alone_ns: 6.0, walk_ns: 7.0 };
    assert!(costs.assume());
    // A store that this processor may not have: zeros are written all the same.
    let way = Way { stores: Stores::LineZero, fetching: false, turning: true };
    let tried = Tried { way, page_ns: 8.0 };
    assert!(Place::Near.assume(tried));

    let strategy = registry::find("adaptive/hot-cold").unwrap();
    if let Availability::Unavailable { reason } = strategy.availability() {
        println!("not tested here: {strategy}: {reason}");
        return;
    }
    let wasm = wat::parse_str(
        r#"(module (memory (export "memory") 1)
             (func (export "_start")
               (if (i32.load8_u (i32.const 9)) (then unreachable))
               (i32.store8 (i32.const 9) (i32.const 1))))"#,
    );
    let wasm = wasm.unwrap();
    let plan = Plan::new(strategy, &wasm, Options::default()).unwrap();
    let engine = plan.engine().unwrap();
    let module = Module::new(&engine, plan.wasm()).unwrap();
    let mut session = plan.start(&module, &Linker::new(&engine), || ()).unwrap();
    for block in 0..5 {
        session.execute().unwrap_or_else(|error| panic!("block {block}: {error}"));
        session.reset().unwrap();
    }
    assert_eq!(session.learned().first().map(|learned| learned.costs), Some(costs));
    assert_eq!((*Costs::here(), Place::Near.fastest()), (costs, tried));
    assert!(!costs.assume() && !Place::Near.assume(tried), "too late");
}
