//! A profile as a section of a run's report, and as a page of its own.

use super::bars;
use super::group::Group;
use super::report::Report;
use crate::present::appendix::{Appendix, Part, Topic};
use crate::present::html;
use crate::present::palette::Palette;

/// The folder of a profile beside a run, which the run's report then shows.
pub const FOLDER: &str = "profile";

impl Appendix for Report {
    fn strategies(&self) -> Vec<&str> {
        self.cells.iter().map(|cell| cell.strategy.as_str()).collect()
    }

    fn topic(&self, palette: &Palette) -> Topic {
        let named = bars::named(self);
        let part = |group: &Group| {
            let map = group.entry().map(|entry| entry.map.figure());
            Part {
                title: group.title().into(),
                slug: group.slug(),
                figures: [bars::figure(group, &named, palette), map].into_iter().flatten().collect(),
                sentences: group.sentences(),
                links: group.links(),
                facts: group.facts(),
            }
        };
        let interrupted =
            self.interrupted.then(|| "It was interrupted: this is what it had until then.".into());
        Topic {
            id: "profile",
            title: "Where a block's time and pages go",
            folder: FOLDER,
            about: format!(
                "Profiled by `{}` with resetbench {} and wasmtime {}, {}. On {}. Times are means of one process for each \
                 strategy, and not to be set against those of a run.",
                self.command.replace('`', "'"),
                self.version,
                self.wasmtime,
                self.host.sentence(),
                self.machine.sentence()
            ),
            warnings: interrupted.into_iter().chain(self.notes.iter().cloned()).collect(),
            parts: Group::all(self).iter().map(part).collect(),
        }
    }
}

/// The page of a profile alone, which lies in its folder.
pub fn page(report: &Report) -> String {
    html::appendix_page(&report.topic(&Palette::new(report.strategies())))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::analyse::summary::Equivalence;
    use crate::hosts;
    use crate::machine::Machine;
    use crate::profile::dirty::map::tests::map;
    use crate::profile::fingerprint::Fingerprint;
    use crate::profile::fingerprint::report::Entry;
    use crate::profile::folded::Folded;
    use crate::profile::report::{Cell, Profile, SCHEMA, Samples};

    /// A strategy whose blocks take so many microseconds, with its stacks and its files.
    fn cell(strategy: &str, (execute_us, reset_us): (u32, u32), stacks: &str, files: &[&str]) -> Cell {
        let samples = Samples { overhead: Some(1.012), ..Samples::default() };
        let times = (f64::from(execute_us) * 1e3, f64::from(reset_us) * 1e3);
        let mut profile = Profile::sampled(&Folded::parse(stacks), samples, 4_242, times.0, times.1);
        profile.files = files.iter().map(|file| (*file).into()).collect();
        Cell {
            workload: "indexer/<lru>".into(),
            strategy: strategy.into(),
            planted: None,
            equivalence: Equivalence::Equivalent,
            reason: None,
            profile: Some(profile),
        }
    }

    /// Two strategies and a control on one workload, of which a third strategy has no profile; and the pages of another workload.
    pub fn report() -> Report {
        let fresh = "execute;run_[j] 400\nexecute;exc_page_fault_[k];do_anonymous_page_[k] 300\n\
                     reset;munmap;__x64_sys_munmap_[k] 200\nreset;wasmtime::runtime::instance::x 100\n";
        let in_place = "execute;run_[j] 700\nreset;reset_strategies::restore;__memset 250\n\
                        reset;reset_strategies::x;pagemap_read_[k] 40\nreset;rwsem_x_[k] 10\n";
        let mut failed = cell("remap/madvise", (0, 0), "", &[]);
        failed.profile = None;
        failed.reason = Some("the <child> ended".into());
        let page = |name: &str| {
            let map = map(name, 64, &[&[(0, 1), (8, 8)], &[(0, 1)]]);
            let fingerprint = Fingerprint::of(&map, &[]);
            Entry {
                map,
                fingerprint,
                execute_ns: 40_000,
                predicted_on: None,
                prediction: None,
                resembles: None,
                held: None,
            }
        };
        Report {
            schema: SCHEMA,
            command: "resetbench profile -w 'indexer/<lru>'".into(),
            version: "0.0.0".into(),
            executable_sha256: None,
            wasmtime: "48.0.8".into(),
            host: hosts::plain().clone(),
            machine: Machine::read(),
            frequency_hz: 1_999,
            interrupted: false,
            notes: vec!["functions of the kernel have no names here: `sysctl kernel.kptr_restrict=0`".into()],
            pages: vec![page("indexer/<lru>"), page("stress/touch")],
            cells: vec![
                cell("control/oracle", (41, 12), in_place, &[]),
                cell(
                    "fresh/relink",
                    (80, 30),
                    fresh,
                    &[
                        "flame/lru.fresh-relink.svg",
                        "folded/lru.txt",
                        "javascript:alert(1)",
                        "../up.svg",
                        "/etc/x",
                    ],
                ),
                failed,
                cell(
                    "adaptive/hot-cold",
                    (42, 15),
                    in_place,
                    &[
                        "flame/lru.svg",
                        "flame/diff-lru.fresh-relink-adaptive-hot-cold.svg",
                        "flame/diff-lru.adaptive-hot-cold-fresh-relink.svg",
                        "lru.profile.json",
                    ],
                ),
            ],
        }
    }
}
