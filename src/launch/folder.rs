//! Where results go.

use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// The folder that is asked for, or one named by the time: also where what is asked for has no name of its own, such as
/// `.` or `/`, and is a folder to write into.
pub fn wanted(asked: Option<&Path>) -> PathBuf {
    let named = by_time();
    match asked {
        None => Path::new("resetbench-results").join(named),
        // Without a slash at its end, behind which a number would be a folder in it.
        Some(asked) => match asked.components().next_back() {
            Some(Component::Normal(_)) => asked.components().collect(),
            _ => asked.join(named),
        },
    }
}

/// A name that says when it was made.
pub fn by_time() -> String {
    let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
    now.replace(':', "").trim_end_matches('Z').to_owned()
}

/// Makes a folder that did not exist: the one asked for, or that name with the next free number.
///
/// # Errors
/// When it cannot be made.
pub fn fresh(wanted: &Path) -> Result<PathBuf> {
    if let Some(parent) = wanted.parent() {
        fs::create_dir_all(parent).with_context(|| cannot_make(parent))?;
    }
    for number in 1.. {
        let folder = if number == 1 {
            wanted.to_path_buf()
        } else {
            let mut name = wanted.as_os_str().to_owned();
            name.push(format!("-{number}"));
            name.into()
        };
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).with_context(|| cannot_make(&folder));
            }
        }
    }
    unreachable!("there is always a next number")
}

fn cannot_make(folder: &Path) -> String {
    format!("cannot make the folder {}: choose another with --out", folder.display())
}

/// A folder for what children read, which goes when it is dropped.
///
/// # Errors
/// When there is no room for one, or no folder for such files.
pub fn staging() -> Result<TempDir> {
    let place = std::env::temp_dir();
    tempfile::tempdir().with_context(|| {
        format!("cannot make a folder in {}: set TMPDIR to one that can be written to", place.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_use_gets_a_number_beside_it() {
        let parent = tempfile::tempdir().unwrap();
        let at = |name: &str| parent.path().join(name);
        for (asked, made) in [("out", "out"), ("out/", "out-2"), ("out/.", "out-3"), ("in/out", "in/out")] {
            assert_eq!(fresh(&wanted(Some(&at(asked)))).unwrap(), at(made));
        }
        let inside = fresh(&wanted(Some(&at("out/..")))).unwrap();
        assert_eq!(inside.parent().unwrap().canonicalize().unwrap(), parent.path().canonicalize().unwrap());
    }
}
