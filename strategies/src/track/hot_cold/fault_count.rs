//! Whether any thread of the process has taken a fault since the last reset.
//!
//! Where other threads fault all the time the count has always moved, and asking for it only adds to the scan: the kernel
//! goes through all threads of the process, twice in each reset. Whoever has asked in vain waits before asking again,
//! twice as long each time.

use std::io;

use crate::sys::faults;

/// Resets that one waits for at most before the count is asked for again: in a process that has become quiet, so many scan
/// though they need not.
const LONGEST: u32 = 64;

/// The count of the process at the end of the last reset, and whether it is of use.
#[derive(Debug, Default)]
pub(super) struct FaultCount {
    /// Absent where it is not known: a reset has to scan.
    stood: Option<u64>,
    /// Resets to come that scan without asking.
    waiting: u32,
    /// How many come after the next question that is in vain.
    next: u32,
    /// Whether this reset has asked, and the count has moved.
    moved: bool,
}

impl FaultCount {
    /// Begins a reset: whether there was a fault, as far as is known without asking or by the count of the process. It is
    /// unknown then, until the reset has taken its own faults.
    pub(super) fn has_moved(&mut self, known: Option<bool>) -> io::Result<bool> {
        self.moved = false;
        match (known, self.stood) {
            (Some(false), _) => return Ok(false),
            (None, Some(count)) => {
                if faults::count()? == count {
                    self.next = 0;
                    return Ok(false);
                }
                self.moved = true;
            }
            _ => {}
        }
        self.stood = None;
        Ok(true)
    }

    /// Forgets the count.
    pub(super) fn forget(&mut self) {
        self.stood = None;
    }

    /// Takes note of whether the scan has found a page that took a fault.
    pub(super) fn found(&mut self, any: bool) {
        if any {
            (self.waiting, self.next) = (0, 0);
        } else if self.moved {
            self.waiting = self.next;
            self.next = (2 * self.next).clamp(1, LONGEST);
        }
    }

    /// Ends a reset. Where the count stood, the reset has only written to pages that take no fault.
    pub(super) fn take(&mut self, known: Option<bool>) -> io::Result<()> {
        if self.stood.is_some() || known.is_some() || faults::COUNT.available().is_err() {
            return Ok(());
        }
        if self.waiting > 0 {
            self.waiting -= 1;
            return Ok(());
        }
        self.stood = Some(faults::count()?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reset after a fault; says whether the count was asked for.
    fn reset(count: &mut FaultCount, found: bool) -> bool {
        memmap2::MmapMut::map_anon(1).unwrap()[0] = std::hint::black_box(1);
        assert!(count.has_moved(None).unwrap());
        let asked = count.moved;
        count.found(found);
        count.take(None).unwrap();
        asked
    }

    #[test]
    fn whoever_asks_in_vain_asks_less_and_less_often_until_something_is_found() {
        if faults::COUNT.available().is_err() {
            eprintln!("NOT TESTED HERE: faults are not counted");
            return;
        }
        let mut count = FaultCount::default();
        let asked: Vec<_> = (0..20).filter(|_| reset(&mut count, false)).collect();
        assert_eq!(asked, [1, 2, 4, 7, 12]);
        let asked = (0..1_000).filter(|_| reset(&mut count, false)).count();
        assert!((1_000 / LONGEST as usize - 2..25).contains(&asked), "{asked}");
        reset(&mut count, true);
        assert!(reset(&mut count, true), "a page has faulted");
    }

    #[test]
    fn what_is_known_without_asking_is_believed() {
        let mut count = FaultCount { stood: Some(0), ..FaultCount::default() };
        assert!(!count.has_moved(Some(false)).unwrap());
        assert!(count.has_moved(Some(true)).unwrap());
        count.take(Some(true)).unwrap();
        assert_eq!((count.stood, count.moved), (None, false));
    }
}
