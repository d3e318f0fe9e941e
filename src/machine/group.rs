//! A memory control group of our own, of whichever version is mounted: made for one cell and removed after it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use procfs::process::{MountInfo, Process};

use super::pace::patience;
use super::source::{keyed, number};

/// Names of groups begin with this, then the process that made them.
const PREFIX: &str = "resetbench-";

/// How long the kernel may take to let go of a group whose processes have ended, on an ordinary machine.
const PATIENCE: Duration = Duration::from_secs(5);

/// The version of a hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    V1,
    V2,
}

impl Version {
    /// The one that has the memory controller here; version 2 where none has.
    pub fn in_use() -> Self {
        if hierarchy(Self::V1).is_ok() { Self::V1 } else { Self::V2 }
    }

    /// The one that is not this.
    pub fn other(self) -> Self {
        match self {
            Self::V1 => Self::V2,
            Self::V2 => Self::V1,
        }
    }

    /// As JSON has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1 => "cgroup-v1",
            Self::V2 => "cgroup-v2",
        }
    }
}

/// A group; dropping it kills its members and removes it.
#[derive(Debug)]
pub struct Group(Joined);

impl Group {
    /// Makes a group without limits.
    ///
    /// # Errors
    /// When no hierarchy of that version with a memory controller is mounted, or this process may not use it.
    pub fn make(version: Version) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let hierarchy = hierarchy(version).map_err(|reason| anyhow!("{reason}"))?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = hierarchy.join(format!("{PREFIX}{}-{number}", std::process::id()));
        if version == Version::V2 {
            // Already there, as a rule; where it is not and cannot be, setting the limit says so.
            let _already = fs::write(hierarchy.join("cgroup.subtree_control"), "+memory");
        }
        fs::create_dir(&folder).with_context(|| {
            format!(
                "not permitted here: cannot make {}, which takes root and a control group hierarchy that is mounted \
                 writable",
                folder.display()
            )
        })?;
        Ok(Self(Joined { version, folder }))
    }

    /// Lets it hold `bytes` of memory, and push the rest into swap, as eagerly as the kernel can be told to.
    ///
    /// # Errors
    /// When the kernel cannot push so much out.
    pub fn limit(&self, bytes: u64) -> Result<()> {
        match self.0.version {
            Version::V1 => {
                self.set("memory.swappiness", 100)?;
                self.set("memory.limit_in_bytes", bytes)
            }
            Version::V2 => self.set("memory.max", bytes),
        }
    }

    /// Lets it hold `bytes` of memory, and no swap.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn limit_without_swap(&self, bytes: u64) -> Result<()> {
        // What is absent where the kernel does not account for swap; then there is no second limit to set.
        let _unaccounted = match self.0.version {
            Version::V1 => {
                self.set("memory.limit_in_bytes", bytes)?;
                self.set("memory.memsw.limit_in_bytes", bytes)
            }
            Version::V2 => {
                self.set("memory.max", bytes)?;
                self.set("memory.swap.max", 0)
            }
        };
        Ok(())
    }

    fn set(&self, name: &str, value: u64) -> Result<()> {
        let wrote = self.0.write(name, &value.to_string());
        wrote.with_context(|| format!("cannot write {value} to {}", self.0.folder.join(name).display()))
    }

    /// The file that takes the ids of members.
    pub fn members(&self) -> PathBuf {
        self.0.folder.join("cgroup.procs")
    }

    /// How often the OOM killer has acted here.
    pub fn oom_kills(&self) -> Option<u64> {
        let name = match self.0.version {
            Version::V1 => "memory.oom_control",
            Version::V2 => "memory.events",
        };
        keyed(&self.0.read(name).ok()?, "oom_kill")
    }

    /// The largest amount of memory that was charged; before Linux 5.19, which brought `memory.peak`, version 2 says only
    /// what is charged now.
    ///
    /// # Errors
    /// When the kernel says neither.
    pub fn most_bytes(&self) -> Result<u64> {
        self.0.most_bytes().with_context(|| {
            format!("the kernel does not say how much memory {} held", self.0.folder.display())
        })
    }
}

