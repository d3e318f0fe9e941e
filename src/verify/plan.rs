//! How much of what is wanted fits into a budget, by what blocks were seen to take.

use crate::cell::pressure::swap;
use crate::protocol::schedule::{Schedule, Script};

/// What the cells of a workload take, as measured on fresh instances, and how many there are.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Seconds to compile the module, for one configuration of the engine.
    pub compile: f64,
    /// Seconds from the start of a child until it can compare, where the module is compiled.
    pub start: f64,
    /// Seconds that a script takes besides its steps.
    pub script: f64,
    /// Seconds that a block takes which is only observed.
    pub observe: f64,
    /// Seconds that a block takes which is compared: it runs twice, and the whole state is read after it.
    pub verify: f64,
    /// Inputs of the trace.
    pub trace: usize,
    /// Whether these are requests, which many callers can make at once.
    pub requests: bool,
    /// Strategies that will run it.
    pub cells: usize,
    /// Those of them that claim to be sound.
    pub sound: usize,
}

/// What a schedule comes to in the cells of a workload, in steps of its script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    pub schedule: Schedule,
    /// Fewer would leave out what the schedule is about.
    pub least: usize,
    pub wanted: usize,
    /// What there is time for, if there is any.
    pub planned: Option<usize>,
}

/// What is done in which time. Times are seconds of one worker.
#[derive(Clone, Debug)]
pub struct Plan {
    /// By workload, in the order of the schedules; nothing where fresh instances do not run it.
    pub lanes: Vec<Vec<Work>>,
    /// For each schedule's shortest script in every cell.
    pub least: f64,
    /// For all that is wanted.
    pub wanted: f64,
    /// For all that is planned.
    pub planned: f64,
    /// Whether there is too little time for each schedule's shortest script.
    pub is_tight: bool,
}

impl Terms {
    /// Seconds for a script of so many steps in one cell.
    pub fn cell(&self, schedule: Schedule, steps: usize) -> f64 {
        let start = if schedule.is_alone() { self.start } else { 0.0 };
        start + self.script + steps as f64 * self.verify * weight(schedule)
    }

    /// Seconds for it in all cells, and for what they are compared with.
    fn all(&self, schedule: Schedule, steps: usize) -> f64 {
        steps as f64 * self.observe + self.cells as f64 * self.cell(schedule, steps)
    }

    /// Whether a schedule is for it.
    fn takes(&self, schedule: Schedule) -> bool {
        self.requests || schedule != Schedule::Concurrent
    }

    /// Seconds for the children that all other schedules share.
    fn children(&self) -> f64 {
        CONFIGURATIONS * self.compile + self.starts()
    }

    fn starts(&self) -> f64 {
        self.start * (1 + self.cells) as f64
    }
}

/// How many times as long a step of a schedule takes as one in trace order, roughly: what it does to the process comes on
/// top, such as a second session or a forked child that reads the state as well.
fn weight(schedule: Schedule) -> f64 {
    match schedule {
        Schedule::Forked => 3.0,
        Schedule::TwoSessions | Schedule::MemoryLimit => 2.0,
        Schedule::PagedOut | Schedule::SplitHuge => 1.5,
        _ => 1.0,
    }
}

impl Plan {
    /// Plans for `blocks` blocks that strategies which claim to be sound compare in all, at least; every workload gets the
    /// same time for its share. If there is `most` time only, in seconds of one worker, shares are as much smaller as they
    /// have to be, and if that does not suffice, schedules are left out from the last one on, first those of workloads whose
    /// blocks take longest. Never left out is the first one.
    pub fn new(terms: &[Option<Terms>], schedules: &[Schedule], blocks: u64, most: Option<f64>) -> Self {
        let draft = Draft { terms, schedules };
        let wanted = draft.share(blocks);
        let [least, all] = [0.0, wanted].map(|share| draft.seconds(share));
        let most = most.unwrap_or(f64::INFINITY);
        let share = match all <= most {
            true => wanted,
            false => draft.largest(wanted, most),
        };
        let mut lanes = draft.lanes(wanted, share);
        let planned = match least <= most {
            true => draft.seconds(share),
            false => draft.leave_out(&mut lanes, most),
        };
        Self { lanes, least, wanted: all, planned, is_tight: least > most }
    }

    /// What was left out so far, by workload; of it is planned what fits into so many seconds of one worker by now. Also returns
    /// the seconds that it is thought to take.
    pub fn rest(&self, terms: &[Option<Terms>], schedules: &[Schedule], most: f64) -> (Vec<Vec<Work>>, f64) {
        let left_out =
            |works: &Vec<Work>| works.iter().filter(|work| work.planned.is_none()).copied().collect();
        let mut lanes: Vec<Vec<Work>> = self.lanes.iter().map(left_out).collect();
        // Nothing is compiled a second time.
        let starts = terms.iter().zip(&lanes).filter(|(_, works)| !works.is_empty());
        let starts = starts.filter_map(|(terms, _)| terms.as_ref()).map(Terms::starts).sum();
        let planned = Draft { terms, schedules }.fit(&mut lanes, starts, most);
        (lanes, planned)
    }
}

