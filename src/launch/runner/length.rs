//! The launches of a batch: as many as its cells need, or as their time allows.
//!
//! The rule is [`crate::analyse::ending`]; here is how it is applied while others are still measured, and how the time is
//! cut into launches. A strategy that two builds run is no less interesting for being slow: it is not given up where it is
//! beaten, the ratio of the two has to be narrow as well, and both end together.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Contender, Lane, Runner};
use crate::analyse::SEED;
use crate::analyse::bootstrap::{Seed, preview};
use crate::analyse::ending::{self, are_narrow, is_beaten};
use crate::analyse::paired::{Paired, Rounds};
use crate::analyse::summary::Ending;
use crate::measure::row::{Phase, Row, canonical};

/// The part of the time, one in so many, that is kept for the cells that are not narrow enough after the fewest launches.
const KEPT: u32 = 4;

/// The part of a launch's time, one in so many, that contenders may take to become steady.
const SETTLING_SHARE: u32 = 2;

/// The part of a launch, one in so many, that its rounds take at least. Rounds are what tells strategies apart, and where
/// starting and settling take most of a launch they cost little.
const ROUNDS_SHARE: u32 = 3;

/// Launches that have a counter pass: what is counted hardly differs between launches. Where two builds are compared, a second
/// one shows that, and those who decide by what they learn are counted in all.
const COUNTED: u32 = 1;

/// How the time of a batch is cut into launches.
#[derive(Clone, Copy, Debug)]
struct Slices {
    /// Fewest and most.
    launches: (u32, u32),
    /// For all of them.
    time: Duration,
    contenders: u32,
}

impl Slices {
    /// The time of the next launch, when so many are `done` and so much is `left`, for those that are `going` on.
    ///
    /// A further launch has as much time per contender as those before it, so that what the others no longer need makes
    /// more launches; or more, where there is time for more than the most launches.
    fn next(&self, done: u32, left: Duration, going: u32) -> Duration {
        let (fewest, most) = self.launches;
        let kept = if fewest < most { self.time / KEPT } else { Duration::ZERO };
        let each = (self.time - kept) / fewest.max(1);
        if done < fewest {
            return each;
        }
        let alike = each * going / self.contenders.max(1);
        alike.max(left / most.saturating_sub(done).max(1)).min(left)
    }
}

impl<'a> Runner<'a> {
    /// Takes a batch of contenders through its launches, and returns what is left of its `time`.
    pub(super) fn launches(
        &mut self,
        lane: &mut Lane<'_>,
        contenders: &mut [Contender<'a>],
        time: Duration,
    ) -> Result<Duration> {
        let launches @ (fewest, most) = self.plan.effort.launches;
        let slices = Slices { launches, time, contenders: u32::try_from(contenders.len())? };
        let first = lane.launch;
        let (mut left, mut done) = (time, 0);
        while done < most && !self.stage.stopped() && contenders.iter().any(Contender::goes_on) {
            lane.launch = first + done;
            let began = Instant::now();
            let going = contenders.iter().filter(|contender| contender.goes_on()).count();
            let until = began + slices.next(done, left, u32::try_from(going)?);
            self.startup(lane, contenders)?;
            let settling = began + (until - began) / SETTLING_SHARE;
            let steady = self.settle(lane, contenders, settling, until)?;
            let until = until.max(Instant::now() + lacking(began.elapsed(), steady.took));
            self.rounds(lane, contenders, &steady, until)?;
            let counted = COUNTED + u32::from(self.plan.build().is_some());
            self.count(lane, contenders, |contender| {
                done < counted || counted > COUNTED && contender.learns
            })?;
            done += 1;
            self.judge(lane, contenders, done, began.elapsed() >= left)?;
            left = left.saturating_sub(began.elapsed());
            // These have time of their own, and a launch in which all contenders are there.
            if done == fewest {
                self.memory(lane, contenders)?;
                self.long_runs(lane, contenders)?;
            }
            for contender in contenders.iter_mut() {
                contender.cell = None;
            }
        }
        if done > 0 && self.stage.stopped() {
            self.judge(lane, contenders, done, true)?;
        }
        lane.launch = first + done;
        Ok(left)
    }

    /// Ends those contenders that have had launches enough, and says so in rows; `spent` says that there is no time left.
    fn judge(
        &mut self,
        lane: &Lane<'_>,
        contenders: &mut [Contender<'a>],
        done: u32,
        spent: bool,
    ) -> Result<()> {
        let yardsticks = contenders.iter().filter(|contender| contender.yardstick && !contender.out);
        let yardsticks: Vec<_> = yardsticks.map(|c| (c.strategy(), c.cycles.clone())).collect();
        let best = leader(contenders, &self.plan.host.baseline);
        let ending = |contender: &Contender<'a>| {
            if contender.yardstick || !contender.goes_on() {
                return None;
            }
            let twin = contenders.iter().find(|other| contender.is_twin(other));
            let best = best.as_ref().filter(|_| twin.is_none());
            // The baseline and the floor are there already.
            let twin = twin.filter(|twin| !twin.yardstick).map(|c| (c.strategy(), c.cycles.clone()));
            let others: Vec<_> = yardsticks.iter().cloned().chain(twin).collect();
            self.ending(lane, contender, &others, best, done, spent)
        };
        let endings: Vec<_> = contenders.iter().map(ending).collect();
        let waits = |contender: &Contender<'a>| {
            let twins = contenders.iter().zip(&endings).filter(|(other, _)| contender.is_twin(other));
            let mut racing = twins.filter(|(other, _)| other.goes_on() && !other.yardstick);
            racing.any(|(_, ending)| ending.is_none())
        };
        let waits: Vec<_> = contenders.iter().map(waits).collect();
        for ((contender, ending), waits) in contenders.iter_mut().zip(endings).zip(waits) {
            self.end(lane, contender, ending.filter(|_| !waits), done)?;
        }
        let alone = contenders.iter().all(|contender| contender.yardstick || !contender.goes_on());
        let ending = match self.stage.stopped() {
            true => Some(Ending::Interrupted),
            false => (alone && done >= self.plan.effort.launches.0).then_some(Ending::Yardstick),
        };
        for contender in contenders.iter_mut().filter(|contender| contender.yardstick) {
            self.end(lane, contender, ending, done)?;
        }
        Ok(())
    }

