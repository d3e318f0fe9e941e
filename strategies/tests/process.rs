//! What the process around an instance may be like: limited, locked into memory, or deaf to its children.
//!
//! Each test changes what a whole process is like, and so runs in one of its own.

#[path = "common/child.rs"]
mod child;
#[path = "common/sound.rs"]
mod sound;

use std::fs;
use std::io;

use reset_strategies::commit::{self, Error, Policy};
use reset_strategies::contract::State;
use reset_strategies::sys::page;
use reset_strategies::{Availability, Options, Plan, Session, Strategy, registry};
use wasmtime::{Caller, Linker, Module};

const MIB: usize = 1 << 20;

/// What the guest does in a block: grows by so many pages, stores a number at an address, and loads it. Each where the
/// number is not negative.
#[derive(Clone, Copy)]
struct Block {
    grow: i32,
    store: i32,
    load: i32,
}

const NOTHING: Block = Block { grow: -1, store: -1, load: -1 };

const GUEST: &str = r#"
(module
  (import "env" "grow" (func $grow (result i32)))
  (import "env" "store" (func $store (result i32)))
  (import "env" "load" (func $load (result i32)))
  (memory (export "memory") 64)
  (data (i32.const 70000) "initial")
  (global $grown (export "grown") (mut i32) (i32.const 0))
  (global $loaded (export "loaded") (mut i32) (i32.const 0))
  (func (export "_start")
    (if (i32.ge_s (call $grow) (i32.const 0)) (then (global.set $grown (memory.grow (call $grow)))))
    (if (i32.ge_s (call $load) (i32.const 0)) (then (global.set $loaded (i32.load (call $load)))))
    (if (i32.ge_s (call $store) (i32.const 0)) (then (i32.store (call $store) (i32.const 42)))))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "touch") (param i32) (i32.store (local.get 0) (i32.const 42))))
"#;

struct Host {
    session: Session<Block>,
    fresh: State,
    plan: Plan<'static>,
}

impl Host {
    fn start(strategy: &'static Strategy) -> Self {
        let wasm = wat::parse_str(GUEST).unwrap();
        let plan = Plan::new(strategy, &wasm, Options::default()).unwrap().into_owned();
        let engine = plan.engine().unwrap();
        let module = Module::new(&engine, plan.wasm()).unwrap();
        let mut linker = Linker::new(&engine);
        linker.func_wrap("env", "grow", |caller: Caller<'_, Block>| caller.data().grow).unwrap();
        linker.func_wrap("env", "store", |caller: Caller<'_, Block>| caller.data().store).unwrap();
        linker.func_wrap("env", "load", |caller: Caller<'_, Block>| caller.data().load).unwrap();
        let mut session = plan.start(&module, &linker, || NOTHING).unwrap();
        let instance = session.instance().unwrap();
        let fresh = State::read(plan.facts(), instance, session.store_mut().unwrap());
        Self { session, fresh, plan }
    }

    fn execute(&mut self, block: Block) -> wasmtime::Result<()> {
        *self.session.store_mut().unwrap().data_mut() = block;
        self.session.execute()
    }

    fn global(&mut self, name: &str) -> i32 {
        let instance = self.session.instance().unwrap();
        let store = &mut self.session.store_mut().unwrap();
        instance.get_global(&mut *store, name).unwrap().get(store).unwrap_i32()
    }

    fn reset(&mut self, what: &str) {
        self.session.reset().unwrap_or_else(|e| panic!("{what}: {e}: {:?}", std::error::Error::source(&e)));
        let instance = self.session.instance().unwrap();
        let difference =
            self.fresh.first_difference_in(self.plan.facts(), instance, self.session.store_mut().unwrap());
        assert_eq!(difference, None, "{what}");
    }
}

fn limit_data(bytes: libc::rlim_t) {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the kernel reads `limit`, which outlives the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_DATA, &raw const limit) }, 0);
}

