//! The file of past nights: one JSON object per line and night, appended to and never rewritten.
//!
//! Each night names its machine class and its host, and only nights of those at hand are read from it, so that machines may
//! come and go in one file. Each ratio names the module and blocks that it was measured on, so that a changed workload begins anew.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::series::{Metric, Series, ratios};
use crate::hosts::plain_name;
use crate::launch::record::WorkloadRecord;
use crate::launch::saved::Saved;
use crate::measure::row::canonical;

/// Version of a line. Keys may be added freely; renaming one raises it.
pub const SCHEMA: u32 = 1;

/// One night on one machine.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Night {
    pub schema: u32,
    /// The machine class: nights of another are not comparable.
    pub class: String,
    /// The host under whose settings it ran: nights of another are not comparable either.
    #[serde(default = "plain_name")]
    pub host: String,
    pub run: String,
    /// RFC 3339, in UTC; nights are in this order.
    pub started: String,
    pub version: String,
    pub wasmtime: String,
    /// A noisy night is kept for the record and counts for no threshold.
    pub noisy: bool,
    pub ratios: Vec<Point>,
}

/// A series on one night.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Point {
    #[serde(flatten)]
    pub series: Series,
    /// Of the module and the blocks: a ratio on others is another series.
    pub inputs: String,
    pub ratio: f64,
    /// Ends of the ratio's interval. Memory has none, nor have lines that are older than this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
}

impl Point {
    /// Whether the ratio is one, and lies within its interval.
    fn possible(&self) -> bool {
        let [low, high] = self.interval.unwrap_or([self.ratio; 2]);
        low > 0.0 && low <= self.ratio && self.ratio <= high && high.is_finite()
    }
}

impl Night {
    /// What a run adds to the history.
    pub fn of(saved: &Saved, noisy: bool) -> Self {
        let record = &saved.record;
        let points = ratios(&saved.summary).into_iter().filter_map(|(series, ratio)| {
            let inputs = inputs(&record.workloads, &series)?;
            let interval = (series.metric == Metric::Cycle).then_some([ratio.low, ratio.high]);
            Some(Point { series, inputs, ratio: ratio.value, interval })
        });
        Self {
            schema: SCHEMA,
            class: record.machine.class.clone(),
            host: record.host().name.clone(),
            run: record.run.clone(),
            started: record.started.clone(),
            version: record.version.clone(),
            wasmtime: record.wasmtime.clone(),
            noisy,
            ratios: points.collect(),
        }
    }

    fn same_run(&self, saved: &Saved) -> bool {
        self.run == saved.record.run && self.started == saved.record.started
    }
}

/// The module and blocks of a series, in sixteen digits.
fn inputs(workloads: &[WorkloadRecord], series: &Series) -> Option<String> {
    let workload =
        workloads.iter().find(|w| w.name == series.workload && canonical(&w.params) == series.params)?;
    let short = |digest: &str| digest.get(..8).unwrap_or(digest).to_owned();
    Some(short(&workload.module_sha256) + &short(&workload.trace_sha256))
}

/// Past nights of all machine classes, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    pub nights: Vec<Night>,
    /// What was tolerated in the file.
    pub notes: Vec<String>,
}

