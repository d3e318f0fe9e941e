use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use procfs::FromBufRead;

use super::*;

const EVERY: Duration = Duration::from_millis(1);
const MIB: u64 = 1 << 20;

#[test]
fn a_late_sampler_skips_ticks_and_stays_on_the_grid() {
    let next = |due, now| {
        next_tick(Duration::from_millis(due), Duration::from_millis(now), Duration::from_millis(10))
    };
    for (due, now, expected) in [(10, 10, 20), (10, 19, 20), (10, 45, 50), (10, 5, 20)] {
        assert_eq!(next(due, now), Duration::from_millis(expected), "{now}");
    }
    assert_eq!(next_tick(Duration::MAX, EVERY, Duration::MAX), Duration::MAX);
}

#[test]
fn statm_is_two_numbers_and_a_rest() {
    assert_eq!(resident_pages(b"765 431 403 5 0 123 0\n").unwrap(), 431);
    assert_eq!(resident_pages(b"765 0 403 5 0 123 0\n").unwrap(), 0);
    for odd in
        [&b""[..], b"0 0 0 0 0 0 0\n", b"765", b"a b", b"-1 2", b"\xff \xff", b"18446744073709551616 1"]
    {
        assert!(resident_pages(odd).is_err(), "{odd:?}");
    }
}

/// A program, a library with written data, an image in a memfd, the heap.
const SMAPS: &str = "\
55d0c0000000-55d0c0400000 r-xp 00000000 fe:00 4711 /usr/bin/program
Rss:                3000 kB
Pss:                 500 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
7f0000000000-7f0000100000 rw-p 00000000 fe:00 4712 /usr/lib/library.so
Rss:                 100 kB
Anonymous:            60 kB
VmFlags: rd wr mr mw me ac
7f0000200000-7f0000300000 rw-p 00000000 00:01 9 /memfd:image (deleted)
Rss:                 700 kB
Anonymous:            64 kB
VmFlags: rd wr mr mw me ac
7f0000400000-7f0000500000 rw-p 00000000 00:00 0 [heap]
Rss:                 900 kB
Anonymous:           900 kB
VmFlags: rd wr mr mw me ac
";

#[test]
fn what_shows_files_is_told_from_what_is_memory() {
    let maps = MemoryMaps::from_buf_read(SMAPS.as_bytes()).unwrap();
    assert_eq!(shown(&maps), (3000 + 40) << 10);
}

#[test]
fn memory_that_a_process_takes_is_not_of_files() {
    let mut told = Told::start();
    let pid = told.child.id();
    let [files, all] = [of_files(pid).unwrap(), resident(pid).unwrap()];
    assert!(0 < files && files < all, "{files} {all}");
    told.tell("touch");
    let [more_files, more] = [of_files(pid).unwrap(), resident(pid).unwrap()];
    assert!(more >= all + 60 * MIB, "{all} {more}");
    assert!(more_files < files + 8 * MIB, "{files} {more_files}");
    let gone = of_files(u32::MAX).unwrap_err();
    assert!(gone.contains("/proc/4294967295"), "{gone}");
}

