//! One self-contained page: the answer first, then the tables and figures behind it.
//!
//! Everything is inside the file; its content security policy forbids it to fetch anything, and to run any script but the
//! one that sorts and filters. Text goes through `maud`, which escapes it; only the drawings, the stylesheet and the
//! script, all made here, are written as they are.

mod appendix;
mod background;
mod findings;
mod startup;
mod tables;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::book::{Book, Chapter, Facts, Material};
use super::figures::landscape::setting::pages;
use super::figures::{Figure, Numbers};
use super::palette::{Palette, Style, dark_rules};
use super::view::{Group, Shown};
use crate::analyse::crossover::ALONG;
use crate::analyse::summary::Summary;
use crate::prose::{code_spans, printable};
use crate::units::{bytes, count, ns, ratio};
use crate::workload::landscape::describe;

/// What sorts and filters tables; the page says all it has to say without it.
const SCRIPT: &str = include_str!("html/script.js");

pub use self::appendix::page as appendix_page;

/// The whole page.
pub fn page(book: &Book, palette: &Palette) -> String {
    let Book { material: Material { facts, summary, .. }, chapters, .. } = book;
    // A landscape is told by its figures; the tables of its places stand behind them.
    let places = book.material.is_landscape();
    let main = html! {
        @if !places { (answer(chapters, palette)) }
        (contents(book))
        @if places { (findings::landscape(book)) }
        (tables::filters(book))
        @if places {
            section #places {
                h2 { "The places of the landscape" }
                @for chapter in chapters {
                    details id=(chapter.slug) {
                        summary { (text(&place(&chapter.group))) }
                        (tables::results(book, chapter, palette))
                    }
                }
            }
        } @else {
            (tables::overview(book, palette))
            @for chapter in chapters { (workload(book, chapter, palette)) }
        }
        @if !places { (findings::landscape(book)) }
        (findings::soundness(chapters, palette))
        (startup::section(book))
        (findings::determinism(book))
        (findings::serving(book))
        (appendix::section(book.topic.as_ref()))
        (findings::policies(book))
        (findings::claims(book))
        (background::environment(facts))
        (background::method(summary))
    };
    shell(&facts.title, "Skip to the answer", &head(facts, summary), &main)
}

/// A page around what it says.
fn shell(title: &str, skip: &str, head: &Markup, main: &Markup) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(policy());
                title { (text(title)) " · resetbench" }
                style { (PreEscaped(stylesheet())) }
            }
            body {
                a.skip href="#main" { (skip) }
                (head)
                main #main { (main) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    markup.into_string()
}

/// Nothing may be fetched, and no script may run but ours.
fn policy() -> String {
    let hash = STANDARD.encode(Sha256::digest(SCRIPT));
    format!("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{hash}'")
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
        }
    }
}

/// The place of a landscape, in its own words where it has them.
fn place(group: &Group) -> String {
    let dirty = group.params.get(ALONG).and_then(serde_json::Value::as_u64);
    dirty.map_or_else(
        || group.title(),
        |dirty| format!("{}: {}, {}", group.workload, pages(dirty), describe(group.params)),
    )
}

/// What the page holds.
fn contents(book: &Book) -> Markup {
    let topic = book.topic.as_ref().map_or(("", "", false), |topic| (topic.id, topic.title, true));
    let sections = [
        ("landscape", "Landscape", book.material.landscape.is_some()),
        ("places", "Places", book.material.is_landscape()),
        ("soundness", "Soundness", true),
        ("startup", "Startup", book.material.startup.is_some()),
        ("determinism", "Determinism", book.determinism.is_some()),
        ("serving", "Serving", book.material.serving.is_some()),
        topic,
        ("policies", "When to reset", !book.material.policies.is_empty()),
        ("claims", "Claims", !book.material.claims.is_empty()),
        ("environment", "Environment", true),
        ("method", "Method and bias", true),
    ];
    let chapters = if book.material.is_landscape() { &[][..] } else { &book.chapters };
    html! {
        nav aria-label="Sections" {
            ul {
                @for chapter in chapters { li { a href={ "#" (chapter.slug) } { (text(&chapter.group.title())) } } }
                @for (id, title, _) in sections.iter().filter(|(.., there)| *there) {
                    li { a href={ "#" (id) } { (title) } }
                }
            }
        }
    }
}

