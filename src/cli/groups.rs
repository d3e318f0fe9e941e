//! Options that several verbs share.

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, RangedU64ValueParser, TypedValueParser};
use clap::{Args, ValueEnum};

use crate::hosts::{self, Host};
use crate::workload::Workload;
use crate::workload::host::Spoken;
use crate::workload::requests::Asked;

/// Which strategies and workloads.
#[derive(Debug, Default, Args)]
pub struct Filter {
    /// Only these strategies: a name, a family (`dirty`), or a pattern (`*/madvise*`). Can be repeated. `run` adds
    /// the baseline and the floor. An arm of another strategy is measured only where a name or a pattern matches it.
    #[arg(short, long = "strategy", value_name = "PATTERN")]
    pub strategies: Vec<String>,

    /// Only these workloads: a name, a group (`indexer`), or a pattern. Can be repeated.
    #[arg(short, long = "workload", value_name = "PATTERN")]
    pub workloads: Vec<String>,
}

/// The user's own indexer and blocks.
#[derive(Clone, Debug, Default, Args)]
pub struct Own {
    /// Run this module, binary or text (.wat), instead of the bundled ones. It must speak the ABI of metashrew or of
    /// Substreams' handlers, or be a command of WASI preview 1 that reads the block from standard input.
    #[arg(long, value_name = "FILE")]
    pub module: Option<PathBuf>,

    /// The function of a Substreams module that is to run, such as `store_transfers`, where it has several. It is given the block,
    /// and nothing else.
    #[arg(long, value_name = "EXPORT", requires = "module")]
    pub handler: Option<String>,

    /// Ask a view of the module instead of running blocks; blocks fill the store that it answers from. A view is an export of type
    /// () -> i32: it loads the height (4 bytes, little-endian, that of the last block) and the request, and returns the address
    /// of its answer, whose length is the u32 before it. The request is hex, or those of a file: on each line one in hex, or the
    /// whole file where it is no text; EXPORT alone is one empty request. `balance*3=@FILE` asks each three times. Can be
    /// repeated; the requests of several are spread evenly among each other.
    #[arg(
        long = "view",
        value_name = "EXPORT=HEX|@FILE",
        requires = "module",
        conflicts_with = "handler",
        value_parser = OsStringValueParser::new().try_map(Asked::parse)
    )]
    pub views: Vec<Asked>,

    /// Refuse a module that imports functions which this host does not offer. Without this, as with metashrew, such a function
    /// traps when it is called, and the block fails.
    #[arg(long, requires = "module")]
    pub strict_imports: bool,

    /// Give indexers these blocks: a file or folder of raw or hex blocks, or Bitcoin Core's blk*.dat files; packed with
    /// gzip, zstd or xz, or not. They get the heights that their coinbases state, in the order of their chain. All other modules
    /// than metashrew's are given each file as it is, packed or not, in the order of their names.
    #[arg(long, value_name = "PATH")]
    pub blocks: Option<PathBuf>,

    /// Begin at the block of this height. Where none of them states it, the first block is given it, whatever it states.
    #[arg(long, value_name = "N", requires = "blocks")]
    pub start_height: Option<u32>,

    /// Use at most so many of these blocks.
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub limit: usize,
}

/// Whose settings everything runs under.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct OnHost {
    /// Run everything as that host does, such as `metashrew`: its engine settings, its kind of calls, and its own way of making
    /// an instance as the baseline. `resetbench list` shows all. Unless it is given: `metashrew`, or `metashrew-view` where all
    /// that is run is views.
    #[arg(long, value_name = "NAME", value_parser = hosts::find)]
    pub host: Option<&'static Host>,
}

impl OnHost {
    /// The host that is asked for, or the one that such workloads have.
    pub fn of(self, workloads: &[Workload]) -> &'static Host {
        let views = |workload: &Workload| matches!(workload.abi, Spoken::View(_));
        self.host.unwrap_or_else(|| match workloads {
            [_, ..] if workloads.iter().all(views) => hosts::views(),
            _ => Default::default(),
        })
    }
}

/// What a verb that measures writes and prints.
#[derive(Clone, Debug, Default, Args)]
pub struct Output {
    /// Where to write; a name in use is never overwritten, the next free one is taken.
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,

    /// Print the results as JSON.
    #[arg(long)]
    pub json: bool,

    /// Say nothing but results and warnings.
    #[arg(short, long)]
    pub quiet: bool,
}

/// How a verb prints what it finds.
#[derive(Debug, Args)]
pub struct Form {
    /// How to print it.
    #[arg(long, value_enum, default_value = "text")]
    pub format: Spelling,

    /// Print JSON; the same as `--format json`.
    #[arg(long)]
    pub json: bool,
}

impl Form {
    /// What is asked for by either option.
    pub fn spelling(&self) -> Spelling {
        if self.json { Spelling::Json } else { self.format }
    }
}

/// A way to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Spelling {
    /// For a terminal.
    Text,
    /// For a page.
    Markdown,
    /// For a program.
    Json,
}
