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
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::source::{Facts, Files, number};

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
        let memory = memory_limits(facts.files);
        let cpu = cpu_quotas(facts.files);
        for (field, limited, groups) in [
            ("cgroup.memory_limit", !memory.found.is_empty(), &memory.groups),
            ("cgroup.cpu_quota", !cpu.found.is_empty(), &cpu.groups),
        ] {
            // Without the groups' names, which may tell users and jobs apart.
            match groups.len() {
                _ if limited => {}
                0 => facts.miss(field, "no control group is mounted where this process can see it"),
                n => facts.miss(
                    field,
                    format!("unlimited: none of the {n} control groups up to the root sets one"),
                ),
            }
        }
        let memory_limit = memory.found.into_iter().min_by_key(|limit| limit.bytes);
        if let Some(MemoryLimit { used_bytes: None, file, .. }) = &memory_limit {
            facts.miss("cgroup.memory_limit.used_bytes", format!("no usage is readable beside {file}"));
        }
        Self { memory_limit, cpu_quota: cpu.found.into_iter().min_by(|a, b| a.cpus.total_cmp(&b.cpus)) }
    }
}

/// Bytes that the control groups still allow before they reclaim or kill; `None` when nothing limits.
pub(crate) fn headroom(files: &dyn Files) -> Option<u64> {
    let limits = memory_limits(files).found;
    limits.iter().map(|limit| limit.bytes.saturating_sub(limit.used_bytes.unwrap_or(0))).min()
}

/// What a walk up the hierarchy found.
struct Walk<T> {
    found: Vec<T>,
    /// The groups' directories, the process's own first.
    groups: Vec<String>,
}

fn memory_limits(files: &dyn Files) -> Walk<MemoryLimit> {
    let groups = groups(files, "memory");
    let mut found = Vec::new();
    for group in &groups {
        for (name, usage, cache) in [
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.high", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ] {
            let file = format!("{group}/{name}");
            let Some(bytes) = files.text(&file).ok().and_then(|text| memory_limit(&text)) else { continue };
            let used = files.text(&format!("{group}/{usage}")).ok().and_then(|text| number::<u64>(&text));
            let cache = files.text(&format!("{group}/memory.stat")).ok().and_then(|text| stat(&text, cache));
            let used_bytes = used.map(|used| used.saturating_sub(cache.unwrap_or(0)));
            found.push(MemoryLimit { bytes, used_bytes, file });
        }
    }
    Walk { found, groups }
}

fn cpu_quotas(files: &dyn Files) -> Walk<CpuQuota> {
    let groups = groups(files, "cpu");
    let mut found = Vec::new();
    for group in &groups {
        let v2 = format!("{group}/cpu.max");
        let v1 = format!("{group}/cpu.cfs_quota_us");
        if let Some(quota) = files.text(&v2).ok().and_then(|text| {
            let (quota, period) = text.trim().split_once(' ')?;
            cpu_quota(quota, period, &v2)
        }) {
            found.push(quota);
        } else if let (Ok(quota), Ok(period)) =
            (files.text(&v1), files.text(&format!("{group}/cpu.cfs_period_us")))
        {
            found.extend(cpu_quota(&quota, &period, &v1));
        }
    }
    Walk { found, groups }
}

/// A limit in bytes; `None` for `max` and for the value by which v1 says "unlimited" (the largest multiple of
/// the page size that fits in a signed 64-bit number; nobody has half as much memory).
fn memory_limit(text: &str) -> Option<u64> {
    number::<u64>(text).filter(|bytes| *bytes < 1 << 62)
}

/// `None` for `max`, for v1's -1 and for odd text.
fn cpu_quota(quota: &str, period: &str, file: &str) -> Option<CpuQuota> {
    let quota_us: u64 = number(quota)?;
    let period_us: u64 = number(period).filter(|period| *period > 0)?;
    // Both are below 2^53 for any period that the kernel accepts (at most a second).
    Some(CpuQuota { cpus: quota_us as f64 / period_us as f64, quota_us, period_us, file: file.to_owned() })
}

/// The value of a line `key 123` of `memory.stat`.
fn stat(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')).and_then(number)
}

/// A line of `/proc/self/cgroup`.
#[derive(Debug, PartialEq, Eq)]
struct Membership<'a> {
    /// Controllers of a v1 hierarchy; empty for v2.
    controllers: Vec<&'a str>,
    path: &'a str,
}

/// Lines `hierarchy:controllers:path`; a path may itself hold colons, odd lines are left out.
fn memberships(text: &str) -> Vec<Membership<'_>> {
    text.lines()
        .filter_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (_hierarchy, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            let controllers = controllers.split(',').filter(|name| !name.is_empty()).collect();
            path.starts_with('/').then_some(Membership { controllers, path })
        })
        .collect()
}

/// Directories of the groups that may limit `controller`, from the process's own up to the mount point, v1
/// first.
fn groups(files: &dyn Files, controller: &str) -> Vec<String> {
    let (Ok(memberships_text), Ok(mounts_text)) =
        (files.text("/proc/self/cgroup"), files.text("/proc/self/mountinfo"))
    else {
        return Vec::new();
    };
    let memberships = memberships(&memberships_text);
    let mounts: Vec<MountInfo> =
        mounts_text.lines().filter_map(|line| MountInfo::from_line(line).ok()).collect();

    let v1 = memberships.iter().find(|membership| membership.controllers.contains(&controller));
    let v2 = memberships.iter().find(|membership| membership.controllers.is_empty());
    let v1 = v1.and_then(|group| {
        let mount =
            mounts.iter().find(|m| m.fs_type == "cgroup" && m.super_options.contains_key(controller))?;
        Some((mount, group.path))
    });
    let v2 = v2.and_then(|group| Some((mounts.iter().find(|m| m.fs_type == "cgroup2")?, group.path)));
    v1.into_iter()
        .chain(v2)
        .flat_map(|(mount, path)| upwards(&mount.mount_point.to_string_lossy(), &mount.root, path))
        .collect()
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
    (0..=parts.len())
        .rev()
        .map(|depth| {
            std::iter::once(mount_point).chain(parts[..depth].iter().copied()).collect::<Vec<_>>().join("/")
        })
        .collect()
}

#[cfg(test)]
mod tests;
