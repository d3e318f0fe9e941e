//! What a frame says about the time that is spent below it. To tell something apart is to add a line to the table.
//!
//! Names of the kernel's functions are those of Linux 5.15 to 6.18 on x86-64 and aarch64. Compilers merge some of them into
//! their callers, differently in each build: where a fault is told by a function that may be missing, a line for what it
//! calls comes before the one for its caller.

use serde::{Deserialize, Serialize};

use super::folded::Stage;

/// A part of a block's time.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Share {
    /// The guest's own code, and the bulk copies and fills that it asks for.
    Guest,
    /// Functions of the host that the guest calls.
    Host,
    /// Faults on pages that were not there.
    FirstTouch,
    /// Faults that copy a page of an image.
    CopyOnWrite,
    /// Faults on pages that were protected against writes, to see that they are written.
    WriteProtect,
    /// Faults of a kind that the stack does not tell: on the way in and out, most of them.
    OtherFaults,
    /// Zeroing and copying of memory by the restorer, outside faults.
    Copying,
    /// Asking the kernel which pages are dirty, and protecting them for the next answer.
    Finding,
    /// Protecting, mapping and unmapping memory, and giving it back.
    Mapping,
    /// Telling other CPUs that mappings have changed, and flushing them here.
    Shootdowns,
    /// Waiting for locks of the kernel.
    Locks,
    /// Making an instance, and dropping the one before.
    Instantiation,
    /// Getting into and out of the guest, and what wasmtime does on its behalf, such as growing memory.
    Engine,
    /// What the strategy itself does besides.
    Strategy,
    /// Everything else.
    Rest,
}

impl Share {
    /// All of them, as they are shown.
    pub const ALL: [Self; 15] = [
        Self::Guest,
        Self::Host,
        Self::FirstTouch,
        Self::CopyOnWrite,
        Self::WriteProtect,
        Self::OtherFaults,
        Self::Copying,
        Self::Finding,
        Self::Mapping,
        Self::Shootdowns,
        Self::Locks,
        Self::Instantiation,
        Self::Engine,
        Self::Strategy,
        Self::Rest,
    ];

    /// What it is called in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Guest => "guest code",
            Self::Host => "host functions",
            Self::FirstTouch => "faults: first touch",
            Self::CopyOnWrite => "faults: copy-on-write",
            Self::WriteProtect => "faults: write-protect",
            Self::OtherFaults => "faults: other",
            Self::Copying => "zeroing and copying",
            Self::Finding => "finding dirty pages",
            Self::Mapping => "mapping and protecting",
            Self::Shootdowns => "TLB shootdowns",
            Self::Locks => "waiting for locks",
            Self::Instantiation => "instantiation",
            Self::Engine => "wasmtime besides",
            Self::Strategy => "strategy besides",
            Self::Rest => "the rest",
        }
    }
}

/// Whose frames a rule speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Kernel,
    /// The host, on the way into the guest or without it.
    Host,
    /// What the guest has called.
    Called,
    Guest,
}

use Side::{Called, Host, Kernel};

/// What is said by a frame of that name.
pub struct Rule {
    pub side: Side,
    /// The name, with `*` for anything.
    pub name: &'static str,
    /// Only where such a frame is further out; empty for any stack.
    pub within: &'static str,
    /// The share; of two, one for a block that executes and one for a reset.
    pub share: [Share; 2],
    /// Whether a frame further out that says something else is right.
    pub weak: bool,
}

impl Rule {
    /// The share in that stage.
    pub fn of(&self, stage: Stage) -> Share {
        self.share[usize::from(stage == Stage::Reset)]
    }
}

const fn rule(side: Side, name: &'static str, share: Share) -> Rule {
    Rule { side, name, within: "", share: [share, share], weak: false }
}

const fn within(side: Side, name: &'static str, within: &'static str, share: Share) -> Rule {
    Rule { within, ..rule(side, name, share) }
}

const fn weak(side: Side, name: &'static str, share: Share) -> Rule {
    Rule { weak: true, ..rule(side, name, share) }
}

