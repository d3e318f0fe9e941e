//! Memory that is committed before the first block: pages that are there, and writable without a fault, before any
//! block has grown the memory over them.

use anyhow::Result;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::IndexedRandom;
use reset_strategies::commit::{self, Error, Policy, WASM_PAGE};
use reset_strategies::{Plan, Session};

use super::state::memories;
use crate::protocol::schedule::{Schedule, Script};
use crate::workload::host::BlockState;

/// How much is committed, one of these.
const BYTES: [u64; 2] = [32 << 20, 64 << 20];

/// Policies that split a mapping, so that a memory which grows over its end is two for the kernel.
const SPLITTING: [&Policy; 2] = [&commit::POPULATE_THP, &commit::MLOCK];

/// Commits what a script asks for, and says what, or why nothing was.
///
/// # Errors
/// When the machine does not give the memory.
pub fn commit(
    script: &Script,
    plan: &Plan<'_>,
    session: &mut Session<BlockState>,
) -> Result<Result<String, String>> {
    let mut random = ChaCha8Rng::seed_from_u64(script.seed);
    // Other cells of the same script have other policies.
    let name =
        plan.strategy().name().bytes().fold(0, |hash: u64, byte| hash.rotate_left(7) ^ u64::from(byte));
    random.set_stream(name ^ plan.wasm().len() as u64);
    let (policies, bytes) = match script.schedule {
        Schedule::Committed => (hidden(), *BYTES.choose(&mut random).unwrap_or(&BYTES[0])),
        // As little as may be, so that blocks grow beyond it.
        Schedule::FailingGrowth => {
            let memory = memories(session)?.first().copied();
            let store = session.store_mut()?;
            let size = memory.map_or(0, |memory| memory.data_size(store));
            (SPLITTING.to_vec(), (size + WASM_PAGE) as u64)
        }
        _ => return Ok(Err("nothing is committed".into())),
    };
    let available: Vec<_> = policies.into_iter().filter(|policy| policy.available().is_ok()).collect();
    let Some(policy) = available.choose(&mut random) else {
        return Ok(Err("no commit policy is available here".into()));
    };
    match policy.commit(session, bytes) {
        Ok(_) => Ok(Ok(format!("{} KiB committed by {policy}", bytes >> 10))),
        Err(error @ Error::Lost { .. }) => {
            // The same for all policies, so that it is said once.
            let text = error.to_string();
            Ok(Err(text.split_once(": ").map_or(text.clone(), |(_, reason)| reason.to_owned())))
        }
        Err(error) => Err(error.into()),
    }
}

/// The policies that commit memory and that a guest does not see. One of them more often than others: under it alone the
/// kernel does not take pages back (`MADV_DONTNEED` on locked pages in madvise(2)).
fn hidden() -> Vec<&'static Policy> {
    let hidden = commit::all().iter().copied();
    let hidden = hidden.filter(|policy| policy.needs_kept_memory() && !policy.is_visible());
    hidden.chain([&commit::MLOCK; 3]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_that_a_guest_sees_are_left_out() {
        let names: Vec<_> = hidden().iter().map(|policy| policy.name()).collect();
        assert!(names.contains(&"touch-os-page") && names.contains(&"mlock"), "{names:?}");
        for other in ["lazy", "hugetlb", "nonzero-then-zero", "module-min-max"] {
            assert!(!names.contains(&other), "{names:?}");
        }
        assert!(SPLITTING.iter().all(|policy| names.contains(&policy.name())));
    }
}
