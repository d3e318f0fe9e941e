//! What the benches share: cells of the suite under criterion's clock.
//!
//! `cargo bench` takes about twenty minutes, and with `-- --quick` one; a filter such as `-- indexer/lru/copy/full` takes the
//! baseline and the floor of the same workload along, without which there is nothing to compare with. All benches of one
//! `cargo bench` write their rows into one folder below `target/resetbench-bench`, or below `$RESETBENCH_OUT`, and
//! `resetbench report FOLDER` draws them. Criterion's own files are its own: nothing here reads them.

#![allow(dead_code, reason = "each bench uses a part of this")]

mod args;
mod counted;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use criterion::measurement::WallTime;
use criterion::{BenchmarkFilter, BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput};
use reset_strategies::registry;
use resetbench::cell;
use resetbench::hosts;
use resetbench::launch::bench::{Bench, Course, Setting, Starter};
use resetbench::launch::plan::{Contender, Order, Plan, Profile};
use resetbench::launch::process::CHILD_VERB;
use resetbench::launch::program;
use resetbench::machine::inherited;
use resetbench::measure::row::Params;
use resetbench::protocol::Timed;
use resetbench::workload::{Workload, bundled};

pub use args::Args;
pub use counted::Counted;

/// Samples of a cell, unless criterion is told otherwise.
const SAMPLES: u32 = 30;

/// Most processes of a cell, and their samples each: a few more than a ratio takes.
const MOST_LAUNCHES: u32 = 5;
const SAMPLES_PER_LAUNCH: u32 = 4;

/// Processes of a cell in a quick bench.
const QUICK_LAUNCHES: u32 = 3;

/// How one bench runs.
pub struct Setup {
    pub criterion: Criterion<Counted>,
    pub args: Args,
    counted: Counted,
    wanted: Box<dyn Fn(&str) -> bool>,
    setting: Setting,
    /// Opened for the first cell: what a filter leaves out makes no folder.
    bench: Option<Bench>,
    /// Where rows go that are not kept.
    scratch: Option<tempfile::TempDir>,
    /// Workloads so far, each of which has an order of its own.
    workloads: u64,
}

/// What a bench does, unless this process is one of its children.
///
/// # Errors
/// What the bench or the child says.
pub fn main(name: &str, within: Option<&str>, body: fn(&mut Setup) -> Result<()>) -> Result<()> {
    inherited::restore();
    // A filter may have the verb's name, but no task behind it.
    if let [_, verb, task, ..] = &std::env::args().collect::<Vec<_>>()[..]
        && verb == CHILD_VERB
        && task.starts_with('{')
    {
        let spec = serde_json::from_str(task).context("this argument is for the bench itself to use")?;
        return cell::child::serve(&spec, registry::find);
    }
    let mut setup = Setup::new(name, within)?;
    body(&mut setup)?;
    setup.close()
}

/// Criterion as all benches begin with it.
pub fn criterion() -> Criterion<WallTime> {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(SAMPLES as usize)
        .configure_from_args()
}

impl Setup {
    fn new(name: &str, within: Option<&str>) -> Result<Self> {
        let counted = Counted::default();
        // What is wanted is for us to say: the baseline and the floor come along.
        let criterion =
            criterion().with_measurement(counted.clone()).with_benchmark_filter(BenchmarkFilter::AcceptAll);
        let args = Args::read()?;
        let quick = args.quick || !args.measures();
        let launches = match args.sample_size().unwrap_or(SAMPLES) {
            _ if !args.measures() => 1,
            _ if quick => QUICK_LAUNCHES,
            samples => (samples / SAMPLES_PER_LAUNCH).clamp(2, MOST_LAUNCHES),
        };
        let scratch = (!args.measures()).then(tempfile::tempdir).transpose()?;
        let target =
            Path::new(env!("CARGO_TARGET_TMPDIR")).parent().map(|target| target.join("resetbench-bench"));
        let parent = scratch.as_ref().map(|scratch| scratch.path().to_owned());
        let parent = parent.or_else(|| std::env::var_os("RESETBENCH_OUT").map(PathBuf::from)).or(target);
        let setting = Setting {
            bench: name.into(),
            args: std::env::args().skip(1).filter(|arg| arg != "--bench").collect(),
            parent: parent.unwrap_or_default(),
            within: within.map(str::to_owned),
            starter: Starter::find(),
            binary: program()?.into(),
            profile: if quick { Profile::Smoke } else { Profile::Quick },
            launches,
        };
        let wanted = Box::new(args.filter()?);
        Ok(Self { criterion, args, counted, wanted, setting, bench: None, scratch, workloads: 0 })
    }

