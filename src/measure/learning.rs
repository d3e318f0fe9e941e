//! What can be read of a strategy that changes itself, to see whether it still does.

use serde::{Deserialize, Serialize};

/// What can be read of a strategy that changes itself, after a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learning {
    /// Huge pages that were made in this step.
    pub huge_pages: u64,
    /// Regions that were treated in this step, per block.
    pub regions: u64,
    /// Pages that are restored in every reset.
    pub hot: u64,
    /// Pages that are found by their faults.
    pub cold: u64,
    /// Resident memory of the process, in bytes.
    pub resident: u64,
}

impl Learning {
    /// Lays what two sessions of one process have learnt together.
    pub fn add(&mut self, other: Self) {
        self.huge_pages += other.huge_pages;
        self.regions += other.regions;
        self.hot += other.hot;
        self.cold += other.cold;
        self.resident = self.resident.max(other.resident);
    }

    /// What moves up and down: regions, hot and cold pages, resident memory.
    pub fn levels(&self) -> [u64; 4] {
        [self.regions, self.hot, self.cold, self.resident]
    }
}
