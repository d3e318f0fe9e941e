//! The map for a terminal: blocks down, page ranges across, each shaded by the share of it that is dirty.

use std::fmt::Write;

use super::grid::Grid;
use super::map::{Basis, Map, Spread};
use crate::present::table::{hanging, wrap};
use crate::prose::{percent, printable};
use crate::units::{bytes, several};

/// None of a field's pages, some, a quarter or more, half or more, and all.
const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];

/// Rows of the chart at most: with what is around it, it fits a terminal of 24 lines.
const ROWS: usize = 8;

/// What stands before a row: the numbers of its blocks.
const MARGIN: usize = 10;

/// The fewest and the most columns of a chart.
const WIDTHS: (usize, usize) = (8, 200);

impl Map {
    /// The map in so many columns and at most 24 lines.
    pub fn text(&self, columns: usize) -> String {
        let mut text = String::new();
        let title = format!("{}: {}", printable(&self.workload), self.finding());
        text += &wrap(&title, columns, "");
        let grid = Grid::of(self, columns.saturating_sub(MARGIN).clamp(WIDTHS.0, WIDTHS.1), ROWS);
        if self.end() > 0 {
            let _ = writeln!(text, "{:>MARGIN$}{}", "block ", self.marks(&grid));
            for row in &grid.rows {
                let line: String = row.shares.iter().map(|share| shade(*share)).collect();
                let _ = writeln!(text, "{:>8} │{}", row.label(), line.trim_end());
            }
            let [_, some, quarter, half, all] = SHADES;
            let legend = format!(
                "a column is {}; dirty: {some} some {quarter} a quarter {half} half {all} all",
                pages(grid.per_column, "page")
            );
            text += &hanging(&" ".repeat(MARGIN), &legend, columns);
        }
        for (name, value) in self.facts() {
            text += &hanging(&format!("  {name:<18} "), &value, columns);
        }
        text
    }

    /// What the map shows, in a line.
    pub(super) fn finding(&self) -> String {
        let figures = &self.figures;
        if self.blocks.is_empty() {
            return "no block".into();
        }
        if figures.footprint == 0 {
            return "no block dirties any page".into();
        }
        let pages = pages(figures.dirty_pages.p50, "dirty page");
        match figures.again.first() {
            Some(next) => {
                format!("{pages} per block; two in a row are {} alike", percent(rounded(next.similarity)))
            }
            None => format!("{pages} in the one block"),
        }
    }

    /// The figures, named.
    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        let figures = &self.figures;
        let mut facts = Vec::new();
        let mut fact = |name, value: String| facts.push((name, value));
        match self.basis {
            Basis::Written => {
                fact("written pages", spread(figures.dirty_pages, count));
                fact("of them differ", spread(figures.differing_pages, count));
            }
            Basis::Differing => fact("differing pages", spread(figures.dirty_pages, count)),
        }
        fact("bytes that differ", spread(figures.differing_bytes, bytes));
        fact("runs", spread(figures.runs, count));
        let often = figures.often;
        let shares = [
            ("in every block", often.always),
            ("in half or more", often.often),
            ("in fewer", often.seldom),
            ("in one", often.once),
        ];
        let shares = shares.into_iter().filter(|(_, share)| *share > 0.0);
        let shares = shares.map(|(name, share)| format!("{} {name}", percent(rounded(share))));
        fact("footprint", listed([pages(figures.footprint, "page")].into_iter().chain(shares)));
        let again = figures.again.iter();
        let again = again.map(|again| format!("{} at {}", percent(rounded(again.similarity)), again.lag));
        if !figures.again.is_empty() {
            fact("alike, by lag", listed(again));
            fact("motion", percent(rounded(figures.motion)));
        }
        let regions = self.by_region().into_iter().filter(|(_, pages)| *pages > 0);
        if figures.footprint > 0 {
            fact("where", listed(regions.map(|(region, pages)| format!("{} {pages}", region.name))));
        }
        fact("memory", format!("{}, image {}", bytes(self.memory_bytes), bytes(self.image_bytes)));
        if figures.growth_bytes.max > 0 {
            fact("growth", spread(figures.growth_bytes, bytes));
        }
        if let Some(missing) = &self.missing {
            fact("not known", format!("which pages were written: {}", printable(missing)));
        }
        if !self.is_settled {
            fact("not settled", "each trace dirties other pages; this is the last one".into());
        }
        facts
    }

    /// Where regions begin, by name: those whose columns have room for it, and the last one.
    fn marks(&self, grid: &Grid) -> String {
        let column = |page: u64| usize::try_from(page / grid.per_column).unwrap_or(usize::MAX);
        let drawn: Vec<_> =
            self.regions.iter().filter(|region| column(region.first) < grid.columns).collect();
        let mut line = String::new();
        let mut filled = 0;
        for (index, region) in drawn.iter().enumerate() {
            let (from, name) = (column(region.first), format!("╷{}", region.name));
            let room = drawn.get(index + 1).map_or(usize::MAX, |next| column(next.first) - from);
            if from < filled || name.chars().count() > room {
                continue;
            }
            line.extend(std::iter::repeat_n(' ', from - filled));
            line.push_str(&name);
            filled = from + name.chars().count();
        }
        line
    }
}

