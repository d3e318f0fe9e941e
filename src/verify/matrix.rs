//! The parent's part: every strategy on every workload, each cell in a child process of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use reset_strategies::module::Facts;
use reset_strategies::{Availability, Strategy, Support};

use super::course::{Children, Compared, Course, Lane, Task, unable};
use super::plan::{Plan, Terms, Work};
use super::report::{Report, Time};
use super::watch::{self, Watch};
use crate::hosts::Host;
use crate::launch::process::{Cell, Ended};
use crate::launch::stage::Stage;
use crate::protocol::policy::Policy;
use crate::protocol::schedule::{Schedule, Script};
use crate::protocol::staging::{self, Staged};
use crate::protocol::{COMPILE, REFERENCE, Reference, Request, Verified};
use crate::workload::Workload;
use crate::workload::host::Outcome;

/// What is verified, and how thoroughly.
#[derive(Debug)]
pub struct Matrix<'a> {
    /// Under whose settings everything runs.
    pub host: &'static Host,
    pub strategies: &'a [&'static Strategy],
    pub workloads: &'a [Workload],
    pub schedules: &'a [Schedule],
    pub policy: Policy,
    pub seed: u64,
    /// Blocks that strategies which claim to be sound compare in all, at least; every workload gets the same time for
    /// its share.
    pub blocks: u64,
    /// What it may take. No script begins after that, and what there is no time for is said.
    pub budget: Option<Duration>,
    pub timeout: Duration,
    pub stage: &'a Stage,
}

/// A workload's files and what its cells take, or why fresh instances do not run it.
type Cost = Result<(Staged, Terms), String>;

