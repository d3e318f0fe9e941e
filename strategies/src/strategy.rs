//! What a strategy is: a name, what it needs, and how an instance lives under it.

use std::fmt;

use wasmtime::Config;

use crate::condition::{self, Condition};
use crate::fresh::{self, Fresh};
use crate::in_place::{self, InPlace};
use crate::judgement::{Judgement, Support};
use crate::module::Facts;
use crate::options::Options;
use crate::sys::{Broken, Kernel, Mechanism, code};

/// One way to reset, named `family/variant`.
#[derive(Debug)]
pub struct Strategy {
    name: &'static str,
    summary: &'static str,
    needs: &'static [&'static Mechanism],
    control: bool,
    lifecycle: Lifecycle,
    swap: Swap,
    conditions: &'static [&'static Condition],
    arm_of: Option<&'static Strategy>,
}

/// What a reset makes of pages that the kernel has swapped out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swap {
    /// They come back like all others.
    Survives,
    /// They may keep what the last block wrote: the strategy must not run where there is swap.
    Diverges {
        /// How that comes.
        reason: &'static str,
    },
}

/// How an instance lives from block to block.
#[derive(Clone, Copy, Debug)]
pub enum Lifecycle {
    /// The store is dropped and a new instance made.
    Fresh(Fresh),
    /// One instance is kept and brought back.
    InPlace(InPlace),
}

/// Whether this machine has what a strategy needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Availability {
    /// Every probe performed its mechanism and saw the effect.
    Available,
    /// A mechanism is missing.
    Unavailable {
        /// Which one, and why.
        reason: String,
    },
}

