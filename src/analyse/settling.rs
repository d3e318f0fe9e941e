//! What it takes a strategy to become steady, as it is told; [`super::spent`] computes it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{ns, several};

/// One launch on its way to the steady state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// What each block took, in nanoseconds; some of the last are steady already.
    pub cycles: Vec<u64>,
    /// Blocks before the steady state, or all of them where it did not come.
    pub blocks: u64,
    /// Whether it came.
    pub settled: bool,
}

/// What it took to become steady: medians over launches.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
pub struct Settling {
    /// Blocks before the steady state.
    pub blocks: u64,
    /// What they took, in nanoseconds.
    pub ns: u64,
    /// What they took beyond as many steady blocks; negative where they took less.
    pub beyond_ns: i64,
    /// The longest of them.
    pub longest_ns: u64,
    /// Blocks from which on the strategy has spent less in all than the baseline, 1 if it has from the first. Absent where that
    /// never comes, and for the baseline itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pays_after: Option<u64>,
    /// Launches that never became steady. They do not count for any other figure.
    #[serde(default)]
    pub unsettled: u32,
}

impl Settling {
    /// What a strategy's settling took, and when it has paid, in a sentence with names in backticks.
    pub fn sentence(&self, strategy: &str, baseline: &str) -> String {
        let Self { blocks, beyond_ns, longest_ns, pays_after, .. } = *self;
        let blocks = several(usize::try_from(blocks).unwrap_or(usize::MAX), "block");
        let beyond = match u64::try_from(beyond_ns) {
            Ok(more) => format!("{} more", ns(more)),
            Err(_) => format!("{} less", ns(beyond_ns.unsigned_abs())),
        };
        let longest = ns(longest_ns);
        let first = format!(
            "`{strategy}` is steady after {blocks}, which take {beyond} than as many steady ones (the longest {longest})"
        );
        match pays_after {
            _ if strategy == baseline => format!("{first}."),
            Some(1) => format!("{first}; it has spent less than `{baseline}` from the first block on."),
            Some(block) => format!("{first}; it has spent less than `{baseline}` from block {block} on."),
            None => format!("{first}; it never spends less than `{baseline}`."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_says_what_it_took_and_when_it_has_paid() {
        let settling = Settling {
            blocks: 10,
            ns: 270_000_000,
            beyond_ns: 136_000_000,
            longest_ns: 47_500_000,
            pays_after: Some(12),
            unsettled: 0,
        };
        assert_eq!(
            settling.sentence("a/b", "c/d"),
            "`a/b` is steady after 10 blocks, which take 136 ms more than as many steady ones (the longest 47.5 ms); it has \
             spent less than `c/d` from block 12 on."
        );
        let quick = Settling { beyond_ns: -1_500, pays_after: None, blocks: 1, ..settling };
        let told = quick.sentence("a/b", "c/d");
        assert!(told.contains("after 1 block, which take 1.50 µs less"), "{told}");
        assert!(told.ends_with("it never spends less than `c/d`."), "{told}");
    }
}
