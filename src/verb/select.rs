//! Choosing strategies and workloads by pattern.

use anyhow::{Context, Result, anyhow, bail};
use reset_strategies::{Strategy, registry};
use wildmatch::WildMatch;

use crate::cli::{Filter, Own};
use crate::measure::row::Params;
use crate::progress::Progress;
use crate::prose::{nearest, printable};
use crate::workload::blocks::Trace;
use crate::workload::definition::Definition;
use crate::workload::filled::Filled;
use crate::workload::host::{Given, Spoken};
use crate::workload::{Workload, bundled, one_block, user};

/// The candidates that some pattern matches; all of them where there is no pattern.
///
/// A pattern is a name, the part before the slash, or has `*` and `?` in it.
///
/// # Errors
/// When a pattern matches nothing, with the nearest name.
pub fn matching<T: Copy>(
    kind: &str,
    patterns: &[String],
    candidates: &[T],
    name: impl Fn(T) -> String,
) -> Result<Vec<T>> {
    if patterns.is_empty() {
        return Ok(candidates.to_vec());
    }
    for pattern in patterns {
        if !candidates.iter().any(|candidate| matches(pattern, &name(*candidate))) {
            let names: Vec<_> = candidates.iter().map(|candidate| name(*candidate)).collect();
            bail!("no {kind} matches `{pattern}`{}; `resetbench list` shows all", nearest(pattern, &names));
        }
    }
    let chosen = |candidate: &T| patterns.iter().any(|pattern| matches(pattern, &name(*candidate)));
    Ok(candidates.iter().copied().filter(chosen).collect())
}

/// The strategies to measure. An arm of another one is asked for by name, and not by its family's: most users have no question
/// that it answers, and a run has so much time and no more.
///
/// # Errors
/// As [`matching`].
pub fn strategies(patterns: &[String]) -> Result<Vec<&'static Strategy>> {
    let mut found = all_strategies(patterns)?;
    found.retain(|strategy| {
        let names = |pattern: &String| pattern != strategy.family() && matches(pattern, strategy.name());
        strategy.arm_of().is_none() || patterns.iter().any(names)
    });
    Ok(found)
}

/// The strategies to verify, arms included.
///
/// # Errors
/// As [`matching`].
pub fn all_strategies(patterns: &[String]) -> Result<Vec<&'static Strategy>> {
    matching("strategy", patterns, registry::all(), |strategy| strategy.name().into())
}

fn matches(pattern: &str, name: &str) -> bool {
    let group = name.split_once('/').map_or(name, |(group, _)| group);
    pattern == group || WildMatch::new(pattern).matches(name)
}

/// The workloads that the command line asks for; where it names none, those that are `usual`.
///
/// # Errors
/// When it names what is not there, or the user's module or blocks cannot be read.
pub fn workloads(
    filter: &Filter,
    own: &Own,
    params: &[String],
    quick: bool,
    usual: impl Fn(&Definition) -> bool,
) -> Result<Vec<Workload>> {
    let mut found = match &own.module {
        Some(_) if !filter.workloads.is_empty() => {
            bail!("--module runs your own indexer: it cannot be combined with --workload")
        }
        Some(module) => {
            let (strict_imports, handler) = (own.strict_imports, own.handler.as_deref());
            let taken = user::Taken { strict_imports, handler, views: &own.views };
            vec![user::workload(module, taken, |abi| given_blocks(own, abi))?]
        }
        None => guests(filter, params, quick, given_blocks(own, &Spoken::default())?.as_ref(), usual)?,
    };
    let one: Vec<&str> = found.iter().filter(|w| w.repeats_one_block()).map(|w| &*w.name).collect();
    if !one.is_empty() {
        eprintln!("note: {}", one_block(&one));
    }
    fill(&mut found)?;
    Ok(found)
}

/// Fills the stores of those that have requests, those that are filled alike once.
fn fill(found: &mut [Workload]) -> Result<()> {
    let progress = Progress::new(false);
    let mut done: Vec<Filled> = Vec::new();
    for Workload { name, filled, .. } in found {
        let Some(filled) = filled else { continue };
        if let Some(known) = done.iter().find(|known| known.is_like(filled)) {
            *filled = known.clone();
            continue;
        }
        filled
            .fill(|at, of| progress.say(&format!("{name}: fills its store, block {} of {of}", at + 1)))
            .with_context(|| name.clone())?;
        done.push(filled.clone());
    }
    progress.finish();
    Ok(())
}