impl Matrix<'_> {
    /// Verifies everything, or what can be verified until it is interrupted or the budget is used up.
    ///
    /// # Errors
    /// When files cannot be written or no child can be started.
    pub fn run(&self) -> Result<Report> {
        let began = Instant::now();
        let end = self.budget.and_then(|budget| began.checked_add(budget));
        let costs = in_parallel(self.workloads, |workload| self.cost(workload));
        let costs = costs.into_iter().collect::<Result<Vec<_>>>()?;
        let terms: Vec<_> = costs.iter().map(|cost| cost.as_ref().ok().map(|(_, terms)| *terms)).collect();
        let workers = workers(self.strategies.len() * self.workloads.len()).max(1) as f64;
        let left = end.map(|end| end.saturating_duration_since(Instant::now()).as_secs_f64());
        let plan = Plan::new(&terms, self.schedules, self.blocks, left.map(|left| left * workers));
        self.announce(&plan, workers, began.elapsed());

        let watch = Watch::new(&self.stage.progress, end, plan.planned, self.strategies.len() * costs.len());
        let lane = |(workload, cost): (_, Cost)| cost.map(|(staged, terms)| Lane { workload, staged, terms });
        let lanes: Vec<_> = self.workloads.iter().zip(costs).map(lane).collect();
        let courses: Vec<Vec<_>> = lanes.iter().map(|lane| self.courses(lane, &watch)).collect();
        // First what is planned, then what there is time for of the rest: an estimate may have been too high.
        let planned =
            |works: &Vec<Work>| works.iter().filter(|work| work.planned.is_some()).copied().collect();
        let first: Vec<Vec<Work>> = plan.lanes.iter().map(planned).collect();
        self.wave(&lanes, &first, &courses, &watch);
        let slowness = watch.slowness().unwrap_or(1.0 / workers);
        let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
        let (rest, seconds) = plan.rest(&terms, self.schedules, left.as_secs_f64() / slowness);
        watch.goes_on(seconds, self.strategies.len() * rest.iter().filter(|works| !works.is_empty()).count());
        self.wave(&lanes, &rest, &courses, &watch);
        let courses = lanes.iter().zip(self.workloads).zip(courses);
        let cells = courses.flat_map(|((lane, workload), courses)| match lane {
            Ok(_) => courses.into_iter().map(|course| inner(course).finish()).collect::<Vec<_>>(),
            Err(reason) => {
                self.strategies.iter().map(|strategy| unable(strategy, workload, reason)).collect()
            }
        });
        let cells = cells.collect();
        self.stage.progress.finish();
        let report =
            Report::new(self.seed, self.policy.to_string(), self.schedules, cells).on(&self.host.name);
        let seconds = began.elapsed().as_secs_f64();
        let before = seconds - watch.elapsed().as_secs_f64();
        let all = before + plan.wanted * watch.slowness().unwrap_or(1.0 / workers);
        Ok(report.within(Time {
            seconds,
            budget_seconds: self.budget.map(|budget| budget.as_secs_f64()),
            enough_seconds: Some(all * MARGIN),
        }))
    }

    /// Says how long it will take, and whether that is less than it should.
    fn announce(&self, plan: &Plan, workers: f64, before: Duration) {
        let time = |seconds: f64| {
            before.saturating_add(Duration::try_from_secs_f64(seconds / workers).unwrap_or(Duration::MAX))
        };
        let cells = self.strategies.len() * self.workloads.len();
        let mut text = format!("verifying {cells} cells, {}", watch::about(time(plan.planned)));
        if let Some(budget) = self.budget {
            text.push_str(&format!(" (at most {}, by --budget or the profile)", watch::rounded(budget)));
        }
        self.stage.progress.note(&text);
        if plan.is_tight {
            self.stage.progress.warn(&format!(
                "the budget is too small for the shortest script of every schedule: --budget {} would be enough. What is \
                 left out is named below",
                watch::option(time(plan.least * MARGIN))
            ));
        } else if plan.planned < plan.wanted {
            self.stage.progress.note(&format!(
                "scripts are cut short to fit: all blocks that are wanted would take {}",
                watch::about(time(plan.wanted))
            ));
        }
    }

    /// How many strategies will run a workload, and how many of them claim to be sound.
    fn able(&self, workload: &Workload) -> (usize, usize) {
        let Ok(facts) = Facts::read(&workload.module) else { return (0, 0) };
        let runs = |strategy: &&&Strategy| {
            strategy.availability() == Availability::Available
                && strategy.support(&facts) == Support::Supported
        };
        let able = self.strategies.iter().filter(runs);
        (able.clone().count(), able.filter(|strategy| !strategy.is_control()).count())
    }

    /// What its cells take, by a cell of fresh instances, or why there is no telling.
    fn cost(&self, workload: &Workload) -> Result<Cost> {
        self.stage.progress.say(&format!("{}: on fresh instances", workload.name));
        let staged = staging::stage(self.stage.staging.path(), workload)?;
        let seconds = self.timeout.as_secs_f32();
        Ok(match self.terms(workload, &staged) {
            Ok(Ok(terms)) => Ok((staged, terms)),
            Ok(Err(block)) => Err(format!(
                "{} {block} takes more than {seconds} s of CPU time on a fresh instance: allow for more with --timeout",
                workload.abi.word()
            )),
            Err(ended) => Err(ended.of_reference()),
        })
    }

    /// Times fresh instances: a first child compiles what there is to compile, a second one says what is left. Or else which
    /// block times out.
    fn terms(&self, workload: &Workload, staged: &Staged) -> Result<Result<Terms, usize>, Ended> {
        let children = self.children();
        let spec = children.spec(workload, staged, REFERENCE);
        let (mut first, stages) = Cell::start(&self.stage.binary, spec.clone())?;
        let compile =
            stages.iter().filter(|(stage, _)| stage == COMPILE).map(|(_, ns)| *ns as f64 / 1e9).sum();
        let timed = |cell: &mut Cell, schedule, blocks| -> Result<(f64, Request, Reference), Ended> {
            let script = self.script(schedule, blocks);
            let started = Instant::now();
            let expected: Reference = cell.ask(&Request::Observe { script })?;
            let request = Request::Verify { script, expected: expected.clone() };
            Ok((started.elapsed().as_secs_f64(), request, expected))
        };
        let (seconds, _, reference) = timed(&mut first, Schedule::InOrder, 0)?;
        if let Some(block) = reference.blocks.iter().position(|block| block.outcome == Outcome::TimedOut) {
            return Ok(Err(block));
        }
        let trace = workload.trace.len();
        let observe = (seconds / trace.max(1) as f64).max(CHEAPEST);
        // Some blocks say what reading the state takes besides, and more of them what is the script's and not theirs.
        let [few, more] = STEPS;
        let (_, few_blocks, _) = timed(&mut first, Schedule::Repeated, few)?;
        let (seconds, more_blocks, _) = timed(&mut first, Schedule::Repeated, more)?;
        let again = seconds / more as f64;
        let _compiled: Verified = first.ask(&few_blocks)?;
        drop(first);

        let mut last = Instant::now();
        let mut lap = || std::mem::replace(&mut last, Instant::now()).elapsed().as_secs_f64();
        let mut second = children.start(spec)?;
        let _equal: Verified = second.ask(&few_blocks)?;
        let all = lap();
        let _equal: Verified = second.ask(&few_blocks)?;
        let few_seconds = lap();
        let _equal: Verified = second.ask(&more_blocks)?;
        let reading = (lap() - few_seconds) / (more - few) as f64 - 2.0 * again;
        let verify = 2.0 * observe + reading.max(0.0);
        let script = (few_seconds - few as f64 * (2.0 * again + reading.max(0.0))).max(0.0);
        let start = (all - few_seconds).max(0.0);
        let (cells, sound) = self.able(workload);
        let requests = workload.filled.is_some();
        Ok(Ok(Terms { compile, start, script, observe, verify, trace, requests, cells, sound }))
    }

    /// The cells of a workload, before anything was run.
    fn courses<'a>(
        &'a self,
        lane: &'a Result<Lane<'a>, String>,
        watch: &'a Watch<'a>,
    ) -> Vec<Mutex<Course<'a>>> {
        let cells =
            lane.iter().flat_map(|lane| self.strategies.iter().map(move |strategy| (lane, *strategy)));
        let course = |(lane, strategy)| Course::new(self.children(), lane, strategy, watch);
        cells.map(course).map(Mutex::new).collect()
    }

    /// Has every cell run these works of its workload.
    fn wave(
        &self,
        lanes: &[Result<Lane<'_>, String>],
        works: &[Vec<Work>],
        courses: &[Vec<Mutex<Course<'_>>>],
        watch: &Watch<'_>,
    ) {
        let prepared: Vec<_> = lanes.iter().zip(works).collect();
        let tasks = in_parallel(&prepared, |(lane, works)| match lane {
            Ok(lane) if !works.is_empty() => self.tasks(lane, works, watch),
            _ => Ok(Vec::new()),
        });
        let cells: Vec<_> = courses
            .iter()
            .zip(&tasks)
            .flat_map(|(cells, tasks)| cells.iter().map(move |c| (c, tasks)))
            .collect();
        in_parallel(&cells, |(course, tasks)| {
            let mut course = course.lock().unwrap_or_else(PoisonError::into_inner);
            match tasks {
                Ok(tasks) => course.run(tasks),
                Err(ended) => course.unable(&ended.of_reference()),
            }
        });
    }

    /// Has fresh instances run these works of a workload.
    fn tasks(&self, lane: &Lane<'_>, works: &[Work], watch: &Watch<'_>) -> Result<Vec<Task>, Ended> {
        let mut cell = self.children().start(self.children().spec(lane.workload, &lane.staged, REFERENCE))?;
        let mut tasks = Vec::new();
        for work in works {
            let mut observe = |steps: usize| -> Result<Compared, Ended> {
                let script = self.script(work.schedule, steps);
                let reference = cell.ask(&Request::Observe { script })?;
                watch.did(steps as f64 * lane.terms.observe);
                Ok((script, reference))
            };
            let is_first = self.schedules.first() == Some(&work.schedule);
            let planned = work.planned.filter(|_| is_first || !watch.is_over());
            let least = planned.filter(|steps| self.budget.is_some() && *steps > work.least);
            tasks.push(Task {
                schedule: work.schedule,
                wanted: work.wanted,
                planned: planned.map(&mut observe).transpose()?,
                least: least.map(|_| observe(work.least)).transpose()?,
            });
        }
        Ok(tasks)
    }

    fn script(&self, schedule: Schedule, blocks: usize) -> Script {
        Script { schedule, blocks, seed: self.seed, policy: self.policy }
    }

    fn children(&self) -> Children<'_> {
        Children { host: self.host, stage: self.stage, timeout: self.timeout }
    }
}

/// Cheaper blocks count as this expensive, in seconds: below, it is the comparison that takes the time.
const CHEAPEST: f64 = 50e-6;

/// Steps of two scripts that are timed.
const STEPS: [usize; 2] = [2, 6];

/// What is said to be enough is more than what it is thought to take.
const MARGIN: f64 = 1.2;

fn inner<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// How many work on so many items at once.
fn workers(items: usize) -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(items)
}

/// Works on all items, as many at once as there are CPUs; the results are in the order of the items.
fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..workers(items.len()) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { break };
                    let result = work(item);
                    done.lock().expect("no panic while holding the lock").push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no panic while holding the lock");
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u32> = (0..100).collect();
        assert_eq!(in_parallel(&items, |item| item * 2), (0..100).map(|n| n * 2).collect::<Vec<_>>());
        assert_eq!(in_parallel(&[], |item: &u32| *item), Vec::<u32>::new());
    }
}
