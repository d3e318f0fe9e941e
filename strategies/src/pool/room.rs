//! What a place takes of what the kernel limits: addresses and mappings.

use std::fs;

use procfs::process::{LimitValue, Process};

use crate::error::Error;
use crate::in_place::RESERVATION;
use crate::plan::Plan;
use crate::strategy::Lifecycle;

/// What a place takes at the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Needs {
    /// Bytes of its memories.
    pub(super) memory: u64,
    /// Bytes of addresses.
    addresses: u64,
    /// Mappings: ranges of addresses that the kernel treats alike.
    mappings: u64,
}

/// One limit of the process.
struct Limit {
    name: &'static str,
    value: u64,
    /// What a place takes of it at the least.
    each: u64,
    unit: &'static str,
    remedy: &'static str,
}

/// Where the kernel puts mappings that name no address: below 2^47 on x86-64, whatever the page tables reach
/// (`Documentation/arch/x86/x86_64/5level-paging.rst`), and below 2^48 on aarch64.
const ADDRESSES: u64 = if cfg!(target_arch = "x86_64") { 1 << 47 } else { 1 << 48 };

/// Mappings that a start may take besides those that are sure: guards, stacks, what trackers and allocators map.
const SPARE_MAPPINGS: u64 = 64;

impl Needs {
    pub(super) fn of(plan: &Plan<'_>) -> Self {
        let mut needs = Self { memory: 0, addresses: 0, mappings: 0 };
        let instances = match plan.strategy().lifecycle() {
            Lifecycle::InPlace(parts) => 1 + u64::from(parts.turns),
            Lifecycle::Fresh(_) => 1,
        };
        for memory in plan.facts().memories.iter().filter(|memory| !memory.imported) {
            needs.memory = needs.memory.saturating_add(memory.initial_bytes().saturating_mul(instances));
            // Otherwise host and engine decide how much is reserved, and perhaps for all places at once.
            if let Lifecycle::InPlace(_) = plan.strategy().lifecycle() {
                let reserved = if memory.memory64 { memory.initial_bytes() } else { RESERVATION };
                needs.addresses = needs.addresses.saturating_add(reserved.saturating_mul(instances));
                // What is accessible, and what is not.
                needs.mappings += instances * 2 * u64::from(memory.initial > 0);
            }
        }
        needs
    }

    /// Whether so many places can be at all, with nothing else in the process.
    ///
    /// # Errors
    /// The first limit that does not allow it.
    pub(super) fn check(self, places: usize) -> Result<(), Error> {
        let too_low = |limit: &Limit| limit.each.saturating_mul(places as u64) > limit.value;
        match self.limits().into_iter().find(too_low) {
            None => Ok(()),
            Some(Limit { name, value, each, unit, remedy }) => Err(Error::Pool {
                asked: format!("{places} places"),
                reason: format!("{name} is {value} {unit}, and a place takes {each} or more"),
                remedy: format!("ask for fewer than {}, or {remedy}", value / each + 1),
            }),
        }
    }

    /// An error of a start, with the limit that is so nearly reached that it may be the reason.
    pub(super) fn explain(self, error: Error) -> Error {
        let short = self.limits().into_iter().find_map(|limit| {
            let used = used(limit.name)?;
            // As wasmtime reserves by default, with its guards.
            let margin =
                if limit.unit == "bytes" { (5 << 30) - limit.each.min(RESERVATION) } else { SPARE_MAPPINGS };
            (used.saturating_add(limit.each + margin) > limit.value).then_some((used, limit))
        });
        match short {
            None => error,
            Some((used, Limit { name, value, each, unit, remedy })) => Error::NoRoom {
                limit: format!(
                    "{name} is {value} {unit}, of which the process has taken {used}, where a place takes {each} or more"
                ),
                remedy: format!("allow fewer places (Limits::most), or {remedy}"),
                source: Box::new(error),
            },
        }
    }

    fn limits(self) -> Vec<Limit> {
        let addresses =
            |name, value, remedy| Limit { name, value, each: self.addresses, unit: "bytes", remedy };
        let mut limits =
            vec![addresses("the address space of a process", ADDRESSES, "take several processes")];
        if let Some(value) = limited_addresses() {
            limits.push(addresses(AS, value, "raise it (ulimit -v, LimitAS= of systemd)"));
        }
        if let Some(value) = number("/proc/sys/vm/max_map_count") {
            let remedy = "raise it (sysctl vm.max_map_count)";
            limits.push(Limit { name: MAPS, value, each: self.mappings, unit: "mappings", remedy });
        }
        limits
    }
}

const AS: &str = "RLIMIT_AS";
const MAPS: &str = "vm.max_map_count";

/// What the process has taken of a limit.
fn used(name: &str) -> Option<u64> {
    match name {
        MAPS => fs::read_to_string("/proc/self/maps").ok().map(|maps| maps.lines().count() as u64),
        _ => Some(Process::myself().ok()?.status().ok()?.vmsize? * 1024),
    }
}

fn limited_addresses() -> Option<u64> {
    match Process::myself().ok()?.limits().ok()?.max_address_space.soft_limit {
        LimitValue::Value(bytes) => Some(bytes),
        LimitValue::Unlimited => None,
    }
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
