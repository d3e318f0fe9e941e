//! Claims about views whose instance is kept from call to call, without a reset.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use reset_strategies::{Options, Session};
use tokio::runtime::{Builder, Runtime};

use super::guest::Guest;
use super::resets::within;
use super::{Finding, Lab, Measure, Verdict};
use crate::hosts::{self, Host};
use crate::measure::row::Unit;
use crate::startup::report::Spread;
use crate::workload::host::BlockState;

pub(super) const MEASURES: &[(&str, Measure)] =
    &[("unreset-views-are-faster", faster), ("unreset-views-answer-alike", alike)];

/// A view like that of the benchmark, which is claimed to take a sixth of the time: it reads as many entries of one byte and
/// answers with all of them. `view` keeps what it has read, as guests of metashrew do; `rereads` does not.
///
/// An arraybuffer is its length before its bytes: the key at 20, and the answer at 1028. From 4096 on there is a mark for each
/// entry that was read, and from 8192 on what was read.
const VIEW: &str = r#"(module
  (import "env" "__get_len" (func $length (param i32) (result i32)))
  (import "env" "__get" (func $get (param i32 i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "\04\00\00\00")
  (data (i32.const 1024) "\e8\03\00\00")
  (func $answer (param $keeps i32) (result i32) (local $entry i32)
    (loop $next
      (if (i32.eqz (i32.and (local.get $keeps) (i32.load8_u offset=4096 (local.get $entry)))) (then
        (i32.store (i32.const 20) (local.get $entry))
        (if (i32.eq (call $length (i32.const 20)) (i32.const 1)) (then
          (call $get (i32.const 20) (i32.add (i32.const 8192) (local.get $entry)))))
        (i32.store8 offset=4096 (local.get $entry) (i32.const 1))))
      (i32.store8 offset=1028 (local.get $entry) (i32.load8_u offset=8192 (local.get $entry)))
      (local.set $entry (i32.add (local.get $entry) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $entry) (i32.const 1000))))
    (i32.const 1028))
  (func (export "view") (result i32) (call $answer (i32.const 1)))
  (func (export "rereads") (result i32) (call $answer (i32.const 0))))"#;

const ENTRIES: u32 = 1000;

/// Calls behind a total, as stated.
const CALLS: usize = 50;

/// Totals of each way.
const LAUNCHES: usize = 5;

/// The entry that a block changes.
const CHANGED: u32 = 7;

/// What comes between two calls.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Between {
    /// A new linker, store and instance.
    Anew,
    /// What the strategy does.
    Reset,
    Nothing,
}

/// A way to answer views.
struct Way {
    guest: Guest,
    between: Between,
    view: &'static str,
}

impl Way {
    fn new(strategy: &str, between: Between, view: &'static str) -> Result<Self> {
        let guest = Guest::new(strategy, &wat::parse_str(VIEW)?, options()?)?;
        for entry in 0..ENTRIES {
            guest.store.lock().insert(entry.to_le_bytes().into(), [1].into());
        }
        Ok(Self { guest, between, view })
    }

    async fn started(&self) -> Result<Session<BlockState>> {
        let Guest { plan, module, .. } = &self.guest;
        Ok(plan.start_async(module, &self.guest.linker()?, self.guest.state()).await?)
    }

    /// Answers as often as is stated, in nanoseconds of all.
    fn total(&self, runtime: &Runtime) -> Result<u64> {
        runtime.block_on(async {
            let began = Instant::now();
            let mut kept = None;
            for _ in 0..CALLS {
                let mut session = match kept.take().filter(|_| self.between != Between::Anew) {
                    Some(session) => session,
                    None => self.started().await?,
                };
                let answer = answer(&mut session, self.view).await?;
                ensure!(answer.iter().all(|&byte| byte == 1), "a view has answered something else");
                if self.between == Between::Reset {
                    session.reset_async().await?;
                }
                kept = Some(session);
            }
            Ok(u64::try_from(began.elapsed().as_nanos())?)
        })
    }

    /// The entry that a block changes, as views see it that are called before and after.
    fn before_and_after(&self, runtime: &Runtime) -> Result<[u8; 2]> {
        runtime.block_on(async {
            let mut session = self.started().await?;
            let before = answer(&mut session, self.view).await?[CHANGED as usize];
            if self.between == Between::Reset {
                session.reset_async().await?;
            }
            self.guest.store.lock().insert(CHANGED.to_le_bytes().into(), [2].into());
            let after = answer(&mut session, self.view).await?[CHANGED as usize];
            Ok([before, after])
        })
    }
}

