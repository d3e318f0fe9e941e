//! The prebuilt guests are what their folders say: digest of the file, imports, and what they flush.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use reset_strategies::module::{Facts, Item};
use reset_strategies::{Options, Plan, registry};
use resetbench::hosts::Calls;
use resetbench::workload::blocks::Trace;
use resetbench::workload::host::{self, BlockState, Outcome, Shared, Spoken, Store};
use resetbench::workload::{bundled, definition::Definition};
use sha2::{Digest, Sha256};
use wasmtime::{Linker, Module};

fn guests() -> impl Iterator<Item = (Definition, &'static [u8])> {
    bundled::all().iter().map(|guest| (guest.definition().unwrap(), guest.module()))
}

#[test]
fn prebuilt_modules_have_the_digests_that_were_committed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/prebuilt");
    let sums = fs::read_to_string(folder.join("SHA256SUMS")).unwrap();
    let sums: BTreeMap<_, _> = sums
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(digest, name)| (name.to_owned(), digest.to_owned()))
        .collect();
    for (definition, module) in guests() {
        let digest = host::hex(&Sha256::digest(module));
        assert_eq!(sums.get(&definition.module), Some(&digest), "{}", definition.name);
    }
    let bundled: BTreeSet<_> = guests().map(|(definition, _)| definition.module).collect();
    assert_eq!(sums.len(), bundled.len(), "a prebuilt module is not bundled");
}

#[test]
fn guests_import_their_abi_and_nothing_else() {
    for (definition, module) in guests() {
        let facts = Facts::read(module).unwrap();
        let abi = Spoken::by(module, None).unwrap();
        assert_eq!(abi.name() == "substreams", definition.name == "foreign/substreams", "{abi}");
        for import in &facts.imports {
            assert!(
                import.item == Item::Function && abi.offers(import),
                "{} imports {}.{}",
                definition.name,
                import.module,
                import.name
            );
        }
    }
}

#[test]
fn guests_flush_what_their_folder_expects() {
    for (definition, module) in guests() {
        let mut params = definition.params.clone();
        params.extend(definition.expect.params.clone());
        let workload = definition.workload(module, params, Some(&Trace::mainnet())).unwrap();
        let plan = Plan::new(
            registry::find(registry::BASELINE).unwrap(),
            &workload.module,
            Options { entry: workload.abi.entry(), ..Options::default() },
        );
        let plan = plan.unwrap();
        let engine = plan.engine().unwrap();
        let module = Module::new(&engine, plan.wasm()).unwrap();
        let mut linker = Linker::new(&engine);
        workload.abi.link(&mut linker, &module, Calls::Blocking).unwrap();
        let filled = workload.filled.map(|filled| Store::over(filled.base().unwrap()));
        let mut stored = filled.unwrap_or_default();
        for (key, value) in &workload.store {
            stored.insert(key.as_bytes().into(), value.as_bytes().into());
        }
        let store = Shared::new(stored);
        let mut session = plan.start(&module, &linker, move || BlockState::new(store.clone())).unwrap();
        let mut before = session.store_mut().unwrap();
        before.data_mut().begin(Arc::from(unhex(&definition.expect.input)));
        before.data_mut().record();
        let result = workload.abi.execute(&mut session);
        let mut after = session.store_mut().unwrap();
        let state = after.data_mut();
        assert_eq!(state.outcome(result), Outcome::Completed, "{}", definition.name);
        let flushed = state.digest().unwrap();
        assert_eq!(flushed, definition.expect.flush_sha256, "{}", definition.name);
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().map(|digit| digit.to_digit(16).expect("hex") as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