/// So many pages, in words.
pub(super) fn pages(count: u64, noun: &str) -> String {
    several(usize::try_from(count).unwrap_or(usize::MAX), noun)
}

fn count(value: u64) -> String {
    value.to_string()
}

fn spread(Spread { p50, p95, max }: Spread, write: fn(u64) -> String) -> String {
    format!("{} p50, {} p95, {} max", write(p50), write(p95), write(max))
}

fn listed(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

/// A share with three digits at most.
fn rounded(share: f64) -> f64 {
    (share * 1e3).round() / 1e3
}

fn shade(share: f64) -> char {
    match share {
        none if none <= 0.0 => SHADES[0],
        some if some < 0.25 => SHADES[1],
        half if half < 0.5 => SHADES[2],
        most if most < 1.0 => SHADES[3],
        _ => SHADES[4],
    }
}

#[cfg(test)]
mod tests {
    use super::super::map::tests::map;

    #[test]
    fn a_small_map_in_text() {
        let map =
            map("group/name", 64, &[&[(0, 1), (4, 1), (20, 20)], &[(0, 1), (21, 20)], &[(0, 1), (33, 1)]]);
        let expected = "\
group/name: 21 dirty pages per block; two in a row are 48.2 % alike
    block       ╷heap
       0 │█   █               ████████████████████
       1 │█                    ████████████████████
       2 │█                                █
          a column is 1 page; dirty: ░ some ▒ a quarter ▓ half █ all
  written pages      21 p50, 22 p95, 22 max
  of them differ     1 p50, 1 p95, 1 max
  bytes that differ  10 B p50, 10 B p95, 10 B max
  runs               2 p50, 3 p95, 3 max
  footprint          23 pages, 8.7 % in every block, 78.3 % in half or more,
                     13 % in one
  alike, by lag      48.2 % at 1, 9.1 % at 2
  motion             46.7 %
  where              stack 1, data 1, heap 21
  memory             256 KiB, image 8.00 KiB
";
        assert_eq!(map.text(80), expected, "\n{}", map.text(80));
    }

    #[test]
    fn it_fits_a_terminal_whatever_there_is() {
        let far = 1 << 40;
        let block: &[(u64, u64)] = &[(0, 1), (far, 3)];
        let blocks = vec![block; 1000];
        let text = map("group/name", far + 3, &blocks).text(80);
        assert!(text.lines().count() <= 24, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.contains("875-999 │░"), "{text}");
    }

    #[test]
    fn nothing_to_draw_is_said() {
        assert!(map("a/b", 16, &[]).text(80).starts_with("a/b: no block\n"));
        let text = map("a/b", 16, &[&[], &[]]).text(80);
        assert!(text.starts_with("a/b: no block dirties any page\n") && !text.contains('│'), "{text}");
    }
}
