//! One self-contained page: the answer first, then the tables and figures behind it.
//!
//! Everything is inside the file; its content security policy forbids it to fetch anything. Text goes through `maud`,
//! which escapes it; only the drawings and the stylesheet, both made here, are written as they are.

mod background;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::columns::{Entry, Kind, Line, Sheet};
use super::figures::{Drawing, Numbers};
use super::palette::{Palette, Style, dark_rules};
use super::prose::{code_spans, percent, printable};
use super::report::{Chapter, Facts};
use super::units::{bytes, count, ns, ratio};
use super::view::{Group, Shown};
use crate::analyse::summary::Summary;

/// The whole page.
pub fn page(facts: &Facts, summary: &Summary, chapters: &[Chapter], palette: &Palette) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { (text(&facts.title)) " · resetbench" }
                style { (PreEscaped(stylesheet())) }
            }
            body {
                (head(facts, summary))
                main {
                    (answer(chapters, palette))
                    @for chapter in chapters { (workload(chapter, palette)) }
                    (background::soundness(chapters, palette))
                    (background::environment(facts))
                    (background::reading(summary))
                }
            }
        }
    };
    markup.into_string()
}

fn stylesheet() -> String {
    format!(
        "{}@media screen and (prefers-color-scheme: dark) {{\n{}}}\n",
        include_str!("html/style.css"),
        dark_rules()
    )
}

fn head(facts: &Facts, summary: &Summary) -> Markup {
    html! {
        header {
            h1 { (text(&facts.title)) }
            p.meta {
                "Which way of resetting a WebAssembly instance between blocks is correct, what it costs, and how much \
                 memory it needs. Run " code { (text(&facts.run)) } ", started " (text(&facts.started)) ", profile "
                (text(&facts.profile)) "."
            }
            @if facts.interrupted {
                p.warning { strong { "This run was interrupted." } " What follows is what it had measured until then." }
            }
            @for note in &summary.notes { p.warning { (sentence(note)) } }
        }
    }
}

fn answer(chapters: &[Chapter], palette: &Palette) -> Markup {
    html! {
        section #answer {
            h2 { "Answer: the best sound strategy per workload" }
            @if chapters.is_empty() { p { "This run holds no cells." } }
            div.answers {
                @for chapter in chapters {
                    article {
                        h3 { a href={ "#" (chapter.slug) } { (text(&chapter.group.title())) } }
                        @match chapter.group.best() {
                            Some(best) => (winner(&chapter.group, best, palette)),
                            None => p { "No sound strategy has a time here; see " a href="#soundness" { "why" } "." },
                        }
                    }
                }
            }
            nav aria-label="Sections" {
                ul {
                    @for chapter in chapters { li { a href={ "#" (chapter.slug) } { (text(&chapter.group.title())) } } }
                    li { a href="#soundness" { "Soundness" } }
                    li { a href="#environment" { "Environment" } }
                    li { a href="#reading" { "How to read this" } }
                }
            }
        }
    }
}

fn winner(group: &Group, best: Shown, palette: &Palette) -> Markup {
    let timed = group.sorted(false, |cell| cell.cycle().map(|q| q.p50)).into_iter();
    let next = timed.filter(|cell| cell.cycle().is_some()).find(|cell| cell.name() != best.name());
    html! {
        p.winner { (named(best.name(), palette)) }
        @if let Some(answer) = group.answer().filter(|_| !group.tied().is_empty()) { p { (sentence(&answer)) "." } }
        @if let Some(words) = best.sentence() { p { (sentence(words)) } }
        dl {
            @if let Some(cycle) = best.cycle() {
                dt { "cycle" } dd { (whole(&ns(cycle.p50))) ", p95 " (whole(&ns(cycle.p95))) }
            }
            @if let Some(rss) = best.rss() { dt { "RSS peak" } dd { (whole(&bytes(rss.peak))) } }
            @if let Some(faults) = best.faults() { dt { "faults per block" } dd { (count(faults)) } }
            @if let Some(startup) = best.startup_total() { dt { "startup" } dd { (whole(&ns(startup))) } }
            @if let Some(next) = next {
                dt { "next best" }
                dd {
                    (text(next.name()))
                    @if let Some(regret) = next.regret() { ", " (ratio(regret.value)) " times its cycle" }
                }
            }
            @if let Some(caveat) = best.caveat() { dt { "but" } dd { (sentence(caveat)) } }
        }
    }
}

fn workload(chapter: &Chapter, palette: &Palette) -> Markup {
    let group = &chapter.group;
    html! {
        section id=(chapter.slug) {
            h2 { (text(&group.title())) }
            @if !group.several && !group.params.is_empty() { p.params { (text(&group.parameters())) } }
            (results(chapter, palette))
            @for drawing in &chapter.drawings { (figure(drawing)) }
            @for absent in &chapter.absent { p.notes { (absent) } }
        }
    }
}

