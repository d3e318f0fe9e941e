//! The cycle of each strategy, execute and reset together, on the bundled workloads.

mod common;

use anyhow::Result;

fn main() -> Result<()> {
    let mut setup = common::Setup::new("per_block")?;
    for workload in setup.workloads()? {
        setup.cells("cycle", &workload, |timed| timed.execute.iter().chain(&timed.reset).sum())?;
    }
    setup.close()
}
