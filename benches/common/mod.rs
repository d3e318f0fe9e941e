//! What the benches share: cells of the suite under criterion's clock.
//!
//! `cargo bench` takes minutes; `cargo bench -- --quick` takes seconds per bench and runs less. Rows go to
//! `target/resetbench-bench/<bench>`, or below `$RESETBENCH_OUT`, and `resetbench report FOLDER` draws them. Criterion's
//! own files are its own: nothing here reads them.

#![allow(dead_code, reason = "each bench uses a part of this")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput};
use reset_strategies::{Support, module::Facts, registry};
use resetbench::launch::in_process::{Bench, Course};
use resetbench::launch::plan::{Contender, Plan, Profile};
use resetbench::measure::row::Params;
use resetbench::protocol::Timed;
use resetbench::workload::{Workload, bundled};

/// How one `cargo bench` runs.
pub struct Setup {
    pub criterion: Criterion,
    pub quick: bool,
    pub bench: Bench,
    pub contenders: Vec<Contender>,
}

impl Setup {
    /// Reads criterion's arguments and makes the results folder.
    pub fn new(name: &str) -> Result<Self> {
        let quick = std::env::args().any(|arg| arg == "--quick" || arg == "--test");
        let profile = if quick { Profile::Smoke } else { Profile::Quick };
        let warm_up = Duration::from_millis(if quick { 0 } else { 500 });
        let strategies = registry::all().iter().copied();
        // Controls are for the suite's own verifier, and quick is for the way, not for the figures.
        let wanted = |name: &str| !quick || ["fresh/relink", "fresh/pooling", "copy/full"].contains(&name);
        let contenders: Vec<_> =
            strategies.filter(|s| !s.is_control() && wanted(s.name())).map(Contender::new).collect();
        let plan = Plan {
            contenders: contenders.clone(),
            workloads: Vec::new(),
            effort: profile.effort(),
            seed: 0,
            timeout: Duration::from_secs(60),
        };
        let target =
            Path::new(env!("CARGO_TARGET_TMPDIR")).parent().map(|target| target.join("resetbench-bench"));
        let parent = std::env::var_os("RESETBENCH_OUT").map(PathBuf::from).or(target).unwrap_or_default();
        let bench = Bench::open(&parent.join(name), &plan, profile, warm_up)?;
        let criterion = Criterion::default()
            .warm_up_time(Duration::from_millis(500))
            .measurement_time(Duration::from_secs(2))
            .sample_size(20)
            .configure_from_args();
        Ok(Self { criterion, quick, bench, contenders })
    }

    /// A bundled workload with some of its parameters set.
    pub fn workload(&self, name: &str, params: &[(&str, u64)]) -> Result<Workload> {
        let chosen: Params = params.iter().map(|&(name, value)| (name.to_owned(), value.into())).collect();
        let (bundled, definition) = bundled::find(name)?;
        bundled.workload(definition.params(true, &chosen), None)
    }

    /// The workloads that are benched by default.
    pub fn workloads(&self) -> Result<Vec<Workload>> {
        let names: &[&str] = if self.quick {
            &["indexer/blocktracker", "stress/touch"]
        } else {
            &["indexer/blocktracker", "indexer/utxo", "indexer/lru", "stress/touch"]
        };
        names.iter().map(|name| self.workload(name, &[])).collect()
    }

    /// Benches every strategy on a workload; `part` says what of a block's times criterion is told.
    pub fn cells(&mut self, group: &str, workload: &Workload, part: fn(&Timed) -> u64) -> Result<()> {
        let Self { criterion, bench, contenders, .. } = self;
        let course = bench.course(workload)?;
        let mut group = criterion.benchmark_group(group);
        group.throughput(throughput(&course)).sampling_mode(SamplingMode::Flat);
        for contender in contenders.iter().filter(|contender| possible(contender, &course)) {
            cell(&mut group, bench, &course, contender, part)?;
        }
        group.finish();
        Ok(())
    }

    /// Says where the rows are.
    pub fn close(self) -> Result<()> {
        let folder = self.bench.close()?;
        eprintln!("rows are in {0}; draw them with `resetbench report {0}`", folder.display());
        self.criterion.final_summary();
        Ok(())
    }
}

/// Blocks per second, and bytes of dirty pages per second.
pub fn throughput(course: &Course) -> Throughput {
    Throughput::ElementsAndBytes { elements: 1, bytes: course.dirty_bytes }
}

/// Whether the strategy runs here and on this module; where it does not, the suite's own run gives the reason.
pub fn possible(contender: &Contender, course: &Course) -> bool {
    let strategy = contender.strategy;
    let supported = |facts| strategy.support(&facts) == Support::Supported;
    let here = strategy.availability() == reset_strategies::Availability::Available;
    here && Facts::read(&course.workload.module).is_ok_and(supported)
}

/// Benches one cell. It is started when criterion first asks for it, so that what a filter leaves out costs nothing.
fn cell(
    group: &mut BenchmarkGroup<'_, WallTime>,
    bench: &mut Bench,
    course: &Course,
    contender: &Contender,
    part: fn(&Timed) -> u64,
) -> Result<()> {
    let mut subject = None;
    let mut failed = None;
    group.bench_function(BenchmarkId::new(course.workload.name.as_str(), &contender.name), |bencher| {
        bencher.iter_custom(|iters| {
            let mut run = || -> Result<Duration> {
                if subject.is_none() {
                    subject = bench.subject(course, contender)?;
                }
                let Some(subject) = &mut subject else { return Ok(Duration::ZERO) };
                let timed = bench.time(subject, iters)?;
                // Whole traces were run; criterion is told of as many blocks as it asked for.
                let blocks = timed.execute.len().max(1) as f64;
                Ok(Duration::from_nanos((part(&timed) as f64 / blocks * iters as f64) as u64))
            };
            run().unwrap_or_else(|error| {
                failed.get_or_insert(error);
                // Criterion needs a time to go on; the bench fails right after.
                Duration::from_nanos(iters)
            })
        });
    });
    match (failed, subject) {
        (Some(error), _) => Err(error),
        (None, Some(subject)) => bench.finish(subject),
        (None, None) => Ok(()),
    }
}
