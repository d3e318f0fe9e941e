//! What can go wrong between a module and a session.

use std::time::Duration;
use std::{fmt, io};

/// Why a strategy cannot run a module, or a reset did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The machine lacks a mechanism.
    #[error("`{strategy}` is unavailable on this machine: {reason}")]
    Unavailable {
        /// The strategy.
        strategy: &'static str,
        /// The mechanism and why it is missing.
        reason: String,
    },
    /// The strategy cannot restore the module.
    #[error("`{strategy}` refuses this module: {reason}")]
    Refused {
        /// The strategy.
        strategy: &'static str,
        /// The construct and its index.
        reason: String,
    },
    /// The bytes are not a module.
    #[error("not a WebAssembly module")]
    Parse(#[from] wasmparser::BinaryReaderError),
    /// The bytes are a component.
    #[error("this is a WebAssembly component; only core modules can be reset")]
    Component,
    /// The module uses a name that instrumentation reserves.
    #[error("the module exports `{0}`, a name that is reserved for the reset")]
    Reserved(String),
    /// The module could not be rewritten.
    #[error("the module cannot be rewritten: {0}")]
    Rewrite(String),
    /// The module was compiled from other bytes than the plan's, or by another engine.
    #[error("the module does not belong to the plan: {0}")]
    Foreign(String),
    /// The host grew an exported table during a block; the session must not be used again.
    #[error("a table has grown, and wasmtime cannot shrink it")]
    TableGrown,
    /// This is a child that was forked from the process in which the session was started. The kernel shows it the parent's
    /// pages, so that nothing can be reset here: start a session in each process.
    #[error("the session belongs to the process that started it, and this one was forked from it")]
    Forked,
    /// An earlier reset failed, or the host's state could not be made: what the instance holds is not known.
    #[error("the session cannot be used again, since a reset failed: {0}")]
    Poisoned(String),
    /// wasmtime failed.
    #[error("{what}")]
    Engine {
        /// What was being done.
        what: &'static str,
        /// wasmtime's account.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The kernel refused a step; the session must not be used again.
    #[error("{what}")]
    Kernel {
        /// What was being done.
        what: &'static str,
        /// The system call's error.
        source: io::Error,
    },
    /// A pool cannot be what it was asked to be.
    #[error("a pool cannot have {asked}: {reason}; {remedy}")]
    Pool {
        /// What it was asked for.
        asked: String,
        /// The limit, its value, and what a place takes of it.
        reason: String,
        /// What to do about it.
        remedy: String,
    },
    /// No session of a pool came free in time.
    #[error("no session within {waited:?}: {scarce}")]
    NoSession {
        /// What ran out.
        scarce: Scarce,
        /// How long the caller waited.
        waited: Duration,
    },
    /// A session of a pool could not be started, where a limit of the process is nearly reached.
    #[error("the pool cannot start another session, and {limit}; {remedy}")]
    NoRoom {
        /// The limit, its value, and what a place takes of it.
        limit: String,
        /// What to do about it.
        remedy: String,
        /// How the start failed.
        source: Box<Self>,
    },
}

/// What a pool has run out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scarce {
    /// Every place is in use.
    Places {
        /// How many there may be.
        most: usize,
    },
    /// The places hold as many bytes as they may.
    Bytes {
        /// How many they may hold.
        most: u64,
        /// How many they hold.
        held: u64,
        /// How many another place takes.
        place: u64,
    },
    /// As many callers wait as may.
    Waiting {
        /// How many may.
        most: usize,
    },
}

impl fmt::Display for Scarce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Places { most } => write!(
                f,
                "all {most} places are in use; allow more of them (Limits::most), wait longer, or have fewer callers"
            ),
            Self::Bytes { most, held, place } => write!(
                f,
                "the places hold {held} of {most} bytes, and another one takes {place}; allow more bytes \
                 (Limits::most_bytes), wait longer, or have fewer callers"
            ),
            Self::Waiting { most } => write!(
                f,
                "{most} callers wait already; try again later, or let more of them wait (Limits::most_waiting)"
            ),
        }
    }
}

impl Error {
    /// The error with what caused it, in one line.
    pub(crate) fn in_full(&self) -> String {
        let causes = std::iter::successors(std::error::Error::source(self), |cause| cause.source());
        causes.fold(self.to_string(), |text, cause| format!("{text}: {cause}"))
    }

    pub(crate) fn rewrite(reason: impl ToString) -> Self {
        Self::Rewrite(reason.to_string())
    }

    pub(crate) fn engine(what: &'static str) -> impl FnOnce(wasmtime::Error) -> Self {
        move |source| Self::Engine { what, source: source.into() }
    }

    pub(crate) fn kernel(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Kernel { what, source }
    }

    pub(crate) fn refused(strategy: &'static str, reason: impl Into<String>) -> Self {
        Self::Refused { strategy, reason: reason.into() }
    }
}
