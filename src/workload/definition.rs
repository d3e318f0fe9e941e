//! `workload.toml`: a guest's folder says what it is run with and why.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use reset_strategies::module::{with_image, with_initial_pages};
use serde::Deserialize;
use serde_json::Value;

use super::Workload;
use super::blocks::{Block, Trace, firehose};
use super::filled::Filled;
use super::host::Spoken;
use super::requests::{Made, Viewed};
use crate::measure::row::Params;

/// A workload before its parameters and blocks are settled.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// `group/name`.
    pub name: String,
    /// `indexer`, `view`, `stress` or `foreign`.
    pub category: String,
    /// File name of the prebuilt module.
    pub module: String,
    /// What it does, in a line.
    pub summary: String,
    /// Why it is here.
    pub reason: String,
    /// Where its blocks come from.
    pub trace: TraceDefinition,
    /// Parameters with their defaults.
    #[serde(default)]
    pub params: Params,
    /// Parameters that differ under `--profile quick` and `smoke`, where the whole run has to be short.
    #[serde(default)]
    pub quick: Params,
    /// A literal input and what is flushed for it.
    pub expect: Expect,
}

/// Where the blocks of a workload come from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceDefinition {
    /// Bitcoin blocks of the main network, as they are or as another chain's tools have them, requests that are made of them, or
    /// words made of the parameters.
    pub kind: TraceKind,
    /// The views that requests are for.
    #[serde(default)]
    pub views: Vec<Viewed>,
    /// The parameters that follow the height, each as a 32-bit little-endian word.
    #[serde(default)]
    pub words: Vec<String>,
    /// How many blocks a trace of words has, or how many requests.
    #[serde(default = "word_blocks")]
    pub length: u32,
    /// Keys of the host's store and the parameters whose decimals they hold.
    #[serde(default)]
    pub store: BTreeMap<String, String>,
}

/// Kinds of input.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum TraceKind {
    /// Consensus-serialised blocks.
    Bitcoin,
    /// The same blocks as protobuf messages, of each the first `transactions`.
    Firehose,
    /// Requests to views of the module, once it has stored what it makes of the blocks.
    Requests,
    /// 32-bit words.
    Words,
}

/// What a guest flushes for a literal input, or answers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The input, in hex.
    pub input: String,
    /// Parameters that differ from the defaults.
    #[serde(default)]
    pub params: Params,
    /// SHA-256 of all flushed bytes, or of the answer, in hex.
    pub flush_sha256: String,
}

/// Blocks of a trace of words, unless it says: enough for a rotating footprint to move on.
fn word_blocks() -> u32 {
    8
}

/// Where an added image begins: behind the stack and the data of the guest, whose arena lies there.
const IMAGE_AT: u32 = 2 << 20;

/// Bytes of which no page is all zeros, nor any two alike.
fn image(kib: u64) -> Vec<u8> {
    (1..=kib * 128).flat_map(|word| word.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).collect()
}

impl Definition {
    /// Reads a definition.
    ///
    /// # Errors
    /// When the text is not of this form, with the line.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(toml::from_str(text)?)
    }

    /// The parameters: defaults, then the profile's, then the user's. Unknown names are for other workloads.
    pub fn params(&self, quick: bool, chosen: &Params) -> Params {
        let mut params = self.params.clone();
        if let Some(bytes) = params.get_mut("page_bytes") {
            *bytes = reset_strategies::sys::page::size().into();
        }
        if quick {
            params.extend(self.quick.clone());
        }
        for (name, value) in chosen {
            if let Some(param) = params.get_mut(name) {
                param.clone_from(value);
            }
        }
        params
    }

    /// Settles the parameters and the blocks; `given` replaces Bitcoin blocks by the user's.
    ///
    /// # Errors
    /// When a parameter is missing or is no number.
    pub fn workload(&self, module: &[u8], params: Params, given: Option<&Trace>) -> Result<Workload> {
        let host = |name: &str| params.get(name).and_then(Value::as_u64).filter(|&value| value > 0);
        let mut module = module.to_vec();
        if let Some(pages) = host("memory_pages") {
            module = with_initial_pages(&module, pages)?;
        }
        if let Some(kib) = host("image_kib") {
            module = with_image(&module, IMAGE_AT, &image(kib))?;
        }
        let module: Arc<[u8]> = module.into();
        let mut filled = None;
        let mut abi = Spoken::by(&module, None).with_context(|| self.module.clone())?;
        let blocks = || given.cloned().unwrap_or_else(Trace::mainnet);
        let (trace, heights) = match self.trace.kind {
            TraceKind::Words => {
                let usual = self.words(&params)?;
                let spike = host("spike").map(|dirty| {
                    let mut spiked = params.clone();
                    spiked.insert("dirty".into(), dirty.into());
                    self.words(&spiked)
                });
                let first = spike.transpose()?.unwrap_or_else(|| usual.clone());
                let words = |height| if height == 0 { &first[..] } else { &usual };
                let words = (0..self.trace.length)
                    .map(|height| [&height.to_le_bytes(), words(height)].concat().into())
                    .collect();
                (words, None)
            }
            TraceKind::Bitcoin => {
                let trace = blocks();
                (inputs(&abi, &trace.blocks), trace.heights())
            }
            TraceKind::Requests => {
                let blocks = blocks().blocks;
                let most_kib =
                    u32::try_from(host("grow_kib").unwrap_or(0)).context("parameter `grow_kib`")?;
                let made = Made::of(&blocks, self.number(&params, "seed")?, most_kib)?;
                let requests = made.requests(&self.trace.views, self.trace.length)?;
                filled = Some(Filled::by(module.clone(), abi.clone(), inputs(&abi, &blocks)));
                let exports: Vec<_> = self.trace.views.iter().map(|view| view.export().to_owned()).collect();
                abi = Spoken::views(&module, &exports).with_context(|| self.module.clone())?;
                (requests, None)
            }
            TraceKind::Firehose => {
                let trace = blocks();
                let most = usize::try_from(self.number(&params, "transactions")?)?;
                let messages: Vec<_> = trace
                    .blocks
                    .iter()
                    .map(|block| firehose::message(block, most))
                    .collect::<Result<_, _>>()?;
                (inputs(&abi, &messages), trace.heights())
            }
        };
        let store = self
            .trace
            .store
            .iter()
            .map(|(key, param)| Ok((key.clone(), self.number(&params, param)?.to_string())))
            .collect::<Result<_>>()?;
        Ok(Workload {
            name: self.name.clone(),
            category: self.category.clone(),
            summary: self.summary.clone(),
            module,
            abi,
            trace,
            heights,
            store,
            filled,
            threads: host("threads").map_or(Ok(1), u32::try_from).context("parameter `threads`")?,
            params,
        })
    }

    fn words(&self, params: &Params) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for name in &self.trace.words {
            let value = self.number(params, name)?;
            let word = u32::try_from(value).with_context(|| {
                format!("{}: parameter `{name}` = {value} does not fit 32 bits", self.name)
            })?;
            bytes.extend(word.to_le_bytes());
        }
        Ok(bytes)
    }

    fn number(&self, params: &Params, name: &str) -> Result<u64> {
        match params.get(name) {
            Some(value) => value.as_u64().with_context(|| {
                format!("{}: parameter `{name}` = {value} is not a whole number", self.name)
            }),
            None => bail!("{}: parameter `{name}` has no default in workload.toml", self.name),
        }
    }
}

/// What the guest is given for each block.
pub fn inputs(abi: &Spoken, blocks: &[Block]) -> Vec<Arc<[u8]>> {
    blocks.iter().map(|block| abi.input(block).into()).collect()
}
