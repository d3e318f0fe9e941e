//! The first pass over running children: all contenders take their steps to the [steady state](crate::launch::settling) in
//! turns.
//!
//! Each leaves as soon as it is steady. Samples are only those last steps in which all were.

use std::ops::Range;
use std::time::Instant;

use anyhow::Result;

use super::{Contender, Lane, Runner};
use crate::analyse::quantile::median;
use crate::launch::plan::Drawn;
use crate::launch::settling::{Approach, Turn};
use crate::measure::row::Phase;
use crate::protocol::{Request, Timed};

/// How a launch has become steady.
pub(super) struct Steady {
    /// What a trace takes: the median over contenders, in nanoseconds.
    pub trace: u64,
    /// Rounds that are there already: the last steps, where all were steady in them.
    pub kept: u32,
}

/// The steps in which all of these were steady.
fn common<'c>(approaches: impl Iterator<Item = &'c Approach>) -> Range<usize> {
    let all = approaches.filter_map(|approach| Some(approach.steady()?..approach.turns().len()));
    all.reduce(|a, b| a.start.max(b.start)..a.end.min(b.end))
        .filter(|steps| !steps.is_empty())
        .unwrap_or(0..0)
}

impl<'a> Runner<'a> {
    /// Takes the contenders to their steady states. The last steps are rounds where all contenders have run them, were
    /// steady, and ran as much as they would in a round.
    pub(super) fn settle(
        &mut self,
        lane: &Lane<'_>,
        contenders: &mut [Contender<'a>],
        until: Instant,
    ) -> Result<Steady> {
        let mut order = self.order(lane, Drawn::Steps);
        let place = format!("{}: launch {}", lane.workload.name, lane.launch + 1);
        let mut approaches: Vec<Approach> = contenders.iter().map(|_| Approach::default()).collect();
        for step in 1.. {
            self.stage.progress.say(&format!("{place}, settling, step {step}"));
            for (order, index) in (0..).zip(order.shuffled(contenders.len())) {
                let approach = &mut approaches[index];
                if self.stage.stopped() || approach.steady().is_some() {
                    continue;
                }
                let passes = approach.passes();
                let timed: Option<Timed> =
                    self.ask(lane, &mut contenders[index], &Request::Time { passes })?;
                if let Some(timed) = timed {
                    approach.add(Turn { order, passes, timed });
                }
            }
            let over = |(contender, approach): (&Contender<'a>, &Approach)| {
                contender.cell.is_none() || approach.is_over(until)
            };
            if self.stage.stopped() || contenders.iter().zip(&approaches).all(over) {
                break;
            }
        }
        let mut traces: Vec<u64> = approaches.iter().filter_map(Approach::trace).collect();
        let trace = median(&mut traces).unwrap_or(0).max(1);
        let passes = self.passes(trace)?;
        // Who dropped out is written already.
        let mut there: Vec<(&mut Contender<'a>, Approach)> = contenders.iter_mut().zip(approaches).collect();
        there.retain(|(contender, approach)| contender.cell.is_some() && approach.trace().is_some());
        if self.stage.stopped() {
            there.clear();
        }
        let alike = |step: &usize| {
            let mut turns = there.iter().filter_map(|(_, approach)| approach.turns().get(*step));
            turns.all(|turn| turn.passes == passes)
        };
        let kept: Vec<usize> = common(there.iter().map(|(_, approach)| approach)).filter(alike).collect();
        for (contender, approach) in there {
            self.settled(lane, contender, approach, &kept)?;
        }
        Ok(Steady { trace, kept: u32::try_from(kept.len())? })
    }

    /// Writes what a contender's way took, and the steps that are kept as rounds.
    fn settled(
        &mut self,
        lane: &Lane<'_>,
        contender: &mut Contender<'a>,
        approach: Approach,
        kept: &[usize],
    ) -> Result<()> {
        let row = self.row(lane, contender.strategy(), Phase::Cycle);
        self.results.rows.write_all(approach.rows(&row))?;
        contender.settled = approach.steady().is_some();
        for (step, turn) in approach.into_turns().into_iter().enumerate() {
            if let Some(round) = kept.iter().position(|kept| *kept == step) {
                self.keep(lane, contender, u32::try_from(round)?, turn.order, turn.timed)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::learning::Learning;

    #[test]
    fn steps_are_rounds_where_all_were_there_and_steady() {
        let approach = |steps: usize, steady: usize| {
            let mut approach = Approach::default();
            for step in 0..steps {
                let learning = Learning { huge_pages: u64::from(step < steady), ..Learning::default() };
                let timed = Timed { execute: vec![10], reset: vec![0], learning };
                approach.add(Turn { order: 0, passes: 1, timed });
            }
            approach
        };
        let common = |approaches: &[Approach]| common(approaches.iter());
        assert_eq!(common(&[approach(4, 2), approach(4, 2)]), 2..4);
        assert_eq!(common(&[approach(6, 3), approach(4, 2)]), 3..4);
        assert_eq!(common(&[approach(6, 4), approach(4, 2)]), 0..0);
        assert_eq!(common(&[approach(6, 3), approach(4, 4)]), 3..6, "who is not steady has no say");
        assert_eq!(common(&[]), 0..0);
    }
}
