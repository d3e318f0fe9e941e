//! What a reader must know about the machine before believing a figure, read once per run.
//!
//! [`Machine::read`] never fails: a fact that cannot be had is `None`, and [`Machine::absent`] says why,
//! naming the file. Nothing that identifies the owner is read: no host name, no serial numbers.
//!
//! Each topic has a file; parsers work on text behind the `source::Files` seam, so that they are tested on
//! literal machines of both architectures.

mod arm;
mod cgroup;
pub mod clock;
mod cpu;
mod frequency;
pub mod group;
pub mod inherited;
mod limits;
mod memory;
mod noise;
mod own;
pub mod pace;
pub(crate) mod perf;
pub mod pinning;
mod source;
mod virtualisation;
mod zeroing;

use std::collections::BTreeMap;

use reset_strategies::sys::memory::Memory as SystemMemory;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use cgroup::{Cgroup, CpuQuota, MemoryLimit};
pub use cpu::Cpu;
pub use frequency::Frequency;
pub use limits::{Limit, Limits};
pub use memory::{Memory, Overcommit, Thp};
pub use noise::{Level, Noise, noise};
pub use own::{Ksm, Locked, Swap};
pub use perf::{Perf, Probe};
pub use virtualisation::Virtualisation;
pub use zeroing::Zeroing;

pub(crate) use source::kib;
use source::{Facts, Files, System, line};

use crate::units::several;

/// The facts of one machine at one moment.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Machine {
    /// A short key under which results are comparable: architecture, CPU, online cores, kernel series, page
    /// size. Online cores and not usable ones, so that pinning a process does not make it another machine.
    pub class: String,
    pub arch: String,
    pub cpu: Cpu,
    pub frequency: Frequency,
    pub kernel: Kernel,
    pub memory: Memory,
    pub cgroup: Cgroup,
    pub limits: Limits,
    /// `vm.unprivileged_userfaultfd`.
    pub unprivileged_userfaultfd: Option<bool>,
    pub perf: Perf,
    pub virtualisation: Virtualisation,
    /// CPU weaknesses and what the kernel does about each, in the kernel's words; they change what system
    /// calls and faults cost.
    #[serde(default)]
    pub mitigations: BTreeMap<String, String>,
    /// Load averages when read.
    pub load: Option<Load>,
    /// For each field above that is missing, in dotted form, the reason.
    #[serde(default)]
    pub absent: BTreeMap<String, String>,
}

/// The kernel and its clock.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Kernel {
    /// As `uname -r` prints it.
    pub release: Option<String>,
    /// What tells the time. `tsc`, `kvm-clock`, `hyperv_clocksource_tsc_page` and `arch_sys_counter` are read
    /// in user space; any other makes each reading a system call, which is dear for short spans.
    pub clocksource: Option<String>,
}

/// Processes wanting to run, averaged over the last minutes (proc(5), `/proc/loadavg`).
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Load {
    pub one: f64,
    pub five: f64,
    pub fifteen: f64,
}

/// What files do not tell.
struct Native {
    arch: &'static str,
    page_bytes: u64,
    perf: perf::Tried,
    own: own::Tried,
}

impl Machine {
    /// Reads everything, and tries the performance counters; takes a few milliseconds.
    pub fn read() -> Self {
        let native = Native {
            arch: std::env::consts::ARCH,
            page_bytes: procfs::page_size(),
            perf: perf::Tried::now(),
            own: own::Tried::now(),
        };
        Self::assemble(&System, native)
    }

    fn assemble(files: &dyn Files, native: Native) -> Self {
        let facts = &mut Facts::new(files);
        let (cpu, hypervisor) = Cpu::read(facts);
        let kernel = Kernel {
            release: facts.read("kernel.release", "/proc/sys/kernel/osrelease", line),
            clocksource: facts.read(
                "kernel.clocksource",
                "/sys/devices/system/clocksource/clocksource0/current_clocksource",
                line,
            ),
        };
        Self {
            class: class(native.arch, &cpu, kernel.release.as_deref(), native.page_bytes),
            arch: native.arch.to_owned(),
            cpu,
            frequency: Frequency::read(facts),
            kernel,
            memory: Memory::read(facts, native.page_bytes, &native.own),
            cgroup: Cgroup::read(facts),
            limits: Limits::read(facts),
            unprivileged_userfaultfd: limits::unprivileged_userfaultfd(facts),
            perf: Perf::read(facts, native.perf),
            virtualisation: Virtualisation::read(facts, hypervisor),
            mitigations: mitigations(facts),
            load: facts.read("load", "/proc/loadavg", load),
            absent: std::mem::take(&mut facts.absent),
        }
    }

