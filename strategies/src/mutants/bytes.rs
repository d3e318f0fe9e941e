//! Wrong about what pages held.

use std::io;

use crate::control::{Free, Zero};
use crate::in_place::{Image, InPlace, Piece, Scope};
use crate::restore::{Copy, Discard, Restoration, Restorer};
use crate::strategy::Strategy;
use crate::sys::page;

/// metashrew's "fast reset" of January 2026, shipped and reverted within five hours: it zeroed the whole memory, and
/// with it data segments and the allocator's own words.
pub(super) static ZERO_EVERYTHING: Strategy = Strategy::in_place(
    "mutant/zero-everything",
    "zeroes the whole memory",
    &[],
    InPlace::BASE.restoring::<Zero>(),
);

/// The same mistake by system call: `MADV_DONTNEED` restores an image that is mapped and nothing where it was copied
/// in. Substrate's instance reuse had to write the data segments back for that reason (paritytech/substrate#5141).
pub(super) static FORGET_IMAGE: Strategy = Strategy::in_place(
    "mutant/forget-image",
    "gives all pages of an anonymous memory back",
    &[&page::DISCARD],
    InPlace::BASE.restoring::<Discard>(),
);

/// smoldot reused virtual machines without clearing their memory (paritytech/smoldot#760); wasmtime's pool handed
/// out old bytes (CVE-2022-39393).
pub(super) static REUSED_MEMORY: Strategy = Strategy::in_place(
    "mutant/reused-memory",
    "brings back everything but bytes",
    &[],
    InPlace { scope: Scope { bytes: |_, _| false, ..Scope::ALL }, ..InPlace::BASE },
);

/// Every reset that we have read asks for the one export `memory`; lens's did (sourcenetwork/lens#155).
pub(super) static SECOND_MEMORY: Strategy = Strategy::in_place(
    "mutant/second-memory",
    "restores the bytes of memory 0 only",
    &[],
    InPlace { scope: Scope { bytes: |_, index| index == 0, ..Scope::ALL }, ..InPlace::BASE },
);

/// An image ends where its data segments end, and the page goes on: statics that begin as zeros follow in the same
/// page. No public report known; wasmtime's own images are rounded to pages for this reason.
pub(super) static PAGE_TAIL: Strategy = Strategy::in_place(
    "mutant/page-tail",
    "does not zero what follows the image in its last page",
    &[],
    InPlace::BASE.restoring::<Trimmed>(),
);

/// madvise(2): after `MADV_FREE`, "the kernel can free the pages at any time", and until then they keep their bytes.
pub(super) static MADV_FREE: Strategy = Strategy::in_place(
    "mutant/madv-free",
    "offers pages with MADV_FREE and takes them for zeros",
    &[&page::FREE],
    InPlace::BASE.restoring::<Free>(),
);

/// A snapshot of a warmed-up instance has what the first block left in it: graph-node's mappings found each other's
/// state that way (graphprotocol/graph-node#438).
pub(super) static LATE_SNAPSHOT: Strategy = Strategy::in_place(
    "mutant/late-snapshot",
    "takes its snapshot after the first block",
    &[],
    InPlace::BASE.restoring::<Late>(),
);

/// Copies the image back as far as it has bytes other than zero.
#[derive(Default)]
struct Trimmed;

impl Restorer for Trimmed {
    fn restore(&mut self, Restoration { pages, image, runs, .. }: Restoration<'_, '_>) -> io::Result<()> {
        for piece in runs.iter().flat_map(|run| image.pieces(run.clone())) {
            match piece {
                Piece::Blank(range) => pages.bytes_mut()[range].fill(0),
                Piece::Filled(range, content) => {
                    let used = content.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
                    pages.bytes_mut()[range.start..range.start + used].copy_from_slice(&content[..used]);
                }
            }
        }
        Ok(())
    }
}

/// Keeps what it finds at the first reset and copies that back at all others.
#[derive(Default)]
struct Late {
    image: Option<Image>,
}

impl Restorer for Late {
    fn restore(&mut self, Restoration { pages, runs, done, .. }: Restoration<'_, '_>) -> io::Result<()> {
        match &self.image {
            Some(image) => Copy::default().restore(Restoration { pages, image, runs, done }),
            None => {
                self.image = Some(Image::capture(pages)?);
                Ok(())
            }
        }
    }
}
