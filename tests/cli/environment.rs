//! Odd surroundings: what the program inherits, and what a container hides or refuses.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;

use crate::common::read;

/// A run of the program after `prepare` was called in the new process.
///
/// `prepare` runs between fork(2) and execve(2): it makes system calls only.
fn after(prepare: fn() -> io::Result<()>, arguments: &[&str]) -> Output {
    let mut command = Command::new(cargo_bin("resetbench"));
    command.args(arguments).env("NO_COLOR", "1");
    // SAFETY: what the tests below hand over allocates nothing and takes no lock.
    unsafe { command.pre_exec(prepare) };
    command.output().unwrap()
}

fn checked(result: libc::c_int) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A system call that is answered with an error from now on (seccomp(2)).
fn refuse(call: libc::c_long, error: libc::c_int) -> io::Result<()> {
    let statement = |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut filter = [
        // The number of the call is the first field of `struct seccomp_data`.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call as u32, 0, 1),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | error as u32, 0, 0),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the kernel copies the program, which lives until the call returns.
    unsafe {
        checked(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        checked(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program, 0, 0))
    }
}

/// Has the process see another file system in the place of a folder; nobody else sees it (mount_namespaces(7)).
fn mounted(kind: &CStr, place: &CStr, options: &CStr) -> io::Result<()> {
    let nothing = std::ptr::null();
    // SAFETY: all strings end in a zero byte and outlive the calls.
    unsafe {
        checked(libc::unshare(libc::CLONE_NEWNS))?;
        let private = libc::MS_REC | libc::MS_PRIVATE;
        checked(libc::mount(c"none".as_ptr(), c"/".as_ptr(), nothing, private, std::ptr::null()))?;
        checked(libc::mount(kind.as_ptr(), place.as_ptr(), kind.as_ptr(), 0, options.as_ptr().cast()))
    }
}

/// Whether a process may be prepared so; says so where it may not.
fn can(prepare: fn() -> io::Result<()>) -> bool {
    let mut trial = Command::new("true");
    // SAFETY: as in `after`.
    unsafe { trial.pre_exec(prepare) };
    match trial.status() {
        Ok(_) => true,
        Err(error) => {
            eprintln!("NOT TESTED HERE: nothing can be mounted (needs root): {error}");
            false
        }
    }
}

#[test]
fn children_are_waited_for_where_sigchld_was_inherited_as_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let prepare = || {
        // SAFETY: no handler is installed.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
        Ok(())
    };
    for verb in ["startup", "determinism"] {
        let out = out.join(verb);
        let output = after(prepare, &[verb, "--profile", "smoke", "-q", "--out", out.to_str().unwrap()]);
        assert!(output.status.success(), "{verb}: {}", told(&output));
        assert!(!told(&output).contains("No child processes"), "{}", told(&output));
    }
}

#[test]
fn an_address_space_that_is_too_small_is_named() {
    let prepare = || {
        let limit = libc::rlimit { rlim_cur: 3 << 30, rlim_max: 3 << 30 };
        // SAFETY: the limit is read and nothing else.
        checked(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) })
    };
    for workload in ["indexer/lru", "view/balance"] {
        let output =
            after(prepare, &["verify", "-w", workload, "-s", "copy/full", "--profile", "smoke", "-q"]);
        assert_eq!(output.status.code(), Some(1), "{}", told(&output));
        let limit = "is limited to 3.00 GiB, and a memory reserves 4 GiB: raise it (ulimit -v)";
        assert!(told(&output).contains(limit), "{}", told(&output));
    }
}

#[test]
fn a_blocked_signal_still_ends_the_run() {
    let prepare = || {
        let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigfillset writes a whole set, which sigprocmask reads.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            checked(libc::sigprocmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut()))
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(cargo_bin("resetbench"));
    command.args(["run", "--profile", "full", "-q", "--out"]).arg(folder.path().join("out"));
    // SAFETY: as above.
    unsafe { command.pre_exec(prepare) };
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let rows = folder.path().join("out/rows.ndjson");
    let began = Instant::now();
    while !rows.exists() && began.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(20));
    }
    // SAFETY: the child has not been waited for, so that its number is still its own.
    checked(unsafe { libc::kill(child.id() as i32, libc::SIGTERM) }).unwrap();
    // A full run takes twenty minutes: one that ends within two has heard the signal.
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > Duration::from_secs(240) {
            child.kill().unwrap();
            panic!("SIGTERM was not heard");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(read(&folder.path().join("out/run.json"))["interrupted"], true);
}

