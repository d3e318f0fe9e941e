//! What a run measures, how long, and in which order.

use std::time::Duration;

use clap::ValueEnum;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use reset_strategies::{Strategy, registry};

use crate::workload::Workload;

/// How thorough a run is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Seconds: that everything works. Its figures mean little.
    Smoke,
    /// Two minutes at most: which strategies are worth a closer look.
    Quick,
    /// A quarter of an hour or more: figures to decide by.
    Full,
}

/// What a profile stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Time for everything but building, shared by all workloads.
    pub budget: Duration,
    /// Child processes per cell. Layout is decided per process, so that an interval narrows with these rather than
    /// with rounds.
    pub launches: u32,
    /// Fewest and most rounds per launch.
    pub rounds: (u32, u32),
    /// Time that one contender should take in one round, so that clock and pipes do not matter.
    pub turn: Duration,
    /// How long memory is sampled per cell.
    pub memory_pass: Duration,
}

impl Profile {
    /// What this profile stands for.
    pub fn effort(self) -> Effort {
        match self {
            Self::Smoke => Effort {
                budget: Duration::from_secs(10),
                launches: 3,
                rounds: (3, 4),
                turn: Duration::from_millis(1),
                memory_pass: Duration::from_millis(20),
            },
            Self::Quick => Effort {
                budget: Duration::from_secs(90),
                launches: 6,
                rounds: (3, 40),
                turn: Duration::from_millis(4),
                memory_pass: Duration::from_millis(100),
            },
            Self::Full => Effort {
                budget: Duration::from_secs(1_200),
                launches: 10,
                rounds: (10, 200),
                turn: Duration::from_millis(10),
                memory_pass: Duration::from_millis(1_000),
            },
        }
    }

    /// Whether the shorter parameters of `workload.toml` apply.
    pub fn is_quick(self) -> bool {
        self != Self::Full
    }
}

/// A run, settled before anything is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    pub strategies: Vec<&'static Strategy>,
    pub workloads: Vec<Workload>,
    pub effort: Effort,
    pub seed: u64,
    pub timeout: Duration,
}

impl Plan {
    /// The strategies, with the baseline and the floor added where a filter left them out: without them there is
    /// nothing to compare with.
    pub fn with_yardsticks(mut strategies: Vec<&'static Strategy>) -> Vec<&'static Strategy> {
        for name in [registry::BASELINE, registry::FLOOR] {
            let yardstick = registry::find(name).expect("the registry's own test covers this");
            if !strategies.iter().any(|strategy| strategy.name() == name) {
                strategies.push(yardstick);
            }
        }
        strategies
    }

    /// The random order of everything that is shuffled for one workload.
    pub fn order(&self, workload: usize) -> Order {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(workload as u64);
        Order(random)
    }
}

/// Draws orders from the recorded seed.
#[derive(Debug)]
pub struct Order(ChaCha8Rng);

impl Order {
    /// A shuffled `0..count`.
    pub fn shuffled(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<_> = (0..count).collect();
        order.shuffle(&mut self.0);
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(seed: u64) -> Plan {
        Plan {
            strategies: Vec::new(),
            workloads: Vec::new(),
            effort: Profile::Smoke.effort(),
            seed,
            timeout: Duration::from_secs(1),
        }
    }

    #[test]
    fn the_seed_decides_the_order() {
        let orders = |seed, workload| {
            let mut order = plan(seed).order(workload);
            (0..5).map(|_| order.shuffled(8)).collect::<Vec<_>>()
        };
        assert_eq!(orders(1, 0), orders(1, 0));
        assert_ne!(orders(1, 0), orders(2, 0));
        assert_ne!(orders(1, 0), orders(1, 1));
        for order in orders(3, 0) {
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..8).collect::<Vec<_>>());
        }
    }

    #[test]
    fn baseline_and_floor_are_always_there() {
        let chosen = vec![registry::find("copy/full").unwrap()];
        let names: Vec<_> = Plan::with_yardsticks(chosen).iter().map(|s| s.name()).collect();
        assert_eq!(names, ["copy/full", "fresh/relink", "control/oracle"]);
    }
}
