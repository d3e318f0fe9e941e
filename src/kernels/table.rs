//! The boots as tables: for a terminal, and for `docs/KERNELS.md`.

use super::boot::Boot;
use super::{Cell, StrategySeen};
use crate::analyse::summary::Equivalence;
use crate::determinism::Outcome;
use crate::gate::compare;
use crate::present::table::hanging;
use crate::prose::markdown::{code, escape};
use crate::prose::{distinct, grouped, printable};

/// What is said where there are no boots.
const NONE: &str = "boot of the kernel matrix was committed when this program was built";

/// What is said in the place of a reason.
const UNTOLD: &str = "no reason was given";

/// For a terminal of that many columns: a paragraph for each boot.
pub fn text(cells: &[Cell], width: usize) -> String {
    if cells.is_empty() {
        return format!("no {NONE}\n");
    }
    let mut out = String::new();
    for cell in cells {
        out += &hanging("", &printable(&cell.boot.cell), width);
        let mut item = |head: &str, words: &str| {
            out += &hanging(&format!("  {head:<13}"), &printable(words), width);
        };
        item("", &cell.place());
        if let Some(reason) = failure(cell) {
            item("FAILED", &reason);
        }
        for seen in cell.unsound() {
            item("UNSOUND", &format!("{}: {}", seen.strategy, why(seen)));
        }
        if !cell.strategies.is_empty() {
            let names: Vec<&str> =
                with(cell, Equivalence::Equivalent).map(|seen| seen.strategy.as_str()).collect();
            let names = if names.is_empty() { "none".into() } else { names.join(", ") };
            item("equivalent", &format!("{names}, in {} blocks", blocks(cell)));
        }
        for equivalence in [Equivalence::Refused, Equivalence::Unavailable, Equivalence::NotRun] {
            for (reason, names) in reasons(with(cell, equivalence)) {
                item(word(equivalence), &format!("{}: {reason}", names.join(", ")));
            }
        }
        for trouble in &cell.troubles {
            item("trouble", trouble);
        }
        item("by", &origin(&cell.boot));
        out.push('\n');
    }
    out
}

/// For a page.
pub fn markdown(cells: &[Cell]) -> String {
    match cells {
        [] => format!("{}\nNo {NONE}.\n", boots(cells)),
        _ => boots(cells) + &mechanisms(cells) + &strategies(cells),
    }
}

/// A row for each boot.
fn boots(cells: &[Cell]) -> String {
    let mut out = String::from(
        "| # | Linux | machine | pages | THP | swap | cgroup | KSM | equivalent | refused | unavailable | unsound | blocks | \
         determinism | date and program |\n|--:|:--|:--|--:|:--|:--|--:|:--|--:|--:|--:|:--|--:|:--|:--|\n",
    );
    for (number, cell) in (1..).zip(cells) {
        let Boot { arch, kernel, page_size, transparent_hugepage, swap, cgroup, ksm, .. } = &cell.boot;
        let count = |equivalence| with(cell, equivalence).count().to_string();
        let unsound: Vec<String> =
            cell.unsound().map(|seen| format!("**{}**", code(&seen.strategy))).collect();
        let verified = !cell.strategies.is_empty();
        let or_none = |words: String| if verified { words } else { "-".into() };
        let fields = [
            number.to_string(),
            escape(kernel.as_deref().unwrap_or(&cell.boot.cell)),
            arch.clone().map_or_else(unknown, |arch| code(&arch)),
            page_size.map_or_else(unknown, |bytes| format!("{} KiB", bytes >> 10)),
            transparent_hugepage.clone().unwrap_or_else(unknown),
            yes(*swap).into(),
            cgroup.map_or_else(unknown, |version| format!("v{version}")),
            yes(*ksm).into(),
            or_none(count(Equivalence::Equivalent)),
            or_none(count(Equivalence::Refused)),
            or_none(count(Equivalence::Unavailable)),
            or_none(if unsound.is_empty() { "none".into() } else { unsound.join(", ") }),
            or_none(blocks(cell)),
            determinism(cell),
            escape(&origin(&cell.boot)),
        ];
        out += &format!("| {} |\n", fields.join(" | "));
    }
    for (number, cell) in (1..).zip(cells) {
        let failed = failure(cell).map(|reason| format!("**failed**: {}", escape(&reason)));
        let troubles = cell.troubles.iter().map(|trouble| escape(trouble));
        for words in failed.into_iter().chain(troubles) {
            out += &format!("\nBoot {number} ({}): {words}\n", code(&cell.boot.cell));
        }
        for seen in cell.unsound() {
            out += &format!(
                "\nBoot {number}: {} is **unsound**: {}\n",
                code(&seen.strategy),
                escape(&why(seen))
            );
        }
    }
    out
}

