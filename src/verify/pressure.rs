//! Memory pressure, for real: pages pushed out by `MADV_PAGEOUT`, or by a control group's limit.

use std::fs;
use std::io;
use std::path::PathBuf;

use procfs::process::Process;
use reset_strategies::{Session, sys};

use super::state::memories;
use crate::workload::host::BlockState;

/// Pushes the pages of a session's memories out, and says how many left. Where there is no swap, pages of a private
/// mapping stay once they are written; those of an image file may go.
///
/// # Errors
/// When the kernel knows no `MADV_PAGEOUT`, which came with Linux 5.4.
pub fn page_out(session: &mut Session<BlockState>) -> io::Result<usize> {
    let memories = memories(session);
    let store = session.store_mut();
    let mut left = 0;
    for memory in memories {
        let (start, length) = (memory.data_ptr(&*store), memory.data_size(&*store));
        if length == 0 {
            continue;
        }
        let before = resident(start, length)?;
        // SAFETY: the range is the memory that the store owns, and reclaiming a page keeps its content.
        let advised = unsafe { libc::madvise(start.cast(), length, libc::MADV_PAGEOUT) };
        if advised != 0 {
            return Err(io::Error::last_os_error());
        }
        left += before.saturating_sub(resident(start, length)?);
    }
    Ok(left)
}

/// Pages of a range that have physical memory.
fn resident(start: *mut u8, length: usize) -> io::Result<usize> {
    let mut pages = vec![0_u8; length.div_ceil(sys::page::size())];
    // SAFETY: mincore(2) writes a byte for each page of the range, as many as there are in the vector.
    if unsafe { libc::mincore(start.cast(), length, pages.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(pages.iter().filter(|&&page| page & 1 == 1).count())
}

/// Whether the machine has swap, and if not, how to come by some.
pub fn swap() -> Result<(), String> {
    match sys::swap::is_on() {
        Ok(true) => Ok(()),
        Ok(false) => Err("this machine has no swap (swapon(8) adds some; a zram device will do)".into()),
        Err(error) => Err(format!("/proc/swaps: {error}")),
    }
}

/// A control group of one child, removed when the child is gone.
#[derive(Debug)]
pub struct Group {
    path: PathBuf,
    files: &'static Files,
}

/// What the two versions of control groups call the same things.
#[derive(Debug)]
struct Files {
    root: &'static str,
    limit: &'static str,
    /// The most that was ever held.
    peak: &'static str,
    /// What a fresh group has to be told, as file and value.
    setup: &'static [(&'static str, &'static str)],
}

const VERSIONS: [Files; 2] = [
    Files {
        root: "/sys/fs/cgroup/memory",
        limit: "memory.limit_in_bytes",
        peak: "memory.max_usage_in_bytes",
        setup: &[("memory.swappiness", "100")],
    },
    Files { root: "/sys/fs/cgroup", limit: "memory.max", peak: "memory.peak", setup: &[] },
];

/// Below such a limit the kernel kills rather than swaps: what cannot leave memory takes up all of it.
const LEAST: u64 = 16 << 20;

/// Whether a process has pages in swap.
pub fn is_swapped(pid: u32) -> bool {
    let process = i32::try_from(pid).ok().and_then(|pid| Process::new(pid).ok());
    process.and_then(|process| process.status().ok()?.vmswap).is_some_and(|kib| kib > 0)
}

impl Group {
    /// Makes a group whose memory can be limited.
    ///
    /// # Errors
    /// In words, when there is no swap to fall back on or the machine does not let us.
    pub fn new(name: &str) -> Result<Self, String> {
        swap()?;
        let mut reasons = Vec::new();
        for files in &VERSIONS {
            let path = PathBuf::from(files.root).join(format!("resetbench-{}-{name}", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => {
                    let group = Self { path, files };
                    if group.path.join(files.limit).exists() {
                        for (file, value) in files.setup {
                            group.write(file, value)?;
                        }
                        return Ok(group);
                    }
                    reasons.push(format!("{} has no {}", files.root, files.limit));
                }
                Err(error) => reasons.push(format!("cannot make a group in {}: {error}", files.root)),
            }
        }
        Err(reasons.join("; "))
    }

    /// The file that a process writes itself into.
    pub fn members(&self) -> PathBuf {
        self.path.join("cgroup.procs")
    }

    /// Limits the group to half of the most that it has held.
    ///
    /// # Errors
    /// In words, when that is too little to live on, or the kernel cannot push so much out.
    pub fn squeeze(&self) -> Result<(), String> {
        let file = self.files.peak;
        let peak = fs::read_to_string(self.path.join(file)).map_err(|error| format!("{file}: {error}"))?;
        let peak: u64 = peak.trim().parse().map_err(|_| format!("{file}: {peak}"))?;
        if peak / 2 < LEAST {
            return Err("a process so small cannot live on half of its memory".into());
        }
        self.write(self.files.limit, &(peak / 2).to_string())
    }

    fn write(&self, file: &str, value: &str) -> Result<(), String> {
        fs::write(self.path.join(file), value).map_err(|error| format!("{file} = {value}: {error}"))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // It fails while a process is left in it; then it stays, empty soon and without effect.
        let _left_behind = fs::remove_dir(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_pages_are_those_that_were_touched() {
        let page = sys::page::size();
        let mut map = memmap2::MmapMut::map_anon(8 * page).unwrap();
        map.advise(memmap2::Advice::NoHugePage).ok();
        assert_eq!(resident(map.as_mut_ptr(), 8 * page).unwrap(), 0);
        map[3 * page] = 1;
        assert_eq!(resident(map.as_mut_ptr(), 8 * page).unwrap(), 1);
    }

    #[test]
    fn without_swap_there_is_no_group_and_a_reason() {
        match swap() {
            Ok(()) => eprintln!("not tested here: this machine has swap"),
            Err(reason) => assert_eq!(Group::new("test").unwrap_err(), reason),
        }
    }
}
