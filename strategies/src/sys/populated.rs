//! Which pages of a range are populated at all.

use std::io;
use std::ops::Range;

use super::Mechanism;
use super::page;
use super::pagemap::{self, PAGEMAP, PRESENT, Pagemap, SWAPPED};
use super::pagemap_scan::{self, Scanner, Select};

/// Pages whose entries are read at once: 512 KiB of them.
const AT_ONCE: usize = 1 << 16;

/// Finds the populated runs of a range of addresses.
type Look = fn(Range<usize>) -> io::Result<Vec<Range<usize>>>;

/// By what populated pages can be found, the fastest first.
const WAYS: [(&Mechanism, Look); 2] =
    [(&pagemap_scan::PAGEMAP_SCAN, scan_populated), (&PAGEMAP, read_populated)];

/// The runs of addresses in a range of pages that may be populated, in ascending order: all others were never written. Where
/// no mechanism that was seen to work tells, that is the whole range.
pub(crate) fn populated(addresses: Range<usize>) -> Vec<Range<usize>> {
    let known = WAYS.into_iter().filter(|(mechanism, _)| mechanism.available().is_ok());
    let mut known = known.filter_map(|(_, look)| look(addresses.clone()).ok());
    known.next().unwrap_or_else(|| vec![addresses])
}

/// By `PAGEMAP_SCAN`, which passes over what has no page tables.
fn scan_populated(addresses: Range<usize>) -> io::Result<Vec<Range<usize>>> {
    let mut runs = Vec::new();
    Scanner::open()?.scan(addresses, Select::Populated, |run| page::extend(&mut runs, run))?;
    Ok(runs)
}

/// By `/proc/self/pagemap`, which has an entry for each page.
fn read_populated(addresses: Range<usize>) -> io::Result<Vec<Range<usize>>> {
    let (map, size) = (Pagemap::open()?, page::size());
    let (mut runs, mut entries) = (Vec::new(), Vec::new());
    for start in addresses.clone().step_by(AT_ONCE * size) {
        map.read(start..(start + AT_ONCE * size).min(addresses.end), &mut entries)?;
        for (flag, at) in pagemap::flags(&entries).zip((start..).step_by(size)) {
            if flag & (PRESENT | SWAPPED) != 0 {
                page::extend(&mut runs, at..at + size);
            }
        }
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_find_what_was_written_and_nothing_else() {
        let (page, pages) = (page::size(), 2 * AT_ONCE);
        let map = page::reserve(pages * page).unwrap();
        let start = map.as_ptr().addr();
        let written = [0, AT_ONCE - 1, AT_ONCE, pages - 1];
        for index in written {
            // SAFETY: the byte is within the mapping, which is this test's own.
            unsafe { map.as_mut_ptr().add(index * page).write(7) };
        }
        let run = |from: usize, to: usize| start + from * page..start + to * page;
        let expected = [run(0, 1), run(AT_ONCE - 1, AT_ONCE + 1), run(pages - 1, pages)];
        for (mechanism, look) in WAYS {
            match mechanism.available() {
                Ok(()) => assert_eq!(look(run(0, pages)).unwrap(), expected, "{}", mechanism.name),
                Err(reason) => eprintln!("not run: {}: {reason}", mechanism.name),
            }
        }
        assert_eq!(populated(run(0, pages)), expected);
    }
}
