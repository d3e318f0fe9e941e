//! Several memories and several sessions, under trackers and restorers that fail or know nothing but the whole process.

#[path = "../../../tests/common/reach.rs"]
mod reach;

use std::io;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use wasmtime::{Linker, Module};

use crate::block::Reset;
use crate::calls::{Blocking, at_once};
use crate::contract::State;
use crate::error::Error;
use crate::hooks::Hooks;
use crate::in_place::region::Pages;
use crate::in_place::{Bounds, Image, InPlace, InPlaceSession};
use crate::options::Options;
use crate::plan::Plan;
use crate::restore::{Copy, Restoration, Restorer};
use crate::strategy::{Lifecycle, Strategy};
use crate::sys::pagemap_scan::WRITE_PROTECT;
use crate::track::uffd_wp::Protection;
use crate::track::{Search, Tracker};
use reach::is_accessible;

/// Writes to both of its memories, the second of which begins with content, and grows them; what it grew by is blank.
const GUEST: &str = r#"
(module
  (memory $a (export "a") 2)
  (memory $b (export "b") 2)
  (data (memory $b) (i32.const 70000) "initial")
  (func (export "_start")
    (i32.store $a (i32.const 4) (i32.const 7))
    (i32.store $b (i32.const 70000) (i32.const 7))
    (if (i32.ne (memory.grow $a (i32.const 1)) (i32.const 2)) (then unreachable))
    (if (i32.ne (memory.grow $b (i32.const 1)) (i32.const 2)) (then unreachable))
    (if (i32.load $a (i32.const 131072)) (then unreachable))
    (if (i32.load $b (i32.const 131072)) (then unreachable))
    (i32.store $a (i32.const 131072) (i32.const 7))
    (i32.store $b (i32.const 131072) (i32.const 7)))
  (func (export "beyond_a") (result i32) (i32.load $a (i32.const 131072)))
  (func (export "beyond_b") (result i32) (i32.load $b (i32.const 131072)))
  (func (export "size_a") (result i32) (memory.size $a))
  (func (export "size_b") (result i32) (memory.size $b)))
"#;

fn start(strategy: &'static Strategy) -> Result<(InPlaceSession<()>, Plan<'static>), Error> {
    let wasm = wat::parse_str(GUEST).unwrap();
    let plan = Plan::unprobed(strategy, &wasm, Options::default())?.into_owned();
    let engine = plan.engine()?;
    let module = Module::new(&engine, plan.wasm()).unwrap();
    let Lifecycle::InPlace(parts) = *strategy.lifecycle() else { unreachable!("it is in place") };
    let template = plan.template(parts, &module, &Linker::new(&engine), Hooks::default());
    let session = at_once(InPlaceSession::start::<Blocking>(template, Box::new(|| ())))?;
    Ok((session, plan))
}

fn state(session: &mut InPlaceSession<()>, plan: &Plan<'_>) -> State {
    let instance = session.instance();
    State::read(plan.facts(), instance, session.store_mut())
}

fn call(session: &mut InPlaceSession<()>, name: &str) -> Option<i32> {
    let instance = session.instance();
    let store = session.store_mut();
    instance.get_typed_func::<(), i32>(&mut *store, name).unwrap().call(store, ()).ok()
}

/// Finds written pages, and cleans all memories that there are of its kind, as soft-dirty bits are.
#[derive(Default)]
struct Everything {
    protection: Protection,
    here: Range<usize>,
}

/// What [`Everything`] cleans.
static TRACKED: Mutex<Vec<Range<usize>>> = Mutex::new(Vec::new());

impl Tracker for Everything {
    fn is_process_wide(&self) -> bool {
        true
    }

    fn start(&mut self, pages: &mut Pages<'_>) -> io::Result<()> {
        self.protection.start(pages)?;
        self.here = pages.addresses(0..pages.size());
        TRACKED.lock().unwrap().push(self.here.clone());
        Ok(())
    }

    fn dirty(&mut self, Search { pages, runs, done, .. }: Search<'_>) -> io::Result<()> {
        self.protection.written(pages, done, |run| runs.push(run))
    }

