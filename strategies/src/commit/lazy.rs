//! wasmtime's own way: a page gets memory when the guest first writes to it, and nobody knows before whether it will.

use super::{How, Policy};

/// `lazy`.
pub static LAZY: Policy = Policy::new(
    "lazy",
    "commits nothing: each page when it is first written, as wasmtime does",
    &[],
    How::Not,
);
