//! The JSON Schemas of a run's files: kept in the repository as the types have them, and true of the committed runs.

use std::path::{Path, PathBuf};

use resetbench::analyse::rows_file;
use resetbench::analyse::summary::Summary;
use resetbench::kernels;
use resetbench::launch::record::Record;
use resetbench::measure::row::Row;
use resetbench::policies::report as policies;
use resetbench::profile::report as profile;
use resetbench::serving::report as serving;
use schemars::{JsonSchema, schema_for};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::common::read;
use crate::documents::kept;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn committed() -> Vec<PathBuf> {
    let entries =
        root().join("results").read_dir().expect("results").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.join("run.json").exists()).collect()
}

fn schema<T: JsonSchema>(name: &str) {
    let text = serde_json::to_string_pretty(&schema_for!(T)).expect("a schema") + "\n";
    kept(&root().join(format!("docs/schemas/{name}.schema.json")), &text);
}

#[test]
fn schemas_are_those_of_the_types() {
    schema::<Record>("run");
    schema::<Summary>("summary");
    schema::<Row>("row");
    schema::<policies::Report>("policies");
    schema::<serving::Report>("serving");
    schema::<profile::Report>("profile");
    schema::<kernels::Cell>("kernel");
}

/// Without members that are null, or have no members but such, which is the same as absent.
fn bare(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, bare(value)))
            .filter(|(_, value)| value.as_object().is_none_or(|members| !members.is_empty()))
            .collect(),
        Value::Array(items) => items.into_iter().map(bare).collect(),
        other => other,
    }
}

/// Whether a value is of the type, and has no member that the type's schema does not speak of.
fn described<T: Serialize + DeserializeOwned>(value: Value, what: &str) {
    let typed: T = serde_json::from_value(value.clone()).unwrap_or_else(|e| panic!("{what}: {e}"));
    let again = serde_json::to_value(&typed).expect("JSON");
    assert!(
        bare(again) == bare(value),
        "{what}: it has members that its schema does not speak of, or lacks some"
    );
}

#[test]
fn committed_boots_are_as_their_schema_says_and_are_all_built_in() {
    let folder = root().join("results/kernels");
    let files = folder.read_dir().expect("results/kernels").map(|entry| entry.expect("an entry").path());
    let files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|ending| ending == "json")).collect();
    for file in &files {
        let cell = read(file);
        let name = cell["boot"]["cell"].as_str().expect("a name").to_owned();
        assert_eq!(file.file_stem().and_then(|stem| stem.to_str()), Some(name.as_str()));
        described::<kernels::Cell>(cell, &file.display().to_string());
    }
    assert_eq!(kernels::all().len(), files.len());
    for cell in kernels::all() {
        let unsound: Vec<_> = cell.unsound().map(|seen| seen.strategy.as_str()).collect();
        eprintln!("{}: {} strategies, unsound: {unsound:?}", cell.boot.cell, cell.strategies.len());
    }
}

#[test]
fn committed_runs_are_as_their_schemas_say() {
    let runs = committed();
    assert!(!runs.is_empty());
    for run in runs {
        let shown = run.display();
        described::<Record>(read(&run.join("run.json")), &format!("{shown}/run.json"));
        described::<Summary>(read(&run.join("summary.json")), &format!("{shown}/summary.json"));
        let rows = rows_file::find(&run).unwrap_or_else(|| panic!("{shown} has no rows"));
        let rows = rows_file::read(&rows).unwrap_or_else(|e| panic!("{e}")).rows;
        assert!(rows.len() > 1_000, "{shown}: {} rows", rows.len());
    }
}
