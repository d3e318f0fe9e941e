//! The terminal's table of one workload.
//!
//! Eight columns and an interval do not fit 80 characters at their fullest, so the table is laid out several times,
//! each time a little poorer (see `Layout`), until it fits. It is never wrapped: a wrapped table cannot be read.

mod fit;

use self::fit::cut;
pub use self::fit::{Grid, hanging, middle, wrap};
use super::columns::{Entry, Kind, Line, Sheet};
use super::view::Group;
use crate::analyse::summary::Ratio;
use crate::prose::{percent, printable};
use crate::units::{Column, plus_minus, ratio};
use anstyle::{Effects, Style};

/// How wide the table may be, and whether it may use bold and dim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Columns of the terminal; no line is longer.
    pub width: usize,
    /// Whether escape sequences may be written.
    pub styled: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { width: 80, styled: false }
    }
}

impl Options {
    /// 80 columns, styled when standard output is a terminal that can and `NO_COLOR` is not set.
    pub fn for_stdout() -> Options {
        let choice = anstream::AutoStream::choice(&std::io::stdout());
        Options { styled: choice != anstream::ColorChoice::Never, ..Options::default() }
    }
}

/// The tables of all workloads, an empty line between them.
pub fn tables(groups: &[Group], options: Options) -> String {
    let tables: Vec<String> = groups.iter().map(|group| table(group, options)).collect();
    tables.join("\n")
}

/// The table of one workload: a heading, contenders by cycle, controls apart, and the reasons for what is missing.
pub fn table(group: &Group, options: Options) -> String {
    let styles = Styles::new(options.styled);
    let width = options.width.max(20);
    let mut out = String::new();
    let title = cut(&printable(&group.title()), width);
    out += &format!("{}\n", styles.bold(&title));
    if !group.several && !group.params.is_empty() {
        out += &wrap(&printable(&group.parameters()), width, "");
    }
    // The backticks are for Markdown.
    let plain = |words: &str| printable(&words.replace('`', ""));
    if let Some(warning) = group.warning() {
        out += &wrap(&plain(&format!("WARNING: {warning}.")), width, "  ");
    }
    match group.best().zip(group.answer()) {
        Some((best, answer)) => {
            out += &wrap(&plain(&format!("best sound strategy: {answer}")), width, "  ");
            out += &wrap(&plain(best.sentence().unwrap_or_default()), width, "");
            if let Some(by_mean) = group.by_mean() {
                out += &wrap(&plain(&by_mean.sentence), width, "");
            }
            if let Some(words) = best.settles(group.baseline) {
                out += &wrap(&plain(&words), width, "");
            }
        }
        None => out += &wrap("no sound strategy has a time here", width, ""),
    }
    out.push('\n');
    if group.cells.is_empty() {
        return out + "no cells\n";
    }

    let content = Content { sheet: Sheet::new(group), baseline: group.baseline, level: group.method.level };
    let layout = Layout::ALL.iter().find(|layout| content.grid(layout).width() <= width);
    let layout = layout.unwrap_or(&Layout::ALL[Layout::ALL.len() - 1]);
    let grid = content.grid(layout);
    let mut lines = grid.lines();
    for line in lines.by_ref().take(3) {
        out += &format!("{}\n", cut(line.trim_end(), width));
    }
    out += &format!("{}\n", "-".repeat(grid.width().min(width)));
    let mut controls = false;
    for (row, line) in content.sheet.lines.iter().zip(lines) {
        if row.cell.control() && !controls {
            controls = true;
            out += &format!("{}\n", cut("controls, never recommended:", width));
        }
        let line = cut(&line, width);
        let line = match row {
            Line { best: true, .. } => styles.bold(&line),
            Line { note: Some(_), .. } => styles.dim(&line),
            _ => line,
        };
        out += &format!("{line}\n");
    }
    for note in content.notes(layout) {
        out += &wrap(&printable(&note), width, "    ");
    }
    out
}

/// One way to lay the table out.
#[derive(Clone, Copy, Debug)]
struct Layout {
    interval: Interval,
    gap: usize,
    /// Names are cut in their middle beyond this.
    name: usize,
    /// Columns left out, from [`EXPENDABLE`].
    without: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interval {
    /// `0.123 [0.120, 0.127]`
    Full,
    /// `0.123 ±3.1%`
    Short,
    None,
}

impl Layout {
    /// From the fullest to the poorest; intervals go last of all that can go, since a ratio without one says little.
    const ALL: [Layout; 9] = [
        Layout { interval: Interval::Full, gap: 2, name: 40, without: 0 },
        Layout { interval: Interval::Short, gap: 2, name: 40, without: 0 },
        Layout { interval: Interval::Short, gap: 1, name: 40, without: 0 },
        Layout { interval: Interval::Short, gap: 1, name: 22, without: 0 },
        Layout { interval: Interval::Short, gap: 1, name: 16, without: 0 },
        Layout { interval: Interval::Short, gap: 1, name: 22, without: 1 },
        Layout { interval: Interval::Short, gap: 1, name: 16, without: 3 },
        Layout { interval: Interval::None, gap: 1, name: 16, without: 5 },
        Layout { interval: Interval::None, gap: 1, name: 10, without: 5 },
    ];
}

/// Which columns go first when the terminal is narrow.
const EXPENDABLE: [Kind; 5] = [Kind::Faults, Kind::Execute, Kind::Reset, Kind::Rss, Kind::Best];

/// Three lines of heading; the unit is the last.
fn heading(kind: Kind, unit: &'static str) -> [&'static str; 3] {
    match kind {
        Kind::Execute => ["", "execute", unit],
        Kind::Reset => ["", "reset", unit],
        Kind::Cycle => ["", "cycle", unit],
        Kind::Baseline => ["vs", "baseline", "ratio"],
        Kind::Best => ["vs", "best", "ratio"],
        Kind::Faults => ["faults", "per", "block"],
        Kind::Rss => ["RSS", "peak", unit],
    }
}

/// All text of the table before it is laid out.
struct Content<'a> {
    sheet: Sheet<'a>,
    baseline: &'a str,
    level: f64,
}

