//! Whether any thread of the process has taken a fault since the last reset.

use std::io;

use crate::sys::faults;

/// The count of the process at the end of the last reset.
#[derive(Debug, Default)]
pub(super) struct FaultCount {
    /// Absent where it is not known: a reset has to scan.
    stood: Option<u64>,
}

impl FaultCount {
    /// Begins a reset: whether there was a fault, as far as is known without asking or by the count of the process. It is
    /// unknown then, until the reset has taken its own faults.
    pub(super) fn has_moved(&mut self, known: Option<bool>) -> io::Result<bool> {
        match (known, self.stood) {
            (Some(false), _) => return Ok(false),
            (None, Some(count)) if faults::count()? == count => return Ok(false),
            _ => {}
        }
        self.stood = None;
        Ok(true)
    }

    /// Forgets the count.
    pub(super) fn forget(&mut self) {
        self.stood = None;
    }

    /// Ends a reset. Where the count stood, the reset has only written to pages that take no fault.
    pub(super) fn take(&mut self, known: Option<bool>) -> io::Result<()> {
        if self.stood.is_some() || known.is_some() || faults::COUNT.available().is_err() {
            return Ok(());
        }
        self.stood = Some(faults::count()?);
        Ok(())
    }
}
