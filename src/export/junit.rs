//! JUnit XML: a suite per workload and a case per strategy. A case fails when a strategy that claims to be sound is not
//! equal to a fresh instance; what could not run here is skipped, with the reason.

use crate::analyse::outcomes::Outcomes;
use crate::analyse::summary::{Cell, Equivalence};
use crate::gate::compare::word;
use crate::launch::saved::Saved;
use crate::present::view::Group;

pub fn export(saved: &Saved) -> String {
    let mut suites = String::new();
    let (mut tests, mut failures, mut skipped) = (0, 0, 0);
    for group in Group::all(&saved.summary) {
        let cells = saved
            .summary
            .cells
            .iter()
            .filter(|cell| cell.workload == group.workload && cell.params == *group.params);
        let cases: Vec<(State, String)> = cells.map(case).collect();
        let count = |state: State| cases.iter().filter(|(of, _)| *of == state).count();
        let (failed, skips) = (count(State::Failed), count(State::Skipped));
        suites += &format!(
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failed}\" errors=\"0\" skipped=\"{skips}\" timestamp=\"{}\">\n",
            escape(&group.title()),
            cases.len(),
            escape(saved.record.started.trim_end_matches('Z')),
        );
        suites.extend(cases.iter().map(|(_, text)| text.as_str()));
        suites += "  </testsuite>\n";
        (tests, failures, skipped) = (tests + cases.len(), failures + failed, skipped + skips);
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"resetbench {}\" tests=\"{tests}\" \
         failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\">\n{suites}</testsuites>\n",
        escape(&saved.record.run),
    )
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Passed,
    Failed,
    Skipped,
}

fn case(cell: &Cell) -> (State, String) {
    let reason = cell.reason.clone().unwrap_or_else(|| cell.sentence.clone());
    let (state, inner) = match cell.equivalence {
        Equivalence::Equivalent => {
            let warning = cell.outcomes.as_ref().and_then(Outcomes::warning);
            let warning = warning.map_or_else(String::new, |words| format!("Warning: {words}. "));
            (
                State::Passed,
                format!("      <system-out>{}{}</system-out>\n", escape(&warning), escape(&cell.sentence)),
            )
        }
        Equivalence::Diverged if !cell.control => {
            (State::Failed, format!("      <failure message=\"{}\" type=\"diverged\"/>\n", escape(&reason)))
        }
        other => {
            let control = if cell.control { "a control, which is there to be caught: " } else { "" };
            let message = format!("{control}{}: {reason}", word(other));
            (State::Skipped, format!("      <skipped message=\"{}\"/>\n", escape(&message)))
        }
    };
    let seconds = cell.cycle_ns.map_or(0.0, |cycle| cycle.p50 as f64 / 1e9);
    let text = format!(
        "    <testcase classname=\"{}\" name=\"{}\" time=\"{seconds:.9}\">\n{inner}    </testcase>\n",
        escape(&cell.workload),
        escape(&cell.strategy),
    );
    (state, text)
}

/// Text as XML holds it; control characters, which it cannot hold at all, are replaced.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\n' | '\t' => out.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