fn results(chapter: &Chapter, palette: &Palette) -> Markup {
    let group = &chapter.group;
    let sheet = Sheet::new(group);
    let first_control = sheet.lines.iter().position(|line| line.cell.control());
    let span = sheet.columns.len() + 1;
    html! {
        p.notes {
            "Medians per block, sorted by cycle. The baseline is " code { (text(group.baseline)) }
            "; a ratio below 1 is faster, and in brackets is its " (percent(group.method.level)) " interval."
        }
        div.scroll tabindex="0" role="region" aria-label={ "Results of " (text(&group.title())) } {
            table {
                thead {
                    tr {
                        th scope="col" { "strategy" }
                        @for (kind, column) in &sheet.columns {
                            th scope="col" {
                                (kind.name())
                                @if !column.unit.is_empty() { " " span.unit { "(" (column.unit) ")" } }
                            }
                        }
                    }
                }
                tbody {
                    @for (i, line) in sheet.lines.iter().enumerate() {
                        @if first_control == Some(i) {
                            tr.divider { th colspan=(span) scope="rowgroup" { "controls, never recommended" } }
                        }
                        (result(chapter, &sheet, line, palette))
                    }
                }
            }
        }
        @if !sheet.reasons.is_empty() {
            ol.notes { @for (i, reason) in sheet.reasons.iter().enumerate() { li id=(note_id(chapter, i + 1)) { (text(reason)) } } }
        }
        @for (name, caveat) in &sheet.caveats { p.notes { code { (text(name)) } ": " (sentence(caveat)) } }
        @if !sheet.absent.is_empty() {
            p.notes { "Not measured in this run: " (sheet.absent.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")) "." }
        }
        details {
            summary { "Each verdict as a sentence" }
            ul { @for line in &sheet.lines { @if let Some(words) = line.cell.sentence() { li { (sentence(words)) } } } }
        }
    }
}

fn result(chapter: &Chapter, sheet: &Sheet, line: &Line, palette: &Palette) -> Markup {
    html! {
        tr.best[line.best].missing[line.note.is_some()] {
            th scope="row" { (named(line.cell.name(), palette)) }
            @for (kind, column) in &sheet.columns {
                td {
                    @match sheet.entry(line, *kind, *column) {
                        Entry::Figure(figure) => (figure),
                        Entry::Ratio(r) => {
                            (ratio(r.value)) " " span.interval { "[" (ratio(r.low)) ", " (ratio(r.high)) "]" }
                        }
                        Entry::Baseline => "baseline",
                        Entry::Best => "best",
                        Entry::Missing => "-",
                        Entry::Note(note) => { "- " a href={ "#" (note_id(chapter, note)) } { "note " (note) } }
                    }
                    // A row whose ratio was never measured still has to lead to its note.
                    @if *kind == Kind::Cycle && sheet.absent.contains(&Kind::Baseline) {
                        @if let Some(note) = line.note { " " a href={ "#" (note_id(chapter, note)) } { "note " (note) } }
                    }
                }
            }
        }
    }
}

fn figure(drawing: &Drawing) -> Markup {
    html! {
        figure {
            div.scroll tabindex="0" role="region" aria-label=(text(&drawing.title)) { (PreEscaped(&drawing.svg)) }
            figcaption { (text(&drawing.caption)) }
            details {
                summary { "The figures behind it" }
                (numbers(&drawing.numbers))
            }
        }
    }
}

fn numbers(numbers: &Numbers) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Figures" {
            table {
                thead { tr { @for head in &numbers.head { th scope="col" { (text(head)) } } } }
                tbody {
                    @for row in &numbers.rows {
                        tr {
                            @for (i, field) in row.iter().enumerate() {
                                @if i == 0 { th scope="row" { (text(field)) } } @else { td { (text(field)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn named(name: &str, palette: &Palette) -> Markup {
    html! { (mark(palette.style(name))) (text(name)) }
}

/// A strategy's marker, in the colours that the stylesheet turns dark.
fn mark(style: Style) -> Markup {
    let colour = style.colour.hex();
    html! {
        svg.mark viewBox="-9 -9 18 18" aria-hidden="true" {
            @match style.marker.corners(6.5) {
                None => circle r="6.5" fill=(colour) {},
                Some(corners) => {
                    @let points = corners.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ");
                    polygon points=(points) fill=(colour) {}
                }
            }
        }
    }
}

/// Prose whose backticks mark code.
fn sentence(words: &str) -> Markup {
    html! { @for (is_code, part) in code_spans(words) { @if is_code { code { (text(part)) } } @else { (text(part)) } } }
}

/// A figure that is not torn from its unit.
fn whole(figure: &str) -> String {
    figure.replace(' ', "\u{a0}")
}

fn text(words: &str) -> String {
    printable(words)
}

fn note_id(chapter: &Chapter, note: usize) -> String {
    format!("{}-note-{note}", chapter.slug)
}
