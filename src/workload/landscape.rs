//! The landscape: `stress/touch` over everything that decides which reset wins.
//!
//! All combinations would take hours, so they are ordered: first the dirty pages, how many they are, how they lie and
//! whether they move; then one other axis at a time, then two, and so on, until the time is spent. What was not reached
//! is named.

use std::fmt;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::measure::row::Params;

/// The workload whose parameters make the landscape.
pub const WORKLOAD: &str = "stress/touch";

/// Dirty pages, the most telling numbers first: with none is what a strategy takes in any case.
const DIRTY: [u64; 7] = [256, 0, 2048, 16, 8192, 1, 32768];

/// Pages of the arena where they are enough for every second of them to be dirty: 64 MiB in pages of 4 KiB.
const SPAN: u64 = 16_384;

/// Memory beyond which a place is left out: with some strategies a process holds three copies of it. Whoever asks for many
/// instances at once may have twice as much.
const MOST_BYTES: u64 = 1 << 30;

/// Pages of the host that the guest's own stack and data take, and then some, in wasm pages.
const OWN_PAGES: u64 = 32;

const WASM_PAGE: u64 = 1 << 16;

/// Growth by one wasm page.
const LEAST_GROWTH: u64 = 1;

/// Most instances at once.
const MOST_THREADS: u64 = 64;

/// One place of the landscape. Each axis but the first has its usual value at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    dirty: u64,
    /// Values of the other axes, by their index in [`AXES`].
    at: [usize; AXES.len()],
    threads: u64,
}

/// The places that are wanted: of each parameter named, one of the values given for it.
#[derive(Clone, Debug, Default)]
pub struct Part(Vec<(String, u64)>);

impl Part {
    /// The part with these values.
    ///
    /// # Errors
    /// When no place has such a parameter, or none such a value.
    pub fn new(wanted: Vec<(String, u64)>) -> Result<Self> {
        for (name, value) in &wanted {
            let known: Vec<u64> = match AXES.iter().find(|axis| axis.param == name) {
                Some(axis) => axis.values.iter().map(|(value, _)| *value).collect(),
                None if name == "dirty" => DIRTY.into(),
                None if name == "threads" && (1..=MOST_THREADS).contains(value) => continue,
                None if name == "threads" => {
                    bail!("the landscape has up to {MOST_THREADS} instances at once, and not {value}")
                }
                None => {
                    let names = AXES.map(|axis| axis.param).join("`, `");
                    bail!("the landscape has no axis `{name}`, but `dirty`, `threads`, `{names}`");
                }
            };
            if !known.contains(value) {
                bail!("the landscape has no `{name}` of {value}, but {known:?}");
            }
        }
        Ok(Self(wanted))
    }

    /// All places of a machine with so many cores, the most important first, and those with more instances at once where they
    /// are asked for by number.
    pub fn places(&self, cores: u64) -> Vec<Place> {
        places(cores, &self.threads())
    }

    /// How many instances at once are asked for by number.
    fn threads(&self) -> Vec<u64> {
        self.0.iter().filter(|(name, _)| name == "threads").map(|(_, count)| *count).collect()
    }

    /// Why a place cannot be measured at all, if so.
    pub fn impossible(&self, place: &Place, page_bytes: u64) -> Option<String> {
        let asked = place.threads > 1 && self.threads().contains(&place.threads);
        let bytes = place.bytes(page_bytes);
        (bytes > MOST_BYTES * if asked { 2 } else { 1 })
            .then(|| format!("it needs {} MiB of linear memory", bytes >> 20))
    }

    /// Whether the place is in it.
    pub fn has(&self, place: &Place, page_bytes: u64) -> bool {
        let params = place.params(page_bytes);
        let given = |name: &str, value: &Value| {
            self.0.iter().any(|(wanted, number)| wanted == name && value.as_u64() == Some(*number))
        };
        self.0.iter().all(|(name, _)| params.get(name).is_some_and(|value| given(name, value)))
    }
}

/// An axis: the parameter, its values, and what each is called; the usual one comes first.
struct Axis {
    param: &'static str,
    values: &'static [(u64, &'static str)],
}

const AXES: [Axis; 5] = [
    Axis { param: "shape", values: &[(2, "random"), (0, "contiguous"), (1, "every second page")] },
    Axis { param: "motion", values: &[(1, "rotating"), (0, "fixed")] },
    Axis {
        param: "image_kib",
        values: &[(0, "no image"), (1 << 10, "image of 1 MiB"), (16 << 10, "image of 16 MiB")],
    },
    Axis {
        param: "grow",
        values: &[(0, "no growth"), (LEAST_GROWTH, "growing by 64 KiB"), (64, "growing by 4 MiB")],
    },
    Axis { param: "spike", values: &[(0, "even"), (8192, "a spike of 8192 pages, then quiet")] },
];

