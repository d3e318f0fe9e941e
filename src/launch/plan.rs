//! What a run measures, how long, and in which order.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use reset_strategies::{Strategy, registry};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::build::Build;
use crate::analyse::counterpart::twin;
use crate::hosts::Host;
use crate::prose::printable;
use crate::protocol::{Planted, Wasted};
use crate::workload::Workload;

/// How thorough a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Seconds: that everything works. Its figures mean little.
    Smoke,
    /// Two minutes, or three where blocks take long: which strategies are worth a closer look.
    #[default]
    Quick,
    /// A quarter of an hour or more: figures to decide by.
    Full,
}

/// What a profile stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Time for everything but building, shared by all workloads.
    pub budget: Duration,
    /// Fewest and most child processes per cell: all cells get the fewest, and further ones those that are not narrow
    /// enough by then (see [`crate::analyse::ending`]). Layout is decided per process, so that an interval narrows with
    /// these rather than with rounds.
    pub launches: (u32, u32),
    /// Fewest and most rounds per launch.
    pub rounds: (u32, u32),
    /// Time that one contender should take in one round, so that clock and pipes do not matter.
    pub turn: Duration,
    /// Time for the rounds of one workload, where the number of workloads is open.
    pub cell: Duration,
    /// How long memory is sampled per cell.
    pub memory_pass: Duration,
    /// Blocks of the long run that shows whether memory grows; without it there is none. Its time is beyond the budget:
    /// so many blocks have to run, however long each takes.
    pub long_blocks: Option<u64>,
}

impl Profile {
    /// What this profile stands for.
    pub fn effort(self) -> Effort {
        let (seconds, launches, rounds, turn, cell, memory_pass) = match self {
            Self::Smoke => (10, (3, 3), (3, 4), 1, 100, 20),
            Self::Quick => (96, (6, 24), (3, 40), 2, 2_000, 100),
            Self::Full => (1_200, (8, 40), (10, 200), 10, 10_000, 1_000),
        };
        Effort {
            budget: Duration::from_secs(seconds),
            launches,
            rounds,
            turn: Duration::from_millis(turn),
            cell: Duration::from_millis(cell),
            memory_pass: Duration::from_millis(memory_pass),
            long_blocks: None,
        }
    }

    /// Whether the shorter parameters of `workload.toml` apply.
    pub fn is_quick(self) -> bool {
        self != Self::Full
    }
}

/// A strategy under the name by which rows speak of it.
#[derive(Clone, Debug)]
pub struct Contender {
    pub name: String,
    pub strategy: &'static Strategy,
    /// Whether it may be recommended: controls, a second baseline, one that was slowed down and one of another build may not.
    pub control: bool,
    /// What its child wastes on purpose.
    pub planted: Option<Planted>,
    /// The build whose program runs it; `None` where it is this one.
    pub build: Option<Arc<Build>>,
}

impl Contender {
    /// A strategy under its own name.
    pub fn new(strategy: &'static Strategy) -> Self {
        Self {
            name: strategy.name().into(),
            strategy,
            control: strategy.is_control(),
            planted: None,
            build: None,
        }
    }

    /// The baseline of a host.
    pub fn baseline(host: &Host) -> Self {
        Self::new(host.baseline())
    }

    /// The baseline a second time: what differs between the two is noise.
    pub fn again(host: &Host) -> Self {
        Self { name: format!("{}{AGAIN}", host.baseline), control: true, ..Self::baseline(host) }
    }

    /// A strategy as another build has it.
    pub fn of(strategy: &'static Strategy, build: &Arc<Build>) -> Self {
        let name = twin(strategy.name(), &build.name);
        Self { name, control: true, build: Some(build.clone()), ..Self::new(strategy) }
    }

    /// Whether one of the two is the other as another build has it.
    pub fn is_twin(&self, other: &Self) -> bool {
        let of = |one: &Self, build: &Self| build.build.is_some() && one.name == build.strategy.name();
        of(self, other) || of(other, self)
    }

    /// The baseline a second time, made worse.
    pub fn planted(host: &Host, planted: Planted) -> Self {
        let Planted { what, amount } = planted;
        let name = format!("{}#planted-{what:?}-{amount}", host.baseline).to_lowercase();
        Self { name, planted: Some(planted), ..Self::again(host) }
    }
}

