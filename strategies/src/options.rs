//! What a host may choose.

use std::fmt;

use wasmtime::Config;

/// Sets an engine up. A reference, so that options can be copied: a closure that captures nothing is a constant, and one that does
/// can be leaked once for a process.
pub type Configure = &'static (dyn Fn(&mut Config) + Send + Sync);

/// Choices of the host. The defaults are those of the measurements.
#[derive(Clone, Copy)]
pub struct Options {
    /// Applied to the engine's configuration before the strategy's own settings: how memory is allocated, reserved and
    /// initialised is the strategy's to say, and what is set of it here has no effect unless a strategy leaves it to the host.
    pub configure: Configure,
    /// The export that runs a block; a session without one is driven through its instance.
    pub entry: Option<&'static str>,
    /// Epoch ticks that instantiation may take, and each block from the reset before it, until the host sets a deadline of
    /// its own for that block.
    pub deadline: u64,
    /// Fuel for instantiation and for each block, where the engine counts it, until the host sets another amount for that
    /// block.
    pub fuel: u64,
    /// Fuel after which a guest that runs in a future lets others run, where the engine counts it
    /// (`Store::fuel_async_yield_interval`); its sessions can no longer be called otherwise.
    #[cfg(feature = "async")]
    pub fuel_async_yield_interval: Option<u64>,
    /// How many sessions may live at once on one engine; the size of a pool.
    pub sessions: u32,
    /// Whether guest memory is written by no thread but those that call: `execute`, `call`, or what takes `store_mut`. Then
    /// `adaptive/hot-cold` asks for the faults of that thread instead of those of the whole process, and other threads that
    /// fault cost it nothing. The [condition](crate::condition::OTHER_THREADS) is the host's to keep.
    pub writes_on_calling_thread: bool,
    /// For pools that keep memory resident: how many bytes of each slot.
    pub keep_resident: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            configure: &|_| (),
            entry: Some("_start"),
            // Without end, and yet the current epoch can be added to it.
            deadline: u64::MAX / 2,
            fuel: u64::MAX,
            #[cfg(feature = "async")]
            fuel_async_yield_interval: None,
            sessions: 1,
            writes_on_calling_thread: false,
            keep_resident: 64 << 20,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entry, deadline, fuel, sessions, writes_on_calling_thread, keep_resident, .. } = self;
        let mut shown = f.debug_struct("Options");
        shown.field("entry", entry).field("deadline", deadline).field("fuel", fuel);
        #[cfg(feature = "async")]
        shown.field("fuel_async_yield_interval", &self.fuel_async_yield_interval);
        shown.field("sessions", sessions).field("writes_on_calling_thread", writes_on_calling_thread);
        shown.field("keep_resident", keep_resident).finish_non_exhaustive()
    }
}