/// The group that this process has joined, seen from within.
#[derive(Debug)]
pub struct Joined {
    version: Version,
    folder: PathBuf,
}

impl Joined {
    /// The group whose file of members that is.
    ///
    /// # Errors
    /// When it is no file of a group with a memory controller.
    pub fn by(members: &Path) -> io::Result<Self> {
        let folder = members.parent().unwrap_or(members).to_owned();
        for (version, name) in [(Version::V1, "memory.limit_in_bytes"), (Version::V2, "memory.max")] {
            if folder.join(name).exists() {
                return Ok(Self { version, folder });
            }
        }
        let what = format!("{} has no memory controller", folder.display());
        Err(io::Error::new(io::ErrorKind::NotFound, what))
    }

    /// Has the kernel push out as much as it can of what the group holds; the limit stays as it is.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn push_out(&self) -> io::Result<()> {
        match self.version {
            // A limit below what is held is reached for, and refused where that cannot be reached (`mem_cgroup_resize_max`
            // in `mm/memcontrol-v1.c`).
            Version::V1 => {
                let limit = self.read("memory.limit_in_bytes")?;
                // This alone takes note of what other processors have just brought, and tells less of a failure.
                let _noted = self.write("memory.force_empty", "0");
                let reached = self.write("memory.limit_in_bytes", "0");
                self.write("memory.limit_in_bytes", limit.trim())?;
                match reached {
                    Err(error) if error.raw_os_error() != Some(libc::EBUSY) => Err(error),
                    _ => Ok(()),
                }
            }
            Version::V2 => {
                let held = number(&self.read("memory.current")?).unwrap_or(u64::MAX);
                match self.write("memory.reclaim", &held.to_string()) {
                    // Less than that was to be had.
                    Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Ok(()),
                    // It came with Linux 5.19. Before, a threshold does the same, high enough that this process is not
                    // held up for having crossed it before it is lifted.
                    Err(_) => {
                        let lowered = self.write("memory.high", &(held / 4).to_string());
                        lowered.and(self.write("memory.high", "max"))
                    }
                    Ok(()) => Ok(()),
                }
            }
        }
    }

    /// What the group has in swap; `None` where the kernel does not account for it.
    pub fn swapped_bytes(&self) -> Option<u64> {
        match self.version {
            Version::V1 => keyed(&self.read("memory.stat").ok()?, "swap"),
            Version::V2 => number(&self.read("memory.swap.current").ok()?),
        }
    }

    fn most_bytes(&self) -> Result<u64> {
        let number = |name: &str| -> Result<u64> {
            let text = self.read(name).with_context(|| name.to_owned())?;
            text.trim().parse().with_context(|| format!("{name} is `{}`", text.trim()))
        };
        match self.version {
            Version::V1 => number("memory.max_usage_in_bytes"),
            Version::V2 => number("memory.peak")
                .or_else(|_| number("memory.current"))
                .context("memory.peak came with Linux 5.19, and there is no memory.current instead"),
        }
    }

    fn read(&self, name: &str) -> io::Result<String> {
        fs::read_to_string(self.folder.join(name))
    }

    fn write(&self, name: &str, value: &str) -> io::Result<()> {
        fs::write(self.folder.join(name), value)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let folder = &self.0.folder;
        if let Err(error) = remove(folder) {
            eprintln!("warning: {} is left behind: {error}; remove it with rmdir", folder.display());
        }
    }
}

/// Kills what is left in a group, and removes it.
fn remove(folder: &Path) -> io::Result<()> {
    let until = std::time::Instant::now() + patience(PATIENCE);
    loop {
        // Only what we put there and its children can be in a group of ours.
        let members = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        for pid in processes(&members) {
            let _gone = kill(pid, Signal::SIGKILL);
        }
        match fs::remove_dir(folder) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if std::time::Instant::now() > until => return Err(error),
            // The kernel keeps a group until the last page of its last process is uncharged.
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// The processes of a group that can be named here. Those of other pid namespaces are listed as 0, which to kill(2) means
/// the caller's own process group.
fn processes(members: &str) -> impl Iterator<Item = Pid> {
    members.lines().filter_map(number).filter(|&pid| pid > 0).map(Pid::from_raw)
}

/// Removes groups that a suite left behind which was itself killed.
pub fn sweep() {
    let Ok(hierarchy) = hierarchy(Version::in_use()) else { return };
    let Ok(entries) = fs::read_dir(hierarchy) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let maker = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split_once('-')?.0.parse().ok());
        let dead = maker.is_some_and(|pid: u32| !Path::new(&format!("/proc/{pid}")).exists());
        if dead && let Err(error) = remove(&entry.path()) {
            eprintln!("warning: {} is left over from an earlier run: {error}", entry.path().display());
        }
    }
}

