//! The processor: its name, how many cores there are and which of them this process may use.
//!
//! Sources: `/proc/cpuinfo` (proc(5); its fields differ by architecture), `/sys/devices/system/cpu/online`
//! and `smt/active` (the kernel's `Documentation/ABI/testing/sysfs-devices-system-cpu`), and
//! `Cpus_allowed_list` of `/proc/self/status`, which is the result of affinity masks and cpusets together.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::arm;
use super::source::{Facts, number};

/// The processor as this process sees it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Cpu {
    /// The kernel's name for it. Hypervisors mask names ("AMD EPYC"), so `revision` tells generations apart.
    pub model: Option<String>,
    /// Vendor's numbers: family and model on x86, implementer and part on ARM.
    pub revision: Option<String>,
    /// Cores that are online.
    pub online: Option<u32>,
    /// Cores that this process may be scheduled on: affinity and cpuset together.
    pub usable: Option<u32>,
    /// Whether siblings share a core (simultaneous multithreading).
    pub smt: Option<bool>,
}

/// What `/proc/cpuinfo` tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CpuInfo {
    pub model: Option<String>,
    pub revision: Option<String>,
    /// Whether the CPU says that it is virtual; only x86 has such a flag.
    pub hypervisor: Option<bool>,
}

impl Cpu {
    /// Reads the processor's facts, and whether it carries the hypervisor flag.
    pub(crate) fn read(facts: &mut Facts) -> (Self, Option<bool>) {
        let info = facts.read("cpu.model", "/proc/cpuinfo", |text| Some(cpuinfo(text))).unwrap_or_default();
        if info.model.is_none() {
            facts.miss("cpu.model", "/proc/cpuinfo names no model");
        }
        if info.revision.is_none() {
            facts.miss("cpu.revision", "/proc/cpuinfo has neither family and model nor implementer and part");
        }
        let cpu = Self {
            model: info.model,
            revision: info.revision,
            online: facts.read("cpu.online", "/sys/devices/system/cpu/online", cpu_list),
            usable: facts.read("cpu.usable", "/proc/self/status", |text| {
                cpu_list(text.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?)
            }),
            smt: facts
                .read("cpu.smt", "/sys/devices/system/cpu/smt/active", |text| Some(number::<u8>(text)? != 0)),
        };
        (cpu, info.hypervisor)
    }

    /// The model as a key: lower case, without marketing and clock, with the vendor's numbers where the name
    /// is not enough. `unknown` when nothing is known.
    pub(crate) fn slug(&self) -> String {
        let name = self.model.as_deref().map(slug).filter(|slug| !slug.is_empty());
        match (name, self.revision.as_deref()) {
            (Some(name), Some(revision)) => format!("{name}-{revision}"),
            (Some(name), None) => name,
            (None, Some(revision)) => revision.to_owned(),
            (None, None) => "unknown".to_owned(),
        }
    }
}

/// Reads `/proc/cpuinfo` of x86 and of ARM; on the latter the distinct kinds of core are joined by "+".
pub(crate) fn cpuinfo(text: &str) -> CpuInfo {
    let all = |key: &str| -> Vec<&str> {
        let mut values: Vec<&str> = Vec::new();
        for line in text.lines() {
            if let Some((name, value)) = line.split_once(':')
                && name.trim_end() == key
                && !values.contains(&value.trim())
            {
                values.push(value.trim());
            }
        }
        values
    };
    let first = |key: &str| all(key).first().copied().filter(|value| !value.is_empty());

    if let Some(model) = first("model name") {
        // 32-bit ARM and x86 have a name; only x86 has a family and a flags line.
        let revision = match (first("cpu family"), first("model")) {
            (Some(family), Some(model)) => Some(format!("f{family}m{model}")),
            _ => None,
        };
        let hypervisor =
            first("flags").map(|flags| flags.split_whitespace().any(|flag| flag == "hypervisor"));
        return CpuInfo { model: Some(model.to_owned()), revision, hypervisor };
    }

    let Some(implementer) = first("CPU implementer") else { return CpuInfo::default() };
    let parts = all("CPU part");
    let names: Option<Vec<&str>> = parts.iter().map(|part| arm::core(implementer, part)).collect();
    CpuInfo {
        model: names.filter(|names| !names.is_empty()).map(|names| names.join(" + ")),
        revision: (!parts.is_empty()).then(|| {
            format!("{}-{}", implementer.trim_start_matches("0x"), parts.join("-").replace("0x", ""))
        }),
        hypervisor: None,
    }
}

