//! A profile as pages show it: per workload its map of pages, its fingerprint, the shares of its strategies, and links to the
//! files of stacks.

use reset_strategies::{Strategy, registry};

use super::fingerprint::report::Entry;
use super::report::{Basis, Cell, Profile, Report};
use super::table::{based, difference};
use crate::present::appendix::Link;
use crate::present::view::slug;

/// What is known of one workload.
pub struct Group<'a> {
    report: &'a Report,
    workload: &'a str,
    entry: Option<&'a Entry>,
    /// Contenders, then controls, each as they were asked for.
    cells: Vec<&'a Cell>,
}

/// Strategies that were profiled, with their figures.
pub type Profiles<'a> = Vec<(&'a Cell, &'a Profile)>;

impl<'a> Group<'a> {
    /// All workloads, as they were profiled.
    pub fn all(report: &'a Report) -> Vec<Self> {
        let entries = report.pages.iter().map(|entry| entry.map.workload.as_str());
        let mut names: Vec<&str> = Vec::new();
        for name in entries.chain(report.cells.iter().map(|cell| cell.workload.as_str())) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let group = |workload| {
            let mut cells: Vec<&Cell> =
                report.cells.iter().filter(|cell| cell.workload == workload).collect();
            cells.sort_by_key(|cell| is_control(cell));
            let entry = report.pages.iter().find(|entry| entry.map.workload == workload);
            Self { report, workload, entry, cells }
        };
        names.into_iter().map(group).collect()
    }

    /// The workload.
    pub fn title(&self) -> &'a str {
        self.workload
    }

    /// Its part of the names of files.
    pub fn slug(&self) -> String {
        slug(self.workload)
    }

    /// Its pages.
    pub fn entry(&self) -> Option<&'a Entry> {
        self.entry
    }

    /// Strategies that have a profile, controls last.
    pub fn profiles(&self) -> Profiles<'a> {
        self.cells.iter().filter_map(|cell| Some((*cell, cell.profile.as_ref()?))).collect()
    }

    /// How many of these are controls.
    pub fn controls(&self) -> usize {
        self.profiles().iter().filter(|(cell, _)| is_control(cell)).count()
    }

    /// What a figure must not hide: who has no profile, and whose is no result, or none of samples.
    pub fn caveats(&self) -> Vec<String> {
        let of = |cell: &&Cell| {
            let name = &cell.strategy;
            let planted =
                cell.planted.map(|_| format!("{name} was made worse on purpose: this is no result."));
            let reason = cell.reason.as_ref().map(|reason| format!("{name} has no profile: {reason}."));
            let is_estimate =
                cell.profile.as_ref().is_some_and(|profile| matches!(profile.basis, Basis::Counts { .. }));
            let estimate = is_estimate.then(|| format!("{name}: not sampled, but estimated from counts."));
            [planted, reason, estimate].into_iter().flatten().collect::<Vec<_>>()
        };
        self.cells.iter().flat_map(of).collect()
    }

    /// What each strategy's shares rest on, and by what it differs from the first; with backticks around names.
    pub fn sentences(&self) -> Vec<String> {
        let of = |(cell, profile): (&Cell, &Profile)| {
            let differs =
                difference(&self.report.cells, cell).map(|text| text.replacen("against", " Against", 1));
            format!("`{}`: {}.{}", cell.strategy, based(profile), differs.unwrap_or_default())
        };
        // Also where nothing was profiled, so that there is no figure to say it.
        self.profiles().into_iter().map(of).chain(self.caveats()).collect()
    }

    /// Fingerprint and prediction, as names and values.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        self.entry.map(|entry| [entry.fingerprint.rows(), entry.rows()].concat()).unwrap_or_default()
    }

    /// Files of stacks, by strategy.
    pub fn links(&self) -> Vec<(String, Vec<Link>)> {
        let profiles = self.profiles();
        // Whose stacks the others' are compared with.
        let has_files = |cell: &&Cell| cell.profile.as_ref().is_some_and(|profile| !profile.files.is_empty());
        let mut cells = self.report.cells.iter().filter(|cell| cell.workload == self.workload);
        let first = cells.find(has_files);
        let first = first.map_or("", |cell| cell.strategy.as_str());
        let links = |(cell, profile): (&'a Cell, &Profile)| {
            let links = profile.files.iter().filter_map(|path| link(path, &cell.strategy, first));
            (cell.strategy.clone(), links.collect())
        };
        let all = profiles.iter().copied().map(links);
        all.filter(|(_, links): &(String, Vec<Link>)| !links.is_empty()).collect()
    }
}

fn is_control(cell: &Cell) -> bool {
    registry::find(&cell.strategy).is_some_and(Strategy::is_control)
}

/// A file that `profile` writes of a strategy, which is compared with the first; nothing else, since a page may be made of
/// somebody else's files.
fn link(path: &str, strategy: &str, first: &str) -> Option<Link> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    if !path.chars().all(plain) || path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return None;
    }
    let what = match path.split_once('/') {
        Some(("flame", name)) if !name.starts_with("diff-") => "flame graph".into(),
        Some(("flame", name)) if name.ends_with(&format!("-{}.svg", slug(strategy))) => {
            format!("coloured by what differs from {first}")
        }
        Some(("flame", _)) => format!("{first} coloured so"),
        Some(("folded", _)) => "folded stacks".into(),
        None if path.ends_with(".profile.json") => "for profiler.firefox.com".into(),
        _ => return None,
    };
    Some(Link { path: path.into(), what })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::appendix::tests::report;

    #[test]
    fn a_workload_has_its_strategies_with_controls_last_and_says_who_has_no_profile() {
        let report = report();
        let groups = Group::all(&report);
        assert_eq!(groups.iter().map(Group::title).collect::<Vec<_>>(), ["indexer/<lru>", "stress/touch"]);
        let names: Vec<_> = groups[0].profiles().iter().map(|(cell, _)| cell.strategy.clone()).collect();
        assert_eq!(names, ["fresh/relink", "adaptive/hot-cold", "control/oracle"]);
        assert_eq!((groups[0].controls(), groups[1].controls()), (1, 0));
        assert_eq!(groups[0].caveats(), ["remap/madvise has no profile: the <child> ended."]);
        assert_eq!(groups[0].sentences().last(), groups[0].caveats().last());
        assert!(groups[0].sentences()[0].starts_with("`fresh/relink`: 1000 samples of 4242 blocks"));
        assert!(groups[1].profiles().is_empty() && !groups[1].facts().is_empty());
    }

    #[test]
    fn links_lead_to_files_of_the_profile_alone() {
        let report = report();
        let links = Group::all(&report)[0].links();
        let told: Vec<_> = links
            .iter()
            .flat_map(|(strategy, links)| {
                links.iter().map(move |link| (&**strategy, &*link.path, &*link.what))
            })
            .collect();
        assert_eq!(
            told,
            [
                ("fresh/relink", "flame/lru.fresh-relink.svg", "flame graph"),
                ("fresh/relink", "folded/lru.txt", "folded stacks"),
                ("adaptive/hot-cold", "flame/lru.svg", "flame graph"),
                (
                    "adaptive/hot-cold",
                    "flame/diff-lru.fresh-relink-adaptive-hot-cold.svg",
                    "coloured by what differs from fresh/relink"
                ),
                (
                    "adaptive/hot-cold",
                    "flame/diff-lru.adaptive-hot-cold-fresh-relink.svg",
                    "fresh/relink coloured so"
                ),
                ("adaptive/hot-cold", "lru.profile.json", "for profiler.firefox.com"),
            ]
        );
    }
}
