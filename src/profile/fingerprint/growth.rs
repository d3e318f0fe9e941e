//! What it takes a strategy that blocks grow the memory.
//!
//! It is read off places of the landscape whose blocks dirty nothing but what they grow by, little and much of it. A straight
//! line through the two says what growing takes at all, such as a system call to make room and another to take it back, and
//! what each page that is dirtied there takes.

use super::measured::{Cost, Place};
use super::{Fingerprint, STACK};

/// Strategies that write the whole memory at each reset, so that what growth adds is less than the noise of that; and those that
/// make room in the same way.
const INSTEAD: [(&str, &str); 2] =
    [("copy/full", "dirty/pagemap-scan"), ("fresh/pooling-resident", "fresh/pooling-scan")];

/// Places that differ in their growth alone.
#[derive(Clone, Copy, Debug)]
pub struct Growth<'a> {
    none: &'a Place,
    little: &'a Place,
    much: &'a Place,
}

impl<'a> Growth<'a> {
    /// Nothing where the landscape lacks one of the three: one that was measured for a short time only has no place that grows.
    pub fn of(places: &'a [Place]) -> Option<Self> {
        let by_itself = |place: &&Place| place.fingerprint.dirty - place.fingerprint.grown <= STACK;
        let none = places.iter().filter(by_itself).find(|place| place.fingerprint.grows == 0.0)?;
        let alike = |place: &&Place| place.fingerprint.image_mib == none.fingerprint.image_mib;
        let mut growing: Vec<_> = places
            .iter()
            .filter(|place| place.fingerprint.grows > 0.0)
            .filter(by_itself)
            .filter(alike)
            .collect();
        growing.sort_by(|a, b| a.fingerprint.grown.total_cmp(&b.fingerprint.grown));
        let (little, much) = (growing.first()?, growing.last()?);
        (little.fingerprint.grown < much.fingerprint.grown).then_some(Self { none, little, much })
    }

    /// What growth adds to a block of a module, in nanoseconds: less than nothing where a strategy makes room in less time than the
    /// floor. Nothing where the strategy was not measured.
    pub fn overhead_ns(&self, strategy: &str, module: &Fingerprint) -> Option<f64> {
        let instead = INSTEAD.iter().find(|(name, _)| *name == strategy);
        let strategy = instead.map_or(strategy, |(_, other)| other);
        let cost = |place: &Place| place.measured.strategies.get(strategy).copied();
        let (none, little, much) = (cost(self.none)?, cost(self.little)?, cost(self.much)?);
        let (few, many) = (self.little.fingerprint.grown, self.much.fingerprint.grown);
        let beyond = |a: Cost, b: Cost| Some((a.overhead_ns? - b.overhead_ns?) as f64);
        let each = beyond(much, little)? / (many - few);
        let once = beyond(little, none)? - each * few;
        let faults = (much.faults - little.faults) / (many - few);
        let each = each * self.much.faults_as_of(module, faults);
        Some(module.grows * once + module.grown * each)
    }
}

#[cfg(test)]
mod tests {
    use super::super::predict::tests::place;
    use super::*;

    fn growing(pages: f64, costs: &[(&str, i64)], faults: f64) -> Place {
        let mut place = place(0, 0.0, costs);
        place.fingerprint.dirty += pages;
        (place.fingerprint.grows, place.fingerprint.grown) = (1.0, pages);
        for cost in place.measured.strategies.values_mut() {
            cost.faults = faults;
        }
        place
    }

    #[test]
    fn growth_takes_an_amount_and_another_for_each_page() {
        // 300 and 10 a page, and 500 less than the floor; both beyond what they take anyway.
        let places = [
            place(0, 0.0, &[("a/b", 100), ("c/d", 100), ("e/f", 1)]),
            growing(1024.0, &[("a/b", 400 + 10_240), ("c/d", -400)], 0.0),
            growing(16.0, &[("a/b", 400 + 160), ("c/d", -400)], 0.0),
        ];
        let growth = Growth::of(&places).unwrap();
        let module = Fingerprint { grows: 1.0, grown: 5.0, ..Fingerprint::default() };
        assert_eq!(growth.overhead_ns("a/b", &module), Some(350.0));
        assert_eq!(growth.overhead_ns("c/d", &module), Some(-500.0));
        assert_eq!(growth.overhead_ns("e/f", &module), None);
        // Every second block grows.
        assert_eq!(growth.overhead_ns("a/b", &Fingerprint { grows: 0.5, ..module }), Some(200.0));
        assert_eq!(growth.overhead_ns("a/b", &Fingerprint::default()), Some(0.0));
    }

    #[test]
    fn what_writes_the_whole_memory_takes_what_one_takes_that_makes_room_in_the_same_way() {
        let costs = |noisy: i64, finds: i64| [("copy/full", noisy), ("dirty/pagemap-scan", finds)];
        let places = [
            place(0, 0.0, &costs(2_000_000, 100)),
            growing(16.0, &costs(1_900_000, 400 + 160), 0.0),
            growing(1024.0, &costs(2_050_000, 400 + 10_240), 0.0),
        ];
        let module = Fingerprint { grows: 1.0, grown: 5.0, ..Fingerprint::default() };
        assert_eq!(Growth::of(&places).unwrap().overhead_ns("copy/full", &module), Some(350.0));
    }

    #[test]
    fn a_page_that_is_written_first_takes_one_fault_here_too() {
        let places = [
            place(0, 0.0, &[("a/b", 0)]),
            growing(10.0, &[("a/b", 1_000)], 20.0),
            growing(110.0, &[("a/b", 11_000)], 220.0),
        ];
        let module = Fingerprint { grows: 1.0, grown: 10.0, faults: 1.0, ..Fingerprint::default() };
        assert_eq!(Growth::of(&places).unwrap().overhead_ns("a/b", &module), Some(500.0));
    }

    #[test]
    fn a_landscape_without_growth_says_nothing_of_it() {
        let costs = &[("a/b", 1)];
        let [none, little] = [place(0, 0.0, costs), growing(16.0, costs, 0.0)];
        let much = growing(1024.0, costs, 0.0);
        assert!(Growth::of(&[none.clone(), little.clone()]).is_none());
        assert!(Growth::of(&[little.clone(), much.clone()]).is_none());
        let mut dirty = much.clone();
        dirty.fingerprint.dirty += 100.0;
        assert!(Growth::of(&[none.clone(), little.clone(), dirty]).is_none());
        assert!(Growth::of(&[none, little, much]).is_some());
    }
}
