//! How a block's time is divided: each stack belongs to one [share](Share), by the [rules](RULES).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use wildmatch::WildMatch;

use super::folded::{Folded, Stage};
use super::rules::{RULES, Rule, Share, Side};
use super::symbols::{GUEST, KERNEL};
use crate::cell::code_map::TRAMPOLINE;

/// Samples by share.
pub type Counts = BTreeMap<Share, u64>;

/// Samples of some stages by share.
pub fn counts(folded: &Folded, of: impl Fn(Stage) -> bool) -> Counts {
    let mut counts = Counts::new();
    for (stage, stack, samples) in folded.iter().filter(|(stage, ..)| of(*stage)) {
        *counts.entry(share(stage, stack)).or_default() += samples;
    }
    counts
}

/// A rule whose names can be compared.
struct Pattern {
    rule: &'static Rule,
    name: WildMatch,
    within: WildMatch,
}

static PATTERNS: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
    let pattern = |rule: &'static Rule| Pattern {
        rule,
        name: WildMatch::new(rule.name),
        within: WildMatch::new(rule.within),
    };
    RULES.iter().map(pattern).collect()
});

impl Pattern {
    /// Whether it speaks of that frame, with those further out.
    fn matches(&self, side: Side, name: &str, outer: &[(Side, &str)]) -> bool {
        let is_around = |(side, name): &(Side, &str)| *side == self.rule.side && self.within.matches(name);
        side == self.rule.side
            && self.name.matches(name)
            && (self.rule.within.is_empty() || outer.iter().any(is_around))
    }
}

/// The share of a stack, which is without its stage.
pub fn share(stage: Stage, stack: &str) -> Share {
    let mut frames: Vec<(Side, &str)> = stack.split(';').map(sided).collect();
    let inside = frames.iter_mut().skip_while(|(side, _)| *side != Side::Guest);
    inside.filter(|(side, _)| *side == Side::Host).for_each(|(side, _)| *side = Side::Called);
    let mut weak = None;
    for (at, &(side, name)) in frames.iter().enumerate().rev() {
        match PATTERNS
            .iter()
            .find(|pattern| pattern.matches(side, name, &frames[..at]))
            .map(|pattern| pattern.rule)
        {
            Some(rule) if !rule.weak => return rule.of(stage),
            Some(rule) if weak.is_none() => weak = Some(rule.of(stage)),
            Some(_) | None => {}
        }
        if side == Side::Guest {
            return below_guest(stage, &frames[..=at], &frames[at + 1..]);
        }
    }
    weak.unwrap_or(Share::Rest)
}

/// The share of a stack by what the guest has called, below its innermost frame.
fn below_guest(stage: Stage, guest: &[(Side, &str)], called: &[(Side, &str)]) -> Share {
    let is_host = |(side, name): &(Side, &str)| {
        *side == Side::Called
            && ["wasmtime::runtime::func::", "::host::"].iter().any(|part| name.contains(part))
    };
    let is_compiled = |(side, name): &(Side, &str)| *side == Side::Guest && *name != TRAMPOLINE;
    let is_trampoline = guest.last().is_some_and(|(_, name)| *name == TRAMPOLINE);
    match called.first() {
        // Data segments are copied by code that is nobody's function.
        _ if stage == Stage::Reset && !guest.iter().any(is_compiled) => Share::Instantiation,
        None if is_trampoline => Share::Engine,
        None => Share::Guest,
        Some(_) if called.iter().any(is_host) => Share::Host,
        // Its own copying and filling of memory, which is compiled into a call of the C library.
        Some((Side::Called, _)) => Share::Guest,
        // The kernel interrupted it, for a reason that no rule knows.
        Some(_) => Share::Rest,
    }
}

fn sided(frame: &str) -> (Side, &str) {
    if let Some(name) = frame.strip_suffix(GUEST) {
        (Side::Guest, name)
    } else if let Some(name) = frame.strip_suffix(KERNEL) {
        (Side::Kernel, name)
    } else {
        (Side::Host, frame)
    }
}

