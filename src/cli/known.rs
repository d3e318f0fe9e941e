//! What can be typed after the verbs that tell what the program, this machine and others have.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::groups::Form;

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,

    /// Print what each strategy needs of a host, as a Markdown table.
    #[arg(long, conflicts_with = "json")]
    pub facts: bool,
}

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The module.
    #[arg(value_name = "FILE")]
    pub module: PathBuf,

    /// Judge the module as one of which this export answers requests. Can be repeated.
    #[arg(long = "view", value_name = "EXPORT")]
    pub views: Vec<String>,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct KernelsArgs {
    #[command(subcommand)]
    pub verb: Option<KernelsVerb>,

    #[command(flatten)]
    pub form: Form,
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

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}
