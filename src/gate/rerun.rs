//! The command that measures suspects once more.

use std::collections::{BTreeMap, BTreeSet};

use clap::ValueEnum;

use super::series::Series;
use crate::launch::plan::Profile;

/// The arguments of `resetbench run`, one list per workload and parameters, so that parameters can be set alike.
///
/// Workloads of a module of the user's own are left out: the program does not know where it is now.
pub fn commands<'a>(profile: Profile, suspects: impl Iterator<Item = &'a Series>) -> Vec<Vec<String>> {
    let mut strategies = BTreeMap::<(&str, &str), BTreeSet<&str>>::new();
    for series in suspects.filter(|series| !series.workload.starts_with("user/")) {
        strategies.entry((&series.workload, &series.params)).or_default().insert(&series.strategy);
    }
    let profile = profile.to_possible_value().map(|value| value.get_name().to_owned());
    let command = |((workload, params), strategies): ((&str, &str), BTreeSet<&str>)| {
        let mut words: Vec<String> = ["run", "--aa", "--profile"].map(str::to_owned).into();
        words.extend(profile.clone());
        words.extend(["-w".to_owned(), workload.to_owned()]);
        let params: BTreeMap<String, serde_json::Value> = serde_json::from_str(params).unwrap_or_default();
        words.extend(params.iter().flat_map(|(name, value)| ["-p".to_owned(), format!("{name}={value}")]));
        words.extend(strategies.into_iter().flat_map(|strategy| ["-s".to_owned(), strategy.to_owned()]));
        words
    };
    strategies.into_iter().map(command).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::series::Metric;

    #[test]
    fn suspects_of_one_workload_share_a_command() {
        let series = |strategy: &str| Series {
            workload: "stress/touch".into(),
            params: r#"{"dirty":256}"#.into(),
            strategy: strategy.into(),
            metric: Metric::Cycle,
        };
        let suspects = [series("copy/full"), series("dirty/uffd-wp"), series("copy/full")];
        let commands = commands(Profile::Smoke, suspects.iter());
        assert_eq!(commands.len(), 1);
        assert_eq!(
            commands[0].join(" "),
            "run --aa --profile smoke -w stress/touch -p dirty=256 -s copy/full -s dirty/uffd-wp"
        );
    }
}
