//! The shares of a cell as a table for the terminal, 80 columns wide.

use std::fmt::Write;

use super::report::{Basis, Cell, Part, Profile, Samples};
use crate::present::table::hanging;
use crate::prose::printable;
use crate::units;

/// Columns of the longest bar.
const BAR: usize = 12;

/// Columns of the terminal.
const WIDTH: usize = 80;

/// Shares that are named where two strategies differ.
const NAMED: usize = 3;

/// All cells, an empty line between them; and by what each differs from the first of its workload.
pub fn tables(cells: &[Cell]) -> String {
    let table = |cell| {
        let differs = difference(cells, cell).map(|text| indented(&printable(&text)));
        table(cell) + &differs.unwrap_or_default()
    };
    cells.iter().map(table).collect::<Vec<_>>().join("\n")
}

/// In which shares most of the difference is between a strategy and the first that was profiled on its workload.
pub fn difference(cells: &[Cell], cell: &Cell) -> Option<String> {
    let first = cells.iter().find(|first| first.workload == cell.workload && first.profile.is_some())?;
    if first.strategy == cell.strategy {
        return None;
    }
    let (before, after) = (first.profile.as_ref()?, cell.profile.as_ref()?);
    let mut parts: Vec<_> = before
        .cycle
        .iter()
        .zip(&after.cycle)
        .map(|(before, after)| (after.ns - before.ns, after.share))
        .collect();
    parts.sort_by(|(a, _), (b, _)| b.abs().total_cmp(&a.abs()));
    let by = |ns: f64| format!("{}{}", if ns < 0.0 { "-" } else { "+" }, micros(ns.abs()));
    let whole: f64 = parts.iter().map(|(ns, _)| ns).sum();
    let named: Vec<_> =
        parts.iter().take(NAMED).map(|(ns, share)| format!("{} {}", share.name(), by(*ns))).collect();
    Some(format!("against {}: {} a block; {}.", first.strategy, by(whole), named.join(", ")))
}

fn table(cell: &Cell) -> String {
    let mut out = format!("{} on {}\n", printable(&cell.strategy), printable(&cell.workload));
    if cell.planted.is_some() {
        out += "  It was made worse on purpose: this is no result.\n";
    }
    if let Some(reason) = &cell.reason {
        out += &indented(&format!("no profile: {}", printable(reason)));
    }
    if let Some(profile) = &cell.profile {
        out += &shares(profile);
    }
    out
}

fn shares(profile: &Profile) -> String {
    let Profile { execute_ns, reset_ns, .. } = profile;
    let times = format!(
        "{} a block: execute {}, reset {}",
        micros(execute_ns + reset_ns),
        micros(*execute_ns),
        micros(*reset_ns)
    );
    let mut out = indented(&format!("{times}; {}.", based(profile)));
    let _ = writeln!(
        out,
        "  {:22} {:BAR$} {:>6} {:>5} {:>11} {:>7} {:>6}",
        "", "", "cycle", "±", "a block", "execute", "reset"
    );
    let most = profile.cycle.iter().map(|part| part.thousandths).max().unwrap_or(0);
    for (part, (execute, reset)) in profile.cycle.iter().zip(profile.execute.iter().zip(&profile.reset)) {
        let happens = |part: &Part| part.samples.unwrap_or(0) > 0 || part.thousandths > 0;
        if ![part, execute, reset].into_iter().any(happens) {
            continue;
        }
        let row = format!(
            "  {:22} {:BAR$} {:>6} {:>5} {:>11} {:>7} {:>6}",
            part.share.name(),
            bar(part.thousandths, most),
            part.percent(),
            part.interval.map_or_else(String::new, |(low, high)| format!("{:.1}", (high - low) * 50.0)),
            micros(part.ns),
            execute.percent(),
            reset.percent(),
        );
        let _ = writeln!(out, "{}", row.trim_end());
    }
    if let Basis::Samples(samples) = &profile.basis {
        out += &remarks(samples);
    }
    out
}