/// The first rule that matches the innermost frame which any matches. A weak one stands back for what is further out.
pub static RULES: &[Rule] = &[
    // Other CPUs and locks, whatever they are needed for.
    rule(Kernel, "smp_call_function_*", Share::Shootdowns),
    rule(Kernel, "*flush_tlb*", Share::Shootdowns),
    rule(Kernel, "tlb_flush_mmu*", Share::Shootdowns),
    rule(Kernel, "arch_tlbbatch_flush", Share::Shootdowns),
    rule(Kernel, "rwsem_*", Share::Locks),
    rule(Kernel, "osq_lock*", Share::Locks),
    rule(Kernel, "*queued_spin_lock_slowpath", Share::Locks),
    rule(Kernel, "queued_*_lock_slowpath", Share::Locks),
    rule(Kernel, "futex_*", Share::Locks),
    // What an interrupt does is not for the block.
    rule(Kernel, "asm_sysvec_*", Share::Rest),
    rule(Kernel, "asm_common_interrupt", Share::Rest),
    rule(Kernel, "el*_interrupt", Share::Rest),
    // Faults.
    rule(Kernel, "wp_page_copy*", Share::CopyOnWrite),
    rule(Kernel, "do_cow_fault*", Share::CopyOnWrite),
    rule(Kernel, "do_huge_pmd_wp_page*", Share::CopyOnWrite),
    within(Kernel, "copy_mc_*", "do_wp_page*", Share::CopyOnWrite),
    within(Kernel, "copy_*page*", "do_wp_page*", Share::CopyOnWrite),
    within(Kernel, "*alloc*", "do_wp_page*", Share::CopyOnWrite),
    within(Kernel, "copy_mc_*", "do_fault*", Share::CopyOnWrite),
    within(Kernel, "copy_*page*", "do_fault*", Share::CopyOnWrite),
    rule(Kernel, "do_wp_page*", Share::WriteProtect),
    rule(Kernel, "wp_page_reuse*", Share::WriteProtect),
    rule(Kernel, "handle_userfault*", Share::WriteProtect),
    rule(Kernel, "*force_sig_fault*", Share::WriteProtect),
    rule(Kernel, "bad_area*", Share::WriteProtect),
    rule(Kernel, "arch_do_signal_or_restart*", Share::WriteProtect),
    rule(Kernel, "do_signal*", Share::WriteProtect),
    rule(Kernel, "*sys_rt_sigreturn", Share::WriteProtect),
    rule(Kernel, "do_anonymous_page*", Share::FirstTouch),
    rule(Kernel, "do_huge_pmd_anonymous_page*", Share::FirstTouch),
    rule(Kernel, "do_fault*", Share::FirstTouch),
    rule(Kernel, "do_read_fault*", Share::FirstTouch),
    rule(Kernel, "do_shared_fault*", Share::FirstTouch),
    rule(Kernel, "do_swap_page*", Share::FirstTouch),
    rule(Kernel, "handle_mm_fault*", Share::OtherFaults),
    rule(Kernel, "*exc_page_fault*", Share::OtherFaults),
    rule(Kernel, "do_user_addr_fault*", Share::OtherFaults),
    rule(Kernel, "do_page_fault*", Share::OtherFaults),
    rule(Kernel, "error_entry", Share::OtherFaults),
    // Finding dirty pages.
    rule(Kernel, "*pagemap_*", Share::Finding),
    rule(Kernel, "*mincore*", Share::Finding),
    rule(Kernel, "userfaultfd_*", Share::Finding),
    rule(Kernel, "mwriteprotect_range*", Share::Finding),
    rule(Kernel, "uffd_wp_range*", Share::Finding),
    rule(Kernel, "clear_refs_write*", Share::Finding),
    // Mapping and protecting.
    rule(Kernel, "*sys_mprotect", Share::Mapping),
    rule(Kernel, "do_mprotect_pkey*", Share::Mapping),
    rule(Kernel, "*sys_mmap*", Share::Mapping),
    rule(Kernel, "*sys_munmap", Share::Mapping),
    rule(Kernel, "*sys_mremap", Share::Mapping),
    rule(Kernel, "*sys_madvise", Share::Mapping),
    rule(Kernel, "do_madvise*", Share::Mapping),
    rule(Kernel, "vm_mmap_pgoff*", Share::Mapping),
    rule(Kernel, "*vm_munmap*", Share::Mapping),
    rule(Kernel, "*sys_ftruncate", Share::Mapping),
    rule(Kernel, "*sys_fallocate", Share::Mapping),
    // Zeroing and copying; what the guest or the engine copies is theirs.
    weak(Host, "*memset*", Share::Copying),
    weak(Host, "*memcpy*", Share::Copying),
    weak(Host, "*memmove*", Share::Copying),
    weak(Host, "reset_strategies::sys::zero*", Share::Copying),
    weak(Host, "reset_strategies::restore*", Share::Copying),
    weak(Kernel, "clear_*page*", Share::Copying),
    weak(Kernel, "copy_*page*", Share::Copying),
    weak(Kernel, "copy_mc_*", Share::Copying),
    // What the guest asks of wasmtime itself: bulk copies are its own.
    rule(Called, "wasmtime::runtime::vm::libcalls*memory_copy*", Share::Guest),
    rule(Called, "wasmtime::runtime::vm::libcalls*memory_fill*", Share::Guest),
    rule(Called, "wasmtime::runtime::vm::libcalls*memory_init*", Share::Guest),
    rule(Called, "wasmtime::runtime::vm::libcalls*", Share::Engine),
    // Instances.
    rule(Host, "wasmtime::runtime::instance*", Share::Instantiation),
    rule(Host, "wasmtime::runtime::linker*", Share::Instantiation),
    rule(Host, "wasmtime::runtime::vm::instance*", Share::Instantiation),
    rule(Host, "*drop_in_place<wasmtime*", Share::Instantiation),
    Rule { share: [Share::Engine, Share::Instantiation], ..weak(Host, "*wasmtime*", Share::Engine) },
    Rule { share: [Share::Engine, Share::Strategy], ..weak(Host, "reset_strategies::*", Share::Strategy) },
    Rule { share: [Share::Engine, Share::Strategy], ..weak(Host, "*tokio::*", Share::Strategy) },
];
