//! The strategies that tests hold to the contract.

use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::vec;

use reset_strategies::{Availability, Lifecycle, Strategy, registry};

/// Strategies that claim to be sound. While this lives, no other test of the process has any: of those whose mechanism is
/// process-wide there can be one session at a time.
pub struct Sound {
    strategies: Vec<&'static Strategy>,
    alone: MutexGuard<'static, ()>,
}

/// In-place strategies that claim to be sound and whose mechanisms are here, with the control that knows no more than they
/// do; says which are not.
pub fn sound_in_place() -> Sound {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let all = registry::all().iter().copied();
    let sound = all
        .filter(|s| matches!(s.lifecycle(), Lifecycle::InPlace(_)) && !s.is_control())
        .chain(registry::find("control/second-core"));
    let available = sound.filter(|strategy| match strategy.availability() {
        Availability::Available => true,
        Availability::Unavailable { reason } => {
            println!("not tested here: {strategy}: {reason}");
            false
        }
    });
    Sound { strategies: available.collect(), alone }
}

impl Deref for Sound {
    type Target = [&'static Strategy];

    fn deref(&self) -> &Self::Target {
        &self.strategies
    }
}

impl<'a> IntoIterator for &'a Sound {
    type Item = &'a &'static Strategy;
    type IntoIter = std::slice::Iter<'a, &'static Strategy>;

    fn into_iter(self) -> Self::IntoIter {
        self.strategies.iter()
    }
}

/// Goes through them, one after the other.
pub struct Each {
    strategies: vec::IntoIter<&'static Strategy>,
    _alone: MutexGuard<'static, ()>,
}

impl IntoIterator for Sound {
    type Item = &'static Strategy;
    type IntoIter = Each;

    fn into_iter(self) -> Each {
        Each { strategies: self.strategies.into_iter(), _alone: self.alone }
    }
}

impl Iterator for Each {
    type Item = &'static Strategy;

    fn next(&mut self) -> Option<Self::Item> {
        self.strategies.next()
    }
}