impl History {
    /// Reads a history file. One that does not exist yet, or is empty, is a history of no nights, and a note says so.
    ///
    /// # Errors
    /// When a line other than the last is no night, or is of another schema.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&shown, &text),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Ok(Self { nights: Vec::new(), notes: vec![format!("{shown} does not exist yet")] })
            }
            Err(error) => Err(error).with_context(|| format!("cannot read {shown}")),
        }
    }

    fn parse(file: &str, text: &str) -> Result<Self> {
        let mut history = Self::default();
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in (1..).zip(&lines).filter(|(_, line)| !line.trim().is_empty()) {
            let breaks_off = number == lines.len() && !text.ends_with('\n');
            match serde_json::from_str::<serde_json::Value>(line) {
                Err(error) if breaks_off && error.is_eof() => {
                    history.notes.push(format!("{file}:{number}: the last line breaks off and is not used"));
                }
                Err(error) => return Err(error).with_context(|| format!("{file}:{number}: not a night")),
                Ok(value) if value["schema"] != SCHEMA => {
                    bail!("{file}:{number}: has schema {}, and this program reads {SCHEMA}", value["schema"])
                }
                Ok(value) => {
                    let night: Night = serde_json::from_value(value)
                        .with_context(|| format!("{file}:{number}: not a night"))?;
                    if let Some(point) = night.ratios.iter().find(|point| !point.possible()) {
                        let within = point
                            .interval
                            .map_or(String::new(), |[low, high]| format!(" in {low} to {high}"));
                        bail!("{file}:{number}: {} has a ratio of {}{within}", point.series, point.ratio);
                    }
                    history.nights.push(night);
                }
            }
        }
        if history.nights.is_empty() {
            history.notes.push(format!("{file} holds no nights"));
        }
        history.nights.sort_by(|a, b| a.started.cmp(&b.started));
        Ok(history)
    }

    /// The ratios of a series on past quiet nights of the run's machine class, oldest first, without the run itself.
    pub fn of(&self, saved: &Saved, series: &Series) -> Vec<f64> {
        self.course(saved, series).filter(|(night, _)| !night.noisy).map(|(_, point)| point.ratio).collect()
    }

    /// A series on past nights of the run's machine class, noisy ones too, oldest first, without the run itself.
    pub fn course<'a>(
        &'a self,
        saved: &'a Saved,
        series: &'a Series,
    ) -> impl Iterator<Item = (&'a Night, &'a Point)> {
        let inputs = inputs(&saved.record.workloads, series);
        self.alike(saved).filter_map(move |night| {
            let here = |point: &&Point| point.series == *series && inputs.as_ref() == Some(&point.inputs);
            Some((night, night.ratios.iter().find(here)?))
        })
    }

    /// Past nights of the run's machine class and host, without the run itself.
    pub fn alike<'a>(&'a self, saved: &'a Saved) -> impl Iterator<Item = &'a Night> {
        let (class, host) = (&saved.record.machine.class, &saved.record.host().name);
        let alike = move |night: &&Night| night.class == *class && night.host == *host;
        self.nights.iter().filter(alike).filter(move |night| !night.same_run(saved))
    }

    /// Whether the run is in the history already.
    pub fn knows(&self, saved: &Saved) -> bool {
        self.nights.iter().any(|night| night.same_run(saved))
    }
}

/// Appends a night to a history file, and makes the file if need be.
///
/// # Errors
/// When the file cannot be written, or ends in half a line that the night would be glued to.
pub fn append(path: &Path, night: &Night) -> Result<()> {
    let shown = path.display();
    let text = serde_json::to_string(night)? + "\n";
    let whole = match fs::read(path) {
        Ok(bytes) => bytes.last().is_none_or(|&last| last == b'\n'),
        Err(error) if error.kind() == ErrorKind::NotFound => true,
        Err(error) => return Err(error).with_context(|| format!("cannot read {shown}")),
    };
    ensure!(whole, "{shown} ends in half a line: remove it, then record this night again");
    let file: Result<File, _> = OpenOptions::new().append(true).create(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).with_context(|| format!("cannot write {shown}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(class: &str, started: &str) -> String {
        format!(
            r#"{{"schema":1,"class":"{class}","run":"r","started":"{started}","version":"0","wasmtime":"48","noisy":false,"ratios":[{{"workload":"a/b","params":"{{}}","strategy":"c/d","metric":"cycle","inputs":"00","ratio":0.5}}]}}"#
        ) + "\n"
    }

    fn parse(text: &str) -> Result<History> {
        History::parse("history.ndjson", text)
    }

    #[test]
    fn nights_are_read_in_order_of_time() {
        let history =
            parse(&(line("m", "2026-01-02T00:00:00Z") + &line("m", "2026-01-01T00:00:00Z"))).unwrap();
        assert_eq!(history.nights[0].started, "2026-01-01T00:00:00Z");
        assert_eq!(history.nights[0].ratios[0].ratio, 0.5);
        assert!(history.notes.is_empty());
    }

    #[test]
    fn half_a_last_line_is_noted_and_any_other_refused() {
        let whole = line("m", "2026-01-01T00:00:00Z");
        let history = parse(&format!("{whole}{}", &whole[..50])).unwrap();
        assert_eq!((history.nights.len(), history.notes.len()), (1, 1));
        let message = parse(&format!("{}\n{whole}", &whole[..50])).unwrap_err().to_string();
        assert!(message.starts_with("history.ndjson:1: not a night"), "{message}");
    }

    #[test]
    fn another_schema_and_impossible_ratios_are_refused() {
        let whole = line("m", "2026-01-01T00:00:00Z");
        for (part, other, told) in [
            ("\"schema\":1", "\"schema\":7", "has schema 7"),
            ("0.5", "-0.5", "has a ratio of -0.5"),
            ("0.5", "0.5,\"interval\":[0.6,0.7]", "has a ratio of 0.5 in 0.6 to 0.7"),
        ] {
            let message = parse(&whole.replace(part, other)).unwrap_err().to_string();
            assert!(message.contains(told), "{message}");
        }
    }

    #[test]
    fn nothing_is_noted() {
        assert_eq!(parse("").unwrap().notes, ["history.ndjson holds no nights"]);
        let missing = History::read(Path::new("/nonexistent/history.ndjson")).unwrap();
        assert!(missing.nights.is_empty() && missing.notes[0].contains("does not exist yet"));
    }
}