/// What shares are taken from.
pub fn based(profile: &Profile) -> String {
    let blocks = units::several(usize::try_from(profile.blocks).unwrap_or(usize::MAX), "block");
    match &profile.basis {
        Basis::Samples(Samples { samples, overhead, .. }) => {
            let overhead = overhead.map_or_else(String::new, |ratio| {
                format!("; while it was sampled, a block took {:+.1} %", (ratio - 1.0) * 100.0)
            });
            format!("{samples} samples of {blocks}{overhead}")
        }
        Basis::Counts { guest_samples, .. } => {
            let guest = match guest_samples {
                0 => String::new(),
                n => format!("; flame graphs have {n} stacks of the guest alone"),
            };
            format!("an estimate, from counts of {blocks} and what one of each costs here{guest}")
        }
    }
}

/// What a reader has to know of the samples.
fn remarks(samples: &Samples) -> String {
    let all = samples.samples.max(1);
    let mut out = String::new();
    if samples.unplaced * 50 > all {
        let share = samples.unplaced as f64 / all as f64 * 100.0;
        out += &indented(&format!("{share:.0} % of the stacks were cut off: they count for the cycle only."));
    }
    if samples.lost * 50 > all {
        out += &indented(&format!(
            "{} samples were lost for want of room: try a lower --frequency.",
            samples.lost
        ));
    }
    out
}

/// Prose below the name of a cell.
fn indented(text: &str) -> String {
    hanging("  ", text, WIDTH)
}

/// Eighths of a column, in Unicode.
fn bar(part: u32, most: u32) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = part as usize * BAR * 8 / (most.max(1) as usize);
    let mut bar = "█".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        bar.push(EIGHTHS[eighths % 8]);
    }
    bar
}

fn micros(ns: f64) -> String {
    let micros = ns / 1_000.0;
    let decimals = if micros >= 1_000.0 {
        0
    } else if micros >= 100.0 {
        1
    } else {
        2
    };
    format!("{micros:.decimals$} µs")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::summary::Equivalence;
    use crate::profile::folded::Folded;

    fn cell(strategy: &str, stacks: &str, samples: Samples, execute_ns: f64) -> Cell {
        Cell {
            workload: "indexer/lru".into(),
            strategy: strategy.into(),
            planted: None,
            equivalence: Equivalence::Equivalent,
            reason: None,
            profile: Some(Profile::sampled(&Folded::parse(stacks), samples, 4_242, execute_ns, 17_700.0)),
        }
    }

    #[test]
    fn a_table_fits_and_its_shares_come_to_all() {
        let stacks = "execute;run_[j] 700\nexecute;exc_page_fault_[k];do_anonymous_page_[k] 123\n\
                      reset;munmap;__x64_sys_munmap_[k] 177\n";
        let samples = Samples { overhead: Some(1.012), lost: 500, ..Samples::default() };
        let text = tables(&[cell("fresh/relink", stacks, samples, 82_300.0)]);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        for part in
            ["guest code", "████████████", "70.0 %", "70.00 µs", "17.7 %", "100.0 %", "took +1.2 %", "lost"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("waiting for locks"), "{text}");
    }

    #[test]
    fn two_strategies_differ_in_the_shares_that_changed_most() {
        let first =
            "execute;run_[j] 400\nexecute;exc_page_fault_[k];do_anonymous_page_[k] 423\nreset;x 177\n";
        let second = "execute;run_[j] 823\nreset;x 177\n";
        let cell = |strategy, stacks, ns| cell(strategy, stacks, Samples::default(), ns);
        let text = tables(&[cell("fresh/relink", first, 82_300.0), cell("copy/full", second, 40_000.0)]);
        let differs = "against fresh/relink: -42.30 µs a block; faults: first touch -42.30 µs";
        assert!(text.replace("\n  ", " ").contains(differs), "{text}");
        assert_eq!(text.matches("against").count(), 1, "{text}");
    }

    #[test]
    fn bars_are_as_long_as_their_shares() {
        assert_eq!((bar(1_000, 1_000).as_str(), bar(0, 1_000).as_str()), ("████████████", ""));
        assert_eq!(bar(500, 1_000), "██████");
        assert_eq!(bar(10, 960), "▏");
    }
}