impl Strategy {
    const fn new(
        name: &'static str,
        summary: &'static str,
        needs: &'static [&'static Mechanism],
        lifecycle: Lifecycle,
    ) -> Self {
        let swap = Swap::Survives;
        Self { name, summary, needs, control: false, lifecycle, swap, conditions: &[], arm_of: None }
    }

    /// A strategy that makes a new instance for each block.
    pub const fn fresh(
        name: &'static str,
        summary: &'static str,
        needs: &'static [&'static Mechanism],
        fresh: Fresh,
    ) -> Self {
        let lifecycle = Lifecycle::Fresh(fresh);
        Self::new(name, summary, needs, lifecycle)
    }

    /// A strategy that keeps one instance and brings it back.
    pub const fn in_place(
        name: &'static str,
        summary: &'static str,
        needs: &'static [&'static Mechanism],
        parts: InPlace,
    ) -> Self {
        let lifecycle = Lifecycle::InPlace(parts);
        Self::new(name, summary, needs, lifecycle)
    }

    /// A strategy in place that is there to calibrate or to be caught.
    pub const fn control(
        name: &'static str,
        summary: &'static str,
        needs: &'static [&'static Mechanism],
        parts: InPlace,
    ) -> Self {
        Self { control: true, ..Self::in_place(name, summary, needs, parts) }
    }

    /// The strategy, known to lose track of swapped-out pages.
    pub const fn diverges_when_swapped(mut self, reason: &'static str) -> Self {
        self.swap = Swap::Diverges { reason };
        self
    }

    /// The strategy, right only where the host leaves these alone besides what none bears.
    pub const fn must_not(mut self, conditions: &'static [&'static Condition]) -> Self {
        self.conditions = conditions;
        self
    }

    /// The strategy, as another one with one setting changed: verified like all others, but measured only where it is asked
    /// for by name.
    pub const fn an_arm_of(mut self, other: &'static Strategy) -> Self {
        self.arm_of = Some(other);
        self
    }

    /// `family/variant`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The part of the name before the slash.
    pub fn family(&self) -> &'static str {
        self.name.split_once('/').map_or(self.name, |(family, _)| family)
    }

    /// What it does, in a line.
    pub fn summary(&self) -> &'static str {
        self.summary
    }

    /// Whether it is a control, which is never recommended.
    pub fn is_control(&self) -> bool {
        self.control
    }

    /// The strategy that it is an arm of: the same but for one setting, and not part of a run that names no strategies.
    pub fn arm_of(&self) -> Option<&'static Strategy> {
        self.arm_of
    }

    /// How an instance lives under it.
    pub fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// The mechanisms that it needs, engine and kernel.
    pub fn needs(&self) -> impl Iterator<Item = &'static Mechanism> {
        let engine = match self.lifecycle {
            Lifecycle::Fresh(_) => None,
            Lifecycle::InPlace(_) => Some(&in_place::SHRINK),
        };
        engine.into_iter().chain(self.needs.iter().copied())
    }

    /// The first kernel that has all of them.
    pub fn kernel(&self) -> Kernel {
        self.needs().map(|mechanism| mechanism.since).fold(Kernel::OLDEST, Kernel::max)
    }

    /// The known fault of a kernel in a mechanism that it needs, on a host that swaps or does not.
    pub fn fault(&self, kernel: Kernel, swap: bool) -> Option<(&'static Mechanism, &'static Broken)> {
        self.needs().find_map(|mechanism| Some((mechanism, mechanism.fault(kernel, swap)?)))
    }

    /// What it makes of pages that were swapped out.
    pub fn swap(&self) -> Swap {
        self.swap
    }

    /// What the host must not do, with what no strategy bears first.
    pub fn conditions(&self) -> impl Iterator<Item = &'static Condition> {
        condition::ALWAYS.iter().chain(self.conditions).copied()
    }

    /// Rust that a host can take over: the engine's configuration for a fresh strategy, and the calls of this crate
    /// for one in place.
    pub fn recipe(&self) -> String {
        match self.lifecycle {
            Lifecycle::Fresh(Fresh { recipe, .. }) => recipe.to_owned(),
            Lifecycle::InPlace(_) => in_place::RECIPE.replace("copy/full", self.name),
        }
    }

    /// The same for a host whose blocks are futures: what a fresh strategy configures is not another engine.
    #[cfg(feature = "async")]
    pub fn recipe_async(&self) -> String {
        match self.lifecycle {
            Lifecycle::Fresh(Fresh { recipe, .. }) => {
                recipe.replace("`linker.instantiate(", "`linker.instantiate_async(").replace(
                    "`linker.instantiate_pre(&module)`",
                    "`linker.instantiate_pre(&module)` by `instantiate_async`",
                )
            }
            Lifecycle::InPlace(_) => in_place::RECIPE_ASYNC.replace("copy/full", self.name),
        }
    }

    /// Probes every mechanism that it needs, and before them what any compiled module needs.
    pub fn availability(&self) -> Availability {
        for mechanism in [&code::EXECUTABLE].into_iter().chain(self.needs()) {
            if let Err(reason) = mechanism.available() {
                return Availability::Unavailable { reason: format!("{}: {reason}", mechanism.name) };
            }
        }
        Availability::Available
    }

    /// The engine settings that it runs under, for a module and a host's options.
    pub fn config(&self, facts: &Facts, options: &Options) -> Config {
        let mut config = Config::new();
        (options.configure)(&mut config);
        match self.lifecycle {
            Lifecycle::Fresh(Fresh { configure, .. }) => configure(&mut config, facts, options),
            Lifecycle::InPlace(parts) => parts.configure(&mut config),
        }
        config
    }

    /// Whether its resets treat what the last block wrote and nothing else, so that a block costs the same whatever
    /// came before it.
    pub fn is_exact(&self) -> bool {
        match self.lifecycle {
            Lifecycle::Fresh(_) => false,
            Lifecycle::InPlace(parts) => (parts.tracker)().is_exact(),
        }
    }

    /// Whether a session keeps the memory that a block grew by, for blocks that grow again.
    pub(crate) fn keeps_memory(&self) -> bool {
        match self.lifecycle {
            Lifecycle::Fresh(_) => false,
            Lifecycle::InPlace(parts) => (parts.restorer)().keeps_memory(),
        }
    }

    /// Whether its resets clean every page of the process, so that there can be one session of it at a time.
    pub fn is_process_wide(&self) -> bool {
        match self.lifecycle {
            Lifecycle::Fresh(_) => false,
            Lifecycle::InPlace(parts) => (parts.tracker)().is_process_wide(),
        }
    }

    /// Judges a module, construct by construct, before it runs.
    pub fn judge(&self, facts: &Facts) -> Vec<Judgement> {
        match self.lifecycle {
            Lifecycle::Fresh(_) => fresh::judge(facts),
            Lifecycle::InPlace(_) => in_place::judge(facts),
        }
    }

    /// What follows from [`judge`](Self::judge) for the module.
    pub fn support(&self, facts: &Facts) -> Support {
        Support::of(&self.judge(facts))
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
