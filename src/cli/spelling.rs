//! Ways to print.

use clap::ValueEnum;

/// A way to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Spelling {
    /// For a terminal.
    Text,
    /// For a page.
    Markdown,
    /// For a program.
    Json,
}
