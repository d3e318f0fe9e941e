//! The ABI of metashrew's views: exports that answer requests, from what indexing has stored.
//!
//! An input is the number of the export, as one byte that the guest does not see, and what it does: the height as four bytes,
//! little-endian, then the request. A view returns where its answer is, an arraybuffer, which the host copies. It can read the
//! store and not write to it: a flush goes nowhere. Which exports are views, a module does not say: they are asked for.

use reset_strategies::Session;
use serde::{Deserialize, Serialize};
use wasmparser::ValType;
use wasmtime::{Caller, Linker, Result, format_err};

use super::metashrew::{buffer, define};
use super::{Abi, BlockState, Given, Interface, MEMORY, Metashrew, called, signature};
use crate::hosts::Calls;
use crate::workload::blocks::{Block, Trace};

/// Views of a guest, by their numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    exports: Vec<String>,
}

/// Bytes of an input that are for the host: the number of the export.
const OURS: usize = 1;

/// The most views: as many as a byte has numbers for.
const MOST: usize = 1 << 8;

impl View {
    /// Those of a module that are asked for.
    ///
    /// # Errors
    /// When one of them is none, as the rest of a sentence about the module.
    pub(super) fn asked(interface: &Interface, exports: &[String]) -> Result<Self, String> {
        if exports.is_empty() || exports.len() > MOST {
            return Err(format!(
                "of its exports, 1 to {MOST} can be asked for, and these are {}",
                exports.len()
            ));
        }
        const GIVES: &[ValType] = &[ValType::I32];
        for name in exports {
            let Some(kind) = interface.function(name) else {
                return Err(match interface.others.iter().find(|(known, _)| known == name) {
                    Some((_, kind)) => format!("its `{name}` is a {kind}, and a view is a function"),
                    None => format!("it exports no function `{name}`{}", interface.nearest(name)),
                });
            };
            if (kind.params(), kind.results()) != (&[], GIVES) {
                return Err(format!(
                    "its `{name}` is {}, and a view is {}",
                    signature(kind.params(), kind.results()),
                    signature(&[], GIVES)
                ));
            }
        }
        Ok(Self { exports: exports.to_vec() })
    }

    /// What is given for a request to the view of that number, at a height.
    pub fn request(view: u8, height: u32, request: &[u8]) -> Vec<u8> {
        [&[view][..], &height.to_le_bytes(), request].concat()
    }

    /// Their names, by their numbers.
    pub fn exports(&self) -> &[String] {
        &self.exports
    }

    /// The export that an input is for; the first where it does not say.
    fn chosen(&self, session: &mut Session<BlockState>) -> Result<&str> {
        let number = session.store_mut()?.data().input().first().copied().unwrap_or_default();
        let chosen = self.exports.get(usize::from(number));
        let count = self.exports.len();
        chosen
            .map(String::as_str)
            .ok_or_else(|| format_err!("the input is for view {number}, and there are {count}, from 0 on"))
    }
}

impl Abi for View {
    const NAME: &'static str = "metashrew-view";

    const FUNCTIONS: &'static [(&'static str, &'static str)] = Metashrew::FUNCTIONS;

    const INPUT: &'static str = "request";

    fn of(_: &Interface, _: Option<&str>) -> Result<Self, String> {
        Err("which of its exports answer requests is for --view to say".into())
    }

    fn entry(&self) -> Option<&'static str> {
        None
    }

    /// The blocks that fill the store.
    fn read(&self, given: &Given<'_>) -> anyhow::Result<Trace> {
        Metashrew.read(given)
    }

    fn example(&self) -> anyhow::Result<Trace> {
        Metashrew.example()
    }

    /// The block as a request to the first view.
    fn input(&self, block: &Block) -> Vec<u8> {
        Self::request(0, block.height, &block.bytes)
    }

    fn execute(&self, session: &mut Session<BlockState>) -> Result<()> {
        let export = self.chosen(session)?;
        let at = session.call(export, ())?;
        take(session, at)
    }

    async fn execute_async(&self, session: &mut Session<BlockState>) -> Result<()> {
        let export = self.chosen(session)?;
        let at = session.call_async(export, ()).await?;
        take(session, at)
    }

    fn link(&self, linker: &mut Linker<BlockState>, _: Calls) -> Result<()> {
        define(linker, OURS)?;
        linker
            .func_wrap("env", "__flush", |mut caller: Caller<'_, BlockState>, _: i32| called(&mut caller))?;
        Ok(())
    }
}

