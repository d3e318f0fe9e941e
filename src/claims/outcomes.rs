//! Claims about what becomes of a block on a host with less memory.

use anyhow::Result;

use super::lab::{LAZY, data, group};
use super::{Finding, Lab, Measure, Verdict};
use crate::determinism::{Case, Cell, Environment, Guest, Mitigation, Outcome, word};
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
const SEED: &str = "nonzero-then-zero";

fn described(cell: &Cell) -> String {
    let limit = cell.limit_bytes.map_or_else(String::new, |bytes| format!(" {} MiB", bytes >> 20));
    let stored = cell.stored.as_deref().map_or_else(String::new, |stored| format!(" ({stored})"));
    format!("{}{limit}: {}{stored}", cell.environment, word(cell.outcome))
}

/// Judges by cells, unless one of them could not be run.
fn judge(cells: &[&Cell], verdict: Verdict, note: &str) -> Finding {
    let told: Vec<String> = cells.iter().map(|cell| described(cell)).collect();
    let mut measured = told.join("; ");
    if !note.is_empty() {
        measured = format!("{measured}. {note}");
    }
    let missing = cells.iter().find(|cell| cell.outcome == Outcome::NotRun);
    match missing {
        Some(cell) => {
            let reason = cell.reason.as_deref().unwrap_or_default();
            Finding::new(Verdict::NotRun, format!("{}: {reason}", cell.environment))
        }
        None => Finding::new(verdict, measured)
            .with(Unit::Nanoseconds, cells.iter().map(|cell| cell.wall_ns).collect()),
    }
}

fn two_answers(lab: &mut Lab<'_>) -> Result<Finding> {
    let large = lab.case(LAZY)?;
    let killed = lab.case(Case { environment: group(512), ..LAZY })?;
    let refused = lab.case(Case { environment: data(512), ..LAZY })?;
    let verdict = match (killed.outcome, refused.outcome) {
        (Outcome::Diverged, Outcome::Diverged) => Verdict::Holds,
        (_, Outcome::Diverged) => Verdict::Depends,
        _ => Verdict::DoesNotHold,
    };
    let note = "It depends on who enforces the limit: where growing fails the guest stores an error, and where the OOM \
                killer answers nothing is stored";
    Ok(judge(&[&large, &killed, &refused], verdict, note))
}

fn small_container_completes(lab: &mut Lab<'_>) -> Result<Finding> {
    let cell = lab.case(Case { environment: group(512), ..LAZY })?;
    let completes = matches!(cell.outcome, Outcome::Reference | Outcome::Diverged);
    Ok(judge(&[&cell], Verdict::holds_if(completes), "A container's limit is a memory control group"))
}

fn breaking_point(lab: &mut Lab<'_>) -> Result<Finding> {
    let rising = Case { guest: Guest::AllocateRising, ..LAZY };
    let mut cells = Vec::new();
    for environment in [Environment::AS_FOUND, data(256), data(512), data(1024)] {
        cells.push(lab.case(Case { environment, ..rising })?);
    }
    let cells: Vec<&Cell> = cells.iter().collect();
    let differ = cells.windows(2).all(|pair| pair[0].stored != pair[1].stored);
    Ok(judge(&cells, Verdict::holds_if(differ), ""))
}

fn budget(lab: &mut Lab<'_>) -> Result<Finding> {
    let with = Case { mitigation: Mitigation::Budget, ..LAZY };
    let large = lab.case(with)?;
    let enough = lab.case(Case { environment: group(1024), ..with })?;
    let little = lab.case(Case { environment: data(256), ..with })?;
    let same = |cell: &Cell| cell.outcome == Outcome::Reference;
    let verdict = match (same(&enough), same(&little)) {
        (true, true) => Verdict::Holds,
        (true, false) => Verdict::Depends,
        _ => Verdict::DoesNotHold,
    };
    let note = "It depends on the host having the budget: 512 MiB here";
    Ok(judge(&[&large, &enough, &little], verdict, note))
}

fn fail_fast(lab: &mut Lab<'_>) -> Result<Finding> {
    let with = Case { mitigation: Mitigation::FailFast, ..LAZY };
    let cells = [
        lab.case(with)?,
        lab.case(Case { environment: data(256), ..with })?,
        lab.case(Case { environment: group(512), ..with })?,
    ];
    let [large, trapped, killed] = &cells;
    let holds = large.outcome == Outcome::Reference && trapped.outcome == Outcome::Trapped;
    let note = "No other state is stored; under a control group there is no failure to trap on";
    Ok(judge(&[large, trapped, killed], Verdict::holds_if(holds), note))
}

fn requirement(lab: &mut Lab<'_>) -> Result<Finding> {
    let with = Case { mitigation: Mitigation::Preflight, ..LAZY };
    let small = lab.case(Case { environment: group(512), ..with })?;
    let large = lab.case(Case { environment: group(8192), ..with })?;
    let enforced = small.outcome == Outcome::Refused && large.outcome == Outcome::Reference;
    let note = "Arithmetic on the limits enforces it; what it cannot see, the canary's child finds out";
    Ok(judge(&[&small, &large], Verdict::holds_if(!enforced), note))
}

