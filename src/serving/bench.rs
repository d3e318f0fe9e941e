//! Serves with all contenders side by side.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use reset_strategies::Strategy;

use super::effort::{Effort, PLACES, WARM_UP};
use super::report::{Point, Seen, Setting};
use crate::analyse::quantile::median;
use crate::hosts::Host;
use crate::launch::plan::Order;
use crate::launch::process::{Cell, Ended};
use crate::launch::stage::{Results, Stage};
use crate::measure::row::{Phase, Row, Status, Unit};
use crate::measure::sampler;
use crate::protocol::serving::{Load, Serve, Served};
use crate::protocol::staging::{self, Staged};
use crate::protocol::{Request, Spec};
use crate::workload::Workload;

/// Everything that stays the same from workload to workload.
pub struct Bench<'a> {
    pub host: &'a Host,
    pub effort: &'a Effort,
    pub seed: u64,
    pub timeout: Duration,
    pub stage: &'a Stage,
    pub results: &'a mut Results,
}

/// A contender of a launch.
struct Contender {
    name: &'static str,
    cell: Option<Cell>,
    /// Resident bytes before the first call.
    empty: Option<u64>,
    /// Calls that it served in a second in this launch, with as many callers as workers.
    most: f64,
}

/// Which slice is served.
#[derive(Clone, Copy)]
struct Turn {
    launch: u32,
    setting: Setting,
    /// From 0; those below [`WARM_UP`] do not count.
    round: u32,
}

