//! How pages are zeroed on this machine: the ways that strategies which keep pages resident have found to be fastest.

use std::fmt;

use reset_strategies::sys::zero::{Place, Tried};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The fastest way of zeroing pages, where they are in such a place.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Zeroing {
    /// In words.
    pub place: String,
    /// Stores and order, in words.
    pub way: String,
    /// What a page took when it was tried in this process; each child tries for itself.
    pub page_ns: f64,
}

impl Zeroing {
    /// By place, the nearest first. Tried on the first call, in one or two milliseconds.
    pub fn here() -> Vec<Self> {
        Place::ALL
            .into_iter()
            .map(|place| {
                let Tried { way, page_ns } = place.fastest();
                let place = match place {
                    Place::Near => "few pages",
                    Place::Far => "many pages",
                    Place::Between => "as many pages as the caches hold in part",
                    Place::Beyond => "more pages than they hold",
                };
                Self { place: place.into(), way: way.to_string(), page_ns }
            })
            .collect()
    }
}

impl fmt::Display for Zeroing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:.0} ns each)", self.way, self.page_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_says_what_a_page_takes() {
        let way =
            |page_ns| Zeroing { place: "few pages".into(), way: "memset, there and back".into(), page_ns };
        assert_eq!(way(45.4).to_string(), "memset, there and back (45 ns each)");
    }

    #[test]
    fn there_is_a_way_for_each_place() {
        let here = Zeroing::here();
        assert_eq!(here.len(), Place::ALL.len());
        assert!(here.iter().all(|way| way.page_ns > 0.0 && !way.way.is_empty()), "{here:?}");
    }
}
