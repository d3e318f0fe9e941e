//! What a cell is put through: blocks in many orders, and what hosts and machines do to an instance in between.

use std::fmt;
use std::sync::Arc;

use rand::rngs::ChaCha8Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::policy::Policy;
use crate::workload::host::Outcome;

/// Sessions that answer views in [`Schedule::Concurrent`].
pub const VIEWS: u32 = 3;

/// Sessions that run blocks in it: that of the indexer, and one for previews.
pub const BLOCKS: u32 = 2;

/// A way to run blocks that has caught wrong resets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// The trace as it is.
    InOrder,
    /// The trace in random order.
    Shuffled,
    /// One block again and again.
    Repeated,
    /// Between blocks, inputs that are cut short.
    Traps,
    /// Every second block interrupted by its deadline.
    Timeouts,
    /// Before each block the host reads a byte of every page, written or not, and writes to the last one.
    HostAccess,
    /// A large block followed by quiet ones.
    Spike,
    /// Pages pushed out with `MADV_PAGEOUT` before and after each reset.
    PagedOut,
    /// All of it under a memory limit with swap behind it, and everything pushed out that can be before each reset.
    MemoryLimit,
    /// A commit policy before the first block, then blocks that grow the memory by more than those before them.
    Committed,
    /// Two sessions in the process, both executed before either is reset.
    TwoSessions,
    /// In every second block the memory cannot grow, where it can half-way.
    FailingGrowth,
    /// Between each block and its reset the process forks, and the child resets, too.
    Forked,
    /// Before each reset huge pages are made of the memories and split again.
    SplitHuge,
    /// A deadline for each block by `Options`, of which each block spends some.
    Allowances,
    /// Every second block is a future that is dropped where the guest looks at the epoch, soon or late.
    Dropped,
    /// Views from many callers, while blocks run, fail and are reorganised.
    Concurrent,
}

impl Schedule {
    /// All schedules; `run` takes the first.
    pub const ALL: [Self; 17] = [
        Self::InOrder,
        Self::Shuffled,
        Self::Repeated,
        Self::Traps,
        Self::Timeouts,
        Self::HostAccess,
        Self::Spike,
        Self::PagedOut,
        Self::MemoryLimit,
        Self::Committed,
        Self::TwoSessions,
        Self::FailingGrowth,
        Self::Forked,
        Self::SplitHuge,
        Self::Allowances,
        Self::Dropped,
        Self::Concurrent,
    ];

    /// In words, for tables.
    pub fn about(self) -> &'static str {
        match self {
            Self::InOrder => "the trace as it is",
            Self::Shuffled => "the trace in random order",
            Self::Repeated => "one block again and again",
            Self::Traps => "inputs that are cut short in between",
            Self::Timeouts => "every second block interrupted by its deadline",
            Self::HostAccess => "the host reads every page and writes to one before each block",
            Self::Spike => "a large block followed by quiet ones",
            Self::PagedOut => "pages pushed out with MADV_PAGEOUT around each reset",
            Self::MemoryLimit => "under a memory limit with swap, pushed out before each reset",
            Self::Committed => "memory committed beforehand, and growth that differs from block to block",
            Self::TwoSessions => "two sessions in the process, both executed before either is reset",
            Self::FailingGrowth => "in every second block growth fails half-way",
            Self::Forked => "the process forks before each reset, and its child resets, too",
            Self::SplitHuge => "huge pages made and split before each reset",
            Self::Allowances => "an epoch deadline for each block by the options",
            Self::Dropped => "every second block a future that is dropped half-way",
            Self::Concurrent => "views from many callers, while blocks run, fail and are reorganised",
        }
    }

    /// Whether it needs a process in which no other schedule has run: what others left resident or dirty would hide
    /// what it looks for.
    pub fn is_alone(self) -> bool {
        matches!(self, Self::Spike | Self::MemoryLimit | Self::Forked) || self.is_special()
    }

    /// Whether its process begins otherwise than those of other schedules: the child is told beforehand.
    pub fn is_special(self) -> bool {
        matches!(
            self,
            Self::Committed
                | Self::TwoSessions
                | Self::FailingGrowth
                | Self::Allowances
                | Self::Dropped
                | Self::Concurrent
        )
    }

    /// How often a script of it is run: most run once to the end, and once more with a look at the state after each reset.
    pub fn runs(self) -> u32 {
        match self {
            // Nobody could look while others call.
            Self::Concurrent => 1,
            _ => 2,
        }
    }

    /// Fewer blocks would leave out what the schedule is about.
    pub fn least(self, trace: usize) -> usize {
        match self {
            Self::InOrder | Self::Shuffled => trace,
            Self::Traps => 2 * CUTS.len(),
            Self::Spike => SPIKE.len(),
            Self::Committed => UNEVEN.len(),
            Self::Allowances => 2 * ALLOWANCE.len(),
            Self::Timeouts | Self::FailingGrowth | Self::SplitHuge => 4,
            Self::Dropped => 2 * WAITS.len(),
            Self::TwoSessions => 3,
            Self::Concurrent => 8 * trace,
            Self::Repeated | Self::HostAccess | Self::PagedOut | Self::MemoryLimit | Self::Forked => 2,
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A schedule with everything that its steps depend on: the same script gives the same steps in every process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    pub schedule: Schedule,
    /// Steps to run, or the schedule's least number if that is more.
    pub blocks: usize,
    pub seed: u64,
    pub policy: Policy,
}

/// One block, and what happens around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub input: Input,
    /// The host reads every page and writes to the last before the block.
    pub host: bool,
    /// The host call at which the deadline passes.
    pub interrupt: Option<u32>,
    /// The block waits at each look at the epoch, and is dropped when it has waited so often.
    pub dropped: Option<u32>,
    /// The memory cannot grow.
    pub scarce: bool,
    /// Whether the block is compared; its reset always is.
    pub compared: bool,
}

