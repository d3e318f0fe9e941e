//! The map as a picture: blocks down, pages across, each field in a shade of the share of it that is dirty.

use super::grid::{Grid, Row};
use super::map::Map;
use super::text::pages;
use crate::present::figures::canvas::{Align, Canvas};
use crate::present::figures::parts::{MARGIN, SMALL};
use crate::present::figures::text::wrap;
use crate::present::figures::{Figure, Numbers, WIDTH};
use crate::present::palette::{Colour, GRID, PAPER, SHARES, dark_rules};
use crate::units::bytes;

/// Where the numbers of blocks end, and the fields begin.
const LEFT: f64 = 130.0;

/// Fields across and down at most: three units each at least.
const COLUMNS: usize = 256;
const ROWS: usize = 64;

/// Heights of a row, few blocks having higher ones.
const HEIGHTS: (f64, f64) = (6.0, 34.0);

/// Height of all rows, as far as their own height allows.
const HEIGHT: f64 = 400.0;

/// Height of the line of regions, and of that of pages.
const LINE: f64 = 28.0;

const CAPTION: &str = "Each row is a block, or several that follow one another, and each field a range of pages. The darker it \
    is, the larger the share of its pages that is dirty when the block ends. Lines mark where the parts of the memory begin.";

/// On what the picture is to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// On white, as in files that are pictures.
    Light,
    /// On a dark page.
    Dark,
}

impl Map {
    /// The map as SVG.
    pub fn svg(&self, theme: Theme) -> String {
        let svg = self.figure().svg();
        match (theme, svg.split_once('\n')) {
            (Theme::Dark, Some((head, rest))) => format!("{head}\n<style>\n{}</style>\n{rest}", dark_rules()),
            _ => svg,
        }
    }

    /// The map as a figure of a report.
    pub fn figure(&self) -> Figure {
        let subject = format!("{}: which pages each block dirties", self.workload);
        let mut figure = Figure::new("dirty-map", &subject, &self.finding(), CAPTION, self.numbers());
        let grid = Grid::of(self, COLUMNS, ROWS);
        let right = f64::from(WIDTH) - MARGIN;
        let width = (right - LEFT) / grid.columns as f64;
        let height = (HEIGHT / grid.rows.len().max(1) as f64).clamp(HEIGHTS.0, HEIGHTS.1);
        let top = figure.top + LINE;
        let bottom = top + height * grid.rows.len() as f64;
        let canvas = &mut figure.canvas;
        for (index, row) in grid.rows.iter().enumerate() {
            let y = top + height * index as f64;
            draw(canvas, row, (LEFT, y), (width, height));
            // A number for each row as far as there is room.
            let every = (20.0 / height).ceil() as usize;
            if index.is_multiple_of(every) {
                canvas.text(&row.label(), LEFT - 10.0, y + height / 2.0, SMALL, Align::Right);
            }
        }
        let at = |page: u64| LEFT + width * (page as f64 / grid.per_column as f64);
        let drawn: Vec<_> = self.regions.iter().filter(|region| at(region.first) < right).collect();
        for (index, region) in drawn.iter().enumerate() {
            let x = at(region.first);
            canvas.line((x, top - 4.0), (x, bottom + 4.0), GRID, 1.5);
            // Names of parts that are too small for them would run into the next.
            let end = drawn.get(index + 1).map_or(right, |next| at(next.first));
            if x + SMALL.face().width(&region.name) + 6.0 <= end {
                canvas.text(&region.name, x + 3.0, top - 16.0, SMALL, Align::Left);
            }
        }
        let field = bytes(grid.per_column.saturating_mul(self.page_bytes));
        let scale = format!("a field is {}, {field}; dirty:", pages(grid.per_column, "page"));
        canvas.text(&scale, LEFT, bottom + LINE, SMALL, Align::Left);
        let mut x = LEFT + SMALL.face().width(&scale) + 14.0;
        for (colour, word) in SHARES.into_iter().zip(["some", "a quarter", "half", "three quarters", "all"]) {
            canvas.rect((x, bottom + LINE - 8.0), (x + 22.0, bottom + LINE + 8.0), colour);
            canvas.text(word, x + 28.0, bottom + LINE, SMALL, Align::Left);
            x += 28.0 + SMALL.face().width(word) + 18.0;
        }
        let facts = self.facts().into_iter().map(|(name, value)| format!("{name}: {value}"));
        let room = f64::from(WIDTH) - 2.0 * MARGIN;
        let facts: Vec<_> = facts.flat_map(|fact| wrap(&fact, SMALL.face(), room)).collect();
        figure.noting(&facts, bottom + 2.0 * LINE, 0.0)
    }