const SHAPE: usize = 0;
const MOTION: usize = 1;
const GROW: usize = 3;
const SPIKE: usize = 4;

/// As many instances at once as there are cores, and others that are asked for.
fn places(cores: u64, asked: &[u64]) -> Vec<Place> {
    let mut threads = vec![1, 2, cores];
    threads.retain(|&count| count <= cores.max(1));
    threads.extend(asked);
    threads.sort_unstable();
    threads.dedup();
    let mut places = Vec::new();
    for dirty in DIRTY {
        for &threads in &threads {
            let count: usize = AXES.iter().map(|axis| axis.values.len()).product();
            for mut index in 0..count {
                let at = AXES.each_ref().map(|axis| {
                    let value = index % axis.values.len();
                    index /= axis.values.len();
                    value
                });
                places.push(Place { dirty, at, threads });
            }
        }
    }
    places.retain(Place::means_something);
    let rank = |dirty: u64| DIRTY.iter().position(|&known| known == dirty);
    // A stable sort: places that are equally far from the usual stay in the order of the axes.
    places.sort_by_key(|place| (place.unusual(), rank(place.dirty)));
    places
}

impl Place {
    /// Axes that do not have their usual value, besides those of the dirty pages themselves. Growth is one of these where no
    /// other page is dirty: what it takes by itself is needed for every module that grows.
    fn unusual(&self) -> usize {
        let others = self.at[MOTION + 1..].iter().filter(|&&value| value > 0).count();
        let by_itself = usize::from(self.dirty == 0 && self.value(GROW) > 0);
        others - by_itself + usize::from(self.threads > 1)
    }

    /// No page has a shape or a motion, one page has no shape, and a spike has to rise above the rest. The least growth is lost
    /// among other dirty pages.
    fn means_something(&self) -> bool {
        let spike = self.value(SPIKE);
        (self.dirty > 1 || self.at[SHAPE] == 0)
            && (self.dirty > 0 || self.at[MOTION] == 0)
            && (spike == 0 || spike > self.dirty)
            && (self.value(GROW) != LEAST_GROWTH || self.dirty == 0)
    }

    /// The value on an axis.
    fn value(&self, axis: usize) -> u64 {
        AXES[axis].values[self.at[axis]].0
    }

    fn span(&self) -> u64 {
        SPAN.max(2 * self.dirty)
    }

    /// Bytes of linear memory in all threads.
    pub fn bytes(&self, page_bytes: u64) -> u64 {
        self.threads * self.memory_pages(page_bytes) * WASM_PAGE
    }

    fn memory_pages(&self, page_bytes: u64) -> u64 {
        (self.span() * page_bytes).div_ceil(WASM_PAGE) + OWN_PAGES
    }

    /// The parameters of the workload at this place.
    pub fn params(&self, page_bytes: u64) -> Params {
        let host = [
            ("dirty", self.dirty),
            ("span", self.span()),
            ("memory_pages", self.memory_pages(page_bytes)),
            ("threads", self.threads),
        ];
        let axes = AXES.iter().zip(self.at).map(|(axis, value)| (axis.param, axis.values[value].0));
        host.into_iter().chain(axes).map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} dirty pages", self.dirty)?;
        for (axis, &value) in AXES.iter().zip(&self.at).filter(|(_, value)| **value > 0) {
            write!(f, ", {}", axis.values[value].1)?;
        }
        if self.threads > 1 {
            write!(f, ", {} instances at once", self.threads)?;
        }
        Ok(())
    }
}

