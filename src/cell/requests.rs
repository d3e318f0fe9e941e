//! What a session answers to each request of the parent.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::session::Cell;
use super::{compare, counters, crowd, follow, guest_samples, pages, twins};
use crate::protocol::{Reply, Request};

/// Does what is asked.
///
/// # Errors
/// When a reset fails or a block takes too long.
pub(super) fn handle(cell: &mut Cell, request: &Request) -> Result<Reply> {
    Ok(match *request {
        Request::Observe { ref script } => Reply::Observed(compare::observe(cell, script)?),
        Request::Verify { ref script, ref expected } if twins::are_for(cell, script) => {
            Reply::Verified(twins::verify(cell, script, expected)?)
        }
        Request::Verify { ref script, .. } if crowd::is_for(script) => {
            Reply::Verified(crowd::verify(cell, script)?)
        }
        Request::Verify { ref script, ref expected } => {
            Reply::Verified(compare::verify(cell, script, expected)?)
        }
        Request::Time { passes } => Reply::Timed(cell.time(passes)?),
        Request::Count { passes } => Reply::Counted(counters::count(cell, passes)?),
        Request::GuestStacks { passes, hertz } => {
            Reply::GuestStacks(guest_samples::sample(cell, passes, hertz)?)
        }
        Request::Pages { traces } => Reply::Pages(pages::pages(cell, traces)?),
        Request::Run { millis, blocks } => {
            let until = Instant::now() + Duration::from_millis(millis);
            let mut ran = 0;
            while ran < blocks.max(1) || Instant::now() < until {
                cell.each_block(1, |cell, block| {
                    ran += 1;
                    let outcome = cell.call();
                    cell.reset()?;
                    cell.check(block, outcome)
                })?;
            }
            Reply::Ran(ran)
        }
        Request::Follow { policy, blocks } => Reply::Followed(follow::follow(cell, policy, blocks)?),
        Request::Serve(_) => bail!("a session was asked to serve, and only a pool does"),
    })
}
