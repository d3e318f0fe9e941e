//! Guest memory that is written by other threads than the one that calls, and sessions that move between threads.

#![allow(dead_code, reason = "tests/mutant_threads.rs uses the rest of what they share")]

#[path = "common/child.rs"]
mod child;
#[path = "common/sound.rs"]
mod sound;
#[path = "common/threads.rs"]
mod threads;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use memmap2::MmapMut;
use reset_strategies::{Availability, registry};
use sound::sound_in_place;
use threads::{ELSEWHERE, Host, Writes, elsewhere};

/// Blocks of each kind.
const BLOCKS: usize = 30;

#[test]
fn what_a_host_function_has_another_thread_write_is_forgotten() {
    for strategy in sound_in_place() {
        let mut host = Host::new(strategy, false);
        for block in 0..BLOCKS {
            for writes in ELSEWHERE {
                host.execute(writes);
                assert!(host.is_written(), "{strategy}: {writes:?} writes nothing");
                host.reset();
                assert!(!host.is_written(), "{strategy}, block {block}: {writes:?}");
            }
            host.execute(Writes::Nothing);
            host.reset();
        }
    }
}

#[test]
fn what_another_thread_writes_that_was_lent_a_store_is_forgotten() {
    for strategy in sound_in_place() {
        let mut host = Host::new(strategy, false);
        for block in 0..BLOCKS {
            host.lend();
            assert!(host.is_written(), "{strategy}: nothing is written");
            if block % 2 == 0 {
                host.execute(Writes::Nothing);
            }
            host.reset();
            assert!(!host.is_written(), "{strategy}, block {block}");
        }
    }
}

/// What is done in one thread or another between two resets.
type Part = fn(&mut Host);

const PARTS: [Part; 3] =
    [|host| host.execute(Writes::Itself), |host| host.write(), |host| host.execute(Writes::Nothing)];

#[test]
fn a_session_may_move_between_threads_at_any_time() {
    for strategy in sound_in_place() {
        for one_thread in [false, true] {
            let mut host = Host::new(strategy, one_thread);
            // Two parts and a reset, each here or elsewhere, with a reset here or elsewhere before.
            for way in 0..PARTS.len() * PARTS.len() * 16 {
                let parts = [way % PARTS.len(), way / PARTS.len() % PARTS.len()].map(|part| PARTS[part]);
                let places = way / (PARTS.len() * PARTS.len());
                // A page that is restored in every reset would be right whatever is believed.
                if !host.session.learned().is_empty() {
                    host.learn();
                }
                let mut step = |number: usize, act: Part| {
                    if places & 1 << number == 0 { act(&mut host) } else { elsewhere(|| act(&mut host)) }
                };
                step(0, |host| _ = host.reset());
                step(1, parts[0]);
                step(2, parts[1]);
                step(3, |host| _ = host.reset());
                assert!(!host.is_written(), "{strategy}, one thread: {one_thread}, way {way}");
            }
        }
    }
}

/// A thread that takes a fault whenever it is asked to.
struct Neighbour {
    ask: Sender<()>,
    done: Receiver<()>,
}

impl Neighbour {
    fn start() -> Self {
        let ((ask, asked), (tell, done)) = (channel::<()>(), channel());
        thread::spawn(move || {
            for () in asked {
                let mut page = MmapMut::map_anon(1).unwrap();
                page[0] = std::hint::black_box(1);
                if tell.send(()).is_err() {
                    return;
                }
            }
        });
        Self { ask, done }
    }

    fn fault(&self) {
        self.ask.send(()).unwrap();
        self.done.recv().unwrap();
    }
}

#[test]
fn a_neighbour_that_faults_makes_a_reset_scan_unless_the_host_says_that_it_does_not_write() {
    // Another test's thread would be another neighbour.
    if !child::is("a_neighbour_that_faults_makes_a_reset_scan_unless_the_host_says_that_it_does_not_write") {
        return;
    }
    let strategy = registry::find("adaptive/hot-cold").unwrap();
    if let Availability::Unavailable { reason } = strategy.availability() {
        eprintln!("NOT TESTED HERE: {strategy}: {reason}");
        return;
    }
    let neighbour = Neighbour::start();
    let mut scanned = [false, true].map(|one_thread| {
        let mut host = Host::new(strategy, one_thread);
        let mut scanned = |faults: bool| {
            let resets = (0..BLOCKS).filter(|_| {
                host.execute(Writes::Nothing);
                if faults {
                    neighbour.fault();
                }
                host.reset() > 0
            });
            resets.count()
        };
        [true, false].map(&mut scanned)
    });
    println!("of {BLOCKS} resets scan, beside a neighbour and alone: {scanned:?}");
    assert_eq!(scanned[0][0], BLOCKS, "by default");
    // The thread that calls takes a fault of its own now and then.
    let [beside, alone] = &mut scanned[1];
    assert!(*beside < BLOCKS / 2 && *alone < BLOCKS / 2, "{beside} beside the neighbour, {alone} alone");
}
