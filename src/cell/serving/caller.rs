//! Who calls: takes a session from the pool, has a request answered, and gives the session back.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use reset_strategies::pool::Pool;

use super::super::ground::Ground;
use super::super::lending;
use super::super::ticker::Place;
use super::super::times::nanos;
use super::super::waiting::Waiting;
use super::slice::Slice;
use crate::protocol::serving::Served;
use crate::workload::host::{self, BlockState};

/// A thread that calls.
pub(super) struct Caller<'a> {
    ground: &'a Arc<Ground>,
    pool: &'a Pool<BlockState>,
    waiting: Option<Waiting>,
    served: Served,
    /// Its CPU time is what calls are given, until it ends.
    _place: Place,
}

impl<'a> Caller<'a> {
    /// The calling thread calls from now on.
    ///
    /// # Errors
    /// When it has no clock, or no runtime for its host's futures.
    pub fn join(ground: &'a Arc<Ground>, pool: &'a Pool<BlockState>) -> Result<Self> {
        let (place, waiting) = (ground.executing.join()?, Waiting::of(&ground.spec.host)?);
        Ok(Self { ground, pool, waiting, served: Served::default(), _place: place })
    }

    /// Has each request answered once.
    ///
    /// # Errors
    /// When there is no place, or a call takes too long.
    pub fn call_each(mut self) -> Result<()> {
        (0..self.ground.trace.len()).try_for_each(|request| self.call(request, Instant::now()))
    }

    /// Calls until the slice is over, once at least, each request drawn anew: the requests of a workload are a mix already.
    ///
    /// # Errors
    /// As [`call_each`](Self::call_each).
    pub fn run(mut self, slice: &Slice, number: u32) -> Result<Served> {
        let requests = self.ground.trace.len();
        let mut random = ChaCha8Rng::seed_from_u64(slice.seed);
        random.set_stream(number.into());
        std::thread::sleep(slice.began.saturating_duration_since(Instant::now()));
        match &slice.arrivals {
            // One after the other, so that sessions see all of them soon.
            None if slice.settling => {
                let mut request = number as usize;
                while Instant::now() < slice.until {
                    self.call(request % requests, Instant::now())?;
                    request += 1;
                }
            }
            None => {
                self.call(random.random_range(0..requests), Instant::now())?;
                while Instant::now() < slice.until {
                    self.call(random.random_range(0..requests), Instant::now())?;
                }
            }
            Some(arrivals) => {
                while let Some((request, arrived)) = arrivals.take(slice.until) {
                    self.call(request, arrived)?;
                }
            }
        }
        Ok(self.served)
    }

    /// Has one request answered that arrived then.
    fn call(&mut self, request: usize, arrived: Instant) -> Result<()> {
        let waiting = self.waiting.as_ref();
        let mut session = lending::checkout(waiting, self.pool)?;
        let began = Instant::now();
        lending::begin(&mut session, request as u64, &self.ground.trace[request])?;
        let result = lending::view(&self.ground.spec.abi, waiting, &mut session);
        let answered = Instant::now();
        lending::give_back(waiting, session)?;
        let ready = Instant::now();
        self.served.failed += u64::from(result.is_err());
        self.served.latency.record(nanos(answered - arrived));
        self.served.waiting.record(nanos(began - arrived));
        self.served.service.record(nanos(answered - began));
        self.served.reset.record(nanos(ready - answered));
        let limit = self.ground.spec.timeout().as_secs_f32();
        let timed_out = result.is_err_and(|error| host::timed_out(&error));
        ensure!(
            !timed_out,
            "request {request} took more than {limit} s of CPU time: allow for more with --timeout"
        );
        Ok(())
    }
}
