//! The pages that the bundled indexers write, block by block, as hot-cold's simulation takes them.
//!
//! The bundled block is cut into blocks of fewer payments, of which no two are alike: a few bytes of another length move all
//! that the guest allocates after them. `RESETBENCH_RENEW=1` writes the file anew.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use bitcoin::consensus::{deserialize, serialize};
use resetbench::hosts::Calls;
use resetbench::workload::blocks::Block;
use resetbench::workload::host::{BlockState, Outcome, Shared};
use resetbench::workload::{Workload, blocks, bundled};
use wasmtime::{Engine, Linker, Module, Store};

use crate::documents::kept;

/// Where the simulation reads them.
const FILE: &str = "strategies/src/track/hot_cold/recorded.txt";

const WORKLOADS: [&str; 3] = ["indexer/blocktracker", "indexer/utxo", "indexer/lru"];

/// Bytes of a page in the file, whatever this machine's are.
const PAGE: usize = 4096;

/// Payments of the blocks, in turn: small ones, and now and then a large one.
const PAYMENTS: [usize; 8] = [40, 60, 50, 90, 40, 200, 50, 70];

/// Blocks that have the payments of one block among them, and all its coinbase.
fn cut(block: &Block) -> Vec<Block> {
    let whole: bitcoin::Block = deserialize(&block.bytes).expect("a block");
    let [coinbase, payments @ ..] = &whole.txdata[..] else { panic!("a block without a transaction") };
    let mut rest = payments;
    let mut cut = Vec::new();
    for (height, &wanted) in (block.height..).zip(PAYMENTS.iter().cycle()) {
        let Some((part, others)) = rest.split_at_checked(wanted) else { break };
        rest = others;
        let txdata = [std::slice::from_ref(coinbase), part].concat();
        let bytes = Arc::from(serialize(&bitcoin::Block { header: whole.header, txdata }));
        cut.push(Block { height, bytes });
    }
    cut
}

/// The numbers of the pages that a block leaves different from those of a fresh instance, which are zero beyond its end.
fn written(engine: &Engine, module: &Module, workload: &Workload, input: Arc<[u8]>) -> Vec<usize> {
    let mut linker = Linker::new(engine);
    workload.abi.link(&mut linker, module, Calls::Blocking).unwrap();
    let stored = workload.store.iter().map(|(key, value)| (key.as_bytes().into(), value.as_bytes().into()));
    let mut state = BlockState::new(Shared::new(stored.collect()));
    state.begin(input);
    let mut store = Store::new(engine, state);
    let instance = linker.instantiate(&mut store, module).unwrap();
    let memory = instance.get_memory(&mut store, "memory").expect("the guest's memory");
    let fresh = memory.data(&store).to_vec();
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start").unwrap();
    let result = start.call(&mut store, ());
    assert_eq!(store.data_mut().outcome(result), Outcome::Completed, "{}", workload.name);
    let pages = memory.data(&store).chunks(PAGE).enumerate();
    let differs = |(index, page): (usize, &[u8])| match fresh.get(index * PAGE..(index + 1) * PAGE) {
        Some(fresh) => page != fresh,
        None => page.iter().any(|byte| *byte != 0),
    };
    pages.filter(|page| differs(*page)).map(|(index, _)| index).collect()
}

/// Ascending numbers as runs: `3 5-9`.
fn runs(pages: &[usize]) -> String {
    let mut text = String::new();
    for run in pages.chunk_by(|page, next| page + 1 == *next) {
        let space = if text.is_empty() { "" } else { " " };
        match run {
            [only] => write!(text, "{space}{only}"),
            _ => write!(text, "{space}{}-{}", run[0], run[run.len() - 1]),
        }
        .expect("a string takes all");
    }
    text
}

#[test]
fn the_simulation_has_the_pages_that_the_bundled_indexers_write() {
    let engine = Engine::default();
    // As little as `indexer/lru` takes, so that the simulation is over soon.
    let params = [("limit_mebibytes".to_owned(), 8.into())].into();
    let mut expected = format!(
        "# The pages of 4 KiB that each block writes, one block in a line: recorded by {}.\n",
        file!()
    );
    for name in WORKLOADS {
        let workload = bundled::named(name, &params).unwrap();
        let module = Module::new(&engine, &workload.module).unwrap();
        writeln!(expected, "{name}").unwrap();
        for block in blocks::mainnet().iter().flat_map(cut) {
            writeln!(
                expected,
                "{}",
                runs(&written(&engine, &module, &workload, workload.abi.input(&block).into()))
            )
            .unwrap();
        }
    }
    kept(&Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE), &expected);
}

#[test]
fn neighbours_make_a_run() {
    assert_eq!(runs(&[3, 5, 6, 7, 9]), "3 5-7 9");
    assert_eq!(runs(&[]), "");
}
