//! The parent's side: files made ahead of time, and one child per startup.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use procfs::process::Process;
use reset_strategies::module::{self, Facts};
use reset_strategies::{Plan, registry};
use wasm_encoder::reencode::Reencode;
use wasm_encoder::{CodeSection, CustomSection, Function};
use wasmparser::CodeSectionReader;

use super::child::{Spec, Started};
use super::{Path, snapshot};
use crate::cell::cache;
use crate::determinism::Environment;
use crate::hosts;
use crate::launch::program::Program;
use crate::machine::clock;

/// The hidden verb under which the binary is such a child.
pub const START_VERB: &str = "start";

/// The strategy of startups that commit memory: it keeps it.
const KEEPING: &str = "copy/full";

/// The strategy of a startup: what indexers ship, unless memory is committed, which that would drop.
pub fn strategy(commit_bytes: u64) -> &'static str {
    if commit_bytes > 0 { KEEPING } else { registry::BASELINE }
}

/// A module in all the forms that startups begin with.
#[derive(Clone, Debug)]
pub struct Files {
    folder: PathBuf,
}

/// A startup as seen from both sides.
#[derive(Clone, Debug)]
pub struct Launched {
    pub started: Started,
    /// VmRSS of the child and its reserved huge pages, read from outside.
    pub rss_bytes: Option<u64>,
}

impl Files {
    /// Writes the module, its snapshot, and both compiled.
    ///
    /// # Errors
    /// When the module does not compile, or a file cannot be written.
    pub fn prepare(folder: PathBuf, wasm: &[u8]) -> Result<Self> {
        let files = Self { folder };
        std::fs::create_dir_all(files.cache())?;
        files.write("module", wasm)?;
        files.write("snapshot", &snapshot::pre_initialised(wasm)?)?;
        Ok(files)
    }

    fn write(&self, name: &str, wasm: &[u8]) -> Result<()> {
        std::fs::write(self.path(name, "wasm"), wasm)?;
        std::fs::write(self.path(name, "outline.wasm"), outline(wasm)?)?;
        for strategy in [KEEPING, registry::BASELINE] {
            let found = registry::find(strategy).context("the strategy of startups")?;
            let plan = Plan::new(found, wasm, hosts::plain().options())?;
            // Into the engine cache too, which a second start would find filled.
            let (module, _) = cache::module(&self.cache(), &plan.engine()?, plan.wasm())?;
            std::fs::write(self.compiled(name, strategy), module.serialize()?)?;
        }
        Ok(())
    }

    /// Strategies differ in their engines' settings, and with it in what they can load.
    fn compiled(&self, name: &str, strategy: &str) -> PathBuf {
        self.path(name, &format!("{}.cwasm", strategy.replace('/', "-")))
    }

    fn cache(&self) -> PathBuf {
        self.folder.join("cache")
    }

    fn path(&self, name: &str, extension: &str) -> PathBuf {
        self.folder.join(format!("{name}.{extension}"))
    }

    /// What a child is told.
    pub fn spec(&self, path: Path, policy: &str, commit_bytes: u64) -> Spec {
        let name = if path == Path::Snapshot { "snapshot" } else { "module" };
        let wasm = match path {
            Path::Jit | Path::EngineCache => "wasm",
            Path::Precompiled | Path::Snapshot => "outline.wasm",
        };
        Spec {
            strategy: strategy(commit_bytes).into(),
            path,
            policy: policy.into(),
            commit_bytes,
            wasm: self.path(name, wasm),
            compiled: self.compiled(name, strategy(commit_bytes)),
            cache: self.cache(),
            started_ns: 0,
        }
    }
}

/// The module with empty function bodies: what a plan wants to know, without three megabytes to read through.
///
/// Right only for modules whose code neither changes tables nor drops segments, which is made sure of here.
fn outline(wasm: &[u8]) -> Result<Vec<u8>> {
    struct Empty;
    impl Reencode for Empty {
        type Error = std::convert::Infallible;

        fn parse_code_section(
            &mut self,
            code: &mut CodeSection,
            section: CodeSectionReader<'_>,
        ) -> Result<(), wasm_encoder::reencode::Error<Self::Error>> {
            for _ in 0..section.count() {
                let mut body = Function::new([]);
                body.instructions().unreachable().end();
                code.function(&body);
            }
            Ok(())
        }
    }
    let mut outline = wasm_encoder::Module::new();
    Empty.parse_core_module(&mut outline, wasmparser::Parser::new(0), wasm)?;
    let whole = Facts::read(wasm)?;
    let origin = module::origin(wasm, &whole).to_le_bytes();
    outline.section(&CustomSection { name: module::ORIGIN_SECTION.into(), data: (&origin[..]).into() });
    let outline = outline.finish();
    let short = Facts::read(&outline)?;
    let same = whole.tables == short.tables && whole.data == short.data && whole.elements == short.elements;
    if !same {
        bail!("the module's code changes tables or drops segments: its outline would hide that");
    }
    Ok(outline)
}

/// Starts a child, looks at it, and ends it.
///
/// # Errors
/// When no child can be started, or it fails; with its own words.
pub fn launch(program: &Program, mut spec: Spec) -> Result<Launched> {
    spec.started_ns = clock::monotonic_ns();
    let mut command = crate::launch::child(program, START_VERB, &spec)?;
    // Without a limit: what is wanted is that the OOM killer takes the child and not the suite.
    Environment::AS_FOUND.confine(&mut command)?;
    let mut child = command.spawn().context("cannot start a child")?;
    let input = child.stdin.take().context("the child's standard input")?;
    let mut output = BufReader::new(child.stdout.take().context("the child's standard output")?);
    let mut line = String::new();
    output.read_line(&mut line)?;
    let rss_bytes = resident(child.id());
    drop(input);
    let status = child.wait()?;
    if line.is_empty() {
        let mut said = String::new();
        if let Some(mut errors) = child.stderr.take() {
            errors.read_to_string(&mut said)?;
        }
        let said = said.trim().trim_start_matches("error: ");
        bail!("{}", if said.is_empty() { status.to_string() } else { said.to_owned() });
    }
    Ok(Launched { started: serde_json::from_str(&line).context("a child's answer")?, rss_bytes })
}

fn resident(pid: u32) -> Option<u64> {
    let status = Process::new(i32::try_from(pid).ok()?).ok()?.status().ok()?;
    Some((status.vmrss? + status.hugetlbpages.unwrap_or(0)) * 1024)
}