struct Draft<'a> {
    terms: &'a [Option<Terms>],
    schedules: &'a [Schedule],
}

impl Draft<'_> {
    /// The time in seconds that each run of a script may take so that the blocks wanted come together.
    fn share(&self, blocks: u64) -> f64 {
        let swap = swap().is_ok();
        let runs = |terms: &Terms| -> u32 {
            let taken = self.schedules.iter().filter(|&&schedule| terms.takes(schedule));
            taken
                .filter(|&&schedule| swap || schedule != Schedule::MemoryLimit)
                .map(|schedule| schedule.runs())
                .sum()
        };
        let per_second = |terms: &Terms| f64::from(runs(terms)) * terms.sound as f64 / terms.observe;
        let blocks_per_second: f64 = self.terms.iter().flatten().map(per_second).sum();
        if blocks_per_second > 0.0 { blocks as f64 / blocks_per_second } else { 0.0 }
    }

    /// The largest share, up to `wanted`, with which all of it fits into so many seconds; none if not even that fits.
    fn largest(&self, wanted: f64, most: f64) -> f64 {
        let (mut fits, mut is_too_much) = (0.0, wanted);
        for _ in 0..HALVINGS {
            let share = f64::midpoint(fits, is_too_much);
            if self.seconds(share) <= most {
                fits = share;
            } else {
                is_too_much = share;
            }
        }
        fits
    }

    fn seconds(&self, share: f64) -> f64 {
        let lane = |terms: &Terms| {
            let scripts = self.schedules.iter().filter(|schedule| terms.takes(**schedule));
            terms.children() + scripts.map(|name| terms.all(*name, steps(terms, *name, share))).sum::<f64>()
        };
        self.terms.iter().flatten().map(lane).sum()
    }

    fn lanes(&self, wanted: f64, planned: f64) -> Vec<Vec<Work>> {
        let work = |terms: &Terms, schedule: Schedule| Work {
            schedule,
            least: steps(terms, schedule, 0.0),
            wanted: steps(terms, schedule, wanted),
            planned: Some(steps(terms, schedule, planned)),
        };
        let lane = |terms: &Option<Terms>| {
            let terms = terms.iter();
            let taken = |terms: &Terms| {
                let taken = self.schedules.iter().filter(|schedule| terms.takes(**schedule));
                taken.map(|schedule| work(terms, *schedule)).collect::<Vec<_>>()
            };
            terms.flat_map(taken).collect()
        };
        self.terms.iter().map(lane).collect()
    }

    /// Leaves out what does not fit, but never the first schedule; returns the seconds for what is left.
    fn leave_out(&self, lanes: &mut [Vec<Work>], most: f64) -> f64 {
        let mut seconds: f64 = self.terms.iter().flatten().map(Terms::children).sum();
        for (works, terms) in lanes.iter_mut().zip(self.terms) {
            works.iter_mut().for_each(|work| work.planned = None);
            if let (Some(first), Some(terms)) = (works.first_mut(), terms) {
                first.planned = Some(first.least);
                seconds += terms.all(first.schedule, first.least);
            }
        }
        self.fit(lanes, seconds, most)
    }

    /// Plans the shortest script of what is not planned yet as long as it fits into so many seconds, of which `seconds` are
    /// gone; returns those that are gone then.
    fn fit(&self, lanes: &mut [Vec<Work>], mut seconds: f64, most: f64) -> f64 {
        let mut cheapest_first: Vec<_> =
            lanes.iter_mut().zip(self.terms).filter_map(|(works, terms)| Some((works, (*terms)?))).collect();
        cheapest_first.sort_by(|(_, one), (_, other)| one.verify.total_cmp(&other.verify));
        for schedule in self.schedules {
            for (works, terms) in &mut cheapest_first {
                let open = |work: &&mut Work| work.schedule == *schedule && work.planned.is_none();
                let Some(work) = works.iter_mut().find(open) else { continue };
                let more = terms.all(*schedule, work.least);
                if seconds + more <= most {
                    work.planned = Some(work.least);
                    seconds += more;
                }
            }
        }
        seconds
    }
}

/// Steps of a script whose runs may take so long, or as many as it needs.
fn steps(terms: &Terms, schedule: Schedule, share: f64) -> usize {
    let blocks = (share / terms.observe).ceil() as usize;
    Script { schedule, blocks, ..Script::in_order() }.count(terms.trace)
}

/// Configurations of the engine that strategies ask for, roughly.
const CONFIGURATIONS: f64 = 6.0;

