//! Soft-dirty bits belong to the whole process: who else clears them, or loses them.
//!
//! Each test runs in a process of its own, where no other test has a session.

#[path = "common/child.rs"]
mod child;

use std::error::Error as _;
use std::fs;

use reset_strategies::contract::State;
use reset_strategies::{Availability, Error, Options, Plan, Session, registry};
use wasmtime::{Linker, Module};

/// Two memories, both of which are written.
const GUEST: &str = r#"
(module
  (memory $a (export "a") 64)
  (memory $b (export "b") 64)
  (data (memory $a) (i32.const 70000) "initial")
  (data (memory $b) (i32.const 70000) "initial")
  (func (export "_start")
    (drop (memory.grow $a (i32.const 64)))
    (memory.fill $a (i32.const 0) (i32.const 7) (i32.const 8388608))
    (memory.fill $b (i32.const 0) (i32.const 7) (i32.const 4194304))))
"#;

/// Whether there are soft-dirty bits here; says so if there are none.
fn available() -> bool {
    match registry::find("dirty/soft-dirty").unwrap().availability() {
        Availability::Available => true,
        Availability::Unavailable { reason } => {
            eprintln!("NOT TESTED HERE: dirty/soft-dirty: {reason}");
            false
        }
    }
}

fn start() -> Result<(Session<()>, Plan<'static>), Error> {
    let wasm = wat::parse_str(GUEST).unwrap();
    let plan =
        Plan::new(registry::find("dirty/soft-dirty").unwrap(), &wasm, Options::default())?.into_owned();
    let engine = plan.engine()?;
    let module = Module::new(&engine, plan.wasm()).unwrap();
    let session = plan.start(&module, &Linker::new(&engine), || ())?;
    Ok((session, plan))
}

fn state(session: &mut Session<()>, plan: &Plan<'_>) -> State {
    let instance = session.instance().unwrap();
    State::read(plan.facts(), instance, session.store_mut().unwrap())
}

/// What lies behind an error.
fn reason(error: &Error) -> String {
    error.source().map(ToString::to_string).unwrap_or_default()
}

#[test]
fn two_memories_are_brought_back_and_a_second_session_is_refused() {
    if !child::is("two_memories_are_brought_back_and_a_second_session_is_refused") || !available() {
        return;
    }
    let (mut session, plan) = start().unwrap();
    let fresh = state(&mut session, &plan);
    for block in 0..5 {
        session.execute().unwrap();
        if block == 3 {
            let refused = start().map(|_| ()).unwrap_err();
            assert!(refused.to_string().contains("another session of this process"), "{refused}");
        }
        session.reset().unwrap();
        assert_eq!(fresh.first_difference(&state(&mut session, &plan)), None, "block {block}");
    }
    drop(session);
    let (mut session, _) = start().unwrap();
    session.execute().unwrap();
    session.reset().unwrap();
}

#[test]
fn somebody_else_who_clears_the_bits_is_noticed() {
    if !child::is("somebody_else_who_clears_the_bits_is_noticed") || !available() {
        return;
    }
    let (mut session, _) = start().unwrap();
    session.execute().unwrap();
    session.reset().unwrap();
    session.execute().unwrap();
    fs::write("/proc/self/clear_refs", "4").unwrap();
    let error = session.reset().unwrap_err();
    assert!(reason(&error).contains("cleared by somebody else"), "{error}: {}", reason(&error));
}

#[test]
fn a_process_that_asks_for_merging_is_noticed() {
    if !child::is("a_process_that_asks_for_merging_is_noticed") || !available() {
        return;
    }
    let (mut session, _) = start().unwrap();
    session.execute().unwrap();
    session.reset().unwrap();
    // SAFETY: PR_SET_MEMORY_MERGE of prctl(2) takes numbers only.
    if unsafe { libc::prctl(67, 1, 0, 0, 0) } != 0 {
        eprintln!("NOT TESTED HERE: the kernel merges nothing on request");
        return;
    }
    session.execute().unwrap();
    let error = session.reset().unwrap_err();
    assert!(reason(&error).contains("PR_SET_MEMORY_MERGE"), "{error}: {}", reason(&error));
    // As long as it lives, another one is refused for that.
    drop(session);
    let refused = start().map(|_| ()).unwrap_err();
    assert!(reason(&refused).contains("PR_SET_MEMORY_MERGE"), "{refused}: {}", reason(&refused));
}
