//! A night in words: the same text for a job's summary and for a comment on a change.
//!
//! What anybody has to read comes first and is short: the verdict, a sentence and a command for each finding, what could
//! have been seen. All else is folded.

use super::finding::Finding;
use super::picture;
use super::times::{Kind, signed};
use super::{Outcome, Report};
use crate::hosts::named;
use crate::prose::{markdown, percent};
use crate::units::several;

/// Most findings that are told one by one: two lines each, so that a bad night stays within forty lines.
const TOLD: usize = 7;

/// Most warnings in front of the fold.
const NOTED: usize = 4;

impl Report {
    /// The report for a page.
    pub fn markdown(&self) -> String {
        let mut out = format!("# {}\n\n", self.verdict());
        let open: Vec<&Finding> = self.open().collect();
        for finding in open.iter().take(TOLD) {
            out += &format!("- {}\n  `{}`\n", markdown::sentence(&finding.sentence), finding.command);
        }
        if !open.is_empty() {
            let others = open.len().saturating_sub(TOLD);
            let others = if others > 0 {
                format!("- and {}, below\n", several(others, "other finding"))
            } else {
                String::new()
            };
            out += &format!("{others}\n");
        }
        if let Some(picture) = picture::of(self.open(), &self.times) {
            out += &format!("```text\n{picture}```\n\n");
        }
        out += &format!("{}\n", self.seen());
        let accepted = self.findings.len() - open.len();
        if accepted > 0 {
            out += &format!("{} acknowledged, below.\n", several(accepted, "finding"));
        }
        let warnings = self.warnings.iter().take(NOTED);
        out.extend(warnings.map(|warning| format!("Note: {}.\n", markdown::sentence(warning))));
        out + "\n" + &self.folded()
    }

    fn verdict(&self) -> String {
        let night = named(&format!("Night {}", markdown::code(&self.run)), &self.host);
        let against = markdown::code(&self.against);
        match self.outcome {
            Outcome::Finding => {
                let found = several(self.open().count(), "finding");
                format!("{night}: **{found}** against {against}")
            }
            Outcome::Fine => format!("{night}: fine, nothing worse than in {against}"),
            Outcome::Coarse => {
                let asked = percent(self.asked.unwrap_or_default());
                format!("{night}: nothing found, but changes of {asked} could not have been seen everywhere")
            }
        }
    }

    /// What could have been seen, and how sure it is.
    fn seen(&self) -> String {
        let shown = |share: Option<f64>| share.map_or_else(|| "any size".to_owned(), digits);
        let unclear = self.count(Kind::WithinNoise);
        let unjudged = self.times.unjudged.len();
        let mut text = format!(
            "A cycle that takes {} more would have been seen in every one of {} series, {} more in half of them; of 100 \
             nights without a change at most {} has a finding of times.",
            shown(self.times.resolution),
            self.times.series.len(),
            shown(self.times.typical),
            (self.error_rate * 100.0).round(),
        );
        if unclear > 0 {
            text += &format!(" {unclear} could not be told from the noise of their workload.");
        }
        if unjudged > 0 {
            text += &format!(" {unjudged} could not be compared.");
        }
        text
    }

    fn count(&self, kind: Kind) -> usize {
        self.times.series.iter().filter(|series| series.kind == kind).count()
    }

    /// Everything else.
    fn folded(&self) -> String {
        let mut places = "| workload | A/A pair | would have been seen |\n|:--|--:|--:|\n".to_owned();
        for place in &self.times.places {
            let pair = place.pair.map_or("-".to_owned(), |pair| {
                format!("{} ({} to {})", signed(pair.value), signed(pair.low), signed(pair.high))
            });
            places +=
                &format!("| {} | {pair} | {} |\n", markdown::code(&place.workload), digits(place.resolution));
        }
        let unclear: Vec<String> = self
            .times
            .series
            .iter()
            .filter(|series| series.kind == Kind::WithinNoise)
            .map(|series| format!("`{}` on `{}` {}.", series.strategy, series.workload, series.told().words))
            .collect();
        let others: Vec<String> = self.open().skip(TOLD).map(|finding| finding.sentence.clone()).collect();
        let accepted: Vec<String> = self
            .findings
            .iter()
            .filter_map(|finding| {
                let accepted = finding.acknowledged.as_ref()?;
                Some(format!("{} Until {}: {}", finding.sentence, accepted.until, accepted.reason))
            })
            .collect();
        let further: Vec<String> = self.warnings.iter().skip(NOTED).cloned().collect();
        let lists = [
            ("Further findings", &others),
            ("Acknowledged", &accepted),
            ("Within the noise of its workload", &unclear),
            ("Better than before", &self.better),
            ("Further warnings", &further),
            ("Notes", &self.notes),
        ];
        let mut out = fold("Workloads", &places);
        for (heading, points) in lists.into_iter().filter(|(_, points)| !points.is_empty()) {
            let points: String =
                points.iter().map(|point| format!("- {}\n", markdown::sentence(point))).collect();
            out += &fold(heading, &points);
        }
        out
    }
}

/// A share with the digits that matter, rounded up: it must not promise more than was so.
fn digits(share: f64) -> String {
    if share >= 10.0 {
        return "more than 1,000\u{a0}%".into();
    }
    let scale = if share < 0.1 { 1e3 } else { 1e2 };
    percent((share * scale - 1e-9).ceil() / scale)
}

fn fold(summary: &str, text: &str) -> String {
    format!("<details><summary>{summary}</summary>\n\n{text}\n</details>\n")
}

