//! From process start to the first block done, of a module that is compiled already.

mod common;

use anyhow::Result;

fn main() -> Result<()> {
    common::main("startup", None, |setup| {
        for workload in setup.workloads()? {
            setup.startups("startup", &workload)?;
        }
        Ok(())
    })
}
