//! What was seen of one policy, before anything is made of it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::analyse::evidence::LongRun;
use crate::analyse::growth::WINDOWS;
use crate::analyse::summary::Equivalence;
use crate::protocol::Followed;
use crate::protocol::policy::Policy;

/// One policy, for one strategy on one workload.
#[derive(Clone, Debug)]
pub struct Course {
    pub policy: Policy,
    pub judged: Judged,
    /// By their numbers.
    pub launches: BTreeMap<u32, Launch>,
}

/// One child process under a policy: its blocks in windows, and its memory between them.
#[derive(Clone, Debug, Default)]
pub struct Launch {
    pub windows: Vec<Followed>,
    /// Resident bytes before the first window and after each; shorter where they could not be read.
    pub rss: Vec<u64>,
    /// The most bytes that were resident.
    pub peak: Option<u64>,
}

/// What the verifier says of a policy.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Judged {
    pub equivalence: Equivalence,
    /// Blocks compared with those of fresh instances, or up to the first difference.
    pub verified_blocks: u64,
    /// The first difference, in words.
    pub first_difference: Option<String>,
    /// The first block that did something else than a fresh instance, in words.
    pub consequence: Option<String>,
    /// Why nothing is known, or why there are no figures.
    pub reason: Option<String>,
}

impl Course {
    /// The launches that ran to their end; where none did, those that ran at all.
    pub fn counted(&self) -> BTreeMap<u32, &Launch> {
        let with = |windows: usize| {
            let launches = self.launches.iter().filter(move |(_, launch)| launch.windows.len() >= windows);
            launches.map(|(number, launch)| (*number, launch)).collect::<BTreeMap<_, _>>()
        };
        let whole = with(WINDOWS as usize);
        if whole.is_empty() { with(1) } else { whole }
    }
}

impl Launch {
    /// Nanoseconds per block.
    pub fn cycles(&self) -> Vec<u64> {
        self.windows.iter().flat_map(|window| window.cycle.iter().copied()).collect()
    }

    /// Something of all windows, added up.
    pub fn sum(&self, of: fn(&Followed) -> u64) -> u64 {
        self.windows.iter().map(of).sum()
    }

    /// Nanoseconds of all blocks.
    pub fn total_ns(&self) -> u64 {
        self.sum(|window| window.cycle.iter().sum())
    }

    /// Its memory, to see whether it grows.
    pub fn long_run(&self) -> LongRun {
        let window = self.windows.first().map_or(0, |window| window.cycle.len() as u64);
        LongRun { rss: self.rss.clone(), window }
    }
}
