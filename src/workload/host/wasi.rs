//! Commands of WASI preview 1: programs that read a block from standard input and write to standard output.
//!
//! Of what the preview has, this is what a program needs for that; there are no files, no arguments and no environment. Clocks count
//! how often they were asked, and random bytes follow from how many were asked for, so that a block comes to the same on every host.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use reset_strategies::Session;
use serde::{Deserialize, Serialize};
use wasmtime::{Caller, Linker, Result, format_err};

use super::state::Exit;
use super::{Abi, BlockState, Given, Interface, START, memory, runs_alone};
use crate::hosts::Calls;
use crate::workload::blocks::{self, Block, Trace};

/// A program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wasi;

/// The module that the functions are imported from.
const MODULE: &str = "wasi_snapshot_preview1";

/// What functions answer, by the numbers of the preview.
mod errno {
    pub const SUCCESS: i32 = 0;
    /// Not an open file.
    pub const BADF: i32 = 8;
    /// Not a file with places.
    pub const SPIPE: i32 = 70;
}

/// The files that are open.
mod fd {
    pub const STDIN: i32 = 0;
    pub const STDOUT: i32 = 1;
    pub const STDERR: i32 = 2;
}

impl Abi for Wasi {
    const NAME: &'static str = "wasi";

    const FUNCTIONS: &'static [(&'static str, &'static str)] = &[
        (MODULE, "args_get"),
        (MODULE, "args_sizes_get"),
        (MODULE, "clock_res_get"),
        (MODULE, "clock_time_get"),
        (MODULE, "environ_get"),
        (MODULE, "environ_sizes_get"),
        (MODULE, "fd_close"),
        (MODULE, "fd_fdstat_get"),
        (MODULE, "fd_prestat_dir_name"),
        (MODULE, "fd_prestat_get"),
        (MODULE, "fd_read"),
        (MODULE, "fd_seek"),
        (MODULE, "fd_write"),
        (MODULE, "proc_exit"),
        (MODULE, "random_get"),
        (MODULE, "sched_yield"),
    ];

    fn of(interface: &Interface, handler: Option<&str>) -> Result<Self, String> {
        if !interface.imports(|module, _| module == MODULE) {
            return Err(format!("it imports nothing from `{MODULE}`"));
        }
        // An indexer may have been compiled with a standard library that asks for these.
        if interface.imports(|module, name| super::Metashrew::FUNCTIONS.contains(&(module, name))) {
            return Err("it imports functions of metashrew's host".into());
        }
        runs_alone(interface, handler)?;
        Ok(Self)
    }

    fn entry(&self) -> Option<&'static str> {
        Some(START)
    }

    /// As they are: what a program reads is its own affair.
    fn read(&self, given: &Given<'_>) -> anyhow::Result<Trace> {
        given.without_height("a command of WASI")?;
        Ok(blocks::as_they_are(given.path, given.limit)?)
    }

    fn example(&self) -> anyhow::Result<Trace> {
        Ok(Trace::mainnet())
    }

    /// The block as it is.
    fn input(&self, block: &Block) -> Vec<u8> {
        block.bytes.to_vec()
    }

    fn execute(&self, session: &mut Session<BlockState>) -> Result<()> {
        session.execute()
    }

    async fn execute_async(&self, session: &mut Session<BlockState>) -> Result<()> {
        session.execute_async().await
    }

    fn link(&self, linker: &mut Linker<BlockState>, _: Calls) -> Result<()> {
        linker.func_wrap(MODULE, "fd_read", fd_read)?;
        linker.func_wrap(MODULE, "fd_write", fd_write)?;
        linker.func_wrap(MODULE, "fd_close", |_: i32| errno::SUCCESS)?;
        linker.func_wrap(MODULE, "fd_seek", |_: i32, _: i64, _: i32, _: i32| errno::SPIPE)?;
        linker.func_wrap(
            MODULE,
            "fd_fdstat_get",
            |mut caller: Caller<'_, BlockState>, file: i32, to: i32| {
                if !(fd::STDIN..=fd::STDERR).contains(&file) {
                    return Ok(errno::BADF);
                }
                // A character device without flags and with all rights, as a terminal is.
                let mut stat = [0; 24];
                stat[0] = 2;
                stat[8..16].fill(0xff);
                answer(&mut caller, to, &stat)
            },
        )?;
        // No folder is open.
        linker.func_wrap(MODULE, "fd_prestat_get", |_: i32, _: i32| errno::BADF)?;
        linker.func_wrap(MODULE, "fd_prestat_dir_name", |_: i32, _: i32, _: i32| errno::BADF)?;
        for (sizes, get) in [("args_sizes_get", "args_get"), ("environ_sizes_get", "environ_get")] {
            linker.func_wrap(
                MODULE,
                sizes,
                |mut caller: Caller<'_, BlockState>, count: i32, bytes: i32| {
                    answer(&mut caller, count, &[0; 4])?;
                    answer(&mut caller, bytes, &[0; 4])
                },
            )?;
            linker.func_wrap(MODULE, get, |_: i32, _: i32| errno::SUCCESS)?;
        }
        linker.func_wrap(
            MODULE,
            "clock_res_get",
            |mut caller: Caller<'_, BlockState>, _: i32, to: i32| {
                answer(&mut caller, to, &NANOSECONDS.to_le_bytes())
            },
        )?;
        linker.func_wrap(
            MODULE,
            "clock_time_get",
            |mut caller: Caller<'_, BlockState>, _: i32, _: i64, to: i32| {
                let time = caller.data_mut().asked() * NANOSECONDS;
                answer(&mut caller, to, &time.to_le_bytes())
            },
        )?;
        linker.func_wrap(
            MODULE,
            "random_get",
            |mut caller: Caller<'_, BlockState>, to: i32, length: i32| {
                let memory = memory(&mut caller)?;
                let (bytes, state) = memory.data_and_store_mut(&mut caller);
                let (to, length) = (to as u32 as usize, length as u32 as usize);
                let room = bytes.get_mut(to..to + length);
                let room = room.ok_or_else(|| {
                    format_err!("random_get: {length} bytes at {to:#x} do not lie in the guest's memory")
                })?;
                ChaCha8Rng::seed_from_u64(state.asked()).fill(room);
                Ok(errno::SUCCESS)
            },
        )?;
        linker.func_wrap(MODULE, "sched_yield", || errno::SUCCESS)?;
        linker.func_wrap(MODULE, "proc_exit", |code: i32| -> Result<()> { Err(Exit(code).into()) })?;
        Ok(())
    }
}

