//! What a strategy needs of the machine, and the proof that it is there.

use std::sync::OnceLock;

use super::Kernel;

/// A mechanism of the kernel or the engine, with the probe that performs it and checks the effect.
#[derive(Debug)]
pub struct Mechanism {
    /// Its name as the manual has it, such as `PAGEMAP_SCAN`.
    pub name: &'static str,
    /// What it is used for here.
    pub about: &'static str,
    /// The first kernel that has it; [`Kernel::OLDEST`] where all have.
    pub since: Kernel,
    probe: fn() -> Result<(), String>,
    outcome: OnceLock<Result<(), String>>,
}

impl Mechanism {
    pub(crate) const fn new(
        name: &'static str,
        about: &'static str,
        probe: fn() -> Result<(), String>,
    ) -> Self {
        Self { name, about, since: Kernel::OLDEST, probe, outcome: OnceLock::new() }
    }

    /// The mechanism, but only from this kernel on.
    pub(crate) const fn since(mut self, major: u32, minor: u32) -> Self {
        self.since = Kernel::new(major, minor);
        self
    }

    /// Whether the mechanism works in this process; the probe runs once.
    ///
    /// # Errors
    /// The reason why it does not, with the remedy where there is one.
    pub fn available(&self) -> Result<(), &str> {
        self.outcome.get_or_init(self.probe).as_ref().map(|&()| ()).map_err(String::as_str)
    }
}

/// Every mechanism that some strategy or commit policy needs or makes use of, in the order in which `doctor` lists them.
pub static ALL: [&Mechanism; 17] = [
    &crate::in_place::SHRINK,
    &crate::in_place::SECOND_CORE,
    &super::page::PROTECT,
    &super::page::DISCARD,
    &super::page::FREE,
    &super::page::COLLAPSE,
    &super::memfd::PRIVATE_IMAGE,
    &super::mincore::MINCORE,
    &super::pagemap::PAGEMAP,
    &super::soft_dirty::SOFT_DIRTY,
    &super::pagemap_scan::PAGEMAP_SCAN,
    &super::pagemap_scan::WRITE_PROTECT,
    &super::faults::COUNT,
    &crate::commit::populate::POPULATE_WRITE,
    &crate::commit::lock::LOCK,
    &crate::commit::grown::RESERVED,
    &super::swap::ABSENT,
];