/// Which mechanisms which kernels have: `yes`, or `no` with the reasons below.
fn mechanisms(cells: &[Cell]) -> String {
    let tried: Vec<&Cell> = cells.iter().filter(|cell| !cell.mechanisms.is_empty()).collect();
    let all = || tried.iter().flat_map(|cell| &cell.mechanisms);
    let names = distinct(all().map(|seen| seen.name.as_str()));
    let mut out = grid("mechanism", &tried, &names, escape, |name, cells| {
        let outcomes = cells.iter().filter_map(|cell| cell.mechanisms.iter().find(|seen| seen.name == name));
        let outcomes: Vec<_> = outcomes.map(|seen| seen.available).collect();
        let available = outcomes.iter().filter(|available| **available).count();
        let word = match (available, outcomes.len()) {
            (_, 0) => "-",
            (0, _) => "no",
            (some, all) if some < all => "some",
            _ => "yes",
        };
        word.into()
    });
    for name in names {
        let here = all().filter(|seen| seen.name == name);
        for reason in distinct(here.filter_map(|seen| seen.reason.as_deref())) {
            out += &format!("\n- {}: {}", escape(name), escape(reason));
        }
    }
    out + "\n"
}

/// What came of each strategy on each kernel, with the reasons below.
fn strategies(cells: &[Cell]) -> String {
    let tried: Vec<&Cell> = cells.iter().filter(|cell| !cell.strategies.is_empty()).collect();
    let all = || tried.iter().flat_map(|cell| &cell.strategies).filter(|seen| !seen.control);
    let names = distinct(all().map(|seen| seen.strategy.as_str()));
    let mut out = grid("strategy", &tried, &names, code, |name, cells| {
        let outcomes = cells.iter().filter_map(|cell| cell.strategy(name)).map(|seen| word(seen.equivalence));
        distinct(outcomes).join(", ")
    });
    for equivalence in [Equivalence::Unavailable, Equivalence::Refused, Equivalence::NotRun] {
        for (reason, names) in reasons(all().filter(|seen| seen.equivalence == equivalence)) {
            let names: Vec<String> = distinct(names).into_iter().map(code).collect();
            out += &format!("\n- {}: {}: {}", word(equivalence), names.join(", "), escape(reason));
        }
    }
    out + "\n"
}

/// A table with a line for each name and a column for the boots of each kernel.
fn grid(
    what: &str,
    cells: &[&Cell],
    names: &[&str],
    shown: fn(&str) -> String,
    word: impl Fn(&str, &[&Cell]) -> String,
) -> String {
    let columns = groups(cells);
    let heads: String = columns.iter().map(|(kernel, _)| format!(" {} |", escape(kernel))).collect();
    let mut out = format!("\n| {what} |{heads}\n|:--|{}\n", ":--|".repeat(columns.len()));
    for name in names {
        let words: String = columns.iter().map(|(_, cells)| format!(" {} |", word(name, cells))).collect();
        out += &format!("| {} |{words}\n", shown(name));
    }
    out
}

/// Boots of one kernel on one machine, under a short name.
fn groups<'c>(cells: &[&'c Cell]) -> Vec<(String, Vec<&'c Cell>)> {
    grouped(cells.iter().map(|&cell| {
        let kernel = cell.kernel().map_or_else(unknown, |kernel| kernel.to_string());
        let arch = cell.boot.arch.as_deref().unwrap_or("?").replace("x86_64", "x86");
        let page = cell.boot.page_size.map_or(0, |bytes| bytes >> 10);
        (format!("{kernel} {arch} {page}k"), cell)
    }))
}

fn word(equivalence: Equivalence) -> &'static str {
    if equivalence == Equivalence::Diverged { "**unsound**" } else { compare::word(equivalence) }
}

fn with(cell: &Cell, equivalence: Equivalence) -> impl Iterator<Item = &StrategySeen> {
    cell.strategies.iter().filter(move |seen| !seen.control && seen.equivalence == equivalence)
}

