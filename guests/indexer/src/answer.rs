//! What a view returns.

use abi::ArrayBuffer;

use crate::Growing;

/// Leaves bytes where the host finds them by the number, which a view returns. They stay until the instance is reset.
pub fn answer(bytes: &[u8]) -> i32 {
    let buffer = Growing::from(bytes);
    let at = buffer.as_ptr() as i32;
    std::mem::forget(buffer);
    at
}
