//! `policies.json`: what each policy took, beside what the verifier says of it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::course::{Course, Judged, Launch};
use crate::analyse::evidence::{LongRun, Times};
use crate::analyse::paired::Paired;
use crate::analyse::quantile::median;
use crate::analyse::summary::{Growth, Quantiles, Ratio};
use crate::analyse::{bootstrap, figures, growth};
use crate::measure::row::Params;
use crate::protocol::policy::Policy;
use crate::workload::Workload;

/// `policies.json`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    pub schema: u32,
    pub command: String,
    pub machine: String,
    pub wasmtime: String,
    /// From which all orders were drawn.
    pub seed: u64,
    pub interrupted: bool,
    /// One per workload, strategy and policy.
    pub cells: Vec<Cell>,
}

/// One policy, for one strategy on one workload.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Cell {
    pub workload: String,
    pub params: Params,
    /// Where the guest's memory ends.
    pub memory_max_bytes: u64,
    pub strategy: String,
    /// As `--policy` takes it.
    pub policy: String,
    #[serde(flatten)]
    pub judged: Judged,
    /// What it took; absent where it was not run, or the strategy is wrong even when it resets after every block.
    pub cost: Option<Cost>,
    pub memory: Option<Memory>,
    /// Change of the resident set from block to block.
    pub growth: Option<Growth>,
}

/// What blocks took under a policy.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Cost {
    /// Launches that ran to their end; of an interrupted run what there is.
    pub launches: u32,
    /// Blocks in each of them.
    pub blocks: u64,
    /// Nanoseconds per block, with what the policy did about it.
    pub block_ns: Quantiles,
    /// All blocks of a launch: the median over launches.
    pub total_ns: u64,
    /// The total over that of `every` in the same launch; absent for `every` itself.
    pub ratio_to_every: Option<Ratio>,
    /// Resets in a launch, as the three that follow: the median over launches.
    pub resets: u64,
    /// Blocks that were run once more after a reset.
    pub retries: u64,
    /// Blocks that failed, also in the retry where there was one.
    pub failed: u64,
}

/// The resident set of the child process.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
pub struct Memory {
    /// Before the first block: the median over launches.
    pub start: u64,
    /// After the last: the median over launches.
    pub end: u64,
    /// The most of any launch.
    pub peak: Option<u64>,
}

impl Cell {
    /// Whether this is what the others are compared with.
    pub fn is_yardstick(&self) -> bool {
        self.policy == Policy::Every.to_string()
    }
}

type Launches<'a> = BTreeMap<u32, &'a Launch>;

/// What came of each policy for a strategy on a workload whose memory ends at `memory_max_bytes`.
pub fn cells(workload: &Workload, memory_max_bytes: u64, strategy: &str, courses: &[Course]) -> Vec<Cell> {
    let every = courses.iter().find(|course| course.policy == Policy::Every).map(Course::counted);
    let cell = |course: &Course| {
        let launches = course.counted();
        let yardstick = every.as_ref().filter(|_| course.policy != Policy::Every);
        let runs: Vec<LongRun> = launches.values().map(|launch| launch.long_run()).collect();
        Cell {
            workload: workload.name.clone(),
            params: workload.params.clone(),
            memory_max_bytes,
            strategy: strategy.into(),
            policy: course.policy.to_string(),
            judged: course.judged.clone(),
            cost: cost(&launches, yardstick),
            memory: memory(&launches),
            growth: growth::over(runs.iter()),
        }
    };
    courses.iter().map(cell).collect()
}

fn cost(launches: &Launches, every: Option<&Launches>) -> Option<Cost> {
    let alone = launches.iter().map(|(number, launch)| (*number, launch.cycles())).collect();
    Some(Cost {
        launches: u32::try_from(launches.len()).ok()?,
        blocks: middle(launches, |launch| Some(launch.sum(|window| window.cycle.len() as u64)))?,
        block_ns: figures::quantiles(&Times::alone(alone))?,
        total_ns: middle(launches, |launch| Some(launch.total_ns()))?,
        ratio_to_every: every.and_then(|every| ratio(launches, every)),
        resets: middle(launches, |launch| Some(launch.sum(|window| window.resets)))?,
        retries: middle(launches, |launch| Some(launch.sum(|window| window.retries)))?,
        failed: middle(launches, |launch| Some(launch.sum(|window| window.failed)))?,
    })
}

