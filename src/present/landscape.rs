//! The landscape in words: who is best where, and where that changes.

use crate::analyse::crossover::Landscape;
use crate::units;
use crate::workload::landscape::describe;

/// The landscape for a terminal.
pub fn text(landscape: &Landscape) -> String {
    let mut out = String::new();
    for slice in &landscape.slices {
        out += &format!("\n{}: {}\n", slice.workload, describe(&slice.params));
        out += &format!("{:>8}  {:<24} {:>10} {:>10}\n", "dirty", "best", "cycle", "baseline");
        for best in &slice.best {
            out += &format!(
                "{:>8}  {:<24} {:>10} {:>10}\n",
                best.dirty,
                best.strategy,
                units::ns(best.cycle_ns),
                best.baseline_ns.map_or_else(|| "-".into(), units::ns),
            );
        }
        out.extend(slice.crossovers.iter().map(|crossover| format!("  {}\n", crossover.sentence)));
    }
    if let [first, .., last] = landscape.left_out.as_slice() {
        out += &format!(
            "\n{} places were left out, from \"{first}\" to \"{last}\"; run.json names them all.\n",
            landscape.left_out.len()
        );
    }
    out
}
