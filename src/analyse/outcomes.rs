//! How the blocks of a workload ended: times of blocks that fail say nothing about blocks that complete.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Blocks that returned.
const COMPLETED: &str = "blocks_completed";
/// Blocks in which the guest trapped.
const TRAPPED: &str = "blocks_trapped";
/// Blocks that a function of the host ended: the guest aborted, or gave arguments that the host cannot use.
const FAILED: &str = "blocks_failed";
/// Blocks that took too long.
const TIMED_OUT: &str = "blocks_timed_out";
/// Blocks that returned and flushed nothing; counted for indexers only.
const SILENT: &str = "blocks_silent";

/// Blocks of the trace by how they ended on fresh instances, and so under every strategy that was found equal to them.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
pub struct Outcomes {
    pub completed: u64,
    /// The guest trapped.
    pub trapped: u64,
    /// A function of the host ended them: the guest aborted, or gave arguments that the host cannot use.
    pub failed: u64,
    pub timed_out: u64,
    /// Completed without flushing anything; counted for indexers only.
    pub silent: u64,
    /// How the first block that did not complete ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_reason: Option<String>,
}

impl Outcomes {
    /// All blocks of the trace.
    pub fn blocks(&self) -> u64 {
        self.completed + self.unfinished()
    }

    /// Blocks that did not complete.
    pub fn unfinished(&self) -> u64 {
        self.trapped + self.failed + self.timed_out
    }

    /// Whether as many blocks fail as complete, or more: their times are then those of failing.
    pub fn mostly_fail(&self) -> bool {
        self.unfinished() > 0 && self.unfinished() >= self.completed
    }

    /// The metrics of the rows that say so, in the verify phase, and their values. The row of each kind of failure tells
    /// the first reason.
    pub fn metrics(&self) -> impl Iterator<Item = (&'static str, u64, Option<&str>)> {
        let reason = self.first_reason.as_deref();
        let all = [
            (COMPLETED, self.completed, None),
            (TRAPPED, self.trapped, reason),
            (FAILED, self.failed, reason),
            (TIMED_OUT, self.timed_out, reason),
            (SILENT, self.silent, None),
        ];
        all.into_iter().filter(|(metric, blocks, _)| *blocks > 0 || *metric == COMPLETED)
    }

    /// Takes up what a row says; `false` where its metric is none of these.
    pub fn take(&mut self, metric: &str, blocks: u64, reason: Option<&str>) -> bool {
        *match metric {
            COMPLETED => &mut self.completed,
            TRAPPED => &mut self.trapped,
            FAILED => &mut self.failed,
            TIMED_OUT => &mut self.timed_out,
            SILENT => &mut self.silent,
            _ => return false,
        } = blocks;
        self.first_reason = self.first_reason.take().or_else(|| reason.map(str::to_owned));
        true
    }

    /// What a reader of the times has to know; nothing where blocks do what they are there for.
    pub fn warning(&self) -> Option<String> {
        if self.unfinished() > 0 {
            let kinds = [(self.trapped, "trapped"), (self.failed, "failed"), (self.timed_out, "timed out")];
            let kinds = kinds.into_iter().filter(|(blocks, _)| *blocks > 0);
            let kinds: Vec<String> = kinds.map(|(blocks, kind)| format!("{blocks} {kind}")).collect();
            let first =
                self.first_reason.as_ref().map_or_else(String::new, |why| format!("; the first: {why}"));
            let worth = if self.mostly_fail() {
                "the times are those of blocks that fail, and say nothing about blocks that complete"
            } else {
                "their times are among the others"
            };
            return Some(format!(
                "{} of {} blocks did not complete ({}{first}): {worth}",
                self.unfinished(),
                self.blocks(),
                kinds.join(", ")
            ));
        }
        (self.silent > 0 && self.silent == self.completed).then(|| {
            "no block flushed anything: what is measured is an indexer that does nothing with these blocks; many begin at \
             a height of their own (see --start-height)"
                .into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trapped(completed: u64, trapped: u64) -> Outcomes {
        Outcomes { completed, trapped, first_reason: Some("unreachable".into()), ..Outcomes::default() }
    }

    #[test]
    fn rows_bring_back_what_they_were_made_of() {
        let outcomes = Outcomes { failed: 2, timed_out: 1, silent: 3, ..trapped(4, 5) };
        let mut read = Outcomes::default();
        for (metric, blocks, reason) in outcomes.metrics() {
            assert!(read.take(metric, blocks, reason), "{metric}");
        }
        assert_eq!(read, outcomes);
        assert!(!read.take("compile", 1, None));
    }

    #[test]
    fn blocks_that_complete_need_no_words() {
        assert_eq!(trapped(16, 0).warning(), None);
        assert_eq!(Outcomes::default().warning(), None);
    }

    #[test]
    fn failing_blocks_are_told_with_what_their_times_are_worth() {
        let all = trapped(0, 16).warning().unwrap();
        assert!(
            all.starts_with("16 of 16 blocks did not complete (16 trapped; the first: unreachable)"),
            "{all}"
        );
        assert!(all.contains("say nothing about blocks that complete"), "{all}");
        let few = trapped(14, 2).warning().unwrap();
        assert!(few.starts_with("2 of 16 blocks") && few.ends_with("among the others"), "{few}");
        assert!(trapped(8, 8).mostly_fail() && !trapped(9, 7).mostly_fail());
    }

    #[test]
    fn an_indexer_that_never_flushes_does_nothing() {
        let silent = Outcomes { completed: 3, silent: 3, ..Outcomes::default() };
        assert!(silent.warning().unwrap().starts_with("no block flushed anything"));
        assert_eq!(Outcomes { silent: 2, ..silent }.warning(), None, "one of them did");
    }
}
