//! The limits of the control groups that hold this process: memory and CPU time.
//!
//! `/proc/self/cgroup` names the group in each hierarchy and `/proc/self/mountinfo` where each hierarchy is
//! mounted (cgroups(7), proc(5)). Limits of every group up to the root apply, so the walk goes upwards and
//! the tightest counts. A memory limit is worse news than a small machine: a page fault that the group cannot
//! serve is answered by the OOM killer and not by an error.
//!
//! Both versions are read, since a hybrid system mounts some controllers as v1 and the rest as v2. In a
//! container the host's path may be invisible; then the mount point itself is the group.

use procfs::process::MountInfo;
use procfs::{FromBufRead, ProcessCGroup, ProcessCGroups};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::source::{Facts, Files, keyed, number};

/// Limits by control groups; absent when there is none.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Cgroup {
    pub memory_limit: Option<MemoryLimit>,
    pub cpu_quota: Option<CpuQuota>,
}

/// The tightest memory limit between this process's group and the root.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
pub struct MemoryLimit {
    pub bytes: u64,
    /// What the group held when read, without the page cache that the kernel would drop first.
    pub used_bytes: Option<u64>,
    /// The file that sets the limit: `memory.max` and `memory.limit_in_bytes` kill, `memory.high` throttles.
    pub file: String,
}

/// The tightest CPU quota: threads beyond it are stopped until the next period, which shows as outliers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct CpuQuota {
    /// CPUs' worth of time: `quota_us / period_us`.
    pub cpus: f64,
    pub quota_us: u64,
    pub period_us: u64,
    pub file: String,
}

impl Cgroup {
    pub(crate) fn read(facts: &mut Facts) -> Self {
        let (memory, cpu) = (groups(facts.files, "memory"), groups(facts.files, "cpu"));
        let limits = memory_limits(facts.files, &memory);
        let quotas = cpu_quotas(facts.files, &cpu);
        for (field, found, groups) in [
            ("cgroup.memory_limit", limits.len(), memory.len()),
            ("cgroup.cpu_quota", quotas.len(), cpu.len()),
        ] {
            // Without the groups' names, which may tell users and jobs apart.
            match (found, groups) {
                (0, 0) => facts.miss(field, "no control group is mounted where this process can see it"),
                (0, n) => facts.miss(
                    field,
                    format!("unlimited: none of the {n} control groups up to the root sets one"),
                ),
                _ => {}
            }
        }
        let memory_limit = limits.into_iter().min_by_key(|limit| limit.bytes);
        if let Some(MemoryLimit { used_bytes: None, file, .. }) = &memory_limit {
            facts.miss("cgroup.memory_limit.used_bytes", format!("no usage is readable beside {file}"));
        }
        Self { memory_limit, cpu_quota: quotas.into_iter().min_by(|a, b| a.cpus.total_cmp(&b.cpus)) }
    }
}

/// Bytes that the control groups still allow before they reclaim or kill; `None` when nothing limits.
pub(crate) fn headroom(files: &dyn Files) -> Option<u64> {
    let limits = memory_limits(files, &groups(files, "memory"));
    limits.iter().map(|limit| limit.bytes.saturating_sub(limit.used_bytes.unwrap_or(0))).min()
}

fn memory_limits(files: &dyn Files, groups: &[String]) -> Vec<MemoryLimit> {
    let mut found = Vec::new();
    for group in groups {
        for (name, usage, cache) in [
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.high", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ] {
            let file = format!("{group}/{name}");
            let Some(bytes) = files.parsed(&file, memory_limit) else { continue };
            let used: Option<u64> = files.parsed(&format!("{group}/{usage}"), number);
            let cache = files.parsed(&format!("{group}/memory.stat"), |text| keyed(text, cache));
            let used_bytes = used.map(|used| used.saturating_sub(cache.unwrap_or(0)));
            found.push(MemoryLimit { bytes, used_bytes, file });
        }
    }
    found
}

fn cpu_quotas(files: &dyn Files, groups: &[String]) -> Vec<CpuQuota> {
    let of_group = |group: &String| {
        let (v2, v1) = (format!("{group}/cpu.max"), format!("{group}/cpu.cfs_quota_us"));
        let both = files.parsed(&v2, |text| cpu_quota(text.trim().split_once(' ')?, &v2));
        both.or_else(|| {
            let period = files.text(&format!("{group}/cpu.cfs_period_us")).ok()?;
            files.parsed(&v1, |quota| cpu_quota((quota, &period), &v1))
        })
    };
    groups.iter().filter_map(of_group).collect()
}

/// A limit in bytes; `None` for `max` and for the value by which v1 says "unlimited" (the largest multiple of
/// the page size that fits in a signed 64-bit number; nobody has half as much memory).
fn memory_limit(text: &str) -> Option<u64> {
    number::<u64>(text).filter(|bytes| *bytes < 1 << 62)
}

/// `None` for `max`, for v1's -1 and for odd text.
fn cpu_quota((quota, period): (&str, &str), file: &str) -> Option<CpuQuota> {
    let quota_us: u64 = number(quota)?;
    let period_us: u64 = number(period).filter(|period| *period > 0)?;
    // Both are below 2^53 for any period that the kernel accepts (at most a second).
    Some(CpuQuota { cpus: quota_us as f64 / period_us as f64, quota_us, period_us, file: file.to_owned() })
}

/// Lines `hierarchy:controllers:path`, without controllers for v2; odd lines are left out.
fn memberships(text: &str) -> Vec<ProcessCGroup> {
    let lines = text.lines().filter_map(|line| ProcessCGroups::from_buf_read(line.as_bytes()).ok());
    lines.flatten().filter(|group| group.pathname.starts_with('/')).collect()
}

/// Directories of the groups that may limit `controller`, from the process's own up to the mount point, v1
/// first.
fn groups(files: &dyn Files, controller: &str) -> Vec<String> {
    let text = |path| files.text(path).unwrap_or_default();
    let mounts = text("/proc/self/mountinfo");
    let mounts: Vec<MountInfo> = mounts.lines().filter_map(|line| MountInfo::from_line(line).ok()).collect();
    let mut memberships = memberships(&text("/proc/self/cgroup"));
    memberships.sort_by_key(|group| group.controllers.is_empty());
    let directories = |group: ProcessCGroup| {
        let is_v2 = group.controllers.is_empty();
        let is_its = |mount: &&MountInfo| match is_v2 {
            true => mount.fs_type == "cgroup2",
            false => mount.fs_type == "cgroup" && mount.super_options.contains_key(controller),
        };
        let limits = is_v2 || group.controllers.iter().any(|name| name == controller);
        let mount = mounts.iter().find(is_its).filter(|_| limits)?;
        Some(upwards(&mount.mount_point.to_string_lossy(), &mount.root, &group.pathname))
    };
    memberships.into_iter().filter_map(directories).flatten().collect()
}

/// The group's directory and its parents, within the mount. `root` is the part of the hierarchy that is
/// mounted: inside a container often the container's own group, whose path the mount point then stands for.
fn upwards(mount_point: &str, root: &str, path: &str) -> Vec<String> {
    let root = root.trim_end_matches('/');
    let inside = match path.strip_prefix(root) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => rest,
        _ => "",
    };
    let mut parts: Vec<&str> = inside.split('/').filter(|part| !part.is_empty()).collect();
    if parts.contains(&"..") {
        // The group lies above the cgroup namespace's root: not reachable from here.
        parts.clear();
    }
    parts.insert(0, mount_point);
    (1..=parts.len()).rev().map(|depth| parts[..depth].join("/")).collect()
}

#[cfg(test)]
mod tests;
