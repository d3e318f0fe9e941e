//! Findings that somebody has accepted, in a TOML file:
//!
//! ```toml
//! [[acknowledged]]
//! series = "dirty/uffd-wp on indexer/*, time"
//! reason = "The price of checking each page, see the change that did it."
//! until = 2027-01-31
//! ```
//!
//! `series` is a pattern over `strategy on workload, ground`, the ground being `time`, `counts` or `memory`; `*` stands for
//! anything, `?` for one character. `until` is the last night on which it holds. Lost soundness cannot be acknowledged.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use toml::value::Datetime;
use wildmatch::WildMatch;

use super::finding::{Acknowledged, Finding, Ground};

/// A line of the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    series: String,
    reason: String,
    until: Datetime,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    #[serde(default)]
    acknowledged: Vec<Entry>,
}

/// The acknowledgements of a file.
#[derive(Clone, Debug, Default)]
pub struct Acknowledgements {
    file: String,
    entries: Vec<Entry>,
}

impl Acknowledgements {
    /// Reads a file of acknowledgements.
    ///
    /// # Errors
    /// When it cannot be read, holds a key that is not known, or an entry without series, reason or date.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
        Self::parse(&shown, &text)
    }

    fn parse(file: &str, text: &str) -> Result<Self> {
        let whole: Whole =
            toml::from_str(text).with_context(|| format!("{file}: not a list of acknowledgements"))?;
        for Entry { series, reason, until } in &whole.acknowledged {
            ensure!(!series.trim().is_empty(), "{file}: an acknowledgement has no series");
            ensure!(!reason.trim().is_empty(), "{file}: `{series}` is acknowledged without a reason");
            ensure!(
                until.date.is_some() && until.time.is_none(),
                "{file}: `{series}` is acknowledged until `{until}`, which is no date such as 2027-01-31"
            );
        }
        Ok(Self { file: file.to_owned(), entries: whole.acknowledged })
    }

    /// Marks the findings that are acknowledged on a night that began then (RFC 3339), and says which entries have expired
    /// or match nothing.
    pub fn apply(&self, findings: &mut [Finding], started: &str) -> Vec<String> {
        let tonight = started.get(..10).unwrap_or(started);
        let mut notes = Vec::new();
        for Entry { series, reason, until } in &self.entries {
            let pattern = WildMatch::new(series.trim());
            let until = until.to_string();
            let expired = until.as_str() < tonight;
            let mut matched = 0;
            for finding in findings.iter_mut().filter(|finding| finding.ground != Ground::Soundness) {
                if !pattern.matches(&finding.series()) {
                    continue;
                }
                matched += 1;
                if !expired && finding.acknowledged.is_none() {
                    let (reason, until) = (reason.trim().to_owned(), until.clone());
                    finding.acknowledged = Some(Acknowledged { reason, until });
                }
            }
            let file = &self.file;
            if expired {
                notes.push(format!(
                    "{file}: the acknowledgement of `{series}` expired on {until}: remove it or renew it"
                ));
            } else if matched == 0 {
                notes.push(format!(
                    "{file}: the acknowledgement of `{series}` matches no finding: remove it if it is settled"
                ));
            }
        }
        notes
    }
}

impl Finding {
    /// What patterns are held against.
    pub fn series(&self) -> String {
        format!("{} on {}, {}", self.strategy, self.workload, self.ground.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[[acknowledged]]\nseries = \"dirty/* on indexer/lru, time\"\nreason = \"known\"\nuntil = 2026-03-01\n";

    fn finding(ground: Ground) -> Finding {
        Finding {
            strategy: "dirty/uffd-wp".into(),
            workload: "indexer/lru".into(),
            ground,
            sentence: String::new(),
            command: String::new(),
            acknowledged: None,
            size: 1.0,
        }
    }

    fn applied(text: &str, ground: Ground, started: &str) -> (bool, Vec<String>) {
        let mut findings = [finding(ground)];
        let notes = Acknowledgements::parse("known.toml", text).unwrap().apply(&mut findings, started);
        (findings[0].acknowledged.is_some(), notes)
    }

    #[test]
    fn an_entry_holds_until_its_last_night() {
        assert_eq!(applied(GOOD, Ground::Time, "2026-03-01T23:59:00Z"), (true, vec![]));
        let (is, notes) = applied(GOOD, Ground::Time, "2026-03-02T00:00:00Z");
        assert!(!is && notes[0].contains("expired on 2026-03-01"), "{notes:?}");
    }

    #[test]
    fn what_matches_nothing_is_said_and_soundness_is_never_acknowledged() {
        let (is, notes) = applied(GOOD, Ground::Memory, "2026-02-01T00:00:00Z");
        assert!(!is && notes[0].contains("matches no finding"), "{notes:?}");
        let everything = GOOD.replace("dirty/* on indexer/lru, time", "*");
        assert!(applied(&everything, Ground::Memory, "2026-02-01T00:00:00Z").0);
        assert!(!applied(&everything, Ground::Soundness, "2026-02-01T00:00:00Z").0);
    }

    #[test]
    fn a_file_that_says_something_else_is_refused() {
        for (from, to, told) in [
            ("reason", "because", "unknown field `because`"),
            ("[[acknowledged]]", "[[acknowledge]]", "unknown field `acknowledge`"),
            ("\"known\"", "\" \"", "without a reason"),
            ("until = 2026-03-01\n", "", "missing field `until`"),
            ("2026-03-01", "07:30:00", "no date such as"),
        ] {
            let error = Acknowledgements::parse("known.toml", &GOOD.replace(from, to)).unwrap_err();
            let message = format!("{error:#}");
            assert!(message.starts_with("known.toml: ") && message.contains(told), "{message}");
        }
        assert!(Acknowledgements::parse("known.toml", "").unwrap().entries.is_empty());
    }
}
