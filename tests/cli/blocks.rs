//! The blocks that people have on disk, as they are.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use assert_cmd::assert::Assert;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use resetbench::workload::blocks::{self, Block};
use resetbench::workload::host::hex;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::common::{list, read, resetbench};

/// A guest that does nothing with its block: what is read is what is tested.
const GUEST: &str = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;

/// Regtest's magic.
const MAGIC: [u8; 4] = [0xfa, 0xbf, 0xb5, 0xda];

/// Blocks 101 to 106.
fn six() -> &'static [Block] {
    static BLOCKS: OnceLock<Vec<Block>> = OnceLock::new();
    BLOCKS.get_or_init(|| blocks::read("tests/chain/100-106.hex".as_ref(), Some(101), None).unwrap().blocks)
}

fn record(block: &Block) -> Vec<u8> {
    [&MAGIC[..], &(block.bytes.len() as u32).to_le_bytes(), &block.bytes].concat()
}

fn records(blocks: &[Block]) -> Vec<u8> {
    blocks.iter().flat_map(record).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

/// A folder with a guest and files of blocks.
struct Place {
    folder: TempDir,
    module: PathBuf,
}

impl Place {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let module = folder.path().join("guest.wasm");
        fs::write(&module, wat::parse_str(GUEST).unwrap()).unwrap();
        let blocks = folder.path().join("blocks");
        fs::create_dir(&blocks).unwrap();
        for (name, content) in files {
            fs::write(blocks.join(name), content).unwrap();
        }
        Self { folder, module }
    }

    fn blocks(&self) -> PathBuf {
        self.folder.path().join("blocks")
    }

    /// Verifies the guest on the folder, which is the quickest way to have it read.
    fn verify(&self, arguments: &[&str]) -> Assert {
        self.verify_on(&self.blocks(), arguments)
    }

    fn verify_on(&self, blocks: &Path, arguments: &[&str]) -> Assert {
        let fixed = [
            "verify",
            "--profile",
            "smoke",
            "--schedule",
            "in-order",
            "-s",
            "copy/full",
            "--quiet",
            "--module",
        ];
        resetbench().args(fixed).arg(&self.module).arg("--blocks").arg(blocks).args(arguments).assert()
    }

    /// What `run.json` says of the workload after a run.
    fn workload(&self, arguments: &[&str]) -> Value {
        let out = self.folder.path().join("out");
        let fixed = ["run", "--profile", "smoke", "-s", "copy/full", "--quiet", "--module"];
        let mut command = resetbench();
        command.args(fixed).arg(&self.module).arg("--blocks").arg(self.blocks()).args(arguments);
        command.arg("--out").arg(&out).assert().success();
        let record = read(&out.join("run.json"));
        fs::remove_dir_all(out).unwrap();
        list(&record, "workloads")[0].clone()
    }
}

/// The digest of what a guest is given: heights as 4 bytes, little-endian, each before its block.
fn trace_sha256(blocks: &[(u32, &Block)]) -> String {
    let mut digest = Sha256::new();
    for (height, block) in blocks {
        digest.update(height.to_le_bytes());
        digest.update(&block.bytes);
    }
    hex(&digest.finalize())
}

#[test]
fn blocks_get_the_heights_that_they_state_and_the_record_says_how_they_are_known() {
    // Named by hash, as it were: in no order of the chain.
    let place =
        Place::new(&[("a.bin", &six()[2].bytes), ("b.bin", &six()[0].bytes), ("c.bin", &six()[1].bytes)]);
    let stated = place.workload(&[]);
    assert_eq!(stated["heights"]["first"], 101, "{stated}");
    assert_eq!(stated["heights"]["known"], "stated");
    let three = [(101, &six()[0]), (102, &six()[1]), (103, &six()[2])];
    assert_eq!(stated["trace_sha256"], trace_sha256(&three));

    let given = place.workload(&["--start-height", "7"]);
    assert_eq!((&given["heights"]["first"], &given["heights"]["known"]), (&7.into(), &"given".into()));
    let three = [(7, &six()[0]), (8, &six()[1]), (9, &six()[2])];
    assert_eq!(given["trace_sha256"], trace_sha256(&three));
}

