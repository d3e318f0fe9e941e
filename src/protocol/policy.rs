//! When a host resets. The contract is about resets that happen; some hosts leave most of them out.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::workload::host::Outcome;

/// When the instance is reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// After every block.
    #[default]
    Every,
    /// When the memory has reached this many bytes: metashrew's rockshrew does at 1.75 GB.
    Above(u64),
    /// After a block that failed, which is then run once more.
    OnFailure,
}

impl Policy {
    /// Whether a block that ended so, leaving so large a memory, is followed by a reset.
    pub fn resets(self, outcome: &Outcome, memory_bytes: u64) -> bool {
        match self {
            Self::Every => true,
            Self::Above(threshold) => memory_bytes >= threshold,
            Self::OnFailure => *outcome != Outcome::Completed,
        }
    }

    /// Whether a block that was reset after such an end is run again.
    pub fn retries(self, outcome: &Outcome) -> bool {
        self == Self::OnFailure && *outcome != Outcome::Completed
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every => f.write_str("every"),
            Self::Above(bytes) => write!(f, "above={}", size(*bytes)),
            Self::OnFailure => f.write_str("on-failure"),
        }
    }
}

impl FromStr for Policy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            None if text == "every" => Ok(Self::Every),
            None if text == "on-failure" => Ok(Self::OnFailure),
            Some(("above", size)) => bytes(size)
                .map(Self::Above)
                .ok_or_else(|| format!("`{size}` is not a size such as 1835008, 64MiB or 1.75GB")),
            _ => Err("a policy is `every`, `above=BYTES` or `on-failure`".into()),
        }
    }
}

/// Units of sizes; the last stands for none.
const UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("", 1),
];

/// The shortest way to write a size with at most two decimals, none of them rounded.
fn size(bytes: u64) -> String {
    let spellings = UNITS.iter().filter_map(|(name, unit)| {
        let hundredths = u128::from(bytes) * 100;
        let (whole, rest) = (hundredths / u128::from(*unit), hundredths % u128::from(*unit));
        let number = format!("{}.{:02}", whole / 100, whole % 100);
        let number = number.trim_end_matches('0').trim_end_matches('.');
        (rest == 0).then(|| format!("{number}{name}"))
    });
    spellings.min_by_key(String::len).expect("every size is a number of bytes")
}

/// A size: bytes, or a number with a unit of 1000 (`GB`) or 1024 (`GiB`).
fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = UNITS.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))?;
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(unit);
    }
    let bytes = number.parse::<f64>().ok()? * unit as f64;
    (unit > 1 && bytes >= 0.0 && bytes < u64::MAX as f64).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_reads_as_it_prints() {
        for policy in [Policy::Every, Policy::Above(1 << 20), Policy::OnFailure] {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
        let sizes = [
            (1_750_000_000, "1.75GB"),
            (64 << 20, "64MiB"),
            (1_835_009, "1835009"),
            (3 << 29, "1.5GiB"),
            (0, "0"),
            (u64::MAX, "18446744073709551615"),
        ];
        for (bytes, text) in sizes {
            assert_eq!(Policy::Above(bytes).to_string(), format!("above={text}"));
            assert_eq!(format!("above={text}").parse(), Ok(Policy::Above(bytes)));
        }
        assert_eq!("above=64MiB".parse(), Ok(Policy::Above(64 << 20)));
        for wrong in
            ["", "always", "above", "above=", "above=-1", "above=1.5", "above=NaNGB", "above=99999999999GiB"]
        {
            assert!(wrong.parse::<Policy>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_policy_resets_when_it_says() {
        let trap = Outcome::Trapped("unreachable".into());
        for (policy, after_success, after_trap, when_large) in [
            (Policy::Every, true, true, true),
            (Policy::Above(100), false, false, true),
            (Policy::OnFailure, false, true, false),
        ] {
            assert_eq!(policy.resets(&Outcome::Completed, 99), after_success, "{policy}");
            assert_eq!(policy.resets(&trap, 99), after_trap, "{policy}");
            assert_eq!(policy.resets(&Outcome::Completed, 100), when_large, "{policy}");
            assert_eq!(policy.retries(&trap), policy == Policy::OnFailure);
            assert!(!policy.retries(&Outcome::Completed));
        }
    }
}
