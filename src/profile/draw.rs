//! Pictures of stacks: flame graphs, what differs between two, and a file for the profiler of Firefox.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use fxprof_processed_profile::{
    CategoryColor, CategoryPairHandle, CpuDelta, Frame, FrameFlags, FrameInfo, ProcessHandle, Profile,
    SamplingInterval, ThreadHandle, Timestamp,
};
use inferno::differential;
use inferno::flamegraph::color::{MultiPalette, Palette};
use inferno::flamegraph::{self, Options};

use super::folded::{self, Folded};
use super::sampling::Sample;
use super::symbols::{GUEST, KERNEL, Symbols};

/// A flame graph: what is on top of each other called each other, and what is wide took long. Guest, host and kernel have
/// their colours.
///
/// # Errors
/// When there are no stacks.
pub fn flame(folded: &Folded, title: &str) -> Result<Vec<u8>> {
    let mut options = options(title);
    options.colors = Palette::Multi(MultiPalette::Java);
    options.subtitle = Some("green: the guest; orange: the kernel; yellow and red: host and wasmtime".into());
    let (mut picture, text) = (Vec::new(), folded.text());
    flamegraph::from_lines(&mut options, text.lines(), &mut picture).context("a flame graph")?;
    Ok(picture)
}

/// The stacks of one with the colour of how they differ from the other: red is what the second has more of than the first, blue
/// what it has less of. Both are shares of their samples. What is in one alone is in no picture of the other, hence one of each.
///
/// # Errors
/// When there are no stacks.
pub fn difference(first: &Folded, second: &Folded, of: Whose, title: &str) -> Result<Vec<u8>> {
    let mut options = options(title);
    let text = match of {
        Whose::Second => differences(first, second)?,
        Whose::First => differences(second, first)?,
    };
    options.negate_differentials = of == Whose::First;
    options.subtitle = Some("red: a larger share than in the first; blue: a smaller one".into());
    let mut picture = Vec::new();
    flamegraph::from_lines(&mut options, text.lines(), &mut picture).context("a differential flame graph")?;
    Ok(picture)
}

/// Whose stacks a picture of a difference shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    First,
    Second,
}

/// A line for each stack of either, with its samples in both, the first's made comparable with the second's.
///
/// # Errors
/// When the lines cannot be compared.
pub fn differences(first: &Folded, second: &Folded) -> Result<String> {
    let options = differential::Options { normalize: true, ..differential::Options::default() };
    let mut lines = Vec::new();
    let (first, second) = (first.text(), second.text());
    differential::from_readers(options, first.as_bytes(), second.as_bytes(), &mut lines)?;
    // It keeps no order, and pictures are to be the same again.
    let text = String::from_utf8(lines).context("stacks are text")?;
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    Ok(lines.join("\n"))
}

fn options(title: &str) -> Options<'static> {
    let mut options = Options::default();
    options.title = title.to_owned();
    // The same stacks make the same picture.
    options.deterministic = true;
    options.font_type = "monospace".into();
    options
}

/// Samples in the order of their time, for <https://profiler.firefox.com>.
pub struct Timeline {
    profile: Profile,
    process: ProcessHandle,
    threads: BTreeMap<u32, (ThreadHandle, u64)>,
    categories: [CategoryPairHandle; 3],
}

impl Timeline {
    /// An empty one, of a process.
    pub fn new(name: &str, pid: u32, frequency: u32) -> Self {
        let interval = SamplingInterval::from_nanos(1_000_000_000 / u64::from(frequency.max(1)));
        let mut profile = Profile::new(name, SystemTime::now().into(), interval);
        profile.set_os_name("Linux");
        let process = profile.add_process(name, pid, Timestamp::from_nanos_since_reference(0));
        let categories = [
            ("guest", CategoryColor::Green),
            ("kernel", CategoryColor::Orange),
            ("host", CategoryColor::Yellow),
        ];
        let categories = categories.map(|(name, color)| profile.add_category(name, color).into());
        Self { profile, process, threads: BTreeMap::new(), categories }
    }