    fn clean(&mut self, _: &mut Pages<'_>, _: &Image, done: &mut Reset) -> io::Result<()> {
        CLEANED.fetch_add(1, Ordering::Relaxed);
        TRACKED.lock().unwrap().iter().try_for_each(|there| self.protection.protect(there.clone(), done))
    }
}

impl Drop for Everything {
    fn drop(&mut self) {
        TRACKED.lock().unwrap().retain(|there| *there != self.here);
    }
}

/// How often [`Everything`] has cleaned.
static CLEANED: AtomicUsize = AtomicUsize::new(0);

static PROCESS_WIDE: Strategy = Strategy::in_place(
    "test/process-wide",
    "finds written pages, and cleans those of all memories at once",
    &[],
    InPlace::BASE.tracking::<Everything>(),
);

#[test]
fn where_cleaning_is_process_wide_no_memory_loses_what_another_one_cleans() {
    if let Err(reason) = WRITE_PROTECT.available() {
        eprintln!("NOT TESTED HERE: {reason}");
        return;
    }
    let (mut session, plan) = start(&PROCESS_WIDE).unwrap();
    let fresh = state(&mut session, &plan);
    for block in 0..3 {
        at_once(session.execute::<Blocking>()).unwrap_or_else(|e| panic!("block {block}: {e}"));
        at_once(session.reset::<Blocking>()).unwrap();
        assert_eq!(fresh.first_difference(&state(&mut session, &plan)), None, "block {block}");
    }
    assert_eq!(CLEANED.load(Ordering::Relaxed), 3, "it cleans once in each reset");

    // A second session would clean what the first has to find.
    at_once(session.execute::<Blocking>()).unwrap();
    let refused = start(&PROCESS_WIDE).map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("another session of this process"), "{refused}");
    at_once(session.reset::<Blocking>()).unwrap();
    assert_eq!(fresh.first_difference(&state(&mut session, &plan)), None, "after a second was refused");

    drop(session);
    let (mut session, _) = start(&PROCESS_WIDE).unwrap();
    at_once(session.execute::<Blocking>()).unwrap();
}

/// Restores like [`Copy`], and fails where the image has content.
#[derive(Default)]
struct FailsOnContent(Copy);

impl Restorer for FailsOnContent {
    fn restore(&mut self, Restoration { pages, image, runs, done }: Restoration<'_, '_>) -> io::Result<()> {
        if image.content_bytes() > 0 {
            return Err(io::Error::other("on purpose"));
        }
        self.0.restore(Restoration { pages, image, runs, done })
    }
}

static FAILS: Strategy = Strategy::in_place(
    "test/fails",
    "cannot restore the second memory",
    &[],
    InPlace::BASE.restoring::<FailsOnContent>(),
);

static FAILS_TO_SHRINK: Strategy = Strategy::in_place(
    "test/fails-to-shrink",
    "cannot shrink a memory of four pages",
    &[],
    InPlace {
        scope: crate::in_place::Scope {
            size: |pages, bytes| {
                // One that the host has grown besides.
                if pages.size() == 4 << 16 {
                    return Err(io::Error::other("on purpose"));
                }
                pages.shrink_to(bytes)
            },
            ..crate::in_place::Scope::ALL
        },
        ..InPlace::BASE
    },
);

#[test]
fn a_reset_that_fails_between_two_memories_leaves_sizes_that_the_instance_knows() {
    for (strategy, larger, by) in [(&FAILS, "a", 0), (&FAILS_TO_SHRINK, "a", 1), (&FAILS_TO_SHRINK, "b", 1)] {
        let (mut session, _) = start(strategy).unwrap();
        at_once(session.execute::<Blocking>()).unwrap();
        let instance = session.instance();
        let memory = instance.get_memory(session.store_mut(), larger).unwrap();
        memory.grow(session.store_mut(), by).unwrap();
        let mut memories = session.take();
        // SAFETY: no guest code runs and no slice is borrowed.
        let failed = unsafe { memories.reset(None) };
        assert!(failed.is_err(), "{strategy}");
        memories.tell(session.store_mut()).unwrap();
        for (name, index) in [("a", 0), ("b", 1)] {
            let memory = instance.get_memory(session.store_mut(), name).unwrap();
            let size = memories.all[index].region.size();
            assert_eq!(memory.data_size(session.store_mut()), size, "{strategy}, {name}");
            // Every byte of it can be read by the host, and what the guest sees is as large.
            assert!(memory.data(session.store_mut()).iter().all(|byte| *byte < 255));
            let seen = call(&mut session, &format!("size_{name}"));
            assert_eq!(seen, Some(i32::try_from(size >> 16).unwrap()), "{strategy}, {name}");
            let beyond = call(&mut session, &format!("beyond_{name}"));
            assert_eq!(beyond.is_some(), size > 2 << 16, "{strategy}, {name}");
        }
    }
}

