//! The prebuilt guests are what their folders say: digest of the file, imports, and what they flush.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use reset_strategies::module::{Facts, Item};
use resetbench::workload::blocks::Trace;
use resetbench::workload::host::{self, BlockState, Outcome, Shared};
use resetbench::workload::{bundled, definition::Definition};
use sha2::{Digest, Sha256};
use wasmtime::{Engine, Linker, Module, Store};

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
    assert_eq!(sums.len(), bundled::all().len(), "a prebuilt module is not bundled");
}

#[test]
fn guests_import_the_abi_and_nothing_else() {
    for (definition, module) in guests() {
        let facts = Facts::read(module).unwrap();
        for import in &facts.imports {
            assert!(
                import.item == Item::Function && import.module == "env" && host::offers(&import.name),
                "{} imports {}.{}",
                definition.name,
                import.module,
                import.name
            );
        }
        for (name, item) in [("_start", Item::Function), ("memory", Item::Memory)] {
            assert_eq!(facts.exported(name).map(|export| export.item), Some(item), "{}", definition.name);
        }
    }
}

#[test]
fn guests_flush_what_their_folder_expects() {
    for (definition, module) in guests() {
        let mut params = definition.params.clone();
        params.extend(definition.expect.params.clone());
        let workload = definition.workload(module, params, Some(&Trace::mainnet())).unwrap();
        let engine = Engine::default();
        let mut linker = Linker::new(&engine);
        let stored =
            workload.store.iter().map(|(key, value)| (key.as_bytes().into(), value.as_bytes().into()));
        let mut state = BlockState::new(Shared::new(stored.collect()));
        state.begin(Arc::from(unhex(&definition.expect.input)));
        state.record();
        let mut store = Store::new(&engine, state);
        let module = Module::new(&engine, &workload.module).unwrap();
        host::link(&mut linker, &module).unwrap();
        let instance = linker.instantiate(&mut store, &module).unwrap();
        let start = instance.get_typed_func::<(), ()>(&mut store, "_start").unwrap();
        let result = start.call(&mut store, ());
        assert_eq!(store.data_mut().outcome(result), Outcome::Completed, "{}", definition.name);
        let flushed = store.data().digest().unwrap();
        assert_eq!(flushed, definition.expect.flush_sha256, "{}", definition.name);
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().map(|digit| digit.to_digit(16).expect("hex") as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
