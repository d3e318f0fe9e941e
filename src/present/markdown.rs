//! Tables for a README and for `report.md`.
//!
//! The same figures as in the terminal, with whole intervals, since a page is wide.

use super::appendix::Link;
use super::book::{Book, Chapter, Material, Plate, Terrain, soundness};
use super::columns::{Entry, Sheet};
use super::figures::{Figure, Numbers};
use super::serving;
use super::view::Group;
use crate::prose::markdown::{code, escape, sentence};
use crate::prose::{enumerated, percent, printable};
use crate::units::ratio;

/// The table of one workload with its notes, ending in a newline.
pub fn table(group: &Group) -> String {
    if group.cells.is_empty() {
        return "No cells.\n".into();
    }
    let sheet = Sheet::new(group);
    let warning = group.warning().map(|warning| format!("**Warning: {}.**\n\n", sentence(&warning)));
    let names = sheet.columns.iter().map(|(kind, column)| match column.unit {
        "" => kind.name().to_owned(),
        unit => format!("{} ({unit})", kind.name()),
    });
    let mut out = warning.unwrap_or_default() + &head(["strategy".to_owned()].into_iter().chain(names));
    let mut controls = false;
    for line in &sheet.lines {
        if line.cell.control() && !controls {
            controls = true;
            out += &format!("| *controls, never recommended* |{}\n", " |".repeat(sheet.columns.len()));
        }
        let fields = sheet.columns.iter().map(|(kind, column)| field(sheet.entry(line, *kind, *column)));
        let fields = [code(line.cell.name())].into_iter().chain(fields);
        out += &row(fields.map(|text| if line.best && text != "-" { format!("**{text}**") } else { text }));
    }
    out += &format!(
        "\nThe baseline is {}; a ratio below 1 is faster, and in brackets is its {} interval.\n",
        code(group.baseline),
        percent(group.method.level)
    );
    let tied: Vec<String> = group.tied().iter().map(|cell| code(cell.name())).collect();
    if !tied.is_empty() {
        out += &format!("\nTied with the best, at the same level: {}.\n", enumerated(&tied));
    }
    if let Some(by_mean) = group.by_mean() {
        out += &format!("\n{}\n", sentence(&by_mean.sentence));
    }
    for (i, reason) in sheet.reasons.iter().enumerate() {
        out += &format!("{}{}. {}\n", if i == 0 { "\n" } else { "" }, i + 1, escape(reason));
    }
    for (name, caveat) in &sheet.caveats {
        out += &format!("\n{}: {}\n", code(name), escape(caveat));
    }
    for words in sheet.growth.iter().chain(&sheet.length) {
        out += &format!("\n{}\n", sentence(words));
    }
    if !sheet.absent.is_empty() {
        let names: Vec<&str> = sheet.absent.iter().map(|kind| kind.name()).collect();
        out += &format!("\nNot measured in this run: {}.\n", names.join(", "));
    }
    out
}

/// The table behind a figure.
pub fn numbers(numbers: &Numbers) -> String {
    let rows = numbers.rows.iter().map(|fields| row(fields.iter().map(|field| escape(field))));
    head(numbers.head.iter().map(|name| escape(name))) + &rows.collect::<String>()
}

/// The names of columns, of which the first holds names and the others figures.
fn head(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.collect();
    let figures = "--:|".repeat(names.len().saturating_sub(1));
    format!("{}|:--|{figures}\n", row(names.into_iter()))
}

fn row(fields: impl Iterator<Item = String>) -> String {
    format!("| {} |\n", fields.collect::<Vec<_>>().join(" | "))
}

fn field(entry: Entry) -> String {
    match entry {
        Entry::Figure(text) => escape(&text),
        Entry::Ratio(r) => escape(&format!("{} [{}, {}]", ratio(r.value), ratio(r.low), ratio(r.high))),
        Entry::Baseline => "baseline".into(),
        Entry::Best => "best".into(),
        Entry::Missing => "-".into(),
        Entry::Note(note) => format!("- (note {note})"),
    }
}

