//! An instance seen from outside, by the names that it exports and that instrumentation adds.

use std::cell::OnceCell;
use std::collections::HashMap;

use wasmtime::{
    AsContext, AsContextMut, Extern, Func, Instance, Memory, Ref, RootScope, StoreContext, StoreContextMut,
    Val,
};

use super::difference::Value;
use crate::module::{Facts, Item, export_name};

pub(super) struct View<'a, T: 'static> {
    facts: &'a Facts,
    instance: Instance,
    store: StoreContextMut<'a, T>,
    /// The module's own names, for a module that was not instrumented.
    own: OnceCell<HashMap<(Item, usize), &'a str>>,
    /// The functions that references may designate, by the address that stands for them in this store.
    functions: Option<HashMap<usize, u32>>,
}

impl<'a, T: 'static> View<'a, T> {
    pub(super) fn new(facts: &'a Facts, instance: Instance, store: StoreContextMut<'a, T>) -> Self {
        Self { facts, instance, store, own: OnceCell::new(), functions: None }
    }

    pub(super) fn facts(&self) -> &'a Facts {
        self.facts
    }

    pub(super) fn store(&self) -> StoreContext<'_, T> {
        self.store.as_context()
    }

    pub(super) fn memory(&mut self, index: usize) -> Option<Memory> {
        self.find(Item::Memory, index)?.into_memory()
    }

    pub(super) fn global(&mut self, index: usize) -> Option<Value> {
        let global = self.find(Item::Global, index)?.into_global()?;
        self.name_functions();
        // References that are read are roots until the scope ends.
        let mut scope = RootScope::new(&mut self.store);
        match global.get(&mut scope) {
            Val::I32(value) => Some(Value::Bits(u128::from(value.cast_unsigned()))),
            Val::I64(value) => Some(Value::Bits(u128::from(value.cast_unsigned()))),
            Val::F32(bits) => Some(Value::Bits(u128::from(bits))),
            Val::F64(bits) => Some(Value::Bits(u128::from(bits))),
            Val::V128(value) => Some(Value::Bits(value.as_u128())),
            reference => {
                let reference = reference.ref_()?;
                Some(value(&reference, &mut scope, self.functions.as_ref()))
            }
        }
    }

    pub(super) fn table(&mut self, index: usize) -> Option<Vec<Value>> {
        let table = self.find(Item::Table, index)?.into_table()?;
        self.name_functions();
        let mut scope = RootScope::new(&mut self.store);
        let slots = 0..table.size(&scope);
        slots
            .map(|slot| {
                let element = table.get(&mut scope, slot)?;
                Some(value(&element, &mut scope, self.functions.as_ref()))
            })
            .collect()
    }

    /// Whether every function that a reference may designate can be told by its index.
    pub(super) fn functions_known(&self) -> bool {
        self.functions
            .as_ref()
            .is_none_or(|functions| functions.len() == self.facts.comparable_functions().count())
    }

    fn name_functions(&mut self) {
        if self.functions.is_some() {
            return;
        }
        let mut functions = HashMap::new();
        for index in self.facts.comparable_functions() {
            if let Some(function) = self.find(Item::Function, index as usize).and_then(Extern::into_func) {
                functions.insert(address(&function, &mut self.store), index);
            }
        }
        self.functions = Some(functions);
    }

    fn find(&mut self, item: Item, index: usize) -> Option<Extern> {
        let instrumented = self.instance.get_export(&mut self.store, &export_name(item, index));
        instrumented.or_else(|| {
            let own = self.own.get_or_init(|| self.facts.export_names());
            self.instance.get_export(&mut self.store, own.get(&(item, index))?)
        })
    }
}

fn value(reference: &Ref, store: impl AsContextMut, functions: Option<&HashMap<usize, u32>>) -> Value {
    if reference.is_null() {
        return Value::Null;
    }
    let Ref::Func(Some(function)) = reference else { return Value::Other };
    let address = address(function, store);
    functions
        .and_then(|functions| functions.get(&address))
        .map_or(Value::Other, |&index| Value::Function(index))
}

fn address(function: &Func, store: impl AsContextMut) -> usize {
    function.to_raw(store).addr()
}
