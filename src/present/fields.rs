//! A table of fields that are text already: the first columns hold words, the others figures under a heading and a unit.

use super::table::{Grid, middle, wrap};
use crate::prose::printable;

/// A table for a terminal and for pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Names of the columns and their units.
    pub heads: Vec<(String, String)>,
    /// As many fields as there are heads; the first names the line.
    pub lines: Vec<Vec<String>>,
    /// How many of the columns, from the first, hold words.
    pub words: usize,
}

/// What stands above and below tables that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    pub title: String,
    /// What holds of all of it.
    pub about: String,
    /// What the tables come to, with backticks around names.
    pub sentences: Vec<String>,
}

/// Tables with their words, for a terminal of that width; names longer than `name` are cut in their middle.
pub fn text(words: &Words, tables: &[Table], width: usize, name: usize) -> String {
    let mut out = wrap(&printable(&words.title), width, "");
    out += &wrap(&printable(&words.about), width, "");
    for table in tables {
        out += &format!("\n{}", table.text(width, name));
    }
    out.push('\n');
    for sentence in &words.sentences {
        // The backticks are for pages.
        out += &wrap(&printable(&sentence.replace('`', "")), width, "  ");
    }
    out
}

/// What stands for a figure that is not there.
pub const ABSENT: &str = "-";

impl Table {
    /// For a terminal of that width; names longer than `name` are cut in their middle.
    pub fn text(&self, width: usize, name: usize) -> String {
        let mut lines: Vec<Vec<String>> = vec![
            self.heads.iter().map(|(name, _)| name.clone()).collect(),
            self.heads.iter().map(|(_, unit)| unit.clone()).collect(),
        ];
        lines.extend(self.lines.iter().map(|fields| [&[middle(&fields[0], name)], &fields[1..]].concat()));
        let wide = Grid::new(lines.clone(), self.words, 2);
        let grid = if wide.width() <= width { wide } else { Grid::new(lines, self.words, 1) };
        let mut lines: Vec<String> = grid.lines().map(|line| line.trim_end().to_owned()).collect();
        lines.insert(2, "-".repeat(grid.width()));
        lines.join("\n") + "\n"
    }
}
