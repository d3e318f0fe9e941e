//! `determinism.json`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Cell, SCHEMA, word};
use crate::launch::record::{command_line, wasmtime_version};
use crate::machine::Machine;

/// `determinism.json`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    pub schema: u32,
    pub command: String,
    pub machine: String,
    pub wasmtime: String,
    pub overcommit: String,
    pub interrupted: bool,
    pub cells: Vec<Cell>,
}

impl Report {
    /// The cells, with what the machine was.
    pub fn new(cells: Vec<Cell>, interrupted: bool) -> Self {
        let machine = Machine::read();
        Self {
            schema: SCHEMA,
            command: command_line(),
            machine: machine.sentence(),
            wasmtime: wasmtime_version().into(),
            overcommit: machine.memory.overcommit.map(word).unwrap_or_else(|| "unknown".into()),
            interrupted,
            cells,
        }
    }
}
