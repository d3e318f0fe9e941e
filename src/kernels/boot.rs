//! `cell.json`: what was booted, with what set, and how it ended, as `scripts/kernel-matrix` writes it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A boot of a kernel. Of one that could not be had little is known but why.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Boot {
    /// Its name, such as `x86_64-6.12-thp-always-swap-cgroup2`.
    pub cell: String,
    /// As `uname -m` prints it.
    #[serde(default)]
    pub arch: Option<String>,
    /// As `uname -r` prints it.
    #[serde(default)]
    pub kernel: Option<String>,
    /// Who built it.
    #[serde(default)]
    pub distribution: Option<String>,
    /// In bytes.
    #[serde(default)]
    pub page_size: Option<u64>,
    /// `always`, `madvise` or `never`.
    #[serde(default)]
    pub transparent_hugepage: Option<String>,
    /// Whether there was swap.
    #[serde(default)]
    pub swap: bool,
    /// The version of control groups that had the memory controller.
    #[serde(default)]
    pub cgroup: Option<u32>,
    /// Whether the kernel merged pages.
    #[serde(default)]
    pub ksm: bool,
    #[serde(default)]
    pub boot_arguments: Option<String>,
    /// What stood for the hardware.
    #[serde(default)]
    pub emulator: Option<String>,
    /// This program's version and commit.
    #[serde(default)]
    pub program: Option<String>,
    /// Such as `2026-11-29`.
    #[serde(default)]
    pub date: Option<String>,
    /// From power on to power off.
    #[serde(default)]
    pub seconds: Option<f64>,
    pub outcome: Ended,
    /// Why it failed.
    #[serde(default)]
    pub reason: Option<String>,
    #[serde(default)]
    pub steps: Vec<Step>,
}

/// How a boot ended.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// All steps were taken, whatever came of each.
    Completed,
    /// The kernel could not be had or booted, or did not come to the end.
    Failed,
}

/// A command that was run.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Step {
    pub name: String,
    #[serde(default)]
    pub command: Option<String>,
    /// Absent where it did not end by itself.
    #[serde(default)]
    pub exit: Option<i32>,
    #[serde(default)]
    pub seconds: Option<f64>,
    /// The file in the boot's folder that has what it printed.
    #[serde(default)]
    pub output: Option<String>,
}
