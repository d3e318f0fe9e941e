//! A prediction, held against what was measured on the same workload.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::measured::{Cost, Measured};
use super::predict::{Predicted, Prediction};
use crate::analyse::quantile::median;

/// How well a prediction holds.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Held {
    /// The strategy with the shortest predicted cycle, of those that were measured.
    pub predicted_best: String,
    /// The best one by the rounds that it shares with others, of those that were predicted.
    pub measured_best: String,
    /// The measured cycle of the first over that of the second, in the same rounds: what it costs to believe the prediction.
    pub ratio: f64,
    /// Predicted cycle against measured cycle, as a share of the latter: the median over strategies.
    pub error: f64,
    /// Strategies from the best one on.
    pub ranking: Vec<Pair>,
}

/// A strategy's cycles, in nanoseconds.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Pair {
    pub strategy: String,
    pub predicted_ns: f64,
    pub measured_ns: u64,
    /// Measured cycle over that of the best, in the same rounds, or where there are none that both have, of all.
    #[serde(default)]
    pub regret: f64,
}

impl Held {
    /// Nothing where no strategy was both predicted and measured.
    pub fn against(prediction: &Prediction, measured: &Measured) -> Option<Self> {
        let known = prediction.ranking.iter();
        let known =
            known.filter_map(|predicted| Some((predicted, measured.strategies.get(&predicted.strategy)?)));
        let first = known.clone().next()?.0.strategy.clone();
        let shortest = known.clone().map(|(_, cost)| cost.cycle_ns).min()?;
        let pair = |(predicted, cost): (&Predicted, &Cost)| Pair {
            strategy: predicted.strategy.clone(),
            predicted_ns: predicted.cycle_ns,
            measured_ns: cost.cycle_ns,
            regret: cost.regret.unwrap_or(cost.cycle_ns as f64 / shortest as f64),
        };
        let mut ranking: Vec<Pair> = known.map(pair).collect();
        ranking.sort_by(|a, b| a.regret.total_cmp(&b.regret));
        let best = ranking.first()?;
        let believed = ranking.iter().find(|pair| pair.strategy == first)?;
        let errors = ranking.iter().map(|pair| (pair.predicted_ns / pair.measured_ns as f64 - 1.0).abs());
        Some(Self {
            measured_best: best.strategy.clone(),
            ratio: believed.regret / best.regret,
            predicted_best: first,
            error: median(&mut errors.collect::<Vec<_>>())?,
            ranking,
        })
    }
}

#[cfg(test)]
mod tests {
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

        // In the rounds that they share, the first takes no longer: its median is of other rounds, too.
        let mut paired = measured;
        for (name, regret) in [("a/a", 1.0), ("b/b", 1.1), ("c/c", 2.0)] {
            paired.strategies.get_mut(name).unwrap().regret = Some(regret);
        }
        let held = Held::against(&prediction, &paired).unwrap();
        assert_eq!((&*held.measured_best, held.ratio), ("a/a", 1.0));
    }
}
