//! Which cases are run, in which order.

use std::time::Duration;

use reset_strategies::commit;

use super::environment::{Environment, Kind};
use super::{Case, Guest, Mitigation};
use crate::launch::plan::Profile;
use crate::machine::group::Version;
use crate::machine::pace;

/// What seed 000 documents as the minimum, and what every policy commits: all that a 32-bit memory can be.
pub const REQUIREMENT: u64 = commit::WHOLE_MEMORY;

/// How long a single case may take on an ordinary machine: committing a whole memory on a cold virtual one takes a quarter
/// of this.
const PATIENCE: Duration = Duration::from_secs(60);

/// The policies that mitigations are combined with: the one that does nothing, and the one that is meant to help.
const ENDS: [&str; 2] = ["lazy", "canary"];

const MITIGATIONS: [Mitigation; 5] =
    [Mitigation::None, Mitigation::Budget, Mitigation::FailFast, Mitigation::Preflight, Mitigation::Chunked];

const GUESTS: [Guest; 3] = [Guest::Allocate, Guest::AllocateRising, Guest::Lru];

/// How long a single case may take here.
pub fn patience() -> Duration {
    pace::patience(PATIENCE)
}

/// Time for all cases, more on a slow machine; what does not fit is listed as not run.
pub fn budget(profile: Profile) -> Duration {
    pace::patience(match profile {
        Profile::Smoke => Duration::from_secs(60),
        Profile::Quick => Duration::from_secs(270),
        Profile::Full => Duration::from_secs(7_200),
    })
}

/// The limits of a profile, unless they are given. The version of control groups that has no memory controller here is
/// listed too, so that what was not tried is said.
pub fn environments(profile: Profile, limits: &[u64]) -> Vec<Environment> {
    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;
    use Kind::{AddressSpace, Data};
    let used = Version::in_use();
    let (group, other) = (Kind::Group(used), Kind::Group(used.other()));
    let each = |kinds: [Kind; 4], limits: &[u64]| -> Vec<(Kind, u64)> {
        kinds.iter().flat_map(|&kind| limits.iter().map(move |&limit| (kind, limit))).collect()
    };
    let limited = match profile {
        _ if !limits.is_empty() => each([group, Data, AddressSpace, other], limits),
        Profile::Smoke => vec![(group, 512 * MIB), (Data, 256 * MIB)],
        Profile::Quick => vec![
            (group, 512 * MIB),
            (group, GIB),
            (group, 8 * GIB),
            (Data, 256 * MIB),
            (AddressSpace, 2 * GIB),
            (other, 512 * MIB),
        ],
        Profile::Full => {
            each([group, other, Data, AddressSpace], &[256 * MIB, 512 * MIB, GIB, 2 * GIB, 4 * GIB, 8 * GIB])
        }
    };
    let limited = limited.into_iter().map(|(kind, limit)| Environment::limited(kind, limit));
    [Environment::AS_FOUND].into_iter().chain(limited).collect()
}

/// All cases, those first that others are compared with and those next that matter most.
pub fn cases(profile: Profile, environments: &[Environment]) -> Vec<Case> {
    let mut cases = Vec::new();
    let policies: Vec<&str> = commit::all().iter().map(|policy| policy.name()).collect();
    let limited = &environments[1..];
    let mut add = |environments: &[Environment],
                   policies: &[&'static str],
                   mitigations: &[Mitigation],
                   guests: &[Guest]| {
        for &guest in guests {
            for &mitigation in mitigations {
                for &policy in policies {
                    for &environment in environments {
                        let case = Case { environment, policy, mitigation, guest };
                        if !cases.contains(&case) {
                            cases.push(case);
                        }
                    }
                }
            }
        }
    };
    match profile {
        Profile::Smoke => add(environments, &ENDS, &[Mitigation::None], &[Guest::Allocate]),
        Profile::Quick => {
            add(environments, &ENDS, &[Mitigation::None], &GUESTS);
            add(environments, &["lazy"], &MITIGATIONS, &[Guest::Allocate]);
            add(limited, &["canary"], &[Mitigation::Budget], &[Guest::Allocate]);
            // Where nothing is limited there is nothing to tell policies apart by but their time.
            add(limited, &policies, &[Mitigation::None], &[Guest::Allocate]);
        }
        Profile::Full => {
            add(environments, &ENDS, &MITIGATIONS, &GUESTS);
            add(environments, &policies, &[Mitigation::None], &GUESTS);
        }
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_compared_has_its_reference_before_it() {
        for profile in [Profile::Smoke, Profile::Quick, Profile::Full] {
            let cases = cases(profile, &environments(profile, &[]));
            for (index, case) in cases.iter().enumerate() {
                let reference = Case { environment: Environment::AS_FOUND, policy: "lazy", ..*case };
                let place = cases.iter().position(|other| *other == reference);
                assert!(place.is_some_and(|place| place <= index), "{case:?}");
                assert_eq!(cases.iter().filter(|other| *other == case).count(), 1);
            }
        }
    }

    #[test]
    fn given_limits_replace_those_of_the_profile() {
        let environments = environments(Profile::Quick, &[256 << 20]);
        assert_eq!(
            environments.len(),
            5,
            "as found, both versions of control groups, and two resource limits"
        );
        assert!(environments[1..].iter().all(|environment| environment.limit == Some(256 << 20)));
    }
}
