//! Who sets the clock: the governor, its range and whether the CPU may exceed its nominal frequency.
//!
//! Sources: the policies of `/sys/devices/system/cpu/cpufreq` and `boost`, and `intel_pstate/no_turbo` (the
//! kernel's `Documentation/admin-guide/pm/cpufreq.rst` and `intel_pstate.rst`). A virtual machine usually has
//! none of them: then the host decides, and no guest can tell.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::source::{Facts, number};

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
        let policies: Vec<String> = facts
            .files
            .names(CPUFREQ)
            .unwrap_or_default()
            .into_iter()
            .filter(|name| name.starts_with("policy"))
            .map(|name| format!("{CPUFREQ}/{name}"))
            .collect();
        if policies.is_empty() {
            let why = format!("no policy in {CPUFREQ}: the firmware or the hypervisor sets the clock");
            for field in ["governor", "driver", "min_khz", "max_khz"] {
                facts.miss(&format!("frequency.{field}"), why.as_str());
            }
        }
        let mut all = |field: &str, file: &str| -> Vec<String> {
            let mut values: Vec<String> = Vec::new();
            for policy in &policies {
                let value = facts.read(
                    &format!("frequency.{field}"),
                    &format!("{policy}/{file}"),
                    super::source::line,
                );
                if let Some(value) = value.filter(|value| !values.contains(value)) {
                    values.push(value);
                }
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
    if let Some(off) = facts.files.text(NO_TURBO).ok().and_then(|text| number::<u8>(&text)) {
        return Some(off == 0);
    }
    if let Some(on) = facts.files.text(BOOST).ok().and_then(|text| number::<u8>(&text)) {
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
        let frequency = Frequency::read(&mut facts);
        assert_eq!(frequency.governor.as_deref(), Some("performance+powersave"));
        assert_eq!(frequency.driver.as_deref(), Some("acpi-cpufreq"));
        assert_eq!((frequency.min_khz, frequency.max_khz), (Some(400_000), Some(3_000_000)));
        assert_eq!(frequency.turbo, Some(true));
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