/// What the parameters of a slice through the landscape are called: all but the number of dirty pages and what follows
/// from it.
pub fn describe(params: &Params) -> String {
    let value = |name: &str| params.get(name).and_then(Value::as_u64);
    let named = |axis: &Axis| {
        let value = value(axis.param)?;
        let known = axis.values.iter().position(|&(known, _)| known == value);
        match known {
            Some(0) if axis.param != "shape" && axis.param != "motion" => None,
            Some(known) => Some(axis.values[known].1.to_owned()),
            None => Some(format!("{} {value}", axis.param)),
        }
    };
    let mut parts: Vec<String> = AXES.iter().filter_map(named).collect();
    parts.extend(
        value("threads").filter(|&threads| threads > 1).map(|threads| format!("{threads} instances at once")),
    );
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u64 = 4096;

    #[test]
    fn dirty_pages_in_every_shape_and_motion_come_first() {
        let places = places(2, &[]);
        // No page has neither, but growth by itself, and a single page only a motion.
        let first = &places[..5 * 6 + 3 + 2];
        assert!(first.iter().all(|place| place.unusual() == 0) && places[first.len()].unusual() == 1);
        assert_eq!(first[0].to_string(), "256 dirty pages");
        assert_eq!(first[6..10].iter().map(|place| place.dirty).collect::<Vec<_>>(), [0, 0, 0, 2048]);
        assert!(places.is_sorted_by_key(Place::unusual));
        let growth = first.iter().filter(|place| place.value(GROW) > 0);
        let growth: Vec<_> = growth.map(|place| (place.dirty, place.value(GROW))).collect();
        assert_eq!(growth, [(0, 1), (0, 64)]);
    }

    #[test]
    fn every_axis_is_reached_and_no_place_comes_twice() {
        let places = places(4, &[]);
        for threads in [1, 2, 4] {
            assert!(places.iter().any(|place| place.threads == threads));
        }
        for (number, axis) in AXES.iter().enumerate() {
            for value in 0..axis.values.len() {
                assert!(places.iter().any(|place| place.at[number] == value), "{} {value}", axis.param);
            }
        }
        let mut params: Vec<_> =
            places.iter().map(|place| Value::from_iter(place.params(PAGE)).to_string()).collect();
        params.sort();
        params.dedup();
        assert_eq!(params.len(), places.len());
    }

    #[test]
    fn a_part_has_the_places_with_one_of_the_values_of_each_axis() {
        let part =
            |wanted: &[(&str, u64)]| Part::new(wanted.iter().map(|&(n, v)| (n.to_owned(), v)).collect());
        let count = |part: Part| part.places(2).iter().filter(|place| part.has(place, PAGE)).count();
        let usual = [("image_kib", 0), ("grow", 0), ("spike", 0), ("threads", 1)];
        let with = |more: &[(&'static str, u64)]| part(&[&usual[..], more].concat()).unwrap();
        assert_eq!(count(with(&[("dirty", 16), ("dirty", 256), ("dirty", 2048), ("dirty", 8192)])), 24);
        assert_eq!(count(with(&[("dirty", 16), ("motion", 0), ("shape", 1)])), 1);
        assert_eq!(count(part(&[]).unwrap()), places(2, &[]).len());
        assert!(part(&[("dirty", 17)]).unwrap_err().to_string().contains("no `dirty` of 17"));
        assert!(part(&[("color", 1)]).unwrap_err().to_string().contains("no axis `color`"));
    }

    #[test]
    fn more_instances_than_cores_are_there_where_they_are_asked_for() {
        let part = |threads: &[u64]| Part::new(threads.iter().map(|&n| ("threads".to_owned(), n)).collect());
        let asked = part(&[8, 16]).unwrap();
        let found: Vec<_> = asked.places(2).into_iter().filter(|place| asked.has(place, PAGE)).collect();
        for threads in [8, 16] {
            let usual = found.iter().filter(|place| place.threads == threads && place.unusual() == 1);
            let possible = usual.filter(|place| asked.impossible(place, PAGE).is_none()).count();
            // Growth by itself, and each number of dirty pages but the largest, which needs a larger arena.
            assert_eq!(possible, 2 + 33 - 6, "{threads}");
        }
        assert!(found.iter().all(|place| [8, 16].contains(&place.threads)));
        assert_eq!(Part::default().places(2), part(&[2]).unwrap().places(2), "others are as many as before");
        assert!(part(&[0]).is_err() && part(&[65]).is_err());
    }

    #[test]
    fn one_core_runs_one_instance() {
        assert!(places(1, &[]).iter().all(|place| place.threads == 1));
    }

    #[test]
    fn an_arena_holds_every_second_page_and_its_memory_holds_the_arena() {
        for place in places(2, &[]) {
            assert!(place.span() >= 2 * place.dirty);
            assert!(place.memory_pages(PAGE) * WASM_PAGE >= place.span() * PAGE + (2 << 20));
        }
    }

    #[test]
    fn large_pages_make_some_places_impossible() {
        let all = Part::default();
        let places = all.places(1);
        let large = places.iter().filter(|place| all.impossible(place, 65_536).is_some()).count();
        assert!(large > 0 && places.iter().all(|place| all.impossible(place, PAGE).is_none()));
    }

    #[test]
    fn a_slice_is_described_without_its_dirty_pages() {
        let base = places(2, &[])[0].params(PAGE);
        assert_eq!(describe(&base), "random, rotating");
        let threads = places(2, &[]).into_iter().find(|place| place.threads == 2).unwrap();
        assert_eq!(describe(&threads.params(PAGE)), "random, rotating, 2 instances at once");
    }
}
