//! What the nearest places of the landscape predict for a module.
//!
//! A cycle is the guest's own time, measured on the module, and what the strategy takes beyond it. Of that, one part is
//! there with no page dirty, and is read off the place where none is. The other comes with what the strategy goes by: a
//! cost for each dirty page, each page of the footprint, or each MiB of memory. It is the mean over the nearest places, the
//! nearer counting for more, of the logarithms, since costs differ by decades.
//!
//! A module that grows its memory is predicted as if it did not, and what growth takes is added ([`Growth`]).
//!
//! Where a strategy leaves no page behind, its cost is that of faults, and these are counted on the module, too: the guest of
//! the landscape reads each page before it writes, and so takes two where most modules take one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::growth::Growth;
use super::measured::Place;
use super::{Fingerprint, STACK};

/// How many places are asked.
pub const NEAREST: usize = 3;

/// What the cost of a strategy grows with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Driver {
    /// The pages that the block has dirtied.
    Dirty,
    /// The pages that any block has: it keeps all of them, cannot tell them from those that were written just now, and restores
    /// each.
    Footprint,
    /// The whole memory, which it writes at each reset.
    Memory,
}

/// What strategies go by that do not go by the dirty pages of each block. Of several, by the one that comes out cheaper.
const DRIVERS: [(&str, &[Driver]); 6] = [
    ("copy/full", &[Driver::Memory]),
    ("fresh/pooling-resident", &[Driver::Memory]),
    ("dirty/pagemap", &[Driver::Footprint]),
    ("dirty/pagemap-scan", &[Driver::Footprint]),
    // It restores pages without being asked, or finds them by their faults, as it has learnt to pay.
    ("adaptive/hot-cold", &[Driver::Footprint, Driver::Dirty]),
    ("adaptive/hot-cold-checked", &[Driver::Footprint, Driver::Dirty]),
];

/// Strategies whose cost grows with the memory even where no page is dirty, since they write all of it or ask for the state of
/// every page; and those that take as much as they do apart from that: the same pool, and a single system call.
const APART: [(&str, &str); 3] = [
    ("fresh/pooling-resident", "fresh/pooling"),
    ("dirty/mincore", "dirty/pagemap-scan"),
    ("dirty/pagemap", "dirty/pagemap-scan"),
];

/// So that a place at no distance at all does not count for infinitely much: an eighth of a doubling, squared.
const NEAR: f64 = 1.0 / 64.0;

/// A place that was asked.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Neighbour {
    /// What it is called in the landscape.
    pub place: String,
    /// In doublings of the number of pages (see [`Fingerprint::distance`]).
    pub distance: f64,
    /// Its share of the prediction.
    pub weight: f64,
}

/// What is predicted.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Prediction {
    /// The places that it rests on, the nearest first.
    pub neighbours: Vec<Neighbour>,
    /// Strategies from the shortest predicted cycle on.
    pub ranking: Vec<Predicted>,
    /// Whether the landscape has places that grow, so that what growth takes is part of it.
    #[serde(default)]
    pub knows_growth: bool,
}

/// What is predicted of a strategy.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Predicted {
    pub strategy: String,
    /// What it takes beyond the guest's own time, in nanoseconds per block.
    pub overhead_ns: f64,
    /// That and the guest's own time.
    pub cycle_ns: f64,
}

/// Predicts the cycles of a module whose blocks execute for so long by themselves.
pub fn predict(module: &Fingerprint, execute_ns: u64, places: &[Place]) -> Prediction {
    let growth = Growth::of(places);
    let still = &growth.map_or(*module, |_| module.without_growth());
    let at_rest = places.iter().filter(|place| place.fingerprint.grows == 0.0);
    let (bases, mut places): (Vec<&Place>, Vec<&Place>) =
        at_rest.partition(|place| place.fingerprint.dirty <= STACK);
    places.sort_by(|a, b| distance(still, a).total_cmp(&distance(still, b)));
    places.truncate(NEAREST);
    let base = bases.into_iter().min_by(|a, b| distance(still, a).total_cmp(&distance(still, b)));
    let weights: Vec<f64> =
        places.iter().map(|place| 1.0 / (distance(still, place).powi(2) + NEAR)).collect();
    let all: f64 = weights.iter().sum();
    let neighbours = places.iter().zip(&weights).map(|(place, weight)| Neighbour {
        place: place.name(),
        distance: distance(still, place),
        weight: weight / all,
    });
    let known = places.first().into_iter().flat_map(|place| place.measured.strategies.keys());
    let ranking = known.filter_map(|name| {
        let by = Driver::of(name).iter().filter_map(|driver| {
            let fixed =
                |of: &Fingerprint| base.map_or(Some(0.0), |base| fixed(base, name, *driver, of.memory_mib));
            let mut logarithm = 0.0;
            for (place, weight) in places.iter().zip(&weights) {
                let (there, cost) = (&place.fingerprint, place.measured.strategies.get(name)?);
                let each = (cost.overhead_ns? as f64 - fixed(there)?) / driver.size(there);
                let each = each * place.faults_as_of(module, cost.faults / there.dirty);
                // Less than a nanosecond is noise.
                logarithm += weight / all * each.max(1.0).ln();
            }
            Some(fixed(still)? + logarithm.exp() * driver.size(still))
        });
        let growing = growth.map_or(Some(0.0), |growth| growth.overhead_ns(name, module));
        let overhead_ns = by.min_by(f64::total_cmp)? + growing?;
        Some(Predicted { strategy: name.clone(), overhead_ns, cycle_ns: overhead_ns + execute_ns as f64 })
    });
    let mut ranking: Vec<_> = ranking.collect();
    ranking.sort_by(|a, b| a.cycle_ns.total_cmp(&b.cycle_ns).then_with(|| a.strategy.cmp(&b.strategy)));
    Prediction { neighbours: neighbours.collect(), ranking, knows_growth: growth.is_some() }
}

