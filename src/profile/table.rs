//! The shares of a cell as a table for the terminal, 80 columns wide.

use std::fmt::Write;

use super::report::{Basis, Cell, Part, Profile, Samples};
use crate::present::table::wrap;
use crate::prose::printable;
use crate::units;

/// Columns of the longest bar.
const BAR: usize = 12;

/// Columns of the terminal.
const WIDTH: usize = 80;

/// All cells, an empty line between them.
pub fn tables(cells: &[Cell]) -> String {
    cells.iter().map(table).collect::<Vec<_>>().join("\n")
}

fn table(cell: &Cell) -> String {
    let mut out = format!("{} on {}\n", printable(&cell.strategy), printable(&cell.workload));
    if cell.planted.is_some() {
        out += "  It was made worse on purpose: this is no result.\n";
    }
    if let Some(reason) = &cell.reason {
        out += &wrap(&format!("no profile: {}", printable(reason)), WIDTH, "  ");
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
    let mut out = wrap(&format!("{times}; {}.", based(profile)), WIDTH, "  ");
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
            percent(part.thousandths),
            part.interval.map_or_else(String::new, |(low, high)| format!("{:.1}", (high - low) * 50.0)),
            micros(part.ns),
            percent(execute.thousandths),
            percent(reset.thousandths),
        );
        let _ = writeln!(out, "{}", row.trim_end());
    }
    if let Basis::Samples(samples) = &profile.basis {
        out += &remarks(samples);
    }
    out
}

/// What shares are taken from.
fn based(profile: &Profile) -> String {
    let blocks = units::several(usize::try_from(profile.blocks).unwrap_or(usize::MAX), "block");
    match &profile.basis {
        Basis::Samples(Samples { samples, overhead, .. }) => {
            let overhead = overhead.map_or_else(String::new, |ratio| {
                format!("; sampling made blocks {:+.1} % slower", (ratio - 1.0) * 100.0)
            });
            format!("{samples} samples of {blocks}{overhead}")
        }
        Basis::Counts { .. } => {
            format!("an estimate, from counts of {blocks} and what one of each costs here")
        }
    }
}

/// What a reader has to know of the samples.
fn remarks(samples: &Samples) -> String {
    let all = samples.samples.max(1);
    let mut out = String::new();
    if samples.unplaced * 50 > all {
        let share = samples.unplaced as f64 / all as f64 * 100.0;
        out += &wrap(
            &format!("{share:.0} % of the stacks were cut off: they count for the cycle only."),
            WIDTH,
            "  ",
        );
    }
    if samples.lost * 50 > all {
        out += &wrap(
            &format!("{} samples were lost for want of room: try a lower --frequency.", samples.lost),
            WIDTH,
            "  ",
        );
    }
    out
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

fn percent(thousandths: u32) -> String {
    format!("{}.{} %", thousandths / 10, thousandths % 10)
}

fn micros(ns: f64) -> String {
    format!("{:.2} µs", ns / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::summary::Equivalence;
    use crate::profile::folded::Folded;

    #[test]
    fn a_table_fits_and_its_shares_come_to_all() {
        let stacks = "execute;run_[j] 700\nexecute;asm_exc_page_fault_[k];do_anonymous_page_[k] 123\nreset;munmap;__x64_sys_munmap_[k] 177\n";
        let samples = Samples { overhead: Some(1.012), lost: 500, ..Samples::default() };
        let profile = Profile::sampled(&Folded::parse(stacks), samples, 4_242, 82_300.0, 17_700.0);
        let cell = Cell {
            workload: "indexer/lru".into(),
            strategy: "fresh/relink".into(),
            planted: None,
            equivalence: Equivalence::Equivalent,
            reason: None,
            profile: Some(profile),
        };
        let text = tables(&[cell]);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        for part in
            ["guest code", "████████████", "70.0 %", "70.00 µs", "17.7 %", "100.0 %", "+1.2 % slower", "lost"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("waiting for locks"), "{text}");
    }

    #[test]
    fn bars_are_as_long_as_their_shares() {
        assert_eq!((bar(1_000, 1_000).as_str(), bar(0, 1_000).as_str()), ("████████████", ""));
        assert_eq!(bar(500, 1_000), "██████");
        assert_eq!(bar(10, 960), "▏");
    }
}
