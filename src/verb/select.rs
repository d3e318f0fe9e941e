//! Choosing strategies and workloads by pattern.

use anyhow::{Result, bail};
use wildmatch::WildMatch;

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

fn matches(pattern: &str, name: &str) -> bool {
    let group = name.split_once('/').map_or(name, |(group, _)| group);
    pattern == group || WildMatch::new(pattern).matches(name)
}

/// The name that was probably meant.
fn nearest(pattern: &str, names: &[String]) -> String {
    let distance = |name: &&String| {
        // `mincore` is as good a try as `dirty/mincore`.
        let variant = name.split_once('/').map_or(name.as_str(), |(_, variant)| variant);
        strsim::damerau_levenshtein(pattern, name).min(strsim::damerau_levenshtein(pattern, variant))
    };
    names.iter().min_by_key(distance).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = ["dirty/mincore", "dirty/pagemap", "remap/madvise", "remap/madvise-cow"];

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
    fn what_matches_nothing_is_an_error_with_the_nearest_name() {
        for (typed, meant) in [("dirty/minocre", "dirty/mincore"), ("pagemapp", "dirty/pagemap")] {
            let error = chosen(&[typed]).unwrap_err().to_string();
            assert!(error.contains(&format!("did you mean `{meant}`?")), "{error}");
        }
    }
}