/// What RLIMIT_DATA counts, in bytes.
fn data() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmData:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// The policies after which a memory consists of more than one mapping.
fn parting() -> impl Iterator<Item = &'static Policy> {
    [&commit::POPULATE_THP, &commit::MLOCK].into_iter().filter(|policy| match policy.available() {
        Ok(()) => true,
        Err(reason) => {
            eprintln!("NOT TESTED HERE: {policy}: {reason}");
            false
        }
    })
}

#[test]
fn memory_that_could_not_grow_all_the_way_is_out_of_reach() {
    if !child::is("memory_that_could_not_grow_all_the_way_is_out_of_reach") {
        return;
    }
    const COMMITTED: usize = 16 * MIB;
    for strategy in sound::sound_in_place() {
        for policy in parting() {
            let what = format!("{strategy} + {policy}");
            let mut host = Host::start(strategy);
            match policy.commit(&mut host.session, COMMITTED as u64) {
                Ok(_) => {}
                Err(Error::Lost { .. }) => continue,
                Err(error) => panic!("{what}: {error}"),
            }
            // The first wasm page of what is asked for is the last of what was committed: another mapping follows.
            let last = COMMITTED - (1 << 16);
            let beyond = i32::try_from(last).unwrap();
            let to_last = i32::try_from((last >> 16) - 64).unwrap();
            assert_eq!(call_grow(&mut host, to_last), 64, "{what}");
            limit_data(data() + 8 * MIB as u64);
            let grown = call_grow(&mut host, 1024);
            let touched = touch(&mut host, beyond);
            limit_data(libc::RLIM_INFINITY);
            assert_eq!(grown, -1, "{what}: the limit did not hold");
            assert!(touched.is_err(), "{what}: a store beyond the size does not trap");
            host.reset(&what);
            let pages = i32::try_from((COMMITTED >> 16) - 64).unwrap();
            host.execute(Block { grow: pages, load: beyond, ..NOTHING }).unwrap();
            assert_eq!((host.global("grown"), host.global("loaded")), (64, 0), "{what}: the next block");
            host.reset(&what);
        }
    }
}

fn call_grow(host: &mut Host, pages: i32) -> i32 {
    let instance = host.session.instance().unwrap();
    let store = &mut host.session.store_mut().unwrap();
    instance.get_typed_func::<i32, i32>(&mut *store, "grow").unwrap().call(store, pages).unwrap()
}

fn touch(host: &mut Host, at: i32) -> wasmtime::Result<()> {
    let instance = host.session.instance().unwrap();
    let store = &mut host.session.store_mut().unwrap();
    instance.get_typed_func::<i32, ()>(&mut *store, "touch").unwrap().call(store, at)
}

/// Locks all memory that the process has, and all that it will have.
fn lock() -> bool {
    // SAFETY: locking changes no content.
    let locked = unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) } == 0;
    if !locked {
        eprintln!("NOT TESTED HERE: mlockall: {}", io::Error::last_os_error());
    }
    locked
}

/// Resident memory of this process in bytes.
fn resident() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * page::size()
}

/// Runs blocks until pages have been unwritten for so long that they are given back.
fn run_long(host: &mut Host, strategy: &Strategy) {
    for block in 0..1_300 {
        // Each writes to another page.
        let store = (block % 1_200) * 4_096;
        let grow = if store >= 64 << 16 { 64 } else { -1 };
        host.execute(Block { grow, store, load: store }).unwrap();
        assert_eq!(host.global("loaded"), 0, "{strategy}, block {block}");
        if block % 100 == 0 {
            host.reset(&format!("{strategy}, block {block}"));
        } else {
            let done = host.session.reset();
            done.unwrap_or_else(|e| panic!("{strategy}, block {block}: {:?}", std::error::Error::source(&e)));
        }
    }
    host.reset(strategy.name());
}

