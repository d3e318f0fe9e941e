//! Serving: callers on threads of their own, over a pool of sessions of one module and a filled store.

mod arrivals;
mod caller;
mod counts;
mod indexer;
mod slice;

use std::sync::Arc;
use std::thread::{self, ScopedJoinHandle};
use std::time::Instant;

use anyhow::{Result, anyhow, bail};
use reset_strategies::pool::Pool;

use self::caller::Caller;
use self::indexer::Indexer;
use self::slice::Slice;
use super::ground::Ground;
use super::times::{Stages, nanos};
use crate::protocol::serving::{Serve, Served};
use crate::protocol::{Reply, Request};
use crate::workload::host::BlockState;

/// A pool, and who calls.
pub struct Server {
    ground: Arc<Ground>,
    pool: Pool<BlockState>,
    /// Once it was asked for.
    indexer: Option<Indexer>,
}

impl Server {
    /// Makes a pool of so many places, and answers each request once.
    ///
    /// # Errors
    /// When the pool cannot be made, or a call takes too long.
    pub fn start(ground: Arc<Ground>, places: u32, stages: &mut Stages) -> Result<Self> {
        let pool = ground.pool(places)?;
        stages.end("pool");
        Caller::join(&ground, &pool)?.call_each()?;
        stages.end("first-calls");
        Ok(Self { ground, pool, indexer: None })
    }

    /// Does what is asked.
    ///
    /// # Errors
    /// When it is no serving, or a call takes too long or finds no place.
    pub fn handle(&mut self, request: &Request) -> Result<Reply> {
        match request {
            Request::Serve(serve) => {
                if serve.indexing && self.indexer.is_none() {
                    self.indexer = Some(Indexer::start(&self.ground)?);
                }
                Ok(Reply::Served(Box::new(self.serve(*serve)?)))
            }
            other => bail!("a child that serves was asked for {other:?}"),
        }
    }

    /// Has all callers call for as long as is asked.
    fn serve(&self, serve: Serve) -> Result<Served> {
        let slice = &Slice::new(serve, self.ground.trace.len());
        let (ground, pool) = (&self.ground, &self.pool);
        thread::scope(|scope| {
            let start = |number| {
                let call = move || Caller::join(ground, pool)?.run(slice, number);
                thread::Builder::new().name("caller".into()).spawn_scoped(scope, call)
            };
            let callers: Vec<ScopedJoinHandle<'_, Result<Served>>> =
                (0..serve.callers).map(start).collect::<std::io::Result<_>>()?;
            let indexer = self.indexer.as_ref().filter(|_| serve.indexing);
            let blocks = indexer.map(|indexer| scope.spawn(move || indexer.run(slice)));
            thread::sleep(slice.began.saturating_duration_since(Instant::now()));
            let before = counts::now()?;
            let mut all = Served::default();
            for caller in callers {
                all.add(&caller.join().map_err(|_| anyhow!("a caller panicked"))??);
            }
            all.elapsed_ns = nanos(slice.began.elapsed());
            if let Some(blocks) = blocks {
                all.blocks = blocks.join().map_err(|_| anyhow!("the indexer panicked"))??;
            }
            all.counts = counts::now()?.since(&before);
            all.left = slice.arrivals.as_ref().map_or(0, |arrivals| arrivals.left() as u64);
            all.places = pool.metrics().places as u64;
            Ok(all)
        })
    }
}
