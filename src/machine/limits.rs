//! Limits of the process and switches of the kernel that decide which strategies can run.
//!
//! Sources: `/proc/self/limits` (proc(5), getrlimit(2)); `vm.unprivileged_userfaultfd` (the kernel's
//! `Documentation/admin-guide/sysctl/vm.rst`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::source::{Facts, number};

/// Resource limits in bytes.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Limits {
    /// `RLIMIT_AS`: below wasmtime's 4 GiB reservations, instantiation itself is refused.
    pub address_space: Option<Limit>,
    /// `RLIMIT_DATA`: making pages writable fails beyond it, and `memory.grow` returns -1 to the guest.
    pub data: Option<Limit>,
    /// `RLIMIT_MEMLOCK`: how much memory mlock(2) may pin.
    pub locked: Option<Limit>,
}

/// A soft limit, which counts, and the hard one up to which it may be raised. `null` is unlimited.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
pub struct Limit {
    pub soft_bytes: Option<u64>,
    pub hard_bytes: Option<u64>,
}

impl Limits {
    pub(crate) fn read(facts: &mut Facts) -> Self {
        let mut limit = |field: &str, name: &str| {
            facts.read(&format!("limits.{field}"), "/proc/self/limits", |text| limit(text, name))
        };
        Self {
            address_space: limit("address_space", "Max address space"),
            data: limit("data", "Max data size"),
            locked: limit("locked", "Max locked memory"),
        }
    }
}

/// `vm.unprivileged_userfaultfd`: whether a process without CAP_SYS_PTRACE may handle faults of the kernel
/// too. The switch is there since Linux 5.2; since 5.11 everyone may handle faults of user mode.
pub(crate) fn unprivileged_userfaultfd(facts: &mut Facts) -> Option<bool> {
    let path = "/proc/sys/vm/unprivileged_userfaultfd";
    facts.read("unprivileged_userfaultfd", path, |text| Some(number::<u8>(text)? != 0))
}

/// The row `Max ...   soft   hard   bytes`.
fn limit(text: &str, name: &str) -> Option<Limit> {
    let row = text.lines().find_map(|line| line.strip_prefix(name))?;
    let mut words = row.split_whitespace();
    let mut next = || match words.next()? {
        "unlimited" => Some(None),
        bytes => bytes.parse().ok().map(Some),
    };
    Some(Limit { soft_bytes: next()?, hard_bytes: next()? })
}

#[cfg(test)]
mod tests {
    use super::super::source::literal::Literal;
    use super::*;

    const TEXT: &str = "Limit                     Soft Limit           Hard Limit           Units     \n\
        Max data size             268435456            unlimited            bytes     \n\
        Max locked memory         8388608              8388608              bytes     \n\
        Max address space         unlimited            unlimited            bytes     \n";

    #[test]
    fn rows_are_soft_and_hard() {
        let files =
            Literal(vec![("/proc/self/limits", TEXT), ("/proc/sys/vm/unprivileged_userfaultfd", "0\n")]);
        let mut facts = Facts::new(&files);
        let limits = Limits::read(&mut facts);
        assert_eq!(limits.address_space, Some(Limit { soft_bytes: None, hard_bytes: None }));
        assert_eq!(limits.data, Some(Limit { soft_bytes: Some(256 << 20), hard_bytes: None }));
        assert_eq!(limits.locked, Some(Limit { soft_bytes: Some(8 << 20), hard_bytes: Some(8 << 20) }));
        assert_eq!(unprivileged_userfaultfd(&mut facts), Some(false));
        assert!(facts.absent.is_empty(), "{:?}", facts.absent);
    }

    #[test]
    fn odd_rows_are_absent() {
        for text in ["", "Max data size", "Max data size  few  many", "Max data size 12"] {
            assert_eq!(limit(text, "Max data size"), None, "{text:?}");
        }
    }
}