#[cfg(test)]
mod tests {
    use super::super::SCHEMA;
    use super::super::finding::{Acknowledged, Ground};
    use super::super::times::{Place, Series, Times};

    use super::*;
    use crate::analyse::summary::{Change, Ratio};

    fn series(index: usize, kind: Kind) -> Series {
        let cycle = Change { ratio: Ratio { value: 1.05, low: 1.03, high: 1.07 }, launches: 8, rounds: 80 };
        Series {
            strategy: format!("dirty/number-{}", index % 15),
            workload: format!("indexer/w{}", index / 15),
            cycle,
            execute: None,
            reset: None,
            kind,
            resolution: 0.021,
            cell: index,
            by_reset: false,
            build: "old".into(),
        }
    }

    fn finding(index: usize) -> Finding {
        let series = series(index, Kind::Dearer);
        Finding {
            sentence: format!("`{}` on `{}` {}.", series.strategy, series.workload, series.told().words),
            command: "resetbench run --aa --against old=old --profile quick -w w -s s".into(),
            strategy: series.strategy,
            workload: series.workload,
            ground: Ground::Time,
            acknowledged: None,
            size: 1.05,
        }
    }

    /// A night of 75 series, all of them of a kind, with so many findings.
    fn night(findings: usize, kind: Kind) -> Report {
        let pair = Some(Ratio { value: 0.999, low: 0.99, high: 1.008 });
        let place = |w: usize| Place { workload: format!("indexer/w{w}"), pair, resolution: 0.021 };
        let mut report = Report {
            schema: SCHEMA,
            outcome: Outcome::Fine,
            run: "tonight".into(),
            against: "old".into(),
            class: "made-up".into(),
            host: "plain".into(),
            error_rate: 0.01,
            times: Times {
                resolution: Some(0.021),
                typical: Some(0.0143),
                places: (0..5).map(place).collect(),
                series: (0..75).map(|index| series(index, kind)).collect(),
                unjudged: vec!["`a/b` on `c/d` could not be compared: too few rounds of both.".into()],
            },
            findings: (0..findings).map(finding).collect(),
            better: vec!["`a/b` on `c/d` takes less.".into(); 75],
            notes: vec!["the run was interrupted".into(); 9],
            warnings: vec!["the acknowledgement of `x` expired on 2026-01-01".into(); 9],
            asked: None,
        };
        report.settle();
        report
    }

    /// Lines that nobody has to unfold.
    fn shown(text: &str) -> Vec<&str> {
        let mut folded = false;
        let mut shown = Vec::new();
        for line in text.lines() {
            folded |= line.starts_with("<details>");
            shown.extend((!folded).then_some(line));
            folded &= line != "</details>";
        }
        shown
    }

    #[test]
    fn a_quiet_night_is_twenty_lines_at_most_and_begins_with_its_verdict() {
        let text = night(0, Kind::WithinNoise).markdown();
        assert!(text.starts_with("# Night `tonight`: fine, nothing worse than in `old`\n"), "{text}");
        assert!(shown(&text).len() <= 20, "{text}");
        assert!(
            text.contains("A cycle that takes 2.1\u{a0}% more would have been seen in every one of 75 series, 1.5\u{a0}% more"),
            "{text}"
        );
        assert!(
            text.contains("75 could not be told from the noise of their workload. 1 could not be compared.")
        );
    }

    #[test]
    fn a_bad_night_is_forty_lines_at_most_however_bad() {
        let text = night(75, Kind::Dearer).markdown();
        assert!(text.starts_with("# Night `tonight`: **75 findings** against `old`\n"), "{text}");
        assert!(shown(&text).len() <= 40, "{}", shown(&text).join("\n"));
        assert!(text.contains(
            "- `dirty/number-0` on `indexer/w0` takes 5.0 % more than in `old` (+3.0 % to +7.0 %).\n  `resetbench run --aa"
        ));
        assert_eq!(text.matches("5.0 % more than in `old`").count(), 75, "those beyond are folded");
        assert!(text.contains("- and 68 other findings, below"));
    }

    #[test]
    fn what_is_acknowledged_is_folded_and_no_finding() {
        let mut report = night(1, Kind::Steady);
        let (reason, until) = ("known".into(), "2026-12-31".into());
        report.findings[0].acknowledged = Some(Acknowledged { reason, until });
        report.settle();
        let text = report.markdown();
        assert_eq!(report.code(), 0);
        assert!(
            text.contains("1 finding acknowledged, below.") && text.contains("Until 2026-12-31: known"),
            "{text}"
        );
    }

    #[test]
    fn what_could_not_be_seen_is_no_finding_and_a_finding_is_never_that() {
        let coarse = |findings, asked| {
            let mut report = night(findings, Kind::Steady);
            report.times.unjudged.clear();
            report.asked = asked;
            report.settle();
            report.code()
        };
        assert_eq!(coarse(0, None), 0);
        assert_eq!((coarse(0, Some(0.05)), coarse(0, Some(0.02))), (0, 2));
        assert_eq!((coarse(1, Some(0.05)), coarse(1, Some(0.02))), (1, 1));
        let mut report = night(0, Kind::Steady);
        report.asked = Some(0.05);
        report.settle();
        assert_eq!(report.code(), 2, "one could not be compared at all");
    }

    #[test]
    fn a_resolution_is_rounded_up() {
        assert_eq!(digits(104.2), "more than 1,000\u{a0}%");
        assert_eq!(
            [0.0201, 0.021, 0.131, 0.14].map(digits),
            ["2.1\u{a0}%", "2.1\u{a0}%", "14\u{a0}%", "14\u{a0}%"]
        );
    }
}
