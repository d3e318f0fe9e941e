use serde_json::{Value, json};

use super::*;
use crate::protocol::schedule::Schedule;
use crate::verify::report::Ran;

/// A folder of boots that goes away.
struct Boots(tempfile::TempDir);

impl Boots {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(&self, boot: &str, file: &str, text: &str) {
        let folder = self.0.path().join(boot);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(file), text).unwrap();
    }

    fn boot(&self, name: &str, more: Value) {
        let mut boot = json!({
            "schema": 1, "cell": name, "arch": "x86_64", "kernel": "6.12.117+deb12-amd64", "distribution": "Debian",
            "page_size": 4096, "transparent_hugepage": "always", "swap": true, "cgroup": 2, "ksm": false,
            "boot_arguments": "console=ttyS0", "emulator": "QEMU 7.2.22, TCG", "program": "resetbench 0.1.0 (abc)",
            "date": "2026-11-29", "seconds": 123, "outcome": "completed", "reason": null,
            "steps": [{"name": "doctor", "command": "resetbench doctor --json", "exit": 0, "seconds": 3,
                       "output": "doctor.json"}],
        });
        boot.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.put(name, "cell.json", &boot.to_string());
    }

    fn read(&self) -> Vec<Cell> {
        read(self.0.path()).unwrap()
    }
}

fn report(cells: Vec<CellReport>) -> String {
    serde_json::to_string(&Report::new(1, "every".into(), &Schedule::ALL, cells)).unwrap()
}

fn ran(strategy: &str, workload: &str, equivalence: Equivalence) -> CellReport {
    let compared = matches!(equivalence, Equivalence::Equivalent | Equivalence::Diverged);
    let blocks = if compared { 10 } else { 0 };
    let ran = Ran { name: Schedule::InOrder, blocks, wanted: blocks, not_run: None, left_out: false };
    let no_swap = Ran { name: Schedule::PagedOut, not_run: Some("no swap".into()), ..ran.clone() };
    CellReport {
        strategy: strategy.into(),
        workload: workload.into(),
        control: strategy.starts_with("control/"),
        equivalence,
        blocks,
        first_difference: (equivalence == Equivalence::Diverged).then(|| "memory 0 differs".into()),
        schedule: (equivalence == Equivalence::Diverged).then_some(Schedule::InOrder),
        consequence: None,
        reason: (!compared).then(|| "made up".into()),
        schedules: vec![ran, no_swap],
    }
}

use Equivalence::{Diverged, Equivalent, Refused, Unavailable};

#[test]
fn outcomes_of_all_verifications_are_one() {
    let boots = Boots::new();
    boots.boot("one", json!({}));
    let first = [
        ran("copy/full", "foreign/c", Equivalent),
        ran("copy/full", "foreign/dispatch", Refused),
        ran("dirty/mincore", "foreign/c", Equivalent),
        ran("dirty/soft-dirty", "foreign/c", Unavailable),
        ran("remap/madvise", "foreign/dispatch", Refused),
        ran("control/none", "foreign/c", Diverged),
    ];
    boots.put("one", "verify.json", &report(first.to_vec()));
    let second =
        [ran("copy/full", "stress/touch", Equivalent), ran("dirty/mincore", "stress/touch", Diverged)];
    boots.put("one", "verify-swap.json", &report(second.to_vec()));
    let cells = boots.read();
    let of = |name: &str| cells[0].strategy(name).unwrap();
    let full = of("copy/full");
    assert_eq!((full.equivalence, full.blocks, full.reason.as_deref()), (Equivalent, 20, None));
    assert_eq!(full.schedules, [Schedule::InOrder], "the other did not run");
    let mincore = of("dirty/mincore");
    assert_eq!((mincore.equivalence, mincore.reason.as_deref()), (Diverged, None));
    let difference = mincore.difference.as_ref().unwrap();
    assert_eq!(
        (difference.workload.as_str(), difference.text.as_str()),
        ("stress/touch", "memory 0 differs")
    );
    assert_eq!((of("dirty/soft-dirty").equivalence, of("remap/madvise").equivalence), (Unavailable, Refused));
    assert_eq!(of("remap/madvise").reason.as_deref(), Some("made up"));
    assert_eq!(cells[0].unsound().map(|seen| seen.strategy.as_str()).collect::<Vec<_>>(), ["dirty/mincore"]);
    assert!(cells[0].troubles.is_empty(), "{:?}", cells[0].troubles);
}

