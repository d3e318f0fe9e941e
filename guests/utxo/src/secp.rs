//! Stand-ins for the functions of libsecp256k1 that the linker asks for. Decoding a block calls none of them.

#[unsafe(no_mangle)]
extern "C" fn rustsecp256k1_v0_10_0_context_preallocated_size(_flags: u32) -> usize {
    unreachable!()
}

#[unsafe(no_mangle)]
extern "C" fn rustsecp256k1_v0_10_0_context_preallocated_create(_memory: *mut u8, _flags: u32) -> *mut u8 {
    unreachable!()
}

#[unsafe(no_mangle)]
extern "C" fn rustsecp256k1_v0_10_0_context_preallocated_destroy(_context: *mut u8) {
    unreachable!()
}
