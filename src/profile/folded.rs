//! Samples folded into stacks: a line for each stack, from the outermost frame to the innermost, and how often it was seen.
//!
//! A stack begins with the stage that it belongs to: what was on it outside the [anchor](crate::cell::anchors) of the stage is
//! left out. Guests of hosts with futures run on stacks of their own, which end at the start of a fiber: wasmtime runs nothing
//! on one but a call of the guest, which executes, and the start function of an instance, which is made by a reset.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::sampling::Sample;
use super::symbols::{GUEST, Symbols};
use crate::cell::anchors;
use crate::protocol::GuestStacks;

/// What a sample belongs to.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The block executed.
    Execute,
    /// The instance was reset.
    Reset,
    /// The stack was cut off before it told.
    Unplaced,
}

impl Stage {
    /// How stacks of the stage begin.
    pub fn name(self) -> &'static str {
        match self {
            Self::Execute => "execute",
            Self::Reset => "reset",
            Self::Unplaced => "unplaced",
        }
    }

    /// The stage that so begins.
    fn of(name: &str) -> Option<Self> {
        [Self::Execute, Self::Reset, Self::Unplaced].into_iter().find(|stage| stage.name() == name)
    }
}

/// Stacks, and how often each was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// Frames from the outermost to the innermost with a semicolon between, the stage first.
    stacks: BTreeMap<String, u64>,
    /// Samples of what the harness does between blocks, which are no part of them.
    pub between: u64,
}

impl Folded {
    /// Folds samples.
    pub fn of(samples: &[Sample], symbols: &mut Symbols) -> Self {
        let mut folded = Self::default();
        for sample in samples {
            match stack(&frames(sample, symbols), sample.whole) {
                Some(stack) => *folded.stacks.entry(stack).or_default() += 1,
                None => folded.between += 1,
            }
        }
        folded
    }

    /// Folds stacks of the guest alone, all of which are of a block that executes.
    pub fn of_guest(stacks: &GuestStacks) -> Self {
        let mut folded = Self::default();
        for (stack, seen) in &stacks.0 {
            let frames: Vec<String> = stack.split(';').map(|frame| format!("{frame}{GUEST}")).collect();
            let line = format!("{};{}", Stage::Execute.name(), frames.join(";"));
            *folded.stacks.entry(line).or_default() += seen;
        }
        folded
    }

    /// Reads lines as [`Folded::text`] writes them; other lines are passed over.
    pub fn parse(text: &str) -> Self {
        let line = |line: &str| {
            let (stack, count) = line.rsplit_once(' ')?;
            Some((stack.to_owned(), count.parse().ok()?))
        };
        Self { stacks: text.lines().filter_map(line).collect(), between: 0 }
    }

    /// Adds other stacks to these.
    pub fn add(&mut self, other: &Self) {
        for (stack, count) in &other.stacks {
            *self.stacks.entry(stack.clone()).or_default() += count;
        }
        self.between += other.between;
    }

    /// Stacks with their stages and counts.
    pub fn iter(&self) -> impl Iterator<Item = (Stage, &str, u64)> {
        self.stacks.iter().filter_map(|(stack, count)| {
            let (stage, frames) = stack.split_once(';').unwrap_or((stack, ""));
            Some((Stage::of(stage)?, frames, *count))
        })
    }

    /// A line for each stack.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (stack, count) in &self.stacks {
            let _ = writeln!(text, "{stack} {count}");
        }
        text
    }

    /// Samples in all stacks.
    pub fn samples(&self) -> u64 {
        self.stacks.values().sum()
    }
}

/// The names of a sample's frames, the outermost first.
pub fn frames(sample: &Sample, symbols: &mut Symbols) -> Vec<std::sync::Arc<str>> {
    let user: Vec<_> = sample.user.iter().rev().map(|&address| symbols.of_process(address)).collect();
    let kernel = sample.kernel.iter().rev().map(|&address| symbols.of_kernel(address));
    user.into_iter().chain(kernel).collect()
}

/// The stack as a line, from its stage on; `None` between blocks.
pub fn stack(frames: &[impl AsRef<str>], whole: bool) -> Option<String> {
    let (stage, from) = staged(frames, whole)?;
    let inner = frames[from..].iter().map(AsRef::as_ref);
    Some([stage.name()].into_iter().chain(inner).collect::<Vec<_>>().join(";"))
}

/// The stage, and where what belongs to it begins.
fn staged(frames: &[impl AsRef<str>], whole: bool) -> Option<(Stage, usize)> {
    for (at, frame) in frames.iter().enumerate() {
        let frame = frame.as_ref();
        if frame.contains(anchors::EXECUTE) {
            return Some((Stage::Execute, at + 1));
        }
        if frame.contains(anchors::RESET) {
            return Some((Stage::Reset, at + 1));
        }
        if frame.contains("fiber_start") {
            // What a function of the host does, whom the guest calls, is no matter here.
            let mut way = frames[at..].iter().map(AsRef::as_ref).take_while(|frame| !frame.ends_with(GUEST));
            let within = way.any(|frame| frame.contains("runtime::instance::"));
            return Some((if within { Stage::Reset } else { Stage::Execute }, at));
        }
    }
    (!whole).then_some((Stage::Unplaced, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_of_the_guest_alone_are_of_blocks_that_execute() {
        let seen = GuestStacks(vec![("run;wasm function 7".into(), 3), ("run".into(), 1)]);
        let mut folded = Folded::of_guest(&seen);
        assert_eq!(folded.text(), "execute;run_[j] 1\nexecute;run_[j];wasm function 7_[j] 3\n");
        folded.add(&Folded::of_guest(&GuestStacks(vec![("run".into(), 2)])));
        assert_eq!(folded.samples(), 6);
    }

    #[test]
    fn a_stack_belongs_to_the_stage_whose_anchor_is_on_it() {
        let of = |frames: &str, whole| stack(&frames.split(';').collect::<Vec<_>>(), whole);
        let execute = of("main;resetbench::cell::anchors::execute;call;wasm function 1_[j]", true);
        assert_eq!(execute.as_deref(), Some("execute;call;wasm function 1_[j]"));
        let reset = of("main;resetbench::cell::anchors::reset;munmap;zap_[k]", false);
        assert_eq!(reset.as_deref(), Some("reset;munmap;zap_[k]"));
        assert_eq!(of("main;prepare", true), None);
        assert_eq!(of("prepare", false).as_deref(), Some("unplaced;prepare"));
    }

    #[test]
    fn what_runs_on_a_fiber_executes_unless_it_starts_an_instance() {
        let of = |frames: &str| stack(&frames.split(';').collect::<Vec<_>>(), false).expect("a stage");
        assert!(of("wasmtime_internal_fiber::imp::fiber_start;call;run_[j]").starts_with("execute;"));
        let start = "wasmtime_internal_fiber::imp::fiber_start;wasmtime::runtime::instance::Instance::start_raw;s_[j]";
        assert!(of(start).starts_with("reset;"));
        let asked = "wasmtime_internal_fiber::imp::fiber_start;call;run_[j];wasmtime::runtime::instance::Instance::get_export";
        assert!(of(asked).starts_with("execute;"));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = "execute;a b;wasm function 12_[j] 3\nreset;munmap 4\n";
        let folded = Folded::parse(text);
        assert_eq!((folded.text().as_str(), folded.samples()), (text, 7));
        let all: Vec<_> = folded.iter().collect();
        assert_eq!(all[0], (Stage::Execute, "a b;wasm function 12_[j]", 3));
        assert_eq!(all[1], (Stage::Reset, "munmap", 4));
    }
}
