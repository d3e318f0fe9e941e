//! OpenMetrics text (the specification of version 1.0): a `TYPE`, a `UNIT` and a `HELP` line per family, then its
//! samples, and `# EOF` at the end. Base units are seconds and bytes.

use crate::analyse::outcomes::Outcomes;
use crate::analyse::summary::{Cell, Equivalence, Quantiles, Ratio, Residency};
use crate::launch::saved::Saved;
use crate::measure::row::canonical;

/// A further label of a sample, and its value.
type Sample = (&'static str, f64);

/// A family: its name, its unit, what it says, and its samples of a cell.
type Family = (&'static str, &'static str, &'static str, fn(&Cell) -> Vec<Sample>);

const FAMILIES: [Family; 6] = [
    ("resetbench_cycle_seconds", "seconds", "Time of execute and reset of one block.", cycle),
    (
        "resetbench_cycle_ratio",
        "ratio",
        "Cycle over the cycle of the baseline strategy in the same round.",
        cycle_ratio,
    ),
    ("resetbench_minor_faults", "", "Mean minor faults per cycle.", faults),
    ("resetbench_resident_bytes", "bytes", "Resident memory of the process while blocks run.", resident),
    ("resetbench_equivalent", "", "Whether the reset was found equal to a fresh instance.", equivalent),
    ("resetbench_blocks", "", "Blocks of the trace by how they ended.", blocks),
];

pub fn export(saved: &Saved) -> String {
    let record = &saved.record;
    let run = labels([
        ("run", &record.run),
        ("started", &record.started),
        ("machine", &record.machine.class),
        ("wasmtime", &record.wasmtime),
        ("host", &record.host().name),
        ("baseline", &record.baseline),
    ]);
    let mut out = format!(
        "# TYPE resetbench_run info\n# HELP resetbench_run The run and its machine.\nresetbench_run_info{{{run}}} 1\n"
    );
    for (name, unit, help, samples) in FAMILIES {
        out += &format!("# TYPE {name} gauge\n");
        if !unit.is_empty() {
            out += &format!("# UNIT {name} {unit}\n");
        }
        out += &format!("# HELP {name} {help}\n");
        for cell in &saved.summary.cells {
            let params = canonical(&cell.params);
            let of =
                labels([("strategy", &cell.strategy), ("workload", &cell.workload), ("params", &params)]);
            for (label, value) in samples(cell).into_iter().filter(|(_, value)| value.is_finite()) {
                out += &format!("{name}{{{of}{label}}} {value}\n");
            }
        }
    }
    out + "# EOF\n"
}

fn labels<const N: usize>(labels: [(&str, &str); N]) -> String {
    let escape = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    labels.map(|(name, value)| format!("{name}=\"{}\"", escape(value))).join(",")
}

fn cycle(cell: &Cell) -> Vec<Sample> {
    let quantile = |q: Quantiles| {
        let ns = [
            (r#",quantile="0.5""#, q.p50),
            (r#",quantile="0.95""#, q.p95),
            (r#",quantile="0.99""#, q.p99),
            (r#",quantile="1""#, q.max),
        ];
        ns.map(|(label, ns)| (label, ns as f64 / 1e9))
    };
    cell.cycle_ns.into_iter().flat_map(quantile).collect()
}

fn cycle_ratio(cell: &Cell) -> Vec<Sample> {
    let ends =
        |r: Ratio| [(r#",end="value""#, r.value), (r#",end="low""#, r.low), (r#",end="high""#, r.high)];
    cell.ratio_to_baseline.into_iter().flat_map(ends).collect()
}

fn faults(cell: &Cell) -> Vec<Sample> {
    cell.minor_faults.map(|faults| ("", faults)).into_iter().collect()
}

fn resident(cell: &Cell) -> Vec<Sample> {
    let both = |r: Residency| [(r#",of="steady""#, r.steady as f64), (r#",of="peak""#, r.peak as f64)];
    cell.rss_bytes.into_iter().flat_map(both).collect()
}

fn equivalent(cell: &Cell) -> Vec<Sample> {
    match cell.equivalence {
        Equivalence::Equivalent => vec![("", 1.0)],
        Equivalence::Diverged => vec![("", 0.0)],
        _ => Vec::new(),
    }
}

fn blocks(cell: &Cell) -> Vec<Sample> {
    let by_outcome = |o: &Outcomes| {
        [
            (r#",outcome="completed""#, o.completed as f64),
            (r#",outcome="trapped""#, o.trapped as f64),
            (r#",outcome="failed""#, o.failed as f64),
            (r#",outcome="timed-out""#, o.timed_out as f64),
        ]
    };
    cell.outcomes.iter().flat_map(by_outcome).collect()
}
