//! The cycle over the number of dirty pages: the first curve of `resetbench run --suite landscape`.

mod common;

use anyhow::Result;

fn main() -> Result<()> {
    // A landscape is drawn otherwise than the workloads beside it, and so lies in a folder within theirs.
    common::main("landscape", Some("landscape"), |setup| {
        let dirty: &[u64] = if setup.is_quick() { &[0, 256] } else { &[0, 1, 16, 256, 2048] };
        for &dirty in dirty {
            let workload = setup.workload("stress/touch", &[("dirty", dirty)])?;
            let group = format!("{dirty} dirty pages");
            setup.cells(&group, &workload, |timed| timed.execute.iter().chain(&timed.reset).sum())?;
        }
        Ok(())
    })
}
