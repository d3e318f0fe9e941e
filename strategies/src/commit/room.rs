//! Arithmetic: how much memory this process may still take, and which limit says so.
//!
//! Looked at are the memory control groups of both versions from the process's own up to the root, MemAvailable, RLIMIT_DATA
//! and RLIMIT_AS. Swap is not counted: a guest whose memory is on disk is as good as none.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use procfs::process::{LimitValue, Process};
use procfs::{Current, Meminfo, ProcResult};

/// What the host needs beside the guest's memory: compiled code, its own state, and page tables (8 MiB for 4 GiB).
pub const HOST_BYTES: u64 = 128 << 20;

/// The address space that wasmtime reserves for a 32-bit memory: 4 GiB, and 32 MiB of guard on either side.
pub const RESERVATION_BYTES: u64 = (4 << 30) + (64 << 20);

/// Memory that is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} are needed ({} for the guest, {} for the host) and {limit} leaves {}: {remedy}",
    Size(self.guest_bytes + self.host_bytes), Size(self.guest_bytes), Size(self.host_bytes), Size(self.left_bytes)
)]
pub struct Shortage {
    /// Bytes for the guest's memory.
    pub guest_bytes: u64,
    /// Bytes for everything else.
    pub host_bytes: u64,
    /// What the tightest limit still allows.
    pub left_bytes: u64,
    /// That limit and where it comes from.
    pub limit: String,
    /// What to set.
    pub remedy: String,
}

/// Whether `bytes` of guest memory can be had, as far as limits tell.
///
/// # Errors
/// The tightest limit that does not allow it.
pub fn check(bytes: u64) -> Result<(), Shortage> {
    fits(bytes, HOST_BYTES, memory())
}

/// Whether a memory can be reserved at all, before it is.
///
/// # Errors
/// When RLIMIT_AS does not allow it.
pub fn check_reservation() -> Result<(), Shortage> {
    fits(RESERVATION_BYTES, HOST_BYTES, address_space())
}

/// A child that was to commit `bytes` did not live.
pub(super) fn shortage_of_child(bytes: u64, how: String) -> Shortage {
    let tightest = memory().into_iter().min_by_key(|room| room.left);
    let (left_bytes, limit, remedy) = match tightest {
        Some(room) => (room.left, room.limit, room.remedy),
        None => (0, "no limit that could be read".into(), "give the machine more memory".into()),
    };
    let limit = format!("a child that was to commit it did not live ({how}), although {limit}");
    Shortage { guest_bytes: bytes, host_bytes: HOST_BYTES, left_bytes, limit, remedy }
}

fn fits(guest_bytes: u64, host_bytes: u64, rooms: Vec<Room>) -> Result<(), Shortage> {
    let needed = guest_bytes.saturating_add(host_bytes);
    match rooms.into_iter().filter(|room| room.left < needed).min_by_key(|room| room.left) {
        None => Ok(()),
        Some(Room { left, limit, remedy, used }) => Err(Shortage {
            guest_bytes,
            host_bytes,
            left_bytes: left,
            limit,
            remedy: match used {
                Some(used) => format!("{remedy} at least {}", Size(needed + used)),
                None => remedy,
            },
        }),
    }
}

/// What one limit still allows.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Room {
    left: u64,
    /// What it holds already, where the remedy is a new limit.
    used: Option<u64>,
    limit: String,
    remedy: String,
}

fn memory() -> Vec<Room> {
    // What cannot be read limits nothing that we know of; the sacrificed child finds out.
    let mut rooms = groups().map_or_else(|_| Vec::new(), |groups| groups.iter().filter_map(group).collect());
    rooms.extend(machine().ok().flatten());
    rooms.extend(resource("RLIMIT_DATA", "ulimit -d", |limits| limits.max_data_size, |status| status.vmdata));
    rooms
}

fn address_space() -> Vec<Room> {
    let room = resource("RLIMIT_AS", "ulimit -v", |limits| limits.max_address_space, |status| status.vmsize);
    room.into_iter().collect()
}

fn machine() -> ProcResult<Option<Room>> {
    let left = Meminfo::current()?.mem_available;
    Ok(left.map(|left| Room {
        left,
        used: None,
        limit: "the machine (MemAvailable of /proc/meminfo)".into(),
        remedy: "stop what else is running, or take a larger machine".into(),
    }))
}

fn resource(
    name: &str,
    command: &str,
    limit: fn(&procfs::process::Limits) -> procfs::process::Limit,
    used_kib: fn(&procfs::process::Status) -> Option<u64>,
) -> Option<Room> {
    let process = Process::myself().ok()?;
    let LimitValue::Value(bytes) = limit(&process.limits().ok()?).soft_limit else { return None };
    let used = used_kib(&process.status().ok()?)? * 1024;
    Some(Room {
        left: bytes.saturating_sub(used),
        used: Some(used),
        limit: format!("{name} ({}, of which {} are in use)", Size(bytes), Size(used)),
        remedy: format!("raise it ({command}, LimitDATA= or LimitAS= of systemd) to"),
    })
}