    /// Whether little is to be run.
    pub fn is_quick(&self) -> bool {
        self.setting.profile == Profile::Smoke
    }

    /// A bundled workload with some of its parameters set.
    pub fn workload(&self, name: &str, params: &[(&str, u64)]) -> Result<Workload> {
        workload(name, params)
    }

    /// The workloads that are benched by default.
    pub fn workloads(&self) -> Result<Vec<Workload>> {
        let names: &[&str] = if self.is_quick() {
            &["indexer/blocktracker", "stress/touch"]
        } else {
            &["indexer/blocktracker", "indexer/utxo", "indexer/lru", "stress/touch"]
        };
        names.iter().map(|name| self.workload(name, &[])).collect()
    }

    /// Benches the strategies on a workload; `part` says what of a block's times criterion is told.
    pub fn cells(&mut self, group: &str, workload: &Workload, part: fn(&Timed) -> u64) -> Result<()> {
        self.each(group, workload, |at, contender| {
            let Some(mut subject) = at.bench.subject(at.course, contender)? else { return Ok(()) };
            let (counted, bench) = (at.counted.clone(), &mut *at.bench);
            let id = BenchmarkId::new(workload.name.as_str(), &contender.name);
            at.group.throughput(throughput(at.course)).sampling_mode(SamplingMode::Flat);
            let mut failed = None;
            at.group.bench_function(id, |bencher| {
                bencher.iter_custom(|iters| {
                    let mut run = || -> Result<Duration> {
                        if counted.was_sample() {
                            bench.keep(&mut subject)?;
                        }
                        let timed = bench.time(&mut subject, iters)?;
                        // Whole traces were run; criterion is told of as many blocks as it asked for.
                        let blocks = timed.execute.len().max(1) as f64;
                        Ok(Duration::from_nanos((part(timed) as f64 / blocks * iters as f64).max(1.0) as u64))
                    };
                    failed_or(&mut failed, iters, run())
                });
            });
            if let Some(error) = failed {
                return Err(error);
            }
            if counted.was_sample() {
                bench.keep(&mut subject)?;
            }
            bench.finish(subject)
        })
    }

    /// Benches the startups of the strategies on a workload.
    pub fn startups(&mut self, group: &str, workload: &Workload) -> Result<()> {
        self.each(group, workload, |at, contender| {
            let Some(verified) = at.bench.verify(at.course, contender)? else { return Ok(()) };
            let (counted, course, bench) = (at.counted.clone(), at.course, &mut *at.bench);
            let (mut failed, mut pending) = (None, Vec::new());
            let keep = |bench: &mut Bench, pending: &[_]| -> Result<()> {
                pending.iter().try_for_each(|stages| bench.keep_startup(course, contender, stages))
            };
            at.group.bench_function(BenchmarkId::new(workload.name.as_str(), &contender.name), |bencher| {
                bencher.iter_custom(|iters| {
                    let mut run = || -> Result<Duration> {
                        if counted.was_sample() {
                            keep(bench, &pending)?;
                        }
                        let startups = (0..iters).map(|_| bench.startup(course, contender, &verified));
                        pending = startups.collect::<Result<_>>()?;
                        Ok(Duration::from_nanos(pending.iter().flatten().map(|(_, ns)| ns).sum()))
                    };
                    failed_or(&mut failed, iters, run())
                });
            });
            if let Some(error) = failed {
                return Err(error);
            }
            if counted.was_sample() { keep(bench, &pending) } else { Ok(()) }
        })
    }

