//! `completions` and `man`: what shells and manuals know of this program, from the same definitions as `--help`.

use std::io::{self, Write};

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_mangen::Man;

use crate::cli::{Cli, CompletionsArgs};

/// Prints a shell's completions.
///
/// # Errors
/// When standard output cannot be written to.
pub fn completions(args: &CompletionsArgs) -> Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "resetbench", &mut text);
    print(&text)
}

/// Prints the manual page: the program's own, and after it that of each verb.
///
/// # Errors
/// When standard output cannot be written to.
pub fn man() -> Result<()> {
    let mut command = Cli::command();
    command.build();
    let mut text = Vec::new();
    let page = "cannot write the manual";
    Man::new(command.clone()).render(&mut text).context(page)?;
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help") {
        let man = Man::new(verb.clone());
        writeln!(text, ".SH \"VERB {}\"", verb.get_name().to_uppercase()).context(page)?;
        man.render_synopsis_section(&mut text).context(page)?;
        man.render_description_section(&mut text).context(page)?;
        man.render_options_section(&mut text).context(page)?;
    }
    print(&text)
}

/// A reader that closes the pipe early, such as `head`, is no error.
fn print(text: &[u8]) -> Result<()> {
    match io::stdout().write_all(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("cannot write"),
        _ => Ok(()),
    }
}
