//! Files and JSON, with errors that name the file.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A value as files and terminals have it: indented, with a newline at its end.
///
/// # Errors
/// When the value cannot be JSON.
pub fn json(value: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

/// Writes a value as [`json`] has it.
///
/// # Errors
/// As [`write()`].
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    write(path, json(value)?)
}

/// Writes a file, in place of what was there.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

/// Reads a file.
///
/// # Errors
/// When it cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Reads a file of JSON that says its version under `schema`; `hint` is said where there is none.
///
/// # Errors
/// When it is missing, malformed or of another version.
pub fn read_json<T: DeserializeOwned>(path: &Path, schema: u32, hint: &str) -> Result<T> {
    let shown = path.display();
    let text = fs::read(path).with_context(|| format!("cannot read {shown}{hint}"))?;
    let malformed = || format!("{shown} is malformed");
    let value: Value = serde_json::from_slice(&text).with_context(malformed)?;
    // Looked at first: a file of another version need not have our fields.
    match value.get("schema") {
        Some(other) if *other != schema => {
            bail!("{shown} has schema {other}, and this program reads {schema}")
        }
        _ => serde_json::from_value(value).with_context(malformed),
    }
}

/// Makes a folder and those that it is in, unless they are there.
///
/// # Errors
/// When it cannot be made.
pub fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))
}
