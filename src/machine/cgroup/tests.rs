use super::*;
use crate::machine::source::literal::Literal;

const MOUNT_V2: &str = "35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
const MOUNT_V1: &str = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
    32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
    41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";

fn read(files: Literal) -> (Cgroup, std::collections::BTreeMap<String, String>, Option<u64>) {
    let mut facts = Facts::new(&files);
    let cgroup = Cgroup::read(&mut facts);
    (cgroup, facts.absent, headroom(&files))
}

#[test]
fn lines_of_both_versions_are_understood() {
    let text = "9:name=systemd:/\n4:memory:/a\n2:cpu,cpuacct:/b:c\n0::/user.slice\nodd\n1:x:relative\n";
    let found = memberships(text).into_iter().map(|group| (group.controllers.join(","), group.pathname));
    let expected = [("name=systemd", "/"), ("memory", "/a"), ("cpu,cpuacct", "/b:c"), ("", "/user.slice")];
    assert!(found.eq(expected.map(|(controllers, path)| (controllers.to_owned(), path.to_owned()))));
}

#[test]
fn v2_takes_the_tightest_of_the_walk() {
    let (cgroup, absent, headroom) = read(Literal(vec![
        ("/proc/self/cgroup", "0::/user.slice/app.scope\n"),
        ("/proc/self/mountinfo", MOUNT_V2),
        ("/sys/fs/cgroup/user.slice/app.scope/memory.max", "max\n"),
        ("/sys/fs/cgroup/user.slice/app.scope/memory.high", "3000000\n"),
        ("/sys/fs/cgroup/user.slice/app.scope/memory.current", "500000\n"),
        ("/sys/fs/cgroup/user.slice/memory.max", "2000000\n"),
        ("/sys/fs/cgroup/user.slice/memory.current", "1500000\n"),
        ("/sys/fs/cgroup/user.slice/memory.stat", "anon 900000\nfile 600000\ninactive_file 400000\n"),
        ("/sys/fs/cgroup/user.slice/app.scope/cpu.max", "150000 100000\n"),
        ("/sys/fs/cgroup/user.slice/cpu.max", "max 100000\n"),
    ]));
    let limit = cgroup.memory_limit.expect("two groups limit memory");
    assert_eq!((limit.bytes, limit.used_bytes), (2_000_000, Some(1_100_000)));
    assert_eq!(limit.file, "/sys/fs/cgroup/user.slice/memory.max");
    assert_eq!(headroom, Some(900_000));
    let quota = cgroup.cpu_quota.expect("the scope has a quota");
    assert_eq!((quota.cpus, quota.file.as_str()), (1.5, "/sys/fs/cgroup/user.slice/app.scope/cpu.max"));
    assert!(absent.is_empty(), "{absent:?}");
}

#[test]
fn headroom_may_be_decided_by_a_larger_limit_that_is_fuller() {
    let (cgroup, _, headroom) = read(Literal(vec![
        ("/proc/self/cgroup", "0::/a/b\n"),
        ("/proc/self/mountinfo", MOUNT_V2),
        ("/sys/fs/cgroup/a/b/memory.max", "1000\n"),
        ("/sys/fs/cgroup/a/b/memory.current", "100\n"),
        ("/sys/fs/cgroup/a/memory.max", "5000\n"),
        ("/sys/fs/cgroup/a/memory.current", "4800\n"),
    ]));
    assert_eq!(cgroup.memory_limit.map(|limit| limit.bytes), Some(1000));
    assert_eq!(headroom, Some(200));
}

#[test]
fn a_hybrid_system_has_its_memory_controller_in_v1() {
    let (cgroup, absent, headroom) = read(Literal(vec![
        ("/proc/self/cgroup", "4:memory:/jobs/one\n2:cpu,cpuacct:/jobs\n0::/\n"),
        ("/proc/self/mountinfo", MOUNT_V1),
        ("/sys/fs/cgroup/memory/jobs/one/memory.limit_in_bytes", "9223372036854771712\n"),
        ("/sys/fs/cgroup/memory/jobs/memory.limit_in_bytes", "268435456\n"),
        ("/sys/fs/cgroup/memory/jobs/memory.usage_in_bytes", "1000\n"),
        ("/sys/fs/cgroup/memory/jobs/memory.stat", "inactive_file 7\ntotal_inactive_file 200\n"),
        ("/sys/fs/cgroup/cpu,cpuacct/jobs/cpu.cfs_quota_us", "50000\n"),
        ("/sys/fs/cgroup/cpu,cpuacct/jobs/cpu.cfs_period_us", "100000\n"),
        ("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n"),
        ("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
    ]));
    let limit = cgroup.memory_limit.expect("v1 limits memory");
    assert_eq!((limit.bytes, limit.used_bytes), (256 << 20, Some(800)));
    assert_eq!(limit.file, "/sys/fs/cgroup/memory/jobs/memory.limit_in_bytes");
    assert_eq!(headroom, Some((256 << 20) - 800));
    assert_eq!(cgroup.cpu_quota.map(|quota| quota.cpus), Some(0.5));
    assert!(absent.is_empty(), "{absent:?}");
}

#[test]
fn unlimited_says_how_far_it_looked() {
    let (cgroup, absent, headroom) = read(Literal(vec![
        ("/proc/self/cgroup", "4:memory:/jobs\n0::/\n"),
        ("/proc/self/mountinfo", MOUNT_V1),
        ("/sys/fs/cgroup/memory/jobs/memory.limit_in_bytes", "9223372036854710272\n"),
    ]));
    assert_eq!((cgroup, headroom), (Cgroup::default(), None));
    assert_eq!(
        absent["cgroup.memory_limit"],
        "unlimited: none of the 3 control groups up to the root sets one"
    );
}

#[test]
fn without_control_groups_nothing_limits() {
    let (cgroup, absent, headroom) = read(Literal::default());
    assert_eq!((cgroup, headroom), (Cgroup::default(), None));
    assert!(absent["cgroup.memory_limit"].starts_with("no control group"));
}

#[test]
fn odd_files_are_no_limit_and_no_panic() {
    let (cgroup, ..) = read(Literal(vec![
        ("/proc/self/cgroup", "0::/a\n::\n\u{fffd}\n"),
        ("/proc/self/mountinfo", "garbage\n35 24 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n35 24\n\n"),
        ("/sys/fs/cgroup/a/memory.max", "lots\n"),
        ("/sys/fs/cgroup/a/cpu.max", "100000 0\n"),
        ("/sys/fs/cgroup/cpu.max", "100000\n"),
    ]));
    assert_eq!(cgroup, Cgroup::default());
}

#[test]
fn the_walk_ends_at_the_mount_point() {
    assert_eq!(upwards("/cg", "/", "/a/b"), ["/cg/a/b", "/cg/a", "/cg"]);
    assert_eq!(upwards("/cg", "/", "/"), ["/cg"]);
    assert_eq!(upwards("/cg", "/docker/1", "/docker/1"), ["/cg"], "the container's group is the mount point");
    assert_eq!(upwards("/cg", "/docker/1", "/docker/1/init"), ["/cg/init", "/cg"]);
    assert_eq!(upwards("/cg", "/docker/1", "/docker/12"), ["/cg"], "a longer name is another group");
    assert_eq!(upwards("/cg", "/", "/../../other"), ["/cg"], "above the namespace");
}
