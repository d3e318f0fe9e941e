//! Who indexes meanwhile: one branch after the other, with blocks that fail among them.

use std::sync::Arc;

use anyhow::Result;

use super::chain::{Tip, What};
use super::expected::cut;
use super::house::{Asked, copy_of};
use super::{Crowd, Shared};
use crate::workload::host;

impl Crowd<'_> {
    /// Leads the chain from its fork to its end, and then again along the other branch, as long as anybody calls.
    pub(super) fn index(&self, shared: &Shared) -> Result<()> {
        let _place = self.house.ground.executing.join()?;
        let guest = self.house.enter()?;
        let branches = &self.expected.branches;
        for branch in (0..branches.count()).rev().cycle() {
            shared.published.reorganise(branches.fork());
            for height in branches.fork()..branches.length() {
                if !shared.goes_on() {
                    return Ok(());
                }
                let (tip, base) = (Tip { branch, height }, shared.published.last().1);
                let Some(block) = branches.next(tip) else { break };
                let expected = self.expected.at(tip);
                // What a block has written that failed, goes with it.
                let failed = guest.run((Asked::Block, tip.id(What::Cut)), &cut(block), &copy_of(&base))?;
                let found = (Some(&failed) != expected.cut.as_ref()).then(|| {
                    format!(
                        "half a block at height {height} {}, where a fresh instance did otherwise",
                        failed.outcome
                    )
                });
                shared.compared(found);
                let store = copy_of(&base);
                let observed = guest.run((Asked::Block, tip.id(What::Block)), block, &store)?;
                let tip = Tip { height: height + 1, ..tip };
                let same = host::digest(&store.lock()) == self.expected.at(tip).digest;
                shared.compared((!same).then(|| {
                    format!(
                        "the block at height {height} {}, and the store is another than in a quiet run",
                        observed.outcome
                    )
                }));
                let base = Arc::new(store.lock().to_base());
                shared.published.push(tip, base);
            }
        }
        Ok(())
    }
}