#[test]
fn what_was_done_about_heights_is_said() {
    let place = Place::new(&[("blk00000.dat", &records(six()))]);
    let said = "note: 6 blocks, from height 101 on, as coinbases state (BIP 34)\n";
    place.verify(&[]).success().stderr(contains(said));
    let said = "note: 2 of 6 blocks (more with --limit), from height 101 on";
    place.verify(&["--limit", "2"]).success().stderr(contains(said));
    place.verify(&["--start-height", "104"]).success().stderr(
        contains("3 blocks below height 104 left out")
            .and(contains("3 blocks, from height 104 on, as coinbases")),
    );
    place.verify(&["--start-height", "7"]).success().stderr(
        contains("heights begin at 7, as --start-height says, though coinbases state 101 (BIP 34)")
            .and(contains("6 blocks, from height 7 on, as --start-height says")),
    );
}

#[test]
fn blocks_from_before_bip34_are_counted_and_it_is_said() {
    // Version 1.
    let old = |block: &Block| [&1_u32.to_le_bytes()[..], &block.bytes[4..]].concat();
    let place = Place::new(&[("1.bin", &old(&six()[0])), ("2.bin", &old(&six()[1]))]);
    place
        .verify(&[])
        .success()
        .stderr(contains("2 blocks, counted from 0 because not every block states its height"));
    place
        .verify(&["--start-height", "9"])
        .success()
        .stderr(contains("2 blocks, from height 9 on, as --start-height"));
}

#[test]
fn a_trace_of_one_block_is_called_what_it_is() {
    let place = Place::new(&[("101.bin", &six()[0].bytes)]);
    let said = "one block is run over and over on user/guest";
    place.verify(&[]).success().stderr(contains(said));
    let out = place.folder.path().join("out");
    let mut command = resetbench();
    command.args(["run", "--profile", "smoke", "-s", "copy/full", "--quiet", "--module"]).arg(&place.module);
    command
        .arg("--blocks")
        .arg(place.blocks())
        .arg("--out")
        .arg(&out)
        .assert()
        .success()
        .stderr(contains(said));
    assert!(fs::read_to_string(out.join("report.md")).unwrap().contains(said));
    assert!(fs::read_to_string(out.join("report.html")).unwrap().contains(said));
    resetbench().arg("recommend").arg(&out).assert().stdout(contains("one block is run over and over"));
    // More of them, where there are more.
    let place = Place::new(&[(
        "blocks.hex",
        six().iter().map(|b| hex(&b.bytes) + "\n").collect::<String>().as_bytes(),
    )]);
    place.verify(&[]).success().stderr(contains("note: 6 blocks").and(contains(said).not()));
    place.verify(&["--limit", "1"]).success().stderr(contains(said));
}

#[test]
fn block_files_are_read_on_behind_zeros_and_damage() {
    let (first, rest) = (record(&six()[0]), records(&six()[1..]));
    let half = &record(&six()[1])[..300];
    for junk in [&[0; 8][..], &[0; 5_000], b"junk between records", &MAGIC, half] {
        let place = Place::new(&[("blk00000.dat", &[&first[..], junk, &rest].concat())]);
        let passed =
            format!("blk00000.dat: {} bytes from byte {} on are no whole record", junk.len(), first.len());
        place.verify(&[]).success().stderr(contains(passed).and(contains("note: 6 blocks, from height 101")));
    }
    // As a node leaves it: scrambled records, and raw zeros between.
    let key = [1, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];
    let mut file = [&first[..], &[0; 4_096], &rest].concat();
    file.iter_mut().enumerate().for_each(|(at, byte)| *byte ^= key[at % 8]);
    file[first.len()..first.len() + 4_096].fill(0);
    let place = Place::new(&[("blk00000.dat", &file), ("xor.dat", &key)]);
    place.verify(&[]).success().stderr(contains("4096 bytes from byte").and(contains("note: 6 blocks")));
}

#[test]
fn advice_about_the_key_is_for_files_without_any_block() {
    let place = Place::new(&[("blk00000.dat", &[&records(&six()[..2])[..], &[7; 999]].concat())]);
    place.verify(&[]).success().stderr(contains("xor.dat").not());
    let zeros = [&MAGIC[..], &200_u32.to_le_bytes(), &[0; 200]].concat();
    let place = Place::new(&[("blk00000.dat", &[&zeros[..], &records(six())].concat())]);
    place.verify(&[]).success().stderr(contains("208 bytes from byte 0 on").and(contains("note: 6 blocks")));
    let place = Place::new(&[("blk00000.dat", &[7; 999])]);
    place.verify(&[]).failure().stderr(contains("put their folder's xor.dat beside this file"));
}