impl Step {
    /// An input like any other.
    pub fn of(input: Input) -> Self {
        Self { input, host: false, interrupt: None, dropped: None, scarce: false, compared: true }
    }
}

/// What a guest is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A block of the trace.
    Block(usize),
    /// A block that is cut short.
    Cut(usize, Cut),
}

/// How much of a block is left. Well-behaved guests trap on all of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Nothing, not even the height.
    Empty,
    /// The height alone.
    Height,
    /// The first half.
    Half,
}

const CUTS: [Cut; 3] = [Cut::Empty, Cut::Height, Cut::Half];

/// Places of the large block among the quiet ones: two before, so that one of them follows a quiet one.
const SPIKE: [bool; 5] = [false, false, true, false, false];

/// Large blocks among quiet ones. A tracker that has seen quiet ones only may have stopped to look; the second large
/// block finds what the reset after the first has left.
const UNEVEN: [bool; 12] = [false, false, false, false, false, false, true, true, false, true, true, false];

/// Which blocks use all of their deadline up.
const ALLOWANCE: [bool; 4] = [false, false, false, true];

/// Host calls at which a block is interrupted: the second has loaded the input, and indexers make thousands.
const CALLS: [u32; 8] = [2, 3, 4, 6, 16, 64, 256, 1024];

/// How often a block waits before it is dropped: a guest looks at the epoch in each turn of a loop and in each of its functions.
const WAITS: [u32; 6] = [1, 4, 16, 64, 512, 4096];

impl Script {
    /// What `run` verifies: the trace as it is, once, with a reset after every block.
    pub fn in_order() -> Self {
        Self { schedule: Schedule::InOrder, blocks: 0, seed: 0, policy: Policy::Every }
    }

    /// How many steps there are for a trace of so many blocks.
    pub fn count(&self, trace: usize) -> usize {
        if trace == 0 { 0 } else { self.blocks.max(self.schedule.least(trace)) }
    }

    /// The steps for a trace.
    pub fn steps(&self, trace: &[Arc<[u8]>]) -> Vec<Step> {
        if trace.is_empty() {
            return Vec::new();
        }
        // Callers draw their requests themselves, and what is right they know from elsewhere.
        if self.schedule == Schedule::Concurrent {
            return (0..trace.len()).map(|at| Step::of(Input::Block(at))).collect();
        }
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(self.schedule as u64);
        let count = self.count(trace.len());
        let mut order: Vec<_> = (0..trace.len()).collect();
        let favourite = random.random_range(0..trace.len());
        let (spike, quiet) = extremes(trace);
        (0..count)
            .map(|at| {
                let place = at % trace.len();
                if place == 0 && self.schedule == Schedule::Shuffled {
                    order.shuffle(&mut random);
                }
                let plain = Step::of(Input::Block(order[place]));
                match self.schedule {
                    Schedule::Repeated => Step { input: Input::Block(favourite), ..plain },
                    Schedule::Traps if at % 2 == 0 => {
                        Step { input: Input::Cut(order[place], CUTS[at / 2 % CUTS.len()]), ..plain }
                    }
                    Schedule::Timeouts if at % 2 == 0 => {
                        Step { interrupt: CALLS.choose(&mut random).copied(), compared: false, ..plain }
                    }
                    Schedule::HostAccess => Step { host: true, ..plain },
                    Schedule::Spike if SPIKE[at % SPIKE.len()] => {
                        Step { input: Input::Block(spike), ..plain }
                    }
                    Schedule::Spike => Step { input: quiet, ..plain },
                    Schedule::Committed if !UNEVEN[at % UNEVEN.len()] => Step { input: quiet, ..plain },
                    Schedule::Committed => Step { input: large(at, order.len(), spike), ..plain },
                    Schedule::Dropped if at % 2 == 0 => {
                        Step { dropped: Some(WAITS[at / 2 % WAITS.len()]), compared: false, ..plain }
                    }
                    Schedule::FailingGrowth if at % 2 == 0 => Step { scarce: true, compared: false, ..plain },
                    // The first call may be the one that asks for the input's length.
                    Schedule::Allowances if ALLOWANCE[at % ALLOWANCE.len()] => {
                        Step { interrupt: Some(2), ..plain }
                    }
                    _ => plain,
                }
            })
            .collect()
    }

