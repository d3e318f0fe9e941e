//! What other threads of a process do to a session, and sessions on many threads to each other.
//!
//!     cargo bench -p reset-strategies --bench neighbours -- [beside|sleepers|many [STRATEGY...]]
//!
//! It takes some minutes, in which nothing else may run. A neighbour is a thread that does one thing all the time: it computes,
//! or it maps memory, touches it and unmaps it. Alone and beside are measured in turns of some milliseconds, so that a ratio
//! is of two neighbouring turns; the figures are medians. Whatever any strategy would suffer is what `control/oracle` does.
//! Run as a test, it does one turn of each.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use memmap2::MmapMut;
use procfs::process::Process;
use reset_strategies::{Availability, Options, Plan, Session, registry};
use wasmtime::{Linker, Module};

/// Populated MiB of a memory, and all that it has.
const MEMORIES: [(usize, usize); 5] = [(1, 1), (4, 4), (16, 16), (64, 64), (2, 64)];

/// Pages that a call writes.
const WRITTEN: usize = 8;

/// Cycles between two readings of the clock.
const BATCH: usize = 16;

/// What a batch takes at least in which its thread was preempted: less than a slice of the scheduler's, and more than a batch.
const PREEMPTED: Duration = Duration::from_millis(1);

/// A guest whose call is short: it writes to some pages that lie apart.
fn guest(populated: usize, all: usize) -> Vec<u8> {
    let apart = (populated << 20) / WRITTEN;
    let stores: String =
        (0..WRITTEN).map(|n| format!("(i32.store (i32.const {}) (i32.const 7))", n * apart + 64)).collect();
    let text = format!(
        r#"(module
          (memory (export "memory") {})
          (func $fill (memory.fill (i32.const 0) (i32.const 1) (i32.const {})))
          (start $fill)
          (func (export "_start") {stores}))"#,
        all * 16,
        populated << 20,
    );
    wat::parse_str(text).expect("a valid guest")
}

/// A strategy, and whether its host says that no other thread writes.
#[derive(Clone, Copy)]
struct Contender {
    name: &'static str,
    one_thread: bool,
}

impl Contender {
    fn plan(self, wasm: &[u8], sessions: u32) -> Plan<'_> {
        let options = Options { writes_on_calling_thread: self.one_thread, sessions, ..Options::default() };
        Plan::new(registry::find(self.name).expect("registered"), wasm, options).expect("a supported module")
    }

    /// Whether this machine has what it needs; says so if not.
    fn is_available(self) -> bool {
        match registry::find(self.name).expect("registered").availability() {
            Availability::Available => true,
            Availability::Unavailable { reason } => {
                eprintln!("NOT MEASURED HERE: {}: {reason}", self.name);
                false
            }
        }
    }

    fn label(self) -> String {
        format!("`{}`{}", self.name, if self.one_thread { ", one thread" } else { "" })
    }
}

const fn of(name: &'static str) -> Contender {
    Contender { name, one_thread: false }
}

const ORACLE: Contender = of("control/oracle");
const HOT_COLD: Contender = of("adaptive/hot-cold");
const ONE_THREAD: Contender = Contender { one_thread: true, ..HOT_COLD };

/// A session that has learnt what there is to learn.
fn session(contender: Contender, wasm: &[u8]) -> Session<()> {
    let plan = contender.plan(wasm, 1);
    let engine = plan.engine().expect("an engine");
    let module = Module::new(&engine, plan.wasm()).expect("a valid module");
    let mut session = plan.start(&module, &Linker::new(&engine), || ()).expect("a session");
    (0..100).for_each(|_| cycle(&mut session));
    session
}

fn cycle(session: &mut Session<()>) {
    session.expect(0);
    session.execute().expect("a call");
    session.reset().expect("a reset");
}

/// Nanoseconds of a cycle, the median of batches in such a time. The machine may have others to run: a batch does not count in
/// which this thread has waited for them, nor beside a neighbour one in which that was not at work. `None` where all are such.
fn turn(session: &mut Session<()>, time: Duration, neighbour: Option<&AtomicUsize>) -> Option<f64> {
    let work = || neighbour.map(|work| work.load(Ordering::Relaxed));
    let (began, mut batches) = (Instant::now(), Vec::new());
    while began.elapsed() < time {
        let (began, before) = (Instant::now(), work());
        (0..BATCH).for_each(|_| cycle(session));
        let took = began.elapsed();
        if took < PREEMPTED && work().is_none_or(|after| before != Some(after)) {
            batches.push(took.as_nanos() as f64 / BATCH as f64);
        }
    }
    quantile(&mut batches, 2)
}

/// The figure that one in `parts` of them is less than.
fn quantile(figures: &mut [f64], parts: usize) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / parts).copied()
}

/// The median, to so many places, or that there is none.
fn median(figures: &mut [f64]) -> String {
    quantile(figures, 2).map_or("-".into(), |figure| format!("{figure:.2}"))
}

