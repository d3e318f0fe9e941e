//! What a build of this program says of itself, asked by another one.

use reset_strategies::module::Facts;
use reset_strategies::{Availability, Lifecycle, Strategy, registry};
use serde::{Deserialize, Serialize};
use wasmtime::Engine;

use crate::hosts::{self, Host};
use crate::protocol::VERSION;

/// What a build says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct About {
    /// The version of the protocol that its children speak.
    pub protocol: u32,
    /// Its own version.
    pub version: String,
    pub wasmtime: String,
    /// The strategies that it has.
    pub strategies: Vec<Has>,
}

/// A strategy that a build has, as it would run here.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Has {
    pub name: String,
    /// Absent where it is available.
    pub unavailable: Option<String>,
    /// The effective engine configuration: with another build, as on no host in particular.
    pub configuration: String,
}

impl About {
    /// What this build says.
    pub fn own() -> Self {
        Self {
            protocol: VERSION,
            version: env!("CARGO_PKG_VERSION").into(),
            wasmtime: wasmtime_version().into(),
            strategies: registry::all().iter().map(|strategy| Has::new(strategy, hosts::plain())).collect(),
        }
    }
}

impl Has {
    /// A strategy of this build on a host.
    pub fn new(strategy: &Strategy, host: &Host) -> Self {
        Self {
            name: strategy.name().into(),
            unavailable: unavailable(strategy),
            configuration: configuration(strategy, host),
        }
    }
}

/// Why this machine does not allow a strategy; `None` where it does.
pub fn unavailable(strategy: &Strategy) -> Option<String> {
    match strategy.availability() {
        Availability::Available => None,
        Availability::Unavailable { reason } => Some(reason),
    }
}

/// What wasmtime says of a strategy's configuration, rather than what we believe to have set.
fn configuration(strategy: &Strategy, host: &Host) -> String {
    let engine = match Engine::new(&strategy.config(&Facts::default(), &host.options())) {
        Ok(engine) => engine,
        Err(error) => return format!("no engine: {error}"),
    };
    let mut text = format!(
        "memory_init_cow={} reservation={} guard={} epochs={}",
        engine.get_memory_init_cow(),
        engine.get_memory_reservation(),
        engine.get_memory_guard_size(),
        engine.get_epoch_interruption(),
    );
    match (engine.get_pooling_config(), strategy.lifecycle()) {
        (Some(pool), _) => text.push_str(&format!(
            " allocator=pooling keep_resident={} pagemap_scan={:?} max_memory={}",
            pool.get_memory_keep_resident(),
            pool.get_pagemap_scan(),
            pool.get_max_memory_size(),
        )),
        (None, Lifecycle::Fresh(fresh)) => {
            text.push_str(&format!(" allocator=on-demand link={:?}", fresh.link));
        }
        (None, Lifecycle::InPlace(parts)) => {
            text.push_str(&format!(" allocator=on-demand memory=own backing={:?}", parts.backing));
        }
    }
    text
}

/// The version of wasmtime that is linked in.
pub fn wasmtime_version() -> &'static str {
    env!("RESETBENCH_WASMTIME_VERSION")
}
