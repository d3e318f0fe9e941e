//! What a host can ask for.

use std::fmt;

use anyhow::{Context, Result, bail};
use reset_strategies::{Kernel, Swap};
use serde::{Serialize, Serializer};

use super::choice::Candidate;
use crate::analyse::settling::Settling;
use crate::analyse::summary::Verdict;
use crate::kernels;
use crate::kernels::seen::{self, Host};
use crate::units::{bytes, ns};

/// The limits that a strategy has to keep; absent ones do not limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// The most that the process may have resident at its peak, in bytes.
    pub max_rss: Option<u64>,
    /// The most that all stages of startup may take, in nanoseconds.
    pub max_startup_ns: Option<u64>,
    /// Blocks between two starts of the process: what settling takes has to be paid by then.
    pub blocks_per_start: Option<u64>,
    /// Whether the reset has to hold when pages are swapped out.
    pub must_survive_swap: bool,
    /// The kernel that the host has.
    #[serde(serialize_with = "as_text")]
    pub kernel: Option<Kernel>,
    /// The architecture of the run, whose boots speak for the host's kernel; all do where it is not known.
    #[serde(skip)]
    pub arch: Option<&'static str>,
}

fn as_text<S: Serializer>(kernel: &Option<Kernel>, serializer: S) -> Result<S::Ok, S::Error> {
    kernel.map(|kernel| kernel.to_string()).serialize(serializer)
}

impl Limits {
    /// Why a strategy does not fit, if it does not. What was not measured is not known to fit.
    pub fn objection(&self, candidate: &Candidate) -> Option<String> {
        let unfit = |what: &str, limit: Option<u64>, figure: Option<u64>, write: fn(u64) -> String| {
            let limit = limit?;
            match figure {
                Some(figure) if figure <= limit => None,
                Some(figure) => Some(format!("its {what} is {}", write(figure))),
                None => Some(format!("its {what} was not measured")),
            }
        };
        let rss = candidate.cell.rss().map(|rss| rss.peak);
        unfit("RSS", self.max_rss, rss, bytes)
            .or_else(|| unfit("startup", self.max_startup_ns, candidate.cell.startup_total(), ns))
            .or_else(|| self.objection_to_settling(candidate))
            .or_else(|| self.objection_to_facts(candidate))
    }

    /// The baseline has nothing to pay for.
    fn objection_to_settling(&self, candidate: &Candidate) -> Option<String> {
        let blocks = self.blocks_per_start?;
        match candidate.cell.settling() {
            _ if candidate.cell.verdict() == Verdict::Baseline => None,
            None => Some("what its settling takes was not measured".into()),
            Some(Settling { pays_after: Some(from), .. }) if from <= blocks => None,
            Some(Settling { pays_after: Some(from), .. }) => {
                Some(format!("it has spent less than the baseline only from block {from} on"))
            }
            Some(Settling { pays_after: None, .. }) => Some("it never spends less than the baseline".into()),
        }
    }

    /// The host as the boots of kernels know it.
    pub fn host(&self) -> Option<Host<'static>> {
        Some(Host { kernel: self.kernel?, arch: self.arch, swap: self.must_survive_swap })
    }

    fn objection_to_facts(&self, candidate: &Candidate) -> Option<String> {
        if !self.must_survive_swap && self.kernel.is_none() {
            return None;
        }
        let Some(strategy) = candidate.strategy else {
            return Some("this version does not know the strategy".into());
        };
        match strategy.swap() {
            Swap::Diverges { reason } if self.must_survive_swap => {
                return Some(format!("it does not survive swap: {reason}"));
            }
            _ => {}
        }
        let host = self.host()?;
        let known = if host.kernel < strategy.kernel() {
            Some(format!("it needs Linux {}", strategy.kernel()))
        } else {
            let fault = strategy.fault(host.kernel, host.swap);
            fault.map(|(mechanism, broken)| format!("{} is {broken}", mechanism.name))
        };
        let told = [known, seen::objection(kernels::all(), strategy.name(), &host)];
        let told: Vec<String> = told.into_iter().flatten().collect();
        (!told.is_empty()).then(|| told.join("; "))
    }

    /// Each limit that was set, and what is asked for without it.
    pub fn without_each(&self) -> Vec<(String, Self)> {
        let without = [
            Self { max_rss: None, ..*self },
            Self { max_startup_ns: None, ..*self },
            Self { blocks_per_start: None, ..*self },
            Self { must_survive_swap: false, ..*self },
            Self { kernel: None, ..*self },
        ];
        self.flags().into_iter().zip(without).filter_map(|(flag, limits)| Some((flag?, limits))).collect()
    }

    fn flags(&self) -> [Option<String>; 5] {
        [
            self.max_rss.map(|limit| format!("--max-rss {}", bytes(limit))),
            self.max_startup_ns.map(|limit| format!("--max-startup {}", ns(limit))),
            self.blocks_per_start.map(|blocks| format!("--blocks-per-start {blocks}")),
            self.must_survive_swap.then(|| "--must-survive swap".to_owned()),
            self.kernel.map(|kernel| format!("--kernel {kernel}")),
        ]
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags: Vec<String> = self.flags().into_iter().flatten().collect();
        f.write_str(if flags.is_empty() { "no limits" } else { "" })?;
        f.write_str(&flags.join(" "))
    }
}

/// Reads `20MiB`, `1.5 GiB`, `800K` or a plain number of bytes.
///
/// # Errors
/// When it is neither.
pub fn size(text: &str) -> Result<u64> {
    let text = text.trim();
    let (number, unit) = match text.find(|c: char| !c.is_ascii_digit() && c != '.') {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let factor: u64 = match unit.trim() {
        "" => 1,
        "K" | "KiB" => 1 << 10,
        "M" | "MiB" => 1 << 20,
        "G" | "GiB" => 1 << 30,
        other => bail!("`{other}` is no unit of memory: write KiB, MiB or GiB, as in 20MiB"),
    };
    let number: f64 = number.parse().with_context(|| format!("`{text}` is no size, such as 20MiB"))?;
    Ok((number * factor as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_they_are_typed() {
        for (text, bytes) in
            [("20MiB", 20 << 20), ("1.5 GiB", 3 << 29), ("800K", 800 << 10), ("4096", 4096), ("0", 0)]
        {
            assert_eq!(size(text).unwrap(), bytes, "{text}");
        }
        for (text, why) in
            [("20MB", "no unit of memory"), ("", "no size"), ("-1", "no unit"), ("1.2.3", "no size")]
        {
            assert!(format!("{:#}", size(text).unwrap_err()).contains(why), "{text}");
        }
    }

    #[test]
    fn limits_are_named_as_they_are_typed() {
        let limits = Limits { max_rss: Some(20 << 20), must_survive_swap: true, ..Limits::default() };
        assert_eq!(limits.to_string(), "--max-rss 20.0 MiB --must-survive swap");
        assert_eq!(Limits::default().to_string(), "no limits");
        assert_eq!(limits.without_each().len(), 2);
        assert_eq!(limits.without_each()[1].1, Limits { max_rss: Some(20 << 20), ..Limits::default() });
    }
}
