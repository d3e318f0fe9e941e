//! Measuring: rows, clocks of the process, and memory seen from outside.

pub mod faults;
pub mod interrupts;
pub mod latencies;
pub mod learning;
pub mod perf;
pub mod row;
pub mod sampler;
pub mod warm;
pub mod writer;
