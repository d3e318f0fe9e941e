//! Commit policies: what each really commits, what the guest sees of it, and that a reset still brings everything back.

#[path = "common/sound.rs"]
mod sound;

use reset_strategies::commit::{self, Error, Policy};
use reset_strategies::contract::State;
use reset_strategies::module::Facts;
use reset_strategies::{Options, Plan, Session, Strategy, registry};
use wasmtime::{Caller, Linker, Module};

const MIB: u64 = 1 << 20;

/// Much less than a whole memory, so that the tests may run side by side.
const BYTES: u64 = 32 * MIB;

/// By how many wasm pages each block of a session grows: what a policy has committed becomes visible little by little.
const GROWTH: [i32; 14] = [1, 1, 1, 1, 1, 1, 20, 20, 5, 40, 3, 0, 120, 7];

/// Grows by as many pages as the host says, counts those of the OS that are not blank, and writes to each; and to what it
/// had.
const GUEST: &str = r#"
(module
  (import "env" "pages" (func $pages (result i32)))
  (memory (export "memory") 3)
  (data (i32.const 70000) "initial")
  (global $stale (export "stale") (mut i32) (i32.const 0))
  (func (export "_start")
    (local $at i32)
    (i32.store (i32.const 70000) (i32.const -1))
    (local.set $at (memory.grow (call $pages)))
    (if (i32.lt_s (local.get $at) (i32.const 0)) (then (return)))
    (local.set $at (i32.mul (local.get $at) (i32.const 65536)))
    (block $end
      (loop $pages
        (br_if $end (i32.ge_u (local.get $at) (i32.mul (memory.size) (i32.const 65536))))
        (if (i32.load (local.get $at))
          (then (global.set $stale (i32.add (global.get $stale) (i32.const 1)))))
        (i32.store (local.get $at) (i32.const 7))
        (local.set $at (i32.add (local.get $at) (i32.const 4096)))
        (br $pages))))
  (func (export "size") (result i32) memory.size)
  (func (export "touch") (result i32)
    (i32.store (i32.const 9437184) (i32.const 7))
    (i32.load (i32.const 9437184)))
  (func (export "beyond") (result i32) (i32.load (i32.const 1048576))))
"#;

/// A session whose host state is the number of pages to grow by.
fn start(strategy: &str, policy: &Policy) -> Session<i32> {
    let strategy: &'static Strategy = registry::find(strategy).unwrap();
    let wasm = wat::parse_str(GUEST).unwrap();
    let wasm = policy.module(&wasm, BYTES).unwrap();
    let plan = Plan::new(strategy, &wasm, Options::default()).unwrap();
    let engine = plan.engine().unwrap();
    let module = Module::new(&engine, plan.wasm()).unwrap();
    let mut linker = Linker::new(&engine);
    linker.func_wrap("env", "pages", |caller: Caller<'_, i32>| *caller.data()).unwrap();
    plan.start(&module, &linker, || 5).unwrap()
}

fn call(session: &mut Session<i32>, name: &str) -> Option<i32> {
    let instance = session.instance().unwrap();
    let store = &mut session.store_mut().unwrap();
    instance.get_typed_func::<(), i32>(&mut *store, name).unwrap().call(store, ()).ok()
}

/// Pages that the last block found to hold something where it grew.
fn stale(session: &mut Session<i32>) -> Option<i32> {
    let instance = session.instance().unwrap();
    let store = &mut session.store_mut().unwrap();
    instance.get_global(&mut *store, "stale").unwrap().get(store).i32()
}

fn state(session: &mut Session<i32>) -> State {
    let facts = Facts::read(&wat::parse_str(GUEST).unwrap()).unwrap();
    let instance = session.instance().unwrap();
    State::read(&facts, instance, session.store_mut().unwrap())
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
fn a_reset_brings_everything_back_after_any_policy_however_blocks_grow() {
    let mut committed = 0;
    for strategy in sound::sound_in_place() {
        for policy in available() {
            let mut session = start(strategy.name(), policy);
            match policy.commit(&mut session, BYTES) {
                Ok(_) => committed += 1,
                // The strategy does not keep its memory, or cannot track what the policy makes of it, and says so.
                Err(Error::Lost { .. }) => continue,
                Err(error) => panic!("{strategy} + {policy}: {error}"),
            }
            let fresh = state(&mut session);
            let size = call(&mut session, "size");
            for (block, pages) in GROWTH.into_iter().enumerate() {
                *session.store_mut().unwrap().data_mut() = pages;
                session.execute().unwrap_or_else(|e| panic!("{strategy} + {policy}, block {block}: {e}"));
                assert_eq!(stale(&mut session), Some(0), "{strategy} + {policy}, block {block}: stale pages");
                session.reset().unwrap();
                let difference = fresh.first_difference(&state(&mut session));
                assert_eq!(difference, None, "{strategy} + {policy}, block {block}");
                assert_eq!(call(&mut session, "size"), size, "{strategy} + {policy}, block {block}");
            }
        }
    }
    assert!(committed >= 30, "only {committed} were committed");
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
fn reserved_huge_pages_are_tracked_or_refused() {
    if let Err(reason) = commit::HUGETLB.available() {
        eprintln!("NOT TESTED HERE: hugetlb: {reason}");
        return;
    }
    let mut refused = Vec::new();
    for strategy in sound::sound_in_place() {
        let mut session = start(strategy.name(), &commit::HUGETLB);
        let committed = match commit::HUGETLB.commit(&mut session, BYTES) {
            Ok(_) => true,
            Err(Error::Lost { reason, .. }) => {
                refused.extend(reason.contains("reserved huge pages").then_some(strategy.name()));
                false
            }
            Err(error) => panic!("{strategy}: {error}"),
        };
        // Nothing has happened to one that refuses.
        let fresh = state(&mut session);
        for block in 0..10 {
            session.execute().unwrap();
            assert_eq!(call(&mut session, "touch"), committed.then_some(7), "{strategy}");
            let done = session.reset();
            done.unwrap_or_else(|e| panic!("{strategy}: {:?}", std::error::Error::source(&e)));
            assert_eq!(fresh.first_difference(&state(&mut session)), None, "{strategy}, block {block}");
        }
    }
    refused.retain(|name| *name != "dirty/soft-dirty");
    assert_eq!(refused, ["adaptive/hot-cold"]);
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
