//! The scan by which wasmtime's pooling allocator finds what to clean in a slot.

use super::mechanism::Broken;
use super::page::Scratch;
use super::pagemap_scan::{Scanner, Select, pages_of};
use super::{Kernel, Mechanism};

/// wasmtime's scan of a slot, with its categories. It registers nothing with userfaultfd.
pub static POOL_SCAN: Mechanism = Mechanism::new(
    "wasmtime's pool scan",
    "finds the written pages of a slot",
    || {
        let scratch = Scratch::pages(4)?;
        scratch.write(1, 7);
        let _maps_the_zero_page = scratch.read(2);
        let mut scanner = Scanner::open().map_err(|e| format!("/proc/self/pagemap: {e}"))?;
        match pages_of(&scratch, &mut scanner, Select::Pool)?[..] {
            [1] => Ok(()),
            ref other => {
                Err(format!("the scan found {other:?} where page 1 was written: a slot would keep it"))
            }
        }
    },
)
.since(6, 7)
.broken_on(&[Broken {
    from: Kernel::new(7, 3),
    until: None,
    with_swap: false,
    reason: "PAGE_IS_WRITTEN is only reported in ranges registered with userfaultfd, so that wasmtime's scan \
                 finds nothing and a slot keeps what was written",
}]);
