//! What a strategy needs of the machine, and the proof that it is there.

use std::fmt;
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
    /// Later kernels on which it does not do what it is for.
    pub broken: &'static [Broken],
    probe: fn() -> Result<(), String>,
    outcome: OnceLock<Result<(), String>>,
}

/// Kernels that have a mechanism in which it does not work.
///
/// A [`Kernel`] has no patch level: where a stable release repaired it half-way, the whole minor version counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The first of them.
    pub from: Kernel,
    /// The first that works again; `None` where none is known.
    pub until: Option<Kernel>,
    /// Whether it takes swap to see the fault.
    pub with_swap: bool,
    /// What goes wrong.
    pub reason: &'static str,
}

impl Broken {
    /// Whether this kernel is one of them, on a host that swaps or does not.
    pub fn covers(&self, kernel: Kernel, swap: bool) -> bool {
        self.from <= kernel && self.until.is_none_or(|until| kernel < until) && (swap || !self.with_swap)
    }

    /// Which kernels, in words: `7.3 and later`, or `6.7 to 6.8 with swap`.
    pub fn kernels(&self) -> String {
        let mut words = self.from.to_string();
        match self.until {
            Some(until) if until.before() == self.from => {}
            Some(until) => words += &format!(" to {}", until.before()),
            None => words += " and later",
        }
        words + if self.with_swap { " with swap" } else { "" }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broken on Linux {}: {}", self.kernels(), self.reason)
    }
}

impl Mechanism {
    pub(crate) const fn new(
        name: &'static str,
        about: &'static str,
        probe: fn() -> Result<(), String>,
    ) -> Self {
        Self { name, about, since: Kernel::OLDEST, broken: &[], probe, outcome: OnceLock::new() }
    }

    /// The mechanism, but only from this kernel on.
    pub(crate) const fn since(mut self, major: u32, minor: u32) -> Self {
        self.since = Kernel::new(major, minor);
        self
    }

    /// The mechanism, known not to work on these kernels.
    pub(crate) const fn broken_on(mut self, broken: &'static [Broken]) -> Self {
        self.broken = broken;
        self
    }

    /// The known fault that a kernel has, on a host that swaps or does not.
    pub fn fault(&self, kernel: Kernel, swap: bool) -> Option<&'static Broken> {
        self.broken.iter().find(|broken| broken.covers(kernel, swap))
    }

    /// Whether the mechanism works in this process; the probe runs once, and not on a kernel that is known to fail.
    ///
    /// Whether there is swap is read at the first call.
    ///
    /// # Errors
    /// The reason why it does not, with the remedy where there is one.
    pub fn available(&self) -> Result<(), &str> {
        self.outcome.get_or_init(|| self.examine()).as_ref().map(|&()| ()).map_err(String::as_str)
    }

    fn examine(&self) -> Result<(), String> {
        if !self.broken.is_empty()
            && let Some(kernel) = Kernel::running()
            // Where nobody can tell, there may be swap.
            && let Some(broken) = self.fault(kernel, super::swap::is_on().unwrap_or(true))
        {
            return Err(broken.to_string());
        }
        (self.probe)().map_err(|reason| told(reason, self.since, Kernel::running()))
    }
}

/// Why a mechanism is missing, with the kernel that brought it where this one is older: what a kernel makes of a request
/// that it does not know is not always what a probe foresees.
fn told(reason: String, since: Kernel, running: Option<Kernel>) -> String {
    let came = format!("Linux {since}");
    match running {
        Some(running) if running < since && !reason.contains(&came) => {
            format!("{reason}; it came with {came}, and this is {running}")
        }
        _ => reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probed() -> Result<(), String> {
        Ok(())
    }

    #[test]
    fn an_older_kernel_is_told_which_one_brought_it() {
        let told = |reason: &str, running: Option<&str>| {
            told(reason.into(), Kernel::new(6, 7), running.map(|kernel| kernel.parse().unwrap()))
        };
        let odd = "userfaultfd: Invalid argument";
        assert_eq!(told(odd, Some("5.10")), format!("{odd}; it came with Linux 6.7, and this is 5.10"));
        assert_eq!(told(odd, Some("6.7")), odd);
        assert_eq!(told(odd, None), odd);
        assert_eq!(told("it came with Linux 6.7", Some("6.1")), "it came with Linux 6.7", "once");
    }

    #[test]
    fn the_running_kernel_is_refused_without_a_probe() {
        static HERE: Mechanism = Mechanism::new("made up", "", probed).broken_on(&[Broken {
            from: Kernel::OLDEST,
            until: None,
            with_swap: false,
            reason: "made up",
        }]);
        static ONCE: Mechanism = Mechanism::new("made up", "", probed).broken_on(&[Broken {
            from: Kernel::OLDEST,
            until: Some(Kernel::OLDEST),
            with_swap: false,
            reason: "made up",
        }]);
        assert_eq!(HERE.available(), Err("broken on Linux 3.2 and later: made up"));
        assert_eq!(ONCE.available(), Ok(()));
    }
}
