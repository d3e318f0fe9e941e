//! Wrong about which pages were written.

use std::io;
use std::ops::Range;

use super::lifecycle::FIRST_PAGEMAP;
use crate::block::Reset;
use crate::fresh::pooling_scan;
use crate::in_place::InPlace;
use crate::in_place::region::Pages;
use crate::strategy::Strategy;
use crate::sys::pagemap::{self, Pagemap};
use crate::sys::pagemap_scan;
use crate::track::full::Full;
use crate::track::pagemap::flagged;
use crate::track::pagemap_scan::PagemapScan;
use crate::track::uffd_wp::Protection;
use crate::track::{Search, Tracker};

/// An allocator for wasmtime that did not zero what a memory had grown into, so that the next instance to grow found
/// it (redpanda-data/redpanda#15063).
pub(super) static STALE_TAIL: Strategy = Strategy::in_place(
    "mutant/stale-tail",
    "shrinks the memory and leaves its bytes for the next growth",
    &[],
    InPlace::BASE.tracking::<Initial>(),
);

/// wasmtime's pool asks for 32 regions (bytecodealliance/wasmtime#14357). There the rest is cleaned in another way;
/// here it is forgotten.
pub(super) static FIRST_32_RUNS: Strategy = Strategy::in_place(
    "mutant/first-32-runs",
    "stops after 32 runs of dirty pages",
    &[&pagemap_scan::PAGEMAP_SCAN],
    InPlace::BASE.tracking::<First32>(),
);

/// Pages in swap are not present and keep their bytes: wasmtime's scan leaves them out
/// (bytecodealliance/wasmtime#14357), and Firecracker's snapshots by mincore do (kvcache-ai/AgentENV#119).
pub(super) static SWAPPED_OUT: Strategy = Strategy::in_place(
    "mutant/swapped-out",
    "takes pages that were swapped out for clean",
    &[&pagemap::PAGEMAP],
    InPlace::BASE.tracking::<Present>(),
);

/// No mutant but the real thing: wasmtime's pool with `pagemap_scan` on a machine with swap
/// (bytecodealliance/wasmtime#14357). `fresh/pooling-scan` is unavailable there.
pub(super) static POOLING_SCAN: Strategy = Strategy::fresh(
    "mutant/pooling-scan",
    "wasmtime's own pool, whose scan takes pages that were swapped out for clean",
    &[&pagemap_scan::PAGEMAP_SCAN],
    pooling_scan::SCANNING,
);

/// Scanning and protecting in one call is tempting, and then restoring a page makes it dirty again: the set never
/// shrinks, and one large block slows all later ones down.
pub(super) static PROTECT_FIRST: Strategy = Strategy::in_place(
    "mutant/protect-first",
    "write-protects before it restores, so that its set never shrinks",
    &[&pagemap_scan::PAGEMAP_SCAN, &pagemap_scan::WRITE_PROTECT],
    InPlace { tracker: || Untimely::tracker(Moment::BeforeRestore), ..InPlace::BASE },
);

/// As above, for want of the last step: zIO registered its buffers and never protected them (tstamler/zIO#1).
pub(super) static PROTECT_NEVER: Strategy = Strategy::in_place(
    "mutant/protect-never",
    "never write-protects again, so that its set never shrinks",
    &[&pagemap_scan::PAGEMAP_SCAN, &pagemap_scan::WRITE_PROTECT],
    InPlace { tracker: || Untimely::tracker(Moment::Never), ..InPlace::BASE },
);

/// A tracker that is armed when the guest is entered loses what the host wrote before; Hyperlight keeps a reminder
/// of such pages (hyperlight-dev/hyperlight#683).
pub(super) static HOST_WRITES: Strategy = Strategy::in_place(
    "mutant/host-writes",
    "tracks from the moment that the guest is entered, and loses what the host wrote before",
    &[&pagemap_scan::PAGEMAP_SCAN, &pagemap_scan::WRITE_PROTECT],
    InPlace { tracker: || Untimely::tracker(Moment::BeforeNextBlock), ..InPlace::BASE },
);

/// proc(5): an open `/proc/self/pagemap` shows the address space of the process that opened it. A host that opens it
/// once and then forks its workers asks about the wrong one.
pub(super) static PARENTS_PAGEMAP: Strategy = Strategy::in_place(
    "mutant/parents-pagemap",
    "reads the pagemap that its parent opened before it forked",
    &[&pagemap::PAGEMAP],
    InPlace::BASE.tracking::<Parents>(),
);

/// Reports the initial pages, written or not.
#[derive(Default)]
struct Initial;

impl Tracker for Initial {
    fn dirty(&mut self, Search { image, runs, .. }: Search<'_>) -> io::Result<()> {
        runs.push(0..image.size());
        Ok(())
    }
}

#[derive(Default)]
struct First32(PagemapScan);

impl Tracker for First32 {
    fn start(&mut self, pages: &mut Pages<'_>) -> io::Result<()> {
        self.0.start(pages)
    }

    fn dirty(&mut self, search: Search<'_>) -> io::Result<()> {
        let Search { pages, image, runs, faulted, done } = search;
        self.0.dirty(Search { pages, image, runs, faulted, done })?;
        runs.truncate(32);
        Ok(())
    }
}

#[derive(Default)]
struct Present {
    entries: Vec<u8>,
}

impl Tracker for Present {
    fn dirty(&mut self, Search { pages, runs, done, .. }: Search<'_>) -> io::Result<()> {
        flagged(&Pagemap::open()?, &mut self.entries, pages, pagemap::PRESENT, runs, done)
    }
}

/// Tracks written pages, and write-protects them again at another moment than after the restore.
struct Untimely {
    moment: Moment,
    protection: Protection,
    /// The memory as it was when it was made.
    addresses: Range<usize>,
}

/// When pages are protected again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    BeforeRestore,
    BeforeNextBlock,
    Never,
}

impl Untimely {
    fn tracker(moment: Moment) -> Box<dyn Tracker> {
        Box::new(Self { moment, protection: Protection::default(), addresses: 0..0 })
    }
}

impl Tracker for Untimely {
    fn is_exact(&self) -> bool {
        true
    }

    fn start(&mut self, pages: &mut Pages<'_>) -> io::Result<()> {
        self.addresses = pages.addresses(0..pages.size());
        self.protection.start(pages)
    }

    fn expect(&mut self, _: u64) {
        if self.moment == Moment::BeforeNextBlock {
            let armed = self.protection.protect(self.addresses.clone(), &mut Reset::default());
            armed.expect("it protected the same pages when it was started");
        }
    }

    fn dirty(&mut self, Search { pages, runs, done, .. }: Search<'_>) -> io::Result<()> {
        self.protection.written(pages, done, |run| runs.push(run))?;
        if self.moment == Moment::BeforeRestore {
            self.protection.protect(pages.addresses(0..pages.size()), done)?;
        }
        Ok(())
    }
}

#[derive(Default)]
struct Parents {
    entries: Vec<u8>,
}

impl Tracker for Parents {
    fn dirty(&mut self, search: Search<'_>) -> io::Result<()> {
        match FIRST_PAGEMAP.get() {
            Some(first) => {
                let Search { pages, runs, done, .. } = search;
                let flags = pagemap::PRESENT | pagemap::SWAPPED;
                flagged(first, &mut self.entries, pages, flags, runs, done)
            }
            // Where no process opened one before it forked, there is nothing wrong.
            None => Full.dirty(search),
        }
    }
}