/// The files of a group that hold its limit, its usage, and the line of its statistics that the kernel drops first.
struct Files {
    limit: &'static str,
    usage: &'static str,
    cache: &'static str,
}

const V1: Files =
    Files { limit: "memory.limit_in_bytes", usage: "memory.usage_in_bytes", cache: "total_inactive_file" };
const V2: Files = Files { limit: "memory.max", usage: "memory.current", cache: "inactive_file" };

fn group((folder, files): &(PathBuf, &Files)) -> Option<Room> {
    let number = |name: &str| -> Option<u64> { read(folder, name)?.trim().parse().ok() };
    // v1 has no word for "none" but the largest number of pages; v2's does not parse.
    let bytes = number(files.limit).filter(|bytes| *bytes < 1 << 62)?;
    let cache = read(folder, "memory.stat").and_then(|text| {
        text.lines().find_map(|line| line.strip_prefix(files.cache)?.trim().parse::<u64>().ok())
    });
    let used = number(files.usage)?.saturating_sub(cache.unwrap_or(0));
    let file = folder.join(files.limit);
    Some(Room {
        left: bytes.saturating_sub(used),
        used: Some(used),
        limit: format!("{} ({}, of which {} are in use)", file.display(), Size(bytes), Size(used)),
        remedy:
            "raise the container's memory limit (docker --memory, resources.limits.memory, MemoryMax=) to"
                .into(),
    })
}

fn read(folder: &Path, name: &str) -> Option<String> {
    fs::read_to_string(folder.join(name)).ok()
}

/// The memory groups of this process, its own first.
fn groups() -> ProcResult<Vec<(PathBuf, &'static Files)>> {
    let process = Process::myself()?;
    let memberships = process.cgroups()?;
    let mut groups = Vec::new();
    for mount in process.mountinfo()? {
        let (files, membership) = match mount.fs_type.as_str() {
            "cgroup" if mount.super_options.contains_key("memory") => {
                (&V1, memberships.0.iter().find(|m| m.controllers.iter().any(|c| c == "memory")))
            }
            "cgroup2" => (&V2, memberships.0.iter().find(|m| m.hierarchy == 0)),
            _ => continue,
        };
        let Some(membership) = membership else { continue };
        // In a container the mount begins at its own group, whose path the mount point stands for.
        let inside = Path::new(&membership.pathname).strip_prefix(&mount.root).unwrap_or(Path::new(""));
        let own = mount.mount_point.join(inside);
        groups.extend(
            own.ancestors()
                .take_while(|folder| folder.starts_with(&mount.mount_point))
                .map(|folder| (folder.to_owned(), files)),
        );
    }
    Ok(groups)
}

/// A number of bytes as people read it.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes >= 10 << 30 => write!(f, "{} GiB", bytes >> 30),
            bytes if bytes >= 1 << 30 => write!(f, "{:.2} GiB", bytes as f64 / f64::from(1 << 30)),
            bytes => write!(f, "{} MiB", bytes >> 20),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(left: u64, used: Option<u64>) -> Room {
        Room { left, used, limit: "/group/memory.max (1 GiB)".into(), remedy: "raise it to".into() }
    }

    #[test]
    fn what_fits_is_no_error_and_exactly_enough_fits() {
        assert_eq!(fits(10, 5, vec![]), Ok(()));
        assert_eq!(fits(10, 5, vec![room(15, None), room(16, None)]), Ok(()));
    }

    #[test]
    fn the_tightest_limit_is_named_with_what_to_set() {
        let error = fits(4 << 30, 128 << 20, vec![room(2 << 30, None), room(1 << 30, Some(64 << 20))]);
        let message = error.unwrap_err().to_string();
        assert_eq!(
            message,
            "4.12 GiB are needed (4.00 GiB for the guest, 128 MiB for the host) and \
             /group/memory.max (1 GiB) leaves 1.00 GiB: raise it to at least 4.19 GiB"
        );
    }

    #[test]
    fn a_group_is_read_in_either_version() {
        let folder = std::env::temp_dir().join(format!("room-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in [
            ("memory.max", "max\n"),
            ("memory.current", "7\n"),
            ("memory.limit_in_bytes", "1000\n"),
            ("memory.usage_in_bytes", "300\n"),
            ("memory.stat", "inactive_file 5\ntotal_inactive_file 100\n"),
        ] {
            fs::write(folder.join(name), text).unwrap();
        }
        assert_eq!(group(&(folder.clone(), &V2)), None, "max is no limit");
        assert_eq!(group(&(folder.clone(), &V1)).unwrap().left, 1000 - (300 - 100));
        fs::write(folder.join("memory.max"), "1000").unwrap();
        assert_eq!(group(&(folder.clone(), &V2)).unwrap().left, 1000 - (7 - 5));
        fs::write(folder.join("memory.limit_in_bytes"), "9223372036854771712").unwrap();
        assert_eq!(group(&(folder.clone(), &V1)), None, "v1 writes a number for none");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn more_than_any_machine_has_is_a_shortage() {
        let shortage = check(1 << 60).unwrap_err();
        assert!(shortage.left_bytes < 1 << 60, "{shortage}");
    }
}
