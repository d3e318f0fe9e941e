//! Where time and pages go: a section of a run's page, and a page by itself.

use maud::{Markup, html};

use super::{figure, sentence, shell, text};
use crate::present::book::{Book, Plate};
use crate::present::profile::Group;
use crate::profile::report::Report;
use crate::profile::{FOLDER, report};

/// What a profile beside the run shows. Absent where there is none.
pub fn section(book: &Book) -> Markup {
    let Some(report) = book.material.profile else { return html! {} };
    html! {
        section #profile {
            h2 { "Where time and pages go" }
            p.notes {
                "A profile of its own, " code { (text(&report.command)) } ". Its times are not to be set against those above: \
                 they are means, of one process for each strategy."
            }
            (workloads(report, &book.profile, &format!("{FOLDER}/")))
        }
    }
}

/// A page of a profile alone, which lies in its folder.
pub fn page(report: &Report, plates: &[Vec<Plate>]) -> String {
    let report::Report { host, machine, wasmtime, version, .. } = report;
    let title = "Where a block's time and pages go";
    let head = html! {
        header {
            h1 { (title) }
            p.meta {
                "Profiled by " code { (text(&report.command)) } " with resetbench " (text(version)) " and wasmtime "
                (text(wasmtime)) ", " (text(&host.sentence())) ". On " (text(&machine.sentence())) "."
            }
        }
    };
    let main = html! { section #profile { (workloads(report, plates, "")) } };
    shell(title, "Skip to the profile", &head, &main)
}

/// All workloads with their figures and files, which lie below `folder`.
fn workloads(report: &Report, plates: &[Vec<Plate>], folder: &str) -> Markup {
    html! {
        @if report.interrupted {
            p.warning { strong { "It was interrupted." } " What follows is what had been sampled until then." }
        }
        @for note in &report.notes { p.warning { (sentence(note)) } }
        @for (group, plates) in Group::all(report).iter().zip(plates) {
            h3 { (text(group.title())) }
            @for plate in plates { (figure(&plate.figure)) }
            @if !group.profiles().is_empty() {
                ul.notes { @for words in group.sentences() { li { (sentence(&words)) } } }
            }
            (files(group, folder))
            dl { @for (name, value) in group.facts() { dt { (name) } dd { (text(&value)) } } }
        }
    }
}

/// Links to the stacks of each strategy.
fn files(group: &Group, folder: &str) -> Markup {
    html! {
        ul.notes {
            @for (strategy, links) in group.links() {
                li {
                    "Stacks of " code { (text(strategy)) } ": "
                    @for (i, link) in links.iter().enumerate() {
                        @if i > 0 { ", " }
                        a href=(format!("{folder}{}", link.path)) { (text(&link.what)) }
                    }
                    "."
                }
            }
        }
    }
}
