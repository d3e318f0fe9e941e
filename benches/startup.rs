//! From the files to the first block done, in a process that runs already and finds the module compiled.

mod common;

use std::time::Duration;

use anyhow::Result;
use criterion::BenchmarkId;

fn main() -> Result<()> {
    let mut setup = common::Setup::new("startup")?;
    for workload in setup.workloads()? {
        let common::Setup { criterion, bench, contenders, .. } = &mut setup;
        let course = bench.course(&workload)?;
        let mut group = criterion.benchmark_group("startup");
        for contender in contenders.iter().filter(|contender| common::possible(contender, &course)) {
            let mut failed = None;
            group.bench_function(
                BenchmarkId::new(course.workload.name.as_str(), &contender.name),
                |bencher| {
                    bencher.iter_custom(|iters| {
                        let starts =
                            (0..iters).map(|_| bench.startup(&course, contender)).sum::<Result<Duration>>();
                        starts.unwrap_or_else(|error| {
                            failed.get_or_insert(error);
                            Duration::from_nanos(iters)
                        })
                    });
                },
            );
            if let Some(error) = failed {
                return Err(error);
            }
        }
        group.finish();
    }
    setup.close()
}
