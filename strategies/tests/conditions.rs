//! What a host must not do: under a strategy that does not say so it is borne, and under one that does it is seen to be
//! wrong.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::sync::Mutex;

use io_uring::{IoUring, opcode, types};
use reset_strategies::{Availability, Condition, Options, Plan, Session, Strategy, condition, registry};
use wasmtime::{Linker, Module};

/// A block writes to one page, so that a strategy which learns has nothing else to learn.
const GUEST: &str = r#"
(module
  (memory (export "memory") 4)
  (func (export "_start") (i32.store (i32.const 65536) (i32.const 7))))
"#;

/// Where the host writes: a page that no block touches, whatever the size of a page is.
const AT: usize = 3 << 16;

/// What it writes.
const WRITTEN: [u8; 8] = [9; 8];

/// Blocks in which a strategy learns all that there is to learn, and more.
const LEARNING: usize = 50;

/// Blocks in which the host writes.
const BLOCKS: usize = 50;

/// The fault count is that of the process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Every strategy that a host may choose and that is available, with the control that knows no more than they do.
fn strategies() -> Vec<&'static Strategy> {
    let all = registry::all().iter().copied();
    let chosen = all.filter(|strategy| !strategy.is_control()).chain(registry::find("control/second-core"));
    let available = chosen.filter(|strategy| match strategy.availability() {
        Availability::Available => true,
        Availability::Unavailable { reason } => {
            eprintln!("NOT TESTED HERE: {strategy}: {reason}");
            false
        }
    });
    available.collect()
}

/// An instance after many blocks.
struct Host {
    session: Session<()>,
}

impl Host {
    fn new(strategy: &'static Strategy) -> Self {
        let wasm = wat::parse_str(GUEST).unwrap();
        let plan = Plan::new(strategy, &wasm, Options::default()).unwrap();
        let engine = plan.engine().unwrap();
        let module = Module::new(&engine, plan.wasm()).unwrap();
        let session = plan.start(&module, &Linker::new(&engine), || ()).unwrap();
        let mut host = Self { session };
        host.learn();
        host
    }

    fn learn(&mut self) {
        for _ in 0..LEARNING {
            self.execute();
            self.reset();
        }
    }

    fn execute(&mut self) {
        self.session.execute().unwrap();
    }

    fn reset(&mut self) {
        self.session.reset().unwrap();
    }

    /// The address to write to.
    fn target(&mut self) -> usize {
        let instance = self.session.instance().unwrap();
        let store = &mut self.session.store_mut().unwrap();
        instance.get_memory(&mut *store, "memory").unwrap().data_ptr(&*store).addr() + AT
    }

    /// What the guest finds there.
    fn found(&mut self) -> [u8; 8] {
        let instance = self.session.instance().unwrap();
        let store = &mut self.session.store_mut().unwrap();
        let memory = instance.get_memory(&mut *store, "memory").unwrap();
        memory.data(&*store)[AT..][..8].try_into().unwrap()
    }
}

fn states(strategy: &Strategy, condition: &Condition) -> bool {
    strategy.conditions().any(|stated| stated == condition)
}

