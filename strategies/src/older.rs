//! What wasmtime has not always had, for hosts whose wasmtime is an older one.
//!
//! A method of a type goes before one of a trait that has the same name: where wasmtime has the method, that is what is
//! called, and the trait here is of no use. So no host has to say which version it has.

use wasmtime::Store;

/// In the place of a size that this wasmtime does not tell.
pub(crate) const NOT_TOLD: usize = usize::MAX;

/// `Store::gc_heap_capacity`, which wasmtime has since 45.
#[allow(dead_code, reason = "of use with an older wasmtime only")]
pub(crate) trait HeapCapacity {
    /// Bytes of the garbage-collected heap.
    fn gc_heap_capacity(&self) -> usize;
}

impl<T> HeapCapacity for Store<T> {
    fn gc_heap_capacity(&self) -> usize {
        NOT_TOLD
    }
}