    /// Adds samples, the earliest first.
    pub fn add(&mut self, samples: &[Sample], symbols: &mut Symbols) {
        let begin = samples.first().map_or(0, |sample| sample.time_ns);
        for sample in samples {
            let at = sample.time_ns.saturating_sub(begin);
            let (thread, last) = self.thread(sample.thread, at);
            let frames: Vec<FrameInfo> =
                folded::frames(sample, symbols).iter().map(|name| self.frame(name)).collect();
            let stack = self.profile.intern_stack_frames(thread, frames.into_iter());
            let passed = CpuDelta::from(Duration::from_nanos(at - last));
            self.profile.add_sample(thread, Timestamp::from_nanos_since_reference(at), stack, passed, 1);
        }
    }

    /// The thread, and when it was seen last.
    fn thread(&mut self, id: u32, now: u64) -> (ThreadHandle, u64) {
        if let Some((thread, last)) = self.threads.get_mut(&id) {
            return (*thread, std::mem::replace(last, now));
        }
        let is_main = self.threads.is_empty();
        let thread =
            self.profile.add_thread(self.process, id, Timestamp::from_nanos_since_reference(0), is_main);
        self.threads.insert(id, (thread, now));
        (thread, now)
    }

    fn frame(&mut self, name: &str) -> FrameInfo {
        let [guest, kernel, host] = self.categories;
        let category_pair = match name {
            _ if name.ends_with(GUEST) => guest,
            _ if name.ends_with(KERNEL) => kernel,
            _ => host,
        };
        let frame = Frame::Label(self.profile.intern_string(name));
        FrameInfo { frame, category_pair, flags: FrameFlags::empty() }
    }

    /// As JSON.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, to: impl io::Write) -> Result<()> {
        Ok(serde_json::to_writer(to, &self.profile)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flame_graph_has_the_frames_of_its_stacks() {
        let folded = Folded::parse("execute;call;wasm function 1_[j] 3\nreset;munmap;unmap_vmas_[k] 1\n");
        let picture = String::from_utf8(flame(&folded, "indexer/lru").expect("stacks")).expect("text");
        for part in ["<svg", "indexer/lru", "wasm function 1", "unmap_vmas"] {
            assert!(picture.contains(part), "{part}");
        }
        assert!(flame(&Folded::default(), "none").is_err());
    }

    #[test]
    fn a_difference_has_both_and_compares_shares() {
        let (first, second) =
            (Folded::parse("execute;a 10\nreset;b 10\n"), Folded::parse("execute;a 5\nreset;c 5\n"));
        let text = differences(&first, &second).expect("stacks");
        assert_eq!(text, "execute;a 5 5\nreset;b 5 0\nreset;c 0 5");
        let drawn =
            |of| String::from_utf8(difference(&first, &second, of, "x").expect("stacks")).expect("text");
        let has = |of, frame: &str| drawn(of).contains(&format!("<title>{frame} ("));
        assert!(has(Whose::Second, "c") && !has(Whose::Second, "b"), "{}", drawn(Whose::Second));
        assert!(has(Whose::First, "b") && !has(Whose::First, "c"), "{}", drawn(Whose::First));
    }

    #[test]
    fn a_timeline_has_a_sample_for_each() {
        let sample = |time_ns, thread| Sample { time_ns, thread, ..Sample::default() };
        let mut symbols = Symbols::new(Default::default(), Default::default(), Vec::new());
        let mut timeline = Timeline::new("indexer/lru", 7, 1_999);
        timeline.add(&[sample(100, 7), sample(600, 8), sample(1_100, 7)], &mut symbols);
        let mut json = Vec::new();
        timeline.write(&mut json).expect("JSON");
        let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
        let lengths: Vec<_> = json["threads"]
            .as_array()
            .expect("threads")
            .iter()
            .map(|thread| thread["samples"]["length"].as_u64())
            .collect();
        assert_eq!(lengths, [Some(2), Some(1)]);
    }
}