/// What to waste in a strategy of this build under its own name, as it is typed: `STRATEGY:WHAT:AMOUNT`. With another build
/// beside it, the same program plays a worse one.
#[derive(Clone, Debug, PartialEq)]
pub struct Plant {
    pub strategy: String,
    pub planted: Planted,
}

impl FromStr for Plant {
    type Err = String;

    fn from_str(typed: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{typed}` is not like `copy/full:reset:20`: a strategy; `execute`, `reset`, `faults`, `host`, `pages` or `memory`; how much"
            )
        };
        let [strategy, what, amount] = typed.split(':').collect::<Vec<_>>()[..] else {
            return Err(wrong());
        };
        let what = Wasted::from_str(what, false).map_err(|_| wrong())?;
        let amount = amount.parse().map_err(|_| wrong())?;
        Ok(Self { strategy: strategy.into(), planted: Planted { what, amount } })
    }
}

impl Plant {
    /// Has that strategy's child waste it, where it is among these.
    ///
    /// # Errors
    /// When it is not.
    pub fn within(&self, contenders: &mut [Contender]) -> Result<()> {
        let own = contenders.iter_mut().find(|contender| contender.name == self.strategy);
        let own = own.with_context(|| {
            format!("--plant: `{}` does not run here: choose it with --strategy", printable(&self.strategy))
        })?;
        own.planted = Some(self.planted);
        Ok(())
    }
}

/// What stands behind the name of the baseline's second contender, which makes an A/A pair with the first.
const AGAIN: &str = "#2";

/// Whether that is the baseline's second contender.
pub fn is_again(name: &str) -> bool {
    name.ends_with(AGAIN)
}

/// A run, settled before anything is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Under whose settings everything runs, and whose way of making an instance is the baseline.
    pub host: &'static Host,
    pub contenders: Vec<Contender>,
    pub workloads: Vec<Workload>,
    pub effort: Effort,
    pub seed: u64,
    pub timeout: Duration,
}

impl Plan {
    /// The contenders, with the host's baseline and the floor added where a filter left them out: without them there is
    /// nothing to compare with.
    pub fn with_yardsticks(mut strategies: Vec<&'static Strategy>, host: &Host) -> Vec<Contender> {
        let floor = registry::find(registry::FLOOR).expect("the registry's own test covers this");
        for yardstick in [host.baseline(), floor] {
            if !strategies.iter().any(|strategy| strategy.name() == yardstick.name()) {
                strategies.push(yardstick);
            }
        }
        strategies.into_iter().map(Contender::new).collect()
    }

    /// Whether others are held against it.
    pub fn is_yardstick(&self, contender: &Contender) -> bool {
        contender.name == self.host.baseline || contender.name == registry::FLOOR
    }

    /// Those of these contenders that another build runs as well, as it does: strategies that can be chosen, and the
    /// yardsticks. Other controls are there to be caught, and a second baseline shows noise that a build has no part in.
    pub fn with_build(mut contenders: Vec<Contender>, build: &Arc<Build>) -> Vec<Contender> {
        let chosen = |contender: &&Contender| !contender.control || contender.name == registry::FLOOR;
        let twins: Vec<_> = contenders
            .iter()
            .filter(chosen)
            .map(|contender| Contender::of(contender.strategy, build))
            .collect();
        contenders.extend(twins);
        contenders
    }

    /// The other build, if one takes part.
    pub fn build(&self) -> Option<&Arc<Build>> {
        self.contenders.iter().find_map(|contender| contender.build.as_ref())
    }

    /// The random order of what is shuffled in a launch of a workload.
    pub fn order(&self, workload: usize, launch: u32, what: Drawn) -> Order {
        Order::new(self.seed, (workload as u64) << 34 | u64::from(launch) << 2 | what as u64)
    }
}

/// Draws orders from the recorded seed.
#[derive(Debug)]
pub struct Order(ChaCha8Rng);

/// What orders are drawn for within a launch. Each has its own: how many steps a launch takes to become steady depends on
/// times, and the order of its rounds must not.
#[derive(Clone, Copy, Debug)]
pub enum Drawn {
    Starts,
    Steps,
    Rounds,
}

impl Order {
    /// The order of one of many streams that a seed has.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(stream);
        Self(random)
    }

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
    use crate::hosts;

    fn with_yardsticks(names: &[&str]) -> Vec<Contender> {
        let chosen = names.iter().map(|name| registry::find(name).unwrap());
        Plan::with_yardsticks(chosen.collect(), hosts::plain())
    }

    fn plan(seed: u64) -> Plan {
        Plan {
            host: hosts::plain(),
            contenders: Vec::new(),
            workloads: Vec::new(),
            effort: Profile::Smoke.effort(),
            seed,
            timeout: Duration::from_secs(1),
        }
    }

    #[test]
    fn the_seed_decides_the_order() {
        let orders = |seed, workload| {
            let mut order = plan(seed).order(workload, 0, Drawn::Rounds);
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
        let names: Vec<_> = with_yardsticks(&["copy/full"]).into_iter().map(|c| c.name).collect();
        assert_eq!(names, ["copy/full", "fresh/relink", "control/oracle"]);
        let other = hosts::find("graph-node").unwrap();
        let names: Vec<_> = Plan::with_yardsticks(Vec::new(), other).into_iter().map(|c| c.name).collect();
        assert_eq!(names, ["fresh/on-demand-cow", "control/oracle"]);
        assert_eq!(Contender::again(other).name, "fresh/on-demand-cow#2");
    }

    #[test]
    fn another_build_has_a_twin_of_what_can_be_chosen_and_of_the_yardsticks() {
        let own = with_yardsticks(&["copy/full", "control/none"]);
        let own = [own, vec![Contender::again(hosts::plain())]].concat();
        let contenders = Plan::with_build(own, &Build::own("old").unwrap());
        let twins: Vec<_> = contenders.iter().filter(|contender| contender.build.is_some()).collect();
        let names: Vec<_> = twins.iter().map(|twin| twin.name.as_str()).collect();
        assert_eq!(names, ["copy/full@old", "fresh/relink@old", "control/oracle@old"]);
        assert!(twins.iter().all(|twin| twin.control));
        let pairs = |one: &str| -> Vec<_> {
            let one = contenders.iter().find(|contender| contender.name == one).unwrap();
            contenders.iter().filter(|other| one.is_twin(other)).map(|other| other.name.as_str()).collect()
        };
        assert_eq!(pairs("copy/full"), ["copy/full@old"]);
        assert_eq!(pairs("copy/full@old"), ["copy/full"]);
        assert_eq!(pairs("fresh/relink@old"), ["fresh/relink"], "and not its second contender");
        assert!(pairs("control/none").is_empty() && pairs("fresh/relink#2").is_empty());
    }

    #[test]
    fn what_is_planted_is_planted_in_this_builds_strategy_alone() {
        let plant: Plant = "copy/full:reset:20".parse().unwrap();
        let own = with_yardsticks(&["copy/full"]);
        let mut contenders = Plan::with_build(own, &Build::own("old").unwrap());
        plant.within(&mut contenders).unwrap();
        let slow: Vec<_> = contenders.iter().filter(|contender| contender.planted.is_some()).collect();
        assert_eq!((slow.len(), slow[0].name.as_str(), slow[0].control), (1, "copy/full", false));
        assert_eq!(slow[0].planted, Some(Planted { what: Wasted::Reset, amount: 20 }));
        let absent: Plant = "copy/none:execute:20".parse().unwrap();
        assert!(
            absent.within(&mut contenders).unwrap_err().to_string().contains("`copy/none` does not run here")
        );
        for wrong in
            ["", "copy/full", "copy/full:reset", "copy/full:start:20", "copy/full:reset:-1", "a:reset:2:3"]
        {
            assert!(wrong.parse::<Plant>().unwrap_err().contains("is not like"), "{wrong}");
        }
    }

    #[test]
    fn whoever_is_not_a_plain_strategy_says_so_by_name() {
        let again = Contender::again(hosts::plain());
        assert_eq!(again.name, format!("{}#2", registry::BASELINE));
        assert!(is_again(&again.name) && again.control && again.planted.is_none());
        let planted = Contender::planted(hosts::plain(), Planted { what: Wasted::Reset, amount: 20 });
        assert_eq!(planted.name, "fresh/relink#planted-reset-20");
        assert!(planted.control && !is_again(&planted.name));
    }
}
