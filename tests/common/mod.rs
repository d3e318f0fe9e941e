//! Runs made of literal numbers, for whoever judges saved files.

#![allow(dead_code, reason = "each test file uses a part of this")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use assert_cmd::Command;
use reset_strategies::registry;
use resetbench::gate::history::Night;
use resetbench::hosts;
use resetbench::launch::plan::{Contender, Plan, Profile};
use resetbench::launch::record::{Record, StrategyRecord, WorkloadRecord};
use resetbench::machine;
use resetbench::measure::row::{Params, Phase, Row, Status, Unit};

/// The machine class of every made-up run.
pub const CLASS: &str = "x86_64-made-up-2c-linux6.18-4k";

/// The baseline a second time.
const AGAIN: &str = "fresh/relink#2";

/// The workload of every made-up run.
pub const WORKLOAD: &str = "stress/touch";

/// A strategy that is judged, and its ratio to the baseline unless a run says otherwise.
pub const STRATEGY: &str = "dirty/uffd-wp";
pub const RATIO: f64 = 0.4;

/// The program.
pub fn resetbench() -> Command {
    Command::cargo_bin("resetbench").expect("the program is built before its tests")
}

/// A made-up run: ratios of the strategy and of the A/A pair to the baseline.
#[derive(Clone)]
pub struct Run {
    pub name: String,
    pub strategy: f64,
    pub pair: Option<f64>,
    /// Relative distance of the rounds from their middle.
    pub wobble: f64,
    pub diverged: bool,
    /// Whether it did so in the old build.
    pub diverged_before: bool,
    /// Contenders of an old build, with their ratios to the baseline.
    pub old: Vec<(String, f64)>,
    /// Blocks of the counter pass: contender, phase, metric.
    pub counts: Vec<(String, Phase, String, Vec<u64>)>,
    /// Resident memory of contenders that differ from the others.
    pub resident: Vec<(String, u64)>,
    pub record: Record,
}

impl Run {
    pub fn new(name: &str) -> Self {
        let mut contenders: Vec<_> = [registry::BASELINE, STRATEGY]
            .map(|name| Contender::new(registry::find(name).expect(name)))
            .into();
        contenders.push(Contender::again(hosts::plain()));
        let plan = Plan {
            host: hosts::plain(),
            contenders,
            workloads: Vec::new(),
            effort: Profile::Smoke.effort(),
            seed: 1,
            timeout: Duration::from_secs(1),
        };
        let noise = machine::noise(Duration::from_millis(1));
        let mut record = Record::new(name, Profile::Smoke, &plan, "resetbench run".into(), noise);
        record.machine.class = CLASS.into();
        record.started = "2026-03-01T02:00:00Z".into();
        record.finished = Some("2026-03-01T02:10:00Z".into());
        record.workloads.push(WorkloadRecord {
            name: WORKLOAD.into(),
            category: "stress".into(),
            summary: "made up".into(),
            params: params(),
            module_sha256: "11".repeat(32),
            module_bytes: 1,
            blocks: 1,
            heights: None,
            trace_sha256: "22".repeat(32),
            trace_bytes: 1,
            filled_from_sha256: None,
        });
        let pair = Some(1.001);
        let (old, counts, resident) = (Vec::new(), Vec::new(), Vec::new());
        let (name, strategy) = (name.into(), RATIO);
        let (diverged, diverged_before) = (false, false);
        Self { name, strategy, pair, wobble: 0.002, diverged, diverged_before, old, counts, resident, record }
    }

    /// A run that holds two builds, which differ in nothing: the old one is called `old`.
    pub fn of_two_builds(name: &str) -> Self {
        let mut run = Self::new(name);
        for (strategy, ratio) in [(registry::BASELINE, 1.0), (STRATEGY, RATIO)] {
            let contender = format!("{strategy}@old");
            let known = run.record.strategies.iter().find(|known| known.name == strategy).expect("it runs");
            let record = StrategyRecord { name: contender.clone(), control: true, ..known.clone() };
            run.record.strategies.push(record);
            for contender in [strategy, &contender] {
                let restored = ("bytes_restored".to_owned(), vec![1 << 20, 3 << 20]);
                run.counts.push((contender.to_owned(), Phase::Reset, restored.0, restored.1));
            }
            run.old.push((contender, ratio));
        }
        run.record.command = "resetbench run --aa --against target/old=old -p dirty=256".into();
        run
    }

    /// The counts of a contender.
    pub fn counts_of(&mut self, contender: &str) -> &mut Vec<u64> {
        let of = self.counts.iter_mut().find(|(of, ..)| of == contender);
        &mut of.expect("it has counts").3
    }