    /// Takes up each contender on a workload that is wanted.
    fn each(
        &mut self,
        group: &str,
        workload: &Workload,
        mut take: impl FnMut(&mut At<'_, '_>, &Contender) -> Result<()>,
    ) -> Result<()> {
        let name = |contender: &Contender| format!("{group}/{}/{}", workload.name, contender.name);
        let mut contenders = self.contenders(|contender| (self.wanted)(&name(contender)));
        if contenders.is_empty() {
            return Ok(());
        }
        let mut group = self.criterion.benchmark_group(group);
        if self.args.list {
            for contender in &contenders {
                group.bench_function(BenchmarkId::new(workload.name.as_str(), &contender.name), |_| {});
            }
            return Ok(());
        }
        let bench = match &mut self.bench {
            Some(bench) => bench,
            none => none.insert(Bench::open(&self.setting)?),
        };
        // The baseline comes first and once more at the end, so that a drift of the machine shows; the others as drawn.
        let inner = 1..contenders.len() - 1;
        let order = Order::new(bench.seed(), self.workloads).shuffled(inner.len());
        let drawn: Vec<_> = order.into_iter().map(|index| contenders[inner.start + index].clone()).collect();
        contenders.splice(inner, drawn);
        self.workloads += 1;
        let course = bench.course(workload)?;
        let mut at = At { group: &mut group, bench, course: &course, counted: &self.counted };
        contenders.iter().try_for_each(|contender| take(&mut at, contender))?;
        group.finish();
        Ok(())
    }

    /// The contenders that are wanted, with the baseline before them and the floor and the baseline once more behind; none where
    /// none is.
    fn contenders(&self, wanted: impl Fn(&Contender) -> bool) -> Vec<Contender> {
        // Quick is for the way, not for the figures.
        let few = ["fresh/pooling", "copy/full"];
        let here = |name: &str| !self.is_quick() || few.contains(&name);
        // Controls other than the floor are for the suite's own verifier.
        let plain = registry::all().iter().copied().filter(|strategy| !strategy.is_control());
        let plain = plain.filter(|strategy| strategy.name() != registry::BASELINE && here(strategy.name()));
        let mut contenders: Vec<_> =
            plain.map(Contender::new).filter(|contender| wanted(contender)).collect();
        let mut yardsticks = Plan::with_yardsticks(Vec::new(), hosts::plain());
        if contenders.is_empty() && !yardsticks.iter().any(wanted) {
            return contenders;
        }
        contenders.append(&mut yardsticks);
        contenders.push(Contender::again(hosts::plain()));
        contenders.sort_by_key(|contender| contender.name != registry::BASELINE);
        contenders
    }

    /// Says where the rows are.
    fn close(self) -> Result<()> {
        let Self { criterion, args, bench, scratch, .. } = self;
        if let Some(finished) = bench.map(Bench::close).transpose()?
            && scratch.is_none()
        {
            let folder = finished.folder.display();
            eprintln!("rows are in {folder}; draw them with `resetbench report {folder}`");
            if let Some(name) = &args.save_baseline {
                eprintln!("they are kept as {}", finished.keep_as(name)?.display());
            }
            if let Some(name) = args.baseline() {
                let baseline = finished.baseline(name)?;
                if baseline.exists() {
                    eprintln!("compare them with `resetbench compare {} {folder}`", baseline.display());
                } else {
                    eprintln!(
                        "there is no {}: rows are kept there with `--save-baseline {name}`",
                        baseline.display()
                    );
                }
            }
        }
        criterion.final_summary();
        Ok(())
    }
}

/// A workload in the middle of a bench.
struct At<'a, 'c> {
    group: &'a mut BenchmarkGroup<'c, Counted>,
    bench: &'a mut Bench,
    course: &'a Course,
    counted: &'a Counted,
}

/// A time that criterion can go on with; the bench fails right after.
fn failed_or(failed: &mut Option<anyhow::Error>, iters: u64, time: Result<Duration>) -> Duration {
    time.unwrap_or_else(|error| {
        failed.get_or_insert(error);
        Duration::from_nanos(iters)
    })
}

/// A bundled workload with some of its parameters set.
pub fn workload(name: &str, params: &[(&str, u64)]) -> Result<Workload> {
    let chosen: Params = params.iter().map(|&(name, value)| (name.to_owned(), value.into())).collect();
    let (bundled, definition) = bundled::find(name)?;
    bundled.workload(definition.params(true, &chosen), None)
}

/// Blocks per second, and bytes of dirty pages per second.
fn throughput(course: &Course) -> Throughput {
    Throughput::ElementsAndBytes { elements: 1, bytes: course.dirty_bytes }
}
