//! What an adaptive strategy decided by, and where it stood in the end.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Zeroing a page of few, in nanoseconds.
pub const RESTORE: &str = "restore";
/// Zeroing a page of more than stay in a core's caches, in nanoseconds.
pub const RESTORE_FAR: &str = "restore_far";
/// Write-protecting a page and the fault of its next write, in nanoseconds.
pub const FAULT: &str = "fault";
/// What write-protecting a page takes besides where it lies alone among hot ones, in nanoseconds.
pub const ALONE: &str = "protect_alone";
/// Pages that are restored in every reset.
pub const HOT_PAGES: &str = "hot_pages";
/// Pages that are found by their faults.
pub const COLD_PAGES: &str = "cold_pages";

const ALL: [&str; 6] = [RESTORE, RESTORE_FAR, FAULT, ALONE, HOT_PAGES, COLD_PAGES];

/// Unit costs of the machine as the strategy measured them, and pages by how they are treated, after the last
/// counter pass.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
pub struct Learned {
    pub restore_ns: u64,
    /// Of more pages than stay in a core's caches. Absent from summaries older than it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_far_ns: Option<u64>,
    pub fault_ns: u64,
    pub protect_alone_ns: u64,
    /// Restored in every reset.
    pub hot_pages: u64,
    /// Write-protected, and found by their faults.
    pub cold_pages: u64,
}

impl Learned {
    /// From the values of these metrics; `None` unless all are there that older rows have, too.
    pub fn of(values: &BTreeMap<String, u64>) -> Option<Self> {
        let value = |metric| values.get(metric).copied();
        Some(Self {
            restore_ns: value(RESTORE)?,
            restore_far_ns: value(RESTORE_FAR),
            fault_ns: value(FAULT)?,
            protect_alone_ns: value(ALONE)?,
            hot_pages: value(HOT_PAGES)?,
            cold_pages: value(COLD_PAGES)?,
        })
    }

    /// Whether a metric is one of these.
    pub fn has(metric: &str) -> bool {
        ALL.contains(&metric)
    }
}

impl fmt::Display for Learned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { restore_ns, restore_far_ns, fault_ns, protect_alone_ns, hot_pages, cold_pages } = self;
        let far = restore_far_ns.map(|ns| format!(" ({ns} ns of many)")).unwrap_or_default();
        write!(
            f,
            "restores {hot_pages} pages in every reset and waits for the fault of {cold_pages}; zeroing a page takes \
             {restore_ns} ns{far}, a fault {fault_ns} ns, and protecting a \
             page alone {protect_alone_ns} ns"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_metrics_make_a_sentence_and_fewer_none() {
        let mut values: BTreeMap<String, u64> = ALL
            .into_iter()
            .zip([45, 120, 700, 1_500, 256, 12])
            .map(|(metric, n)| (metric.to_owned(), n))
            .collect();
        assert_eq!(
            Learned::of(&values).unwrap().to_string(),
            "restores 256 pages in every reset and waits for the fault of 12; zeroing a page takes 45 ns (120 ns of many), a \
             fault 700 ns, and protecting a page alone 1500 ns"
        );
        values.remove(FAULT);
        assert_eq!(Learned::of(&values), None);
    }
}