impl Content<'_> {
    fn columns(&self, layout: &Layout) -> Vec<(Kind, Column)> {
        let gone = &EXPENDABLE[..layout.without];
        self.sheet.columns.iter().filter(|(kind, _)| !gone.contains(kind)).copied().collect()
    }

    fn text(&self, row: &Line, kind: Kind, column: Column, layout: &Layout) -> String {
        match self.sheet.entry(row, kind, column) {
            Entry::Figure(text) => text,
            Entry::Ratio(r) => interval(r, layout.interval),
            Entry::Baseline => "baseline".into(),
            Entry::Best => "best".into(),
            Entry::Missing => "-".into(),
            Entry::Note(note) => format!("- [{note}]"),
        }
    }

    fn name(&self, row: &Line, layout: &Layout) -> String {
        let name = printable(row.cell.name());
        // Without the ratio's column the note has nowhere else to stand.
        match row.note.filter(|_| self.sheet.absent.contains(&Kind::Baseline)) {
            Some(note) => format!("{} [{note}]", middle(&name, layout.name.saturating_sub(5))),
            None => middle(&name, layout.name),
        }
    }

    /// Three lines of heading, and one for each strategy.
    fn grid(&self, layout: &Layout) -> Grid {
        let columns = self.columns(layout);
        let line = |name: String, field: &dyn Fn(Kind, Column) -> String| {
            [name].into_iter().chain(columns.iter().map(|(kind, column)| field(*kind, *column))).collect()
        };
        let heading = (0..3).map(|i| {
            let name = if i == 2 { "strategy" } else { "" };
            line(name.into(), &|kind, column| heading(kind, column.unit)[i].into())
        });
        let rows =
            self.sheet.lines.iter().map(|row| {
                line(self.name(row, layout), &|kind, column| self.text(row, kind, column, layout))
            });
        Grid::new(heading.chain(rows).collect(), 1, layout.gap)
    }

    fn notes(&self, layout: &Layout) -> Vec<String> {
        let numbered = self.sheet.reasons.iter().enumerate();
        let mut notes: Vec<String> = numbered.map(|(i, reason)| format!("[{}] {reason}", i + 1)).collect();
        notes.extend(self.sheet.caveats.iter().map(|(name, caveat)| format!("{name}: {caveat}")));
        let sentences = self.sheet.growth.iter().chain(&self.sheet.length);
        notes.extend(sentences.map(|sentence| sentence.replace('`', "")));
        let shown = self.columns(layout);
        let has = |kind: Kind| shown.iter().any(|(k, _)| *k == kind);
        if has(Kind::Baseline) {
            let level = percent(self.level);
            let form = match layout.interval {
                Interval::Full => format!("; in brackets its {level} interval"),
                Interval::Short => format!("; ± is the wider half of its {level} interval"),
                Interval::None => String::new(),
            };
            notes.push(format!("baseline: {}; a ratio below 1 is faster{form}", self.baseline));
        }
        if !self.sheet.absent.is_empty() {
            let names: Vec<&str> = self.sheet.absent.iter().map(|kind| kind.name()).collect();
            notes.push(format!("not measured in this run: {}", names.join(", ")));
        }
        let gone = self.sheet.columns.iter().map(|(kind, _)| *kind).filter(|kind| !has(*kind));
        let gone: Vec<&str> = gone.map(Kind::name).collect();
        if !gone.is_empty() {
            notes.push(format!("no room for: {}", gone.join(", ")));
        }
        notes
    }
}

fn interval(r: Ratio, form: Interval) -> String {
    let value = ratio(r.value);
    match form {
        Interval::Full => format!("{value} [{}, {}]", ratio(r.low), ratio(r.high)),
        // Padded so that the values stay in line whatever the interval is.
        Interval::Short => format!("{value} {:>5}", plus_minus(r.value, r.low, r.high)),
        Interval::None => value,
    }
}

struct Styles {
    bold: Style,
    dim: Style,
}

impl Styles {
    fn new(styled: bool) -> Styles {
        let effect = |e: Effects| if styled { Style::new().effects(e) } else { Style::new() };
        Styles { bold: effect(Effects::BOLD), dim: effect(Effects::DIMMED) }
    }

    fn bold(&self, text: &str) -> String {
        format!("{}{text}{:#}", self.bold, self.bold)
    }

    fn dim(&self, text: &str) -> String {
        format!("{}{text}{:#}", self.dim, self.dim)
    }
}

#[cfg(test)]
mod tests;