#[test]
fn a_limit_on_file_sizes_is_an_error_and_not_the_end_without_a_word() {
    let prepare = || {
        let limit = libc::rlimit { rlim_cur: 16 << 10, rlim_max: 16 << 10 };
        // SAFETY: the kernel reads one `rlimit`.
        checked(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) })
    };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let run = ["run", "--profile", "smoke", "-q", "-w", "stress/noop", "-s", "copy/full", "--out"];
    let output = after(prepare, &[&run[..], &[out.to_str().unwrap()]].concat());
    assert_eq!(output.status.code(), Some(1), "{:?}: {}", output.status, told(&output));
    assert!(told(&output).contains("File too large"), "{}", told(&output));
}

#[test]
fn few_descriptors_are_raised_to_as_many_as_are_allowed() {
    let prepare = || {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the kernel writes and reads one `rlimit`.
        unsafe {
            checked(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit))?;
            limit.rlim_cur = 12;
            checked(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit))
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let run = ["run", "--profile", "smoke", "-q", "-w", "stress/noop", "--out"];
    let output = after(prepare, &[&run[..], &[out.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{}", told(&output));
    assert!(!told(&output).contains("Too many open files"), "{}", told(&output));
}

#[test]
fn a_host_that_refuses_memfd_has_strategies_unavailable_and_none_broken() {
    let output = after(
        || refuse(libc::SYS_memfd_create, libc::EPERM),
        &[
            "verify",
            "--profile",
            "smoke",
            "--seed",
            "1",
            "-w",
            "foreign/c",
            "--schedule",
            "in-order",
            "--json",
        ],
    );
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", told(&output)));
    for cell in report["cells"].as_array().unwrap() {
        let outcome = cell["equivalence"].as_str().unwrap();
        let known = ["equivalent", "unavailable"].contains(&outcome) || cell["control"] == true;
        assert!(known, "{cell}");
        if outcome == "unavailable" {
            assert!(!cell["reason"].as_str().unwrap().is_empty(), "{cell}");
        }
    }
    let of = |name: &str| {
        report["cells"].as_array().unwrap().iter().find(|cell| cell["strategy"] == name).unwrap()
    };
    assert!(of("fresh/relink")["reason"].as_str().unwrap().contains("memfd"), "{}", of("fresh/relink"));
    assert_eq!(of("fresh/on-demand-copy")["equivalence"], "equivalent");
    assert!(output.status.success(), "{}", told(&output));
}

#[test]
fn memory_that_must_not_become_executable_is_told_with_its_remedy() {
    /// `PR_SET_MDWE` and `PR_MDWE_REFUSE_EXEC_GAIN` of `linux/prctl.h` (Linux 6.3).
    const SET_MDWE: libc::c_int = 65;
    // SAFETY: the call takes numbers only.
    let supported = unsafe { libc::prctl(66, 0, 0, 0, 0) } >= 0;
    if !supported {
        eprintln!("NOT TESTED HERE: this kernel has no PR_SET_MDWE (Linux 6.3)");
        return;
    }
    // SAFETY: the call takes numbers only.
    let prepare = || checked(unsafe { libc::prctl(SET_MDWE, 1, 0, 0, 0) });
    for (arguments, code) in [
        (&["doctor"][..], 0),
        (&["verify", "--profile", "smoke", "-w", "foreign/c", "-s", "copy/full"][..], 1),
    ] {
        let output = after(prepare, arguments);
        let said = told(&output).split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains("MemoryDenyWriteExecute"), "{said}");
    }
}

#[test]
fn a_proc_that_shows_processes_only_is_enough() {
    let prepare = || mounted(c"proc", c"/proc", c"subset=pid");
    if !can(prepare) {
        return;
    }
    let verify = ["verify", "--profile", "smoke", "--seed", "1", "-w", "foreign/c", "--schedule", "in-order"];
    let output = after(prepare, &verify);
    assert!(output.status.success(), "{}", told(&output));
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let run = ["run", "--profile", "smoke", "-q", "-w", "foreign/c", "-s", "copy/full", "--out"];
    let output = after(prepare, &[&run[..], &[out.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{}", told(&output));
}

#[test]
fn without_a_proc_children_are_started_by_path_and_a_warning_says_so() {
    let prepare = || mounted(c"tmpfs", c"/proc", c"size=64k");
    if !can(prepare) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let run = ["run", "--profile", "smoke", "-q", "-w", "stress/noop", "-s", "copy/full", "--out"];
    let output = after(prepare, &[&run[..], &[out.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{}", told(&output));
    assert!(
        told(&output).contains("/proc is not mounted, so that children are started by path"),
        "{}",
        told(&output)
    );
}

#[test]
fn a_full_disk_is_an_error_that_says_what_is_kept() {
    let prepare = || mounted(c"tmpfs", c"/mnt", c"size=64k");
    if !can(prepare) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept");
    // What is on the disk goes with the process.
    let script = r#""$0" run --profile smoke -q -w stress/noop --out /mnt/out; code=$?; cp -r /mnt/out "$1"; exit $code"#;
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(cargo_bin("resetbench")).arg(&kept).env("NO_COLOR", "1");
    // SAFETY: as in `after`.
    unsafe { command.pre_exec(prepare) };
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("No space left on device") && said.contains("resetbench report /mnt/out"),
        "{said}"
    );
    assert_eq!(read(&kept.join("run.json"))["interrupted"], true);
    let report = Command::new(cargo_bin("resetbench")).arg("report").arg(&kept).output().unwrap();
    assert!(report.status.success(), "{}", told(&report));
    assert!(told(&report).contains("fresh/relink"), "{}", told(&report));
}

#[test]
fn a_table_is_told_where_there_is_no_room_to_draw_it() {
    let prepare = || mounted(c"tmpfs", c"/mnt", c"size=160k");
    if !can(prepare) {
        return;
    }
    let run =
        ["run", "--profile", "smoke", "-q", "-w", "stress/noop", "-s", "copy/full", "--out", "/mnt/out"];
    let output = after(prepare, &run);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("cannot draw the report in /mnt/out"), "{}", told(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("copy/full"), "{}", told(&output));
}

#[test]
fn rows_outlive_a_folder_that_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut command = Command::new(cargo_bin("resetbench"));
    command
        .args(["run", "--profile", "smoke", "-q", "-w", "stress/noop", "-s", "copy/full", "--out"])
        .arg(&out);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    while fs::metadata(out.join("rows.ndjson")).map_or(0, |file| file.len()) == 0 {
        assert!(began.elapsed() < Duration::from_secs(120), "no row came");
        std::thread::sleep(Duration::from_millis(5));
    }
    fs::remove_dir_all(&out).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    assert!(told(&output).contains("was removed during the run"), "{}", told(&output));
    let rows = fs::read_to_string(out.join("rows.ndjson")).unwrap();
    // What was written before the folder was removed is there, too.
    assert!(rows.lines().next().unwrap().contains(r#""metric":"compile""#), "{rows}");
    assert!(out.join("report.html").exists());
}

#[test]
fn a_full_disk_behind_standard_output_is_an_error() {
    for verb in ["list", "doctor", "kernels"] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = Command::new(cargo_bin("resetbench")).arg(verb).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{verb}: {}", told(&output));
        assert_eq!(
            told(&output),
            "error: cannot write to standard output: No space left on device (os error 28)\n"
        );
    }
}

#[test]
fn threads_that_cannot_be_started_are_an_error_with_its_remedy() {
    let output = after(|| refuse(libc::SYS_clone3, libc::EAGAIN), &["list"]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).starts_with("error: no more threads can be started"), "{}", told(&output));
}

#[test]
fn a_folder_for_temporary_files_that_is_not_there_is_named_with_its_remedy() {
    let out = tempfile::tempdir().unwrap();
    let mut command = Command::new(cargo_bin("resetbench"));
    command.args(["run", "--profile", "smoke", "-w", "stress/noop", "--out"]).arg(out.path().join("out"));
    let output = command.env("TMPDIR", "/nowhere").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("cannot make a folder in /nowhere: set TMPDIR"), "{}", told(&output));
}
