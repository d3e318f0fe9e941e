//! What a host must not do around an instance: conditions as data, beside the mechanisms that a strategy needs.
//!
//! A mechanism is probed. A condition lies with the host, and most of them nobody can see from within the process.

use std::fmt;

/// Something that a host must not do for a strategy to be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    /// A short name, the same wherever the condition is told.
    pub name: &'static str,
    /// The rest of a sentence that begins with "the host must not".
    pub must_not: &'static str,
    /// What comes of it where the host does.
    pub consequence: &'static str,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "must not {}: {}", self.must_not, self.consequence)
    }
}

/// A fault is counted for the process that takes it (`mm_account_fault` in the kernel's `mm/memory.c`).
pub static FOREIGN_WRITES: Condition = Condition {
    name: "foreign writes",
    must_not: "let another process write to guest memory (process_vm_writev, ptrace, /proc/PID/mem)",
    consequence: "this process takes no fault for it, so that a reset need not look, and the next block reads what was \
                  written",
};

/// The device, or the kernel on behalf of one, writes to the physical page and to no page table
/// (`Documentation/core-api/pin_user_pages.rst`).
pub static PINNED_WRITES: Condition = Condition {
    name: "writes to pinned memory",
    must_not: "have guest memory written that is pinned (buffers registered with io_uring, RDMA)",
    consequence: "no page table shows it, and the next block reads what was written",
};

/// Whoever pinned a page keeps it, while the address gets another (madvise(2)).
pub static PINNED_PAGES: Condition = Condition {
    name: "pinned memory",
    must_not: "keep guest memory pinned over a reset (buffers registered with io_uring, RDMA, vmsplice)",
    consequence: "the reset puts other pages there, so that the guest does not see what the host has written to the old \
                  ones",
};

/// Whatever has been submitted and has not completed.
pub static IN_FLIGHT: Condition = Condition {
    name: "I/O in flight",
    must_not: "reset while asynchronous I/O on guest memory is in flight",
    consequence: "what arrives after the reset is in the next block, and what had not been sent is gone",
};

/// Clearing is of a whole process, and anybody may (`Documentation/admin-guide/mm/soft-dirty.rst`).
pub static CLEARED_BITS: Condition = Condition {
    name: "cleared soft-dirty bits",
    must_not: "have the soft-dirty bits of the process cleared (CRIU, another user of /proc/PID/clear_refs)",
    consequence: "what was written before is not told from what is clean; the reset notices it and fails",
};

/// madvise(2) and `Documentation/admin-guide/mm/ksm.rst`.
pub static MERGED_MEMORY: Condition = Condition {
    name: "merged memory",
    must_not: "ask for guest memory to be merged (MADV_MERGEABLE, PR_SET_MEMORY_MERGE)",
    consequence: "a page that the kernel merges looks as if nobody had written to it, and the next block reads what was \
                  written",
};

/// A fault is counted for the thread that takes it, too.
///
/// It holds where a host has set `Options::writes_on_calling_thread`, and for `adaptive/hot-cold` only. What breaks it is safe
/// Rust: a `Caller`, a store's context and a slice of a memory can all be sent to another thread.
pub static OTHER_THREADS: Condition = Condition {
    name: "other threads",
    must_not: "have another thread than the one that calls write to guest memory (a Caller or a slice that is given to a \
               scoped thread, workers of io_uring), where it has said that none does",
    consequence: "the calling thread takes no fault for it, so that a reset need not look, and the next block reads what \
                  was written",
};

/// What holds of every strategy.
pub(crate) static ALWAYS: [&Condition; 1] = [&IN_FLIGHT];

/// All conditions, in the order in which tables list them.
pub static ALL: [&Condition; 6] =
    [&IN_FLIGHT, &FOREIGN_WRITES, &PINNED_WRITES, &PINNED_PAGES, &CLEARED_BITS, &MERGED_MEMORY];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::registry;

    #[test]
    fn every_condition_has_a_name_and_is_that_of_a_strategy() {
        let names: HashSet<_> = ALL.iter().map(|condition| condition.name).collect();
        assert_eq!(names.len(), ALL.len());
        for condition in ALL {
            let whose = registry::all().iter().filter(|s| s.conditions().any(|other| other == condition));
            assert!(whose.count() > 0, "{}", condition.name);
        }
        for strategy in registry::all() {
            let stated: Vec<_> = strategy.conditions().map(|condition| condition.name).collect();
            assert!(stated.contains(&IN_FLIGHT.name), "{strategy}: {stated:?}");
            assert!(stated.iter().all(|name| names.contains(name)), "{strategy}: {stated:?}");
        }
    }
}
