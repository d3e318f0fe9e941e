//! One `MADV_DONTNEED` per run: private pages of the image mapping become the image again, anonymous ones zeros.
//! Right on a [`Backing::CowImage`] only.

use std::io;

use super::{Restoration, Restorer};
use crate::condition;
use crate::in_place::{Backing, InPlace};
use crate::strategy::Strategy;
use crate::sys::{memfd, page};

/// `MADV_DONTNEED`, and nothing to copy.
#[derive(Debug, Default)]
pub struct Discard;

impl Restorer for Discard {
    fn keeps_memory(&self) -> bool {
        false
    }

    fn restore(&mut self, Restoration { pages, runs, done, .. }: Restoration<'_, '_>) -> io::Result<()> {
        for run in runs {
            done.bytes_returned += run.len() as u64;
            done.syscalls += 1;
            pages.discard(run.clone())?;
        }
        done.regions += runs.len() as u64;
        Ok(())
    }
}

/// `remap/madvise-cow`.
pub static MADVISE_COW: Strategy = Strategy::in_place(
    "remap/madvise-cow",
    "gives all pages back with MADV_DONTNEED; the image is a private mapping of a memfd",
    &[&page::DISCARD, &memfd::PRIVATE_IMAGE],
    InPlace { backing: Backing::CowImage, ..InPlace::BASE.restoring::<Discard>() },
)
.must_not(&[&condition::PINNED_PAGES]);
