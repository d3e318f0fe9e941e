//! What can be typed after `pages`.

use std::path::PathBuf;

use clap::Args;

use super::groups::{Filter, OnHost, Own};

#[derive(Debug, Args)]
pub struct PagesArgs {
    #[command(flatten)]
    pub on: OnHost,

    #[command(flatten)]
    pub filter: Filter,

    #[command(flatten)]
    pub own: Own,

    /// Set a parameter of the workloads that have it, such as `dirty=2048`.
    #[arg(short, long = "param", value_name = "NAME=VALUE")]
    pub params: Vec<String>,

    /// Predict from the landscape of this run, and hold the predictions against what it has measured; else those of the newest
    /// run in `results/`.
    #[arg(long, value_name = "FOLDER")]
    pub from: Option<PathBuf>,

    /// Print the table of all workloads alone.
    #[arg(long)]
    pub table: bool,

    /// Write `profile.json` and the maps as pictures there.
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,

    /// Print JSON.
    #[arg(long, conflicts_with = "table")]
    pub json: bool,

    /// Say nothing but results and warnings.
    #[arg(short, long)]
    pub quiet: bool,
}
