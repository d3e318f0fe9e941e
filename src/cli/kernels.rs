//! What can be typed after `kernels`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::spelling::Spelling;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct KernelsArgs {
    #[command(subcommand)]
    pub verb: Option<KernelsVerb>,

    /// How to print it.
    #[arg(long, value_enum, default_value = "text")]
    pub format: Spelling,

    /// Print JSON; the same as `--format json`.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum KernelsVerb {
    /// Make a file of each boot that the kernel matrix left.
    ///
    /// Exits with 1 when a strategy that claims to be sound differed from a fresh instance on one of them.
    Collect(CollectArgs),
}

#[derive(Debug, Args)]
pub struct CollectArgs {
    /// The folder that holds a folder for each boot, with `cell.json` and what `doctor`, `verify` and `determinism` printed.
    pub folder: PathBuf,

    /// Where to write a file for each, named after it.
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
}
