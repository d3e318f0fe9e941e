//! The folder of one `cargo bench`.
//!
//! Cargo starts a process for each bench, one after the other, and tells them nothing of each other. What they have in common
//! is cargo itself: a folder holds the name of the process that it was begun under, and the benches of the same process
//! go on in it. A bench that has no cargo above it, or that finds another one writing, begins a folder of its own.
//!
//! Sources: proc_pid_stat(5) for the parent, the name and the start time of a process, by which a number that is used again
//! is told apart; random(4) for the boot that both count from; flock(2).

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};
use procfs::process::Process;

use crate::files;
use crate::launch::folder;

/// The file that says whose folder it is; locked for as long as a bench writes.
const MARK: &str = ".cargo-bench";

/// Where folders are kept under the names that criterion's baselines have.
const BASELINES: &str = "baselines";

/// A process of this machine, as no other is called before or after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Starter(String);

impl Starter {
    /// The cargo that started this process, if one did and the system shows it.
    pub fn find() -> Option<Self> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let mut stat = Process::myself().ok()?.stat().ok()?;
        // A runner, a shell or a script may stand between.
        while stat.ppid > 0 {
            stat = Process::new(stat.ppid).ok()?.stat().ok()?;
            // `cargo`, `cargo-criterion`, and what wrappers make of them.
            if stat.comm.contains("cargo") {
                return Some(Self(format!("{} {} {}", boot.trim(), stat.pid, stat.starttime)));
            }
        }
        None
    }

    /// A starter of that name, for tests.
    pub fn named(name: &str) -> Self {
        Self(name.into())
    }
}

/// A folder that this process may write into, alone, for as long as it lives.
#[derive(Debug)]
pub struct Sitting {
    pub folder: PathBuf,
    lock: File,
}

impl Drop for Sitting {
    fn drop(&mut self) {
        // Closing alone would not do while a process that was forked elsewhere has yet to become another program.
        let _unlocked = self.lock.unlock();
    }
}

impl Sitting {
    /// The folder below `parent` that another bench of the same cargo has begun, or one named by the time.
    ///
    /// # Errors
    /// When folders cannot be read or made.
    pub fn open(parent: &Path, starter: Option<&Starter>) -> Result<Self> {
        let known = starter.map(|starter| known(parent, starter)).transpose()?.flatten();
        if let Some(known) = known {
            return Ok(known);
        }
        let folder = folder::fresh(&parent.join(folder::by_time()))?;
        let path = folder.join(MARK);
        let mark = || {
            let mut mark = File::create_new(&path)?;
            mark.lock()?;
            mark.write_all(starter.map_or("", |starter| &starter.0).as_bytes())?;
            Ok::<_, std::io::Error>(mark)
        };
        let lock = mark().with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { folder, lock })
    }

    /// Has the name of a baseline stand for this folder from now on.
    ///
    /// # Errors
    /// When the name is none for a file, or something else has it.
    pub fn keep_as(&self, parent: &Path, name: &str) -> Result<PathBuf> {
        let link = baseline(parent, name)?;
        let cannot = || format!("cannot keep {} as {}", self.folder.display(), link.display());
        if link.symlink_metadata().is_ok_and(|known| !known.is_symlink()) {
            bail!("{}: that is no link of ours; move it away", cannot());
        }
        files::make_folder(&parent.join(BASELINES))?;
        let target = Path::new("..").join(self.folder.file_name().unwrap_or_default());
        let new = link.with_file_name(format!(".{name}.new"));
        let replaced = || {
            match fs::remove_file(&new) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => symlink(&target, &new)?,
            }
            fs::rename(&new, &link)
        };
        replaced().with_context(cannot)?;
        Ok(link)
    }
}

/// Where the folder of a baseline is to be found.
///
/// # Errors
/// When the name is none for a file.
pub fn baseline(parent: &Path, name: &str) -> Result<PathBuf> {
    let mut parts = Path::new(name).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(only)), None) if only == name => Ok(parent.join(BASELINES).join(name)),
        _ => bail!("`{name}` cannot be the name of a folder: give the baseline another"),
    }
}

fn known(parent: &Path, starter: &Starter) -> Result<Option<Sitting>> {
    let entries = match fs::read_dir(parent) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        entries => entries.with_context(|| format!("cannot read {}", parent.display()))?,
    };
    for entry in entries {
        let folder = entry.with_context(|| format!("cannot read {}", parent.display()))?.path();
        // Whatever else lies there is not ours.
        let Ok(mark) = File::open(folder.join(MARK)) else { continue };
        let Ok(name) = fs::read_to_string(folder.join(MARK)) else { continue };
        if name == starter.0 {
            match mark.try_lock() {
                Ok(()) => return Ok(Some(Sitting { folder, lock: mark })),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("cannot lock {}", folder.display()));
                }
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn benches_of_one_cargo_share_a_folder_and_others_do_not() {
        let parent = tempfile::tempdir().unwrap();
        let open = |starter: Option<&str>| {
            Sitting::open(parent.path(), starter.map(Starter::named).as_ref()).unwrap().folder.clone()
        };
        let first = open(Some("one"));
        assert_eq!(open(Some("one")), first);
        let other = open(Some("two"));
        assert_ne!(other, first);
        assert_eq!([open(Some("one")), open(Some("two"))], [first, other]);
        assert_ne!(open(None), open(None));
    }

    #[test]
    fn who_comes_while_another_writes_has_a_folder_of_its_own() {
        let parent = tempfile::tempdir().unwrap();
        let starter = Starter::named("one");
        let first = Sitting::open(parent.path(), Some(&starter)).unwrap();
        let second = Sitting::open(parent.path(), Some(&starter)).unwrap();
        assert_ne!(first.folder, second.folder);
        let folder = first.folder.clone();
        drop((first, second));
        let again = Sitting::open(parent.path(), Some(&starter)).unwrap().folder.clone();
        assert!(again.exists() && again.parent() == folder.parent());
    }

    #[test]
    fn a_baseline_is_the_folder_that_was_kept_last() {
        let parent = tempfile::tempdir().unwrap();
        let parent = parent.path();
        let [first, second] = [(); 2].map(|()| Sitting::open(parent, None).unwrap());
        let found = || baseline(parent, "main").unwrap().canonicalize().unwrap();
        for sitting in [first, second] {
            sitting.keep_as(parent, "main").unwrap();
            assert_eq!(found(), sitting.folder.canonicalize().unwrap());
            for name in ["", "..", "a/b", "/", "main/"] {
                let error = sitting.keep_as(parent, name).unwrap_err().to_string();
                assert!(error.contains("give the baseline another"), "{name}: {error}");
            }
        }
        let taken = baseline(parent, "taken").unwrap();
        fs::create_dir(&taken).unwrap();
        let error = Sitting::open(parent, None).unwrap().keep_as(parent, "taken").unwrap_err().to_string();
        assert!(error.contains("taken: that is no link of ours"), "{error}");
    }
}
