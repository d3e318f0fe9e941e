//! Commit policies: what each really commits, what the guest sees of it, and that a reset still brings everything back.

use reset_strategies::commit::{self, Error, Policy};
use reset_strategies::contract::State;
use reset_strategies::module::Facts;
use reset_strategies::{Availability, Options, Plan, Session, Strategy, registry};
use wasmtime::{Linker, Module};

const MIB: u64 = 1 << 20;

/// Much less than a whole memory, so that the tests may run side by side.
const BYTES: u64 = 64 * MIB;

/// Grows by five pages, and writes to what it had and to what it got.
const GUEST: &str = r#"
(module
  (memory (export "memory") 3)
  (data (i32.const 70000) "initial")
  (func (export "_start")
    (local $page i32)
    (i32.store (i32.const 70000) (i32.const -1))
    (local.set $page (memory.grow (i32.const 5)))
    (if (i32.ge_s (local.get $page) (i32.const 0)) (then
      (if (i32.load (i32.mul (local.get $page) (i32.const 65536))) (then unreachable))
      (i32.store (i32.mul (local.get $page) (i32.const 65536)) (i32.const 99)))))
  (func (export "size") (result i32) memory.size)
  (func (export "beyond") (result i32) (i32.load (i32.const 1048576))))
"#;

fn start(strategy: &str, policy: &Policy) -> Session<()> {
    let strategy: &'static Strategy = registry::find(strategy).unwrap();
    let wasm = wat::parse_str(GUEST).unwrap();
    let wasm = policy.module(&wasm, BYTES).unwrap();
    let plan = Plan::new(strategy, &wasm, Options::default()).unwrap();
    let engine = plan.engine().unwrap();
    let module = Module::new(&engine, plan.wasm()).unwrap();
    plan.start(&module, &Linker::new(&engine), || ()).unwrap()
}

fn call(session: &mut Session<()>, name: &str) -> Option<i32> {
    let instance = session.instance();
    let store = session.store_mut();
    instance.get_typed_func::<(), i32>(&mut *store, name).unwrap().call(store, ()).ok()
}

fn state(session: &mut Session<()>) -> State {
    let facts = Facts::read(&wat::parse_str(GUEST).unwrap()).unwrap();
    let instance = session.instance();
    State::read(&facts, instance, session.store_mut())
}

/// The policies whose mechanisms are here; says which are not.
fn available() -> impl Iterator<Item = &'static Policy> {
    commit::all().iter().copied().filter(|policy| match policy.available() {
        Ok(()) => true,
        Err(reason) => {
            eprintln!("NOT TESTED HERE: {policy}: {reason}");
            false
        }
    })
}

#[test]
fn each_policy_commits_what_it_says() {
    let mut tested = 0;
    for policy in available() {
        let mut session = start("copy/full", policy);
        let done = policy.commit(&mut session, BYTES).unwrap_or_else(|e| panic!("{policy}: {e}"));
        assert_eq!(done.asked_bytes, BYTES, "{policy}");
        match policy.name() {
            "lazy" | "module-min-max" => assert_eq!(done.resident_bytes, 0, "{policy}"),
            "touch-wasm-page" => {
                let page = reset_strategies::sys::page::size() as u64;
                // One page of every wasm page, and the three that the guest has.
                let expected = (BYTES >> 16) * page + 3 * ((1 << 16) - page);
                assert_eq!(done.resident_bytes, expected, "{policy}");
            }
            _ => assert_eq!(done.resident_bytes, BYTES, "{policy}"),
        }
        tested += 1;
    }
    assert!(tested >= 10, "only {tested} policies could be tested");
}

#[test]
fn the_guest_sees_what_is_called_visible_and_nothing_else() {
    let mut plain = start("copy/full", &commit::LAZY);
    let fresh = state(&mut plain);
    for policy in available() {
        let mut session = start("copy/full", policy);
        policy.commit(&mut session, BYTES).unwrap_or_else(|e| panic!("{policy}: {e}"));
        let difference = fresh.first_difference(&state(&mut session));
        assert_eq!(difference.is_some(), policy.is_visible(), "{policy}: {difference:?}");
        let beyond = call(&mut session, "beyond");
        assert_eq!(beyond.is_some(), policy.is_visible(), "{policy} reads beyond a memory of three pages");
    }
}

#[test]
fn a_reset_brings_everything_back_after_any_policy() {
    for strategy in ["copy/full", "dirty/pagemap", "dirty/pagemap-scan", "dirty/uffd-wp", "dirty/soft-dirty"]
    {
        if let Availability::Unavailable { reason } = registry::find(strategy).unwrap().availability() {
            eprintln!("NOT TESTED HERE: {strategy}: {reason}");
            continue;
        }
        for policy in available() {
            let mut session = start(strategy, policy);
            policy.commit(&mut session, BYTES).unwrap_or_else(|e| panic!("{strategy} + {policy}: {e}"));
            let fresh = state(&mut session);
            let size = call(&mut session, "size");
            for block in 0..3 {
                // The guest itself traps when a page that it grows by is not blank.
                session.execute().unwrap_or_else(|e| panic!("{strategy} + {policy}, block {block}: {e}"));
                session.reset().unwrap();
                let difference = fresh.first_difference(&state(&mut session));
                assert_eq!(difference, None, "{strategy} + {policy}, block {block}");
                assert_eq!(call(&mut session, "size"), size, "{strategy} + {policy}, block {block}");
            }
        }
    }
}

#[test]
fn what_was_committed_stays_so_after_a_reset() {
    let mut session = start("dirty/pagemap", &commit::POPULATE_THP);
    if let Err(reason) = commit::POPULATE_THP.available() {
        eprintln!("NOT TESTED HERE: {reason}");
        return;
    }
    commit::POPULATE_THP.commit(&mut session, BYTES).unwrap();
    session.execute().unwrap();
    session.reset().unwrap();
    // Committing again finds everything there: as much as was asked, at no cost.
    let again = commit::TOUCH_WASM_PAGE.commit(&mut session, BYTES).unwrap();
    assert_eq!(again.resident_bytes, BYTES);
}

#[test]
fn memory_that_is_given_back_is_not_committed() {
    for (strategy, reason) in
        [("fresh/relink", "drops its memory after each block"), ("remap/madvise", "gives its pages back")]
    {
        let mut session = start(strategy, &commit::TOUCH_OS_PAGE);
        let error = commit::TOUCH_OS_PAGE.commit(&mut session, BYTES).unwrap_err();
        assert!(matches!(error, Error::Lost { .. }), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
        commit::LAZY.commit(&mut session, BYTES).unwrap();
    }
}

#[test]
fn the_canary_refuses_what_no_machine_has_in_words() {
    let shortage = commit::CANARY.preflight(1 << 60).unwrap_err();
    let message = shortage.to_string();
    assert!(message.contains("are needed") && message.contains("leaves"), "{message}");
    let mut session = start("copy/full", &commit::CANARY);
    let error = commit::CANARY.commit(&mut session, 1 << 60).unwrap_err();
    assert!(matches!(error, Error::Shortage(_)), "{error}");
    // Nothing has happened to the session.
    session.execute().unwrap();
    session.reset().unwrap();
    assert_eq!(call(&mut session, "size"), Some(3));
}
