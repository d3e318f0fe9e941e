//! Who sets the clock: the governor, its range and whether the CPU may exceed its nominal frequency.
//!
//! Sources: the policies of `/sys/devices/system/cpu/cpufreq` and `boost`, and `intel_pstate/no_turbo` (the
//! kernel's `Documentation/admin-guide/pm/cpufreq.rst` and `intel_pstate.rst`). A virtual machine usually has
//! none of them: then the host decides, and no guest can tell.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::source::{Facts, line, number};

/// Frequency scaling; every field is absent where the host keeps it to itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Frequency {
    /// The governors in use, joined by "+" if policies differ. `performance` is the steadiest.
    pub governor: Option<String>,
    /// The scaling driver, such as `intel_pstate` or `acpi-cpufreq`.
    pub driver: Option<String>,
    /// Lowest frequency that any policy allows.
    pub min_khz: Option<u64>,
    /// Highest frequency that any policy allows.
    pub max_khz: Option<u64>,
    /// Whether turbo or boost is allowed: then the clock depends on temperature and on the neighbours.
    pub turbo: Option<bool>,
}

const CPUFREQ: &str = "/sys/devices/system/cpu/cpufreq";

impl Frequency {
    pub(crate) fn read(facts: &mut Facts) -> Self {
        let names = facts.files.names(CPUFREQ).unwrap_or_default();
        let policies: Vec<String> = names.into_iter().filter(|name| name.starts_with("policy")).collect();
        let mut all = |field: &str, file: &str| {
            let field = format!("frequency.{field}");
            if policies.is_empty() {
                facts.miss(
                    &field,
                    format!("no policy in {CPUFREQ}: the firmware or the hypervisor sets the clock"),
                );
            }
            let mut values: Vec<String> = Vec::new();
            for policy in &policies {
                let value = facts.read(&field, &format!("{CPUFREQ}/{policy}/{file}"), line);
                values.extend(value.filter(|value| !values.contains(value)));
            }
            values
        };
        let joined = |values: Vec<String>| (!values.is_empty()).then(|| values.join("+"));
        let governor = joined(all("governor", "scaling_governor"));
        let driver = joined(all("driver", "scaling_driver"));
        let min_khz = all("min_khz", "scaling_min_freq").iter().filter_map(|text| number(text)).min();
        let max_khz = all("max_khz", "scaling_max_freq").iter().filter_map(|text| number(text)).max();
        for (field, odd) in [("min_khz", min_khz.is_none()), ("max_khz", max_khz.is_none())] {
            if odd {
                facts.miss(&format!("frequency.{field}"), "no policy states it as a number");
            }
        }
        Self { governor, driver, min_khz, max_khz, turbo: turbo(facts) }
    }
}

/// `intel_pstate` states it in the negative, all other drivers as `boost`.
fn turbo(facts: &mut Facts) -> Option<bool> {
    const NO_TURBO: &str = "/sys/devices/system/cpu/intel_pstate/no_turbo";
    const BOOST: &str = "/sys/devices/system/cpu/cpufreq/boost";
    if let Some(off) = facts.files.parsed(NO_TURBO, number::<u8>) {
        return Some(off == 0);
    }
    if let Some(on) = facts.files.parsed(BOOST, number::<u8>) {
        return Some(on != 0);
    }
    facts.miss("frequency.turbo", format!("neither {NO_TURBO} nor {BOOST} is readable"));
    None
}

#[cfg(test)]
mod tests {
    use super::super::source::literal::Literal;
    use super::*;

    #[test]
    fn policies_are_summed_up() {
        let files = Literal(vec![
            ("/sys/devices/system/cpu/cpufreq/policy0/scaling_governor", "performance\n"),
            ("/sys/devices/system/cpu/cpufreq/policy0/scaling_driver", "acpi-cpufreq\n"),
            ("/sys/devices/system/cpu/cpufreq/policy0/scaling_min_freq", "800000\n"),
            ("/sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq", "3000000\n"),
            ("/sys/devices/system/cpu/cpufreq/policy4/scaling_governor", "powersave\n"),
            ("/sys/devices/system/cpu/cpufreq/policy4/scaling_driver", "acpi-cpufreq\n"),
            ("/sys/devices/system/cpu/cpufreq/policy4/scaling_min_freq", "400000\n"),
            ("/sys/devices/system/cpu/cpufreq/policy4/scaling_max_freq", "2000000\n"),
            ("/sys/devices/system/cpu/cpufreq/boost", "1\n"),
        ]);
        let mut facts = Facts::new(&files);
        let expected = Frequency {
            governor: Some("performance+powersave".into()),
            driver: Some("acpi-cpufreq".into()),
            min_khz: Some(400_000),
            max_khz: Some(3_000_000),
            turbo: Some(true),
        };
        assert_eq!(Frequency::read(&mut facts), expected);
        assert!(facts.absent.is_empty(), "{:?}", facts.absent);
    }

    #[test]
    fn intel_states_turbo_in_the_negative() {
        let files = Literal(vec![("/sys/devices/system/cpu/intel_pstate/no_turbo", "1\n")]);
        assert_eq!(turbo(&mut Facts::new(&files)), Some(false));
    }

    #[test]
    fn a_guest_without_cpufreq_says_who_sets_the_clock() {
        let files = Literal::default();
        let mut facts = Facts::new(&files);
        assert_eq!(Frequency::read(&mut facts), Frequency::default());
        assert!(facts.absent["frequency.governor"].contains("the hypervisor sets the clock"));
        assert!(facts.absent.contains_key("frequency.turbo"));
    }
}