    /// Whether a block ran out of time which was not to, so that nothing follows from how it ended. No clock runs where
    /// allowances are the subject: a block that is given too little of them is told from others by that.
    pub fn is_late(&self, step: &Step, outcome: &Outcome) -> bool {
        let expected = step.interrupt.is_some() || !step.compared || self.schedule == Schedule::Allowances;
        *outcome == Outcome::TimedOut && !expected
    }

    /// A name for a step of this script, for strategies that know blocks by name: what a block changes depends on
    /// what came before it. In trace order it is the block's own number, as it is where blocks are measured.
    pub fn id(&self, at: usize) -> u64 {
        (self.schedule as u64) << 32 | at as u64
    }
}

/// The largest input and a small one; where all are of one size, the height alone is small.
fn extremes(trace: &[Arc<[u8]>]) -> (usize, Input) {
    let size = |at: &usize| trace[*at].len();
    let spike = (0..trace.len()).max_by_key(size).unwrap_or(0);
    let least = (0..trace.len()).min_by_key(size).unwrap_or(0);
    let quiet = if trace[least].len() <= trace[spike].len() / 2 {
        Input::Block(least)
    } else {
        Input::Cut(least, Cut::Height)
    };
    (spike, quiet)
}

/// The large blocks of an uneven round: the largest first, and then whichever block has its turn.
fn large(at: usize, trace: usize, spike: usize) -> Input {
    let turn = at / UNEVEN.len();
    Input::Block(if turn == 0 { spike } else { (spike + turn) % trace })
}

impl Input {
    /// The bytes that the guest is given.
    pub fn bytes(self, trace: &[Arc<[u8]>]) -> Arc<[u8]> {
        match self {
            Self::Block(block) => trace[block].clone(),
            Self::Cut(block, cut) => {
                let whole = &trace[block];
                let length = match cut {
                    Cut::Empty => 0,
                    Cut::Height => 4,
                    Cut::Half => whole.len() / 2,
                };
                whole[..length.min(whole.len())].into()
            }
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Block(block) => write!(f, "block {block}"),
            Self::Cut(_, Cut::Empty) => f.write_str("an empty input"),
            Self::Cut(block, Cut::Height) => write!(f, "the height of block {block} alone"),
            Self::Cut(block, Cut::Half) => write!(f, "the first half of block {block}"),
        }
    }
}

/// The first step of a spike schedule after which resets still treat what the large block wrote, given the bytes that
/// each reset treated: more than half of what the spike added. Only for strategies that claim to be exact.
pub fn sticky(treated: &[u64]) -> Option<usize> {
    treated.chunks(SPIKE.len()).enumerate().find_map(|(round, bytes)| {
        let &[_, quiet, spike, _, after] = bytes else { return None };
        let added = spike.saturating_sub(quiet);
        (added >= SPIKE_BYTES && after.saturating_sub(quiet) > added / 2)
            .then_some(round * SPIKE.len() + SPIKE.len() - 1)
    })
}

