//! What a long run says of itself: a line that changes on a terminal, plain lines elsewhere. All of it on stderr.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How much to say.
#[derive(Clone, Debug)]
pub enum Progress {
    /// A spinner with the current step.
    Terminal(ProgressBar),
    /// A line per step that a reader of a log cares for.
    Plain,
    /// Warnings only.
    Quiet,
}

impl Progress {
    /// Chooses by where stderr goes.
    pub fn new(quiet: bool) -> Self {
        if quiet {
            return Self::Quiet;
        }
        if !std::io::stderr().is_terminal() {
            return Self::Plain;
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed_precise} {wide_msg}") {
            bar.set_style(style);
        }
        // Slow on purpose: the bar must not wake up while others are measured.
        bar.enable_steady_tick(Duration::from_millis(500));
        Self::Terminal(bar)
    }

    /// The current step.
    pub fn say(&self, step: &str) {
        if let Self::Terminal(bar) = self {
            bar.set_message(step.to_owned());
        }
    }

    /// A step that a log should have, too.
    pub fn note(&self, text: &str) {
        match self {
            Self::Terminal(bar) => bar.println(text),
            Self::Plain => eprintln!("{text}"),
            Self::Quiet => {}
        }
    }

    /// Something that went wrong without ending the run.
    pub fn warn(&self, text: &str) {
        let text = format!("warning: {text}");
        match self {
            Self::Terminal(bar) => bar.println(text),
            Self::Plain | Self::Quiet => eprintln!("{text}"),
        }
    }

    /// Clears the line.
    pub fn finish(&self) {
        if let Self::Terminal(bar) = self {
            bar.finish_and_clear();
        }
    }
}