/// Where groups of a version can be limited in memory, or why they cannot.
///
/// # Errors
/// When no hierarchy of that version with a memory controller is mounted.
pub fn hierarchy(version: Version) -> Result<&'static Path, &'static str> {
    static KNOWN: [OnceLock<Result<PathBuf, String>>; 2] = [OnceLock::new(), OnceLock::new()];
    let found = KNOWN[version as usize].get_or_init(|| find(version).map_err(|error| format!("{error:#}")));
    found.as_deref().map_err(String::as_str)
}

/// The hierarchy of the memory controller. Groups are made at the top of what is mounted, so that no limit of ours
/// counts twice.
fn find(version: Version) -> Result<PathBuf> {
    let (missing, fits): (_, fn(&MountInfo) -> bool) = match version {
        Version::V1 => ("no hierarchy of version 1 with a memory controller is mounted", |mount| {
            mount.fs_type == "cgroup" && mount.super_options.contains_key("memory")
        }),
        Version::V2 => ("no hierarchy of version 2 is mounted", |mount| mount.fs_type == "cgroup2"),
    };
    let mount = Process::myself()?.mountinfo()?.into_iter().find(fits);
    let folder = mount.with_context(|| format!("not permitted here: {missing}"))?.mount_point;
    if version == Version::V2 {
        let file = folder.join("cgroup.controllers");
        let controllers = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        ensure!(
            controllers.split_whitespace().any(|name| name == "memory"),
            "not permitted here: {} lists no memory controller (only: {}); the kernel gives it to one version at a time, \
             and to this one when booted with cgroup_no_v1=memory",
            file.display(),
            controllers.trim()
        );
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A group whose files are these.
    fn with<T>(version: Version, files: &[(&str, &str)], asked: impl FnOnce(&Joined) -> T) -> T {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        asked(&Joined { version, folder: folder.path().to_owned() })
    }

    #[test]
    fn what_a_group_has_held_is_what_its_kernel_says() {
        let most = |version, files: &[_]| {
            with(version, files, Joined::most_bytes).map_err(|error| format!("{error:#}"))
        };
        assert_eq!(most(Version::V1, &[("memory.max_usage_in_bytes", "4096\n")]), Ok(4096));
        let both = [("memory.peak", "8192\n"), ("memory.current", "4096\n")];
        assert_eq!(most(Version::V2, &both), Ok(8192));
        assert_eq!(most(Version::V2, &both[1..]), Ok(4096), "as before Linux 5.19");
        let none = most(Version::V2, &[]).unwrap_err();
        assert!(none.starts_with("memory.peak came with Linux 5.19"), "{none}");
        assert!(most(Version::V1, &[("memory.max_usage_in_bytes", "much")]).unwrap_err().contains("`much`"));
    }

    #[test]
    fn a_process_that_has_no_number_here_is_not_killed() {
        let named: Vec<i32> = processes("0\n12\n0\n4711\n").map(Pid::as_raw).collect();
        assert_eq!(named, [12, 4711]);
    }

    #[test]
    fn swap_is_a_line_of_its_own() {
        for (stat, bytes) in [
            ("cache 1\nswapcached 7\nswap 8192\ntotal_swap 9\n", Some(8192)),
            ("cache 1\ntotal_swap 9\n", None),
        ] {
            assert_eq!(with(Version::V1, &[("memory.stat", stat)], Joined::swapped_bytes), bytes);
        }
    }
}
