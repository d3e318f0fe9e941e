//! A slice of time in which callers call.

use std::time::{Duration, Instant};

use super::arrivals::Arrivals;
use crate::protocol::serving::{Load, START, Serve};

/// What callers do in a slice of time.
pub(super) struct Slice {
    pub began: Instant,
    /// No call begins from here on.
    pub until: Instant,
    /// When requests arrive; nothing, where each caller calls again as soon as it has its answer.
    pub arrivals: Option<Arrivals>,
    /// Whether callers have the requests answered in their order, instead of any: for sessions that learn.
    pub settling: bool,
    pub seed: u64,
}

impl Slice {
    /// One that begins in a moment, over so many requests.
    pub fn new(Serve { millis, load, settling, seed, .. }: Serve, requests: usize) -> Self {
        let length = Duration::from_millis(millis);
        let at = match load {
            Load::Closed => None,
            Load::Open { per_second } => Some(Arrivals::draw(per_second, length, seed, requests)),
        };
        let began = Instant::now() + START;
        let arrivals = at.map(|at| Arrivals::starting(began, at));
        Self { began, until: began + length, arrivals, settling, seed }
    }
}