#[test]
fn hex_is_read_however_it_is_written() {
    let [one, two] = [0, 1].map(|i| hex(&six()[i].bytes));
    let utf16: Vec<u8> = format!("\u{feff}{one}\r\n").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let texts: [(&str, Vec<u8>); 10] = [
        ("101.hex", format!("0x{one}\n").into()),
        ("upper.txt", format!("  0X{}\r\n", one.to_uppercase()).into()),
        ("lines", format!("0x{one}\n\n0x{two}\n").into()),
        ("remarks.hex", format!("# block 101\n{one}\n# block 102\n{two}\n").into()),
        ("record.hex", hex(&record(&six()[0])).into()),
        ("mark.hex", format!("\u{feff}{one}").into()),
        ("powershell.hex", utf16),
        ("rpc.json", format!("{{\"result\":\"{one}\",\"error\":null,\"id\":\"1\"}}\n").into()),
        ("explorer.json", format!("{{\"data\": {{\"raw_block\": \"0x{one}\"}}}}").into()),
        ("quoted", format!("\"{one}\"\n\"{two}\"\n").into()),
    ];
    for (name, text) in texts {
        let place = Place::new(&[(name, &text)]);
        place.verify(&[]).success().stderr(contains(" from height 101 on, as coinbases state"));
    }
    let place = Place::new(&[("tx.json", format!("{{\"tx\": [\"{one}\"]}}").as_bytes())]);
    place
        .verify(&[])
        .failure()
        .stderr(contains("tx.json: JSON without a block").and(contains("getblock HASH 0")));
}

#[test]
fn packed_blocks_are_read() {
    let hex = hex(&six()[0].bytes);
    for pack in [gzip, zstd] {
        let raw = Place::new(&[("1.packed", &pack(&six()[1].bytes)), ("2", &pack(&six()[0].bytes))]);
        raw.verify(&[]).success().stderr(contains("note: 2 blocks, from height 101 on"));
        Place::new(&[("101.hex.packed", &pack(hex.as_bytes()))]).verify(&[]).success();
        let file = pack(&[&records(&six()[1..])[..], &[0; 3_000], &record(&six()[0])].concat());
        let core = Place::new(&[("blk00000.dat.gz", &file)]);
        core.verify(&[])
            .success()
            .stderr(contains("blk00000.dat.gz: 3000 bytes").and(contains("note: 6 blocks")));
    }
}

#[test]
fn what_unpacks_to_too_much_is_refused_with_the_limit() {
    let bomb = vec![0; 20_000_000];
    let place = Place::new(&[("bomb.gz", &gzip(&bomb))]);
    place.verify(&[]).failure().stderr(contains("bomb.gz").and(contains("4,000,000 at most")));
    let place = Place::new(&[("bomb.hex.gz", &gzip(&[b'0'; 20_000_000]))]);
    place.verify(&[]).failure().stderr(contains("bomb.hex.gz").and(contains("4,000,000 at most")));
    let place = Place::new(&[("blocks.zip", b"PK\x03\x04 and so on")]);
    place.verify(&[]).failure().stderr(contains("blocks.zip: a zip archive, which is not read; unpack it"));
}

#[test]
fn other_chains_are_named() {
    for (magic, chain) in [([0xfb, 0xc0, 0xb6, 0xdb], "Litecoin"), ([0xc0; 4], "Dogecoin")] {
        let mut file = records(six());
        file[..4].copy_from_slice(&magic);
        let said = format!("these are {chain} blocks, not Bitcoin's");
        Place::new(&[("blk00000.dat", &file)]).verify(&[]).failure().stderr(contains(said));
    }
    Place::new(&[("block.bin", &[7; 300])]).verify(&[]).failure().stderr(contains("not a Bitcoin block"));
}

#[test]
fn what_would_be_ignored_or_measure_nothing_is_refused() {
    let place = Place::new(&[("101.bin", &six()[0].bytes)]);
    place.verify(&["--limit", "0"]).failure().stderr(contains("--limit"));
    let without = resetbench().args(["verify", "-w", "foreign/c", "--start-height", "5"]).assert().failure();
    without.stderr(contains("--blocks"));
}

#[test]
fn the_data_folder_of_a_node_will_do() {
    let place = Place::new(&[("blk00000.dat", &records(six()))]);
    let node = tempfile::tempdir().unwrap();
    fs::rename(place.blocks(), node.path().join("blocks")).unwrap();
    fs::write(node.path().join("bitcoin.conf"), "regtest=1\n").unwrap();
    fs::write(node.path().join("peers.dat"), [1; 100]).unwrap();
    place.verify_on(node.path(), &[]).success().stderr(contains("note: 6 blocks"));
}
