//! What was found beside the times: soundness, and what a run's folder may hold besides.

use maud::{Markup, html};

use super::{column, fields, figure, heads, named, sentence, table, text};
use crate::analyse::crossover::Slice;
use crate::present::book::{Book, Chapter, Terrain, soundness as found};
use crate::present::palette::Palette;
use crate::present::policies::Group;
use crate::present::serving;
use crate::workload::landscape::describe;

/// What was found equal to a fresh instance, and why the rest was not.
pub fn soundness(chapters: &[Chapter], palette: &Palette) -> Markup {
    let findings = found(chapters);
    html! {
        section #soundness {
            h2 { "Soundness" }
            p {
                "Every reset is compared with a fresh instance in the same run, by the list of the reset contract. A strategy \
                 that leaves something behind on a workload has no time there, however fast it was. Equivalence is \
                 observed on the blocks of this run; it is not a proof."
            }
            (table("Soundness", heads(&["strategy", "equivalent on", "otherwise"], "otherwise"), html! {
                @for finding in &findings {
                    tr {
                        th scope="row" { (named(&finding.strategy, palette)) }
                        td { (finding.equivalent) " of " (finding.total) }
                        td.prose {
                            @for (reason, workloads) in &finding.otherwise {
                                p { (text(reason)) " " span.unit { "(" (text(&some(workloads))) ")" } }
                            }
                        }
                    }
                }
            }))
        }
    }
}

/// The first few names of a long list.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 5;
    match names.len().checked_sub(SHOWN) {
        Some(more @ 1..) => format!("{} and {more} more", names[..SHOWN].join(", ")),
        _ => names.join(", "),
    }
}

/// Where each strategy wins: the crossovers in words, and the figures. Absent where the run neither is a landscape nor has
/// one beside it.
pub fn landscape(book: &Book) -> Markup {
    let Some(Terrain { landscape, summary, beside }) = book.material.landscape else { return html! {} };
    let slices = || landscape.slices.iter().filter(|slice| slice.best.len() > 1);
    html! {
        section #landscape {
            h2 { "Landscape: where each strategy wins" }
            @if let Some(facts) = beside {
                p.notes {
                    "A run of its own, " code { (text(&facts.command)) } ", started " (text(&facts.started)) ". Its ratios are within its \
                     own rounds, and not to be set against those of the workloads above."
                }
                @if facts.interrupted { p.warning { strong { "It was interrupted." } } }
                @for note in &summary.notes { p.warning { (sentence(note)) } }
            }
            @if slices().next().is_none() { p { "No slice was measured at more than one number of dirty pages." } }
            ul.crossovers {
                @for slice in slices() {
                    li {
                        strong { (text(&slice.workload)) ", " (text(&describe(&slice.params))) ": " }
                        @for (i, (strategy, first, last)) in reigns(slice).iter().enumerate() {
                            @if i > 0 { ", then " }
                            code { (text(strategy)) } " "
                            span.unit { @if first == last { "(" (first) ")" } @else { "(" (first) " to " (last) ")" } }
                        }
                        " dirty pages."
                        @if !slice.crossovers.is_empty() {
                            details {
                                summary { "Crossovers that are certain" }
                                ul { @for crossover in &slice.crossovers { li { (sentence(&crossover.sentence)) } } }
                            }
                        }
                    }
                }
            }
            @if let [first, .., last] = landscape.left_out.as_slice() {
                p.notes {
                    (landscape.left_out.len()) " places were left out, from \"" (text(first)) "\" to \"" (text(last))
                    "\"; run.json names them all."
                }
            }
            @for plate in &book.landscape { (figure(&plate.figure)) }
        }
    }
}

/// The best strategies of a slice in turn: each with the first and the last number of dirty pages in a row.
fn reigns(slice: &Slice) -> Vec<(&str, u64, u64)> {
    let mut reigns: Vec<(&str, u64, u64)> = Vec::new();
    for best in &slice.best {
        match reigns.last_mut().filter(|(strategy, ..)| *strategy == best.strategy) {
            Some((.., last)) => *last = best.dirty,
            None => reigns.push((&best.strategy, best.dirty, best.dirty)),
        }
    }
    reigns
}

/// The same blocks under many memory limits. Absent where `determinism.json` is not beside the run.
pub fn determinism(book: &Book) -> Markup {
    html! {
        @if let Some(plate) = &book.determinism {
            section #determinism { h2 { "Determinism" } (figure(&plate.figure)) }
        }
    }
}

/// What it costs to reset less often, and what it breaks. Absent where `policies.json` is not beside the run.
pub fn policies(book: &Book) -> Markup {
    let groups = Group::all(book.material.policies);
    if groups.is_empty() {
        return html! {};
    }
    html! {
        section #policies {
            h2 { "When to reset" }
            p {
                "Hosts that reset after every block are compared with hosts that do so when memory has grown, or on failure. A                  policy under which something is left from block to block is shown with what it takes, since that is why                  hosts choose it; it is never recommended."
            }
            @for group in &groups {
                h3 { (text(&group.title())) }
                p.params { (text(&group.about())) }
                @for sheet in group.tables() {
                    @let heads = html! { @for (name, unit) in &sheet.heads { (column(name, unit)) } };
                    (table(&group.title(), heads, fields(&sheet.lines)))
                }
                ul.notes { @for words in group.sentences() { li { (sentence(&words)) } } }
            }
        }
    }
}

/// Many calls at once. Absent where nothing was served.
pub fn serving(book: &Book) -> Markup {
    let Some(report) = book.material.serving else { return html! {} };
    html! {
        section #serving {
            h2 { "Serving: many calls at once" }
            p {
                "Callers share a pool of at most " (report.places) " sessions in one process. In the closed loop each calls \
                 again as soon as it has its answer; in the open loop requests arrive by themselves, and a latency counts from \
                 the arrival."
            }
            @if report.interrupted { p.warning { strong { "It was interrupted." } } }
            @for (group, plates) in serving::Group::all(report).iter().zip(&book.serving) {
                h3 { (text(&group.title())) }
                p.params { (text(&group.about())) }
                ul.notes { @for words in group.sentences() { li { (sentence(&words)) } } }
                @for sheet in group.tables() {
                    @let heads = html! { @for (name, unit) in &sheet.heads { (column(name, unit)) } };
                    (table(&group.title(), heads, fields(&sheet.lines)))
                }
                @for plate in plates { (figure(&plate.figure)) }
            }
        }
    }
}

/// What others said of resets. Absent where `claims.json` is not beside the run.
pub fn claims(book: &Book) -> Markup {
    let claims = book.material.claims;
    if claims.is_empty() {
        return html! {};
    }
    html! {
        section #claims {
            h2 { "Claims" }
            p { "What was said elsewhere of what a reset costs, and what this machine says to it." }
            (table("Claims", heads(&["claim", "quoted", "measured", "verdict"], "claim"), html! {
                @for claim in claims {
                    tr {
                        th.prose scope="row" {
                            (text(&claim.statement)) " "
                            span.unit { "(" (text(&claim.id)) ", " (text(&claim.source)) ")" }
                        }
                        td { (text(&claim.quoted)) }
                        td { (text(&claim.measured)) }
                        td { (claim.verdict.word()) }
                    }
                }
            }))
        }
    }
}
