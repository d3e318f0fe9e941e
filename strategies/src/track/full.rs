//! No tracking: every page of the current size counts as dirty.

use std::io;
use std::ops::Range;

use super::Tracker;
use crate::block::Reset;
use crate::in_place::Image;
use crate::in_place::region::Pages;

/// Reports the whole memory.
#[derive(Debug)]
pub struct Full;

impl Tracker for Full {
    fn dirty(
        &mut self,
        pages: &Pages<'_>,
        _: &Image,
        runs: &mut Vec<Range<usize>>,
        _: &mut Reset,
    ) -> io::Result<()> {
        runs.push(0..pages.size());
        Ok(())
    }
}