/// Does a little, and counts it.
type Work = fn(&AtomicUsize);

/// What a neighbour does all the time, counting what it has done.
const DOES: [(&str, Work); 3] = [
    ("computes", |work| {
        black_box((0..2_000_u64).fold(1, |a: u64, b| black_box(a.wrapping_mul(31) + b)));
        work.fetch_add(1, Ordering::Relaxed);
    }),
    ("maps 16 KiB", |work| touch(4, work)),
    ("maps 1 MiB", |work| touch(256, work)),
];

/// Maps so many pages, touches them and unmaps them.
fn touch(pages: usize, work: &AtomicUsize) {
    let mut map = MmapMut::map_anon(pages << 12).expect("memory");
    for byte in map.iter_mut().step_by(1 << 12) {
        *byte = black_box(1);
        work.fetch_add(1, Ordering::Relaxed);
    }
}

/// Keeps this thread on one core, so that it and its neighbour are on two whatever the scheduler makes of them.
fn keep_on(core: usize) {
    // SAFETY: all bits zero are an empty set; the kernel reads the set, which outlives the call.
    let kept = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &raw const set)
    };
    if kept != 0 {
        eprintln!("NOT KEPT on core {core}: {}", std::io::Error::last_os_error());
    }
}

/// Runs `act` with a function that says which neighbour there is from now on, if any, and with the count of its work.
fn with_neighbour(act: impl FnOnce(&dyn Fn(Option<usize>), &AtomicUsize)) {
    const REST: usize = usize::MAX;
    let (what, over) = (AtomicUsize::new(REST), AtomicBool::new(false));
    let work = AtomicUsize::new(0);
    thread::scope(|scope| {
        keep_on(0);
        let neighbour = scope.spawn(|| {
            keep_on(1);
            while !over.load(Ordering::Relaxed) {
                match what.load(Ordering::Relaxed) {
                    REST => thread::park(),
                    does => DOES[does].1(&work),
                }
            }
        });
        act(
            &|does| {
                what.store(does.unwrap_or(REST), Ordering::Relaxed);
                neighbour.thread().unpark();
                // Until it has begun, or has ended what it was at.
                thread::sleep(Duration::from_millis(1));
            },
            &work,
        );
        over.store(true, Ordering::Relaxed);
        neighbour.thread().unpark();
    });
}

/// Alone, and beside a thread that computes, maps little, or maps much.
fn beside(memories: &[(usize, usize)], turns: usize, time: Duration) {
    println!("## Beside one other thread\n");
    println!("| memory | strategy | alone, µs | {} |", DOES.map(|(does, _)| does).join(" | "));
    println!("|:--|:--|--:|{}", "--:|".repeat(DOES.len()));
    for &(populated, all) in memories {
        let wasm = guest(populated, all);
        let contenders = [ORACLE, HOT_COLD, ONE_THREAD];
        let mut sessions = contenders.map(|contender| session(contender, &wasm));
        let mut alone = contenders.map(|_| Vec::new());
        let mut ratios = contenders.map(|_| DOES.map(|_| Vec::new()));
        with_neighbour(|is, work| {
            for _ in 0..turns {
                for (does, _) in DOES.iter().enumerate() {
                    for (which, session) in sessions.iter_mut().enumerate() {
                        is(None);
                        let quiet = turn(session, time, None);
                        is(Some(does));
                        let loud = turn(session, time, Some(work));
                        alone[which].extend(quiet.map(|ns| ns / 1e3));
                        ratios[which][does].extend(loud.zip(quiet).map(|(loud, quiet)| loud / quiet));
                    }
                }
            }
        });
        for (which, contender) in contenders.into_iter().enumerate() {
            let figures = ratios[which].each_mut().map(|ratios| median(ratios));
            println!(
                "| {populated} of {all} MiB | {} | {} | {} |",
                contender.label(),
                median(&mut alone[which]),
                figures.join(" | ")
            );
        }
    }
    println!();
}

/// What a cycle takes in a process of so many threads, all of which sleep but one.
fn among_sleepers(threads: &[usize], time: Duration) {
    println!("## Among threads that sleep\n");
    println!("Microseconds per cycle.\n");
    println!("| threads | {} |", [ORACLE, HOT_COLD, ONE_THREAD].map(Contender::label).join(" | "));
    println!("|--:|--:|--:|--:|");
    let wasm = guest(4, 4);
    let mut sessions = [ORACLE, HOT_COLD, ONE_THREAD].map(|contender| session(contender, &wasm));
    for &threads in threads {
        let over = Barrier::new(threads);
        thread::scope(|scope| {
            (1..threads).for_each(|_| drop(scope.spawn(|| over.wait())));
            let figures = sessions
                .each_mut()
                .map(|session| turn(session, time, None).map_or("-".into(), |ns| format!("{:.2}", ns / 1e3)));
            println!("| {threads} | {} |", figures.join(" | "));
            over.wait();
        });
    }
    println!();
}

