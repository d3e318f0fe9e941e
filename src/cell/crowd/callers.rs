//! Who calls: a view at any height, or a preview of the next block and a view of that.

use std::sync::Arc;

use anyhow::Result;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::chain::{Tip, What};
use super::house::{Asked, copy_of};
use super::{Crowd, Shared};
use crate::protocol::Observed;

/// One call in so many is of a preview.
const PREVIEWS: u32 = 16;

impl Crowd<'_> {
    /// Calls as long as there are calls to be made.
    pub(super) fn call(&self, shared: &Shared, seed: u64, number: u32) -> Result<()> {
        let _place = self.house.ground.executing.join()?;
        let guest = self.house.enter()?;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(number.into());
        while shared.another() {
            let (mut tip, base) = shared.published.any(&mut random);
            let store = copy_of(&base);
            let next = self.expected.branches.next(tip).filter(|_| random.random_ratio(1, PREVIEWS));
            let asked = if let Some(block) = next {
                guest.run((Asked::Block, tip.id(What::Block)), block, &store)?;
                if !self.isolated {
                    shared.published.replace(tip, &Arc::new(store.lock().to_base()));
                }
                tip.height += 1;
                "a preview"
            } else {
                "a view"
            };
            let request = random.random_range(0..self.expected.requests.len());
            let id = tip.id(What::Request(request));
            let observed = guest.run((Asked::View, id), &self.expected.requests[request], &store)?;
            let written = next.is_none() && store.lock().is_written();
            shared.compared(self.differs(asked, tip, request, &observed).or_else(|| {
                written.then(|| format!("{asked} of request {request} has written to the store"))
            }));
        }
        Ok(())
    }

    fn differs(&self, asked: &str, tip: Tip, request: usize, observed: &Observed) -> Option<String> {
        let expected = &self.expected.at(tip).answers[request];
        (observed != expected).then(|| {
            let Tip { branch, height } = tip;
            format!(
                "{asked} of request {request} at height {height} of branch {branch} {}, where a fresh instance {}{}",
                observed.outcome,
                expected.outcome,
                if observed.outcome == expected.outcome { " with another answer" } else { "" }
            )
        })
    }
}
