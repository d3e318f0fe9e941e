//! Huge pages that are made and split again. Where a huge page is split, the kernel may replace pages of zeros by the
//! page of zeros that all processes share (`try_to_map_unused_to_zeropage` in `mm/migrate.c`, Linux 6.12), although
//! somebody wrote them.

use std::io;

use reset_strategies::{Session, sys};

use super::state::memories;
use crate::workload::host::BlockState;

/// Makes huge pages of whatever part of the memories can be one, and splits them again where `split` says so, by asking
/// for single pages of them to be reclaimed. Says how many were made.
///
/// # Errors
/// When there was something to make one of, and the kernel made none.
pub fn collapse(session: &mut Session<BlockState>, split: bool) -> io::Result<usize> {
    let (page, huge, mut made, mut failed) = (sys::page::size(), sys::page::huge(), 0, None);
    let memories = memories(session).map_err(io::Error::other)?;
    let store = session.store_mut().map_err(io::Error::other)?;
    for memory in memories {
        let (base, size) = (memory.data_ptr(&store), memory.data_size(&store));
        let begin = base.addr().next_multiple_of(huge) - base.addr();
        for start in (begin..size).step_by(huge).take_while(|start| start + huge <= size) {
            let advise = |offset: usize, length, advice| {
                // SAFETY: the range lies within the memory that the store owns; neither advice changes its content.
                match unsafe { libc::madvise(base.wrapping_add(start + offset).cast(), length, advice) } {
                    0 => Ok(()),
                    _ => Err(io::Error::last_os_error()),
                }
            };
            match advise(0, huge, libc::MADV_COLLAPSE) {
                Ok(()) => made += 1,
                Err(error) => {
                    failed = Some(error);
                    continue;
                }
            }
            if split {
                advise(0, page, libc::MADV_COLD)?;
                advise(huge / 2, page, libc::MADV_PAGEOUT)?;
            }
        }
    }
    match failed {
        Some(error) if made == 0 => Err(error),
        _ => Ok(made),
    }
}
