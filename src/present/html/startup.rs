//! `startup.json`: what it takes to be ready, by path and by what is committed. Absent where it is not beside the run.

use maud::{Markup, html};

use super::{heads, sentence, table, text, whole};
use crate::determinism::environment::size;
use crate::determinism::word;
use crate::present::book::Book;
use crate::startup::report::{CommitCell, PathCell, Spread};
use crate::units::ns;

/// Both tables.
pub fn section(book: &Book) -> Markup {
    let Some(report) = book.material.startup else { return html! {} };
    html! {
        section #startup {
            h2 { "Startup" }
            p {
                "From process start to the first block done, on a generated module of " (size(report.module_bytes)) ", by "
                code { (text(&report.command)) } ": medians of interleaved launches, and in brackets the fastest and the slowest. \
                 What each workload above takes to start is in its own figure."
            }
            @if report.interrupted { p.warning { strong { "It was interrupted." } } }
            (table(
                "Startup by path",
                heads(&["path", "commits", "total", "of which", "launches"], "of which"),
                html! { @for cell in &report.paths { (path(cell)) } }
            ))
            h3 { "Committing memory" }
            (table(
                "Committing memory",
                heads(&["policy", "amount", "time", "resident", "the guest sees it", "but"], "but"),
                html! { @for cell in &report.commits { (commit(cell)) } }
            ))
        }
    }
}

fn path(cell: &PathCell) -> Markup {
    let stages = cell.stages.iter().map(|stage| format!("{} {}", stage.name, whole(&ns(stage.time.p50))));
    html! {
        tr {
            th scope="row" { (text(&word(cell.path))) }
            td { @if cell.commit_bytes == 0 { "nothing" } @else { (size(cell.commit_bytes)) } }
            td { (spread(cell.total)) }
            td.prose { (text(&stages.collect::<Vec<_>>().join(", "))) }
            td { (cell.total.n) }
        }
    }
}

fn commit(cell: &CommitCell) -> Markup {
    html! {
        tr {
            th scope="row" { (text(&cell.commit)) }
            td { (size(cell.bytes)) }
            td { @match cell.time { Some(time) => (spread(time)), None => "-" } }
            td { (cell.resident_bytes.map_or("-".into(), size)) }
            td { @if cell.visible { "yes" } @else { "no" } }
            td.prose { (sentence(&but(cell))) }
        }
    }
}

/// Why there is no time, or why it is not that of committing all of it.
fn but(cell: &CommitCell) -> String {
    if cell.time.is_none() {
        return cell.reason.clone().unwrap_or_else(|| "nothing to commit".into());
    }
    let short = |bytes: Option<u64>, what: &str| {
        bytes.filter(|bytes| *bytes < cell.bytes).map(|bytes| format!("only {} of it {what}", size(bytes)))
    };
    let short = [short(cell.resident_bytes, "is resident"), short(cell.warmed_bytes, "was warm beforehand")];
    short.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn spread(spread: Spread) -> Markup {
    html! {
        (whole(&ns(spread.p50))) " "
        span.interval { "[" (whole(&ns(spread.min))) ", " (whole(&ns(spread.max))) "]" }
    }
}
