//! What a host may choose.

use wasmtime::Config;

/// Choices of the host. The defaults are those of the measurements.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Applied to the engine's configuration before the strategy's own settings: how memory is allocated, reserved and
    /// initialised is the strategy's to say, and what is set of it here has no effect.
    pub configure: fn(&mut Config),
    /// The export that runs a block; a session without one is driven through its instance.
    pub entry: Option<&'static str>,
    /// Epoch ticks that instantiation may take, and each block from the reset before it, until the host sets a deadline of
    /// its own for that block.
    pub deadline: u64,
    /// Fuel for instantiation and for each block, where the engine counts it, until the host sets another amount for that
    /// block.
    pub fuel: u64,
    /// How many sessions may live at once on one engine; the size of a pool.
    pub sessions: u32,
    /// For pools that keep memory resident: how many bytes of each slot.
    pub keep_resident: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            configure: |_| (),
            entry: Some("_start"),
            // Without end, and yet the current epoch can be added to it.
            deadline: u64::MAX / 2,
            fuel: u64::MAX,
            sessions: 1,
            keep_resident: 64 << 20,
        }
    }
}
