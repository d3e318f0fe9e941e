//! Memory: how much there is, and the policies by which the kernel hands it out.
//!
//! Sources: `/proc/meminfo` (proc(5)); `/sys/kernel/mm/transparent_hugepage` (the kernel's
//! `Documentation/admin-guide/mm/transhuge.rst`); `vm.overcommit_memory` and `vm.max_map_count`
//! (`Documentation/admin-guide/sysctl/vm.rst`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::own::{Ksm, Locked, Swap, Tried};
use super::source::{Facts, chosen, kib, number, switch};

/// Memory of the machine, not of the cgroup.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Memory {
    /// The size of an OS page in bytes: 4, 16 or 64 KiB; wasm pages are always 64 KiB.
    pub page_bytes: u64,
    pub total_bytes: Option<u64>,
    /// What can be had without swapping (`MemAvailable`), when read.
    pub available_bytes: Option<u64>,
    pub swap_total_bytes: Option<u64>,
    pub swap_free_bytes: Option<u64>,
    pub thp: Thp,
    pub overcommit: Option<Overcommit>,
    /// What all processes together may commit under [`Overcommit::Never`] (`CommitLimit`).
    #[serde(default)]
    pub commit_limit_bytes: Option<u64>,
    /// What they have committed (`Committed_AS`), when read.
    #[serde(default)]
    pub committed_bytes: Option<u64>,
    /// `vm.max_map_count`: a strategy that splits mappings page by page may run into it.
    pub max_map_count: Option<u64>,
    #[serde(default)]
    pub ksm: Ksm,
    #[serde(default)]
    pub locked: Locked,
    #[serde(default)]
    pub swap: Swap,
}

/// Transparent huge pages: they decide how many pages one fault brings.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Thp {
    /// `always`, `madvise` or `never`.
    pub enabled: Option<String>,
    /// What a fault does when no huge page is free: `always`, `defer`, `defer+madvise`, `madvise` or `never`.
    pub defrag: Option<String>,
    /// Whether huge pages that hold mostly zeros are split, and zeros become the shared page of zeros (Linux 6.12).
    #[serde(default)]
    pub shrink_underused: Option<bool>,
    /// The size of a huge page in bytes.
    pub huge_bytes: Option<u64>,
    /// Smaller sizes that are switched on (Linux 6.8 and later), such as `64kB=always`: with these a fault
    /// may bring several pages even where huge pages are off.
    #[serde(default)]
    pub other_sizes: Vec<String>,
}

/// `vm.overcommit_memory`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Overcommit {
    /// 0: obvious excess is refused.
    Heuristic,
    /// 1: nothing is refused.
    Always,
    /// 2: what becomes writable counts against a limit, touched or not: of a reservation, what the guest can reach.
    Never,
}

const THP: &str = "/sys/kernel/mm/transparent_hugepage";

impl Memory {
    pub(crate) fn read(facts: &mut Facts, page_bytes: u64, own: &Tried) -> Self {
        let mut meminfo = |field: &str, key: &str| {
            facts.read(&format!("memory.{field}"), "/proc/meminfo", |text| kib(text, key))
        };
        Self {
            page_bytes,
            total_bytes: meminfo("total_bytes", "MemTotal"),
            available_bytes: meminfo("available_bytes", "MemAvailable"),
            swap_total_bytes: meminfo("swap_total_bytes", "SwapTotal"),
            swap_free_bytes: meminfo("swap_free_bytes", "SwapFree"),
            commit_limit_bytes: meminfo("commit_limit_bytes", "CommitLimit"),
            committed_bytes: meminfo("committed_bytes", "Committed_AS"),
            thp: Thp::read(facts),
            overcommit: facts.read("memory.overcommit", "/proc/sys/vm/overcommit_memory", overcommit),
            max_map_count: facts.read("memory.max_map_count", "/proc/sys/vm/max_map_count", number),
            ksm: Ksm::read(facts, own),
            locked: Locked::read(facts, own),
            swap: Swap::read(facts, own),
        }
    }

    /// How memory is committed, in words.
    pub fn overcommit_sentence(&self) -> String {
        match self.overcommit {
            None => "not known".into(),
            Some(Overcommit::Heuristic) => "obvious excess is refused".into(),
            Some(Overcommit::Always) => "nothing is refused".into(),
            Some(Overcommit::Never) => {
                let mebibytes =
                    |bytes: Option<u64>| bytes.map_or("unknown".into(), |bytes| (bytes >> 20).to_string());
                format!(
                    "memory that becomes writable counts, touched or not: {} of {} MiB are taken, and what goes beyond \
                     fails (sysctl vm.overcommit_memory=0 permits it)",
                    mebibytes(self.committed_bytes),
                    mebibytes(self.commit_limit_bytes),
                )
            }
        }
    }
}

impl Thp {
    fn read(facts: &mut Facts) -> Self {
        let huge_bytes = facts.read("memory.thp.huge_bytes", &format!("{THP}/hpage_pmd_size"), number);
        Self {
            enabled: facts.read("memory.thp.enabled", &format!("{THP}/enabled"), chosen),
            defrag: facts.read("memory.thp.defrag", &format!("{THP}/defrag"), chosen),
            shrink_underused: facts.read(
                "memory.thp.shrink_underused",
                &format!("{THP}/shrink_underused"),
                switch,
            ),
            huge_bytes,
            other_sizes: other_sizes(facts, huge_bytes),
        }
    }
}

