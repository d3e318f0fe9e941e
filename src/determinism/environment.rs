//! Where a case runs: under a memory control group, a resource limit, or as this process was found.

use std::ffi::CStr;
use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::machine::group::{Group, Version};

/// Smallest limit that makes sense: below it the program itself does not start, whatever the guest.
pub const SMALLEST: u64 = 64 << 20;

/// Largest: nobody has such a machine, so that it was a slip of the pen.
pub const LARGEST: u64 = 1 << 42;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Nothing that was not before.
    AsFound,
    /// Physical memory, by a control group: the OOM killer enforces it.
    Group(Version),
    /// RLIMIT_DATA: writable private memory; making more of it fails.
    Data,
    /// RLIMIT_AS: address space; reserving more of it fails.
    AddressSpace,
}

/// A kind of limit and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Environment {
    pub kind: Kind,
    /// Absent for [`Kind::AsFound`].
    pub limit: Option<u64>,
}

impl Environment {
    /// Nothing limited.
    pub const AS_FOUND: Self = Self { kind: Kind::AsFound, limit: None };

    /// A limit of some kind.
    pub fn limited(kind: Kind, limit: u64) -> Self {
        Self { kind, limit: Some(limit) }
    }

    /// The kind as JSON has it.
    pub fn name(self) -> &'static str {
        match self.kind {
            Kind::AsFound => "as-found",
            Kind::Group(version) => version.name(),
            Kind::Data => "rlimit-data",
            Kind::AddressSpace => "rlimit-as",
        }
    }

    /// Makes a command run here. What comes back has to live as long as the process.
    ///
    /// # Errors
    /// When this process may not make a control group.
    pub fn confine(self, command: &mut Command) -> Result<Option<Group>> {
        let (mut group, mut members, mut resource) = (None, None, None);
        match (self.kind, self.limit) {
            (Kind::Group(version), Some(limit)) => {
                let made = group.insert(Group::make(version)?);
                made.limit_without_swap(limit)?;
                // Opened here: between fork and exec nothing may be allocated.
                let file = made.members();
                let open = OpenOptions::new().write(true).open(&file);
                members = Some(open.with_context(|| file.display().to_string())?);
            }
            (Kind::Data, Some(limit)) => resource = Some((libc::RLIMIT_DATA, limit)),
            (Kind::AddressSpace, Some(limit)) => resource = Some((libc::RLIMIT_AS, limit)),
            _ => {}
        }
        let confine = move || {
            // The suite must never be what the OOM killer takes.
            write_all(c"/proc/self/oom_score_adj", b"1000")?;
            if let Some(members) = &members {
                // SAFETY: the descriptor is open and the two bytes are a literal; "0" stands for the writer itself.
                checked(unsafe { libc::write(members.as_raw_fd(), c"0".as_ptr().cast(), 1) })?;
            }
            if let Some((resource, limit)) = resource {
                let limit = libc::rlimit { rlim_cur: limit, rlim_max: limit };
                // SAFETY: the kernel reads one rlimit, which outlives the call.
                checked(unsafe { libc::setrlimit(resource, &raw const limit) } as isize)?;
            }
            // SAFETY: sets a flag of this process: it ends when the suite does, however that comes about.
            checked(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } as isize)
        };
        // SAFETY: the closure makes system calls only: it neither allocates nor takes a lock.
        unsafe { command.pre_exec(confine) };
        Ok(group)
    }
}

/// Writes to a file by system calls alone.
fn write_all(path: &CStr, bytes: &[u8]) -> io::Result<()> {
    // SAFETY: the path ends with NUL.
    let file = unsafe { libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC) };
    checked(file as isize)?;
    // SAFETY: the kernel reads `bytes`, which outlive the call; the descriptor is ours.
    let written = unsafe { libc::write(file, bytes.as_ptr().cast(), bytes.len()) };
    // SAFETY: the descriptor is ours and not used again.
    unsafe { libc::close(file) };
    checked(written)
}

fn checked(result: isize) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.limit {
            Some(limit) => write!(f, "{} {}", self.name(), size(limit)),
            None => f.write_str(self.name()),
        }
    }
}

/// A number of bytes as it is typed.
pub fn size(bytes: u64) -> String {
    match bytes {
        bytes if bytes >= 1 << 30 && bytes.is_multiple_of(1 << 30) => format!("{} GiB", bytes >> 30),
        bytes => format!("{} MiB", bytes >> 20),
    }
}

/// Reads `512MiB`, `8 GiB` or a plain number of bytes.
///
/// # Errors
/// When it is neither, or no limit that makes sense.
pub fn parse_limit(text: &str) -> Result<u64> {
    let text = text.trim();
    let (number, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let shift = match unit.trim() {
        "" => 0,
        "M" | "MiB" => 20,
        "G" | "GiB" => 30,
        other => bail!("`{other}` is no unit of memory: write MiB or GiB, as in 512MiB"),
    };
    let number: u64 = number.parse().with_context(|| format!("`{text}` is no size, such as 512MiB"))?;
    let bytes = number.checked_mul(1 << shift).filter(|bytes| *bytes <= LARGEST);
    let bytes =
        bytes.with_context(|| format!("a limit of {text} limits nothing: at most {}", size(LARGEST)))?;
    if bytes < SMALLEST {
        bail!("a limit of {text} is below what this program needs to start: at least {}", size(SMALLEST));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_they_are_typed() {
        for (text, bytes) in
            [("512MiB", 512 << 20), ("8 GiB", 8 << 30), ("1G", 1 << 30), ("268435456", 256 << 20)]
        {
            assert_eq!(parse_limit(text).unwrap(), bytes);
        }
    }

    #[test]
    fn limits_that_make_no_sense_are_refused_with_the_reason() {
        for (text, reason) in [
            ("1MiB", "below what this program needs"),
            ("0", "below what this program needs"),
            ("5000GiB", "limits nothing"),
            ("99999999999999999999", "is no size"),
            ("18446744073709551615GiB", "limits nothing"),
            ("many", "is no unit"),
            ("512KB", "is no unit"),
            ("", "is no size"),
            ("-1", "is no unit"),
        ] {
            let error = format!("{:#}", parse_limit(text).unwrap_err());
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