fn chunks(lab: &mut Lab<'_>) -> Result<Finding> {
    let whole = lab.case(Case { environment: group(512), ..LAZY })?;
    let chunked = lab.case(Case { environment: group(512), mitigation: Mitigation::Chunked, ..LAZY })?;
    let holds = chunked.outcome == Outcome::Reference && whole.outcome != Outcome::Reference;
    Ok(judge(
        &[&whole, &chunked],
        Verdict::holds_if(holds),
        "The first works on the whole, the second in chunks",
    ))
}

fn instantiates(lab: &mut Lab<'_>) -> Result<Finding> {
    let cell = lab.case(Case { environment: group(512), ..LAZY })?;
    // Whatever became of the block: there was an instance to run it.
    Ok(judge(&[&cell], Verdict::holds_if(cell.committed_bytes.is_some()), "The first block was begun"))
}

fn min_max(lab: &mut Lab<'_>) -> Result<Finding> {
    let rewritten = Case { policy: "module-min-max", ..LAZY };
    let large = lab.case(rewritten)?;
    let small = lab.case(Case { environment: group(512), ..rewritten })?;
    let note = "It starts in 512 MiB all the same, since nothing is committed";
    Ok(judge(&[&large, &small], Verdict::holds_if(small.committed_bytes.is_none()), note))
}

fn killed_in_a_block(lab: &mut Lab<'_>) -> Result<Finding> {
    let cell = lab.case(Case { environment: group(512), ..LAZY })?;
    let reason = cell.reason.clone().unwrap_or_default();
    Ok(judge(&[&cell], Verdict::holds_if(cell.outcome == Outcome::KilledInBlock), &reason))
}

fn preallocation(lab: &mut Lab<'_>) -> Result<Finding> {
    let with = Case { policy: SEED, ..LAZY };
    let without = lab.case(LAZY)?;
    let large = lab.case(with)?;
    let enough = lab.case(Case { environment: group(8192), ..with })?;
    let same = |one: &Cell, other: &Cell| (one.outcome, &one.root) == (other.outcome, &other.root);
    let verdict = match (same(&large, &enough), same(&large, &without)) {
        (true, true) => Verdict::Holds,
        (true, false) => Verdict::Depends,
        (false, _) => Verdict::DoesNotHold,
    };
    let note = "Hosts that commit agree with each other and not with those that do not: a memory that is at its maximum \
                cannot grow, so that the guest's allocator is refused everything. It depends on all hosts having it";
    Ok(judge(&[&without, &large, &enough], verdict, note))
}

fn fails_at_startup(lab: &mut Lab<'_>) -> Result<Finding> {
    let cell = lab.case(Case { environment: group(512), policy: SEED, ..LAZY })?;
    let reason = cell.reason.clone().unwrap_or_default();
    Ok(judge(&[&cell], Verdict::holds_if(cell.outcome == Outcome::KilledAtStartup), &reason))
}

fn four_gigabytes(lab: &mut Lab<'_>) -> Result<Finding> {
    let cell = lab.case(Case { environment: group(4096), policy: SEED, ..LAZY })?;
    let holds = cell.outcome == Outcome::KilledAtStartup;
    Ok(judge(&[&cell], Verdict::holds_if(holds), "The guest's 4 GiB leave nothing for the host beside them"))
}

fn eight_gigabytes(lab: &mut Lab<'_>) -> Result<Finding> {
    let with = Case { policy: SEED, ..LAZY };
    let eight = lab.case(Case { environment: group(8192), ..with })?;
    let less = lab.case(Case { environment: group(4352), ..with })?;
    // Whatever becomes of the block: what is required is said of the startup.
    let starts = |cell: &Cell| cell.committed_bytes.is_some();
    let verdict = match (starts(&eight), starts(&less)) {
        (true, false) => Verdict::Holds,
        (true, true) => Verdict::Depends,
        _ => Verdict::DoesNotHold,
    };
    let note = "It starts in both; what is required beyond the guest's 4 GiB depends on the host's own state";
    Ok(judge(&[&eight, &less], verdict, note))
}

fn gigabyte_cache(lab: &mut Lab<'_>) -> Result<Finding> {
    let gigabyte = Case { guest: Guest::LruGigabyte, ..LAZY };
    let large = lab.case(gigabyte)?;
    let small = lab.case(Case { environment: group(512), ..gigabyte })?;
    let conservative = lab.case(Case { guest: Guest::Lru, environment: group(512), ..LAZY })?;
    let lives = |cell: &Cell| cell.outcome == Outcome::Reference;
    let verdict = match (lives(&large), lives(&small), lives(&conservative)) {
        (false, _, true) => Verdict::Holds,
        (true, false, true) => Verdict::Depends,
        _ => Verdict::DoesNotHold,
    };
    let note = "A gigabyte fits a 32-bit memory and is had where the host has it; it depends on the host";
    Ok(judge(&[&large, &small, &conservative], verdict, note))
}

fn degradation(lab: &mut Lab<'_>) -> Result<Finding> {
    let cache = Case { guest: Guest::Lru, ..LAZY };
    let large = lab.case(cache)?;
    let small = lab.case(Case { environment: data(256), ..cache })?;
    let verdict = match small.outcome {
        Outcome::Reference => Verdict::Holds,
        Outcome::Diverged => Verdict::Depends,
        _ => Verdict::DoesNotHold,
    };
    let note = "With less memory it completes all the same; it depends on whether the size that was found shows in what is \
                stored, as it does here: then another host has another state";
    Ok(judge(&[&large, &small], verdict, note))
}
