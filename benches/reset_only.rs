//! The reset alone. Beware: a lazy reset leaves its cost to the next block's page faults, which only the cycle shows.

mod common;

use anyhow::Result;

fn main() -> Result<()> {
    common::main("reset_only", None, |setup| {
        for workload in setup.workloads()? {
            setup.cells("reset", &workload, |timed| timed.reset.iter().sum())?;
        }
        Ok(())
    })
}
