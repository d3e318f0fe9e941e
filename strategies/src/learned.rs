//! What a strategy that learns has learnt.

/// What the decisions rest on, and where they stand: with the blocks, enough to know why each page is where it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Learned {
    /// What the machine was measured to cost.
    pub costs: Costs,
    /// Resets between two writes of a page up to which it is worth restoring in each of them.
    pub patience: u32,
    /// Pages that are restored in every reset.
    pub hot: usize,
    /// Pages that have been written and are found by their faults.
    pub cold: usize,
}

/// Unit costs, in nanoseconds per page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// Restoring a page of so few that all stay in a core's own caches: of 512 KiB.
    pub restore_ns: f64,
    /// Restoring a page of so many that they do not: of 8 MiB.
    pub restore_far_ns: f64,
    /// Write-protecting a page along with many, and the fault of the next write.
    pub fault_ns: f64,
    /// What write-protecting a page costs besides where none of its neighbours is to be protected: the system call.
    pub alone_ns: f64,
    /// Passing over a page in a scan.
    pub walk_ns: f64,
}
