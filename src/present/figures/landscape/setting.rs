//! The places of a landscape, sorted into settings and curves.

use crate::analyse::crossover::{ALONG, Crossover, Landscape, slice_params};
use crate::analyse::summary::Summary;
use crate::measure::row::Params;
use crate::present::view::{Group, Shown};
use crate::units::ns;
use crate::workload::landscape::describe;

/// Parameters that say where dirty pages lie and whether they move.
const PATTERN: [&str; 2] = ["shape", "motion"];

/// A workload with everything the same but the dirty pages: how many they are, where they lie, whether they move.
#[derive(Clone, Debug)]
pub struct Setting<'a> {
    /// `stress/touch`, or `stress/touch, image of 1 MiB`.
    pub title: String,
    /// By their patterns, in the order of the landscape's slices.
    pub curves: Vec<Curve<'a>>,
}

/// One pattern over the number of dirty pages.
#[derive(Clone, Debug)]
pub struct Curve<'a> {
    /// `random, rotating`.
    pub pattern: String,
    /// All that its places have in common.
    pub params: &'a Params,
    /// By rising number of dirty pages.
    pub places: Vec<(u64, Group<'a>)>,
    /// Where the best strategy changes for certain.
    pub crossovers: Vec<&'a Crossover>,
}

impl<'a> Curve<'a> {
    /// Each place with what tables say of its winner first: pattern, dirty pages, best, its median cycle, next best.
    pub fn winners(&self) -> impl Iterator<Item = ([String; 5], &Group<'a>)> {
        self.places.iter().filter_map(|(dirty, group)| {
            let best = group.best()?;
            let row = [
                self.pattern.clone(),
                dirty.to_string(),
                best.name().into(),
                best.cycle().map_or("-".into(), |q| ns(q.p50)),
                group.next().map_or("-".into(), |cell| cell.name().into()),
            ];
            Some((row, group))
        })
    }
}

/// The settings of a landscape, those closest to the usual one first.
pub fn settings<'a>(summary: &'a Summary, landscape: &'a Landscape) -> Vec<Setting<'a>> {
    let groups = Group::all(summary);
    let mut settings: Vec<Setting> = Vec::new();
    for slice in &landscape.slices {
        let part = |inside: bool| -> Params {
            let params = slice.params.iter().filter(|(name, _)| PATTERN.contains(&name.as_str()) == inside);
            params.map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        let unusual = describe(&part(false));
        let title = if unusual.is_empty() {
            slice.workload.clone()
        } else {
            format!("{}, {unusual}", slice.workload)
        };
        let here =
            |group: &&Group| group.workload == slice.workload && slice_params(group.params) == slice.params;
        let place = |group: &Group<'a>| Some((group.params.get(ALONG)?.as_u64()?, group.clone()));
        let mut places: Vec<(u64, Group)> = groups.iter().filter(here).filter_map(place).collect();
        places.retain(|(_, group)| group.best().is_some());
        places.sort_by_key(|(dirty, _)| *dirty);
        if places.is_empty() {
            continue;
        }
        let best: Vec<&str> = places.iter().filter_map(|(_, group)| group.best().map(Shown::name)).collect();
        let taken_over =
            |c: &&Crossover| best.windows(2).any(|pair| pair[0] == c.before && pair[1] == c.after);
        let curve = Curve {
            pattern: describe(&part(true)),
            params: &slice.params,
            crossovers: slice.crossovers.iter().filter(taken_over).collect(),
            places,
        };
        match settings.iter_mut().find(|setting| setting.title == title) {
            Some(setting) => setting.curves.push(curve),
            None => settings.push(Setting { title, curves: vec![curve] }),
        }
    }
    settings.sort_by_key(|setting| (setting.title.matches(',').count(), setting.title.clone()));
    settings
}

/// A number of dirty pages, in words.
pub fn pages(dirty: u64) -> String {
    if dirty == 1 { "1 dirty page".into() } else { format!("{dirty} dirty pages") }
}
