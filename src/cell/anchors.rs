//! Frames by which a profiler tells the stages of a block apart: whatever runs below one of these belongs to its stage.
//!
//! They are functions of their own so that they are on the stack, and something is left to do after the call in each, which
//! would else be a jump that takes their place.

use std::hint::black_box;

/// How the name of a frame ends below which a block executes.
pub const EXECUTE: &str = "cell::anchors::execute";

/// How the name of a frame ends below which an instance is reset.
pub const RESET: &str = "cell::anchors::reset";

/// Runs what executes a block.
#[inline(never)]
pub fn execute<T>(run: impl FnOnce() -> T) -> T {
    let done = run();
    black_box(());
    done
}

/// Runs what resets an instance.
#[inline(never)]
pub fn reset<T>(run: impl FnOnce() -> T) -> T {
    let done = run();
    black_box(());
    done
}
