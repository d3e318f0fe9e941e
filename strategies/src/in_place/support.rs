//! What an in-place reset can restore, construct by construct.

use wasmparser::ValType;

use crate::module::Facts;
use crate::strategy::Support;

/// Judges a module for every in-place strategy; they differ in how they restore, not in what.
pub(crate) fn support(facts: &Facts) -> Support {
    match first_obstacle(facts) {
        Some(reason) => Support::Refused { reason },
        None => Support::Supported,
    }
}

fn first_obstacle(facts: &Facts) -> Option<String> {
    for (index, memory) in facts.memories.iter().enumerate() {
        let what = if memory.imported {
            "is imported, so that others may write to it"
        } else if memory.shared {
            "is shared, so that other threads may write during a reset"
        } else if memory.memory64 {
            "has 64-bit addresses, beyond our reservation"
        } else if memory.page_size_log2 != 16 {
            "has a custom page size, which need not fall on OS pages"
        } else {
            continue;
        };
        return Some(format!("memory {index} {what}"));
    }
    for (index, table) in facts.tables.iter().enumerate() {
        let what = if table.imported {
            "is imported, so that others may write to it"
        } else if table.grown {
            "is grown by table.grow, and wasmtime cannot shrink a table"
        } else if table.written && !table.functions {
            "is written and holds references other than functions"
        } else {
            continue;
        };
        return Some(format!("table {index} {what}"));
    }
    for (index, global) in facts.globals.iter().enumerate().filter(|(_, global)| global.mutable) {
        let what = if global.imported {
            "is imported and mutable, so that others may write to it"
        } else if matches!(global.ty, ValType::Ref(_)) {
            "is a mutable reference"
        } else {
            continue;
        };
        return Some(format!("global {index} {what}"));
    }
    if let Some(index) = facts.dropped_data.first() {
        return Some(format!("data segment {index} is dropped by data.drop, which cannot be undone"));
    }
    if let Some(index) = facts.dropped_elements.first() {
        return Some(format!("element segment {index} is dropped by elem.drop, which cannot be undone"));
    }
    if let Some(index) = facts.gc_type {
        return Some(format!("type {index} is garbage-collected, and the heap cannot be reset"));
    }
    facts.start.as_ref().and_then(|start| {
        let import = start.may_call.iter().find(|name| *name != "env.abort")?;
        let function = start.function;
        Some(format!("start function {function} may call {import}, whose answer may differ per block"))
    })
}