/// Text that stays between the fences of a block of code.
fn fenced(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n").replace("```", "'''")
}

/// A figure whose file lies beside the page.
fn picture(figure: &Figure, file: &str) -> String {
    format!("\n![{}]({file}.svg)\n\n{}\n", escape(&figure.title), escape(&figure.caption))
}

/// The report as Markdown, with the pictures beside it.
pub fn page(book: &Book) -> String {
    let Book { material: Material { facts, summary, landscape, .. }, chapters, .. } = book;
    let mut out = format!("# {}\n\n", escape(&facts.title));
    out += &format!(
        "Run {}, started {}, profile {}.\n\n",
        code(&facts.run),
        escape(&facts.started),
        escape(&facts.profile)
    );
    if facts.interrupted {
        out += "**This run was interrupted.** What follows is what it had measured until then.\n\n";
    }
    for note in &summary.notes {
        out += &format!("> {}\n\n", sentence(note));
    }
    out += "## The best sound strategy per workload\n\n";
    if chapters.is_empty() {
        out += "This run holds no cells.\n\n";
    }
    for Chapter { group, .. } in chapters {
        let words = match group.best().zip(group.answer()) {
            Some((best, answer)) => {
                let why =
                    best.sentence().into_iter().chain(group.by_mean().map(|by_mean| &*by_mean.sentence));
                let settles = best.settles(group.baseline);
                let why = why.chain(settles.as_deref());
                let why: String = why.map(|words| format!(" {}", sentence(words))).collect();
                let warning = group
                    .warning()
                    .map_or_else(String::new, |words| format!("**Warning: {}.** ", sentence(&words)));
                format!("{warning}best is {}.{why}", sentence(&answer))
            }
            None => "no sound strategy has a time here.".into(),
        };
        out += &format!("- **{}**: {words}\n", escape(&group.title()));
    }
    if let Some(Terrain { landscape, beside, .. }) = landscape {
        out += "\n## Landscape\n\n";
        if let Some(facts) = beside {
            out += &format!("Measured by `{}`.\n\n", facts.command.replace('`', "'"));
        }
        for crossover in landscape.slices.iter().flat_map(|slice| &slice.crossovers) {
            out += &format!("- {}\n", sentence(&crossover.sentence));
        }
    }
    for Plate { file, figure } in book.landscape.iter().chain(&book.determinism) {
        out += &picture(figure, file);
    }
    for Chapter { group, slug, figures, absent } in chapters {
        out += &format!("\n## {}\n\n", escape(&group.title()));
        if !group.several && !group.params.is_empty() {
            out += &format!("{}\n\n", escape(&group.parameters()));
        }
        out += &table(group);
        for figure in figures {
            out += &picture(figure, &format!("{}-{slug}", figure.kind));
        }
        for reason in absent {
            out += &format!("\n{reason}\n");
        }
    }
    if let Some(report) = book.material.serving {
        out += "\n## Serving\n";
        for (group, plates) in serving::Group::all(report).iter().zip(&book.serving) {
            out += &format!("\n### {}\n\n{}\n\n", escape(&group.title()), escape(&group.about()));
            for words in group.sentences() {
                out += &format!("- {}\n", sentence(&words));
            }
            for sheet in group.tables() {
                let heads = sheet.heads.iter().map(|(name, unit)| escape(format!("{name} {unit}").trim()));
                out += &format!("\n{}", head(heads));
                for line in &sheet.lines {
                    out +=
                        &row([code(&line[0])].into_iter().chain(line[1..].iter().map(|field| escape(field))));
                }
            }
            for Plate { file, figure } in plates {
                out += &picture(figure, file);
            }
        }
    }
    if let Some(topic) = &book.topic {
        out += &format!("\n## {}\n\n{}\n", topic.title, sentence(&topic.about));
        for warning in &topic.warnings {
            out += &format!("\n**{}**\n", sentence(warning));
        }
        for part in &topic.parts {
            out += &format!("\n### {}\n\n", escape(&part.title));
            for words in &part.sentences {
                out += &format!("- {}\n", sentence(words));
            }
            for figure in &part.figures {
                out += &picture(figure, &format!("{}-{}", figure.kind, part.slug));
            }
            out += "\n";
            for (strategy, links) in &part.links {
                let link = |link: &Link| format!("[{}]({}/{})", escape(&link.what), topic.folder, link.path);
                let links: Vec<_> = links.iter().map(link).collect();
                out += &format!("- Stacks of {}: {}\n", code(strategy), links.join(", "));
            }
            for (name, value) in &part.facts {
                out += &format!("- {name}: {}\n", escape(value));
            }
        }
    }
    out += "\n## Soundness\n\n| strategy | equivalent on | otherwise |\n|:--|--:|:--|\n";
    for finding in soundness(chapters) {
        let reasons =
            finding.otherwise.iter().map(|(why, on)| format!("{} ({})", escape(why), escape(&on.join(", "))));
        let reasons = reasons.collect::<Vec<_>>().join("; ");
        let equivalent = format!("{} of {}", finding.equivalent, finding.total);
        out += &row([code(&finding.strategy), equivalent, reasons].into_iter());
    }
    if let Some(startup) = book.material.startup {
        out += &format!("\n## Startup\n\n```\n{}\n```\n", fenced(&startup.tables()));
    }
    out += &format!("\n## Environment\n\n```\n{}\n```\n\n", fenced(&facts.command));
    for (name, value) in &facts.machine {
        out += &format!("- {}: {}\n", escape(name), escape(value));
    }
    if !facts.strategies.is_empty() {
        out += "\nEffective configuration of each strategy:\n\n";
        for (name, value) in &facts.strategies {
            out += &format!("- {}: {}\n", code(name), escape(value));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::present::fixture;

    #[test]
    fn a_small_run_as_markdown() {
        let summary = fixture::small();
        insta::assert_snapshot!(table(&Group::all(&summary)[0]));
    }

    #[test]
    fn markup_in_text_is_not_markup() {
        assert_eq!(escape("a|b *c* <d> & `e`"), "a\\|b \\*c\\* &lt;d&gt; &amp; \\`e\\`");
        assert_eq!(code("a`|b\n"), "`a'\\|b\u{fffd}`");
    }
}
