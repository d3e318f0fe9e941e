//! Modules under odd names and in odd forms, and names that are typed wrong.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;

use crate::common::{list, read, resetbench, text};

const GUEST: &str = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;

/// [`GUEST`], packed by `xz -9e --check=crc32`.
const XZ: &str = "fd377a585a0000016922de36020021011c00000010cf58cce0003d00325d00141b49e658f7c1d84382b6f8f3f3d2655240b1930b3a\
75c355c12807418e7abfa4abd4679f8c616d6a3168b22f1b4bf5cdb300000056e1cd7600014a3e0f0f71eb9042990d010000000001595a";

fn unhex(digits: &str) -> Vec<u8> {
    let pairs = (0..digits.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex")).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn verify(module: &Path) -> Command {
    let mut command = resetbench();
    command.args(["verify", "--profile", "smoke", "--schedule", "in-order", "-s", "copy/full", "--quiet"]);
    command.arg("--json").arg("--module").arg(module);
    command
}

/// Measures a module of this name, and makes sure that all of its report is there; its workload's name.
fn measured(name: impl Into<OsString>) -> String {
    let place = tempfile::tempdir().unwrap();
    let module = place.path().join(name.into());
    fs::write(&module, wat::parse_str(GUEST).unwrap()).unwrap();
    let out = place.path().join("out");
    let mut command = resetbench();
    command.args(["run", "--profile", "smoke", "--quiet", "-s", "copy/full", "--module"]).arg(&module);
    let said = command.arg("--out").arg(&out).assert().success().get_output().stdout.clone();
    let said = String::from_utf8(said).expect("UTF-8");
    for name in ["run.json", "rows.ndjson", "summary.json", "report.md", "report.html"] {
        assert!(out.join(name).is_file(), "{name}");
    }
    let figures = out.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(figures.filter(|name| name.ends_with(".svg")).count() >= 3, "figures");
    let name = text(&list(&read(&out.join("run.json")), "workloads")[0], "name").to_owned();
    assert!(!name.contains(|c: char| c.is_control()), "{name:?}");
    let odd = |c: char| c.is_control() && c != '\n';
    assert!(!said.contains(odd), "{said:?}");
    // It can be asked for again, and drawn again.
    resetbench().arg("recommend").arg(&out).args(["-w", &name]).assert().success();
    resetbench().args(["report", "--quiet"]).arg(&out).assert().success();
    name
}

#[test]
fn a_module_may_have_the_longest_name_that_there_is() {
    let name = measured("n".repeat(245) + ".wasm");
    assert!(name.starts_with("user/nnnn") && name.len() < 120, "{name}");
    let other = measured("n".repeat(244) + "m.wasm");
    assert_ne!(name, other, "two modules");
    assert!(measured("語".repeat(80) + ".wasm").starts_with("user/語語"));
}

#[test]
fn a_module_may_have_an_odd_name() {
    let begins =
        [("a\nb.wasm", "user/a_b~"), ("..wasm", "user/module"), ("my ordinäl.wasm", "user/my ordinäl")];
    for (file, begin) in begins {
        let name = measured(file);
        assert!(name.starts_with(begin), "{file:?}: {name}");
    }
    measured(OsString::from_vec(b"\xff\xfe.wasm".to_vec()));
}

#[test]
fn a_module_named_like_an_option_is_a_file() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("-rf.wasm"), wat::parse_str(GUEST).unwrap()).unwrap();
    resetbench().current_dir(place.path()).args(["inspect", "--", "-rf.wasm"]).assert().success();
    resetbench().current_dir(place.path()).args(["inspect", "./-rf.wasm"]).assert().success();
}

#[test]
fn modules_are_taken_as_text_and_packed() {
    let place = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = place.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let binary = wat::parse_str(GUEST).unwrap();
    let zstd = ruzstd::encoding::compress_to_vec(&binary[..], ruzstd::encoding::CompressionLevel::Fastest);
    let forms = [
        file("text.wat", GUEST.as_bytes()),
        file("text-as.wasm", GUEST.as_bytes()),
        file("packed.wasm.gz", &gzip(&binary)),
        file("packed.wat.gz", &gzip(GUEST.as_bytes())),
        file("packed.wasm.zst", &zstd),
        file("packed.wat.xz", &unhex(XZ)),
    ];
    for form in forms {
        resetbench()
            .arg("inspect")
            .arg(&form)
            .assert()
            .success()
            .stdout(contains("everything is brought back"));
        verify(&form).assert().success().stdout(contains("\"equivalent\""));
    }
    let name = |file| {
        let said = verify(&place.path().join(file)).assert().success().get_output().stdout.clone();
        String::from_utf8(said).unwrap()
    };
    assert!(name("packed.wat.gz").contains("\"user/packed\""));
}

#[test]
fn modules_that_are_none_are_refused_in_words() {
    let place = tempfile::tempdir().unwrap();
    let refused = |name: &str, content: &[u8], words: &str| {
        let path = place.path().join(name);
        fs::write(&path, content).unwrap();
        resetbench()
            .arg("inspect")
            .arg(&path)
            .assert()
            .failure()
            .stderr(contains(words).and(contains("panicked").not()));
        verify(&path).assert().failure().stderr(contains(words));
    };
    refused("wrong.wat", b"(module (func (export \"_start\")", "wrong.wat is not WebAssembly as text");
    refused("cut.wasm.gz", &gzip(&[0; 500])[..15], "cannot be unpacked");
    refused("module.zip", b"PK\x03\x04....", "module.zip is a zip archive: unpack it first");
    refused("empty.wasm", b"", "empty.wasm is not a WebAssembly module: the file is empty");
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..257 {
        bomb.write_all(&[0; 1 << 20]).unwrap();
    }
    refused("bomb.wasm.gz", &bomb.finish().unwrap(), "it unpacks to more than 256 MiB");
    resetbench().arg("inspect").arg(place.path()).assert().failure().stderr(contains("it is a folder"));
}

#[test]
fn what_is_typed_wrong_is_answered_with_the_nearest_name() {
    let meant = |arguments: &[&str], words: &str| {
        resetbench().args(arguments).assert().failure().stderr(contains(words));
    };
    meant(&["verify", "-s", "adaptve"], "did you mean `adaptive`?");
    meant(&["run", "-s", "Copy/Full"], "did you mean `copy/full`?");
    meant(&["verify", "-s", "hotcold"], "did you mean `adaptive/hot-cold`?");
    meant(&["verify", "-w", "indexr"], "did you mean `indexer`?");
    meant(&["verify", "-w", "blocktraker"], "did you mean `indexer/blocktracker`?");
    meant(&["verify", "--schedule", "inorder"], "did you mean `in-order`?");
    meant(&["run", "-p", "drity=3"], "did you mean `dirty`?");
    let nothing =
        resetbench().args(["verify", "-s", "zzzzzzz"]).assert().failure().get_output().stderr.clone();
    assert!(!String::from_utf8_lossy(&nothing).contains("did you mean"));
}
