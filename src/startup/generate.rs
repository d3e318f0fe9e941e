//! A large module from a seed: as many functions as make three megabytes, none of which is like the other.
//!
//! It stands for an indexer with all its dependencies, of which a block uses a part. Its initialisation fills a table, as
//! indexers fill caches and parse configuration; `_start` does that itself where nobody has.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, ExportKind, ExportSection, Function, FunctionSection, GlobalSection,
    GlobalType, InstructionSink, MemArg, MemorySection, MemoryType, Module, TypeSection, ValType,
};

use super::snapshot::INITIALISE;

/// What seed 004's module is said to weigh, about.
pub const LARGE_BYTES: usize = 3 << 20;

/// Where the table begins, and its bytes.
const TABLE: i32 = 1 << 16;
const TABLE_BYTES: i32 = 1 << 20;
const PAGES: u64 = 32;

/// Statements per function: some hundred bytes of code each, as compilers make them.
const STATEMENTS: std::ops::Range<u32> = 20..120;
const LOCALS: u32 = 8;

/// A module of at least `bytes`, always the same for one seed.
pub fn module(seed: u64, bytes: usize) -> Vec<u8> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut bodies = Vec::new();
    let mut size = 0;
    while bodies.is_empty() || size < bytes {
        let body = body(&mut random, bodies.len() as u32);
        size += body.byte_len();
        bodies.push(body);
    }
    let count = bodies.len() as u32;
    let (initialise, start) = (count, count + 1);

    let mut types = TypeSection::new();
    types.ty().function([ValType::I32; 2], [ValType::I32]);
    types.ty().function([], []);
    let mut functions = FunctionSection::new();
    let mut code = CodeSection::new();
    for body in &bodies {
        functions.function(0);
        code.function(body);
    }
    functions.function(1).function(1);
    code.function(&initialisation()).function(&block(initialise, count));
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: PAGES,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut globals = GlobalSection::new();
    let mutable = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
    globals.global(mutable, &ConstExpr::i32_const(0));
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0).export(INITIALISE, ExportKind::Func, initialise).export(
        "_start",
        ExportKind::Func,
        start,
    );
    let mut module = Module::new();
    module
        .section(&types)
        .section(&functions)
        .section(&memories)
        .section(&globals)
        .section(&exports)
        .section(&code);
    module.finish()
}

const WORD: MemArg = MemArg { offset: 0, align: 2, memory_index: 0 };

/// Arithmetic on locals, loads from the table, branches, and calls that are compiled but never made.
fn body(random: &mut ChaCha8Rng, index: u32) -> Function {
    let mut function = Function::new([(LOCALS - 2, ValType::I32)]);
    let mut code = function.instructions();
    for _ in 0..random.random_range(STATEMENTS) {
        let mut local = || random.random_range(0..LOCALS);
        let (a, b, c) = (local(), local(), local());
        match random.random_range(0..10_u32) {
            0 => {
                code.local_get(a).i32_const(TABLE_BYTES / 4 - 1).i32_and().i32_const(2).i32_shl();
                code.i32_const(TABLE).i32_add().i32_load(WORD).local_set(c);
            }
            1 => {
                code.local_get(a).i32_const(random.random()).i32_lt_u().if_(BlockType::Empty);
                code.local_get(b).i32_const(random.random()).i32_xor().local_set(c).end();
            }
            2 if index > 0 => {
                // Xoring a local with itself is zero, which compilers of one pass do not see through memory.
                code.i32_const(8).i32_load(WORD).if_(BlockType::Empty).local_get(a).local_get(b);
                code.call(random.random_range(0..index)).local_set(c).end();
            }
            3 => {
                code.local_get(a).i64_extend_i32_u().local_get(b).i64_extend_i32_u().i64_mul();
                code.i64_const(random.random_range(1..63)).i64_shr_u().i32_wrap_i64().local_set(c);
            }
            _ => {
                code.local_get(a).i32_const(random.random()).i32_add().local_get(b);
                operation(&mut code, random.random_range(0..7)).local_set(c);
            }
        }
    }
    code.local_get(0).local_get(LOCALS - 1).i32_xor().end();
    function
}

fn operation<'a, 'b>(code: &'a mut InstructionSink<'b>, which: u32) -> &'a mut InstructionSink<'b> {
    match which {
        0 => code.i32_add(),
        1 => code.i32_sub(),
        2 => code.i32_mul(),
        3 => code.i32_xor(),
        4 => code.i32_rotl(),
        5 => code.i32_shr_u(),
        _ => code.i32_or(),
    }
}

/// Fills the table by a generator, a hundred rounds for each word, and notes that it is full.
fn initialisation() -> Function {
    let mut function = Function::new([(3, ValType::I32)]);
    let (at, value, round) = (0, 1, 2);
    let mut code = function.instructions();
    code.i32_const(0x2545_f491).local_set(value).loop_(BlockType::Empty);
    code.i32_const(0).local_set(round).loop_(BlockType::Empty);
    code.local_get(value).i32_const(13).i32_shl().local_get(value).i32_xor().local_set(value);
    code.local_get(value).i32_const(17).i32_shr_u().local_get(value).i32_xor().local_set(value);
    code.local_get(value).i32_const(5).i32_shl().local_get(value).i32_xor().local_set(value);
    code.local_get(round).i32_const(1).i32_add().local_tee(round).i32_const(100).i32_lt_u().br_if(0).end();
    code.local_get(at).i32_const(TABLE).i32_add().local_get(value).i32_store(WORD);
    code.local_get(at).i32_const(4).i32_add().local_tee(at).i32_const(TABLE_BYTES).i32_lt_u().br_if(0).end();
    code.i32_const(1).global_set(0).end();
    function
}

/// A block: initialises where nobody has, calls a few functions and keeps what they make of the table.
fn block(initialise: u32, functions: u32) -> Function {
    let mut function = Function::new([(1, ValType::I32)]);
    let mut code = function.instructions();
    code.global_get(0).i32_eqz().if_(BlockType::Empty).call(initialise).end();
    for step in 0..8 {
        code.local_get(0).i32_const(step).call(functions / 8 * step as u32).local_set(0);
    }
    code.i32_const(16).local_get(0).i32_store(WORD).end();
    function
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_valid_module_each_time() {
        wasmtime::Module::validate(&wasmtime::Engine::default(), &module(1, 0)).unwrap();
        let one = module(1, 20_000);
        assert!((20_000..40_000).contains(&one.len()), "{}", one.len());
        assert_eq!(one, module(1, 20_000));
        assert_ne!(one, module(2, 20_000));
        wasmtime::Module::validate(&wasmtime::Engine::default(), &one).unwrap();
    }
}
