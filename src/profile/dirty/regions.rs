//! What a module says of its memory: where its stack, its data and its heap are.
//!
//! A linker that says so exports `__stack_pointer`, `__data_end` and `__heap_base`. Most modules export none of them, but
//! their data segments say where data are, and LLD makes the stack pointer global 0 and puts the stack below the data
//! (`--stack-first`, its default by now) or right above it. Where that does not fit either, a memory has no parts.

use anyhow::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wasmparser::{ConstExpr, DataKind, ExternalKind, Operator, Parser, Payload, TypeRef, ValType};

/// A part of a memory.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
pub struct Region {
    /// `stack`, `data`, `heap`, `grown`, or `memory` where the module does not tell; behind `memory N: ` where it has several.
    pub name: String,
    /// Its first page, with the memories laid one behind the other.
    pub first: u64,
    /// The page behind its last one.
    pub end: u64,
}

/// What a module says of the layout of its first memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Where the stack begins, which grows down.
    stack: Option<u64>,
    /// From the first byte of data to behind the last.
    data: Option<(u64, u64)>,
    heap: Option<u64>,
}

impl Layout {
    /// Reads a module.
    ///
    /// # Errors
    /// When the bytes are no module.
    pub fn of(wasm: &[u8]) -> Result<Self> {
        let mut layout = Self::default();
        let (mut globals, mut exported) = (Vec::new(), Vec::new());
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        if let TypeRef::Global(_) = import?.ty {
                            globals.push((false, None));
                        }
                    }
                }
                Payload::GlobalSection(section) => {
                    for global in section {
                        let global = global?;
                        let pointer = global.ty.mutable && global.ty.content_type == ValType::I32;
                        globals.push((pointer, constant(&global.init_expr)));
                    }
                }
                Payload::ExportSection(exports) => {
                    for export in exports {
                        let export = export?;
                        if export.kind == ExternalKind::Global {
                            exported.push((export.name.to_owned(), export.index as usize));
                        }
                    }
                }
                Payload::DataSection(segments) => {
                    for segment in segments {
                        let segment = segment?;
                        let DataKind::Active { memory_index: 0, offset_expr } = &segment.kind else {
                            continue;
                        };
                        let Some(start) = constant(offset_expr) else { continue };
                        let end = start + segment.data.len() as u64;
                        let (from, to) = layout.data.unwrap_or((start, end));
                        layout.data = Some((from.min(start), to.max(end)));
                    }
                }
                _ => {}
            }
        }
        let named = |name: &str| {
            let (_, index) = exported.iter().find(|(known, _)| known == name)?;
            globals.get(*index)?.1
        };
        let first = globals.first().and_then(|(is_pointer, value)| value.filter(|_| *is_pointer));
        // A stack is aligned to 16 bytes, and it is not empty.
        layout.stack = named("__stack_pointer").or(first.filter(|at| *at > 0 && at.is_multiple_of(16)));
        layout.heap = named("__heap_base");
        if let (Some((start, _)), Some(end)) = (layout.data, named("__data_end")) {
            layout.data = Some((start, end.max(start)));
        }
        Ok(layout)
    }

    /// The parts of a memory of so many bytes to begin with, from each its first byte.
    fn parts(&self, size: u64) -> Vec<(&'static str, u64)> {
        let stack = self.stack.filter(|at| *at <= size);
        let data = self.data.filter(|(_, end)| *end <= size);
        let mut parts = match (stack, data) {
            (Some(stack), Some((start, end))) if stack <= start => {
                vec![("stack", 0), ("data", stack), ("heap", self.heap.unwrap_or(end))]
            }
            (Some(stack), Some((start, end))) if end <= stack => {
                vec![("data", start), ("stack", end), ("heap", self.heap.unwrap_or(stack))]
            }
            (Some(stack), None) => vec![("stack", 0), ("heap", self.heap.unwrap_or(stack))],
            (None, Some((start, end))) if self.heap.is_some() => {
                vec![("data", start), ("heap", self.heap.unwrap_or(end))]
            }
            _ => vec![("memory", 0)],
        };
        parts.retain(|(_, at)| *at <= size);
        parts
    }

    /// The regions of memories that lie one behind the other, each of them with its sizes in bytes, to begin with and at most.
    pub fn regions(&self, memories: &[(u64, u64)], page_bytes: u64) -> Vec<Region> {
        let mut regions = Vec::new();
        let mut base = 0;
        for (index, &(size, most)) in memories.iter().enumerate() {
            let mut parts = if index == 0 { self.parts(size) } else { vec![("memory", 0)] };
            if most > size {
                parts.push(("grown", size));
            }
            let ends = parts.iter().skip(1).map(|(_, at)| *at).chain([most]).collect::<Vec<_>>();
            let mut first = base + parts[0].1 / page_bytes;
            for ((name, _), to) in parts.iter().zip(ends) {
                // A page on the border belongs to what comes first.
                let end = base + to.div_ceil(page_bytes);
                let name = match memories.len() {
                    1 => (*name).to_owned(),
                    _ if *name == "memory" => format!("memory {index}"),
                    _ => format!("memory {index}: {name}"),
                };
                if first < end {
                    regions.push(Region { name, first, end });
                    first = end;
                }
            }
            base += most.div_ceil(page_bytes);
        }
        regions
    }
}

