//! JUnit XML: a suite per workload and a case per strategy. A case fails when a strategy that claims to be sound is not
//! equal to a fresh instance; what could not run here is skipped, with the reason.

use crate::analyse::outcomes::Outcomes;
use crate::analyse::summary::{Cell, Equivalence};
use crate::gate::compare::word;
use crate::launch::saved::Saved;
use crate::present::view::Group;
use crate::prose::{escaped, printable};

pub fn export(saved: &Saved) -> String {
    let groups = Group::all(&saved.summary);
    let suites: Vec<(String, Vec<Case>)> = groups
        .iter()
        .map(|group| {
            let here = |cell: &&Cell| cell.workload == group.workload && cell.params == *group.params;
            (group.title(), saved.summary.cells.iter().filter(here).map(Case::new).collect())
        })
        .collect();
    let run = format!("resetbench {}", saved.record.run);
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {}>\n",
        counts(&run, suites.iter().flat_map(|(_, cases)| cases))
    );
    let started = escape(saved.record.started.trim_end_matches('Z'));
    for (title, cases) in &suites {
        out += &format!("  <testsuite {} timestamp=\"{started}\">\n", counts(title, cases));
        out.extend(cases.iter().map(|case| case.text.as_str()));
        out += "  </testsuite>\n";
    }
    out + "</testsuites>\n"
}

/// The attributes of a suite or of all suites.
fn counts<'a>(name: &str, cases: impl IntoIterator<Item = &'a Case>) -> String {
    let (mut tests, mut failures, mut skipped) = (0, 0, 0);
    for case in cases {
        tests += 1;
        failures += usize::from(case.state == State::Failed);
        skipped += usize::from(case.state == State::Skipped);
    }
    format!(
        "name=\"{}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\"",
        escape(name)
    )
}

#[derive(PartialEq)]
enum State {
    Passed,
    Failed,
    Skipped,
}

struct Case {
    state: State,
    text: String,
}

impl Case {
    fn new(cell: &Cell) -> Case {
        let reason = cell.reason.as_ref().unwrap_or(&cell.sentence);
        let (state, inner) = match cell.equivalence {
            Equivalence::Equivalent => {
                let warning = cell.outcomes.as_ref().and_then(Outcomes::warning);
                let warning = warning.map_or_else(String::new, |words| format!("Warning: {words}. "));
                let said = escape(&(warning + &cell.sentence));
                (State::Passed, format!("<system-out>{said}</system-out>"))
            }
            Equivalence::Diverged if !cell.control => {
                (State::Failed, format!("<failure message=\"{}\" type=\"diverged\"/>", escape(reason)))
            }
            other => {
                let control = if cell.control { "a control, which is there to be caught: " } else { "" };
                let message = escape(&format!("{control}{}: {reason}", word(other)));
                (State::Skipped, format!("<skipped message=\"{message}\"/>"))
            }
        };
        let seconds = cell.cycle_ns.map_or(0.0, |cycle| cycle.p50 as f64 / 1e9);
        let text = format!(
            "    <testcase classname=\"{}\" name=\"{}\" time=\"{seconds:.9}\">\n      {inner}\n    </testcase>\n",
            escape(&cell.workload),
            escape(&cell.strategy),
        );
        Case { state, text }
    }
}

/// Text on one line as XML holds it; control characters, which it cannot hold at all, are replaced.
fn escape(text: &str) -> String {
    escaped(&printable(&text.replace(['\n', '\t'], " ")))
}
