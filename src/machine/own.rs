//! What the kernel may do to the memory of this process behind its back: merge it, lock it, swap it out.
//!
//! Sources: `/sys/kernel/mm/ksm` (the kernel's `Documentation/admin-guide/mm/ksm.rst`); `/proc/self/status`,
//! `/proc/swaps` and `/proc/vmstat` (proc(5)); prctl(2), mlockall(2), madvise(2) and sysinfo(2), which are asked
//! and tried.

use reset_strategies::sys::memory::Memory;
use reset_strategies::sys::{ksm, locked, swap};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::source::{Facts, keyed, kib, number, switch};

/// Kernel same-page merging: a merged page looks as if nobody had written to it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Ksm {
    /// 0: nothing is merged any more; 1: merging goes on; 2: all that was merged has been undone.
    pub run: Option<u64>,
    /// Whether pages of zeros become the shared page of zeros.
    pub use_zero_pages: Option<bool>,
    /// Whether this process asked for all its memory to be merged (`PR_SET_MEMORY_MERGE`).
    pub asked_for: Option<bool>,
}

/// Memory that stays resident and is not given back without more ado.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Locked {
    /// What of this process is locked (`VmLck`).
    pub bytes: Option<u64>,
    /// Whether all that it maps is (`MCL_FUTURE`): seen on a page that was just mapped.
    pub future: Option<bool>,
}

/// Swap, by all that tells of it: a container may show its own `/proc/swaps`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Swap {
    /// How many areas `/proc/swaps` lists.
    pub areas: Option<u64>,
    /// The size of all areas by sysinfo(2).
    pub total_bytes: Option<u64>,
    /// What of this process is swapped out (`VmSwap`).
    pub own_bytes: Option<u64>,
    /// Pages that the machine has swapped out since it began (`pswpout`).
    pub pages_out: Option<u64>,
    /// Whether a page of this process left memory when that was asked for (`MADV_PAGEOUT`), by its pagemap.
    pub page_left: Option<bool>,
}

/// What files do not tell.
pub(crate) struct Tried {
    pub merging: bool,
    pub maps_locked: Result<bool, String>,
    pub swap_bytes: Result<u64, String>,
    pub page_left: Result<bool, String>,
}

impl Tried {
    pub(crate) fn now() -> Self {
        Self {
            merging: ksm::is_asked_for(),
            maps_locked: locked::maps_locked().map_err(|e| format!("a page just mapped: {e}")),
            swap_bytes: Memory::read().map(|memory| memory.swap_bytes).map_err(|e| format!("sysinfo: {e}")),
            page_left: swap::takes_a_page(),
        }
    }
}

const STATUS: &str = "/proc/self/status";
const KSM: &str = "/sys/kernel/mm/ksm";

fn tried<T>(facts: &mut Facts, field: &str, outcome: Result<T, String>) -> Option<T> {
    outcome.map_err(|why| facts.miss(field, why)).ok()
}

impl Ksm {
    pub(crate) fn read(facts: &mut Facts, own: &Tried) -> Self {
        Self {
            run: facts.read("memory.ksm.run", &format!("{KSM}/run"), number),
            use_zero_pages: facts.read("memory.ksm.use_zero_pages", &format!("{KSM}/use_zero_pages"), switch),
            asked_for: Some(own.merging),
        }
    }

    /// In words.
    pub fn sentence(&self) -> String {
        let run = match self.run {
            Some(1) => "merges pages",
            Some(_) => "off",
            None => "not known",
        };
        let zeros =
            if self.use_zero_pages == Some(true) { "; zeros become the shared page of zeros" } else { "" };
        let asked = match self.asked_for {
            Some(true) => "; this process asked for it",
            _ => "; this process did not ask for it",
        };
        format!("{run}{zeros}{asked}")
    }
}

impl Locked {
    pub(crate) fn read(facts: &mut Facts, own: &Tried) -> Self {
        Self {
            bytes: facts.read("memory.locked.bytes", STATUS, |text| kib(text, "VmLck")),
            future: tried(facts, "memory.locked.future", own.maps_locked.clone()),
        }
    }

    /// In words.
    pub fn sentence(&self) -> String {
        let now = match self.bytes {
            None => "not known".into(),
            Some(0) => "nothing".to_owned(),
            Some(bytes) => format!("{} KiB of this process", bytes >> 10),
        };
        let future = if self.future == Some(true) { ", and all that it maps (mlockall)" } else { "" };
        format!("{now}{future}")
    }
}

impl Swap {
    pub(crate) fn read(facts: &mut Facts, own: &Tried) -> Self {
        Self {
            areas: facts.read("memory.swap.areas", "/proc/swaps", areas),
            total_bytes: tried(facts, "memory.swap.total_bytes", own.swap_bytes.clone()),
            own_bytes: facts.read("memory.swap.own_bytes", STATUS, |text| kib(text, "VmSwap")),
            pages_out: facts.read("memory.swap.pages_out", "/proc/vmstat", |text| keyed(text, "pswpout")),
            page_left: tried(facts, "memory.swap.page_left", own.page_left.clone()),
        }
    }

