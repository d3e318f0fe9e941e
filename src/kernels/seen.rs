//! What the boots say of a strategy on a kernel.

use std::collections::{BTreeMap, BTreeSet};

use reset_strategies::Kernel;

use super::{Cell, StrategySeen};
use crate::analyse::summary::Equivalence;

/// A host, as far as it decides which boots speak for it.
#[derive(Clone, Copy, Debug)]
pub struct Host<'a> {
    pub kernel: Kernel,
    /// As `uname -m` prints it; boots of all architectures speak where it is not known.
    pub arch: Option<&'a str>,
    /// Whether the reset has to hold when pages are swapped out.
    pub swap: bool,
}

/// The boots of a host's kernel.
fn of<'c>(cells: &'c [Cell], host: &Host) -> impl Iterator<Item = &'c Cell> {
    let Host { kernel, arch, .. } = *host;
    let arch = arch.map(str::to_owned);
    cells.iter().filter(move |cell| {
        cell.kernel() == Some(kernel)
            && (arch.is_none() || cell.boot.arch.is_none() || cell.boot.arch == arch)
    })
}

/// Whether any boot of that kernel has verified anything.
pub fn is_known(cells: &[Cell], host: &Host) -> bool {
    of(cells, host).any(|cell| !cell.strategies.is_empty())
}

/// What speaks against a strategy on a host: that it was seen to be unsound there once, or to be unavailable wherever it was
/// tried.
pub fn objection(cells: &[Cell], strategy: &str, host: &Host) -> Option<String> {
    let tried: Vec<(&Cell, &StrategySeen)> =
        of(cells, host).filter_map(|cell| Some((cell, cell.strategy(strategy)?))).collect();
    let wrong = |(_, seen): &&(&Cell, &StrategySeen)| seen.equivalence == Equivalence::Diverged;
    if let Some((cell, seen)) = tried.iter().find(wrong) {
        let first = seen.difference.as_ref().map_or("", |difference| difference.text.as_str());
        return Some(format!("it was seen to be unsound on {}: {first}", cell.place()));
    }
    // A strategy that swap alone rules out is available where there is none.
    let alike: Vec<_> = tried.iter().filter(|(cell, _)| cell.boot.swap == host.swap).collect();
    let alike = if alike.is_empty() { tried.iter().collect() } else { alike };
    let missing = |seen: &StrategySeen| seen.equivalence == Equivalence::Unavailable;
    let (cell, seen) = alike.first()?;
    alike.iter().all(|(_, seen)| missing(seen)).then(|| {
        let reason = seen.reason.as_deref().unwrap_or("no reason was given");
        format!("it was seen to be unavailable on {}: {reason}", cell.place())
    })
}

/// Where a strategy was seen to be right on a host's kernel: the boot in which most blocks were compared.
pub fn approval(cells: &[Cell], strategy: &str, host: &Host) -> Option<String> {
    let right = of(cells, host).filter_map(|cell| {
        let seen = cell.strategy(strategy)?;
        (seen.equivalence == Equivalence::Equivalent).then_some((cell, seen.blocks))
    });
    let (cell, blocks) = right.max_by_key(|(_, blocks)| *blocks)?;
    Some(format!("was seen equal to fresh instances on {}, in {} blocks", cell.place(), blocks))
}

