//! Claims about what becomes of a block on a host with less memory.

use anyhow::Result;

use super::lab::{LAZY, data, group};
use super::{Finding, Lab, Measure, Verdict};
use crate::determinism::{Case, Cell, Guest, Mitigation, Outcome, word};
use crate::measure::row::Unit;

pub(super) const MEASURES: &[(&str, Measure)] = &[
    ("same-block-two-answers", two_answers),
    ("small-container-completes", small_container_completes),
    ("breaking-point", breaking_point),
    ("budget-is-deterministic", budget),
    ("fail-fast-depends-on-host", fail_fast),
    ("requirement-cannot-be-enforced", requirement),
    ("chunks-reduce-pressure", chunks),
    ("instantiates-under-512", instantiates),
    ("min-max-commits", min_max),
    ("killed-in-a-block", killed_in_a_block),
    ("preallocation-is-deterministic", preallocation),
    ("small-container-fails-at-startup", fails_at_startup),
    ("four-gigabytes-are-too-small", four_gigabytes),
    ("eight-gigabytes-pass", eight_gigabytes),
    ("gigabyte-cache-overflows", gigabyte_cache),
    ("graceful-degradation", degradation),
];

/// Seed 002's way of committing.
const SEED: Case = Case { policy: "nonzero-then-zero", ..LAZY };

fn described(cell: &Cell) -> String {
    let limit = cell.limit_bytes.map_or_else(String::new, |bytes| format!(" {} MiB", bytes >> 20));
    let stored = cell.stored.as_deref().map_or_else(String::new, |stored| format!(" ({stored})"));
    format!("{}{limit}: {}{stored}", cell.environment, word(cell.outcome))
}

/// Runs cases and judges by what became of them, unless one of them could not be run.
fn judge<const N: usize>(
    lab: &mut Lab<'_>,
    cases: [Case; N],
    note: &str,
    verdict: impl FnOnce(&[Cell; N]) -> Verdict,
) -> Result<Finding> {
    let cells = cases.into_iter().map(|case| lab.case(case)).collect::<Result<Vec<_>>>()?;
    if let Some(cell) = cells.iter().find(|cell| cell.outcome == Outcome::NotRun) {
        let reason = cell.reason.as_deref().unwrap_or_default();
        return Ok(Finding::new(Verdict::NotRun, format!("{}: {reason}", cell.environment)));
    }
    let mut measured = cells.iter().map(described).collect::<Vec<_>>().join("; ");
    if !note.is_empty() {
        measured = format!("{measured}. {note}");
    }
    let times = cells.iter().map(|cell| cell.wall_ns).collect();
    let cells = cells.try_into().expect("a cell for each case");
    Ok(Finding::new(verdict(&cells), measured).with(Unit::Nanoseconds, times))
}

fn two_answers(lab: &mut Lab<'_>) -> Result<Finding> {
    let note = "It depends on who enforces the limit: where growing fails the guest stores an error, and where the OOM \
                killer answers nothing is stored";
    let cases = [LAZY, LAZY.under(group(512)), LAZY.under(data(512))];
    judge(lab, cases, note, |[_, killed, refused]| match (killed.outcome, refused.outcome) {
        (Outcome::Diverged, Outcome::Diverged) => Verdict::Holds,
        (_, Outcome::Diverged) => Verdict::Depends,
        _ => Verdict::DoesNotHold,
    })
}

fn small_container_completes(lab: &mut Lab<'_>) -> Result<Finding> {
    let note = "A container's limit is a memory control group";
    judge(lab, [LAZY.under(group(512))], note, |[cell]| {
        Verdict::holds_if(matches!(cell.outcome, Outcome::Reference | Outcome::Diverged))
    })
}

fn breaking_point(lab: &mut Lab<'_>) -> Result<Finding> {
    let rising = Case { guest: Guest::AllocateRising, ..LAZY };
    let [least, less, more] = [256, 512, 1024].map(|mebibytes| rising.under(data(mebibytes)));
    judge(lab, [rising, least, less, more], "", |cells| {
        Verdict::holds_if(cells.windows(2).all(|pair| pair[0].stored != pair[1].stored))
    })
}

fn budget(lab: &mut Lab<'_>) -> Result<Finding> {
    let with = Case { mitigation: Mitigation::Budget, ..LAZY };
    let note = "It depends on the host having the budget: 512 MiB here";
    judge(lab, [with, with.under(group(1024)), with.under(data(256))], note, |[_, enough, little]| {
        match (is_reference(enough), is_reference(little)) {
            (true, true) => Verdict::Holds,
            (true, false) => Verdict::Depends,
            _ => Verdict::DoesNotHold,
        }
    })
}

fn is_reference(cell: &Cell) -> bool {
    cell.outcome == Outcome::Reference
}

fn fail_fast(lab: &mut Lab<'_>) -> Result<Finding> {
    let with = Case { mitigation: Mitigation::FailFast, ..LAZY };
    let note = "No other state is stored; under a control group there is no failure to trap on";
    judge(lab, [with, with.under(data(256)), with.under(group(512))], note, |[large, trapped, _]| {
        Verdict::holds_if(is_reference(large) && trapped.outcome == Outcome::Trapped)
    })
}

