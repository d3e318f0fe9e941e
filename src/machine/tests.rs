use std::io;

use super::source::literal::Literal;
use super::*;

fn native(arch: &'static str, page_bytes: u64) -> Native {
    let missing = || io::Error::from_raw_os_error(libc::ENOENT);
    let perf = perf::Tried { instructions: Err(missing()), page_faults: Ok(1) };
    Native { arch, page_bytes, perf, own: own::tests::plain() }
}

fn graviton() -> Literal {
    Literal(vec![
        ("/proc/cpuinfo", "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n"),
        ("/proc/sys/kernel/osrelease", "6.8.0-1021-aws\n"),
        ("/proc/self/status", "Name:\tresetbench\nCpus_allowed_list:\t2-3\n"),
        ("/sys/devices/system/cpu/online", "0-63\n"),
        ("/sys/devices/system/cpu/vulnerabilities/meltdown", "Not affected\n"),
        ("/sys/devices/system/cpu/vulnerabilities/spectre_v2", "Mitigation: CSV2, BHB\n"),
        ("/proc/meminfo", "MemTotal:       16777216 kB\nMemAvailable:    8388608 kB\n"),
        ("/sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n"),
        ("/sys/class/dmi/id/sys_vendor", "Amazon EC2\n"),
        ("/sys/class/dmi/id/product_name", "c7g.16xlarge\n"),
        ("/proc/loadavg", "0.85 0.72 0.31 2/98 6163\n"),
    ])
}

#[test]
fn a_literal_arm_server_is_read_whole() {
    let machine = Machine::assemble(&graviton(), native("aarch64", 65536));
    assert_eq!(machine.class, "aarch64-arm-neoverse-v1-41-d40-64c-linux6.8-64k");
    assert_eq!((machine.cpu.online, machine.cpu.usable), (Some(64), Some(2)));
    assert_eq!(machine.mitigations["spectre_v2"], "Mitigation: CSV2, BHB");
    assert_eq!(machine.load, Some(Load { one: 0.85, five: 0.72, fifteen: 0.31 }));
    assert_eq!(machine.virtualisation.hypervisor, Some(true));
    assert_eq!(machine.perf.page_faults, Probe::Works);
    assert_eq!(
        machine.sentence(),
        "ARM Neoverse-V1, 64 cores, 16.0 GiB, Linux 6.8.0-1021-aws, 64 KiB pages, THP always, virtual machine"
    );
    assert!(machine.absent["memory.overcommit"].starts_with("/proc/sys/vm/overcommit_memory: "));
    assert!(!machine.absent.contains_key("cpu.online"));
}

#[test]
fn the_class_does_not_change_with_affinity_or_load() {
    let mut files = graviton();
    let class = Machine::assemble(&files, native("aarch64", 4096)).class;
    files.0.retain(|(path, _)| !matches!(*path, "/proc/self/status" | "/proc/loadavg" | "/proc/meminfo"));
    assert_eq!(Machine::assemble(&files, native("aarch64", 4096)).class, class);
}

#[test]
fn a_machine_that_tells_nothing_is_still_a_machine() {
    let machine = Machine::assemble(&Literal::default(), native("x86_64", 4096));
    assert_eq!(machine.class, "x86_64-unknown-4k");
    assert_eq!(machine.sentence(), "unnamed x86_64 CPU, 4 KiB pages");
    let fields = "cpu.model cpu.online kernel.release memory.total_bytes mitigations load limits.data";
    for field in fields.split(' ') {
        assert!(machine.absent.contains_key(field), "{field} is missing without a reason");
    }
}

#[test]
fn every_missing_field_of_this_machine_has_a_reason() {
    let machine = Machine::read();
    let json = serde_json::to_value(&machine).expect("plain data");
    let mut missing = Vec::new();
    find_nulls("", &json, &mut missing);
    for field in missing {
        assert!(machine.absent.contains_key(&field), "{field} is null, and why is not said: {json}");
    }
}

/// Collects the dotted names of null fields. A limit's null is a value: unlimited.
fn find_nulls(prefix: &str, value: &serde_json::Value, found: &mut Vec<String>) {
    let Some(fields) = value.as_object() else { return };
    for (name, value) in
        fields.iter().filter(|(name, _)| !matches!(name.as_str(), "soft_bytes" | "hard_bytes"))
    {
        let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        if value.is_null() {
            found.push(name.clone());
        }
        find_nulls(&name, value, found);
    }
}

#[test]
fn this_machine_has_the_basics_and_survives_its_json() {
    let machine = Machine::read();
    assert!(machine.memory.page_bytes.is_power_of_two());
    assert!(machine.memory.total_bytes > machine.memory.available_bytes);
    assert!(machine.cpu.online >= machine.cpu.usable);
    let class = &machine.class;
    assert!(class.starts_with(std::env::consts::ARCH) && class.ends_with('k'), "{class}");
    let json = serde_json::to_string_pretty(&machine).expect("plain data");
    assert_eq!(serde_json::from_str::<Machine>(&json).expect("its own JSON"), machine, "{json}");
}

#[test]
fn kernel_series_are_major_and_minor() {
    let known = [("6.18.44-fc-v657", "6.18"), ("5.15.0", "5.15"), ("6.12-rc1", "6.12")];
    for (release, expected) in known {
        assert_eq!(series(release).as_deref(), Some(expected));
    }
    assert_eq!((series("strange"), series("")), (None, None));
}

#[test]
fn odd_loads_are_absent() {
    for odd in ["", "1 2", "a b c", "NaN 1 1"] {
        assert_eq!(load(odd), None, "{odd:?}");
    }
}