/// By how much clocks go on each time.
const NANOSECONDS: u64 = 1_000;

/// Writes an answer to where the guest looks for it.
fn answer(caller: &mut Caller<'_, BlockState>, to: i32, bytes: &[u8]) -> Result<i32> {
    let memory = memory(caller)?;
    memory.write(caller, to as u32 as usize, bytes)?;
    Ok(errno::SUCCESS)
}

/// The parts of memory that a list of addresses and lengths stands for.
fn parts(memory: &[u8], list: i32, count: i32) -> Result<Vec<(usize, usize)>> {
    let list = list as u32 as usize;
    let bytes = memory.get(list..list + 8 * count as u32 as usize);
    let bytes = bytes
        .ok_or_else(|| format_err!("a list of {count} buffers at {list:#x} does not lie in the memory"))?;
    let pairs = bytes.as_chunks::<8>().0.iter().map(|&[a, b, c, d, rest @ ..]| {
        (u32::from_le_bytes([a, b, c, d]) as usize, u32::from_le_bytes(rest) as usize)
    });
    let parts: Vec<_> = pairs.collect();
    match parts.iter().find(|(at, length)| at + length > memory.len()) {
        Some((at, length)) => Err(format_err!("{length} bytes at {at:#x} do not lie in the guest's memory")),
        None => Ok(parts),
    }
}

fn fd_read(mut caller: Caller<'_, BlockState>, file: i32, list: i32, count: i32, read: i32) -> Result<i32> {
    if file != fd::STDIN {
        return Ok(errno::BADF);
    }
    let memory = memory(&mut caller)?;
    let (bytes, state) = memory.data_and_store_mut(&mut caller);
    let mut taken = 0;
    for (at, length) in parts(bytes, list, count)? {
        let rest = state.next(length);
        bytes[at..at + rest.len()].copy_from_slice(rest);
        taken += rest.len() as u32;
    }
    memory.write(&mut caller, read as u32 as usize, &taken.to_le_bytes())?;
    Ok(errno::SUCCESS)
}

fn fd_write(
    mut caller: Caller<'_, BlockState>,
    file: i32,
    list: i32,
    count: i32,
    written: i32,
) -> Result<i32> {
    let memory = memory(&mut caller)?;
    let (bytes, state) = memory.data_and_store_mut(&mut caller);
    let mut taken = 0;
    for (at, length) in parts(bytes, list, count)? {
        let part = &bytes[at..at + length];
        match file {
            fd::STDOUT => state.flushed(&[part]),
            fd::STDERR => state.log_more(part),
            _ => return Ok(errno::BADF),
        }
        taken += length as u32;
    }
    memory.write(&mut caller, written as u32 as usize, &taken.to_le_bytes())?;
    Ok(errno::SUCCESS)
}
