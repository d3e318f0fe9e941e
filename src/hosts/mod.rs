//! The hosts under whose settings everything runs: how they set their engines up, call their guests and make an instance.
//!
//! A host is a file of `hosts/`, in the words of wasmtime's `Config`; what it does not name is wasmtime's default. All strategies
//! run under its settings, but for what a strategy is about: how memory is allocated and initialised. The way in which the
//! host itself makes an instance is the baseline of all ratios, so that a ratio says what a strategy would be for that host.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::LazyLock;

use reset_strategies::{Configure, Options, Strategy, registry};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wasmtime::Config;

use crate::prose::{enumerated, nearest, printable};

/// Ticks of the epoch that make up a block's timeout. Few, so that the ticking thread is hardly ever awake.
pub const TICKS: u64 = 20;

/// The host of those who name none: the one whose ABI the workloads speak, as its indexers run today.
pub const DEFAULT: &str = "metashrew";

/// The same for views: as it answers them.
const VIEWS: &str = "metashrew-view";

/// Wasmtime as it comes.
const PLAIN: &str = "plain";

/// A host of the field, or wasmtime as it comes.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
pub struct Host {
    /// The name of its file.
    #[serde(default)]
    pub name: String,
    pub summary: String,
    /// When it was so.
    pub period: String,
    /// Where that can be read.
    pub source: String,
    /// The strategy that makes an instance as the host does.
    pub baseline: String,
    pub calls: Calls,
    /// Whether each call has an executor of its own.
    #[serde(default, skip_serializing_if = "is_false")]
    pub new_runtime: bool,
    /// Fuel after which a guest lets others run. It has as much as it wants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuel_async_yield_interval: Option<u64>,
    /// The most that a memory may grow to, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<usize>,
    #[serde(default)]
    pub engine: Settings,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// How a host calls its guests.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Calls {
    /// A call returns when the guest does.
    Blocking,
    /// A call is a future, which runs on a stack of its own.
    Futures,
}

macro_rules! settings {
    ($($(#[$meta:meta])* $name:ident: $type:ty,)*) => {
        /// What a host sets of its engines, by the names of wasmtime's `Config`. What is absent is wasmtime's default.
        #[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
        pub struct Settings {
            $($(#[$meta])* #[serde(default, skip_serializing_if = "Option::is_none")] pub $name: Option<$type>,)*
        }

        impl Settings {
            /// Sets an engine up so.
            fn apply(&self, config: &mut Config) {
                $(if let Some(value) = self.$name { config.$name(value); })*
            }

            /// The settings, each as `name=value`.
            fn told(&self) -> Vec<String> {
                let set = [$(self.$name.map(|value| format!("{}={value}", stringify!($name))),)*];
                set.into_iter().flatten().collect()
            }
        }
    };
}

settings! {
    cranelift_nan_canonicalization: bool,
    relaxed_simd_deterministic: bool,
    /// Bytes of address space for a memory that does not move.
    memory_reservation: u64,
    /// Bytes behind it that trap.
    memory_guard_size: u64,
    /// For strategies that leave it to the host.
    memory_init_cow: bool,
    /// Bytes of a guest's stack.
    max_wasm_stack: usize,
    /// Modules may use the proposal.
    wasm_threads: bool,
    consume_fuel: bool,
}

/// The files, by their names.
const FILES: [(&str, &str); 8] = [
    ("metashrew", include_str!("../../hosts/metashrew.toml")),
    ("metashrew-2025-11", include_str!("../../hosts/metashrew-2025-11.toml")),
    ("metashrew-2025-06", include_str!("../../hosts/metashrew-2025-06.toml")),
    ("metashrew-view", include_str!("../../hosts/metashrew-view.toml")),
    ("qubitcoin", include_str!("../../hosts/qubitcoin.toml")),
    ("graph-node", include_str!("../../hosts/graph-node.toml")),
    ("substreams", include_str!("../../hosts/substreams.toml")),
    ("plain", include_str!("../../hosts/plain.toml")),
];

static ALL: LazyLock<Vec<Host>> = LazyLock::new(|| {
    let host = |(name, text): (&str, &str)| match toml::from_str::<Host>(text) {
        Ok(host) => Host { name: name.into(), ..host },
        Err(error) => panic!("hosts/{name}.toml: {error}"),
    };
    FILES.map(host).into()
});

/// All hosts, wasmtime as it comes last.
pub fn all() -> &'static [Host] {
    &ALL
}

/// The host of that name.
///
/// # Errors
/// When there is none, with the nearest name.
pub fn find(name: &str) -> Result<&'static Host, String> {
    all().iter().find(|host| host.name == name).ok_or_else(|| {
        let names: Vec<String> = all().iter().map(|host| host.name.clone()).collect();
        let known: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        format!(
            "there is no host `{}`{}; there are {}",
            printable(name),
            nearest(name, &names),
            enumerated(&known)
        )
    })
}

/// Wasmtime as it comes: what is measured apart from any host, and what results were measured on that do not say it.
pub fn plain() -> &'static Host {
    find(PLAIN).expect("it is one of the files")
}

/// The host of those who name none, where all that runs is views.
pub fn views() -> &'static Host {
    find(VIEWS).expect("it is one of the files")
}

/// The name of [`plain`], for what is read from files that are older than hosts.
pub fn plain_name() -> String {
    PLAIN.into()
}

/// What was looked at, with its host if that is one of the field.
pub fn named(what: &str, host: &str) -> String {
    if host == PLAIN { what.into() } else { format!("{what} as on {host}") }
}

impl Default for &'static Host {
    fn default() -> Self {
        find(DEFAULT).expect("it is one of the files")
    }
}

impl Host {
    /// The strategy that makes an instance as the host does.
    pub fn baseline(&self) -> &'static Strategy {
        registry::find(&self.baseline).expect("the test of the files has looked for it")
    }

    /// What sessions are started with. What it refers to lives as long as the process.
    pub fn options(&self) -> Options {
        let engine = self.engine.clone();
        let configure: Configure = Box::leak(Box::new(move |config: &mut Config| {
            engine.apply(config);
            // Blocks that hang have to be ended, which is not what the host does.
            config.epoch_interruption(true);
        }));
        let fuel_async_yield_interval = self.fuel_async_yield_interval;
        Options { configure, deadline: TICKS, fuel_async_yield_interval, ..Options::default() }
    }

    /// Which it is, in one line.
    pub fn sentence(&self) -> String {
        format!("as on {} ({}): {}", self.name, self.period, self.settings())
    }

    /// What it sets, in wasmtime's words: `memory_init_cow=false`, and whether calls are futures.
    pub fn settings(&self) -> String {
        let calls = match (self.calls, self.new_runtime) {
            (Calls::Blocking, _) => "blocking calls",
            (Calls::Futures, false) => "calls that are futures",
            (Calls::Futures, true) => "calls that are futures of a new runtime each",
        };
        let mut settings = self.engine.told();
        if settings.is_empty() {
            settings.push("wasmtime's defaults".into());
        }
        let fuel = self.fuel_async_yield_interval.map(|fuel| format!("fuel_async_yield_interval={fuel}"));
        let limit = self.memory_bytes.map(|bytes| format!("at most {bytes} bytes of memory"));
        let told = [calls.to_owned(), settings.join(" ")].into_iter().chain(fuel).chain(limit);
        told.collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