/// This test binary again, running `the_sampled_child` alone, which does as it is told.
struct Told {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Told {
    fn start() -> Self {
        let module = module_path!().split_once("::").map_or("", |(_crate, module)| module);
        let mut child = Command::new(std::env::current_exe().expect("this binary has a path"))
            .args(["--exact", &format!("{module}::the_sampled_child"), "--nocapture", "--test-threads=1"])
            .env(CHILD, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this binary can be run again");
        let orders = child.stdin.take().expect("piped");
        let answers = BufReader::new(child.stdout.take().expect("piped"));
        let mut told = Self { child, orders, answers };
        told.expect("ready");
        told
    }

    fn tell(&mut self, order: &str) {
        writeln!(self.orders, "{order}").expect("the child listens");
        self.expect(order);
    }

    /// Waits for a line with the answer; the test harness prints its own around it.
    fn expect(&mut self, answer: &str) {
        let mut line = String::new();
        while !line.trim_end().ends_with(answer) {
            line.clear();
            assert!(self.answers.read_line(&mut line).expect("text") > 0, "the child ended before {answer}");
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

const CHILD: &str = "RESETBENCH_SAMPLED_CHILD";

#[test]
fn the_sampled_child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let mut held = None;
    println!("ready");
    for order in io::stdin().lines() {
        let order = order.expect("text");
        held = match order.as_str() {
            "touch" => {
                let mut map = memmap2::MmapMut::map_anon(64 << 20).expect("64 MiB");
                map.fill(1);
                Some(map)
            }
            _ => None,
        };
        println!("{order}");
    }
    drop(held);
}

/// A metric that is read once; `None` where this kernel does not tell.
fn once(samples: &Samples, metric: &str) -> Option<u64> {
    let found = samples.once.iter().find(|(name, _)| *name == metric);
    if found.is_none() {
        println!("not checked here: {metric}");
    }
    found.map(|(_, bytes)| *bytes)
}

fn ends(samples: &Samples) -> [u64; 2] {
    [&samples.series[0], &samples.series[samples.series.len() - 1]].map(|sample| sample.rss_bytes)
}

#[test]
fn memory_that_a_process_takes_is_seen_from_outside() {
    let mut told = Told::start();
    let sampler = Sampler::start(told.child.id(), EVERY).expect("our own child");
    told.tell("touch");
    let samples = sampler.stop();
    let [first, last] = ends(&samples);
    assert!(last >= first + 60 * MIB, "{first} {last}");
    assert!(samples.series.is_sorted_by_key(|sample| sample.at_ns));
    assert!(samples.cpu_ns > 0);
    assert!(once(&samples, "page_tables") > Some(0), "{:?}", samples.once);
    assert!(once(&samples, "anonymous") >= Some(60 * MIB), "{:?}", samples.once);
    assert!(once(&samples, "pss") <= resident(told.child.id()).ok(), "{:?}", samples.once);
}

#[test]
fn a_peak_that_is_over_is_still_seen() {
    let mut told = Told::start();
    let sampler = Sampler::start(told.child.id(), Duration::from_secs(3600)).expect("our own child");
    told.tell("touch");
    told.tell("free");
    let samples = sampler.stop();
    let [first, last] = ends(&samples);
    assert_eq!(samples.series.len(), 2, "the interval is longer than the test");
    assert!(last < first + 32 * MIB, "{first} {last}");
    assert!(once(&samples, "peak_rss").is_none_or(|peak| peak >= first + 60 * MIB), "{samples:?}");
}

#[test]
fn a_peak_before_the_start_is_forgotten() {
    let mut told = Told::start();
    told.tell("touch");
    told.tell("free");
    let samples = Sampler::start(told.child.id(), EVERY).expect("our own child").stop();
    let [first, _] = ends(&samples);
    assert!(once(&samples, "peak_rss").is_none_or(|peak| peak < first + 32 * MIB), "{samples:?}");
}

#[test]
fn a_process_that_vanishes_leaves_its_samples() {
    for waited_for in [false, true] {
        let mut child = Command::new("sleep").arg("600").spawn().expect("coreutils are there");
        let sampler = Sampler::start(child.id(), EVERY).expect("our own child");
        child.kill().expect("our own child");
        if waited_for {
            child.wait().expect("it was killed");
        }
        while !sampler.thread.is_finished() {
            thread::sleep(EVERY);
        }
        let samples = sampler.stop();
        child.wait().expect("it was killed");
        assert!(!samples.series.is_empty() && samples.once.is_empty(), "{samples:?}");
    }
}

#[test]
fn what_cannot_be_sampled_is_an_error_that_names_the_process() {
    let gone = {
        let mut child = Command::new("true").spawn().expect("coreutils are there");
        child.wait().expect("it ends");
        child.id()
    };
    for pid in [gone, u32::MAX] {
        let start = Sampler::start(pid, EVERY).map(|_| ());
        for error in [start, resident(pid).map(|_| ()), peak(pid).map(|_| ()), forget_peak(pid)] {
            let error = error.expect_err("nobody is there");
            assert!(error.starts_with(&format!("/proc/{pid}")), "{error}");
        }
    }
}
