//! The cycle of each strategy, execute and reset together, on the bundled workloads.

mod common;

use anyhow::Result;

fn main() -> Result<()> {
    common::main("per_block", None, |setup| {
        for workload in setup.workloads()? {
            setup.cells("cycle", &workload, |timed| timed.execute.iter().chain(&timed.reset).sum())?;
        }
        Ok(())
    })
}