/// Copies the answer that a view has left there.
fn take(session: &mut Session<BlockState>, at: i32) -> Result<()> {
    let instance = session.instance()?;
    let mut store = session.store_mut()?;
    let memory =
        instance.get_memory(&mut store, MEMORY).ok_or_else(|| format_err!("the guest exports no memory"))?;
    let (bytes, state) = memory.data_and_store_mut(&mut store);
    state.answered(buffer(bytes, at)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use reset_strategies::{Options, Plan, registry};
    use wasmtime::Module;

    use super::*;
    use crate::workload::host::{Outcome, Shared, Spoken, Store};

    /// `echo` answers with what it is given, `stored` with what the store has after a flush of its own; `length` is where a length
    /// would be that reaches out of the memory.
    const VIEWS: &str = r#"(module
        (import "env" "__host_len" (func $length (result i32)))
        (import "env" "__load_input" (func $load (param i32)))
        (import "env" "__get_len" (func $get_len (param i32) (result i32)))
        (import "env" "__get" (func $get (param i32 i32)))
        (import "env" "__flush" (func $flush (param i32)))
        (memory (export "memory") 1)
        (global (export "number") i32 (i32.const 1))
        (data (i32.const 12) "\01\00\00\00k")
        (data (i32.const 28) "\07\00\00\00\0a\01k\0a\02no")
        (data (i32.const 1000) "\ff\ff\00\00")
        (func (export "echo") (result i32)
            (i32.store (i32.const 2044) (call $length))
            (call $load (i32.const 2048))
            (i32.const 2048))
        (func (export "stored") (result i32)
            (call $flush (i32.const 32))
            (i32.store (i32.const 2044) (call $get_len (i32.const 16)))
            (call $get (i32.const 16) (i32.const 2048))
            (i32.const 2048))
        (func (export "outside") (result i32) (i32.const -1))
        (func (export "length") (result i32) (i32.const 1004))
        (func (export "adds") (param i64 i64) (result i64) (i64.const 0)))"#;

    const ALL: [&str; 4] = ["echo", "stored", "outside", "length"];

    fn asked(exports: &[&str]) -> Result<Spoken, String> {
        let exports: Vec<_> = exports.iter().map(|export| (*export).to_owned()).collect();
        Spoken::views(&wat::parse_str(VIEWS).unwrap(), &exports).map_err(|error| error.to_string())
    }

    /// How a request ends, what is answered, and the digest of that.
    fn answered(session: &mut Session<BlockState>, input: &[u8]) -> (Outcome, Vec<u8>, Option<String>) {
        let abi = asked(&ALL).unwrap();
        let mut store = session.store_mut().unwrap();
        store.data_mut().begin(Arc::from(input));
        store.data_mut().record();
        let result = abi.execute(session);
        let mut store = session.store_mut().unwrap();
        let state = store.data_mut();
        (state.outcome(result), state.answer().to_vec(), state.digest())
    }

    fn session(store: &Shared) -> Session<BlockState> {
        let wasm = wat::parse_str(VIEWS).unwrap();
        let options = Options { entry: None, ..Options::default() };
        let plan = Plan::new(registry::find("copy/full").unwrap(), &wasm, options).unwrap();
        let engine = plan.engine().unwrap();
        let module = Module::new(&engine, plan.wasm()).unwrap();
        let mut linker = Linker::new(&engine);
        asked(&ALL).unwrap().link(&mut linker, &module, Calls::Blocking).unwrap();
        let store = store.clone();
        plan.start(&module, &linker, move || BlockState::new(store.clone())).unwrap()
    }

    #[test]
    fn a_view_sees_height_and_request_and_answers() {
        let mut session = session(&Shared::default());
        let (outcome, answer, digest) = answered(&mut session, &View::request(0, 7, b"hi"));
        assert_eq!((outcome, &answer[..]), (Outcome::Completed, &b"\x07\0\0\0hi"[..]));
        let (_, _, other) = answered(&mut session, &View::request(0, 7, b"ho"));
        assert!(digest.is_some() && digest != other);
        for (input, answer) in [(&b""[..], &b""[..]), (&[0], &[]), (&[0, 9], &[9])] {
            assert_eq!(answered(&mut session, input).1, answer, "{input:?}");
        }
    }

    #[test]
    fn what_a_view_flushes_reaches_no_store() {
        let kept = [(Box::from(*b"k"), Box::from(*b"kept"))];
        let store = Shared::new(Store::from_iter(kept));
        let mut session = session(&store);
        let (outcome, answer, _) = answered(&mut session, &[1]);
        assert_eq!((outcome, &answer[..]), (Outcome::Completed, &b"kept"[..]));
        assert_eq!(store.lock().get(b"k"), Some(&b"kept"[..]));
    }

    #[test]
    fn an_answer_that_is_nowhere_is_a_failure_of_the_request() {
        let mut session = session(&Shared::default());
        for (view, at) in [(2, "0xffffffff"), (3, "0x3ec")] {
            let (outcome, answer, _) = answered(&mut session, &[view]);
            let Outcome::Failed(reason) = outcome else { panic!("{outcome}") };
            assert!(reason.starts_with(&format!("no buffer at {at}")), "{reason}");
            assert!(answer.is_empty());
        }
        let (outcome, ..) = answered(&mut session, &[4]);
        assert_eq!(outcome, Outcome::Failed("the input is for view 4, and there are 4, from 0 on".into()));
    }

    #[test]
    fn the_answer_is_gone_after_a_reset() {
        let mut session = session(&Shared::default());
        answered(&mut session, &View::request(0, 7, b"hi"));
        assert!(session.store_mut().unwrap().data().leftover().is_some());
        session.reset().unwrap();
        let store = session.store_mut().unwrap();
        assert_eq!((store.data().leftover(), store.data().answer()), (None, &[][..]));
    }

    #[test]
    fn what_is_no_view_is_told_what_it_is() {
        assert_eq!(asked(&["echo", "stored"]).unwrap().name(), View::NAME);
        for (export, why) in [
            ("eco", "it exports no function `eco`; did you mean `echo`?"),
            ("number", "its `number` is a global, and a view is a function"),
            ("memory", "its `memory` is a memory, and a view is a function"),
            ("adds", "its `adds` is (i64, i64) -> (i64), and a view is () -> (i32)"),
        ] {
            let told = asked(&["echo", export]).unwrap_err();
            assert!(told.starts_with(why), "{told}");
        }
        assert!(asked(&[]).is_err() && asked(&["echo"; 257]).is_err());
    }
}