    /// Whether a contender that is no yardstick ends now, and why: held against these others, to each of which its ratio has
    /// to be narrow. That to the baseline is as narrow in the summary, which makes the same estimate of the same rounds.
    fn ending(
        &self,
        lane: &Lane<'_>,
        contender: &Contender<'a>,
        others: &[(&'a str, Rounds)],
        best: Option<&Rounds>,
        done: u32,
        spent: bool,
    ) -> Option<Ending> {
        if self.stage.stopped() {
            return Some(Ending::Interrupted);
        }
        let params = canonical(&lane.workload.params);
        let comparison = |(other, cycles): &(&'a str, Rounds)| {
            let name = [lane.workload.name.as_str(), &params, contender.strategy(), *other];
            (Paired::new(&contender.cycles, cycles), name)
        };
        // Without the baseline there is no ratio that could be narrow.
        let baseline = others.iter().find(|(other, _)| *other == self.plan.host.baseline);
        let narrow = || {
            let comparisons: Vec<_> = others.iter().map(comparison).collect();
            baseline.is_some() && are_narrow(&comparisons, Seed(SEED))
        };
        // Controls are in no race.
        let beaten = || {
            let race = best.zip(baseline).filter(|_| !contender.plan.control);
            race.is_some_and(|(best, (_, baseline))| is_beaten(&contender.cycles, best, baseline))
        };
        ending::ending(self.plan.effort.launches, done, beaten, narrow, spent)
    }

    fn end(
        &mut self,
        lane: &Lane<'_>,
        contender: &mut Contender<'a>,
        ending: Option<Ending>,
        done: u32,
    ) -> Result<()> {
        let Some(ending) = ending.filter(|_| contender.goes_on()) else { return Ok(()) };
        contender.ended = Some((ending, done));
        let row = self.row(lane, contender.strategy(), Phase::Cycle);
        self.write(Row { metric: ending.metric().into(), value: Some(u64::from(done)), ..row })
    }
}

/// How long rounds have to go on so that they take their share of a launch that has taken so long, `rounds` of it for rounds.
fn lacking(launch: Duration, rounds: Duration) -> Duration {
    launch.saturating_sub(rounds * ROUNDS_SHARE) / (ROUNDS_SHARE - 1)
}

/// The rounds of the best so far: who takes least of the baseline, controls aside.
fn leader(contenders: &[Contender<'_>], baseline: &str) -> Option<Rounds> {
    let baseline = contenders.iter().find(|contender| contender.strategy() == baseline)?;
    let ratio = |contender: &Contender<'_>| preview(&Paired::new(&contender.cycles, &baseline.cycles));
    let ratios = contenders.iter().filter(|contender| !contender.plan.control);
    let ratios = ratios.filter_map(|contender| Some((contender, ratio(contender)?.ratio.value)));
    ratios.min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(contender, _)| contender.cycles.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_fixed_number_of_launches_has_equal_parts_of_all_the_time() {
        let slices = Slices { launches: (3, 3), time: ms(900), contenders: 2 };
        assert_eq!([0, 1, 2].map(|done| slices.next(done, ms(900), 2)), [ms(300); 3]);
    }

    #[test]
    fn who_goes_on_has_the_time_of_the_others() {
        let slices = Slices { launches: (6, 12), time: ms(12_000), contenders: 15 };
        assert_eq!(slices.next(0, ms(12_000), 15), ms(1_500), "a quarter is kept");
        assert_eq!(slices.next(5, ms(10), 15), ms(1_500), "whatever the launches before took");
        assert_eq!(slices.next(6, ms(3_000), 5), ms(500), "a third of the contenders, a third of the time");
        assert_eq!(slices.next(6, ms(9_000), 5), ms(1_500), "more where there is more");
        assert_eq!(slices.next(6, ms(200), 5), ms(200), "and never more than there is");
    }

    #[test]
    fn rounds_take_a_third_of_a_launch_at_least() {
        assert_eq!(lacking(ms(900), ms(0)), ms(450));
        assert_eq!(lacking(ms(900), ms(200)), ms(150), "350 of 1050");
        assert_eq!(lacking(ms(900), ms(300)), ms(0));
        assert_eq!(lacking(ms(900), ms(800)), ms(0));
    }

    #[test]
    fn nothing_is_divided_by_nothing() {
        let slices = Slices { launches: (0, 0), time: ms(100), contenders: 0 };
        assert_eq!(slices.next(0, ms(100), 0), ms(100));
    }
}