/// Holds what was seen of all strategies against what they state.
fn judge(condition: &Condition, seen: &[(&'static Strategy, bool)]) {
    for (strategy, wrong) in seen {
        assert!(!wrong || states(strategy, condition), "{strategy} does not state `{}`", condition.name);
    }
    let wrong: Vec<_> =
        seen.iter().filter(|(_, wrong)| *wrong).map(|(strategy, _)| strategy.name()).collect();
    eprintln!("{}: wrong under {wrong:?}", condition.name);
    assert!(!wrong.is_empty(), "`{}`: nothing is seen to be wrong", condition.name);
}

/// Another process that writes to this one.
struct Writer {
    addresses: PipeWriter,
    outcomes: PipeReader,
    process: libc::pid_t,
}

impl Writer {
    fn start() -> Self {
        let (mut orders, addresses) = io::pipe().unwrap();
        let (outcomes, mut answers) = io::pipe().unwrap();
        // SAFETY: the call takes no argument.
        let parent = unsafe { libc::getpid() };
        // SAFETY: the child only makes system calls on what it has at hand, takes no lock and allocates nothing.
        let process = unsafe { libc::fork() };
        assert!(process >= 0, "{}", io::Error::last_os_error());
        if process == 0 {
            // Its end of the pipe would keep the other from ending.
            // SAFETY: nothing in this process uses the descriptor again.
            unsafe { libc::close(addresses.as_raw_fd()) };
            let mut order = [0; 8];
            while orders.read_exact(&mut order).is_ok() {
                let outcome = write_to(parent, usize::from_ne_bytes(order));
                if answers.write_all(&outcome.to_ne_bytes()).is_err() {
                    break;
                }
            }
            // SAFETY: ends the child without running anything of the parent's.
            unsafe { libc::_exit(0) }
        }
        // Yama only lets ancestors, unless told otherwise; elsewhere the option is unknown.
        // SAFETY: the call takes numbers only.
        unsafe { libc::prctl(libc::PR_SET_PTRACER, process as libc::c_ulong, 0, 0, 0) };
        Self { addresses, outcomes, process }
    }

    /// Writes to an address of this process.
    fn write(&mut self, address: usize) -> io::Result<()> {
        self.addresses.write_all(&address.to_ne_bytes())?;
        let mut outcome = [0; 4];
        self.outcomes.read_exact(&mut outcome)?;
        match i32::from_ne_bytes(outcome) {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // SAFETY: ends and awaits the child that this value has made.
        unsafe {
            libc::kill(self.process, libc::SIGKILL);
            libc::waitpid(self.process, std::ptr::null_mut(), 0);
        }
    }
}

/// What process_vm_writev(2) makes of a write to another process: 0, or the error.
fn write_to(process: libc::pid_t, address: usize) -> i32 {
    let mut bytes = WRITTEN;
    let local = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let remote = libc::iovec { iov_base: std::ptr::without_provenance_mut(address), iov_len: bytes.len() };
    // SAFETY: the kernel reads `bytes`, which outlives the call, and checks the other process's addresses itself.
    let done = unsafe { libc::process_vm_writev(process, &raw const local, 1, &raw const remote, 1, 0) };
    if done == bytes.len() as isize {
        0
    } else {
        io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
    }
}

#[test]
fn another_process_writes() {
    let _alone = ALONE.lock();
    let mut writer = Writer::start();
    let mut seen = Vec::new();
    for strategy in strategies() {
        let mut host = Host::new(strategy);
        let mut kept = false;
        for _ in 0..BLOCKS {
            host.execute();
            let target = host.target();
            match writer.write(target) {
                Err(error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOSYS)) => {
                    eprintln!("NOT TESTED HERE: process_vm_writev: {error}");
                    return;
                }
                done => done.unwrap(),
            }
            assert_eq!(host.found(), WRITTEN, "{strategy}: the guest sees it");
            host.reset();
            kept |= host.found() != [0; 8];
        }
        seen.push((strategy, kept));
    }
    judge(&condition::FOREIGN_WRITES, &seen);
}

/// A ring with the eight bytes at an address as its buffer 0, and a pipe that they are filled from.
struct Device {
    ring: IoUring,
    source: PipeReader,
    sink: PipeWriter,
    buffer: usize,
}

impl Device {
    /// `None` where io_uring is not to be had.
    fn new(host: &mut Host) -> Option<Self> {
        let ring = match IoUring::new(4) {
            Ok(ring) => ring,
            Err(error) => {
                eprintln!("NOT TESTED HERE: io_uring: {error}");
                return None;
            }
        };
        let buffer = host.target();
        let bytes =
            libc::iovec { iov_base: std::ptr::without_provenance_mut(buffer), iov_len: WRITTEN.len() };
        // SAFETY: the kernel pins the page behind the buffer; it is written only where `transfer` says so.
        if let Err(error) = unsafe { ring.submitter().register_buffers(&[bytes]) } {
            eprintln!("NOT TESTED HERE: io_uring, a registered buffer: {error}");
            return None;
        }
        let (source, sink) = io::pipe().unwrap();
        Some(Self { ring, source, sink, buffer })
    }

    /// Begins to fill the buffer from the pipe.
    fn submit(&mut self) {
        let to = std::ptr::without_provenance_mut(self.buffer);
        let fd = types::Fd(self.source.as_raw_fd());
        let read = opcode::ReadFixed::new(fd, to, WRITTEN.len() as u32, 0).offset(u64::MAX).build();
        // SAFETY: the buffer is registered, so that its page exists as long as the ring does.
        unsafe { self.ring.submission().push(&read) }.unwrap();
        self.ring.submit().unwrap();
    }

    /// Has what was begun arrive.
    fn complete(&mut self) {
        self.sink.write_all(&WRITTEN).unwrap();
        self.ring.submit_and_wait(1).unwrap();
        let result = self.ring.completion().next().map(|entry| entry.result());
        assert_eq!(result, Some(WRITTEN.len() as i32));
    }
}

#[test]
fn guest_memory_is_pinned_and_written() {
    let _alone = ALONE.lock();
    let (mut kept, mut lost) = (Vec::new(), Vec::new());
    for strategy in strategies() {
        let mut host = Host::new(strategy);
        let Some(mut device) = Device::new(&mut host) else { return };
        // Registering has written to the page, as far as the kernel is concerned.
        host.learn();
        let (mut is_kept, mut is_lost, mut same) = (false, false, false);
        for _ in 0..BLOCKS {
            host.execute();
            // A fresh instance may lie elsewhere, and of two one rests.
            if host.target() == device.buffer {
                same = true;
                device.submit();
                device.complete();
                is_lost |= host.found() != WRITTEN;
            }
            host.reset();
            is_kept |= host.found() != [0; 8];
        }
        kept.push((strategy, is_kept));
        lost.push((strategy, is_lost || !same));
    }
    judge(&condition::PINNED_WRITES, &kept);
    judge(&condition::PINNED_PAGES, &lost);
}

#[test]
fn what_is_in_flight_at_a_reset_arrives_after_it() {
    let _alone = ALONE.lock();
    let mut seen = Vec::new();
    for strategy in strategies() {
        let mut host = Host::new(strategy);
        let Some(mut device) = Device::new(&mut host) else { return };
        host.execute();
        device.submit();
        host.reset();
        device.complete();
        seen.push((strategy, host.target() == device.buffer && host.found() == WRITTEN));
    }
    judge(&condition::IN_FLIGHT, &seen);
}