fn requirement(lab: &mut Lab<'_>) -> Result<Finding> {
    let with = Case { mitigation: Mitigation::Preflight, ..LAZY };
    let note = "Arithmetic on the limits enforces it; what it cannot see, the canary's child finds out";
    judge(lab, [with.under(group(512)), with.under(group(8192))], note, |[small, large]| {
        let enforced = small.outcome == Outcome::Refused && is_reference(large);
        Verdict::holds_if(!enforced)
    })
}

fn chunks(lab: &mut Lab<'_>) -> Result<Finding> {
    let whole = LAZY.under(group(512));
    let chunked = Case { mitigation: Mitigation::Chunked, ..whole };
    let note = "The first works on the whole, the second in chunks";
    judge(lab, [whole, chunked], note, |[whole, chunked]| {
        Verdict::holds_if(is_reference(chunked) && !is_reference(whole))
    })
}

/// Whether the first block was begun: whatever became of it, there was an instance to run it.
fn starts(cell: &Cell) -> bool {
    cell.committed_bytes.is_some()
}

fn instantiates(lab: &mut Lab<'_>) -> Result<Finding> {
    let note = "The first block was begun";
    judge(lab, [LAZY.under(group(512))], note, |[cell]| Verdict::holds_if(starts(cell)))
}

fn min_max(lab: &mut Lab<'_>) -> Result<Finding> {
    let rewritten = Case { policy: "module-min-max", ..LAZY };
    let note = "It starts in 512 MiB all the same, since nothing is committed";
    judge(lab, [rewritten, rewritten.under(group(512))], note, |[_, small]| Verdict::holds_if(!starts(small)))
}

/// Whether a case ends so, and by what.
fn ends(lab: &mut Lab<'_>, case: Case, outcome: Outcome) -> Result<Finding> {
    let reason = lab.case(case)?.reason.unwrap_or_default();
    judge(lab, [case], &reason, |[cell]| Verdict::holds_if(cell.outcome == outcome))
}

fn killed_in_a_block(lab: &mut Lab<'_>) -> Result<Finding> {
    ends(lab, LAZY.under(group(512)), Outcome::KilledInBlock)
}

fn fails_at_startup(lab: &mut Lab<'_>) -> Result<Finding> {
    ends(lab, SEED.under(group(512)), Outcome::KilledAtStartup)
}

fn preallocation(lab: &mut Lab<'_>) -> Result<Finding> {
    let note = "Hosts that commit agree with each other and not with those that do not: a memory that is at its maximum \
                cannot grow, so that the guest's allocator is refused everything. It depends on all hosts having it";
    judge(lab, [LAZY, SEED, SEED.under(group(8192))], note, |[without, large, enough]| {
        let same = |other: &Cell| (large.outcome, &large.root) == (other.outcome, &other.root);
        match (same(enough), same(without)) {
            (true, true) => Verdict::Holds,
            (true, false) => Verdict::Depends,
            (false, _) => Verdict::DoesNotHold,
        }
    })
}

fn four_gigabytes(lab: &mut Lab<'_>) -> Result<Finding> {
    let note = "The guest's 4 GiB leave nothing for the host beside them";
    judge(lab, [SEED.under(group(4096))], note, |[cell]| {
        Verdict::holds_if(cell.outcome == Outcome::KilledAtStartup)
    })
}

fn eight_gigabytes(lab: &mut Lab<'_>) -> Result<Finding> {
    let note = "It starts in both; what is required beyond the guest's 4 GiB depends on the host's own state";
    judge(lab, [SEED.under(group(8192)), SEED.under(group(4352))], note, |[eight, less]| {
        match (starts(eight), starts(less)) {
            (true, false) => Verdict::Holds,
            (true, true) => Verdict::Depends,
            _ => Verdict::DoesNotHold,
        }
    })
}

fn gigabyte_cache(lab: &mut Lab<'_>) -> Result<Finding> {
    let gigabyte = Case { guest: Guest::LruGigabyte, ..LAZY };
    let conservative = Case { guest: Guest::Lru, ..LAZY }.under(group(512));
    let note = "A gigabyte fits a 32-bit memory and is had where the host has it; it depends on the host";
    judge(lab, [gigabyte, gigabyte.under(group(512)), conservative], note, |cells| {
        match cells.each_ref().map(is_reference) {
            [false, _, true] => Verdict::Holds,
            [true, false, true] => Verdict::Depends,
            _ => Verdict::DoesNotHold,
        }
    })
}

fn degradation(lab: &mut Lab<'_>) -> Result<Finding> {
    let cache = Case { guest: Guest::Lru, ..LAZY };
    let note = "With less memory it completes all the same; it depends on whether the size that was found shows in what is \
                stored, as it does here: then another host has another state";
    judge(lab, [cache, cache.under(data(256))], note, |[_, small]| match small.outcome {
        Outcome::Reference => Verdict::Holds,
        Outcome::Diverged => Verdict::Depends,
        _ => Verdict::DoesNotHold,
    })
}
