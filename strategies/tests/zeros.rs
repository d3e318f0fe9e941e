//! Pages of zeros that the kernel shares although the guest wrote them, where the image is not blank.
//!
//! That the shared page of zeros is mapped by reading only is not true: where a huge page is split, its pages that hold
//! zeros are replaced by it (`try_to_map_unused_to_zeropage` in `mm/migrate.c`, Linux 6.12), and so are pages that KSM
//! merges under `use_zero_pages` (`Documentation/admin-guide/mm/ksm.rst`).

#[path = "common/sound.rs"]
mod sound;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use reset_strategies::contract::State;
use reset_strategies::sys::page;
use reset_strategies::{Options, Plan, Session, Strategy};
use wasmtime::{Linker, Module};

#[path = "common/child.rs"]
mod child;

/// Bytes with content in the image, and what a block writes zeros over.
const FILLED: usize = 8 << 20;

/// Begins with 8 MiB of content, over which a block writes zeros.
const GUEST: &str = r#"
(module
  (memory (export "memory") 192)
  (func $fill (memory.fill (i32.const 0) (i32.const 9) (i32.const 8388608)))
  (start $fill)
  (func (export "_start") (memory.fill (i32.const 0) (i32.const 0) (i32.const 8388608))))
"#;

/// The first address of the memory.
fn base(session: &mut Session<()>) -> usize {
    let instance = session.instance().unwrap();
    let store = &mut session.store_mut().unwrap();
    instance.get_memory(&mut *store, "memory").unwrap().data_ptr(&*store).addr()
}

/// The numbers of the page frames behind so many bytes; all are zero without CAP_SYS_ADMIN.
fn frames(start: usize, bytes: usize) -> Vec<u64> {
    let mut entries = vec![0; bytes / page::size() * 8];
    let at = (start / page::size() * 8) as u64;
    File::open("/proc/self/pagemap").unwrap().read_exact_at(&mut entries, at).unwrap();
    entries.as_chunks().0.iter().map(|entry| u64::from_ne_bytes(*entry) & ((1 << 55) - 1)).collect()
}

/// The frame of the shared page of zeros.
fn zero_frame() -> u64 {
    let map = memmap2::MmapMut::map_anon(page::size()).unwrap();
    assert_eq!(std::hint::black_box(map[0]), 0);
    frames(map.as_ptr().addr(), page::size())[0]
}

/// How many of the pages that the block wrote map the shared page of zeros.
fn shared(base: usize) -> usize {
    let zero = zero_frame();
    if zero == 0 { 0 } else { frames(base, FILLED).into_iter().filter(|frame| *frame == zero).count() }
}

fn advise(start: usize, bytes: usize, advice: libc::c_int) {
    // SAFETY: none of the advice used here changes what the pages hold, and no reference into them is live.
    unsafe { libc::madvise(start as *mut libc::c_void, bytes, advice) };
}

/// Makes huge pages of the memory, and has each split by advice about one of its pages.
fn split(base: usize, advice: libc::c_int) {
    let huge = page::huge();
    for start in (base.next_multiple_of(huge)..base + FILLED.saturating_sub(huge)).step_by(huge) {
        advise(start, huge, libc::MADV_COLLAPSE);
        advise(start + 5 * page::size(), page::size(), advice);
    }
}

/// Runs blocks, each followed by `meanwhile` and a reset; returns how many pages were shared in all.
fn run(strategy: &'static Strategy, meanwhile: &dyn Fn(usize)) -> usize {
    let wasm = wat::parse_str(GUEST).unwrap();
    let plan = Plan::new(strategy, &wasm, Options::default()).unwrap();
    let engine = plan.engine().unwrap();
    let module = Module::new(&engine, plan.wasm()).unwrap();
    let mut session = plan.start(&module, &Linker::new(&engine), || ()).unwrap();
    let instance = session.instance().unwrap();
    let fresh = State::read(plan.facts(), instance, session.store_mut().unwrap());
    let mut zeros = 0;
    for block in 0..4 {
        session.execute().unwrap();
        let base = base(&mut session);
        meanwhile(base);
        zeros += shared(base);
        session.reset().unwrap();
        let instance = session.instance().unwrap();
        let difference = fresh.first_difference_in(plan.facts(), instance, session.store_mut().unwrap());
        assert_eq!(difference, None, "{strategy}, block {block}, {zeros} pages of zeros shared");
    }
    zeros
}

#[test]
fn zeros_that_the_kernel_shares_when_it_splits_a_huge_page_are_restored() {
    for advice in [libc::MADV_COLD, libc::MADV_PAGEOUT] {
        let zeros: usize = sound::sound_in_place()
            .into_iter()
            .map(|strategy| run(strategy, &|base| split(base, advice)))
            .sum();
        if zeros == 0 {
            eprintln!("NOT TESTED HERE: no page of zeros came of splitting a huge page (advice {advice})");
        }
    }
}

fn ksm(name: &str) -> u64 {
    let text = fs::read_to_string(format!("/sys/kernel/mm/ksm/{name}")).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// Has KSM look at everything twice.
fn merge() {
    let (scans, began) = (ksm("full_scans"), Instant::now());
    while ksm("full_scans") < scans + 3 && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// `PR_SET_MEMORY_MERGE` of prctl(2), Linux 6.4.
fn ask_for_merging() {
    // SAFETY: the call takes numbers only.
    let asked = unsafe { libc::prctl(67, 1, 0, 0, 0) };
    assert_eq!(asked, 0);
}

/// All but soft-dirty, which refuses a process that asks for merging: `soft_dirty.rs` shows it.
fn bears_merging(strategy: &&'static Strategy) -> bool {
    strategy.name() != "dirty/soft-dirty"
}

/// Whether KSM runs and shares pages of zeros; says so if it does not.
fn merging() -> bool {
    let merging = ksm("run") == 1 && ksm("use_zero_pages") == 1;
    if !merging {
        eprintln!("NOT TESTED HERE: KSM does not run, or not with use_zero_pages");
    }
    merging
}

#[test]
fn zeros_that_are_merged_in_a_process_that_asked_for_it_before_are_restored() {
    if !child::is("zeros_that_are_merged_in_a_process_that_asked_for_it_before_are_restored") || !merging() {
        return;
    }
    ask_for_merging();
    for strategy in sound::sound_in_place().into_iter().filter(bears_merging) {
        let zeros = run(strategy, &|_| merge());
        assert_eq!(zeros, 0, "{strategy}: the memory was merged although it is not to be");
    }
}

#[test]
fn zeros_that_are_merged_in_a_process_that_asks_for_it_in_a_block_are_restored() {
    if !child::is("zeros_that_are_merged_in_a_process_that_asks_for_it_in_a_block_are_restored") || !merging()
    {
        return;
    }
    for strategy in sound::sound_in_place().into_iter().filter(bears_merging) {
        run(strategy, &|_| {
            ask_for_merging();
            merge();
        });
    }
}