fn winner(group: &Group, best: Shown, palette: &Palette) -> Markup {
    html! {
        p.winner { (named(best.name(), palette)) }
        @if let Some(warning) = group.warning() { p.warning { strong { "Warning: " } (sentence(&warning)) "." } }
        @if let Some(answer) = group.answer().filter(|_| !group.tied().is_empty()) { p { (sentence(&answer)) "." } }
        @if let Some(words) = best.sentence() { p { (sentence(words)) } }
        @if let Some(by_mean) = group.by_mean() { p.warning { (sentence(&by_mean.sentence)) } }
        @if let Some(words) = best.settles(group.baseline) { p { (sentence(&words)) } }
        dl {
            @if let Some(cycle) = best.cycle() {
                dt { "cycle" } dd { (whole(&ns(cycle.p50))) ", p95 " (whole(&ns(cycle.p95))) }
            }
            @if let Some(rss) = best.rss() { dt { "RSS peak" } dd { (whole(&bytes(rss.peak))) } }
            @if let Some(faults) = best.faults() { dt { "faults per block" } dd { (count(faults)) } }
            @if let Some(startup) = best.startup_total() { dt { "startup" } dd { (whole(&ns(startup))) } }
            @if let Some(next) = group.next() {
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

fn workload(book: &Book, chapter: &Chapter, palette: &Palette) -> Markup {
    let group = &chapter.group;
    html! {
        section id=(chapter.slug) {
            h2 { (text(&group.title())) }
            @if !group.several && !group.params.is_empty() { p.params { (text(&group.parameters())) } }
            (tables::results(book, chapter, palette))
            @for drawn in &chapter.figures { (figure(drawn)) }
            @for absent in &chapter.absent { p.notes { (absent) } }
        }
    }
}

/// What is wider than a narrow page scrolls in a box of its own, which a keyboard can reach.
fn scroll(label: &str, content: Markup) -> Markup {
    html! { div.scroll tabindex="0" role="region" aria-label=(text(label)) { (content) } }
}

fn figure(drawn: &Figure) -> Markup {
    html! {
        figure {
            (scroll(&drawn.title, PreEscaped(drawn.svg())))
            figcaption { (text(&drawn.caption)) }
            details {
                summary { "The figures behind it" }
                (numbers(&drawn.numbers))
            }
        }
    }
}

fn numbers(numbers: &Numbers) -> Markup {
    let head: Vec<&str> = numbers.head.iter().map(String::as_str).collect();
    table("Figures", heads(&head, ""), fields(&numbers.rows))
}

/// A table with a row of headings.
fn table(label: &str, heads: Markup, rows: Markup) -> Markup {
    scroll(label, html! { table { thead { tr { (heads) } } tbody { (rows) } } })
}

/// Headings of columns; the one called `prose` holds sentences.
fn heads(names: &[&str], prose: &str) -> Markup {
    html! {
        @for name in names {
            @if *name == prose { th.prose scope="col" { (text(name)) } } @else { th scope="col" { (text(name)) } }
        }
    }
}

/// The heading of a column of figures, with their unit if they have one.
fn column(name: &str, unit: &str) -> Markup {
    html! { th scope="col" { (name) @if !unit.is_empty() { " " span.unit { "(" (unit) ")" } } } }
}

/// Rows of text, each named by its first field.
fn fields(rows: &[Vec<String>]) -> Markup {
    html! {
        @for row in rows {
            tr {
                @for (i, field) in row.iter().enumerate() {
                    @if i == 0 { th scope="row" { (text(field)) } } @else { td { (text(field)) } }
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
