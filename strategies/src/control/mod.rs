//! Controls: strategies that calibrate the others or are there to be caught. Never recommended.

use std::io;

use crate::condition;
use crate::in_place::{self, InPlace, Scope};
use crate::restore::{Restoration, Restorer};
use crate::strategy::Strategy;
use crate::sys::{page, pagemap_scan};
use crate::track::{hot_cold, oracle::Oracle};

/// `control/none`: leaks on purpose.
pub static NONE: Strategy = Strategy::control(
    "control/none",
    "does nothing between blocks: the verifier has to catch it",
    &[],
    InPlace { scope: Scope::NOTHING, ..InPlace::BASE },
);

/// `control/oracle`: the floor.
pub static ORACLE: Strategy = Strategy::control(
    "control/oracle",
    "copies exactly the pages that the block is known to change: the floor",
    &[],
    InPlace::BASE.tracking::<Oracle>(),
);

/// `control/second-core`: what is left of a reset when another core does it.
pub static SECOND_CORE: Strategy = Strategy::control(
    "control/second-core",
    "adaptive/hot-cold on two instances in turn, one being reset by a thread: its work on a second core is not in the cycle",
    &[&pagemap_scan::PAGEMAP_SCAN, &pagemap_scan::WRITE_PROTECT, &in_place::SECOND_CORE],
    InPlace { turns: true, ..hot_cold::PARTS },
)
.must_not(&[&condition::FOREIGN_WRITES, &condition::PINNED_WRITES, &condition::PINNED_PAGES]);

/// `control/zero-all`: the "fast reset" that was shipped and reverted within hours.
pub static ZERO_ALL: Strategy = Strategy::control(
    "control/zero-all",
    "zeroes the whole memory and nothing else, data segments included: a reset that was shipped and reverted",
    &[],
    InPlace {
        scope: Scope {
            bytes: |_, _| true,
            host: true,
            host_after_failure: true,
            allowances: true,
            failed: true,
            process: true,
            ..Scope::NOTHING
        },
        ..InPlace::BASE.restoring::<Zero>()
    },
);

/// `control/madv-free`: trusts that freed pages come back as zeros.
pub static MADV_FREE: Strategy = Strategy::control(
    "control/madv-free",
    "offers dirty pages to the kernel with MADV_FREE, which may leave their bytes in place",
    &[&page::FREE],
    InPlace::BASE.restoring::<Free>(),
);

#[derive(Default)]
pub(crate) struct Zero;

impl Restorer for Zero {
    fn restore(&mut self, Restoration { pages, runs, done, .. }: Restoration<'_, '_>) -> io::Result<()> {
        for run in runs {
            done.bytes_restored += run.len() as u64;
            pages.bytes_mut()[run.clone()].fill(0);
        }
        done.regions += runs.len() as u64;
        Ok(())
    }
}

#[derive(Default)]
pub(crate) struct Free;

impl Restorer for Free {
    fn keeps_memory(&self) -> bool {
        false
    }

    fn restore(&mut self, Restoration { pages, image, runs, done }: Restoration<'_, '_>) -> io::Result<()> {
        for run in runs {
            done.bytes_returned += run.len() as u64;
            done.syscalls += 1;
            pages.free(run.clone())?;
        }
        // The image is copied back, so that only pages which were blank can leak.
        for piece in image.pieces(0..pages.size()) {
            if let crate::in_place::Piece::Filled(range, content) = piece {
                pages.bytes_mut()[range].copy_from_slice(content);
            }
        }
        Ok(())
    }
}
