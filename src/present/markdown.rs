//! Tables for a README and for `report.md`.
//!
//! The same figures as in the terminal, with whole intervals, since a page is wide.

use super::columns::{Entry, Sheet};
use super::figures::Numbers;
use super::prose::{code_spans, enumerated, percent, printable};
use super::units::ratio;
use super::view::Group;

/// The table of one workload with its notes, ending in a newline.
pub fn table(group: &Group) -> String {
    if group.cells.is_empty() {
        return "No cells.\n".into();
    }
    let sheet = Sheet::new(group);
    let warning = group.warning().map(|warning| format!("**Warning: {}.**\n\n", sentence(&warning)));
    let mut out = warning.unwrap_or_default() + "| strategy |";
    for (kind, column) in &sheet.columns {
        let unit = if column.unit.is_empty() { String::new() } else { format!(" ({})", column.unit) };
        out += &format!(" {}{unit} |", kind.name());
    }
    out += &format!("\n|:--|{}\n", "--:|".repeat(sheet.columns.len()));
    let mut controls = false;
    for line in &sheet.lines {
        if line.cell.control() && !controls {
            controls = true;
            out += &format!("| *controls, never recommended* |{}\n", " |".repeat(sheet.columns.len()));
        }
        let fields = sheet.columns.iter().map(|(kind, column)| field(sheet.entry(line, *kind, *column)));
        let fields = [code(line.cell.name())].into_iter().chain(fields);
        let fields: Vec<String> =
            fields.map(|text| if line.best && text != "-" { format!("**{text}**") } else { text }).collect();
        out += &format!("| {} |\n", fields.join(" | "));
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
    if let Some(by_mean) = group.by_mean {
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
    let line = |fields: &[String]| {
        let fields: Vec<String> = fields.iter().map(|field| escape(field)).collect();
        format!("| {} |\n", fields.join(" | "))
    };
    let rule = format!("|:--|{}\n", "--:|".repeat(numbers.head.len().saturating_sub(1)));
    let rows = numbers.rows.iter().map(|row| line(row));
    [line(&numbers.head), rule].into_iter().chain(rows).collect()
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

/// A sentence whose backticks mark code and in which nothing else is markup.
pub fn sentence(text: &str) -> String {
    let spans = code_spans(text).into_iter();
    spans.map(|(is_code, part)| if is_code { code(part) } else { escape(part) }).collect()
}

/// A name as code, which GitHub neither links nor emphasises.
pub fn code(text: &str) -> String {
    let text = printable(text).replace('`', "'").replace('|', "\\|");
    format!("`{text}`")
}

/// Prose in which nothing is markup: a reason may hold `*`, `<` or `|`.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' => {
                out.push('\\');
                out.push(c);
            }
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            c => out.push(c),
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