/// The sizes below a whole huge page that are not `never`, in ascending order.
fn other_sizes(facts: &Facts, huge_bytes: Option<u64>) -> Vec<String> {
    // A kernel without this directory has no such sizes, which is an empty list and not a missing fact.
    let names = facts.files.names(THP).unwrap_or_default();
    let mut sizes: Vec<(u64, String)> = names
        .iter()
        .filter_map(|name| {
            let kib: u64 = name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
            let mode = facts.files.parsed(&format!("{THP}/{name}/enabled"), chosen)?;
            (mode != "never" && Some(kib.checked_mul(1024)?) != huge_bytes)
                .then(|| (kib, format!("{kib}kB={mode}")))
        })
        .collect();
    sizes.sort();
    sizes.into_iter().map(|(_, text)| text).collect()
}

fn overcommit(text: &str) -> Option<Overcommit> {
    [Overcommit::Heuristic, Overcommit::Always, Overcommit::Never].get(number::<usize>(text)?).copied()
}

/// `MemAvailable`, or `MemFree` on kernels before 3.14, in bytes.
pub(crate) fn available(meminfo: &str) -> Option<u64> {
    kib(meminfo, "MemAvailable").or_else(|| kib(meminfo, "MemFree"))
}

#[cfg(test)]
mod tests {
    use super::super::own::tests::plain;
    use super::super::source::literal::Literal;
    use super::*;

    const MEMINFO: &str = "MemTotal:       24684092 kB\nMemFree:        24301124 kB\nMemAvailable:   24338260 kB\n\
        SwapTotal:             0 kB\nSwapFree:              0 kB\nCommitLimit:    12342044 kB\nCommitted_AS:     368716 kB\n\
        HugePages_Total:       0\n";

    #[test]
    fn a_machine_is_read_in_bytes() {
        let files = Literal(vec![
            ("/proc/meminfo", MEMINFO),
            ("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"),
            ("/sys/kernel/mm/transparent_hugepage/defrag", "always defer [defer+madvise] madvise never\n"),
            ("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", "2097152\n"),
            ("/sys/kernel/mm/transparent_hugepage/shrink_underused", "1\n"),
            ("/sys/kernel/mm/ksm/run", "0\n"),
            ("/sys/kernel/mm/ksm/use_zero_pages", "0\n"),
            ("/proc/self/status", "VmLck:\t       0 kB\nVmSwap:\t       0 kB\n"),
            ("/proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n"),
            ("/proc/vmstat", "pswpout 0\n"),
            ("/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/enabled", "always [inherit] never\n"),
            ("/sys/kernel/mm/transparent_hugepage/hugepages-128kB/enabled", "inherit [madvise] never\n"),
            ("/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled", "[always] inherit never\n"),
            ("/sys/kernel/mm/transparent_hugepage/hugepages-32kB/enabled", "always inherit [never]\n"),
            ("/proc/sys/vm/overcommit_memory", "2\n"),
            ("/proc/sys/vm/max_map_count", "65530\n"),
        ]);
        let mut facts = Facts::new(&files);
        let memory = Memory::read(&mut facts, 4096, &plain());
        assert_eq!(memory.total_bytes, Some(24_684_092 * 1024));
        assert_eq!(memory.available_bytes, Some(24_338_260 * 1024));
        assert_eq!(memory.swap_total_bytes, Some(0), "no swap is a fact, not a missing one");
        let thp = Thp {
            enabled: Some("madvise".into()),
            defrag: Some("defer+madvise".into()),
            shrink_underused: Some(true),
            huge_bytes: Some(2 << 20),
            // The whole huge page is `enabled` itself.
            other_sizes: vec!["64kB=always".into(), "128kB=madvise".into()],
        };
        assert_eq!(memory.thp, thp);
        assert_eq!(memory.overcommit, Some(Overcommit::Never));
        let told = memory.overcommit_sentence();
        assert!(told.contains(": 360 of 12052 MiB are taken"), "{told}");
        assert_eq!(memory.max_map_count, Some(65530));
        assert!(facts.absent.is_empty(), "{:?}", facts.absent);
    }

    #[test]
    fn a_kernel_without_huge_pages_says_which_file_is_missing() {
        let files =
            Literal(vec![("/proc/meminfo", "MemTotal: 1 MB\n"), ("/proc/sys/vm/overcommit_memory", "7")]);
        let mut facts = Facts::new(&files);
        let memory = Memory::read(&mut facts, 65536, &plain());
        // What is asked of the kernel itself, and not of its files, is this machine's.
        let Memory { ksm, locked, swap, .. } = memory.clone();
        assert_eq!((ksm.run, locked.bytes, swap.areas), (None, None, None));
        assert_eq!(memory, Memory { page_bytes: 65536, ksm, locked, swap, ..Memory::default() });
        assert!(
            facts.absent["memory.thp.enabled"].starts_with("/sys/kernel/mm/transparent_hugepage/enabled: ")
        );
        assert!(facts.absent["memory.overcommit"].contains("`7`"));
    }

    #[test]
    fn an_old_kernel_has_free_memory_only() {
        assert_eq!(available(MEMINFO), Some(24_338_260 * 1024));
        assert_eq!(available("MemFree: 10 kB\n"), Some(10_240));
        assert_eq!(available(""), None);
    }
}
