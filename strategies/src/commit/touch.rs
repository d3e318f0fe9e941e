//! Policies that write from user space: one fault per page, each of which enters the kernel.

use super::{How, Policy, WASM_PAGE};
use crate::sys::page;

/// `touch-wasm-page`: commits one OS page in sixteen where these are 4 KiB.
pub static TOUCH_WASM_PAGE: Policy = Policy::new(
    "touch-wasm-page",
    "writes one byte per 64 KiB, which commits only the OS page that it falls on",
    &[],
    How::Behind(|extent| {
        extent.touch_every(WASM_PAGE);
        Ok(())
    }),
);

/// `touch-os-page`.
pub static TOUCH_OS_PAGE: Policy = Policy::new(
    "touch-os-page",
    "writes one byte per OS page",
    &[],
    How::Behind(|extent| {
        extent.touch_every(page::size());
        Ok(())
    }),
);

/// `write-zero`: that zeros share a page is true of reading them only.
pub static WRITE_ZERO: Policy = Policy::new(
    "write-zero",
    "writes zeros over everything; each page gets memory of its own all the same",
    &[],
    How::Behind(|extent| {
        extent.zero();
        Ok(())
    }),
);