/// The kernels on which a strategy had that outcome in some boot, by architecture and page size: `x86_64 5.10, 6.1; aarch64
/// 16 KiB 6.12`.
pub fn kernels(cells: &[Cell], strategy: &str, equivalence: Equivalence) -> String {
    let mut found: BTreeMap<(bool, String), BTreeSet<Kernel>> = BTreeMap::new();
    for cell in cells {
        let (Some(kernel), Some(seen)) = (cell.kernel(), cell.strategy(strategy)) else { continue };
        if seen.equivalence == equivalence {
            let arch = cell.boot.arch.as_deref().unwrap_or("?");
            let pages = cell.boot.page_size.filter(|bytes| *bytes != 4096);
            let pages = pages.map_or_else(String::new, |bytes| format!(" {} KiB", bytes >> 10));
            found.entry((arch != "x86_64", format!("{arch}{pages}"))).or_default().insert(kernel);
        }
    }
    let told = found.into_iter().map(|((_, machine), kernels)| {
        let kernels: Vec<_> = kernels.iter().map(Kernel::to_string).collect();
        format!("{machine} {}", kernels.join(", "))
    });
    told.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::super::literal::{cell, seen};
    use super::*;
    use Equivalence::{Diverged, Equivalent, Unavailable};

    fn with(mut cell: Cell, strategies: &[(&str, Equivalence, &str)]) -> Cell {
        cell.strategies =
            strategies.iter().map(|(name, outcome, words)| seen(name, *outcome, words)).collect();
        cell
    }

    fn host(kernel: &str, arch: Option<&'static str>, swap: bool) -> Host<'static> {
        Host { kernel: kernel.parse().unwrap(), arch, swap }
    }

    const POOL: &str = "fresh/pooling-scan";

    #[test]
    fn once_unsound_is_ruled_out_with_the_place_and_the_difference() {
        let cells = [
            with(cell("7.3.1-amd64", "x86_64", 4096, false), &[(POOL, Equivalent, "")]),
            with(cell("7.3.1-amd64", "x86_64", 4096, true), &[(POOL, Diverged, "memory 0 differs")]),
        ];
        let told = objection(&cells, POOL, &host("7.3", Some("x86_64"), false)).unwrap();
        let place = "Linux 7.3.1-amd64 (x86_64, 4 KiB pages, THP always, cgroup v2, swap)";
        assert_eq!(told, format!("it was seen to be unsound on {place}: memory 0 differs"));
        assert_eq!(objection(&cells, POOL, &host("7.2", Some("x86_64"), false)), None);
        assert_eq!(objection(&cells, POOL, &host("7.3", Some("aarch64"), false)), None, "another machine");
        assert_eq!(objection(&cells, "copy/full", &host("7.3", None, false)), None, "not tried");
    }

    #[test]
    fn unavailable_is_ruled_out_where_it_is_so_on_all_hosts_alike() {
        let swapping = "no swap: pages that are swapped out would be overlooked";
        let cells = [
            with(cell("6.12.1", "x86_64", 4096, false), &[(POOL, Equivalent, "")]),
            with(cell("6.12.1", "x86_64", 4096, true), &[(POOL, Unavailable, swapping)]),
            with(cell("5.10.1", "x86_64", 4096, false), &[(POOL, Unavailable, "it came with Linux 6.7")]),
        ];
        assert_eq!(objection(&cells, POOL, &host("6.12", None, false)), None);
        let told = objection(&cells, POOL, &host("6.12", None, true)).unwrap();
        assert!(
            told.starts_with("it was seen to be unavailable on Linux 6.12.1 (") && told.ends_with(swapping)
        );
        // Where none is alike, the others speak.
        assert!(objection(&cells, POOL, &host("5.10", None, true)).unwrap().contains("Linux 6.7"));
    }

    #[test]
    fn where_it_was_right_is_told_by_machine() {
        let names = [("6.12.1", "x86_64", 4096), ("5.10.9", "x86_64", 4096), ("6.12.1", "aarch64", 16384)];
        let cells: Vec<_> = (names.iter())
            .map(|(kernel, arch, page)| {
                with(cell(kernel, arch, *page, false), &[("copy/full", Equivalent, "")])
            })
            .collect();
        let told = kernels(&cells, "copy/full", Equivalent);
        assert_eq!(told, "x86_64 5.10, 6.12; aarch64 16 KiB 6.12");
        assert_eq!(kernels(&cells, "copy/full", Diverged), "");
        let told = approval(&cells, "copy/full", &host("5.10", None, false)).unwrap();
        assert!(told.ends_with("in 100 blocks") && told.contains("Linux 5.10.9 ("), "{told}");
        assert!(
            is_known(&cells, &host("5.10", None, false)) && !is_known(&cells, &host("5.11", None, false))
        );
    }
}
