//! Where results go.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The folder that is asked for, or one named by the time.
pub fn wanted(asked: Option<&Path>) -> PathBuf {
    let default = || {
        let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
        Path::new("resetbench-results").join(now.replace(':', "").trim_end_matches('Z'))
    };
    asked.map_or_else(default, Path::to_path_buf)
}

/// Makes a folder that did not exist: the one asked for, or that name with the next free number.
///
/// # Errors
/// When it cannot be made.
pub fn fresh(wanted: &Path) -> Result<PathBuf> {
    if let Some(parent) = wanted.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
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
                return Err(error).with_context(|| {
                    format!("cannot make {}: choose another folder with --out", folder.display())
                });
            }
        }
    }
    unreachable!("there is always a next number")
}
