//! What the process has caused, all threads together.

use std::io;

use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeVal;

use crate::measure::interrupts::Interrupts;
use crate::protocol::serving::Counts;

/// Counts since the process began.
///
/// # Errors
/// Only if the kernel refuses getrusage, which a seccomp filter may make it do.
pub(super) fn now() -> io::Result<Counts> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let count = |value| u64::try_from(value).unwrap_or(0);
    Ok(Counts {
        minor_faults: count(Usage::minor_page_faults(&usage)),
        voluntary_switches: count(usage.voluntary_context_switches()),
        involuntary_switches: count(usage.involuntary_context_switches()),
        user_ns: ns(usage.user_time()),
        system_ns: ns(usage.system_time()),
        tlb_shootdowns: Interrupts::now().and_then(|interrupts| interrupts.tlb_shootdowns),
    })
}

fn ns(time: TimeVal) -> u64 {
    let part = |value: i64, unit: u64| u64::try_from(value).unwrap_or(0) * unit;
    part(time.tv_sec(), 1_000_000_000) + part(time.tv_usec(), 1_000)
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::thread;

    use super::*;

    #[test]
    fn what_another_thread_does_is_counted() {
        let before = now().unwrap();
        let work = || {
            let page = usize::try_from(procfs::page_size()).unwrap();
            let mut map = memmap2::MmapMut::map_anon(512 * page).unwrap();
            // See the test of `measure::faults`.
            map.advise(memmap2::Advice::NoHugePage).ok();
            map.iter_mut().step_by(page).for_each(|byte| *byte = 1);
            black_box(map);
        };
        thread::spawn(work).join().unwrap();
        let added = now().unwrap().since(&before);
        assert!(added.minor_faults >= 512, "{added:?}");
    }
}
