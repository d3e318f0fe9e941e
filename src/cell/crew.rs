//! Several sessions at once in one process: one engine, and a thread, a store and an instance for each.
//!
//! The first session lives on the calling thread, so that a crew of one is nothing but a [`Cell`].

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::thread;

use anyhow::{Context, Result, anyhow, bail};

use super::ground::Ground;
use super::requests::handle;
use super::session::Cell;
use super::times::Stages;
use crate::protocol::{Ready, Reply, Request};

/// The sessions of a child.
pub struct Crew {
    lead: Cell,
    mates: Vec<Mate>,
    /// Where all wait for each other before they begin.
    start: Arc<Barrier>,
}

/// A session on another thread, which ends when its requests do.
struct Mate {
    requests: Sender<Request>,
    replies: Receiver<Result<Reply>>,
}

impl Crew {
    /// Starts as many sessions as the ground has threads; the stages are those of the first.
    ///
    /// # Errors
    /// When one of them cannot start.
    pub fn start(ground: Arc<Ground>, stages: &mut Stages) -> Result<Self> {
        let lead = Cell::on(&ground, stages)?;
        lead.set_busy(false);
        let threads = ground.threads().max(1);
        let start = Arc::new(Barrier::new(threads as usize));
        let mates = (1..threads).map(|_| Mate::start(&ground, &start)).collect::<Result<_>>()?;
        Ok(Self { lead, mates, start })
    }

    /// Has all sessions do the same at once.
    ///
    /// # Errors
    /// When any of them fails.
    pub fn handle(&mut self, request: &Request) -> Result<Reply> {
        if self.mates.is_empty() || matches!(request, Request::Observe { .. }) {
            return busy(&mut self.lead, request);
        }
        for mate in &self.mates {
            mate.requests.send(request.clone()).map_err(|_| gone())?;
        }
        self.start.wait();
        let own = busy(&mut self.lead, request);
        // All are waited for, whatever one of them says: the next request must find them ready.
        let others: Vec<_> = self.mates.iter().map(|mate| mate.replies.recv().map_err(|_| gone())).collect();
        others.into_iter().try_fold(own?, |all, other| merge(all, other??))
    }
}

impl Mate {
    fn start(ground: &Arc<Ground>, start: &Arc<Barrier>) -> Result<Self> {
        let (requests, asked) = channel::<Request>();
        let (answers, replies) = channel();
        let (ground, start) = (ground.clone(), start.clone());
        thread::Builder::new().name("session".into()).spawn(move || {
            // Whoever asked may be gone by now, which ends this thread as well.
            let (mut cell, mut heard) = match Cell::on(&ground, &mut Stages::here()) {
                Ok(cell) => {
                    cell.set_busy(false);
                    (cell, answers.send(Ok(Reply::Ready(Ready::new(Vec::new())))).is_ok())
                }
                Err(error) => return drop(answers.send(Err(error))),
            };
            while let (true, Ok(request)) = (heard, asked.recv()) {
                start.wait();
                heard = answers.send(busy(&mut cell, &request)).is_ok();
            }
        })?;
        replies.recv().map_err(|_| gone())?.context("another session of this process")?;
        Ok(Self { requests, replies })
    }
}

/// Does what is asked. Only meanwhile does the thread's CPU time count: while it waits, that of the others goes on.
fn busy(cell: &mut Cell, request: &Request) -> Result<Reply> {
    cell.set_busy(true);
    let reply = handle(cell, request);
    cell.set_busy(false);
    reply
}

fn gone() -> anyhow::Error {
    anyhow!("a thread of this process ended early")
}

/// Lays the answers of two sessions together.
fn merge(all: Reply, other: Reply) -> Result<Reply> {
    Ok(match (all, other) {
        (Reply::Timed(mut all), Reply::Timed(other)) => {
            all.lead_in.extend(other.lead_in);
            all.execute.extend(other.execute);
            all.reset.extend(other.reset);
            all.learning.add(other.learning);
            Reply::Timed(all)
        }
        (Reply::Counted(mut counts), Reply::Counted(more)) => {
            for (count, more) in counts.iter_mut().zip(more) {
                count.samples.extend(more.samples);
            }
            Reply::Counted(counts)
        }
        (Reply::GuestStacks(mut all), Reply::GuestStacks(other)) => {
            all.0.extend(other.0);
            Reply::GuestStacks(all)
        }
        (Reply::Verified(mut all), Reply::Verified(other)) => {
            all.blocks += other.blocks;
            all.difference = all.difference.or(other.difference);
            all.consequence = all.consequence.or(other.consequence);
            all.not_run = all.not_run.or(other.not_run);
            all.unjudged = all.unjudged.or(other.unjudged);
            all.peak_rss = all.peak_rss.max(other.peak_rss);
            Reply::Verified(all)
        }
        (Reply::Ran(blocks), Reply::Ran(more)) => Reply::Ran(blocks + more),
        (Reply::Followed(mut all), Reply::Followed(other)) => {
            all.extend(other);
            Reply::Followed(all)
        }
        (all, other) => bail!("two sessions disagree: {all:?} and {other:?}"),
    })
}