#[test]
fn a_boot_that_failed_or_left_half_a_file_stays_with_a_reason() {
    let boots = Boots::new();
    boots.boot("a", json!({"outcome": "failed", "reason": "the boot did not end in 600 s"}));
    boots.put("b", "cell.json", r#"{"cell": "b", "outcome": "failed", "reason": "no such package"}"#);
    boots.boot("c", json!({}));
    boots.put("c", "verify.json", &report(vec![ran("copy/full", "foreign/c", Equivalent)]));
    boots.put("c", "verify-swap.json", "");
    boots.put("c", "doctor.json", "{\"machine\": {");
    boots.put("c", "determinism.json", "[]");
    boots.boot("d", json!({"steps": [{"name": "verify", "exit": 0}]}));
    boots.boot("e", json!({"steps": [{"name": "tests", "exit": 0}]}));
    let steps = json!([
        {"name": "verify-swap", "exit": 1, "output": "verify-swap.json"}, {"name": "determinism", "exit": null},
    ]);
    boots.boot("f", json!({"steps": steps}));
    boots.put("not-a-boot", "notes.txt", "");
    let cells = boots.read();
    assert_eq!(cells.len(), 6);
    assert!(!cells[0].is_complete() && !cells[1].is_complete());
    assert_eq!(cells[1].boot.reason.as_deref(), Some("no such package"));
    assert_eq!(cells[2].strategies.len(), 1);
    let troubles = &cells[2].troubles;
    assert_eq!(troubles.len(), 3, "{troubles:?}");
    assert!(troubles[0].starts_with("doctor.json: EOF") && troubles[1] == "verify-swap.json: it is empty");
    assert_eq!(cells[3].troubles, ["no strategy was verified"]);
    assert!(cells[4].troubles.is_empty(), "nothing was to be verified: {:?}", cells[4].troubles);
    let steps =
        ["verify-swap ended with exit code 1 (verify-swap.json)", "determinism did not end by itself"];
    assert_eq!(cells[5].troubles, [steps[0], steps[1], "no strategy was verified"]);
}

#[test]
fn a_machine_other_than_was_to_be_booted_is_a_trouble() {
    let boots = Boots::new();
    let machine = Machine::read();
    let doctor = json!({
        "machine": machine,
        "mechanisms": [
            {"name": "mprotect", "availability": "available", "reason": null},
            {"name": "MADV_COLLAPSE", "availability": "unavailable", "reason": "made up"},
        ],
    });
    let right = json!({
        "arch": machine.arch, "kernel": machine.kernel.release, "page_size": machine.memory.page_bytes,
        "transparent_hugepage": machine.memory.thp.enabled,
    });
    boots.boot("right", right.clone());
    boots.put("right", "doctor.json", &doctor.to_string());
    boots.boot("wrong", right);
    boots.boot("wrong", json!({"kernel": "2.4.0", "page_size": 65536}));
    boots.put("wrong", "doctor.json", &doctor.to_string());
    let cells = boots.read();
    assert!(cells[0].troubles.is_empty(), "{:?}", cells[0].troubles);
    assert_eq!(cells[0].machine, Some(machine.sentence()));
    assert_eq!(cells[0].mechanisms[1].reason.as_deref(), Some("made up"));
    let troubles = cells[1].troubles.join("\n");
    assert!(
        troubles.contains("the kernel was to be 2.4.0") && troubles.contains("page size was to be 65536"),
        "{troubles}"
    );
}

#[test]
fn files_are_read_as_they_were_written() {
    let boots = Boots::new();
    boots.boot("one", json!({}));
    boots.put("one", "verify.json", &report(vec![ran("copy/full", "foreign/c", Equivalent)]));
    let cells = boots.read();
    let out = boots.0.path().join("out");
    write(&cells, &out).unwrap();
    let again: Cell = json(&out.join("one.json")).unwrap();
    assert_eq!(again, cells[0]);
}

#[test]
fn what_are_no_boots_is_refused() {
    let boots = Boots::new();
    let error = |boots: &Boots| format!("{:#}", read(boots.0.path()).unwrap_err());
    assert!(error(&boots).contains("it takes one folder for each boot"));
    boots.put("odd", "cell.json", "{}");
    assert!(error(&boots).contains("odd/cell.json: missing field"), "{}", error(&boots));
    boots.boot("odd", json!({"cell": "../../etc/passwd"}));
    assert!(error(&boots).contains("is no name for a file"));
    boots.boot("odd", json!({"cell": "same"}));
    boots.boot("other", json!({"cell": "same"}));
    assert!(error(&boots).contains("the same name"));
    assert!(read(&boots.0.path().join("nowhere")).is_err());
}
