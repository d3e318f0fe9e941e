//! A prediction, held against what was measured on the same workload.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::measured::Measured;
use super::predict::Prediction;
use crate::analyse::quantile::median;

/// How well a prediction holds.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Held {
    /// The strategy with the shortest predicted cycle, of those that were measured.
    pub predicted_best: String,
    /// The one with the shortest measured cycle, of those that were predicted.
    pub measured_best: String,
    /// The measured cycle of the first over that of the second: what it costs to believe the prediction.
    pub ratio: f64,
    /// Predicted cycle against measured cycle, as a share of the latter: the median over strategies.
    pub error: f64,
    /// Strategies from the shortest measured cycle on.
    pub ranking: Vec<Pair>,
}

/// A strategy's cycles, in nanoseconds.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Pair {
    pub strategy: String,
    pub predicted_ns: f64,
    pub measured_ns: u64,
}

impl Held {
    /// Nothing where no strategy was both predicted and measured.
    pub fn against(prediction: &Prediction, measured: &Measured) -> Option<Self> {
        let pairs = prediction.ranking.iter().filter_map(|predicted| {
            let cost = measured.strategies.get(&predicted.strategy)?;
            let strategy = predicted.strategy.clone();
            Some(Pair { strategy, predicted_ns: predicted.cycle_ns, measured_ns: cost.cycle_ns })
        });
        let mut ranking: Vec<Pair> = pairs.collect();
        let first = ranking.first()?.clone();
        ranking.sort_by_key(|pair| pair.measured_ns);
        let best = ranking.first()?;
        let errors = ranking.iter().map(|pair| (pair.predicted_ns / pair.measured_ns as f64 - 1.0).abs());
        Some(Self {
            predicted_best: first.strategy,
            measured_best: best.strategy.clone(),
            ratio: first.measured_ns as f64 / best.measured_ns as f64,
            error: median(&mut errors.collect::<Vec<_>>())?,
            ranking,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::predict::Predicted;
    use super::super::predict::tests::place;
    use super::*;

    #[test]
    fn believing_the_prediction_costs_the_measured_cycle_of_its_best() {
        let predicted = |strategy: &str, cycle_ns: f64| Predicted {
            strategy: strategy.into(),
            overhead_ns: 0.0,
            cycle_ns,
        };
        let ranking = vec![
            predicted("a/a", 90.0),
            predicted("b/b", 210.0),
            predicted("x/x", 220.0),
            predicted("c/c", 400.0),
        ];
        let prediction = Prediction { ranking, ..Prediction::default() };
        // Cycles of 300, 200 and 400.
        let measured = place(1, 0.0, &[("a/a", 200), ("b/b", 100), ("c/c", 300)]).measured;
        let held = Held::against(&prediction, &measured).unwrap();
        assert_eq!((&*held.predicted_best, &*held.measured_best, held.ratio), ("a/a", "b/b", 1.5));
        assert_eq!(
            held.ranking.iter().map(|pair| &*pair.strategy).collect::<Vec<_>>(),
            ["b/b", "a/a", "c/c"]
        );
        // Of 0.7, 0.05 and 0.
        assert!((held.error - 0.05).abs() < 1e-9, "{held:?}");
        assert_eq!(Held::against(&prediction, &place(1, 0.0, &[("d/d", 1)]).measured), None);
    }
}