/// As metashrew runs views.
fn options() -> Result<Options> {
    let host = hosts::find("metashrew-view").map_err(anyhow::Error::msg)?;
    Ok(Options { entry: None, ..host.options() })
}

fn runtime() -> Result<Runtime> {
    Builder::new_current_thread().build().context("no runtime for futures")
}

/// Calls a view, and reads what it answers.
async fn answer(session: &mut Session<BlockState>, view: &str) -> Result<Vec<u8>> {
    let at: i32 = session.call_async(view, ()).await?;
    let instance = session.instance()?;
    let mut store = session.store_mut()?;
    let memory = instance.get_memory(&mut store, "memory").context("the guest exports its memory")?;
    let mut answer = vec![0; ENTRIES as usize];
    memory.read(&store, usize::try_from(at)?, &mut answer)?;
    Ok(answer)
}

/// Resets that are right, and that a machine may lack.
const RIGHT: [&str; 2] = ["adaptive/hot-cold", "dirty/pagemap-scan"];

fn faster(_: &mut Lab<'_>) -> Result<Finding> {
    let runtime = runtime()?;
    let mut ways = vec![
        ("", Way::new("fresh/relink", Between::Anew, "view")?),
        ("kept without a reset", Way::new("control/none", Between::Nothing, "view")?),
        ("the same, with a guest that reads again", Way::new("control/none", Between::Nothing, "rereads")?),
    ];
    let mut missing = String::new();
    for strategy in RIGHT {
        match Way::new(strategy, Between::Reset, "view") {
            Ok(way) => ways.push((strategy, way)),
            Err(error) => missing = format!("{missing}; {error:#}"),
        }
    }
    let mut totals = vec![Vec::new(); ways.len()];
    // Interleaved, so that whatever the machine does meanwhile is done to all.
    for _ in 0..LAUNCHES {
        for ((_, way), totals) in ways.iter().zip(&mut totals) {
            totals.push(way.total(&runtime)?);
        }
    }
    let samples = totals.concat();
    let spreads = totals.into_iter().map(|totals| Spread::of(totals).context("there are launches"));
    let spreads = spreads.collect::<Result<Vec<_>>>()?;
    let anew = spreads[0];
    let told: Vec<_> =
        ways.iter().zip(&spreads).skip(1).map(|((name, _), spread)| (*name, *spread)).collect();
    let ratio =
        |(name, spread): &(&str, Spread)| format!("{name}: {spread}, faster by {}", anew.over(*spread));
    let (unreset, right) = told.split_at(2);
    let words = |ways: &[(&str, Spread)]| ways.iter().map(ratio).collect::<Vec<_>>().join("; ");
    let measured = format!(
        "{CALLS} calls of a view that reads {ENTRIES} entries take {anew} with a new linker, store and instance each; {}. What \
         is saved is the instance where a guest reads again, and what it would have read where it keeps that, so that it \
         depends on the guest; and what it keeps is out of date after the next block (unreset-views-answer-alike). Where it is \
         reset in place, which is right, {}{missing}",
        words(unreset),
        words(right),
    );
    // Within a third of what is stated, in thousandths.
    let gains: Vec<u64> = unreset.iter().map(|(_, kept)| anew.p50 * 1000 / kept.p50.max(1)).collect();
    let verdict = match within(&gains, 4180..=8360) {
        Verdict::DoesNotHold if gains.iter().any(|&gain| gain > 1000) => Verdict::Depends,
        verdict => verdict,
    };
    Ok(Finding::new(verdict, measured).with(Unit::Nanoseconds, samples))
}

fn alike(lab: &mut Lab<'_>) -> Result<Finding> {
    let runtime = runtime()?;
    let kept = Way::new("control/none", Between::Nothing, "view")?.before_and_after(&runtime)?;
    let right = Way::new("copy/full", Between::Reset, "view")?.before_and_after(&runtime)?;
    let mut words = Vec::new();
    let mut wrong = u64::from(kept != right);
    for workload in ["indexer/blocktracker", "indexer/utxo"] {
        let difference = lab.difference_on(<&Host>::default(), "control/none", workload)?;
        wrong += u64::from(difference.is_some());
        words.push(format!("{workload}: {}", difference.as_deref().unwrap_or("equal to fresh instances")));
    }
    let measured = format!(
        "a block changes an entry from {} to {} between two views: a kept instance answers {} after it, and one that was reset \
         {}. The verifier says of blocks without a reset: {}",
        right[0],
        right[1],
        kept[1],
        right[1],
        words.join("; ")
    );
    Ok(Finding::new(Verdict::holds_if(wrong == 0), measured).with(Unit::Count, vec![wrong]))
}