/// Parts of a whole as thousandths that come to exactly a thousand: each is rounded down, and those that lost most by it get one
/// more. All are 0 where there is nothing.
pub fn thousandths(parts: &[u64]) -> Vec<u32> {
    let whole: u128 = parts.iter().map(|&part| u128::from(part)).sum();
    if whole == 0 {
        return vec![0; parts.len()];
    }
    let scaled = |part: u64| u128::from(part) * 1_000;
    let mut shares: Vec<u32> = parts.iter().map(|&part| (scaled(part) / whole) as u32).collect();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse((scaled(parts[at]) % whole, parts[at])));
    let missing = 1_000 - shares.iter().sum::<u32>();
    order.into_iter().take(missing as usize).for_each(|at| shares[at] += 1);
    shares
}

/// Between which shares of all a part lies that was seen in so many of so many samples, with 95 % confidence.
///
/// Source: Wilson's score interval, which holds for few samples, too (E. B. Wilson, 1927, "Probable inference, the law of
/// succession, and statistical inference").
pub fn interval(seen: u64, all: u64) -> (f64, f64) {
    if all == 0 {
        return (0.0, 1.0);
    }
    const Z: f64 = 1.96;
    let (n, p) = (all as f64, seen as f64 / all as f64);
    let middle = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stacks as they were seen, shortened.
    #[test]
    fn a_stack_belongs_to_the_innermost_frame_that_says_something() {
        let execute = |stack: &str| share(Stage::Execute, stack);
        let reset = |stack: &str| share(Stage::Reset, stack);
        let guest = "reset_strategies::session::Session<T>::call;wasmtime::runtime::func::typed::call_raw;wasmtime trampoline_[j];run_[j]";
        for (inner, expected) in [
            ("", Share::Guest),
            (";wasmtime trampoline_[j]", Share::Engine),
            (
                ";wasmtime trampoline_[j];wasmtime::runtime::func::array_call_shim;core::hash::BuildHasher::hash_one",
                Share::Host,
            ),
            (
                ";wasmtime trampoline_[j];wasmtime::runtime::func::array_call_shim;__memmove_avx_unaligned_erms",
                Share::Host,
            ),
            (
                ";wasmtime trampoline_[j];wasmtime::runtime::func::HostFunc::array_call_trampoline;\
                 wasmtime::runtime::instance::Instance::get_export",
                Share::Host,
            ),
            (
                ";wasmtime trampoline_[j];wasmtime::runtime::vm::libcalls::raw::memory_grow;x;do_mprotect_pkey_[k]",
                Share::Mapping,
            ),
            (";wasmtime trampoline_[j];wasmtime::runtime::vm::libcalls::raw::memory_grow", Share::Engine),
            (";wasmtime trampoline_[j];[libc.so.6]", Share::Guest),
            (
                ";wasmtime trampoline_[j];wasmtime::runtime::vm::libcalls::raw::memory_fill;__memset",
                Share::Guest,
            ),
            (
                ";wasmtime trampoline_[j];wasmtime::runtime::func::HostFunc::array_call_trampoline;[libc.so.6]",
                Share::Host,
            ),
            (
                ";asm_exc_page_fault_[k];handle_mm_fault_[k];do_anonymous_page_[k];clear_page_erms_[k]",
                Share::FirstTouch,
            ),
            (
                ";asm_exc_page_fault_[k];handle_mm_fault_[k];do_wp_page_[k];copy_mc_enhanced_fast_string_[k]",
                Share::CopyOnWrite,
            ),
            (
                ";asm_exc_page_fault_[k];handle_mm_fault_[k];do_wp_page_[k];wp_page_reuse_[k]",
                Share::WriteProtect,
            ),
            (";asm_exc_page_fault_[k];handle_mm_fault_[k]", Share::OtherFaults),
            (";asm_sysvec_apic_timer_interrupt_[k];irq_exit_rcu_[k]", Share::Rest),
        ] {
            let stack = format!("{guest}{inner}");
            assert_eq!(execute(&stack), expected, "{stack}");
        }
        for (stack, expected) in [
            (
                "reset_strategies::in_place::session::InPlace::reset;reset_strategies::restore::copy;__memset_avx512",
                Share::Copying,
            ),
            (
                "reset_strategies::in_place::session::InPlace::reset;__memmove;exc_page_fault_[k];do_anonymous_page_[k]",
                Share::FirstTouch,
            ),
            (
                "reset_strategies::track::scan;ioctl;do_pagemap_scan_[k];pagemap_scan_pmd_entry_[k]",
                Share::Finding,
            ),
            (
                "reset_strategies::track::scan;ioctl;do_pagemap_scan_[k];flush_tlb_mm_range_[k]",
                Share::Shootdowns,
            ),
            ("munmap;__x64_sys_munmap_[k];__vm_munmap_[k];unmap_vmas_[k]", Share::Mapping),
            ("mmap;__x64_sys_mmap_[k];rwsem_down_write_slowpath_[k];osq_lock_[k]", Share::Locks),
            (
                "wasmtime::runtime::instance::Instance::new_raw;wasmtime::runtime::vm::cow;__memmove",
                Share::Instantiation,
            ),
            (
                "reset_strategies::fresh::relink;core::ptr::drop_in_place<wasmtime::runtime::store::Store<T>>",
                Share::Instantiation,
            ),
            (
                "reset_strategies::fresh::relink;wasmtime::runtime::store::Store<T>::new;malloc",
                Share::Instantiation,
            ),
            (
                "fiber_start;wasmtime::runtime::instance::Instance::start_raw;wasmtime trampoline_[j];[libc.so.6]",
                Share::Instantiation,
            ),
            (
                "fiber_start;wasmtime::runtime::instance::Instance::start_raw;wasmtime trampoline_[j];start_[j]",
                Share::Guest,
            ),
            ("reset_strategies::learned::Policy::decide", Share::Strategy),
            ("something::else", Share::Rest),
        ] {
            assert_eq!(reset(stack), expected, "{stack}");
        }
        assert_eq!(execute("wasmtime::runtime::func::typed::call_raw"), Share::Engine);
    }

    #[test]
    fn every_sample_is_in_one_share() {
        let folded = Folded::parse(
            "execute;run_[j] 7\nexecute;x 1\nreset;munmap;__x64_sys_munmap_[k] 2\nunplaced;y 3\n",
        );
        let all = counts(&folded, |_| true);
        assert_eq!(all, Counts::from([(Share::Guest, 7), (Share::Mapping, 2), (Share::Rest, 4)]));
        assert_eq!(counts(&folded, |stage| stage == Stage::Reset), Counts::from([(Share::Mapping, 2)]));
    }

    #[test]
    fn thousandths_come_to_a_thousand() {
        assert_eq!(thousandths(&[1, 1, 1]), [334, 333, 333]);
        assert_eq!(thousandths(&[0, 5]), [0, 1_000]);
        assert_eq!(thousandths(&[1, 999_999]), [0, 1_000]);
        assert_eq!(thousandths(&[0, 0]), [0, 0]);
        for whole in 1..200_u64 {
            let parts = [whole, whole * 7 % 13, whole * whole % 101, 1];
            assert_eq!(thousandths(&parts).iter().sum::<u32>(), 1_000, "{parts:?}");
        }
    }

    #[test]
    fn an_interval_is_wide_where_samples_are_few() {
        let near = |(low, high): (f64, f64), expected: (f64, f64)| {
            (low - expected.0).abs() < 1e-3 && (high - expected.1).abs() < 1e-3
        };
        assert!(near(interval(0, 10), (0.0, 0.278)), "{:?}", interval(0, 10));
        assert!(near(interval(50, 100), (0.404, 0.596)), "{:?}", interval(50, 100));
        assert_eq!(interval(0, 0), (0.0, 1.0));
    }
}