/// Finer than any estimate.
const HALVINGS: u32 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEDULES: [Schedule; 3] = [Schedule::InOrder, Schedule::Traps, Schedule::Forked];

    fn terms(observe: f64) -> Option<Terms> {
        Some(Terms {
            compile: 0.02,
            start: 0.01,
            script: 0.01,
            observe,
            verify: 3.0 * observe,
            trace: 4,
            requests: false,
            cells: 10,
            sound: 8,
        })
    }

    fn plan(terms: &[Option<Terms>], blocks: u64, most: Option<f64>) -> Plan {
        Plan::new(terms, &SCHEDULES, blocks, most)
    }

    fn planned(lane: &[Work]) -> Vec<Option<usize>> {
        lane.iter().map(|work| work.planned).collect()
    }

    #[test]
    fn without_a_budget_all_that_is_wanted_is_planned() {
        let lanes = [terms(0.001), None, terms(0.002)];
        let smoke = plan(&lanes, 0, None);
        assert_eq!(planned(&smoke.lanes[0]), [Some(4), Some(6), Some(2)]);
        assert_eq!(smoke.lanes[1], []);
        assert_eq!((smoke.planned, smoke.wanted), (smoke.least, smoke.least));
        let more = plan(&lanes, 10_000, None);
        let sound = 8 * 2;
        let blocks: usize = more.lanes.iter().flatten().map(|work| sound * work.planned.unwrap()).sum();
        assert!((10_000..11_000).contains(&blocks), "{blocks}");
        let [cheap, dear] = [0, 2].map(|lane| more.lanes[lane][0].wanted);
        assert!(cheap > dear, "the same time for each: {cheap} and {dear} blocks");
        assert!(more.lanes.iter().flatten().all(|work| work.planned == Some(work.wanted)));
    }

    #[test]
    fn what_runs_once_or_not_at_all_is_counted_so() {
        let blocks = terms(0.001);
        let views = blocks.map(|terms| Terms { requests: true, ..terms });
        for schedules in [&[Schedule::Concurrent][..], &[Schedule::InOrder, Schedule::Concurrent]] {
            let all = Plan::new(&[views, blocks], schedules, 100_000, None);
            let runs = |work: &Work| 8 * work.schedule.runs() as usize * work.planned.unwrap();
            let blocks: usize = all.lanes.iter().flatten().map(runs).sum();
            assert!((100_000..101_000).contains(&blocks), "{schedules:?}: {blocks}");
            assert!(
                all.lanes[1].iter().all(|work| work.schedule != Schedule::Concurrent),
                "these are no views"
            );
        }
    }

    #[test]
    fn a_budget_makes_shares_smaller() {
        let lanes = [terms(0.001), terms(0.002)];
        let all = plan(&lanes, 10_000, None);
        let most = f64::midpoint(all.least, all.wanted);
        let some = plan(&lanes, 10_000, Some(most));
        assert!(some.planned <= most && some.planned > 0.9 * most, "{some:?}");
        for work in some.lanes.iter().flatten() {
            assert!((work.least..work.wanted).contains(&work.planned.unwrap()), "{work:?}");
        }
        assert_eq!(plan(&lanes, 10_000, Some(all.wanted)).planned, all.wanted, "more is not needed");
    }

    #[test]
    fn what_does_not_fit_is_left_out_from_the_last_schedule_on() {
        let lanes = [terms(0.1), terms(0.001)];
        let all = plan(&lanes, 0, None);
        let dear_fork = lanes[0].unwrap().all(Schedule::Forked, 2);
        let without = plan(&lanes, 0, Some(all.least - 0.5 * dear_fork));
        assert_eq!(planned(&without.lanes[0]), [Some(4), Some(6), None]);
        assert_eq!(planned(&without.lanes[1]), [Some(4), Some(6), Some(2)], "the cheap one fits");
        assert!(without.is_tight && !all.is_tight);
        assert!((without.planned - (all.least - dear_fork)).abs() < 1e-9);
        for lane in plan(&lanes, 1_000_000, Some(0.0)).lanes {
            assert_eq!(planned(&lane), [Some(4), None, None], "the first is tried whatever there is");
            assert!(lane.iter().all(|work| work.wanted > work.least));
        }
    }

    #[test]
    fn what_was_left_out_is_planned_again_where_time_is_left() {
        let lanes = [terms(0.1), None, terms(0.001)];
        let tight = plan(&lanes, 0, Some(0.0));
        let rest = |most| tight.rest(&lanes, &SCHEDULES, most);
        let (works, seconds) = rest(f64::INFINITY);
        assert_eq!(planned(&works[0]), [Some(6), Some(2)], "the first one has run");
        assert_eq!((planned(&works[2]), works[1].len()), (vec![Some(6), Some(2)], 0));
        let cheap_traps = lanes[2].unwrap().all(Schedule::Traps, 6);
        let (few, less) = rest(2.0 * terms(0.1).unwrap().starts() + cheap_traps);
        assert_eq!((planned(&few[0]), planned(&few[2])), (vec![None, None], vec![Some(6), None]));
        assert!(less < seconds);
        let all = plan(&lanes, 0, None);
        assert!(all.rest(&lanes, &SCHEDULES, f64::INFINITY).0.iter().all(Vec::is_empty));
    }

    #[test]
    fn nothing_to_run_takes_no_time() {
        let none = plan(&[None], 10_000, Some(1.0));
        assert_eq!((none.least, none.wanted, none.planned), (0.0, 0.0, 0.0));
    }
}
