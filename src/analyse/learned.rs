//! What an adaptive strategy decided by, and where it stood in the end.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Zeroing a page in nanoseconds, where all that are zeroed are in a core's caches, in the last level of caches, partly
/// there, and in none.
pub const RESTORES: [&str; 4] = ["restore", "restore_far", "restore_between", "restore_beyond"];
/// Write-protecting a page and the fault of its next write, in nanoseconds.
pub const FAULT: &str = "fault";
/// What write-protecting a page takes besides where it lies alone among hot ones, in nanoseconds.
pub const ALONE: &str = "protect_alone";
/// Pages that are restored in every reset.
pub const HOT_PAGES: &str = "hot_pages";
/// Pages that are found by their faults.
pub const COLD_PAGES: &str = "cold_pages";

const OTHERS: [&str; 4] = [FAULT, ALONE, HOT_PAGES, COLD_PAGES];

/// Unit costs of the machine as the strategy measured them, and pages by how they are treated, after the last
/// counter pass.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
pub struct Learned {
    /// Zeroing a page, where all that are zeroed are in a core's caches.
    pub restore_ns: u64,
    /// The same of more pages than that. Absent from summaries older than it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_far_ns: Option<u64>,
    /// The same of as many as the last level of caches holds in part. Absent from summaries older than it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_between_ns: Option<u64>,
    /// The same of more than all caches hold. Absent from summaries older than it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_beyond_ns: Option<u64>,
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
        let [near, far, between, beyond] = RESTORES.map(value);
        Some(Self {
            restore_ns: near?,
            restore_far_ns: far,
            restore_between_ns: between,
            restore_beyond_ns: beyond,
            fault_ns: value(FAULT)?,
            protect_alone_ns: value(ALONE)?,
            hot_pages: value(HOT_PAGES)?,
            cold_pages: value(COLD_PAGES)?,
        })
    }

    /// Whether a metric is one of these.
    pub fn has(metric: &str) -> bool {
        RESTORES.contains(&metric) || OTHERS.contains(&metric)
    }
}

impl fmt::Display for Learned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "restores {} pages in every reset and waits for the fault of {}; zeroing a page takes {} ns",
            self.hot_pages, self.cold_pages, self.restore_ns
        )?;
        let farther = [
            (self.restore_far_ns, "of many"),
            (self.restore_between_ns, "of as many as the caches hold in part"),
            (self.restore_beyond_ns, "of more than they hold"),
        ];
        let farther = farther.into_iter().filter_map(|(ns, of)| Some(format!("{} ns {of}", ns?)));
        let farther = farther.collect::<Vec<_>>().join(", ");
        if !farther.is_empty() {
            write!(f, " ({farther})")?;
        }
        write!(f, ", a fault {} ns, and protecting a page alone {} ns", self.fault_ns, self.protect_alone_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_metrics_make_a_sentence_and_fewer_none() {
        let mut values: BTreeMap<String, u64> = RESTORES
            .into_iter()
            .chain(OTHERS)
            .zip([45, 120, 180, 90, 700, 1_500, 256, 12])
            .map(|(metric, n)| (metric.to_owned(), n))
            .collect();
        assert_eq!(
            Learned::of(&values).unwrap().to_string(),
            "restores 256 pages in every reset and waits for the fault of 12; zeroing a page takes 45 ns (120 ns of many, \
             180 ns of as many as the caches hold in part, 90 ns of more than they hold), a fault 700 ns, and protecting a \
             page alone 1500 ns"
        );
        // As older rows have it.
        values.retain(|metric, _| !RESTORES[1..].contains(&metric.as_str()));
        assert_eq!(
            Learned::of(&values).unwrap().to_string(),
            "restores 256 pages in every reset and waits for the fault of 12; zeroing a page takes 45 ns, a fault 700 ns, and \
             protecting a page alone 1500 ns"
        );
        values.remove(FAULT);
        assert_eq!(Learned::of(&values), None);
    }
}
