//! What was typed after `cargo bench --`. Criterion reads it first, and refuses what it does not know.

use anyhow::Result;
use clap::Parser;
use regex::Regex;

/// Criterion's arguments, as far as they are needed here; of the others it matters only that they take a value, which is no
/// filter.
#[derive(Debug, Parser)]
#[command(ignore_errors = true, disable_help_flag = true, disable_version_flag = true)]
pub struct Args {
    filter: Option<String>,
    #[arg(long)]
    exact: bool,
    #[arg(long)]
    ignored: bool,
    #[arg(long)]
    pub list: bool,
    #[arg(long)]
    pub quick: bool,
    #[arg(long)]
    bench: bool,
    #[arg(long)]
    test: bool,
    #[arg(long)]
    profile_time: Option<f64>,
    #[arg(short, long)]
    pub save_baseline: Option<String>,
    #[arg(short, long)]
    baseline: Option<String>,
    #[arg(long)]
    baseline_lenient: Option<String>,
    #[arg(long)]
    load_baseline: Option<String>,
    #[arg(long)]
    sample_size: Option<u32>,
    #[arg(long, short)]
    color: Option<String>,
    #[arg(long)]
    format: Option<String>,
    #[arg(long)]
    warm_up_time: Option<String>,
    #[arg(long)]
    measurement_time: Option<String>,
    #[arg(long)]
    nresamples: Option<String>,
    #[arg(long)]
    noise_threshold: Option<String>,
    #[arg(long)]
    confidence_level: Option<String>,
    #[arg(long)]
    significance_level: Option<String>,
    #[arg(long)]
    plotting_backend: Option<String>,
    #[arg(long)]
    output_format: Option<String>,
    #[arg(long, short)]
    verbose: bool,
    #[arg(long)]
    quiet: bool,
    #[arg(long, short)]
    noplot: bool,
    #[arg(long)]
    discard_baseline: bool,
    #[arg(long)]
    nocapture: bool,
    #[arg(long)]
    show_output: bool,
    #[arg(long)]
    include_ignored: bool,
}

impl Args {
    /// Reads what was typed; criterion has to have read it before.
    ///
    /// # Errors
    /// When even a tolerant reader makes nothing of it.
    pub fn read() -> Result<Self> {
        Ok(Self::try_parse()?)
    }

    /// Whether criterion measures, rather than only calling each function, or profiling it, or reading old samples.
    pub fn measures(&self) -> bool {
        self.bench && !self.test && self.profile_time.is_none() && self.load_baseline.is_none()
    }

    /// Samples that criterion is asked for, by itself where `--quick` stands.
    pub fn sample_size(&self) -> Option<u32> {
        self.sample_size
    }

    /// The baseline to compare with.
    pub fn baseline(&self) -> Option<&str> {
        self.baseline.as_deref().or(self.baseline_lenient.as_deref())
    }

    /// Which benchmarks are wanted, by their full names.
    ///
    /// # Errors
    /// When the filter is no regular expression.
    pub fn filter(&self) -> Result<impl Fn(&str) -> bool + use<>> {
        let exact = self.filter.clone().filter(|_| self.exact);
        let pattern = self.filter.as_deref().filter(|_| !self.exact).map(Regex::new).transpose()?;
        let none = self.ignored;
        Ok(move |name: &str| {
            !none
                && exact.as_ref().is_none_or(|exact| exact == name)
                && pattern.as_ref().is_none_or(|pattern| pattern.is_match(name))
        })
    }
}
