//! The cells as tables for a terminal: commit policies down, environments across.

use super::environment::size;
use super::process::is_shortage;
use super::{Cell, Outcome, word};
use crate::prose::{distinct, grouped};

const COLUMN: usize = 11;

/// The word of an outcome in a table. Those that a node operator would not notice, or too late, are in capitals.
pub fn short(cell: &Cell) -> &'static str {
    match cell.outcome {
        Outcome::Reference => "same",
        Outcome::Diverged => "DIVERGED",
        Outcome::Refused if is_shortage(cell.exit_code) => "refused 78",
        Outcome::Refused => "refused",
        Outcome::KilledAtStartup => "killed",
        Outcome::KilledInBlock => "KILLED",
        Outcome::Trapped => "trapped",
        Outcome::NotRun => "-",
    }
}

/// What the words mean.
pub const LEGEND: &str = "\
same        the state of a host without limits      DIVERGED  completed with another state: nobody notices
refused     an error before the first block         KILLED    by a signal in a block
refused 78  the same, in words and with exit code   killed    by a signal before the first block
trapped     the guest trapped: the block failed     -         not run
";

/// An environment's two words.
pub fn environment(cell: &Cell) -> (String, String) {
    (cell.environment.clone(), cell.limit_bytes.map_or_else(String::new, size))
}

/// All cells, a table for each guest and mitigation, and below it what stands behind the outcomes.
pub fn tables(cells: &[Cell]) -> String {
    let mut out = String::new();
    for ((guest, mitigation), cells) in
        grouped(cells.iter().map(|cell| ((cell.guest, cell.mitigation), cell)))
    {
        let environments = distinct(cells.iter().map(|cell| environment(cell)));
        out += &format!("{}, mitigation: {}\n", word(guest), word(mitigation));
        out += &line("commit policy", environments.iter().map(|(name, _)| name.as_str()));
        out += &line("", environments.iter().map(|(_, limit)| limit.as_str()));
        for (policy, cells) in grouped(cells.iter().map(|cell| (cell.commit.as_str(), *cell))) {
            let at = |place: &(String, String)| cells.iter().find(|cell| environment(cell) == *place);
            out += &line(policy, environments.iter().map(|place| at(place).map_or("", |cell| short(cell))));
        }
        out.push('\n');
    }
    out + LEGEND
}

fn line<'a>(head: &str, columns: impl Iterator<Item = &'a str>) -> String {
    let columns: String = columns.map(|column| format!("{column:<COLUMN$} ")).collect();
    format!("{}\n", format!("  {head:<26}{columns}").trim_end())
}

/// An example of each outcome in each kind of environment, with its reason; all are in the JSON.
pub fn reasons(cells: &[Cell]) -> String {
    let others = cells.iter().filter(|cell| cell.outcome != Outcome::Reference && cell.reason.is_some());
    let kinds = grouped(others.map(|cell| ((cell.outcome, cell.exit_code, &cell.environment), cell)));
    let told = kinds.iter().map(|(_, cells)| {
        let cell = cells[0];
        let (name, limit) = environment(cell);
        let place = format!("{name} {limit}");
        let reason = cell.reason.as_deref().unwrap_or_default();
        format!("{}, {} in {}: {reason}\n", short(cell), cell.commit, place.trim())
    });
    told.collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::{Guest, Mitigation};
    use super::*;

    pub(crate) fn cell(environment: &str, limit: Option<u64>, commit: &str, outcome: Outcome) -> Cell {
        Cell {
            environment: environment.into(),
            limit_bytes: limit,
            commit: commit.into(),
            mitigation: Mitigation::None,
            guest: Guest::Allocate,
            outcome,
            reason: (outcome != Outcome::Reference).then(|| "why".into()),
            exit_code: (outcome == Outcome::Refused).then_some(78),
            root: None,
            stored: None,
            committed_bytes: None,
            wall_ns: 1,
        }
    }

    #[test]
    fn a_matrix_has_policies_down_and_environments_across() {
        let limit = Some(512 << 20);
        let cells = [
            cell("as-found", None, "lazy", Outcome::Reference),
            cell("cgroup-v1", limit, "lazy", Outcome::KilledInBlock),
            cell("rlimit-data", limit, "lazy", Outcome::Diverged),
            cell("as-found", None, "canary", Outcome::Reference),
            cell("cgroup-v1", limit, "canary", Outcome::Refused),
        ];
        let text = tables(&cells);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "allocate, mitigation: none");
        assert_eq!(lines[1], "  commit policy             as-found    cgroup-v1   rlimit-data");
        assert_eq!(lines[2], "                                        512 MiB     512 MiB");
        assert_eq!(lines[3], "  lazy                      same        KILLED      DIVERGED");
        assert_eq!(lines[4], "  canary                    same        refused 78");
        assert_eq!(reasons(&cells).lines().count(), 3);
    }
}
