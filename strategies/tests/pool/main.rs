//! Many calls at once: whoever came before, each caller finds a fresh instance, gets it in turn, and loses nobody a place.

#[path = "../common/child.rs"]
mod child;
#[path = "../common/sound.rs"]
mod sound;

mod bounds;
mod failures;
mod host;
#[cfg(feature = "mutants")]
mod mutants;
mod promises;
#[cfg(feature = "async")]
mod tasks;
mod waiting;