#[test]
fn memory_that_stays_in_reach_beyond_its_size_fails_every_reset() {
    let (mut session, _) = start(&crate::restore::FULL).unwrap();
    at_once(session.execute::<Blocking>()).unwrap();
    let mut memories = session.take();
    let (first, page) = (&memories.all[0].region, 1_usize << 16);
    // mseal(2), Linux 6.10: the kernel refuses to change the protection of what the first memory has grown by.
    // SAFETY: sealing changes no content; what stays mapped when the region is dropped is never mapped by others.
    let sealed = unsafe { libc::syscall(SYS_MSEAL, first.base() + 2 * page, page, 0) };
    if sealed != 0 {
        eprintln!("NOT TESTED HERE: mseal: {}", io::Error::last_os_error());
        return;
    }
    for what in ["cannot shrink a memory", "cannot restore a memory"] {
        // SAFETY: no guest code runs and no slice is borrowed.
        let failed = unsafe { memories.reset(None) }.unwrap_err();
        assert_eq!(failed.to_string(), what);
        memories.tell(session.store_mut()).unwrap();
        // The second has shrunk all the same, and both sizes are known.
        assert_eq!([call(&mut session, "size_a"), call(&mut session, "size_b")], [Some(2), Some(2)]);
        assert_eq!(call(&mut session, "beyond_b"), None);
    }
}

static CHECKED: Strategy = Strategy::in_place(
    "test/checked",
    "leaves what a memory has grown by accessible",
    &[],
    InPlace { bounds: Bounds::Check, ..InPlace::BASE },
);

#[test]
fn what_a_memory_has_grown_by_stays_accessible_to_all_but_a_guest_that_checks_bounds() {
    for (strategy, stays) in [(&crate::restore::FULL, false), (&CHECKED, true)] {
        let (mut session, plan) = start(strategy).unwrap();
        let fresh = state(&mut session, &plan);
        let memories = session.take();
        let bases: Vec<_> = memories.all.iter().map(|memory| memory.region.base()).collect();
        session.put(memories).unwrap();
        let beyond = |at: usize| bases.iter().map(|base| is_accessible(base + at)).collect::<Vec<_>>();
        assert_eq!(beyond(2 << 16), [false, false], "{strategy}: not grown yet");
        for block in 0..3 {
            at_once(session.execute::<Blocking>())
                .unwrap_or_else(|e| panic!("{strategy}, block {block}: {e}"));
            assert_eq!(beyond(2 << 16), [true, true], "{strategy}, block {block}");
            let done = at_once(session.reset::<Blocking>()).unwrap();
            assert_eq!(
                done.syscalls,
                if stays { 0 } else { 2 },
                "{strategy}, block {block}: one for each memory"
            );
            assert_eq!(beyond(2 << 16), [stays, stays], "{strategy}, block {block}");
            assert_eq!(beyond(3 << 16), [false, false], "{strategy}, block {block}: it never was so large");
            for name in ["beyond_a", "beyond_b"] {
                assert_eq!(call(&mut session, name), None, "{strategy}, block {block}");
            }
            assert_eq!(
                fresh.first_difference(&state(&mut session, &plan)),
                None,
                "{strategy}, block {block}"
            );
        }
    }
}

/// Of `arch/*/entry/syscalls`, the same everywhere.
const SYS_MSEAL: libc::c_long = 462;
