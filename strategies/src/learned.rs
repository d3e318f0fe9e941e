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
    /// Restoring a page, by [where](crate::sys::zero::Place) the pages are that are restored in each reset.
    pub restore_ns: [f64; 4],
    /// Write-protecting a page along with many, and the fault of the next write.
    pub fault_ns: f64,
    /// What write-protecting a page costs besides where none of its neighbours is to be protected: the system call.
    pub alone_ns: f64,
    /// Passing over a page in a scan.
    pub walk_ns: f64,
}
