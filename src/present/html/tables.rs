//! The tables of results: one over all workloads, and one for each.

use maud::{Markup, html};

use super::{column, named, note_id, scroll, sentence, text};
use crate::determinism::word;
use crate::present::book::{Book, Chapter, again};
use crate::present::columns::{Entry, Kind, Line, Sheet};
use crate::present::palette::Palette;
use crate::present::view::{Group, family};
use crate::prose::{distinct, percent};
use crate::units::ratio;

/// The switches that a script brings to life; without one they stay hidden.
pub fn filters(book: &Book) -> Markup {
    let families =
        distinct(book.chapters.iter().flat_map(|c| c.group.cells.iter().map(|cell| family(cell.name()))));
    let families = families.into_iter().filter(|family| *family != "control");
    html! {
        form #filters hidden aria-label="Which rows the tables show" {
            fieldset {
                legend { "Families" }
                @for family in families {
                    label { input type="checkbox" name="family" value=(text(family)) checked; " " (text(family)) }
                }
            }
            fieldset {
                legend { "Rows" }
                label { input type="checkbox" name="significant"; " only faster or slower than the baseline" }
                label { input type="checkbox" name="controls"; " hide controls" }
            }
            p { button type="reset" { "Show all" } " " span role="status" {} }
        }
    }
}

/// Every strategy on every workload, as its cycle over the baseline's: who is good everywhere.
pub fn overview(book: &Book, palette: &Palette) -> Markup {
    let groups: Vec<&Group> = book.chapters.iter().map(|chapter| &chapter.group).collect();
    let names = distinct(groups.iter().flat_map(|group| group.cells.iter().map(|cell| cell.name())));
    let find = |group: &Group, name: &str| -> Option<f64> {
        let cell = group.cells.iter().find(|cell| cell.name() == name)?;
        if name == group.baseline { cell.cycle().map(|_| 1.0) } else { cell.ratio().map(|r| r.value) }
    };
    let worst = |name: &str| -> Option<f64> {
        let regret =
            |group: &&Group| group.cells.iter().find(|cell| cell.name() == name)?.regret().map(|r| r.value);
        groups.iter().map(regret).collect::<Option<Vec<f64>>>()?.into_iter().reduce(f64::max)
    };
    let control = |name: &str| family(name) == "control";
    let mut rows: Vec<(&str, Option<f64>)> = names.into_iter().map(|name| (name, worst(name))).collect();
    rows.retain(|(name, _)| groups.iter().any(|group| find(group, name).is_some()));
    rows.sort_by(|(a, x), (b, y)| {
        control(a)
            .cmp(&control(b))
            .then(x.is_none().cmp(&y.is_none()))
            .then(x.unwrap_or(f64::MAX).total_cmp(&y.unwrap_or(f64::MAX)).then(a.cmp(b)))
    });
    let Some(first) = groups.first().filter(|_| groups.len() > 1 && !rows.is_empty()) else {
        return html! {};
    };
    // A narrow page may break a name behind its slash.
    let titles = groups.iter().map(|group| text(&group.title()).replace('/', "/\u{200b}"));
    let heads = html! { @for title in titles.chain(["at worst".into()]) { (column(&title, "")) } };
    let row = |(name, worst): (&str, Option<f64>)| {
        let row = html! {
            tr data-family=(text(family(name))) {
                th scope="row" { (named(name, palette)) }
                @for group in &groups {
                    @let value = find(group, name);
                    @let best = group.best().is_some_and(|cell| cell.name() == name);
                    td.strong[best] data-value=[value] { (value.map_or("-".into(), ratio)) }
                }
                td data-value=[worst] { (worst.map_or("-".into(), ratio)) }
            }
        };
        (control(name), row)
    };
    let rows: Vec<(bool, Markup)> = rows.into_iter().map(row).collect();
    html! {
        section #overview {
            h2 { "Every strategy on every workload" }
            p.notes {
                "The median ratio of the cycle to that of " code { (text(first.baseline)) } ", in the same rounds: below 1 \
                 is faster. In bold is the best of each workload, whose median cycle is shortest; within the noise, another's ratio \
                 may come out lower. \"At worst\" is the largest ratio to the best \
                 strategy of a workload, and decides the order: the first loses least wherever it is used. A " code { "-" }
                " had no sound time there."
            }
            (ranked("Every strategy on every workload", heads, &rows, groups.len() + 2))
        }
    }
}

