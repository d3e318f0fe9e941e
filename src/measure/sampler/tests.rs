use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::*;

const EVERY: Duration = Duration::from_millis(1);
const MIB: u64 = 1 << 20;

#[test]
fn a_late_sampler_skips_ticks_and_stays_on_the_grid() {
    let ms = Duration::from_millis;
    assert_eq!(next_tick(ms(10), ms(10), ms(10)), (ms(20), 0));
    assert_eq!(next_tick(ms(10), ms(19), ms(10)), (ms(20), 0));
    assert_eq!(next_tick(ms(10), ms(45), ms(10)), (ms(50), 3));
    assert_eq!(next_tick(ms(10), ms(5), ms(10)), (ms(20), 0), "stopped early");
    assert_eq!(next_tick(Duration::MAX, ms(5), Duration::MAX), (Duration::MAX, 0));
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

#[test]
fn memory_that_a_process_takes_is_seen_from_outside() {
    let mut told = Told::start();
    let sampler = Sampler::start(told.child.id(), EVERY).expect("our own child");
    told.tell("touch");
    let samples = sampler.stop().expect("the thread ends well");
    let (first, last) = (samples.series[0], samples.series[samples.series.len() - 1]);
    assert!(last.rss_bytes >= first.rss_bytes + 60 * MIB, "{first:?} {last:?}");
    assert!(samples.series.is_sorted_by_key(|sample| sample.at_ns));
    assert_eq!(samples.end, End::Stopped);
    assert!(samples.started_ns > 0 && samples.interval_ns == 1_000_000);
    assert!(samples.page_table_bytes > Some(0), "{samples:?}");

    let rollup = samples.rollup.expect("our own child may be read");
    assert!(
        rollup.anonymous_bytes >= Some(60 * MIB) && rollup.private_dirty_bytes >= Some(60 * MIB),
        "{rollup:?}"
    );
    assert!(rollup.pss_bytes <= rollup.rss_bytes, "{rollup:?}");
    let cost = samples.cost.expect("a thread has a clock");
    assert!(cost.cpu_ns >= cost.per_sample_ns && cost.per_sample_ns > 0, "{cost:?}");
}

#[test]
fn a_peak_that_is_over_is_still_seen() {
    let mut told = Told::start();
    let sampler = Sampler::start(told.child.id(), Duration::from_secs(3600)).expect("our own child");
    told.tell("touch");
    told.tell("free");
    let samples = sampler.stop().expect("the thread ends well");
    let (first, last) = (samples.series[0], samples.series[samples.series.len() - 1]);
    assert_eq!(samples.series.len(), 2, "the interval is longer than the test");
    assert!(last.rss_bytes < first.rss_bytes + 32 * MIB, "{first:?} {last:?}");
    match samples.peak_bytes {
        Some(peak) => assert!(peak >= first.rss_bytes + 60 * MIB, "{peak} {first:?}"),
        None => println!("not checked here: {}", samples.absent["peak_bytes"]),
    }
}

#[test]
fn a_peak_before_the_start_is_forgotten() {
    let mut told = Told::start();
    told.tell("touch");
    told.tell("free");
    let sampler = Sampler::start(told.child.id(), EVERY).expect("our own child");
    let samples = sampler.stop().expect("the thread ends well");
    match samples.peak_bytes {
        Some(peak) => assert!(peak < samples.series[0].rss_bytes + 32 * MIB, "{samples:?}"),
        None => println!("not checked here: {}", samples.absent["peak_bytes"]),
    }
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
        while !sampler.ended() {
            std::thread::sleep(EVERY);
        }
        let samples = sampler.stop().expect("the thread ends well");
        child.wait().expect("it was killed");
        assert!(!samples.series.is_empty(), "{samples:?}");
        assert!(matches!(samples.end, End::ProcessGone { .. }), "{samples:?}");
        assert_eq!((samples.peak_bytes, samples.rollup), (None, None), "{samples:?}");
        for field in ["peak_bytes", "page_table_bytes", "rollup"] {
            assert!(samples.absent[field].contains("/proc/"), "{samples:?}");
        }
    }
}

#[test]
fn what_cannot_be_sampled_is_an_error_that_names_the_file() {
    let gone = {
        let mut child = Command::new("true").spawn().expect("coreutils are there");
        child.wait().expect("it ends");
        child.id()
    };
    let error = Sampler::start(gone, EVERY).expect_err("nobody is there").to_string();
    assert!(error.starts_with(&format!("/proc/{gone}/statm: ")), "{error}");
    let error = Sampler::start(std::process::id(), Duration::ZERO).expect_err("no interval").to_string();
    assert!(error.contains("/statm must not be zero"), "{error}");
    let error = Sampler::start(u32::MAX, EVERY).expect_err("no such number").to_string();
    assert!(error.starts_with("/proc/4294967295/statm: "), "{error}");
}

#[test]
fn samples_survive_their_json() {
    let samples = Sampler::start(std::process::id(), EVERY).and_then(Sampler::stop).expect("our own process");
    let json = serde_json::to_string(&samples).expect("plain data");
    assert_eq!(serde_json::from_str::<Samples>(&json).expect("its own JSON"), samples);
}
