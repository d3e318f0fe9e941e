//! Keeps a contender on one CPU while it is timed.
//!
//! The CPUs of one machine are not alike: one serves interrupts, one shares its core with somebody. Left to the scheduler, each
//! turn of a contender may fall on another, and two contenders of a round on two, so that the difference of the CPUs is in the
//! ratio. So all contenders of a launch run on one CPU, and launches take the CPUs in turn: what depends on the CPU
//! is seen between launches, where the interval looks for it.
//!
//! Kept is the thread that executes, once its process has started: a strategy that resets on a thread of its own needs another
//! CPU for that. Not kept are workloads of several threads, and nobody on a machine with several nodes of memory, where a
//! process would be kept far from what it has touched.
//!
//! Sources: sched_setaffinity(2); `cpu_capacity`, `cpufreq/cpuinfo_max_freq` and `node/online` in the kernel's
//! `Documentation/ABI/testing/sysfs-devices-system-cpu` and `Documentation/ABI/stable/sysfs-devices-node`.

use std::io;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use super::cpu::cpu_list;
use super::source::{Files, System, number};

/// The CPUs that launches take in turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pinning(Vec<usize>);

impl Pinning {
    /// Those of this machine; none where there is one only, or where it is not known on which a contender would be slower.
    pub fn of_this_machine() -> Self {
        let allowed = sched_getaffinity(Pid::from_raw(0)).map_or_else(
            |_| Vec::new(),
            |set| (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu).unwrap_or(false)).collect(),
        );
        Self::of(&System, allowed)
    }

    /// Leaves contenders where the scheduler puts them.
    pub fn none() -> Self {
        Self::default()
    }

    fn of(files: &dyn Files, allowed: Vec<usize>) -> Self {
        let nodes = files.parsed("/sys/devices/system/node/online", cpu_list);
        let speed = |cpu: usize| {
            let read =
                |file: &str| files.parsed(&format!("/sys/devices/system/cpu/cpu{cpu}/{file}"), number::<u64>);
            read("cpu_capacity").or_else(|| read("cpufreq/cpuinfo_max_freq"))
        };
        let speeds: Vec<Option<u64>> = allowed.iter().map(|&cpu| speed(cpu)).collect();
        // The cores of a hybrid processor differ by half and more.
        let fastest = speeds.iter().max().copied().flatten();
        let cpus = allowed.into_iter().zip(speeds).filter(|(_, speed)| *speed == fastest);
        let cpus: Vec<usize> = cpus.map(|(cpu, _)| cpu).collect();
        if cpus.len() < 2 || nodes.is_some_and(|nodes| nodes > 1) { Self::none() } else { Self(cpus) }
    }

    /// The CPU of a launch in which a process executes on so many threads; `None` where the scheduler chooses.
    pub fn of_launch(&self, launch: u32, threads: u32) -> Option<usize> {
        if threads > 1 {
            return None;
        }
        self.0.get(launch as usize % self.0.len().max(1)).copied()
    }

    /// All of them.
    pub fn cpus(&self) -> &[usize] {
        &self.0
    }
}

/// Keeps the first thread of a process on a CPU, and looks whether it is.
///
/// # Errors
/// When the process is gone, or the CPU is not to be had.
pub fn keep(pid: u32, cpu: usize) -> io::Result<()> {
    let pid = Pid::from_raw(i32::try_from(pid).map_err(io::Error::other)?);
    let mut wanted = CpuSet::new();
    wanted.set(cpu)?;
    sched_setaffinity(pid, &wanted)?;
    if sched_getaffinity(pid)? != wanted {
        return Err(io::Error::other("sched_setaffinity(2) had no effect"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::process::{Command, Stdio};

    use super::*;

    struct Literal(BTreeMap<String, &'static str>);

    impl Files for Literal {
        fn text(&self, path: &str) -> io::Result<String> {
            self.0.get(path).map(|text| (*text).to_owned()).ok_or(io::ErrorKind::NotFound.into())
        }

        fn names(&self, _: &str) -> io::Result<Vec<String>> {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    /// The CPUs of a machine with such nodes, whose CPUs have such files.
    fn of(nodes: &'static str, files: &[(usize, &str, &'static str)], allowed: &[usize]) -> Vec<usize> {
        let mut texts = BTreeMap::from([("/sys/devices/system/node/online".to_owned(), nodes)]);
        for (cpu, file, text) in files {
            texts.insert(format!("/sys/devices/system/cpu/cpu{cpu}/{file}"), *text);
        }
        Pinning::of(&Literal(texts), allowed.to_vec()).0
    }

    #[test]
    fn launches_take_the_cpus_in_turn_unless_they_need_several() {
        let pinning = Pinning(of("0\n", &[], &[0, 3]));
        assert_eq!([0, 1, 2, 3].map(|launch| pinning.of_launch(launch, 1)), [0, 3, 0, 3].map(Some));
        assert_eq!(pinning.of_launch(0, 2), None);
        assert_eq!(Pinning::none().of_launch(7, 1), None);
    }

    #[test]
    fn only_the_fastest_are_taken() {
        let capacity = "cpu_capacity";
        let arm = [(0, capacity, "446\n"), (1, capacity, "1024\n"), (2, capacity, "1024\n")];
        assert_eq!(of("0", &arm, &[0, 1, 2]), [1, 2]);
        let limit = "cpufreq/cpuinfo_max_freq";
        let hybrid = [(0, limit, "5000000\n"), (1, limit, "5000000\n"), (8, limit, "3800000\n")];
        assert_eq!(of("0", &hybrid, &[0, 1, 8]), [0, 1]);
    }

    #[test]
    fn nobody_is_kept_where_there_is_no_choice_or_memory_may_be_far() {
        for (nodes, allowed) in [("0", &[1][..]), ("0", &[]), ("0-1", &[0, 1, 2, 3])] {
            assert!(of(nodes, &[], allowed).is_empty(), "{nodes}: {allowed:?}");
        }
    }

    #[test]
    fn a_process_is_kept_where_it_is_told() {
        let machine = Pinning::of_this_machine();
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        for &cpu in machine.cpus() {
            keep(child.id(), cpu).unwrap();
            let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
            assert!(status.contains(&format!("Cpus_allowed_list:\t{cpu}\n")), "{status}");
        }
        assert!(keep(child.id(), 1023).is_err(), "no such CPU");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(keep(child.id(), 0).is_err(), "it is gone");
    }
}
