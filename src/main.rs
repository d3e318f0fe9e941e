//! The command line: one file per verb in [`resetbench::verb`].

use std::process::ExitCode;

use clap::Parser;
use resetbench::cli::{Cli, Verb};
use resetbench::machine::inherited;
use resetbench::verb;

fn main() -> ExitCode {
    inherited::restore();
    let cli = Cli::parse();
    // A child starts what it needs, where it is measured.
    let is_child = matches!(cli.verb, Verb::Start(_) | Verb::Cell(_) | Verb::Child(_));
    let started = if is_child { Ok(()) } else { inherited::start_threads() };
    let result = started.and_then(|()| match cli.verb {
        Verb::Doctor(args) => verb::doctor::run(&args),
        Verb::List(args) => verb::list::run(&args),
        Verb::Inspect(args) => verb::inspect::run(&args),
        Verb::Run(args) => verb::run::run(&args),
        Verb::Verify(args) => verb::verify::run(&args),
        Verb::Report(args) => verb::report::run(&args),
        Verb::Recommend(args) => verb::recommend::run(&args),
        Verb::Compare(args) => verb::compare::run(&args),
        Verb::Check(args) => verb::check::run(&args),
        Verb::Export(args) => verb::export::run(&args),
        Verb::Trust(args) => verb::trust::run(&args),
        Verb::Merge(args) => verb::merge::run(&args),
        Verb::Determinism(args) => verb::determinism::run(&args),
        Verb::Policies(args) => verb::policies::run(&args),
        Verb::Claims(args) => verb::claims::run(&args),
        Verb::Startup(args) => verb::startup::run(&args),
        Verb::Kernels(args) => verb::kernels::run(&args),
        Verb::Completions(args) => verb::manual::completions(&args),
        Verb::Man => verb::manual::man(),
        Verb::Start(args) => verb::start::run(&args),
        Verb::Cell(args) => verb::cell::run(&args),
        Verb::Child(args) => verb::child::run(&args),
    });
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
