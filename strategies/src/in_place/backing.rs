//! What a region's initial pages are made of.

use std::io;

use super::Image;
use super::region::Pages;

/// The memory behind the pages of the initial size. Pages that the memory grows by are anonymous in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// Private anonymous pages: `MADV_DONTNEED` makes them zero.
    Anonymous,
    /// A private mapping of a memfd that holds the image: pages are copied on write, and `MADV_DONTNEED` makes them
    /// the image again.
    CowImage,
}

impl Backing {
    /// Lays the backing under a memory whose snapshot has just been taken.
    pub(crate) fn lay(self, pages: &mut Pages<'_>, image: &Image) -> io::Result<()> {
        match self {
            Self::Anonymous => Ok(()),
            Self::CowImage => {
                let (file, bytes) = image.to_file()?;
                if bytes == 0 { Ok(()) } else { pages.map_over(bytes, &file) }
            }
        }
    }
}
