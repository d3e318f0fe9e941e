//! The map in coarse fields, as a terminal and a picture show it.

use super::map::Map;
use super::sets;
use crate::protocol::pages::Run;

/// The map in coarse fields.
pub struct Grid {
    pub columns: usize,
    /// Pages of a field.
    pub per_column: u64,
    pub rows: Vec<Row>,
}

/// Blocks that follow one another.
pub struct Row {
    /// The number of the first, and behind the last.
    pub blocks: (usize, usize),
    /// Of each field, the share of its pages that are dirty, over these blocks.
    pub shares: Vec<f64>,
}

impl Grid {
    /// So many columns and rows at most. A field is a page at least, and a row a block.
    pub fn of(map: &Map, columns: usize, rows: usize) -> Self {
        let end = map.end().max(1);
        let per_column = end.div_ceil(columns as u64);
        let columns = usize::try_from(end.div_ceil(per_column)).unwrap_or(columns);
        let per_row = map.blocks.len().div_ceil(rows.max(1)).max(1);
        let rows = map.blocks.chunks(per_row).enumerate().map(|(index, blocks)| {
            let share = |column: usize| {
                let field = Run { first: column as u64 * per_column, pages: per_column };
                // The last field may go beyond the last page.
                let room = per_column.min(end - field.first) * blocks.len() as u64;
                let dirty: u64 = blocks.iter().map(|block| sets::common(&block.dirty, &[field])).sum();
                dirty as f64 / room as f64
            };
            let first = index * per_row;
            Row { blocks: (first, first + blocks.len()), shares: (0..columns).map(share).collect() }
        });
        Self { columns, per_column, rows: rows.collect() }
    }
}

impl Row {
    /// The numbers of its blocks.
    pub fn label(&self) -> String {
        match self.blocks {
            (first, end) if end == first + 1 => first.to_string(),
            (first, end) => format!("{first}-{}", end - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::map::tests::map;
    use super::*;

    #[test]
    fn fields_have_the_share_of_their_pages_that_is_dirty() {
        // Nine pages in fields of three, the last block's own; and rows of two blocks.
        let map = map("a/b", 16, &[&[(0, 2), (6, 3)], &[(0, 3)], &[(8, 1)]]);
        let grid = Grid::of(&map, 4, 2);
        assert_eq!((grid.columns, grid.per_column, grid.rows.len()), (3, 3, 2));
        assert_eq!(grid.rows[0].shares, [5.0 / 6.0, 0.0, 3.0 / 6.0]);
        assert_eq!(grid.rows[1].shares, [0.0, 0.0, 1.0 / 3.0]);
        assert_eq!((grid.rows[0].label(), grid.rows[1].label()), ("0-1".into(), "2".into()));
    }

    #[test]
    fn the_last_field_may_be_smaller() {
        let grid = Grid::of(&map("a/b", 16, &[&[(0, 7)]]), 3, 8);
        assert_eq!((grid.per_column, &grid.rows[0].shares[..]), (3, &[1.0, 1.0, 1.0][..]));
    }
}