/// How many CPUs a list such as `0-3,8,10-11` names. `None` when it is odd or empty.
pub(crate) fn cpu_list(text: &str) -> Option<u32> {
    let mut count: u32 = 0;
    for range in text.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        count = count.checked_add(last.checked_sub(first)?.checked_add(1)?)?;
    }
    Some(count)
}

/// `Intel(R) Xeon(R) CPU E5-2670 v3 @ 2.30GHz` becomes `intel-xeon-e5-2670-v3`.
fn slug(model: &str) -> String {
    let name = model.to_lowercase().replace("(r)", "").replace("(tm)", "");
    let words: Vec<String> = name
        .split_whitespace()
        // The clock and an integrated graphics unit say nothing that the model's number does not.
        .take_while(|word| !matches!(*word, "@" | "w/" | "with"))
        .filter(|word| !matches!(*word, "cpu" | "processor") && !word.ends_with("-core"))
        .flat_map(|word| word.split(|c: char| !c.is_ascii_alphanumeric()))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    words.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    const X86: &str = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 26\nmodel\t\t: 2\nmodel name\t: AMD EPYC\n\
        stepping\t: 1\nflags\t\t: fpu vme hypervisor lahf_lm\n\nprocessor\t: 1\ncpu family\t: 26\nmodel\t\t: 2\n\
        model name\t: AMD EPYC\n";

    const ARM: &str = "processor\t: 0\nBogoMIPS\t: 243.75\nFeatures\t: fp asimd evtstrm\nCPU implementer\t: 0x41\n\
        CPU architecture: 8\nCPU variant\t: 0x3\nCPU part\t: 0xd0c\nCPU revision\t: 1\n\nprocessor\t: 1\n\
        CPU implementer\t: 0x41\nCPU part\t: 0xd0c\n";

    #[test]
    fn a_cpu_has_a_name_numbers_and_on_x86_a_hypervisor_flag() {
        let two = ARM.replacen("0xd0c", "0xd03", 1).replacen("0xd0c", "0xd08", 1);
        let emulated = ARM.replace("0x41", "0x00").replace("0xd0c", "0x051");
        for (text, model, revision, hypervisor) in [
            (X86.to_owned(), Some("AMD EPYC"), "f26m2", Some(true)),
            (X86.replace("hypervisor ", ""), Some("AMD EPYC"), "f26m2", Some(false)),
            (ARM.to_owned(), Some("ARM Neoverse-N1"), "41-d0c", None),
            (two, Some("ARM Cortex-A53 + ARM Cortex-A72"), "41-d03-d08", None),
            (emulated, Some("QEMU max"), "00-051", None),
            (ARM.replace("0xd0c", "0xfff"), None, "41-fff", None),
        ] {
            let info = cpuinfo(&text);
            let found = (info.model.as_deref(), info.revision.as_deref(), info.hypervisor);
            assert_eq!(found, (model, Some(revision), hypervisor), "{text}");
        }
        assert_eq!(Cpu { revision: Some("41-fff".into()), ..Cpu::default() }.slug(), "41-fff");
    }

    #[test]
    fn odd_cpuinfo_is_unknown_and_not_a_panic() {
        for text in
            ["", ":::\n", "model name", "model name :\n", "CPU implementer: 0x41\n", "flags : hypervisor\n"]
        {
            let info = cpuinfo(text);
            assert_eq!(info.model, None, "{text:?}");
        }
        assert_eq!(Cpu::default().slug(), "unknown");
    }

    #[test]
    fn lists_of_cpus_are_counted() {
        assert_eq!(cpu_list("0-1\n"), Some(2));
        assert_eq!(cpu_list("0-3,8,10-11"), Some(7));
        assert_eq!(cpu_list("\t5"), Some(1));
        for odd in ["", "3-1", "a-b", "0-", "0-4294967295", "1,,2"] {
            assert_eq!(cpu_list(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn slugs_drop_marketing_and_clock() {
        for (model, expected) in [
            ("Intel(R) Xeon(R) CPU E5-2670 v3 @ 2.30GHz", "intel-xeon-e5-2670-v3"),
            ("AMD EPYC 7763 64-Core Processor", "amd-epyc-7763"),
            ("AMD Ryzen 7 7840U w/ Radeon 780M Graphics", "amd-ryzen-7-7840u"),
            ("13th Gen Intel(R) Core(TM) i7-1370P", "13th-gen-intel-core-i7-1370p"),
            ("ARM Neoverse-N1", "arm-neoverse-n1"),
            ("@", ""),
        ] {
            assert_eq!(slug(model), expected);
        }
    }
}
