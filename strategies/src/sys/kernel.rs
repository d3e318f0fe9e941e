//! Versions of Linux.

use std::fmt;
use std::str::FromStr;

/// A version of Linux, as far as it decides which mechanisms there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kernel {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
}

impl Kernel {
    /// The oldest that Rust's standard library runs on. Mechanisms that are older have this one, since nobody can ask.
    pub const OLDEST: Self = Self::new(3, 2);

    /// A version.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// The kernel that runs here (uname(2)); `None` where it names no version.
    pub fn running() -> Option<Self> {
        // SAFETY: all zeros is a value of this struct of byte arrays.
        let mut names: libc::utsname = unsafe { std::mem::zeroed() };
        // SAFETY: the kernel writes one `utsname`, which `names` is.
        super::checked(unsafe { libc::uname(&raw mut names) }).ok()?;
        let release: Vec<u8> =
            names.release.iter().map(|&letter| letter as u8).take_while(|&letter| letter != 0).collect();
        str::from_utf8(&release).ok()?.parse().ok()
    }

    /// A version that is older than this one and than no other that is.
    pub const fn before(self) -> Self {
        match self.minor.checked_sub(1) {
            Some(minor) => Self::new(self.major, minor),
            None => Self::new(self.major.saturating_sub(1), u32::MAX),
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Text that is no version of Linux.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no version of Linux, such as 5.15")]
pub struct NoKernel(String);

impl FromStr for Kernel {
    type Err = NoKernel;

    /// Reads `5.15`, and what `uname -r` prints, such as `5.15.0-91-generic`.
    fn from_str(text: &str) -> Result<Self, NoKernel> {
        let mut numbers = text.trim().split(|c: char| !c.is_ascii_digit()).map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Ok(Self { major, minor }),
            _ => Err(NoKernel(text.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_people_and_uname_write_them() {
        for (text, kernel) in [("5.15", (5, 15)), ("6.7.0", (6, 7)), ("5.15.0-91-generic", (5, 15))] {
            assert_eq!(text.parse(), Ok(Kernel::new(kernel.0, kernel.1)), "{text}");
        }
        for text in ["", "6", "six.seven", "-1.2", "6."] {
            assert_eq!(text.parse::<Kernel>(), Err(NoKernel(text.into())));
        }
        assert!(Kernel::new(5, 9) < Kernel::new(5, 15), "numbers, not digits");
        assert!(
            Kernel::new(6, 0).before() > Kernel::new(5, 19) && Kernel::new(6, 7).before() < Kernel::new(6, 7)
        );
    }
}
