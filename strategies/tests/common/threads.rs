//! A host that writes to guest memory from other threads than the one that calls.

use std::thread;

use reset_strategies::{Options, Plan, Session, Strategy};
use wasmtime::{Caller, Linker, Memory, Module, StoreContextMut};

/// A block writes to one page, so that a strategy which learns has nothing else to learn, and calls the host.
const GUEST: &str = r#"
(module
  (import "host" "work" (func $work))
  (memory (export "memory") 4)
  (func (export "_start") (i32.store (i32.const 65536) (i32.const 7)) (call $work)))
"#;

/// Where the host writes: a page that no block touches, whatever the size of a page is.
const AT: usize = 3 << 16;

const WRITTEN: [u8; 8] = [9; 8];

/// Blocks in which a strategy learns all that there is to learn, and more.
const LEARNING: usize = 100;

/// Who writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    /// Nobody; the host's function has another thread do nothing.
    Nothing,
    /// The host's function, in the thread that it is called in.
    Itself,
    /// A thread that the host's function gives its caller to.
    ThroughACaller,
    /// A thread that the host's function gives a slice of the memory to.
    ThroughASlice,
}

/// What those two ways have in common: the calling thread takes no fault.
pub const ELSEWHERE: [Writes; 2] = [Writes::ThroughACaller, Writes::ThroughASlice];

/// Does something in another thread.
pub fn elsewhere<R: Send>(act: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| scope.spawn(act).join().unwrap())
}

fn work(mut caller: Caller<'_, Writes>) {
    let memory = caller.get_export("memory").and_then(|export| export.into_memory()).unwrap();
    match *caller.data() {
        Writes::Nothing => elsewhere(|| ()),
        Writes::Itself => memory.data_mut(&mut caller)[AT..][..8].copy_from_slice(&WRITTEN),
        Writes::ThroughACaller => {
            elsewhere(|| memory.data_mut(&mut caller)[AT..][..8].copy_from_slice(&WRITTEN));
        }
        Writes::ThroughASlice => {
            let slice = &mut memory.data_mut(&mut caller)[AT..][..8];
            elsewhere(|| slice.copy_from_slice(&WRITTEN));
        }
    }
}

/// An instance after many blocks.
pub struct Host {
    pub session: Session<Writes>,
    memory: Memory,
}

impl Host {
    pub fn new(strategy: &'static Strategy, writes_on_calling_thread: bool) -> Self {
        let wasm = wat::parse_str(GUEST).unwrap();
        let options = Options { writes_on_calling_thread, ..Options::default() };
        let plan = Plan::new(strategy, &wasm, options).unwrap();
        let engine = plan.engine().unwrap();
        let module = Module::new(&engine, plan.wasm()).unwrap();
        let mut linker = Linker::new(&engine);
        linker.func_wrap("host", "work", work).unwrap();
        let mut session = plan.start(&module, &linker, || Writes::Nothing).unwrap();
        let instance = session.instance().unwrap();
        let memory = instance.get_memory(session.store_mut().unwrap(), "memory").unwrap();
        let mut host = Self { session, memory };
        host.learn();
        host
    }

    pub fn learn(&mut self) {
        for _ in 0..LEARNING {
            self.execute(Writes::Nothing);
            self.reset();
        }
    }

    pub fn execute(&mut self, writes: Writes) {
        *self.session.store_mut().unwrap().data_mut() = writes;
        self.session.execute().unwrap();
    }

    /// Returns its system calls.
    pub fn reset(&mut self) -> u64 {
        let done = self.session.reset().unwrap().syscalls;
        // Of two instances the other one is awake now.
        let instance = self.session.instance().unwrap();
        self.memory = instance.get_memory(self.session.store_mut().unwrap(), "memory").unwrap();
        done
    }

    /// Writes as a host does that has a store.
    pub fn write(&mut self) {
        let memory = self.memory;
        write(memory, self.session.store_mut().unwrap());
    }

    /// The same, in another thread which is lent what has been borrowed in this one.
    pub fn lend(&mut self) {
        let memory = self.memory;
        let store = self.session.store_mut().unwrap();
        elsewhere(|| write(memory, store));
    }

    /// Whether the guest would find what was written, in the thread which asks.
    pub fn is_written(&mut self) -> bool {
        let bytes: [u8; 8] =
            self.memory.data(self.session.store_mut().unwrap())[AT..][..8].try_into().unwrap();
        assert!(bytes == WRITTEN || bytes == [0; 8], "{bytes:?}");
        bytes == WRITTEN
    }
}

fn write(memory: Memory, mut store: StoreContextMut<'_, Writes>) {
    memory.data_mut(&mut store)[AT..][..8].copy_from_slice(&WRITTEN);
}
