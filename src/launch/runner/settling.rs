//! The first pass over running children: all contenders take their steps to the [steady state](crate::launch::settling) in
//! turns.
//!
//! Who is steady does not wait for the others: its last steps are its first rounds, and it runs a further one in each step of
//! the others, as long as the launch has time. These rounds have the numbers of the steps. Ratios are made of the rounds that
//! both have.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Contender, Lane, Runner};
use crate::analyse::quantile::median;
use crate::launch::plan::Drawn;
use crate::launch::settling::{Approach, Turn};
use crate::measure::row::Phase;
use crate::protocol::{Request, Timed};

/// How a launch has become steady.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Steady {
    /// Whole traces that make a turn in a round.
    pub passes: u32,
    /// The rounds that all contenders which are steady have had by then.
    pub kept: u32,
    /// What the blocks of all these rounds took.
    pub took: Duration,
}

impl<'a> Runner<'a> {
    /// Takes the contenders to their steady states, for which they have time `until` then. Those who are steady run rounds
    /// until the `end` of the launch.
    pub(super) fn settle(
        &mut self,
        lane: &Lane<'_>,
        contenders: &mut [Contender<'a>],
        until: Instant,
        end: Instant,
    ) -> Result<Steady> {
        let mut order = self.order(lane, Drawn::Steps);
        let place = format!("{}: launch {}", lane.workload.name, lane.launch + 1);
        // Those who are still on their way.
        let mut ways: Vec<Option<Approach>> = contenders.iter().map(|_| Some(Approach::default())).collect();
        let mut steady = Steady::default();
        let mut step = 0;
        while ways.iter().zip(&*contenders).any(|(way, contender)| way.is_some() && contender.cell.is_some())
        {
            let rounds = Instant::now() < end;
            self.stage.progress.say(&format!("{place}, settling, step {}", step + 1));
            for (order, index) in (0..).zip(order.shuffled(contenders.len())) {
                if self.stage.stopped() {
                    return Ok(steady);
                }
                let contender = &mut contenders[index];
                let Some(way) = &mut ways[index] else {
                    if contender.settled && rounds {
                        steady.took += self.round(lane, contender, step, order, steady.passes)?;
                    }
                    continue;
                };
                let passes = way.passes();
                let timed: Option<Timed> = self.ask(lane, contender, &Request::Time { passes })?;
                let Some(timed) = timed else { continue };
                way.add(Turn { order, passes, timed });
                if way.is_over(until) {
                    if steady.passes == 0 {
                        let mut traces: Vec<u64> =
                            ways.iter().flatten().filter_map(Approach::trace).collect();
                        steady.passes = self.passes(median(&mut traces).unwrap_or(0).max(1))?;
                    }
                    let way = ways[index].take().unwrap_or_default();
                    steady.took += self.settled(lane, contender, way, steady.passes)?;
                }
            }
            step += 1;
        }
        let settled = contenders.iter().filter(|contender| contender.settled && contender.cell.is_some());
        let rounds = settled.map(|contender| contender.rounds(lane.launch));
        let common = rounds.reduce(|all, own| &all & &own).unwrap_or_default();
        steady.kept = u32::try_from(common.len())?;
        Ok(steady)
    }

    /// Writes what a contender's way took, and of the steps in which it was steady those as rounds in which it ran as much as it
    /// would in a round. Returns what the blocks of these took.
    fn settled(
        &mut self,
        lane: &Lane<'_>,
        contender: &mut Contender<'a>,
        way: Approach,
        passes: u32,
    ) -> Result<Duration> {
        let row = self.row(lane, contender.strategy(), Phase::Cycle);
        self.results.rows.write_all(way.rows(&row))?;
        contender.settled = way.steady().is_some();
        let from = way.steady().unwrap_or(usize::MAX);
        let mut took = Duration::ZERO;
        for (step, turn) in (0..).zip(way.into_turns()).skip(from).filter(|(_, turn)| turn.passes == passes) {
            took += self.keep(lane, contender, step, turn.order, turn.timed)?;
        }
        Ok(took)
    }
}
