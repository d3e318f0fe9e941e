//! Histories that bytes decode to, committed ones and random ones; the fuzz target in `fuzz/` looks for others by
//! coverage.
//!
//! `RESET_HISTORIES` says how many random ones, `RESET_HISTORY_SEED` where to start; `RESET_HISTORY` names a file that is
//! decoded, printed and run alone.

mod property;

use std::collections::BTreeMap;
use std::path::Path;
use std::{env, fs};

use property::{Checked, check, described, strategies};
use rand::rngs::ChaCha8Rng;
use rand::{Rng, RngExt, SeedableRng};

/// How many have to hold in an ordinary run: some seconds' worth.
const HISTORIES: u64 = 300;

fn number(variable: &str, default: u64) -> u64 {
    env::var(variable).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable}={text}")))
}

/// Checks inputs and says what became of them.
fn run(inputs: impl Iterator<Item = (String, Vec<u8>)>) -> usize {
    let (mut held, mut blocks) = (0, 0);
    let mut others = BTreeMap::<String, u32>::new();
    let mut failed = Vec::new();
    for (name, bytes) in inputs {
        match check(&bytes) {
            Ok(Checked::Held { blocks: executed }) => (held, blocks) = (held + 1, blocks + executed),
            Ok(Checked::Refused { reason }) => *others.entry(reason).or_default() += 1,
            Ok(Checked::Inert) => *others.entry("says nothing".into()).or_default() += 1,
            Err(difference) => failed.push(format!("{name}: {difference}")),
        }
    }
    println!("{held} histories held, {blocks} blocks, under {} strategies", strategies().count());
    for (reason, histories) in others {
        println!("{histories:>6}  NOT TESTED HERE: {reason}");
    }
    assert!(failed.is_empty(), "{} do not hold:\n{}", failed.len(), failed.join("\n"));
    held
}

#[test]
fn histories_that_bytes_decode_to_leave_nothing_behind() {
    if let Ok(file) = env::var("RESET_HISTORY") {
        let bytes = fs::read(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
        println!("{}", described(&bytes));
        run([(file, bytes)].into_iter());
        return;
    }
    let first = number("RESET_HISTORY_SEED", 0);
    let random = (first..first + number("RESET_HISTORIES", HISTORIES)).map(|seed| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut bytes = vec![0; random.random_range(40..400)];
        random.fill_bytes(&mut bytes);
        (format!("seed {seed}"), bytes)
    });
    assert!(run(random) > 0, "none could be run");
}

#[test]
fn histories_that_were_found_by_coverage_leave_nothing_behind() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/history");
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = files.map(|file| file.expect("a readable folder").path()).collect();
    files.sort();
    let inputs =
        files.iter().map(|file| (file.display().to_string(), fs::read(file).expect("a readable file")));
    run(inputs);
}