#[test]
fn all_strategies_work_in_a_process_that_is_locked_into_memory() {
    if !child::is("all_strategies_work_in_a_process_that_is_locked_into_memory") || !lock() {
        return;
    }
    // What is probed in a locked process is there as well: asked first, so that no probe has run before.
    for name in ["copy/full", "dirty/mincore", "remap/madvise", "remap/madvise-cow"] {
        assert_eq!(registry::find(name).unwrap().availability(), Availability::Available, "{name}");
    }
    for strategy in sound::sound_in_place() {
        let before = resident();
        let mut host = Host::start(strategy);
        // Of a reservation of 4 GiB, what the guest can reach is locked, and no more.
        let taken = resident().saturating_sub(before) / MIB;
        assert!(taken < 256, "{strategy}: a memory of 4 MiB takes {taken} MiB");
        run_long(&mut host, strategy);
    }
}

#[test]
fn all_strategies_go_on_in_a_process_that_becomes_locked_into_memory() {
    if !child::is("all_strategies_go_on_in_a_process_that_becomes_locked_into_memory") {
        return;
    }
    let started: Vec<_> = sound::sound_in_place().into_iter().map(|s| (s, Host::start(s))).collect();
    if !lock() {
        return;
    }
    for (strategy, mut host) in started {
        run_long(&mut host, strategy);
    }
}

#[test]
fn the_canary_sings_where_children_are_not_waited_for() {
    if !child::is("the_canary_sings_where_children_are_not_waited_for") {
        return;
    }
    if let Err(reason) = commit::CANARY.available() {
        eprintln!("NOT TESTED HERE: {reason}");
        return;
    }
    // SAFETY: ignoring a signal runs no code of ours.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    let mut host = Host::start(registry::find("copy/full").unwrap());
    let done = commit::CANARY.commit(&mut host.session, 16 * MIB as u64).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(done.resident_bytes, 16 * MIB as u64);
}

#[test]
fn what_was_committed_is_never_given_back() {
    let strategy = registry::find("adaptive/hot-cold").unwrap();
    if let Err(error) = Plan::new(strategy, &wat::parse_str(GUEST).unwrap(), Options::default()) {
        eprintln!("NOT TESTED HERE: {error}");
        return;
    }
    let bytes = 16 * MIB as u64;
    let mut host = Host::start(strategy);
    commit::TOUCH_OS_PAGE.commit(&mut host.session, bytes).unwrap();
    let mut returned = 0;
    for block in 0..1_300 {
        // The first blocks write to what stays unwritten from then on.
        let store = if block < 200 { 4_096 * (block + 1_000) } else { 0 };
        host.execute(Block { grow: 16, store, load: -1 }).unwrap();
        returned += host.session.reset().unwrap().bytes_returned;
    }
    assert_eq!(returned, 0, "bytes were given back");
}

/// A forked child that has every descriptor of this process open for as long as this lives.
struct Holder(libc::pid_t);

impl Holder {
    fn fork() -> Self {
        // SAFETY: the child only waits for a signal, and ends.
        let child = unsafe { libc::fork() };
        if child == 0 {
            loop {
                // SAFETY: waits.
                unsafe { libc::pause() };
            }
        }
        assert!(child > 0, "{}", io::Error::last_os_error());
        Self(child)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // SAFETY: the child is our own, and nobody else waits for it.
        unsafe { (libc::kill(self.0, libc::SIGKILL), libc::waitpid(self.0, std::ptr::null_mut(), 0)) };
    }
}

#[test]
fn what_a_forked_child_holds_does_not_keep_a_session_from_committing() {
    for strategy in sound::sound_in_place() {
        for policy in commit::all().iter().filter(|policy| policy.available().is_ok() && !policy.is_visible())
        {
            let what = format!("{strategy} + {policy}");
            let mut host = Host::start(strategy);
            let _holder = Holder::fork();
            match policy.commit(&mut host.session, 16 * MIB as u64) {
                Ok(_) | Err(Error::Lost { .. }) => {}
                Err(error) => panic!("{what}: {error}"),
            }
            for store in [0, 70_000, 4 * MIB as i32 + 5_000] {
                host.execute(Block { grow: 64, store, load: store }).unwrap();
                host.reset(&what);
            }
        }
    }
}