    /// The figures of each block, for those who cannot see the picture.
    fn numbers(&self) -> Numbers {
        let head = ["block", "dirty pages", "runs", "pages that differ", "bytes that differ", "growth"];
        let rows = self.blocks.iter().enumerate().map(|(index, block)| {
            let pages: u64 = block.dirty.iter().map(|run| run.pages).sum();
            let figures = [
                index as u64,
                pages,
                block.dirty.len() as u64,
                block.differing_pages,
                block.differing_bytes,
                block.after.saturating_sub(block.before),
            ];
            figures.map(|figure| figure.to_string()).into()
        });
        Numbers::new(&head, rows)
    }
}

/// Draws the fields of a row, those of one shade that meet in one piece.
fn draw(canvas: &mut Canvas, row: &Row, (x, y): (f64, f64), (width, height): (f64, f64)) {
    let colours: Vec<Colour> = row.shares.iter().map(|share| colour(*share)).collect();
    let mut column = 0;
    for piece in colours.chunk_by(PartialEq::eq) {
        let from = x + width * column as f64;
        column += piece.len();
        if piece[0] != PAPER {
            canvas.rect((from, y), (x + width * column as f64, y + height), piece[0]);
        }
    }
}

fn colour(share: f64) -> Colour {
    match share {
        none if none <= 0.0 => PAPER,
        some if some < 0.25 => SHARES[0],
        quarter if quarter < 0.5 => SHARES[1],
        half if half < 0.75 => SHARES[2],
        most if most < 1.0 => SHARES[3],
        _ => SHARES[4],
    }
}

#[cfg(test)]
mod tests {
    use super::super::map::tests::map;
    use super::*;

    #[test]
    fn the_picture_has_a_field_for_each_dirty_range_its_parts_and_its_finding() {
        let map = map("group/<name>", 64, &[&[(0, 1), (8, 8)], &[(0, 1)]]);
        let svg = map.svg(Theme::Light);
        let xml = roxmltree::Document::parse(&svg).unwrap();
        let root = xml.root_element();
        assert_eq!(root.attribute("role"), Some("img"));
        let label = root.attribute("aria-label").unwrap();
        assert!(label.starts_with("group/<name>: ") && label.contains("1 dirty page per block"), "{label}");
        let full = root.descendants().filter(|node| node.attribute("fill") == Some(&SHARES[4].hex())).count();
        // Page 0 of both blocks, the eight pages of the first, and the legend.
        assert_eq!(full, 3 + 1);
        for word in ["stack", "data", "heap", "a field is 1 page"] {
            assert!(svg.contains(word), "{word}");
        }
        assert_eq!(map.figure().numbers.rows[0][..3], ["0", "9", "2"]);
        assert!(map.figure().png().unwrap().starts_with(b"\x89PNG"));
    }

    #[test]
    fn a_part_that_is_too_small_for_its_name_has_a_line_alone() {
        let svg = map("a/b", 64, &[&[(0, 1), (60, 1)]]).svg(Theme::Light);
        let named = ["stack", "data", "heap"].map(|name| svg.contains(&format!(">\n{name}\n<")));
        assert_eq!(named, [true, false, true]);
        assert_eq!(svg.matches("<polyline").count(), 3);
    }

    #[test]
    fn the_dark_form_swaps_every_colour_of_the_light_one() {
        let map = map("a/b", 64, &[&[(0, 1), (8, 8)]]);
        let (light, dark) = (map.svg(Theme::Light), map.svg(Theme::Dark));
        let xml = roxmltree::Document::parse(&light).unwrap();
        for fill in xml.descendants().filter_map(|node| node.attribute("fill")).filter(|fill| *fill != "none")
        {
            assert!(dark.contains(&format!("[fill=\"{fill}\"]")), "{fill}");
        }
        assert!(roxmltree::Document::parse(&dark).is_ok());
    }

    #[test]
    fn no_block_is_drawn_as_nothing() {
        assert!(map("a/b", 16, &[]).figure().png().unwrap().starts_with(b"\x89PNG"));
    }
}