impl Driver {
    fn of(strategy: &str) -> &'static [Self] {
        DRIVERS.iter().find(|(name, _)| *name == strategy).map_or(&[Self::Dirty], |(_, drivers)| *drivers)
    }

    /// How much there is of it, in pages or MiB; pages beyond the one that a block dirties in any case.
    fn size(self, fingerprint: &Fingerprint) -> f64 {
        match self {
            Self::Dirty => (fingerprint.dirty - STACK).max(0.0),
            Self::Footprint => (fingerprint.footprint - STACK).max(0.0),
            Self::Memory => fingerprint.memory_mib,
        }
    }
}

/// What a strategy takes where no page is dirty, in a memory of so many MiB: without what grows by the MiB, where it goes by
/// these.
fn fixed(base: &Place, strategy: &str, driver: Driver, memory_mib: f64) -> Option<f64> {
    let cost = |name: &str| Some(base.measured.strategies.get(name)?.overhead_ns?.max(0) as f64);
    let own = cost(strategy)?;
    let apart = APART.iter().find(|(name, _)| *name == strategy).and_then(|(_, other)| cost(other));
    let apart = apart.map(|apart| apart.min(own));
    Some(match driver {
        Driver::Memory => apart.unwrap_or(0.0),
        _ => apart.map_or(own, |apart| apart + (own - apart) * memory_mib / base.fingerprint.memory_mib),
    })
}