/// Strategies by the reason that they have in common.
fn reasons<'c>(seen: impl Iterator<Item = &'c StrategySeen>) -> Vec<(&'c str, Vec<&'c str>)> {
    grouped(seen.map(|seen| (seen.reason.as_deref().unwrap_or(UNTOLD), seen.strategy.as_str())))
}

fn why(seen: &StrategySeen) -> String {
    let Some(difference) = &seen.difference else { return "no difference was told".into() };
    let schedule = difference.schedule.map_or_else(String::new, |schedule| format!(", {schedule}"));
    format!("on {}{schedule}: {}", difference.workload, difference.text)
}

/// Blocks that strategies which claim to be sound compared without a difference.
fn blocks(cell: &Cell) -> String {
    with(cell, Equivalence::Equivalent).map(|seen| seen.blocks).sum::<u64>().to_string()
}

/// How many cases of `determinism` ended how.
fn determinism(cell: &Cell) -> String {
    let count =
        |wanted: &[Outcome]| cell.determinism.iter().filter(|case| wanted.contains(&case.outcome)).count();
    let kinds: [(&str, &[Outcome]); 6] = [
        ("same", &[Outcome::Reference]),
        ("diverged", &[Outcome::Diverged]),
        ("refused", &[Outcome::Refused]),
        ("trapped", &[Outcome::Trapped]),
        ("killed", &[Outcome::KilledAtStartup, Outcome::KilledInBlock]),
        ("not run", &[Outcome::NotRun]),
    ];
    let told = kinds.iter().map(|(word, outcomes)| (count(outcomes), word)).filter(|(count, _)| *count > 0);
    let told: Vec<String> = told.map(|(count, word)| format!("{count} {word}")).collect();
    if told.is_empty() { unknown() } else { told.join(", ") }
}

fn failure(cell: &Cell) -> Option<String> {
    (!cell.is_complete()).then(|| cell.boot.reason.clone().unwrap_or_else(|| UNTOLD.into()))
}

fn origin(boot: &Boot) -> String {
    let Boot { date, program, emulator, .. } = boot;
    let parts: Vec<&str> = [date, program, emulator].into_iter().filter_map(Option::as_deref).collect();
    parts.join(", ")
}

fn unknown() -> String {
    "-".into()
}

fn yes(holds: bool) -> &'static str {
    if holds { "yes" } else { "no" }
}

#[cfg(test)]
mod tests {
    use super::super::literal::{cell, seen};
    use super::*;
    use crate::kernels::MechanismSeen;
    use crate::kernels::boot::Ended;

    fn cells() -> Vec<Cell> {
        let mut old = cell("5.10.1-amd64", "x86_64", 4096, false);
        old.strategies = vec![
            seen("copy/full", Equivalence::Equivalent, ""),
            seen("fresh/pooling-scan", Equivalence::Unavailable, "it came with Linux 6.7"),
            seen("control/none", Equivalence::Diverged, "as it has to"),
        ];
        old.mechanisms = vec![MechanismSeen {
            name: "MADV_COLLAPSE".into(),
            available: false,
            reason: Some("it came with Linux 6.1".into()),
        }];
        let mut new = cell("7.3.1-amd64", "x86_64", 4096, true);
        new.strategies = vec![
            seen("copy/full", Equivalence::Equivalent, ""),
            seen("fresh/pooling-scan", Equivalence::Diverged, "memory 0 differs"),
        ];
        new.mechanisms = vec![MechanismSeen { name: "MADV_COLLAPSE".into(), available: true, reason: None }];
        let mut failed = cell("6.12.1-arm64", "aarch64", 65536, false);
        failed.boot.outcome = Ended::Failed;
        failed.boot.reason = Some("the boot did not end in 600 s".into());
        vec![old, new, failed]
    }

    #[test]
    fn a_page_has_all_boots_mechanisms_and_strategies() {
        insta::assert_snapshot!(markdown(&cells()));
    }

    #[test]
    fn a_terminal_has_a_paragraph_for_each_boot() {
        insta::assert_snapshot!(text(&cells(), 80));
    }

    #[test]
    fn without_boots_it_says_so() {
        assert!(text(&[], 80).starts_with("no boot"));
        let page = markdown(&[]);
        assert!(page.starts_with("| # |") && page.ends_with("built.\n"), "{page}");
    }
}