    /// The machine in one line, for captions.
    pub fn sentence(&self) -> String {
        let unnamed = || match &self.cpu.revision {
            Some(revision) => format!("{} CPU {revision}", self.arch),
            None => format!("unnamed {} CPU", self.arch),
        };
        let mut parts = vec![self.cpu.model.clone().unwrap_or_else(unnamed)];
        parts.extend(self.cpu.online.map(|cores| several(cores as usize, "core")));
        parts.extend(
            self.memory.total_bytes.map(|bytes| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))),
        );
        parts.extend(self.kernel.release.as_deref().map(|release| format!("Linux {release}")));
        parts.push(format!("{} KiB pages", self.memory.page_bytes / 1024));
        parts.extend(self.memory.thp.enabled.as_deref().map(|mode| format!("THP {mode}")));
        parts.extend((self.virtualisation.hypervisor == Some(true)).then(|| "virtual machine".to_owned()));
        parts.join(", ")
    }
}

/// Bytes that this process's control groups still allow; `None` when nothing limits.
pub(crate) fn cgroup_headroom() -> Option<u64> {
    cgroup::headroom(&System)
}

/// Bytes that can be had without swapping, now. Where `/proc/meminfo` is hidden, as by `subset=pid`, it is what is free at
/// once, by sysinfo(2).
///
/// # Errors
/// When the kernel says neither.
pub(crate) fn available_bytes() -> std::io::Result<u64> {
    let named = System.text("/proc/meminfo").ok().and_then(|text| memory::available(&text));
    named.map_or_else(|| SystemMemory::read().map(|memory| memory.free_bytes), Ok)
}

/// Bytes that this process and its children can have, now; `None` when the kernel does not say.
pub(crate) fn room_bytes() -> Option<u64> {
    let available = available_bytes().ok();
    [available, cgroup_headroom()].into_iter().flatten().min()
}

/// Builds [`Machine::class`], such as `x86_64-amd-epyc-7763-f25m1-4c-linux6.8-4k`; what is unknown is left
/// out.
fn class(arch: &str, cpu: &Cpu, release: Option<&str>, page_bytes: u64) -> String {
    let cores = cpu.online.map(|cores| format!("{cores}c"));
    let kernel = release.and_then(series).map(|series| format!("linux{series}"));
    let parts =
        [Some(arch.to_owned()), Some(cpu.slug()), cores, kernel, Some(format!("{}k", page_bytes / 1024))];
    parts.into_iter().flatten().collect::<Vec<_>>().join("-")
}

/// `6.18.44-generic` becomes `6.18`.
fn series(release: &str) -> Option<String> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let (major, minor) = (numbers.next()?, numbers.next()?);
    (!major.is_empty() && !minor.is_empty()).then(|| format!("{major}.{minor}"))
}

/// Every file of `/sys/devices/system/cpu/vulnerabilities`
/// (the kernel's `Documentation/ABI/testing/sysfs-devices-system-cpu`).
fn mitigations(facts: &mut Facts) -> BTreeMap<String, String> {
    const DIR: &str = "/sys/devices/system/cpu/vulnerabilities";
    let names = match facts.files.names(DIR) {
        Ok(names) => names,
        Err(error) => {
            facts.miss("mitigations", format!("{DIR}: {error}"));
            return BTreeMap::new();
        }
    };
    let read = |name: String| {
        let text = facts.read(&format!("mitigations.{name}"), &format!("{DIR}/{name}"), line)?;
        Some((name, text))
    };
    names.into_iter().filter_map(read).collect()
}

/// The first three numbers of `/proc/loadavg`.
fn load(text: &str) -> Option<Load> {
    let mut numbers =
        text.split_whitespace().map(|word| word.parse::<f64>().ok().filter(|load| load.is_finite()));
    Some(Load { one: numbers.next()??, five: numbers.next()??, fifteen: numbers.next()?? })
}

#[cfg(test)]
mod tests;
