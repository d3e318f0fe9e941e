//! How thoroughly serving is measured.

use std::collections::BTreeSet;
use std::time::Duration;

use super::report::Setting;
use crate::launch::plan::Profile;
use crate::protocol::serving::START;

/// What a profile stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct Effort {
    /// Child processes per contender and workload.
    pub launches: u32,
    /// Rounds that count per launch, for each number of callers and each load.
    pub rounds: u32,
    /// How long one contender serves in one round.
    pub slice: Duration,
    /// Numbers of callers in the closed loop, rising; as many as workers are among them.
    pub callers: Vec<u32>,
    /// Who answers in the open loop: one thread for each CPU, as a host's runtime has. With more of them, requests would wait for
    /// the scheduler as well, in no order.
    pub workers: u32,
    /// Whether the closed loop is run once more while blocks are indexed.
    pub while_indexing: bool,
    /// Loads in the open loop, as shares of what as many callers as workers had in the closed one, rising.
    pub loads: Vec<f64>,
}

/// The least that a slice may be: shorter ones are mostly their own beginning and end.
const SHORTEST: Duration = Duration::from_millis(10);

/// The most: longer ones would be struck by what comes and goes.
const LONGEST: Duration = Duration::from_millis(500);

/// Where slices would still be as long with [`MORE`] launches, there are so many.
const LONG: Duration = Duration::from_millis(50);

/// Launches where there is time for them.
const MORE: u32 = 6;

/// Slices that do not count before those that do, for each number of callers and each load.
pub const WARM_UP: u32 = 1;

/// Sessions of a pool: as many as the most callers would use.
pub const PLACES: u32 = 32;

impl Effort {
    /// So thorough that so many contenders, added up over workloads, take about `budget` on so many CPUs.
    pub fn within(
        profile: Profile,
        while_indexing: bool,
        budget: Duration,
        contenders: usize,
        cpus: usize,
    ) -> Self {
        let (launches, rounds, callers, loads): (u32, u32, &[u32], &[f64]) = match profile {
            Profile::Smoke => (3, 3, &[1], &[0.8]),
            Profile::Quick => (3, 3, &[1, 16], &[0.5, 0.8]),
            Profile::Full => (8, 5, &[1, 2, 4, 8, 16, PLACES], &[0.3, 0.5, 0.7, 0.8, 0.9, 0.95]),
        };
        let workers = u32::try_from(cpus).unwrap_or(u32::MAX).clamp(1, PLACES);
        let callers: BTreeSet<u32> = callers.iter().copied().chain([workers]).collect();
        let (callers, loads) = (callers.into_iter().collect(), loads.to_vec());
        let draft = Self { launches, rounds, slice: Duration::ZERO, callers, workers, while_indexing, loads };
        let with = |launches| {
            let draft = Self { launches, ..draft.clone() };
            let slice = (budget / draft.slices(contenders).max(1)).saturating_sub(START);
            Self { slice: slice.clamp(SHORTEST, LONGEST), ..draft }
        };
        // More processes narrow an interval more than longer slices do.
        let more = with(launches.max(MORE));
        if more.slice >= LONG { more } else { with(launches) }
    }

    /// Everything that is served, in the order in which it is. First the closed loop, which says how much a contender can serve
    /// at all.
    pub fn settings(&self) -> Vec<Setting> {
        let closed = self.callers.iter().map(|&callers| Setting::Callers(callers));
        let open = self.loads.iter().map(|&share| Setting::load(share));
        // Nobody calls in the first of these, which says what blocks take alone.
        let indexing = [0].into_iter().chain(self.callers.iter().copied()).map(Setting::Indexing);
        closed.chain(open).chain(indexing.filter(|_| self.while_indexing)).collect()
    }

    fn slices(&self, contenders: usize) -> u32 {
        let all = contenders * self.settings().len() * (self.rounds + WARM_UP) as usize;
        u32::try_from(all).unwrap_or(u32::MAX).saturating_mul(self.launches)
    }

    /// What it takes, children's starts aside.
    pub fn time(&self, contenders: usize) -> Duration {
        (self.slice + START) * self.slices(contenders)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_divided_and_neither_end_is_passed() {
        let minute = Duration::from_secs(60);
        let few = Effort::within(Profile::Quick, false, minute, 8, 2);
        assert!(few.slice > SHORTEST && few.slice < LONGEST, "{few:?}");
        assert!(few.time(8) <= minute && few.time(8) > minute * 9 / 10, "{:?}", few.time(8));
        let busier = Effort::within(Profile::Quick, true, minute, 8, 2);
        assert!(busier.time(8) <= minute && busier.settings().len() == few.settings().len() + 4);
        let many = Effort::within(Profile::Quick, false, Duration::from_secs(1), 80, 2);
        assert_eq!(many.slice, SHORTEST);
        assert_eq!(Effort::within(Profile::Smoke, false, 100 * minute, 1, 2).slice, LONGEST);
        let launches = |contenders| Effort::within(Profile::Quick, false, minute, contenders, 2).launches;
        assert_eq!([4, 28].map(launches), [6, 3], "processes come before long slices");
    }

    #[test]
    fn every_profile_has_enough_launches_for_an_interval_and_callers_beyond_the_cores() {
        for profile in [Profile::Smoke, Profile::Quick, Profile::Full] {
            let effort = Effort::within(profile, false, Duration::ZERO, 1, 6);
            assert!(effort.launches >= 3 && effort.rounds >= 3, "{effort:?}");
            assert!(effort.callers.is_sorted() && effort.loads.is_sorted());
            assert!(effort.callers.contains(&effort.workers) && effort.workers == 6, "{effort:?}");
            assert_eq!(Effort::within(profile, false, Duration::ZERO, 1, 128).workers, PLACES);
            assert!(effort.callers.iter().all(|callers| *callers <= PLACES));
            assert!(effort.loads.iter().all(|load| *load > 0.0 && *load < 1.0));
        }
    }
}