/// Bundled workloads.
fn guests(
    filter: &Filter,
    params: &[String],
    quick: bool,
    given: Option<&Trace>,
    usual: impl Fn(&Definition) -> bool,
) -> Result<Vec<Workload>> {
    let chosen: Params = pairs(params)?.into_iter().map(|(name, value)| (name, value.into())).collect();
    let named = bundled::all().iter().map(|bundled| Ok((bundled, bundled.definition()?)));
    let named = named.collect::<Result<Vec<_>>>()?;
    let known: Vec<String> = named.iter().flat_map(|(_, d)| d.params.keys().cloned()).collect();
    if let Some(name) = chosen.keys().find(|name| !known.contains(name)) {
        let meant = nearest(name, &known);
        bail!("no workload has a parameter `{name}`{meant}; `resetbench list --json` shows all");
    }
    let all: Vec<_> = named.iter().collect();
    let picked = if filter.workloads.is_empty() {
        let takes_blocks = |d: &Definition| ["indexer", "view"].contains(&&*d.category);
        all.into_iter().filter(|(_, d)| usual(d) && (given.is_none() || takes_blocks(d))).collect()
    } else {
        matching("workload", &filter.workloads, &all, |(_, definition)| definition.name.clone())?
    };
    let workload = |(bundled, definition): &(&bundled::Bundled, Definition)| {
        bundled.workload(definition.params(quick, &chosen), given)
    };
    picked.into_iter().map(workload).collect()
}

fn given_blocks(own: &Own, abi: &Spoken) -> Result<Option<Trace>> {
    let Some(path) = &own.blocks else { return Ok(None) };
    let given = Given { path, start_height: own.start_height, limit: own.limit };
    // Names of files may hold anything, and messages are lines.
    let trace = abi.read(&given).map_err(|error| anyhow!("{}", printable(&error.to_string())))?;
    for note in trace.notes.iter().chain([&trace.sentence()]) {
        eprintln!("note: {}", printable(note));
    }
    Ok(Some(trace))
}

/// Parameters as they are typed, `NAME=VALUE`.
///
/// # Errors
/// When one is of another form.
pub fn pairs(typed: &[String]) -> Result<Vec<(String, u64)>> {
    let pair = |pair: &String| {
        let (name, value) =
            pair.split_once('=').with_context(|| format!("`{pair}` is not of the form NAME=VALUE"))?;
        let value =
            value.parse().with_context(|| format!("`{pair}`: the value of a parameter is a whole number"))?;
        Ok((name.to_owned(), value))
    };
    typed.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 5] =
        ["dirty/mincore", "dirty/pagemap", "remap/madvise", "remap/madvise-cow", "adaptive/hot-cold"];

    fn chosen(patterns: &[&str]) -> Result<Vec<&'static str>> {
        let patterns: Vec<_> = patterns.iter().map(ToString::to_string).collect();
        matching("strategy", &patterns, &NAMES, str::to_owned)
    }

    #[test]
    fn names_groups_and_patterns_match() {
        assert_eq!(chosen(&[]).unwrap(), NAMES);
        assert_eq!(chosen(&["dirty"]).unwrap(), NAMES[..2]);
        assert_eq!(chosen(&["remap/madvise"]).unwrap(), NAMES[2..3]);
        assert_eq!(chosen(&["*madvise*", "dirty/mincore"]).unwrap(), [NAMES[0], NAMES[2], NAMES[3]]);
    }

    #[test]
    fn arms_are_measured_where_they_are_named_and_always_verified() {
        let names = |find: fn(&[String]) -> Result<Vec<&'static Strategy>>, patterns: &[&str]| -> Vec<&str> {
            let patterns: Vec<_> = patterns.iter().map(ToString::to_string).collect();
            find(&patterns).unwrap().into_iter().map(Strategy::name).collect()
        };
        let arms: Vec<_> = registry::all().iter().filter(|strategy| strategy.arm_of().is_some()).collect();
        for of_no_arm in [&[][..], &["fresh"], &["fresh", "copy"], &["fresh/pooling"]] {
            let chosen = names(strategies, of_no_arm);
            assert!(chosen.contains(&"fresh/pooling"), "{of_no_arm:?}");
            assert!(!arms.iter().any(|arm| chosen.contains(&arm.name())), "{of_no_arm:?}: {chosen:?}");
        }
        assert_eq!(names(strategies, &[]).len() + arms.len(), registry::all().len());
        assert_eq!(names(strategies, &["fresh/pooling-batch"]), ["fresh/pooling-batch"]);
        let named = names(strategies, &["fresh/*"]);
        for verified in [names(all_strategies, &[]), names(all_strategies, &["fresh"]), named] {
            assert!(
                !arms.is_empty() && arms.iter().all(|arm| verified.contains(&arm.name())),
                "{verified:?}"
            );
        }
    }

    #[test]
    fn what_matches_nothing_is_an_error_with_the_nearest_name() {
        for (typed, meant) in [
            ("dirty/minocre", "dirty/mincore"),
            ("pagemapp", "dirty/pagemap"),
            ("adaptve", "adaptive"),
            ("Adaptive", "adaptive"),
            ("ditry/*", "dirty"),
            ("REMAP/madvise", "remap/madvise"),
            ("hotcold", "adaptive/hot-cold"),
            ("adaptive/hot-clod", "adaptive/hot-cold"),
        ] {
            let error = chosen(&[typed]).unwrap_err().to_string();
            assert!(error.contains(&format!("did you mean `{meant}`?")), "{error}");
        }
    }

    #[test]
    fn nothing_is_meant_where_nothing_is_near() {
        for typed in ["", "*x*", "zzzzzzz", "the fastest one"] {
            let error = chosen(&[typed]).unwrap_err().to_string();
            assert!(!error.contains("did you mean"), "{error}");
        }
    }
}
