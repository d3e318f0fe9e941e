//! The pages of a workload as `profile.json` has them: their map, its fingerprint and what that predicts.

use std::collections::BTreeMap;

use anyhow::Result;
use reset_strategies::module::Facts;
use reset_strategies::{Support, registry};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Fingerprint;
use super::held::Held;
use super::measured::{Measured, Source};
use super::predict::{Prediction, predict};
use crate::analyse::quantile::median;
use crate::profile::dirty::{Map, Seen};
use crate::workload::Workload;

/// The pages of a workload.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Entry {
    pub map: Map,
    pub fingerprint: Fingerprint,
    /// What its blocks take to execute where no page has to be found again, in nanoseconds: the median. That of the run that
    /// the prediction is held against, where there is one.
    pub execute_ns: u64,
    /// The machine whose landscape the prediction rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicted_on: Option<String>,
    /// Absent where there is no landscape to predict from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prediction: Option<Prediction>,
    /// Absent where there is no other workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resembles: Option<Resemblance>,
    /// Absent where the workload was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
}

/// The bundled workload that is nearest.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Resemblance {
    pub workload: String,
    /// In doublings of the number of pages (see [`Fingerprint::distance`]).
    pub distance: f64,
}

impl Entry {
    /// What is known of a workload: from its blocks, and from what there is to predict from.
    ///
    /// # Errors
    /// When its module cannot be read.
    pub fn of(workload: &Workload, seen: &Seen, source: Option<&Source>) -> Result<Self> {
        let map = Map::of(workload, seen)?;
        let fingerprint = Fingerprint::of(&map, &seen.faults);
        let is_it = |run: &&Measured| run.workload == workload.name && run.params == workload.params;
        let measured = source.and_then(|source| source.measured.iter().find(is_it));
        // Another machine, or another hour, has other times: a run is held against what is its own.
        let own = median(&mut seen.execute_ns.clone()).unwrap_or_default();
        let execute_ns = measured.and_then(|measured| measured.execute_ns).unwrap_or(own);
        let facts = Facts::read(&workload.module)?;
        let prediction = source.map(|source| {
            let mut prediction = predict(&fingerprint, execute_ns, &source.places);
            prediction.ranking.retain(|predicted| supports(&predicted.strategy, &facts));
            prediction
        });
        let held =
            prediction.as_ref().zip(measured).and_then(|(prediction, run)| Held::against(prediction, run));
        let resembles = Resemblance::of(&fingerprint, &workload.name);
        let predicted_on = source.map(|source| source.machine.sentence());
        Ok(Self { map, fingerprint, execute_ns, predicted_on, prediction, resembles, held })
    }
}

/// Whether a strategy brings back what such a module can change. One that this version does not know may.
fn supports(strategy: &str, facts: &Facts) -> bool {
    registry::find(strategy).is_none_or(|strategy| strategy.support(facts) == Support::Supported)
}

/// The fingerprints of the bundled workloads, with pages of 4 KiB.
pub fn bundled() -> BTreeMap<String, Fingerprint> {
    serde_json::from_str(include_str!("bundled.json")).expect("bundled.json has fingerprints by name")
}

impl Resemblance {
    /// The nearest bundled workload but the one of that name.
    pub fn of(fingerprint: &Fingerprint, name: &str) -> Option<Self> {
        let others = bundled().into_iter().filter(|(other, _)| other != name);
        let others =
            others.map(|(workload, other)| Self { workload, distance: fingerprint.distance(&other) });
        others.min_by(|a, b| a.distance.total_cmp(&b.distance))
    }
}