    /// Writes the folder of the run.
    pub fn write(mut self, parent: &Path) -> PathBuf {
        let folder = parent.join(&self.name);
        fs::create_dir_all(&folder).expect("a folder");
        if self.pair.is_none() {
            self.record.again = None;
            self.record.strategies.retain(|strategy| strategy.name != AGAIN);
        }
        self.record.write(&folder).expect("run.json");
        let lines: Vec<String> =
            self.rows().iter().map(|row| serde_json::to_string(row).expect("a row") + "\n").collect();
        fs::write(folder.join("rows.ndjson"), lines.concat()).expect("rows.ndjson");
        folder
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        let own = [(registry::BASELINE, Some(1.0)), (STRATEGY, Some(self.strategy)), (AGAIN, self.pair)];
        let old = self.old.iter().map(|(contender, ratio)| (contender.as_str(), Some(*ratio)));
        for (place, (strategy, ratio)) in (0..).zip(own.into_iter().chain(old)) {
            let Some(ratio) = ratio else { continue };
            let row = |launch, phase, metric: &str, unit| Row {
                run: self.record.run.clone(),
                launch,
                round: None,
                cpu: None,
                order: None,
                strategy: strategy.into(),
                workload: WORKLOAD.into(),
                params: params(),
                phase,
                metric: metric.into(),
                unit,
                value: None,
                samples: Vec::new(),
                at_ns: None,
                status: Status::Ok,
                error: None,
            };
            let mut verified = row(0, Phase::Verify, "equivalence", Unit::Count);
            let before = strategy.strip_suffix("@old");
            if (self.diverged && strategy == STRATEGY) || (self.diverged_before && before == Some(STRATEGY)) {
                verified.status = Status::Diverged;
                verified.error = Some("memory 0 differs at 0x40".into());
            }
            rows.push(verified);
            for launch in 0..5 {
                for round in 0..5 {
                    // The whole round is slower or faster for all; only the wobble is a contender's own.
                    let common = 100_000.0 * (1.0 + 0.1 * f64::from((launch * 5 + round) % 7));
                    let own = f64::from((launch * 3 + round * 5 + place * 2) % 5) - 2.0;
                    let cycle = (common * ratio * (1.0 + self.wobble * own / 2.0)) as u64;
                    for (phase, value) in [
                        (Phase::Execute, cycle - cycle / 4),
                        (Phase::Reset, cycle / 4),
                        (Phase::Cycle, cycle),
                    ] {
                        let mut row = row(launch, phase, "time", Unit::Nanoseconds);
                        (row.round, row.order, row.value) = (Some(round), Some(place), Some(value));
                        rows.push(row);
                    }
                }
            }
            for (_, phase, metric, blocks) in self.counts.iter().filter(|(of, ..)| of == strategy) {
                let row = row(0, *phase, metric, Unit::Count);
                rows.push(Row { value: blocks.first().copied(), samples: blocks.clone(), ..row });
            }
            let resident = self.resident.iter().find(|(of, _)| of == strategy).map(|(_, bytes)| *bytes);
            let resident = Some(resident.unwrap_or(50 << 20));
            for at in 0..4 {
                let row = row(4, Phase::Memory, "rss", Unit::Bytes);
                rows.push(Row { value: resident, at_ns: Some(at * 1_000_000), ..row });
            }
            let row = row(4, Phase::Memory, "rest_rss", Unit::Bytes);
            rows.push(Row { value: resident, samples: resident.into_iter().collect(), ..row });
        }
        rows
    }
}

pub fn params() -> Params {
    Params::from([("dirty".into(), 256.into())])
}

/// Past nights: the strategy's ratio and the pair's on each, a day apart.
pub fn history(path: &Path, nights: &[(f64, f64)]) {
    let parent = tempfile::tempdir().expect("a folder");
    let mut text = String::new();
    for (day, &(strategy, pair)) in (1..).zip(nights) {
        let mut run = Run::new(&format!("night-{day}"));
        (run.strategy, run.pair) = (strategy, Some(pair));
        run.record.started = format!("2026-01-{day:02}T02:00:00Z");
        let saved = resetbench::launch::saved::Saved::read(&run.write(parent.path())).expect("a run");
        text += &(serde_json::to_string(&Night::of(&saved, false)).expect("a night") + "\n");
    }
    fs::write(path, text).expect("a history");
}

/// Twenty nights on which the strategy's ratio goes up and down by a share.
pub fn wobbling(share: f64) -> Vec<(f64, f64)> {
    let sign = |night| if night % 2 == 0 { 1.0 } else { -1.0 };
    (0..20).map(|night| (RATIO * (1.0 + share * sign(night) / 2.0), 1.0 + 0.002 * sign(night))).collect()
}