impl Bench<'_> {
    /// What each of these strategies, all known to be right, was seen to do on one workload; or what was seen until it was
    /// interrupted.
    ///
    /// # Errors
    /// When files cannot be written.
    pub fn workload(
        &mut self,
        workload: &Workload,
        strategies: &[&'static Strategy],
    ) -> Result<BTreeMap<&'static str, Seen>> {
        let staged = staging::stage(self.stage.staging.path(), workload)?;
        let mut seen: BTreeMap<&'static str, Seen> =
            strategies.iter().map(|strategy| (strategy.name(), Seen::default())).collect();
        let mut order = Order::new(self.seed, 0);
        for launch in 0..self.effort.launches {
            let mut contenders = self.start(workload, &staged, strategies, launch, &mut seen)?;
            for setting in self.effort.settings() {
                self.setting(workload, (launch, setting), &mut contenders, &mut order, &mut seen)?;
                if self.stage.stopped() {
                    return Ok(seen);
                }
            }
        }
        Ok(seen)
    }

    /// Starts a child for each strategy that has not failed.
    fn start(
        &mut self,
        workload: &Workload,
        staged: &Staged,
        strategies: &[&'static Strategy],
        launch: u32,
        seen: &mut BTreeMap<&'static str, Seen>,
    ) -> Result<Vec<Contender>> {
        let mut contenders = Vec::new();
        for strategy in strategies {
            let name = strategy.name();
            if seen.get(name).is_some_and(|seen| seen.failed.is_some()) {
                continue;
            }
            self.stage.progress.say(&format!("serving {}: launch {}, {name}", workload.name, launch + 1));
            let spec = Spec {
                host: self.host.clone(),
                places: Some(PLACES),
                ..Spec::new(name, workload, staged, self.timeout)
            };
            match Cell::start(&self.stage.binary, spec) {
                Ok((cell, _)) => {
                    let empty = sampler::resident(cell.pid()).ok();
                    contenders.push(Contender { name, cell: Some(cell), empty, most: 0.0 });
                }
                Err(ended) => self.gone(workload, name, launch, &ended, seen)?,
            }
        }
        Ok(contenders)
    }

    /// All rounds of a setting, and the memory that it needed.
    fn setting(
        &mut self,
        workload: &Workload,
        (launch, setting): (u32, Setting),
        contenders: &mut [Contender],
        order: &mut Order,
        seen: &mut BTreeMap<&'static str, Seen>,
    ) -> Result<()> {
        for contender in contenders.iter() {
            if let Some(Err(why)) = contender.cell.as_ref().map(|cell| sampler::forget_peak(cell.pid())) {
                self.stage.progress.warn(&format!("{}: no peak: {why}", contender.name));
            }
        }
        let mut rates: Vec<Vec<f64>> = vec![Vec::new(); contenders.len()];
        for round in 0..WARM_UP + self.effort.rounds {
            self.stage.progress.say(&format!(
                "serving {}: launch {} of {}, {setting}, round {} of {}",
                workload.name,
                launch + 1,
                self.effort.launches,
                round + 1,
                WARM_UP + self.effort.rounds
            ));
            let turn = Turn { launch, setting, round };
            let mut served = Vec::new();
            for index in order.shuffled(contenders.len()) {
                if self.stage.stopped() {
                    return Ok(());
                }
                let contender = &mut contenders[index];
                let ask = self.serve(turn, contender.most);
                let Some(cell) = &mut contender.cell else { continue };
                match cell.ask::<Box<Served>>(&Request::Serve(ask)) {
                    Ok(answer) => served.push((index, *answer)),
                    Err(ended) => {
                        contender.cell = None;
                        self.gone(workload, contender.name, launch, &ended, seen)?;
                    }
                }
            }
            for (order, (index, served)) in (0..).zip(served) {
                let name = contenders[index].name;
                if turn.counts() {
                    rates[index].push(served.rate());
                    self.write(workload, name, turn, order, &served)?;
                    let Some(seen) = seen.get_mut(name) else { continue };
                    seen.point(setting).slices.insert((launch, round), served);
                }
            }
        }
        for (contender, rates) in contenders.iter_mut().zip(&mut rates) {
            if setting == Setting::Callers(self.effort.workers) {
                contender.most = median(rates).unwrap_or_default();
            }
            let (Some(cell), Some(seen)) = (&contender.cell, seen.get_mut(contender.name)) else { continue };
            let memory =
                [contender.empty, sampler::resident(cell.pid()).ok(), sampler::peak(cell.pid()).ok()];
            seen.point(setting).memory.insert(launch, memory);
            self.remember(workload, contender.name, (launch, setting), memory)?;
        }
        Ok(())
    }

    fn serve(&self, turn: Turn, most: f64) -> Serve {
        let (callers, load) = match turn.setting {
            Setting::Callers(callers) | Setting::Indexing(callers) => (callers, Load::Closed),
            // Whoever arrives while all are busy has to wait.
            Setting::Load(_) => (self.effort.workers, Load::Open { per_second: most * turn.setting.share() }),
        };
        let millis = u64::try_from(self.effort.slice.as_millis()).unwrap_or(u64::MAX);
        // The same requests for all contenders of a round.
        let seed = self.seed ^ u64::from(turn.launch) << 32 ^ u64::from(turn.round);
        let indexing = matches!(turn.setting, Setting::Indexing(_));
        Serve { callers, millis, load, indexing, settling: !turn.counts(), seed }
    }

    /// A contender whose child ended is not started again.
    fn gone(
        &mut self,
        workload: &Workload,
        name: &'static str,
        launch: u32,
        ended: &Ended,
        seen: &mut BTreeMap<&'static str, Seen>,
    ) -> Result<()> {
        let reason = format!("it ended in launch {}: {ended}", launch + 1);
        self.stage.progress.warn(&format!("{name} serving {}: {reason}", workload.name));
        let row = Row::new(&self.results.run, name, &workload.name, &workload.params, Phase::Serve);
        let error = Some(reason.clone());
        self.results.rows.write(&Row {
            launch,
            metric: "calls".into(),
            status: Status::Failed,
            error,
            ..row
        })?;
        if let Some(seen) = seen.get_mut(name) {
            seen.failed = Some(reason);
        }
        Ok(())
    }

    /// What every row of a setting has in common: the setting is a parameter, so that none passes for a row of blocks.
    fn row(&self, workload: &Workload, name: &str, launch: u32, setting: Setting) -> Row {
        let mut row = Row::new(&self.results.run, name, &workload.name, &workload.params, Phase::Serve);
        let (parameter, value) = setting.parameter();
        row.params.insert(parameter.into(), value);
        Row { launch, ..row }
    }

    /// A slice as rows. A histogram is written as pairs of a value and how often it came.
    fn write(
        &mut self,
        workload: &Workload,
        name: &str,
        turn: Turn,
        order: u32,
        served: &Served,
    ) -> Result<()> {
        let row = self.row(workload, name, turn.launch, turn.setting);
        let row = Row { round: Some(turn.round), order: Some(order), unit: Unit::Count, ..row };
        let counts = [("calls", served.calls()), ("failed", served.failed), ("left", served.left)];
        let counts = counts.into_iter().chain(served.counts.named());
        let counted =
            |(metric, value): (&str, u64)| Row { metric: metric.into(), value: Some(value), ..row.clone() };
        self.results.rows.write_all(counts.map(counted))?;
        let row = Row { unit: Unit::Nanoseconds, ..row };
        let elapsed = Row { metric: "elapsed".into(), value: Some(served.elapsed_ns), ..row.clone() };
        self.results.rows.write(&elapsed)?;
        let parts = [
            ("latency", &served.latency),
            ("waiting", &served.waiting),
            ("service", &served.service),
            ("reset", &served.reset),
            ("block", &served.blocks),
        ];
        let parts = parts.into_iter().filter(|(_, latencies)| latencies.calls() > 0);
        self.results.rows.write_all(parts.map(|(metric, latencies)| Row {
            metric: metric.into(),
            value: latencies.percentiles().map(|found| found.p50),
            samples: latencies.pairs().flat_map(|(ns, count)| [ns, count]).collect(),
            ..row.clone()
        }))
    }

    /// The memory of a setting as rows.
    fn remember(
        &mut self,
        workload: &Workload,
        name: &str,
        (launch, setting): (u32, Setting),
        memory: [Option<u64>; 3],
    ) -> Result<()> {
        let row = Row { unit: Unit::Bytes, ..self.row(workload, name, launch, setting) };
        let named = ["rss_empty", "rss", "rss_peak"].into_iter().zip(memory);
        let rows = named.filter_map(|(metric, value)| Some((metric, value?)));
        self.results.rows.write_all(rows.map(|(metric, value)| Row {
            metric: metric.into(),
            value: Some(value),
            ..row.clone()
        }))
    }
}

impl Turn {
    fn counts(self) -> bool {
        self.round >= WARM_UP
    }
}

impl Seen {
    fn point(&mut self, setting: Setting) -> &mut Point {
        self.points.entry(setting).or_default()
    }
}
