//! What an indexer works with: its input, its log, and the host's store behind a cache.

mod answer;
mod growing;
mod input;
mod store;

pub use answer::answer;
pub use input::{Input, input};
pub use store::{append, cached, flush, get, set};

use growing::Growing;

/// Writes a line to the host's log.
pub fn log(text: &str) {
    abi::log(&Growing::from(text.as_bytes()));
}

/// Logs why, then traps: to the host a block that cannot be indexed is a failed block, never an empty one.
pub fn fail(why: &str) -> ! {
    log(why);
    abi::trap()
}