fn distance(module: &Fingerprint, place: &Place) -> f64 {
    module.distance(&place.fingerprint)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use super::super::measured::{Cost, Measured};
    use super::*;
    use crate::measure::row::Params;

    /// A place of so many dirty pages in a memory of 64 MiB, and what strategies take beyond the guest there.
    pub fn place(dirty: u64, motion: f64, costs: &[(&str, i64)]) -> Place {
        let dirty_pages = dirty as f64 + STACK;
        let fingerprint = Fingerprint {
            dirty: dirty_pages,
            footprint: dirty_pages,
            motion,
            memory_mib: 64.0,
            faults: 2.0,
            ..Fingerprint::default()
        };
        let cost = |&(name, overhead_ns): &(&str, i64)| {
            let cycle_ns = overhead_ns.unsigned_abs() + 100;
            (name.to_owned(), Cost { cycle_ns, overhead_ns: Some(overhead_ns), regret: None, faults: 0.0 })
        };
        let params: Params = [("dirty".to_owned(), dirty.into())].into();
        let strategies: BTreeMap<_, _> = costs.iter().map(cost).collect();
        let workload = "stress/touch".to_owned();
        let measured = Measured { workload, params, blocks: 8, execute_ns: Some(100), strategies };
        Place { fingerprint, measured }
    }

    fn overheads(prediction: &Prediction) -> Vec<(&str, u64)> {
        let ranking = prediction.ranking.iter();
        ranking.map(|predicted| (&*predicted.strategy, predicted.overhead_ns.round() as u64)).collect()
    }

    #[test]
    fn each_strategy_costs_by_what_it_goes_by() {
        let base = [
            ("copy/full", 64_000),
            ("dirty/uffd-wp", 500),
            ("dirty/mincore", 6_420),
            ("dirty/pagemap-scan", 20),
            ("fresh/pooling", 1_000),
            ("fresh/pooling-resident", 65_000),
        ];
        let there = [
            ("copy/full", 128_000),
            ("dirty/uffd-wp", 100_500),
            ("dirty/mincore", 16_420),
            ("dirty/pagemap-scan", 120),
            ("fresh/pooling", 2_000),
            ("fresh/pooling-resident", 129_000),
        ];
        let places = [place(0, 0.0, &base), place(100, 0.0, &there)];
        let module =
            Fingerprint { dirty: 51.0, footprint: 101.0, memory_mib: 16.0, ..Fingerprint::default() };
        let prediction = predict(&module, 1_000, &places);
        let expected = [
            // One for each page of the footprint.
            ("dirty/pagemap-scan", 20 + 100),
            ("fresh/pooling", 1_000 + 500),
            // A call, a quarter of what asking for all pages takes, and a hundred for each dirty page.
            ("dirty/mincore", 20 + 1_600 + 5_000),
            // By the MiB, and an instance besides.
            ("copy/full", 32_000),
            ("fresh/pooling-resident", 1_000 + 32_000),
            // What is there in any case, and a thousand for each dirty page.
            ("dirty/uffd-wp", 500 + 50_000),
        ];
        assert_eq!(overheads(&prediction), expected);
        assert_eq!(prediction.ranking[0].cycle_ns.round(), 1_120.0);
        assert_eq!((prediction.neighbours.len(), prediction.neighbours[0].weight), (1, 1.0));
    }

    #[test]
    fn a_module_that_writes_first_takes_one_fault_where_the_landscape_takes_two() {
        let mut places = [
            place(0, 0.0, &[("a/b", 0), ("c/d", 0)]),
            place(100, 0.0, &[("a/b", 200_000), ("c/d", 200_000)]),
        ];
        places[1].measured.strategies.get_mut("a/b").unwrap().faults = 202.0;
        places[1].measured.strategies.get_mut("c/d").unwrap().faults = 101.0;
        let module = Fingerprint { dirty: 101.0, footprint: 101.0, faults: 1.0, ..Fingerprint::default() };
        assert_eq!(overheads(&predict(&module, 0, &places)), [("a/b", 100_000), ("c/d", 200_000)]);
    }

    #[test]
    fn a_module_that_grows_takes_what_growing_takes_and_what_its_other_pages_do() {
        let costs = |hot: i64, checked: i64| [("a/hot", hot), ("b/checked", checked)];
        let growing = |pages: f64, costs: &[(&str, i64)]| {
            let mut place = place(0, 0.0, costs);
            place.fingerprint.dirty += pages;
            (place.fingerprint.grows, place.fingerprint.grown) = (1.0, pages);
            place
        };
        let mut places = vec![place(0, 0.0, &costs(100, 200)), place(100, 0.0, &costs(1_100, 1_300))];
        let module = Fingerprint {
            dirty: 51.0,
            footprint: 51.0,
            growth_mib: 0.0625,
            grows: 1.0,
            grown: 10.0,
            memory_mib: 64.0,
            ..Fingerprint::default()
        };
        let without = predict(&module, 0, &places);
        assert_eq!(overheads(&without), [("a/hot", 600), ("b/checked", 750)]);
        assert!(!without.knows_growth);
        // 1,000 or nothing for growing, and 10 or 11 for each page there; 40 other pages.
        places.push(growing(16.0, &costs(100 + 1_160, 200 + 176)));
        places.push(growing(1024.0, &costs(100 + 11_240, 200 + 11_264)));
        let with = predict(&module, 0, &places);
        assert_eq!(
            overheads(&with),
            [("b/checked", 200 + 40 * 11 + 110), ("a/hot", 100 + 40 * 10 + 1_000 + 100)]
        );
        assert!(with.knows_growth && with.neighbours.len() == 1, "{with:?}");
    }

    #[test]
    fn nearer_places_count_for_more_and_the_fourth_for_nothing() {
        let cost = |per_page: i64, dirty: i64| [("a/b", per_page * dirty)];
        let places = [
            place(0, 0.0, &[("a/b", 0)]),
            place(1000, 0.0, &cost(100, 1000)),
            place(500, 0.0, &cost(400, 500)),
            place(2000, 0.0, &cost(400, 2000)),
            place(1000, 1.0, &cost(1_000_000, 1000)),
        ];
        let at = |dirty: f64| {
            predict(&Fingerprint { dirty, footprint: dirty, ..Fingerprint::default() }, 0, &places)
        };
        let near = at(1001.0);
        let weights: Vec<_> = near.neighbours.iter().map(|neighbour| neighbour.weight).collect();
        assert!(weights[0] > 0.95 && weights.iter().sum::<f64>() > 0.999_999, "{weights:?}");
        let per_page = near.ranking[0].overhead_ns / 1000.0;
        assert!((100.0..110.0).contains(&per_page), "{per_page}");
        // Between two places: between their costs.
        let per_page = at(708.0).ranking[0].overhead_ns / 707.0;
        assert!((150.0..260.0).contains(&per_page), "{per_page}");
    }

    #[test]
    fn a_strategy_that_a_neighbour_lacks_is_not_predicted() {
        let places = [
            place(0, 0.0, &[("a/b", 1), ("c/d", 1)]),
            place(10, 0.0, &[("a/b", 10), ("c/d", 10)]),
            place(20, 0.0, &[("a/b", 20)]),
        ];
        let module = Fingerprint { dirty: 11.0, footprint: 11.0, ..Fingerprint::default() };
        assert_eq!(overheads(&predict(&module, 0, &places)).len(), 1);
        assert_eq!(predict(&module, 0, &[]), Prediction::default());
    }
}
