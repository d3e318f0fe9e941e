//! What a result cannot know, said beside every recommendation made from it.

use super::limits::Limits;
use crate::analyse::summary::Equivalence;
use crate::kernels::{self, seen};
use crate::launch::plan::Profile;
use crate::launch::saved::Saved;
use crate::machine::Level;
use crate::present::view::Group;

/// What holds of a whole run.
pub fn of_run(saved: &Saved) -> Vec<String> {
    let record = &saved.record;
    let mut unknown = saved.summary.notes.clone();
    let mut say = |holds: bool, words: String| unknown.extend(holds.then_some(words));
    say(
        record.interrupted,
        "the run was interrupted: some comparisons have fewer launches than planned".into(),
    );
    say(
        saved.rows.is_empty(),
        "no rows were kept, so that who is tied under these limits, or takes less over whole traces, is not known".into(),
    );
    say(
        record.profile != Profile::Full,
        "the run was a short one: `resetbench run --profile full` tells more strategies apart".into(),
    );
    say(record.noise.level() == Level::Noisy, format!("the machine was noisy: {}", record.noise.sentence()));
    let swap = &record.machine.memory.swap;
    say(
        swap.hidden().is_some(),
        "the machine had swap that its /proc/swaps did not list: try `resetbench doctor` on others".into(),
    );
    say(
        record.machine.memory.swap_total_bytes == Some(0) && swap.hidden().is_none(),
        "the machine had no swap: what a reset makes of swapped-out pages is known from the mechanism, not tried".into(),
    );
    say(
        record.machine.virtualisation.hypervisor == Some(true),
        "it was a virtual machine, where page faults and system calls cost more than on bare metal".into(),
    );
    for strategy in record.strategies.iter().filter(|strategy| !strategy.control) {
        let reason = strategy.unavailable.as_deref().unwrap_or_default();
        say(!reason.is_empty(), format!("`{}` was unavailable there ({reason})", strategy.name));
    }
    say(
        true,
        format!(
            "other machines, page sizes other than {} KiB, wasmtime other than {}, and hosts that do much else beside",
            record.machine.memory.page_bytes >> 10,
            record.wasmtime
        ),
    );
    unknown
}

/// Whether anything was tried on the kernel that is asked for.
pub fn of_kernel(limits: &Limits) -> Option<String> {
    let host = limits.host()?;
    (!seen::is_known(kernels::all(), &host)).then(|| {
        format!(
            "what strategies do on Linux {}: it is not among the kernels of `resetbench kernels`, so that only what is known \
             of mechanisms rules any out",
            host.kernel
        )
    })
}

/// What holds of one workload: who might have been better, but has no time.
pub fn of_workload(group: &Group) -> Vec<String> {
    let untimed = group.cells.iter().filter(|cell| {
        !cell.control() && matches!(cell.equivalence(), Equivalence::Refused | Equivalence::NotRun)
    });
    untimed
        .filter_map(|cell| Some(format!("`{}` has no time here ({})", cell.name(), cell.why_missing()?)))
        .collect()
}
