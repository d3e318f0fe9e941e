//! What a memory held right after instantiation, kept without its blank pages.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::region::Pages;
use crate::sys::populated::populated;
use crate::sys::{memfd, page};

/// The initial content of one memory: runs of pages that are not all zero, and the size.
#[derive(Clone, Debug)]
pub struct Image {
    size: usize,
    filled: Vec<Filled>,
    content: Vec<u8>,
}

/// A run of pages with content.
#[derive(Clone, Debug)]
struct Filled {
    range: Range<usize>,
    /// Where its bytes start in `content`.
    at: usize,
}

/// A part of a range, as the image has it.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Zeros, or beyond the initial size.
    Blank(Range<usize>),
    /// Bytes that belong at the start of the range.
    Filled(Range<usize>, &'a [u8]),
}

impl Image {
    /// Takes the image of a memory of anonymous pages, and gives those back that hold zeros: a tracker would count them as
    /// touched. Memory that is locked stays: the host wants it there.
    ///
    /// Only pages that are populated are read: reading others would map the shared page of zeros there, and leave page tables
    /// behind that every later scan has to go through.
    pub(crate) fn capture(pages: &mut Pages<'_>) -> io::Result<Self> {
        let (base, bytes) = (pages.base(), pages.bytes());
        let mut image = Self { size: bytes.len(), filled: Vec::new(), content: Vec::new() };
        for run in populated(pages.addresses(0..bytes.len())) {
            image.take(run.start - base..run.end - base, bytes);
        }
        for piece in image.pieces(0..image.size) {
            if let Piece::Blank(range) = piece {
                pages.discard_unlocked(range)?;
            }
        }
        Ok(image)
    }

    /// Copies bytes page by page, leaving out what is blank.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut image = Self { size: bytes.len(), filled: Vec::new(), content: Vec::new() };
        image.take(0..bytes.len(), bytes);
        image
    }

    /// Takes the pages of a range that lies beyond all that were taken, leaving out what is blank.
    fn take(&mut self, range: Range<usize>, bytes: &[u8]) {
        for start in range.clone().step_by(page::size()) {
            let page = start..(start + page::size()).min(range.end);
            if !is_blank(&bytes[page.clone()]) {
                self.fill(page.clone(), &bytes[page]);
            }
        }
    }

    fn fill(&mut self, range: Range<usize>, bytes: &[u8]) {
        match self.filled.last_mut() {
            Some(last) if last.range.end == range.start => last.range.end = range.end,
            _ => self.filled.push(Filled { range, at: self.content.len() }),
        }
        self.content.extend_from_slice(bytes);
    }

    /// Initial size in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Makes a larger memory the initial one; what it grew by is blank.
    pub(crate) fn grow_to(&mut self, size: usize) {
        self.size = self.size.max(size);
    }

    /// Bytes of the pages that are not blank.
    pub fn content_bytes(&self) -> usize {
        self.content.len()
    }

    /// Splits a range into what was blank and what was not, in order.
    pub fn pieces(&self, range: Range<usize>) -> impl Iterator<Item = Piece<'_>> {
        let mut next = self.filled.partition_point(|filled| filled.range.end <= range.start);
        let mut from = range.start;
        std::iter::from_fn(move || {
            if from >= range.end {
                return None;
            }
            let filled = self.filled.get(next).filter(|filled| filled.range.start < range.end);
            let Some(filled) = filled else {
                let blank = from..range.end;
                from = range.end;
                return Some(Piece::Blank(blank));
            };
            if from < filled.range.start {
                let blank = from..filled.range.start;
                from = filled.range.start;
                return Some(Piece::Blank(blank));
            }
            let part = from..filled.range.end.min(range.end);
            let at = filled.at + part.start - filled.range.start;
            from = part.end;
            next += 1;
            Some(Piece::Filled(part.clone(), &self.content[at..at + part.len()]))
        })
    }

    /// Whether a range of a memory's bytes is another than the image has.
    pub(crate) fn differs(&self, range: Range<usize>, bytes: &[u8]) -> bool {
        self.pieces(range).any(|piece| match piece {
            Piece::Blank(range) => !is_blank(&bytes[range]),
            Piece::Filled(range, content) => bytes[range] != *content,
        })
    }

    /// The image as a file, up to the end of its last page with content, and that length.
    pub(crate) fn to_file(&self) -> io::Result<(File, usize)> {
        let bytes = self.filled.last().map_or(0, |last| last.range.end);
        let file = memfd::create(bytes)?;
        for filled in &self.filled {
            let content = &self.content[filled.at..filled.at + filled.range.len()];
            file.write_all_at(content, filled.range.start as u64)?;
        }
        Ok((file, bytes))
    }
}

pub(crate) fn is_blank(bytes: &[u8]) -> bool {
    // The C library's comparison has vector code for every CPU; the zeros stay in the first-level cache.
    static ZEROS: [u8; 4096] = [0; 4096];
    bytes.chunks(ZEROS.len()).all(|chunk| *chunk == ZEROS[..chunk.len()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::in_place::region::Region;

    /// Eight pages, of which the third, fourth and seventh have content.
    fn image() -> Image {
        let page = page::size();
        let region = Region::reserve(8 * page, 16 * page, page).unwrap();
        // SAFETY: no instance owns this region.
        let mut pages = unsafe { region.pages() };
        for (index, value) in [(2, 3), (3, 4), (6, 7)] {
            pages.bytes_mut()[index * page] = value;
        }
        Image::capture(&mut pages).unwrap()
    }

    fn described(image: &Image, pages: Range<usize>) -> Vec<(bool, usize, usize)> {
        let page = page::size();
        image
            .pieces(pages.start * page..pages.end * page)
            .map(|piece| match piece {
                Piece::Blank(range) => (false, range.start / page, range.end / page),
                Piece::Filled(range, bytes) => {
                    assert_eq!(bytes.len(), range.len());
                    assert_eq!(usize::from(bytes[0]), range.start / page + 1);
                    (true, range.start / page, range.end / page)
                }
            })
            .collect()
    }

    #[test]
    fn a_snapshot_of_a_large_memory_populates_nothing() {
        let (page, size) = (page::size(), 4 << 30);
        let region = Region::reserve(size, size, page).unwrap();
        // SAFETY: no instance owns this region.
        let mut pages = unsafe { region.pages() };
        for at in [page, size - page] {
            pages.bytes_mut()[at] = 7;
        }
        // Written, and yet blank.
        pages.bytes_mut()[size / 2] = 0;
        let image = Image::capture(&mut pages).unwrap();
        assert_eq!((image.size(), image.content_bytes()), (size, 2 * page));
        let base = pages.base();
        let held = populated(pages.addresses(0..size));
        assert_eq!(held, [base + page..base + 2 * page, base + size - page..base + size]);
    }

    #[test]
    fn pieces_cover_any_range_in_order() {
        let image = image();
        assert_eq!(image.content_bytes(), 3 * page::size());
        let all = [(false, 0, 2), (true, 2, 4), (false, 4, 6), (true, 6, 7), (false, 7, 8)];
        assert_eq!(described(&image, 0..8), all);
        assert_eq!(described(&image, 3..5), [(true, 3, 4), (false, 4, 5)]);
        assert_eq!(described(&image, 4..6), [(false, 4, 6)]);
        assert_eq!(described(&image, 6..12), [(true, 6, 7), (false, 7, 12)]);
        assert_eq!(described(&image, 5..5), []);
    }
}