/// What this process has cost so far.
#[derive(Clone, Copy)]
struct Spent {
    /// Of all threads, in seconds.
    cpu: f64,
    /// How often a thread has given its core up: it has waited for a lock.
    waits: u64,
    /// TLB shootdowns of the machine, where it counts them.
    shootdowns: u64,
}

impl Spent {
    fn now() -> Self {
        let process = Process::myself().expect("/proc/self");
        let stat = process.stat().expect("/proc/self/stat");
        let waited = |task: procfs::process::Task| task.status().ok()?.voluntary_ctxt_switches;
        let tasks = process.tasks().expect("/proc/self/task");
        let interrupts = std::fs::read_to_string("/proc/interrupts").unwrap_or_default();
        let shot = interrupts.lines().filter_map(|line| line.trim().strip_prefix("TLB:"));
        Self {
            cpu: (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64,
            waits: tasks.filter_map(|task| waited(task.ok()?)).sum(),
            shootdowns: shot.flat_map(str::split_whitespace).filter_map(|n| n.parse::<u64>().ok()).sum(),
        }
    }
}

/// Sessions on so many threads of one process, each with one of its own.
fn many(contenders: &[Contender], threads: &[usize], time: Duration) {
    println!("## Sessions on many threads\n");
    println!("Waits and shootdowns per 1000 cycles; the latter are those of the whole machine.\n");
    println!("| strategy | threads | cycles/s | CPU per cycle, µs | to one thread | waits | shootdowns |");
    println!("|:--|--:|--:|--:|--:|--:|--:|");
    let wasm = guest(4, 4);
    for &contender in contenders {
        let mut single = None;
        for &threads in threads {
            let plan = contender.plan(&wasm, threads as u32);
            let engine = plan.engine().expect("an engine");
            let module = Module::new(&engine, plan.wasm()).expect("a valid module");
            let (begin, end) = (Barrier::new(threads + 1), Barrier::new(threads + 1));
            let (over, cycles) = (AtomicBool::new(false), AtomicUsize::new(0));
            let (spent, took) = thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| {
                        let mut session =
                            plan.start(&module, &Linker::new(&engine), || ()).expect("a session");
                        (0..100).for_each(|_| cycle(&mut session));
                        begin.wait();
                        let mut done = 0;
                        while !over.load(Ordering::Relaxed) {
                            cycle(&mut session);
                            done += 1;
                        }
                        cycles.fetch_add(done, Ordering::Relaxed);
                        end.wait();
                    });
                }
                begin.wait();
                let (before, began) = (Spent::now(), Instant::now());
                thread::sleep(time);
                let (after, took) = (Spent::now(), began.elapsed());
                over.store(true, Ordering::Relaxed);
                end.wait();
                let spent = Spent {
                    cpu: after.cpu - before.cpu,
                    waits: after.waits - before.waits,
                    shootdowns: after.shootdowns - before.shootdowns,
                };
                (spent, took)
            });
            let done = cycles.load(Ordering::Relaxed) as f64;
            let cpu = spent.cpu * 1e6 / done;
            println!(
                "| {} | {threads} | {:.0} | {cpu:.2} | {:.2} | {:.2} | {:.2} |",
                contender.label(),
                done / took.as_secs_f64(),
                cpu / *single.get_or_insert(cpu),
                spent.waits as f64 / done * 1e3,
                spent.shootdowns as f64 / done * 1e3
            );
        }
    }
}

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    if !HOT_COLD.is_available() {
        return;
    }
    let named = |what: &str| arguments.iter().any(|argument| argument == what);
    let parts = ["beside", "sleepers", "many"];
    let asked = |part| named(part) || !parts.into_iter().any(named);
    let measuring = named("--bench");
    let ms = |n| Duration::from_millis(n);
    let (memories, turns, time) =
        if measuring { (&MEMORIES[..], 21, ms(25)) } else { (&MEMORIES[..1], 1, ms(1)) };
    let all = [
        ONE_THREAD,
        HOT_COLD,
        of("dirty/pagemap-scan"),
        of("fresh/pooling-scan"),
        of("fresh/relink"),
        ORACLE,
    ];
    if asked("sleepers") {
        among_sleepers(if measuring { &[1, 16, 64, 256] } else { &[2] }, 20 * time);
    }
    if asked("many") {
        let threads = if measuring { &[1, 2, 4, 8, 16][..] } else { &[2] };
        let any = all.iter().any(|contender| named(contender.name));
        let chosen = all.into_iter().filter(|contender| !any || named(contender.name));
        let chosen: Vec<_> = chosen.filter(|contender| contender.is_available()).collect();
        many(&chosen, threads, 40 * time);
    }
    // The last, since it keeps this thread on one core.
    if asked("beside") {
        beside(memories, turns, time);
    }
}