    /// What shows that there is swap although `/proc/swaps` lists none.
    pub fn hidden(&self) -> Option<&'static str> {
        let shows = [
            (self.total_bytes > Some(0), "sysinfo(2) counts it"),
            (self.own_bytes > Some(0), "part of this process is swapped out"),
            (self.page_left == Some(true), "a page of this process left memory"),
        ];
        let shown = shows.into_iter().find_map(|(shown, how)| shown.then_some(how));
        if self.areas.is_some_and(|areas| areas > 0) { None } else { shown }
    }
}

/// How many areas `/proc/swaps` lists below its heading.
fn areas(text: &str) -> Option<u64> {
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("Filename"));
    Some(lines.count() as u64)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::source::literal::Literal;
    use super::*;

    /// A process to which nothing special is done.
    pub fn plain() -> Tried {
        Tried { merging: false, maps_locked: Ok(false), swap_bytes: Ok(0), page_left: Ok(false) }
    }

    const HEADING: &str = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";

    #[test]
    fn a_machine_that_merges_locks_and_swaps_says_so() {
        let files = Literal(vec![
            ("/sys/kernel/mm/ksm/run", "1\n"),
            ("/sys/kernel/mm/ksm/use_zero_pages", "1\n"),
            ("/proc/self/status", "VmLck:\t    2048 kB\nVmSwap:\t      12 kB\n"),
            (
                "/proc/swaps",
                "Filename\tType\tSize\tUsed\tPriority\n/swap file 1048572 12 -2\n/dev/sdb1 partition 9 0 -3\n",
            ),
            ("/proc/vmstat", "pswpin 1\npswpout 345\npgpgin 2\n"),
        ]);
        let own =
            Tried { merging: true, maps_locked: Ok(true), swap_bytes: Ok(1 << 30), page_left: Ok(true) };
        let mut facts = Facts::new(&files);
        let ksm = Ksm::read(&mut facts, &own);
        assert_eq!(ksm, Ksm { run: Some(1), use_zero_pages: Some(true), asked_for: Some(true) });
        assert_eq!(
            ksm.sentence(),
            "merges pages; zeros become the shared page of zeros; this process asked for it"
        );
        let locked = Locked::read(&mut facts, &own);
        assert_eq!(locked, Locked { bytes: Some(2 << 20), future: Some(true) });
        assert_eq!(locked.sentence(), "2048 KiB of this process, and all that it maps (mlockall)");
        let swap = Swap::read(&mut facts, &own);
        let own_bytes = Some(12 << 10);
        let expected = Swap {
            areas: Some(2),
            total_bytes: Some(1 << 30),
            own_bytes,
            pages_out: Some(345),
            page_left: Some(true),
        };
        assert_eq!((swap.hidden(), swap), (None, expected));
        assert!(facts.absent.is_empty(), "{:?}", facts.absent);
    }

    #[test]
    fn swap_that_proc_swaps_does_not_list_is_hidden() {
        let with = |swaps, status, own: &Tried| {
            let files = Literal(vec![("/proc/swaps", swaps), ("/proc/self/status", status)]);
            Swap::read(&mut Facts::new(&files), own).hidden()
        };
        let none = "VmSwap:\t       0 kB\n";
        let plain = plain();
        // A heading alone is what a machine without swap has; an empty file is what is mounted over it.
        for swaps in [HEADING, ""] {
            assert_eq!(with(swaps, none, &plain), None);
            assert_eq!(with(swaps, "VmSwap:\t 4 kB\n", &plain), Some("part of this process is swapped out"));
            let counted = Tried { swap_bytes: Ok(1), ..self::plain() };
            assert_eq!(with(swaps, none, &counted), Some("sysinfo(2) counts it"));
            let left = Tried { page_left: Ok(true), ..self::plain() };
            assert_eq!(with(swaps, none, &left), Some("a page of this process left memory"));
        }
    }

    #[test]
    fn what_cannot_be_tried_has_a_reason() {
        let files = Literal::default();
        let mut facts = Facts::new(&files);
        let why = "refused".to_owned();
        let own = Tried {
            merging: false,
            maps_locked: Err(why.clone()),
            swap_bytes: Err(why),
            page_left: Err("old".into()),
        };
        assert_eq!(Swap::read(&mut facts, &own), Swap::default());
        assert_eq!(Locked::read(&mut facts, &own), Locked::default());
        assert_eq!(Ksm::read(&mut facts, &own).sentence(), "not known; this process did not ask for it");
        assert_eq!(facts.absent["memory.swap.page_left"], "old");
        assert_eq!(facts.absent["memory.locked.future"], "refused");
        assert!(facts.absent["memory.ksm.run"].starts_with("/sys/kernel/mm/ksm/run: "));
    }
}
