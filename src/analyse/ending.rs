//! How long a cell is measured, and how its timing ended.
//!
//! All cells of a workload run the fewest launches that the effort asks for, but for those that are clear above the best:
//! they end after [`BEATEN_LAUNCHES`] if that is certain by then, and leave their time to those that may be the best. After
//! the fewest launches and each one that follows, a cell ends whose ratios to both yardsticks, the baseline and the floor, are
//! narrow enough; the others go on, with the yardsticks beside them, until they are narrow enough as well, their time is spent
//! or the most launches are reached. So it goes in the search for the best of many arms: Even-Dar, Mannor, Mansour: Action
//! elimination and stopping conditions for the multi-armed bandit and reinforcement learning problems, *JMLR* 7, 2006.
//!
//! What is asked for is the width of an interval, never the verdict: see [`super::bootstrap`] for what that is worth. The
//! floor is asked, too, because what is near it is far from the baseline: its ratio to that would soon be narrow enough, and
//! the best would be told apart by the fewest launches.
//!
//! The cells of a workload may then differ in their launches. Ratios do not mind: they are made of the rounds that both
//! have. The times of a cell do, since the machine changes from launch to launch and a later median is not comparable
//! with an earlier one. They are therefore taken from the launches that all cells ran ([`super::evidence::Times::common`]).

use super::bootstrap::{Estimate, Seed, estimate, preview};
use super::paired::{Paired, Rounds};
use super::summary::Ending;
use super::verdict::{self, narrow_enough};

/// Launches after which a cell may be out of the race.
pub const BEATEN_LAUNCHES: u32 = 4;

/// Whether a cell ends that has run so many launches, of which (`fewest`, `most`) are allowed, and why.
///
/// Whether it is `beaten` or `narrow` is asked only where it matters; `spent` says that there is no time left.
pub fn ending(
    (fewest, most): (u32, u32),
    launches: u32,
    beaten: impl FnOnce() -> bool,
    narrow: impl FnOnce() -> bool,
    spent: bool,
) -> Option<Ending> {
    if launches >= BEATEN_LAUNCHES && beaten() {
        Some(Ending::Beaten)
    } else if launches < fewest {
        None
    } else if narrow() {
        Some(Ending::Narrow)
    } else if launches >= most {
        Some(Ending::Launches)
    } else {
        spent.then_some(Ending::Budget)
    }
}

/// Whether the intervals of all these comparisons, each given with its name, are narrow enough. They are those that a
/// summary has for such rounds.
pub fn are_narrow(comparisons: &[(Paired, [&str; 4])], seed: Seed) -> bool {
    let narrow = |estimate: Option<Estimate>| estimate.as_ref().is_some_and(narrow_enough);
    // Previews first: they are quick to have, and never wider than the whole.
    comparisons.iter().all(|(paired, _)| narrow(preview(paired)))
        && comparisons.iter().all(|(paired, name)| narrow(estimate(paired, seed, name)))
}

/// Whether a contender is out of the race, by its rounds, those of the best so far and those of the baseline.
pub fn is_beaten(own: &Rounds, best: &Rounds, baseline: &Rounds) -> bool {
    let against = |other| preview(&Paired::new(own, other));
    against(best)
        .zip(against(baseline))
        .is_some_and(|(to_best, to_baseline)| verdict::is_beaten(&to_best, &to_baseline))
}

