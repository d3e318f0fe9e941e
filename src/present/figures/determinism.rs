//! The heat map of `determinism`: commit policies down, environments across, one block of rows per guest and mitigation.
//!
//! Every field says its outcome in words, so that the colours only help: green and blue for what is safe, orange and red
//! for what is not.

use super::canvas::{Align, Type};
use super::parts::{BODY, MARGIN, SMALL};
use super::{Figure, Numbers, WIDTH};
use crate::determinism::matrix::{environment, short};
use crate::determinism::process::is_shortage;
use crate::determinism::{Cell, Mitigation, Outcome, word};
use crate::present::palette::{Colour, GRID, INK, MUTED, OUTCOMES, PAPER};
use crate::prose::{distinct, printable};

const NAME: f64 = 300.0;
const ROW: f64 = 30.0;
const HEAD: f64 = 62.0;
const FIELD: Type = Type::new(17.0, INK);

const CAPTION: &str = "Each field is one process under one real limit. \"same\" is the state root of a host without limits; \
    DIVERGED completed with another one, which nobody notices; KILLED ended by a signal in a block, killed before \
    it; \"refused 78\" is an error in words before the first block.";

struct Block<'a> {
    title: String,
    rows: Vec<(&'a str, Vec<Option<&'a Cell>>)>,
}

/// The heat map of all cells of a report.
pub fn figure(cells: &[Cell]) -> Figure {
    let environments = distinct(cells.iter().map(environment));
    let blocks = blocks(cells, &environments);
    let subject = "The same block, other memory: is the same stored?";
    let numbers = numbers(&blocks, &environments);
    let mut figure = Figure::new("determinism", subject, &finding(cells), CAPTION, numbers);
    let canvas = &mut figure.canvas;
    let mut y = figure.top;
    let width = (f64::from(WIDTH) - NAME - MARGIN) / environments.len().max(1) as f64;
    let middle = |index: usize| NAME + width * (index as f64 + 0.5);
    for (index, (name, limit)) in environments.iter().enumerate() {
        canvas.text(&printable(name), middle(index), y + 16.0, SMALL.bold(), Align::Middle);
        canvas.text(limit, middle(index), y + 40.0, SMALL, Align::Middle);
    }
    y += HEAD;
    for block in &blocks {
        y += ROW * 0.2;
        canvas.text(&block.title, MARGIN, y + ROW / 2.0, BODY.bold(), Align::Left);
        y += ROW;
        for (policy, cells) in &block.rows {
            canvas.text(policy, MARGIN + 14.0, y + ROW / 2.0, BODY, Align::Left);
            for (index, cell) in cells.iter().enumerate() {
                let left = NAME + width * index as f64;
                let fill = cell.map_or(PAPER, colour);
                canvas.rect((left + 1.5, y + 1.5), (left + width - 1.5, y + ROW - 1.5), GRID);
                canvas.rect((left + 2.0, y + 2.0), (left + width - 2.0, y + ROW - 2.0), fill);
                if let Some(cell) = cell {
                    let ink = if cell.outcome == Outcome::NotRun { MUTED } else { INK };
                    let text = Type { colour: ink, ..FIELD };
                    canvas.text(short(cell), middle(index), y + ROW / 2.0, text, Align::Middle);
                }
            }
            y += ROW;
        }
    }
    let rows: usize = blocks.iter().map(|block| block.rows.len()).sum();
    let bottom = figure.top + HEAD + ROW * (rows as f64 + 1.2 * blocks.len() as f64);
    figure.ending(bottom + MARGIN)
}

/// The cells by guest and mitigation, a row per policy and in it a cell per environment.
fn blocks<'a>(cells: &'a [Cell], environments: &[(String, String)]) -> Vec<Block<'a>> {
    let blocks = distinct(cells.iter().map(|cell| (cell.guest, cell.mitigation)));
    let blocks = blocks.into_iter().map(|key| {
        let cells: Vec<&Cell> = cells.iter().filter(|cell| (cell.guest, cell.mitigation) == key).collect();
        let policies = distinct(cells.iter().map(|cell| cell.commit.as_str()));
        let rows = policies.into_iter().map(|policy| {
            let find = |place: &(String, String)| {
                cells.iter().copied().find(|cell| cell.commit == policy && environment(cell) == *place)
            };
            (policy, environments.iter().map(find).collect())
        });
        let mitigation = match key.1 {
            Mitigation::None => "no mitigation".to_owned(),
            other => format!("mitigation: {}", word(other)),
        };
        Block { title: format!("{}, {mitigation}", word(key.0)), rows: rows.collect() }
    });
    blocks.collect()
}

/// What the policies that are compared most make of it.
fn finding(cells: &[Cell]) -> String {
    let count = |policy: &str, outcome| {
        cells.iter().filter(|cell| cell.commit == policy && cell.outcome == outcome).count()
    };
    let lazy = |outcome| count("lazy", outcome);
    let canary: usize = [Outcome::Diverged, Outcome::KilledAtStartup, Outcome::KilledInBlock]
        .into_iter()
        .map(|outcome| count("canary", outcome))
        .sum();
    format!(
        "lazy diverged in {} cells and was killed in a block in {}; canary did either in {canary}",
        lazy(Outcome::Diverged),
        lazy(Outcome::KilledInBlock)
    )
}

/// Fill of a field; the words are there in any case.
fn colour(cell: &Cell) -> Colour {
    let [same, said, loud, killed, silent] = OUTCOMES;
    match cell.outcome {
        Outcome::Reference => same,
        Outcome::Refused if is_shortage(cell.exit_code) => said,
        Outcome::Refused | Outcome::Trapped => loud,
        Outcome::KilledAtStartup | Outcome::KilledInBlock => killed,
        Outcome::Diverged => silent,
        Outcome::NotRun => PAPER,
    }
}

fn numbers(blocks: &[Block], environments: &[(String, String)]) -> Numbers {
    let places: Vec<String> =
        environments.iter().map(|(name, limit)| format!("{name} {limit}").trim().to_owned()).collect();
    let head = ["guest and mitigation", "commit policy"].into_iter().chain(places.iter().map(String::as_str));
    let rows = blocks.iter().flat_map(|block| {
        block.rows.iter().map(|(policy, cells)| {
            let outcomes = cells.iter().map(|cell| cell.map_or("", short));
            [block.title.as_str(), *policy].into_iter().chain(outcomes).map(str::to_owned).collect()
        })
    });
    Numbers::new(&head.collect::<Vec<_>>(), rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::determinism::matrix::tests::cell;

    #[test]
    fn every_outcome_is_a_field_with_its_word() {
        let limit = Some(1 << 30);
        let cells = [
            cell("as-found", None, "lazy", Outcome::Reference),
            cell("cgroup-v1", limit, "lazy", Outcome::KilledInBlock),
            cell("rlimit-data", limit, "lazy", Outcome::Diverged),
            cell("cgroup-v1", limit, "canary", Outcome::Refused),
        ];
        let figure = figure(&cells);
        let svg = figure.svg();
        for word in
            ["same", "KILLED", "DIVERGED", "refused 78", "rlimit-data", "1 GiB", "allocate, no mitigation"]
        {
            assert!(svg.contains(word), "{word}");
        }
        assert!(figure.png().unwrap().starts_with(b"\x89PNG"));
        assert_eq!(figure.numbers.rows.len(), 2);
        assert!(figure.title.contains("lazy diverged in 1 cells"));
    }

    #[test]
    fn no_cells_are_drawn_as_nothing() {
        figure(&[]).png().unwrap();
    }
}
