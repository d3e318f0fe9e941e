//! Files of stacks: folded, drawn, and for the profiler of Firefox.

use std::path::Path;

use anyhow::Result;

use super::appendix::page;
use super::bench::{Of, Profiled, Taken};
use super::dirty::{Map, Theme};
use super::draw::{self, Timeline, Whose};
use super::folded::Folded;
use super::report::Report;
use crate::files;
use crate::present::view::slug;
use crate::prose::printable;

/// Writes them into a folder.
pub struct Files<'a> {
    pub folder: &'a Path,
    /// Samples in a second of CPU time.
    pub frequency: u32,
}

impl Files<'_> {
    /// Draws the pages of a workload, for a light page and for a dark one.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn draw(&self, map: &Map) -> Result<()> {
        let name = slug(&map.workload);
        for (theme, ending) in [(Theme::Light, "svg"), (Theme::Dark, "dark.svg")] {
            files::write(&self.folder.join(format!("dirty-map-{name}.{ending}")), map.svg(theme))?;
        }
        Ok(())
    }

    /// Writes `report.html`, a page of the whole profile.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn page(&self, report: &Report) -> Result<()> {
        files::write(&self.folder.join("report.html"), page(report))
    }

    /// Writes the stacks of a cell and its pictures, and how they differ from those of the first cell of its workload that has
    /// any, which is noted. Their names become part of the profile.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&self, profiled: &mut Profiled, first: &mut Option<(String, Folded)>) -> Result<()> {
        let Profiled { cell, stacks: Some(taken) } = profiled else { return Ok(()) };
        let Some(profile) = &mut cell.profile else { return Ok(()) };
        let title = format!("{} on {}", printable(&cell.strategy), printable(&cell.workload));
        let name = file_name(&cell.workload, &cell.strategy);
        let Taken { folded, sampled } = taken;
        if folded.samples() == 0 {
            return Ok(());
        }
        let mut put = |path: String, content: &[u8]| {
            let to = self.folder.join(&path);
            to.parent().map_or(Ok(()), files::make_folder)?;
            files::write(&to, content)?;
            profile.files.push(path);
            Ok::<_, anyhow::Error>(())
        };
        put(format!("folded/{name}.txt"), folded.text().as_bytes())?;
        put(format!("flame/{name}.svg"), &draw::flame(folded, &title)?)?;
        if let Some(Of { pid, samples, symbols }) = sampled {
            let mut timeline = Timeline::new(&title, *pid, self.frequency);
            timeline.add(samples, symbols);
            let mut json = Vec::new();
            timeline.write(&mut json)?;
            put(format!("{name}.profile.json"), &json)?;
        }
        match first {
            None => *first = Some((cell.strategy.clone(), std::mem::take(folded))),
            Some((strategy, first)) => {
                for (of, from, to) in
                    [(Whose::Second, &*strategy, &cell.strategy), (Whose::First, &cell.strategy, &*strategy)]
                {
                    let title = format!(
                        "{} on {}: {} against {}",
                        printable(to),
                        printable(&cell.workload),
                        printable(&cell.strategy),
                        printable(strategy)
                    );
                    let name = file_name(&cell.workload, &format!("{from}-{to}"));
                    let picture = draw::difference(first, folded, of, &title)?;
                    put(format!("flame/diff-{}.svg", name), &picture)?;
                }
            }
        }
        Ok(())
    }
}

/// What files of a cell are called.
fn file_name(workload: &str, strategy: &str) -> String {
    slug(&format!("{workload}.{strategy}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_names_of_files() {
        assert_eq!(file_name("indexer/lru", "fresh/relink"), "indexer-lru.fresh-relink");
        assert_eq!(file_name("../a b", "x\u{1b}"), "a-b.x");
    }
}