fn memory(launches: &Launches) -> Option<Memory> {
    Some(Memory {
        start: middle(launches, |launch| launch.rss.first().copied())?,
        end: middle(launches, |launch| launch.rss.last().copied())?,
        peak: launches.values().filter_map(|launch| launch.peak).max(),
    })
}

/// The median over the launches that have the value.
fn middle(launches: &Launches, value: impl Fn(&Launch) -> Option<u64>) -> Option<u64> {
    median(&mut launches.values().filter_map(|launch| value(launch)).collect::<Vec<_>>())
}

/// The ratio of the totals, over the launches that both ran for equally long.
fn ratio(launches: &Launches, every: &Launches) -> Option<Ratio> {
    let logs: Vec<Vec<f64>> = launches
        .iter()
        .filter_map(|(number, launch)| {
            let every = every.get(number).filter(|every| every.windows.len() == launch.windows.len())?;
            Some(vec![(launch.total_ns() as f64).ln() - (every.total_ns() as f64).ln()])
        })
        .collect();
    bootstrap::over_launches(&Paired::from_logs(logs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::growth::WINDOWS;
    use crate::analyse::summary::Equivalence;
    use crate::protocol::Followed;
    use crate::workload::bundled;

    const MIB: u64 = 1 << 20;

    fn judged(equivalence: Equivalence) -> Judged {
        Judged { equivalence, verified_blocks: 2, first_difference: None, consequence: None, reason: None }
    }

    /// Two blocks a window, each of so many nanoseconds; a reset in each window, and memory that grows by so much.
    fn launch(windows: u32, ns: u64, grows: u64) -> Launch {
        let window = Followed { cycle: vec![ns, ns], resets: 1, retries: 0, failed: 1 };
        let rss = (0..=u64::from(windows)).map(|window| 10 * MIB + window * grows).collect();
        Launch { windows: vec![window; windows as usize], rss, peak: Some(99 * MIB + ns) }
    }

    fn course(policy: Policy, launches: &[Launch]) -> Course {
        let launches = (0..).zip(launches.iter().cloned()).collect();
        Course { policy, judged: judged(Equivalence::Diverged), launches }
    }

    fn of(courses: &[Course]) -> Vec<Cell> {
        cells(&bundled::named("stress/noop", &Params::new()).unwrap(), MIB, "fresh/relink", courses)
    }

    #[test]
    fn totals_are_compared_within_their_launch() {
        let whole = |ns, grows| launch(WINDOWS, ns, grows);
        let every = course(Policy::Every, &[whole(1_000, 0), whole(2_000, 0), whole(1_500, 0)]);
        let never = course(Policy::OnFailure, &[whole(100, MIB), whole(200, MIB), whole(150, MIB)]);
        let [every, never] = &of(&[every, never])[..] else { panic!("two cells") };
        let cost = never.cost.unwrap();
        assert_eq!((cost.launches, cost.blocks, cost.total_ns), (3, 40, 6_000));
        assert_eq!((cost.block_ns.p50, cost.block_ns.max, cost.block_ns.n), (150, 200, 120));
        assert_eq!((cost.resets, cost.retries, cost.failed), (20, 0, 20));
        assert_eq!(cost.ratio_to_every, Some(Ratio { value: 0.1, low: 0.1, high: 0.1 }));
        assert_eq!(every.cost.unwrap().ratio_to_every, None);
        let memory = Memory { start: 10 * MIB, end: 30 * MIB, peak: Some(99 * MIB + 200) };
        assert_eq!(never.memory, Some(memory));
        let growth = never.growth.unwrap();
        assert_eq!((growth.bytes_per_block, growth.blocks, growth.direction()), (524_288.0, 120, 1));
        assert_eq!(every.growth.unwrap().direction(), 0);
    }

    #[test]
    fn a_launch_that_was_cut_short_counts_only_where_there_is_no_other() {
        let short = launch(3, 50, 0);
        let every = course(Policy::Every, &[launch(WINDOWS, 1_000, 0), short.clone()]);
        let alone = course(Policy::OnFailure, std::slice::from_ref(&short));
        let [every, alone] = &of(&[every, alone])[..] else { panic!("two cells") };
        assert_eq!(every.cost.map(|cost| (cost.launches, cost.blocks)), Some((1, 40)));
        assert_eq!(alone.cost.map(|cost| (cost.launches, cost.blocks)), Some((1, 6)));
        assert_eq!(alone.cost.unwrap().ratio_to_every, None, "one launch has no interval");
        assert_eq!(of(&[course(Policy::Every, &[])])[0].cost, None);
    }
}