/// The value of a constant expression that is a single number.
fn constant(expression: &ConstExpr<'_>) -> Option<u64> {
    match expression.get_operators_reader().read().ok()? {
        Operator::I32Const { value } => Some(u64::from(value.cast_unsigned())),
        Operator::I64Const { value } => Some(value.cast_unsigned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u64 = 4096;

    fn regions(module: &str, memories: &[(u64, u64)]) -> Vec<(String, u64, u64)> {
        let layout = Layout::of(&wat::parse_str(module).unwrap()).unwrap();
        let regions = layout.regions(memories, PAGE).into_iter();
        regions.map(|region| (region.name, region.first, region.end)).collect()
    }

    fn named<const N: usize>(regions: [(&str, u64, u64); N]) -> Vec<(String, u64, u64)> {
        regions.map(|(name, first, end)| (name.to_owned(), first, end)).into()
    }

    #[test]
    fn what_the_linker_exports_is_believed() {
        let module = r#"(module (memory 2)
            (global $other i32 (i32.const 5)) (global $sp (mut i32) (i32.const 32768))
            (global $end i32 (i32.const 40000)) (global $heap i32 (i32.const 40960))
            (export "__stack_pointer" (global $sp)) (export "__data_end" (global $end))
            (export "__heap_base" (global $heap)) (data (i32.const 32768) "x"))"#;
        let expected = [("stack", 0, 8), ("data", 8, 10), ("heap", 10, 32), ("grown", 32, 48)];
        assert_eq!(regions(module, &[(131_072, 196_608)]), named(expected));
    }

    #[test]
    fn without_names_segments_and_the_first_global_tell() {
        let below = r#"(module (memory 2) (global (mut i32) (i32.const 8192))
            (data (i32.const 8192) "x") (data (i32.const 20480) "y"))"#;
        assert_eq!(
            regions(below, &[(131_072, 131_072)]),
            named([("stack", 0, 2), ("data", 2, 6), ("heap", 6, 32)])
        );
        let above = r#"(module (memory 2) (global (mut i32) (i32.const 65536)) (data (i32.const 1024) "x"))"#;
        assert_eq!(
            regions(above, &[(131_072, 131_072)]),
            named([("data", 0, 1), ("stack", 1, 16), ("heap", 16, 32)])
        );
    }

    #[test]
    fn a_module_that_does_not_tell_has_no_parts() {
        for module in [
            "(module (memory 1))",
            r#"(module (memory 1) (data (i32.const 0) "x"))"#,
            // No pointer to a stack: it is constant, beyond the memory, or of another type.
            "(module (memory 1) (global i32 (i32.const 4096)))",
            "(module (memory 1) (global (mut i32) (i32.const 1048576)))",
            "(module (memory 1) (global (mut i64) (i64.const 4096)))",
        ] {
            assert_eq!(regions(module, &[(65_536, 65_536)]), named([("memory", 0, 16)]), "{module}");
        }
    }

    #[test]
    fn memories_lie_one_behind_the_other() {
        let module = "(module (memory 1) (memory 1))";
        let expected = [("memory 0", 0, 16), ("memory 0: grown", 16, 32), ("memory 1", 32, 48)];
        assert_eq!(regions(module, &[(65_536, 131_072), (65_536, 65_536)]), named(expected));
        assert_eq!(regions("(module)", &[]), []);
    }
}