/// The table of one workload, and the words that belong to it.
pub fn results(book: &Book, chapter: &Chapter, palette: &Palette) -> Markup {
    let group = &chapter.group;
    let sheet = Sheet::new(group);
    let heads = html! { @for (kind, of) in &sheet.columns { (column(kind.name(), of.unit)) } };
    let row = |line: &Line| (line.cell.control(), result(chapter, &sheet, line, palette));
    let rows: Vec<(bool, Markup)> = sheet.lines.iter().map(row).collect();
    html! {
        p.notes {
            "Medians per block, sorted by cycle. The baseline is " code { (text(group.baseline)) }
            "; a ratio below 1 is faster, and in brackets is its " (percent(group.method.level)) " interval."
        }
        (ranked(&format!("Results of {}", group.title()), heads, &rows, sheet.columns.len() + 1))
        @if let Some(warning) = group.warning() { p.warning { strong { "Warning: " } (sentence(&warning)) "." } }
        @if let Some(by_mean) = group.by_mean() { p.notes { (sentence(&by_mean.sentence)) } }
        @if !sheet.reasons.is_empty() {
            ol.notes { @for (i, reason) in sheet.reasons.iter().enumerate() { li id=(note_id(chapter, i + 1)) { (text(reason)) } } }
        }
        @for (name, caveat) in &sheet.caveats { p.notes { code { (text(name)) } ": " (sentence(caveat)) } }
        @for words in sheet.growth.iter().chain(&sheet.length) { p.notes { (sentence(words)) } }
        @if !sheet.absent.is_empty() {
            p.notes { "Not measured in this run: " (sheet.absent.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")) "." }
        }
        details {
            summary { "Each verdict as a sentence" }
            ul {
                @for line in &sheet.lines {
                    @if let Some(words) = line.cell.sentence() {
                        li {
                            (sentence(words))
                            @if let Some((ending, launches)) = line.cell.ended() {
                                span.unit { " (" (ending.after(launches, launches)) ")" }
                            }
                        }
                    }
                }
            }
        }
        details {
            summary { "The command that measures a cell again" }
            p.notes { "Each also runs the baseline and the floor, without which there is no ratio and no overhead." }
            ul.commands {
                @for line in &sheet.lines { li { code { (text(&again(book.material.facts, group, line.cell.name()))) } } }
            }
        }
    }
}

fn result(chapter: &Chapter, sheet: &Sheet, line: &Line, palette: &Palette) -> Markup {
    html! {
        tr.best[line.best].missing[line.note.is_some()] data-family=(text(family(line.cell.name()))) data-verdict=(word(line.cell.verdict())) {
            th scope="row" { (named(line.cell.name(), palette)) }
            @for (kind, column) in &sheet.columns {
                td data-value=[kind.value(line.cell).filter(|value| value.is_finite())] {
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

/// A table with a row per strategy: contenders, and below a line of words the controls, which say that they are.
fn ranked(label: &str, heads: Markup, rows: &[(bool, Markup)], span: usize) -> Markup {
    let of = |control: bool| rows.iter().filter(move |(of, _)| *of == control).map(|(_, row)| row);
    scroll(
        label,
        html! {
            table.results {
                thead { tr { (column("strategy", "")) (heads) } }
                tbody { @for row in of(false) { (row) } }
                @if of(true).next().is_some() {
                    tbody {
                        tr.divider { th colspan=(span) scope="rowgroup" { "controls, never recommended" } }
                        @for row in of(true) { (row) }
                    }
                }
            }
        },
    )
}
