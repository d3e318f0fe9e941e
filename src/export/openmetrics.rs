//! OpenMetrics text (the specification of version 1.0): a `TYPE`, a `UNIT` and a `HELP` line per family, then its
//! samples, and `# EOF` at the end. Base units are seconds and bytes.

use std::fmt::Write;

use crate::analyse::summary::{Cell, Equivalence};
use crate::launch::saved::Saved;
use crate::measure::row::canonical;

/// A family: its name, its unit and what it says.
struct Family {
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    /// Samples of a cell: further labels and a value.
    samples: fn(&Cell) -> Vec<(&'static str, f64)>,
}

const FAMILIES: [Family; 6] = [
    Family {
        name: "resetbench_cycle_seconds",
        unit: "seconds",
        help: "Time of execute and reset of one block.",
        samples: |cell| {
            let quantiles = |q: crate::analyse::summary::Quantiles| {
                let seconds = |ns: u64| ns as f64 / 1e9;
                vec![
                    (r#",quantile="0.5""#, seconds(q.p50)),
                    (r#",quantile="0.95""#, seconds(q.p95)),
                    (r#",quantile="0.99""#, seconds(q.p99)),
                    (r#",quantile="1""#, seconds(q.max)),
                ]
            };
            cell.cycle_ns.map(quantiles).unwrap_or_default()
        },
    },
    Family {
        name: "resetbench_cycle_ratio",
        unit: "ratio",
        help: "Cycle over the cycle of the baseline strategy in the same round.",
        samples: |cell| {
            let ends = |r: crate::analyse::summary::Ratio| {
                vec![(r#",end="value""#, r.value), (r#",end="low""#, r.low), (r#",end="high""#, r.high)]
            };
            cell.ratio_to_baseline.map(ends).unwrap_or_default()
        },
    },
    Family {
        name: "resetbench_minor_faults",
        unit: "",
        help: "Mean minor faults per cycle.",
        samples: |cell| cell.minor_faults.map(|faults| ("", faults)).into_iter().collect(),
    },
    Family {
        name: "resetbench_resident_bytes",
        unit: "bytes",
        help: "Resident memory of the process while blocks run.",
        samples: |cell| {
            let both = |rss: crate::analyse::summary::Residency| {
                vec![(r#",of="steady""#, rss.steady as f64), (r#",of="peak""#, rss.peak as f64)]
            };
            cell.rss_bytes.map(both).unwrap_or_default()
        },
    },
    Family {
        name: "resetbench_equivalent",
        unit: "",
        help: "Whether the reset was found equal to a fresh instance.",
        samples: |cell| match cell.equivalence {
            Equivalence::Equivalent => vec![("", 1.0)],
            Equivalence::Diverged => vec![("", 0.0)],
            _ => Vec::new(),
        },
    },
    Family {
        name: "resetbench_blocks",
        unit: "",
        help: "Blocks of the trace by how they ended.",
        samples: |cell| {
            let by_outcome = |o: &crate::analyse::outcomes::Outcomes| {
                vec![
                    (r#",outcome="completed""#, o.completed as f64),
                    (r#",outcome="trapped""#, o.trapped as f64),
                    (r#",outcome="failed""#, o.failed as f64),
                    (r#",outcome="timed-out""#, o.timed_out as f64),
                ]
            };
            cell.outcomes.as_ref().map(by_outcome).unwrap_or_default()
        },
    },
];

pub fn export(saved: &Saved) -> String {
    let record = &saved.record;
    let mut out =
        String::from("# TYPE resetbench_run info\n# HELP resetbench_run The run and its machine.\n");
    let labels = [
        ("run", record.run.as_str()),
        ("started", &record.started),
        ("machine", &record.machine.class),
        ("wasmtime", &record.wasmtime),
        ("baseline", &record.baseline),
    ];
    let labels: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
    // Writing to a string cannot fail.
    let _infallible = writeln!(out, "resetbench_run_info{{{}}} 1", labels.join(","));
    for family in &FAMILIES {
        out += &format!("# TYPE {} gauge\n", family.name);
        if !family.unit.is_empty() {
            out += &format!("# UNIT {} {}\n", family.name, family.unit);
        }
        out += &format!("# HELP {} {}\n", family.name, family.help);
        for cell in &saved.summary.cells {
            let cell_labels = format!(
                r#"strategy="{}",workload="{}",params="{}""#,
                escape(&cell.strategy),
                escape(&cell.workload),
                escape(&canonical(&cell.params))
            );
            for (labels, value) in (family.samples)(cell).into_iter().filter(|(_, value)| value.is_finite()) {
                out += &format!("{}{{{cell_labels}{labels}}} {value}\n", family.name);
            }
        }
    }
    out + "# EOF\n"
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
