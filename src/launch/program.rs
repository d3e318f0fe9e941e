//! A program that children are started from: held open from the beginning, so that all of them are the same one.
//!
//! Whoever builds anew in the middle of a run puts another file at the program's path. A file that is held open stays what it
//! was, and `/proc/self/fd/N` leads to it whatever has its path by then (proc(5)); the descriptor itself is closed by the exec.
//! What this cannot hold against is a file that is written to in place, which the kernel forbids only while it runs
//! (execve(2), ETXTBSY): it is noticed before a child is started, and none is.

use std::env;
use std::ffi::{CStr, OsStr};
use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Once};

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

use crate::prose::printable;
use crate::workload::host::hex;

/// The file that is running, whatever has its path now.
const RUNNING: &str = "/proc/self/exe";

/// An executable file, pinned.
#[derive(Clone, Debug)]
pub struct Program {
    /// The path by which it was found, for words.
    shown: String,
    /// What is executed.
    exec: PathBuf,
    /// Whether that is the path, which may lead to another file later.
    by_path: bool,
    /// The file, and what it was when it was opened.
    file: Option<(Arc<File>, Stamp)>,
}

/// What tells a file from another one, and from itself when it has been written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl Program {
    /// This program.
    ///
    /// Without /proc there is only its path, and a warning says so.
    ///
    /// # Errors
    /// When there is neither.
    pub fn own() -> Result<Self> {
        let running = Path::new(RUNNING);
        if let Ok(file) = File::open(running) {
            return Self::hold(file, &env::current_exe().unwrap_or_else(|_| running.into()));
        }
        // Whoever may run a program need not be allowed to read it: then the link alone has to do, which leads to the same
        // file all the while.
        if running.exists() {
            return Ok(Self { shown: RUNNING.into(), exec: running.into(), by_path: false, file: None });
        }
        let path = executed().context("cannot find this program: is /proc mounted?")?;
        Self::open(&path)
    }

    /// The program at a path.
    ///
    /// # Errors
    /// When it is no file that can be read, or a script: what that starts cannot be held open.
    pub fn open(path: &Path) -> Result<Self> {
        let shown = printable(&path.to_string_lossy());
        let metadata = fs::metadata(path).with_context(|| format!("cannot find {shown}"))?;
        ensure!(metadata.is_file(), "{shown} is no file: name the program itself");
        let file = File::open(path).with_context(|| {
            format!("cannot read {shown}, which is recorded by its hash: chmod +r {shown}")
        })?;
        let mut head = [0; 2];
        if matches!(file.read_at(&mut head, 0), Ok(2)) && &head == b"#!" {
            bail!(
                "{shown} is a script, and what it starts may be another program each time: name the program itself"
            );
        }
        Self::hold(file, path)
    }

    fn hold(file: File, path: &Path) -> Result<Self> {
        let shown = printable(&path.to_string_lossy());
        let stamp = Stamp::of(&file.metadata().with_context(|| format!("cannot look at {shown}"))?);
        let pinned = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let by_path = !pinned.exists();
        if by_path {
            static WARNED: Once = Once::new();
            WARNED.call_once(|| {
                eprintln!(
                    "warning: /proc is not mounted, so that children are started by path: none is once another program has it"
                );
            });
        }
        let exec = if by_path { path.into() } else { pinned };
        Ok(Self { shown, exec, by_path, file: Some((Arc::new(file), stamp)) })
    }

    /// The path by which it was found, for words.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// A command that starts it, with pipes and in a process group of its own.
    ///
    /// # Errors
    /// When the file was written to since it was opened, or, without /proc, has been replaced.
    pub fn command(&self) -> Result<Command> {
        if let Some((file, stamp)) = &self.file {
            let now = if self.by_path { fs::metadata(&self.exec) } else { file.metadata() };
            let now = now.with_context(|| format!("cannot look at {}", self.shown))?;
            ensure!(
                Stamp::of(&now) == *stamp,
                "{} was written to since it was opened, and is another program now: leave it alone while it is measured",
                self.shown
            );
        }
        let mut command = Command::new(&self.exec);
        command.arg0("resetbench");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A Ctrl-C on the terminal is the parent's to handle: it ends its children when their rows are safe.
        command.process_group(0);
        Ok(command)
    }

    /// SHA-256 of the file, in hexadecimal digits.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn sha256(&self) -> Result<String> {
        let (file, _) = self.file.as_ref().with_context(|| format!("{} cannot be read", self.shown))?;
        let (mut hash, mut buffer, mut at) = (Sha256::new(), vec![0; 1 << 20], 0);
        loop {
            match file.read_at(&mut buffer, at) {
                Ok(0) => return Ok(hex(&hash.finalize())),
                Ok(read) => {
                    hash.update(&buffer[..read]);
                    at += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).with_context(|| format!("cannot read {}", self.shown)),
            }
        }
    }
}

impl Stamp {
    fn of(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            bytes: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
        }
    }
}

/// The path by which the kernel started this program (getauxval(3), `AT_EXECFN`).
pub(super) fn executed() -> Option<PathBuf> {
    // SAFETY: asks for a word of the auxiliary vector, which every process has.
    let name = unsafe { libc::getauxval(libc::AT_EXECFN) } as *const libc::c_char;
    if name.is_null() {
        return None;
    }
    // SAFETY: it is not null, and the kernel put a string that ends there, which stays for as long as the process does.
    let name = unsafe { CStr::from_ptr(name) };
    Some(PathBuf::from(OsStr::from_bytes(name.to_bytes())))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn this_program_is_found_and_has_a_hash() {
        let own = Program::own().unwrap();
        let by_path = Program::open(&env::current_exe().unwrap()).unwrap();
        assert_eq!(own.sha256().unwrap(), by_path.sha256().unwrap());
        assert_eq!(fs::canonicalize(executed().unwrap()).unwrap(), env::current_exe().unwrap());
    }

    #[test]
    fn what_is_no_program_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let said = |path: &Path| format!("{:#}", Program::open(path).unwrap_err());
        let absent = folder.path().join("absent");
        assert!(said(&absent).contains("absent: No such file"), "{}", said(&absent));
        assert!(said(folder.path()).contains("is no file"));
        let script = folder.path().join("script");
        fs::write(&script, "#!/bin/sh\n").unwrap();
        assert!(said(&script).contains("is a script"));
    }

    #[test]
    fn a_file_that_is_written_to_is_not_started_again_and_one_that_is_replaced_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        // By another process: a child that another test starts meanwhile would hold ours open for writing.
        let copied = Command::new("cp").arg(env::current_exe().unwrap()).arg(&path).status().unwrap();
        assert!(copied.success());
        let program = Program::open(&path).unwrap();
        let other = folder.path().join("other");
        fs::write(&other, "something else").unwrap();
        fs::rename(&other, &path).unwrap();
        let listed = program.command().unwrap().arg("--list").output().unwrap();
        assert!(listed.status.success(), "{listed:?}");

        let replaced = Program::open(&path).unwrap();
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b", and more").unwrap();
        let said = format!("{:#}", replaced.command().unwrap_err());
        assert!(said.contains("was written to since it was opened"), "{said}");
    }
}
