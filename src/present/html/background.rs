//! What stands behind the answer: soundness, environment, and how to read it all.

use maud::{Markup, html};

use super::{named, text};
use crate::analyse::summary::Summary;
use crate::present::palette::Palette;
use crate::present::prose::percent;
use crate::present::report::{self, Chapter, Facts};

/// What was found equal to a fresh instance, and why the rest was not.
pub fn soundness(chapters: &[Chapter], palette: &Palette) -> Markup {
    let findings = report::soundness(chapters);
    html! {
        section #soundness {
            h2 { "Soundness" }
            p {
                "Every reset is compared with a fresh instance in the same run, by the list of the reset contract. A strategy that leaves something behind on a workload has no time there, however fast \
                 it was. Equivalence is observed on the blocks of this run; it is not a proof."
            }
            div.scroll tabindex="0" role="region" aria-label="Soundness" {
                table {
                    thead { tr { th scope="col" { "strategy" } th scope="col" { "equivalent on" } th.prose scope="col" { "otherwise" } } }
                    tbody {
                        @for finding in &findings {
                            tr {
                                th scope="row" { (named(&finding.strategy, palette)) }
                                td { (finding.equivalent) " of " (finding.total) }
                                td.prose {
                                    @for (reason, workloads) in &finding.otherwise {
                                        p { (text(reason)) " " span.unit { "(" (text(&workloads.join(", "))) ")" } }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The machine, the command and the strategies' configurations.
pub fn environment(facts: &Facts) -> Markup {
    html! {
        section #environment {
            h2 { "Environment" }
            p { "The command of this run:" }
            pre tabindex="0" { code { (text(&facts.command)) } }
            dl { @for (name, value) in &facts.machine { dt { (text(name)) } dd { (text(value)) } } }
            @if !facts.strategies.is_empty() {
                h3 { "Effective configuration of each strategy" }
                dl { @for (name, value) in &facts.strategies { dt { code { (text(name)) } } dd { (text(value)) } } }
            }
        }
    }
}

/// The words and the statistics in short.
pub fn reading(summary: &Summary) -> Markup {
    html! {
        section #reading {
            h2 { "How to read this" }
            dl {
                dt { "execute" } dd { "one call of the guest's _start on a block" }
                dt { "reset" } dd { "bringing the instance back to what it was right after instantiation" }
                dt { "cycle" } dd { "execute and reset together: what a block costs" }
                dt { "floor" } dd { "control/oracle, which knows each block's dirty pages beforehand" }
                dt { "overhead" } dd { "cycle minus the floor's execute" }
                dt { "vs baseline" } dd { "cycle over the baseline's cycle in the same round" }
                dt { "vs best" } dd { "cycle over that of the best sound strategy (regret)" }
                dt { "control" } dd { "a strategy that calibrates or is there to be caught" }
            }
            p {
                "Intervals have a confidence of " (percent(summary.method.level)) "; differences up to "
                (percent(summary.method.margin)) " either way are called the same. What cannot be computed is unsure."
            }
        }
    }
}
