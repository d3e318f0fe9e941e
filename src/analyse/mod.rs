//! From rows to a summary: the step that decides what may be claimed.
//!
//! It reads what measuring wrote ([`rows_file`]) and nothing else, and the same rows and [`Facts`] give the same
//! [`summary::Summary`], in whatever order the rows come.
//!
//! | step | file |
//! |---|---|
//! | rows of `rows.ndjson`, with the line named that cannot be read | [`rows_file`] |
//! | rows by cell; which cells may have figures | [`evidence`] |
//! | distributions, overhead, faults, memory, startup of a cell | [`figures`], [`quantile`] |
//! | how the blocks ended | [`outcomes`] |
//! | whether memory grows in a long run | [`growth`], [`student`] |
//! | ratios of two contenders within the same round | [`paired`] |
//! | a strategy against itself in another build | [`counterpart`] |
//! | interval of a ratio, launches being the unit | [`bootstrap`], [`student`] |
//! | from which step on a launch is steady | [`steady`] |
//! | what becoming steady takes, and when it has paid | [`spent`] |
//! | whether the first kept rounds are like the later ones | [`first_rounds`] |
//! | faster, slower, same, unsure, and the sentence | [`verdict`] |
//! | when a cell has been measured for long enough | [`ending`] |
//! | all of it into cells | [`cells`] |
//! | who is best, and who cannot be told apart from it | [`standing`] |
//! | where one strategy overtakes another | [`crossover`] |
//! | quantiles of single blocks, for a curve | [`distribution`] |
//! | the folder of a run | [`crate::launch::saved`] |
//!
//! A figure that cannot be computed is absent. A cell whose reset was not found equal to a fresh instance has no
//! figures, even when its rows hold some: a wrong reset has no time.
//!
//! # References
//! - Abramowitz, Stegun: *Handbook of Mathematical Functions*, 1964.
//! - Bakirov, Székely: Student's t-test for Gaussian scale mixtures, *Zapiski Nauchnyh Seminarov POMI* 328, 2005.
//! - Davison, Hinkley: *Bootstrap Methods and their Application*, Cambridge 1997.
//! - Hyndman, Fan: Sample quantiles in statistical packages, *The American Statistician* 50(4), 1996.
//! - Ibragimov, Müller: t-statistic based correlation and heterogeneity robust inference, *JBES* 28(4), 2010.
//! - Kalibera, Jones: Rigorous benchmarking in reasonable time, *ISMM* 2013.
//! - Lemire: Fast random integer generation in an interval, *ACM TOMACS* 29(1), 2019.

pub mod bootstrap;
pub mod cells;
pub mod counterpart;
pub mod crossover;
pub mod distribution;
pub mod ending;
pub mod evidence;
pub mod figures;
pub mod first_rounds;
pub mod growth;
pub mod learned;
pub mod outcomes;
pub mod paired;
pub mod quantile;
pub mod rows_file;
pub mod settling;
pub mod spent;
pub mod standing;
pub mod steady;
pub mod student;
pub mod summary;
pub mod verdict;

use thiserror::Error;

use crate::measure::row::{Phase, Row};
use summary::Summary;

/// The one confidence level of all intervals.
///
/// A contender compared with itself may be called faster or slower in at most one comparison of a hundred. A verdict
/// other than same or unsure needs the interval to miss 1, which at this level happens that often by definition, so
/// that the promise needs no further correction. At 95 % it would be broken by every noisy machine.
pub const LEVEL: f64 = 0.99;

/// Differences up to this share, either way, are called the same.
///
/// Two per cent is the slow-down that a nightly run is asked to find.
pub const MARGIN: f64 = 0.02;

/// The seed of the resampling unless another is asked for. Any number would do; one that is fixed makes figures
/// reproducible from the rows.
pub const SEED: u64 = 0x7265_7365_7462_656e;

/// What the rows do not say about their run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub run: String,
    /// The host under whose settings it was.
    pub host: String,
    /// The strategy that ratios refer to.
    pub baseline: String,
    /// Every strategy that was to run; the cells of a workload come in this order.
    pub contenders: Vec<String>,
    /// Those of them that calibrate or are there to be caught.
    pub controls: Vec<String>,
    /// The strategy whose execute is the floor.
    pub floor: String,
    /// For the resampling; [`SEED`] unless there is a reason.
    pub seed: u64,
}

/// Rows that no summary can be made of.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Unfit {
    #[error("the rows are of run `{found}` as well as of `{expected}`: a summary speaks of one run")]
    OtherRun { expected: String, found: String },
    #[error(
        "`{strategy}` on `{workload}` has two {} times in launch {launch}, round {round}: \
         the rows were edited, or two runs were written to one file",
        format!("{phase:?}").to_lowercase()
    )]
    Repeated { strategy: String, workload: String, phase: Phase, launch: u32, round: u32 },
}

/// Summarises the rows of one run.
pub fn summarise(rows: &[Row], facts: &Facts) -> Result<Summary, Unfit> {
    let groups = evidence::gather(&facts.run, rows)?;
    let cells: Vec<_> = groups.iter().flat_map(|group| cells::cells(group, facts)).collect();
    let transients = first_rounds::transients(&groups, facts);
    Ok(Summary {
        schema: summary::SCHEMA,
        run: facts.run.clone(),
        host: Some(facts.host.clone()),
        baseline: facts.baseline.clone(),
        method: summary::Method {
            level: LEVEL,
            margin: MARGIN,
            resamples: bootstrap::RESAMPLES as u32,
            seed: facts.seed,
        },
        notes: transients.iter().map(ToString::to_string).collect(),
        standings: standing::standings(&cells),
        cells,
    })
}

#[cfg(test)]
mod tests;
