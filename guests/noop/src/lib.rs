//! `stress/noop`: returns at once. What a cycle of it costs is what the host and the harness cost.

#![no_std]

#[unsafe(no_mangle)]
pub extern "C" fn _start() {}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}
