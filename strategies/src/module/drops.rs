//! Dropped segments as state that can be brought back.
//!
//! No engine can undo `data.drop` or `elem.drop`. But a dropped segment behaves as an empty one does, and that is how
//! it is rewritten: each passive segment that is dropped anywhere gets a global that says whether it was, and an empty
//! segment beside it.
//!
//! ```wat
//! (data.drop $s)        ;; becomes
//! (global.set $dropped (i32.const 1))
//!
//! (memory.init $s)      ;; destination, source and length on the stack; becomes
//! (if (param i32 i32 i32) (global.get $dropped)
//!   (then (memory.init $empty))
//!   (else (memory.init $s)))
//! ```
//!
//! The operands are evaluated once and in the same order, and the engine itself decides on traps. `elem.drop` and
//! `table.init` are treated alike. Active and declarative segments are dropped by instantiation and stay so.

use std::borrow::Cow;
use std::collections::HashMap;

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection, Elements, Encode,
    GlobalSection, GlobalType, Instruction, SectionId, TypeSection, ValType,
};
use wasmparser::{BinaryReader, CodeSectionReader, FunctionBody, Operator};

use super::Facts;
use super::facts::{SegmentKind, TrackedDrop};
use super::sections::Sections;
use crate::error::Error;

/// Rewrites the drops of passive segments in a valid module.
pub(super) fn track(sections: &mut Sections<'_>, facts: &Facts) -> Result<(), Error> {
    let drops = facts.tracked_drops().map(|drop| ((drop.kind, drop.segment), drop)).collect();
    let rewriter = Rewriter { facts, drops };
    let code = sections.get(SectionId::Code).ok_or_else(|| Error::rewrite("the module has no code"))?;
    let code = rewriter.code(code)?;
    sections.replace(&code);

    let mut types = TypeSection::new();
    for address in [ValType::I32, ValType::I64] {
        types.ty().function([address, ValType::I32, ValType::I32], []);
    }
    sections.append(&types)?;

    let mut flags = GlobalSection::new();
    let mut data = DataSection::new();
    let mut elements = ElementSection::new();
    for drop in facts.tracked_drops() {
        let ty = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
        flags.global(ty, &ConstExpr::i32_const(0));
        match drop.kind {
            SegmentKind::Data => {
                data.passive([]);
            }
            SegmentKind::Element => {
                let nothing = match facts.elements[drop.segment as usize].element {
                    None => Elements::Functions(Cow::Borrowed(&[])),
                    Some(ty) => {
                        let ty = RoundtripReencoder.ref_type(ty).map_err(Error::rewrite)?;
                        Elements::Expressions(ty, Cow::Borrowed(&[]))
                    }
                };
                elements.passive(nothing);
            }
        }
    }
    sections.append(&flags)?;
    sections.append(&elements)?;
    if sections.get(SectionId::DataCount).is_some() {
        sections.append(&DataCountSection { count: data.len() })?;
    }
    sections.append(&data)
}

struct Rewriter<'a> {
    facts: &'a Facts,
    drops: HashMap<(SegmentKind, u32), TrackedDrop>,
}

impl Rewriter<'_> {
    fn code(&self, section: &[u8]) -> Result<CodeSection, Error> {
        let mut code = CodeSection::new();
        for body in CodeSectionReader::new(BinaryReader::new(section, 0))? {
            code.raw(&self.body(section, &body?)?);
        }
        Ok(code)
    }

    /// Copies a body byte for byte, but for the instructions to replace.
    fn body(&self, section: &[u8], body: &FunctionBody<'_>) -> Result<Vec<u8>, Error> {
        let mut rewritten = Vec::new();
        let mut copied = body.range().start;
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            let start = operators.original_position();
            if let Some(replacement) = self.replacement(&operators.read()?) {
                rewritten.extend(&section[copied..start]);
                rewritten.extend(replacement);
                copied = operators.original_position();
            }
        }
        rewritten.extend(&section[copied..body.range().end]);
        Ok(rewritten)
    }

    fn replacement(&self, operator: &Operator<'_>) -> Option<Vec<u8>> {
        match *operator {
            Operator::DataDrop { data_index } => {
                let drop = self.find(SegmentKind::Data, data_index)?;
                Some(encoded([Instruction::I32Const(1), Instruction::GlobalSet(drop.flag)]))
            }
            Operator::ElemDrop { elem_index } => {
                let drop = self.find(SegmentKind::Element, elem_index)?;
                Some(encoded([Instruction::I32Const(1), Instruction::GlobalSet(drop.flag)]))
            }
            Operator::MemoryInit { data_index, mem } => {
                let drop = self.find(SegmentKind::Data, data_index)?;
                let wide = self.facts.memories[mem as usize].memory64;
                Some(self.choose(drop, wide, |data_index| Instruction::MemoryInit { mem, data_index }))
            }
            Operator::TableInit { elem_index, table } => {
                let drop = self.find(SegmentKind::Element, elem_index)?;
                let wide = self.facts.tables[table as usize].table64;
                Some(self.choose(drop, wide, |elem_index| Instruction::TableInit { elem_index, table }))
            }
            _ => None,
        }
    }

    fn find(&self, kind: SegmentKind, segment: u32) -> Option<&TrackedDrop> {
        self.drops.get(&(kind, segment))
    }

    /// Takes from the segment, or from the empty one once it was dropped; `wide` destinations have 64 bits.
    fn choose(&self, drop: &TrackedDrop, wide: bool, take: impl Fn(u32) -> Instruction<'static>) -> Vec<u8> {
        let operands = BlockType::FunctionType(self.facts.types + u32::from(wide));
        encoded([
            Instruction::GlobalGet(drop.flag),
            Instruction::If(operands),
            take(drop.empty),
            Instruction::Else,
            take(drop.segment),
            Instruction::End,
        ])
    }
}

fn encoded<const N: usize>(instructions: [Instruction<'_>; N]) -> Vec<u8> {
    let mut code = Vec::new();
    for instruction in instructions {
        instruction.encode(&mut code);
    }
    code
}
