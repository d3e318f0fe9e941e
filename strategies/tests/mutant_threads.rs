//! What `tests/threads.rs` tries would show a strategy that trusts the calling thread's faults where it must not.

#![allow(dead_code, reason = "tests/threads.rs uses the rest of what they share")]

#[path = "common/threads.rs"]
mod threads;

use std::hint::black_box;

use memmap2::MmapMut;
use reset_strategies::{Availability, condition, mutants, registry};
use threads::{ELSEWHERE, Host};

const BLOCKS: usize = 30;

/// Blocks after which the guest would find what another thread has written, of so many. Of threads that are started the
/// calling one takes a fault now and then, too.
fn kept(host: &mut Host, write: impl Fn(&mut Host)) -> usize {
    let kept = (0..BLOCKS).filter(|_| {
        // What was kept is found by a scan, for which it takes a fault of this thread.
        MmapMut::map_anon(1).unwrap()[0] = black_box(1);
        host.reset();
        assert!(!host.is_written(), "a fault of this thread is overlooked");
        host.learn();
        write(host);
        assert!(host.is_written());
        host.reset();
        host.is_written()
    });
    kept.count()
}

#[test]
fn trusting_the_faults_of_the_calling_thread_is_seen_to_be_wrong() {
    let mutant = &mutants::CALLING_THREAD;
    if let Availability::Unavailable { reason } = mutant.availability() {
        eprintln!("NOT TESTED HERE: {mutant}: {reason}");
        return;
    }
    // The same of the sound one whose host breaks the condition, which is what that is there for.
    let hot_cold = registry::find("adaptive/hot-cold").unwrap();
    for (mut host, whose) in [
        (Host::new(mutant, false), mutant.name()),
        (Host::new(hot_cold, true), condition::OTHER_THREADS.name),
    ] {
        for writes in ELSEWHERE {
            let kept = kept(&mut host, |host| host.execute(writes));
            println!("{whose}: {writes:?} is kept in {kept} of {BLOCKS} blocks");
            assert!(kept > 0, "{whose}: {writes:?} is never kept");
        }
        let kept = kept(&mut host, Host::lend);
        println!("{whose}: what was lent is kept in {kept} of {BLOCKS} blocks");
        assert!(kept > 0, "{whose}: what was lent is never kept");
    }
}
