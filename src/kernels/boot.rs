//! `cell.json`: what was booted, with what set, and how it ended, as `scripts/kernel-matrix` writes it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A boot of a kernel. Of one that could not be had little is known but why.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Boot {
    /// Its name, such as `x86_64-6.12-thp-always-swap-cgroup2`.
    pub cell: String,
    /// As `uname -m` prints it.
    pub arch: Option<String>,
    /// As `uname -r` prints it.
    pub kernel: Option<String>,
    /// Who built it.
    pub distribution: Option<String>,
    /// In bytes.
    pub page_size: Option<u64>,
    /// `always`, `madvise` or `never`.
    pub transparent_hugepage: Option<String>,
    /// Whether there was swap.
    #[serde(default)]
    pub swap: bool,
    /// The version of control groups that had the memory controller.
    pub cgroup: Option<u32>,
    /// Whether the kernel merged pages.
    #[serde(default)]
    pub ksm: bool,
    pub boot_arguments: Option<String>,
    /// What stood for the hardware.
    pub emulator: Option<String>,
    /// This program's version and commit.
    pub program: Option<String>,
    /// Such as `2026-11-29`.
    pub date: Option<String>,
    /// From power on to power off.
    pub seconds: Option<f64>,
    pub outcome: Ended,
    /// Why it failed.
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
    pub command: Option<String>,
    /// Absent where it did not end by itself.
    pub exit: Option<i32>,
    pub seconds: Option<f64>,
    /// The file in the boot's folder that has what it printed.
    pub output: Option<String>,
}