/// Less than this is no spike but a few pages more or less.
const SPIKE_BYTES: u64 = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn trace() -> Vec<Arc<[u8]>> {
        [20, 4, 10].map(|length| Arc::from(vec![7; length])).to_vec()
    }

    fn script(schedule: Schedule, blocks: usize) -> Script {
        Script { schedule, blocks, seed: 1, policy: Policy::Every }
    }

    fn inputs(schedule: Schedule, blocks: usize) -> Vec<Input> {
        script(schedule, blocks).steps(&trace()).iter().map(|step| step.input).collect()
    }

    #[test]
    fn the_same_script_gives_the_same_steps() {
        for schedule in Schedule::ALL {
            let steps = script(schedule, 50).steps(&trace());
            assert_eq!(steps.len(), if schedule == Schedule::Concurrent { 3 } else { 50 });
            assert_eq!(steps, script(schedule, 50).steps(&trace()), "{schedule}");
            assert!(script(schedule, 50).steps(&[]).is_empty());
        }
        let shuffled = |seed| Script { seed, ..script(Schedule::Shuffled, 50) }.steps(&trace());
        assert_ne!(shuffled(1), shuffled(2));
    }

    #[test]
    fn schedules_are_what_they_say() {
        use Input::{Block, Cut as Short};
        assert_eq!(inputs(Schedule::InOrder, 4), [Block(0), Block(1), Block(2), Block(0)]);
        let mut shuffled = inputs(Schedule::Shuffled, 3);
        shuffled.sort_by_key(|input| format!("{input:?}"));
        assert_eq!(shuffled, [Block(0), Block(1), Block(2)]);
        let repeated = inputs(Schedule::Repeated, 3);
        assert!(repeated.iter().all(|input| *input == repeated[0]));
        let traps =
            [Short(0, Cut::Empty), Block(1), Short(2, Cut::Height), Block(0), Short(1, Cut::Half), Block(2)];
        assert_eq!(inputs(Schedule::Traps, 0), traps);
        assert_eq!(inputs(Schedule::Spike, 0), [Block(1), Block(1), Block(0), Block(1), Block(1)]);
        let timeouts = script(Schedule::Timeouts, 6).steps(&trace());
        assert!(timeouts.iter().enumerate().all(|(at, step)| step.interrupt.is_some() == (at % 2 == 0)));
        let dropped = script(Schedule::Dropped, 6).steps(&trace());
        assert!(dropped.iter().enumerate().all(|(at, step)| step.dropped.is_some() == (at % 2 == 0)));
        assert!(dropped.iter().all(|step| step.dropped.is_some() != step.compared));
        assert!(script(Schedule::HostAccess, 3).steps(&trace()).iter().all(|step| step.host));
        let scarce = script(Schedule::FailingGrowth, 6).steps(&trace());
        assert!(scarce.iter().enumerate().all(|(at, step)| step.scarce == (at % 2 == 0)));
        assert!(scarce.iter().all(|step| step.compared != step.scarce));
        let allowances = script(Schedule::Allowances, 8).steps(&trace());
        assert!(allowances.iter().enumerate().all(|(at, step)| step.interrupt.is_some() == (at % 4 == 3)));
        let committed = inputs(Schedule::Committed, 0);
        assert_eq!(committed[..8], [[Block(1); 6].as_slice(), &[Block(0); 2]].concat());
    }

    #[test]
    fn where_all_blocks_are_of_one_size_the_height_alone_is_quiet() {
        let trace = vec![Arc::from([7; 20]), Arc::from([7; 20])];
        assert!(matches!(extremes(&trace), (_, Input::Cut(_, Cut::Height))));
    }

    #[test]
    fn cuts_are_cut() {
        let trace = trace();
        assert_eq!(Input::Cut(0, Cut::Empty).bytes(&trace).len(), 0);
        assert_eq!(Input::Cut(0, Cut::Height).bytes(&trace).len(), 4);
        assert_eq!(Input::Cut(0, Cut::Half).bytes(&trace).len(), 10);
        assert_eq!(Input::Cut(0, Cut::Height).bytes(&[Arc::from([1, 2])]).len(), 2);
    }

    #[test]
    fn ids_in_trace_order_are_the_blocks_own() {
        assert_eq!(Script::in_order().id(3), 3);
        assert_ne!(script(Schedule::Shuffled, 0).id(3), 3);
    }

    #[test]
    fn a_set_that_does_not_shrink_after_a_spike_is_sticky() {
        const PAGE: u64 = 4096;
        assert_eq!(sticky(&[2, 2, 300, 300, 2].map(|pages| pages * PAGE)), None);
        assert_eq!(sticky(&[2, 2, 300, 300, 300].map(|pages| pages * PAGE)), Some(4));
        assert_eq!(sticky(&[2, 2, 300, 2, 2, 2, 2, 300, 300, 200].map(|pages| pages * PAGE)), Some(9));
        assert_eq!(sticky(&[2, 2, 9, 9, 9].map(|pages| pages * PAGE)), None, "no spike to speak of");
        assert_eq!(sticky(&[300 * PAGE; 5]), None, "everything, always");
        assert_eq!(sticky(&[]), None);
    }
}
