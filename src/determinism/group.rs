//! A memory control group of our own, of whichever version is mounted: made for one case and removed after it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use procfs::process::Process;

/// Names of groups begin with this, then the process that made them.
const PREFIX: &str = "resetbench-";

/// How long the kernel may take to let go of a group whose processes have ended.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

/// Where groups can be made.
#[derive(Clone, Debug)]
struct Hierarchy {
    version: Version,
    folder: PathBuf,
}

/// A group; dropping it kills its members and removes it.
#[derive(Debug)]
pub struct Group {
    version: Version,
    folder: PathBuf,
}

impl Group {
    /// The version in use here, as JSON has it.
    pub fn name() -> &'static str {
        match hierarchy().map(|hierarchy| hierarchy.version) {
            Ok(Version::V1) => "cgroup-v1",
            Ok(Version::V2) => "cgroup-v2",
            Err(_) => "cgroup",
        }
    }

    /// Makes a group that may hold `bytes` of memory, and no swap.
    ///
    /// # Errors
    /// When no hierarchy with a memory controller is mounted, or this process may not use it.
    pub fn make(bytes: u64) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let hierarchy = hierarchy().map_err(|reason| anyhow!("{reason}"))?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = hierarchy.folder.join(format!("{PREFIX}{}-{number}", std::process::id()));
        let version = hierarchy.version;
        if version == Version::V2 {
            // Already there, as a rule; where it is not and cannot be, setting the limit says so.
            let _already = fs::write(hierarchy.folder.join("cgroup.subtree_control"), "+memory");
        }
        fs::create_dir(&folder).with_context(|| {
            format!(
                "not permitted here: cannot make {}, which takes root and a control group hierarchy that is mounted \
                 writable",
                folder.display()
            )
        })?;
        let group = Self { version, folder };
        match version {
            Version::V1 => {
                group.set("memory.limit_in_bytes", bytes)?;
                // Absent where the kernel does not account for swap; then there is no second limit to set.
                let _unaccounted = group.set("memory.memsw.limit_in_bytes", bytes);
            }
            Version::V2 => {
                group.set("memory.max", bytes)?;
                let _unaccounted = group.set("memory.swap.max", 0);
            }
        }
        Ok(group)
    }

    fn set(&self, name: &str, value: u64) -> Result<()> {
        let file = self.folder.join(name);
        fs::write(&file, value.to_string())
            .with_context(|| format!("cannot write {value} to {}", file.display()))
    }

    /// The file that takes the ids of members.
    pub fn members(&self) -> PathBuf {
        self.folder.join("cgroup.procs")
    }

    /// How often the OOM killer has acted here.
    pub fn oom_kills(&self) -> Option<u64> {
        let name = match self.version {
            Version::V1 => "memory.oom_control",
            Version::V2 => "memory.events",
        };
        let text = fs::read_to_string(self.folder.join(name)).ok()?;
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
    }

    /// The largest amount of memory that was charged.
    pub fn peak_bytes(&self) -> Option<u64> {
        let name = match self.version {
            Version::V1 => "memory.max_usage_in_bytes",
            Version::V2 => "memory.peak",
        };
        fs::read_to_string(self.folder.join(name)).ok()?.trim().parse().ok()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.folder) {
            eprintln!("warning: {} is left behind: {error}; remove it with rmdir", self.folder.display());
        }
    }
}

/// Kills what is left in a group, and removes it.
fn remove(folder: &Path) -> io::Result<()> {
    let until = std::time::Instant::now() + PATIENCE;
    loop {
        // Only what we put there and its children can be in a group of ours.
        for pid in fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default().lines() {
            if let Ok(pid) = pid.parse() {
                // SAFETY: sends a signal; the process belongs to the group that we made.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
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

/// Removes groups that a suite left behind which was itself killed.
pub fn sweep() {
    let Ok(hierarchy) = hierarchy() else { return };
    let Ok(entries) = fs::read_dir(&hierarchy.folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let maker = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split_once('-')?.0.parse().ok());
        let dead = maker.is_some_and(|pid: u32| !Path::new(&format!("/proc/{pid}")).exists());
        if dead && let Err(error) = remove(&entry.path()) {
            eprintln!("warning: {} is left over from an earlier run: {error}", entry.path().display());
        }
    }
}

fn hierarchy() -> Result<&'static Hierarchy, &'static str> {
    static FOUND: OnceLock<Result<Hierarchy, String>> = OnceLock::new();
    FOUND.get_or_init(|| find().map_err(|error| format!("{error:#}"))).as_ref().map_err(String::as_str)
}

/// The hierarchy with the memory controller. Groups are made at the top of what is mounted, so that no limit of ours
/// counts twice.
fn find() -> Result<Hierarchy> {
    let mounts = Process::myself()?.mountinfo()?;
    for mount in mounts {
        let version = match mount.fs_type.as_str() {
            "cgroup" if mount.super_options.contains_key("memory") => Version::V1,
            "cgroup2" => {
                let controllers = fs::read_to_string(mount.mount_point.join("cgroup.controllers"));
                if !controllers.unwrap_or_default().split_whitespace().any(|name| name == "memory") {
                    continue;
                }
                Version::V2
            }
            _ => continue,
        };
        return Ok(Hierarchy { version, folder: mount.mount_point });
    }
    bail!("no control group hierarchy with a memory controller is mounted")
}