/// How the cells of a workload ended, each given with its name and launches; `None` where no row says so.
///
/// Who was not narrow enough is named, unless it is many; the yardsticks are not counted.
pub fn told(cells: &[(&str, Ending, u32)]) -> Option<String> {
    const NAMED: usize = 3;
    let judged: Vec<_> = cells.iter().filter(|(_, ending, _)| *ending != Ending::Yardstick).collect();
    let mut parts: Vec<String> = Vec::new();
    for ending in Ending::ALL {
        let group: Vec<_> = judged.iter().filter(|(_, other, _)| *other == ending).collect();
        let launches = || group.iter().map(|(.., launches)| *launches);
        let (Some(least), Some(most)) = (launches().min(), launches().max()) else { continue };
        let of = if parts.is_empty() { format!(" of {} cells", judged.len()) } else { String::new() };
        let mut part = format!("{}{of} {}", group.len(), ending.after(least, most));
        if !matches!(ending, Ending::Narrow | Ending::Beaten) && group.len() <= NAMED {
            let names: Vec<String> = group.iter().map(|(name, ..)| format!("`{name}`")).collect();
            part += &format!(" ({})", names.join(", "));
        }
        parts.push(part);
    }
    if parts.is_empty() {
        return None;
    }
    parts.extend((judged.len() < cells.len()).then(|| "baseline and floor along with them".to_owned()));
    Some(parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::super::SEED;
    use super::super::paired::Round;
    use super::*;

    /// What becomes of a cell that is narrow from so many launches on, with time for so many.
    fn course(limits: (u32, u32), narrow_from: u32, time_for: u32) -> (Ending, u32) {
        let after =
            |launches| ending(limits, launches, || false, || launches >= narrow_from, launches >= time_for);
        (1..).find_map(|launches| Some((after(launches)?, launches))).unwrap()
    }

    #[test]
    fn a_narrow_cell_stops_at_the_fewest_launches_and_a_wide_one_at_the_end_of_its_time() {
        assert_eq!(course((6, 12), 2, 10), (Ending::Narrow, 6));
        assert_eq!(course((6, 12), 9, 10), (Ending::Narrow, 9));
        assert_eq!(course((6, 12), 99, 10), (Ending::Budget, 10));
        assert_eq!(course((6, 12), 99, 99), (Ending::Launches, 12));
    }

    #[test]
    fn the_fewest_launches_are_run_even_without_time() {
        assert_eq!(course((6, 12), 99, 0), (Ending::Budget, 6));
        assert_eq!(course((6, 12), 6, 0), (Ending::Narrow, 6));
        assert_eq!(ending((6, 12), 0, || unreachable!(), || unreachable!(), true), None);
    }

    #[test]
    fn who_is_clear_above_the_best_ends_before_the_fewest_launches() {
        let after = |launches| ending((6, 12), launches, || true, || false, false);
        assert_eq!((after(3), after(4)), (None, Some(Ending::Beaten)));

        let rounds = |ns: u64| -> Rounds {
            let at = (0..4).flat_map(|launch| (0..3).map(move |round| (launch, round)));
            let wobble = |(launch, round): (u32, u32)| ns + ns * u64::from(launch + round) / 200;
            at.map(|at| (at, Round { value: wobble(at), ..Round::default() })).collect()
        };
        assert!(is_beaten(&rounds(200_000), &rounds(100_000), &rounds(190_000)));
        assert!(!is_beaten(&rounds(140_000), &rounds(100_000), &rounds(190_000)), "within 1.5 of the best");
        assert!(
            !is_beaten(&rounds(200_000), &rounds(100_000), &Rounds::new()),
            "nothing is known of its ratio"
        );
    }

    #[test]
    fn a_fixed_number_of_launches_is_kept_whatever_they_show() {
        assert_eq!(course((3, 3), 1, 0), (Ending::Narrow, 3));
        assert_eq!(course((3, 3), 99, 0), (Ending::Launches, 3));
    }

    #[test]
    fn narrow_is_what_the_interval_is() {
        let narrow = |launches: usize, ratios: &[f64]| {
            let logs = vec![ratios.iter().map(|ratio| ratio.ln()).collect(); launches];
            are_narrow(&[(Paired::from_logs(logs), ["literal"; 4])], Seed(SEED))
        };
        // As many rounds as are resampled.
        let calm = [[1.0, 1.001, 0.999, 1.002, 0.998]; 2].concat();
        assert!(narrow(8, &calm));
        assert!(!narrow(7, &calm), "so close to 1, more launches are asked for");
        assert!(
            narrow(3, &calm.iter().map(|ratio| 0.4 * ratio).collect::<Vec<_>>()),
            "far from 1, three will do"
        );
        // The launches agree, and Student's t has no width at all; their rounds have some.
        assert!(!narrow(8, &[0.8, 1.2, 0.9, 1.1, 1.0].repeat(2)));
        assert!(!narrow(0, &calm) && !narrow(1, &calm) && !narrow(8, &[1.0, 1.0]));
    }

    #[test]
    fn all_intervals_have_to_be_narrow() {
        let (calm, wild) = (vec![vec![1.0, 1.001, 0.999]; 8], vec![vec![0.1, -0.1, 0.2], vec![0.3; 3]]);
        let comparison = |logs: &Vec<Vec<f64>>| (Paired::from_logs(logs.clone()), ["literal"; 4]);
        assert!(are_narrow(&[comparison(&calm), comparison(&calm)], Seed(SEED)));
        assert!(!are_narrow(&[comparison(&calm), comparison(&wild)], Seed(SEED)));
    }

    #[test]
    fn a_workload_is_told_in_one_line() {
        use Ending::*;
        let cells = [("a/b", Narrow, 6), ("base", Yardstick, 12), ("c/d", Narrow, 9), ("e/f", Budget, 12)];
        assert_eq!(
            told(&cells).unwrap(),
            "2 of 3 cells narrow enough after 6 to 9 launches; \
             1 still wide at the end of the time, after 12 launches (`e/f`); baseline and floor along with them"
        );
        let many = [("a/b", Interrupted, 1); 4];
        assert_eq!(told(&many).unwrap(), "4 of 4 cells interrupted after 1 launch");
        assert_eq!(told(&[("base", Yardstick, 12)]), None);
        assert_eq!(told(&[]), None);
    }

    #[test]
    fn every_ending_has_a_metric_of_its_own() {
        for ending in Ending::ALL {
            assert_eq!(Ending::of_metric(ending.metric()), Some(ending));
        }
        assert_eq!(Ending::of_metric("time"), None);
    }
}
