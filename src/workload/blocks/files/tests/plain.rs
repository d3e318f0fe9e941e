//! Raw and hex blocks, and folders.

use super::super::super::real::mainnet;
use super::*;

#[test]
fn a_raw_file_is_one_block_with_the_height_given() {
    let [real] = &mainnet()[..] else { panic!("one block") };
    let dir = folder(&[("702861.bin", &real.bytes)]);
    let trace = read(&dir.path().join("702861.bin"), Some(702_861), None).unwrap();
    assert_eq!(trace, stated(std::slice::from_ref(real)));
}

#[test]
fn blocks_get_the_heights_that_they_state_in_the_order_of_their_chain() {
    // By name, as hashes are: in no order of the chain.
    let dir = folder(&[("a.bin", &six()[2].bytes), ("b.bin", &six()[0].bytes), ("c.bin", &six()[1].bytes)]);
    assert_eq!(read(dir.path(), None, None).unwrap(), stated(&six()[..3]));
    let two = read(dir.path(), None, Some(2)).unwrap();
    assert_eq!((two.blocks, two.found), (six()[..2].to_vec(), 3));
    assert_eq!(read(dir.path(), Some(101), None).unwrap().blocks, six()[1..3]);
    let lines = [2, 0, 1].map(|i| hex_of(&six()[i].bytes)).join("\n");
    let dir = folder(&[("lines.hex", lines.as_bytes())]);
    assert_eq!(read(dir.path(), None, None).unwrap(), stated(&six()[..3]));
}

#[test]
fn a_height_that_contradicts_is_taken_on_purpose() {
    let trace = of(&[("a.bin", &six()[0].bytes), ("b.bin", &six()[1].bytes)], Some(7));
    assert_eq!((heights(&trace), trace.known), (vec![7, 8], Some(Known::Given)));
    let [note] = &trace.notes[..] else { panic!("{:?}", trace.notes) };
    assert!(
        note.starts_with("heights begin at 7, as --start-height says, though coinbases state 100"),
        "{note}"
    );
}

#[test]
fn blocks_that_state_no_height_are_counted_and_it_is_said() {
    let old = |i: usize| {
        let mut block: bitcoin::Block = deserialize(&six()[i].bytes).unwrap();
        block.header.version = bitcoin::block::Version::ONE;
        serialize(&block)
    };
    let dir = folder(&[("1.bin", &old(3)), ("2.bin", &old(1))]);
    let trace = read(dir.path(), None, None).unwrap();
    assert_eq!((heights(&trace), trace.known), (vec![0, 1], Some(Known::Counted)));
    assert_eq!(*trace.blocks[0].bytes, old(3), "in the order of the files");
    assert!(trace.sentence().starts_with("2 blocks, counted from 0"), "{}", trace.sentence());
    assert_eq!(heights(&read(dir.path(), Some(7), None).unwrap()), [7, 8]);
}

#[test]
fn a_note_tells_when_the_merkle_root_is_wrong() {
    let mut block: bitcoin::Block = deserialize(&six()[0].bytes).unwrap();
    block.txdata[0].lock_time = bitcoin::absolute::LockTime::from_consensus(1);
    let trace = of(&[("a.bin", &serialize(&block))], Some(100));
    assert_eq!(trace.blocks.len(), 1);
    assert!(trace.notes[0].contains("merkle root"), "{:?}", trace.notes);
}

#[test]
fn a_folder_is_read_in_natural_order() {
    let names = ["1.bin", "2.raw", "002x", "10.bin", "010.bin", "a9", "a10", "b"];
    let mut sorted: Vec<&OsStr> = names.iter().map(OsStr::new).collect();
    sorted.sort_by(|a, b| natural(b, a));
    sorted.sort_by(|a, b| natural(a, b));
    assert_eq!(sorted, ["1.bin", "2.raw", "002x", "010.bin", "10.bin", "a9", "a10", "b"]);
    assert_eq!(natural(OsStr::new("01"), OsStr::new("1")), Ordering::Less, "one order, always");
    assert_eq!(
        natural(OsStr::new("99999999999999999999999"), OsStr::new("100000000000000000000000")),
        Ordering::Less
    );

    let dir = folder(&[
        ("10.bin", &six()[2].bytes),
        ("9", &six()[1].bytes),
        ("1.hex", hex_of(&six()[0].bytes).as_bytes()),
    ]);
    let trace = read(dir.path(), Some(100), None).unwrap();
    assert_eq!(trace, stated(&six()[..3]));
}

#[test]
fn blocks_beyond_the_limit_are_not_decoded() {
    let cut = &six()[2].bytes[..200];
    let dir = folder(&[("1", &six()[0].bytes), ("2", &six()[1].bytes), ("3", cut)]);
    assert_eq!(read(dir.path(), None, Some(2)).unwrap().blocks, six()[..2]);
    assert_eq!(read(dir.path(), None, Some(0)).unwrap().blocks, []);
    assert!(matches!(read(dir.path(), None, Some(3)), Err(BlocksError::Truncated { .. })));
    let lines = [&six()[0].bytes, &six()[1].bytes, cut].map(hex_of).join("\n");
    let dir = folder(&[("1.hex", lines.as_bytes())]);
    assert_eq!(read(dir.path(), None, Some(2)).unwrap().blocks, six()[..2]);
}

#[test]
fn what_a_folder_may_hold_beside_blocks() {
    let dir = folder(&[("1", &six()[0].bytes), (".hidden", b"x"), ("README.txt", b"x"), ("notes.md", b"x")]);
    fs::create_dir(dir.path().join("old")).unwrap();
    fs::create_dir(dir.path().join("index")).unwrap();
    let trace = read(dir.path(), Some(100), None).unwrap();
    assert_eq!(trace.blocks, six()[..1]);
    let skipped: Vec<&str> = trace.notes.iter().map(|note| note.rsplit('/').next().unwrap()).collect();
    let because = "skipped, as sub-folders and read-me files are";
    assert_eq!(skipped, ["README.txt", "notes.md", "old"].map(|name| format!("{name}: {because}")));
}

#[test]
fn links_are_followed() {
    let dir = folder(&[("block", &six()[0].bytes)]);
    let links = tempfile::tempdir().unwrap();
    symlink(dir.path().join("block"), links.path().join("link")).unwrap();
    assert_eq!(read(links.path(), Some(100), None).unwrap().blocks, six()[..1]);
    symlink(dir.path().join("nowhere"), links.path().join("dangling")).unwrap();
    assert!(matches!(error(links.path()), BlocksError::Missing { path } if path.ends_with("dangling")));
}

#[test]
fn any_other_file_in_a_folder_is_an_error_that_names_it() {
    let dir = folder(&[("1", &six()[0].bytes), ("notes.txt", b"two blocks")]);
    let error = error(dir.path());
    assert!(matches!(&error, BlocksError::NotHex { found: 't', column: 1, .. }), "{error}");
    assert!(error.to_string().contains("notes.txt, line 1: 't' (column 1) is no hex digit"), "{error}");
}

#[test]
fn hex_one_block_per_line() {
    let [a, b, c] = [0, 1, 2].map(|i| hex_of(&six()[i].bytes));
    // Upper case, Windows line ends, blank lines, spaces inside, no newline at the end.
    let text = format!("\n  {}\r\n\r\n{}\t{} \n{c}", a.to_uppercase(), &b[..50], &b[50..]);
    let dir = folder(&[("blocks.txt", text.as_bytes())]);
    let trace = read(&dir.path().join("blocks.txt"), Some(100), None).unwrap();
    assert_eq!(trace, stated(&six()[..3]));
}

#[test]
fn hex_wrapped_over_lines() {
    let hex = hex_of(&six()[0].bytes);
    for width in [1, 60, 161] {
        let lines: Vec<&str> =
            (0..hex.len()).step_by(width).map(|i| &hex[i..hex.len().min(i + width)]).collect();
        let dir = folder(&[("block.hex", (lines.join("\n") + "\n").as_bytes())]);
        assert_eq!(read(dir.path(), Some(100), None).unwrap().blocks, six()[..1], "{width}");
    }
}

#[test]
fn hex_errors_name_the_line() {
    let good = hex_of(&six()[0].bytes);
    let told = |text: String| {
        let dir = folder(&[("b.hex", text.as_bytes())]);
        error(dir.path())
    };
    assert!(matches!(told(format!("{good}\n{good}g\n")), BlocksError::NotHex { at, column, found: 'g' }
        if at.position == Position::Line(2) && column == good.len() + 1));
    assert!(matches!(told(format!("{good}\n\n{good}a\n")), BlocksError::OddHex { at, digits }
        if at.position == Position::Line(3) && digits == good.len() + 1));
    assert!(
        matches!(told(format!("{good}\n{}\n", &hex_of(&six()[1].bytes)[..200])), BlocksError::Truncated { at, bytes: 100 }
        if at.position == Position::Line(2))
    );
    assert!(matches!(told(format!("{good}00\n")), BlocksError::Trailing { at, block, extra: 1 }
        if at.position == Position::Line(1) && block == six()[0].bytes.len()));
    assert!(matches!(told(" \n\t\n".into()), BlocksError::EmptyFile { .. }));
    assert!(matches!(told("00".repeat(4_000_001)), BlocksError::TooLarge { bytes: 4_000_001, .. }));
}

#[test]
fn paths_that_hold_nothing() {
    let dir = folder(&[("empty", b"")]);
    assert!(matches!(error(&dir.path().join("missing")), BlocksError::Missing { .. }));
    assert!(matches!(error(&dir.path().join("empty/below")), BlocksError::Unreadable { .. }));
    assert!(matches!(error(&dir.path().join("empty")), BlocksError::EmptyFile { .. }));
    assert!(matches!(error(folder(&[(".hidden", b"x")]).path()), BlocksError::EmptyFolder { .. }));
    assert!(matches!(error(Path::new("/dev/null")), BlocksError::NotAFile { .. }));
}

#[test]
fn raw_errors_say_what_is_wrong() {
    let block = &six()[0].bytes;
    let told = |bytes: &[u8]| error(folder(&[("b", bytes)]).path());
    assert!(matches!(told(&block[..40]), BlocksError::Truncated { bytes: 40, .. }));
    assert!(matches!(told(&block[..block.len() - 1]), BlocksError::Truncated { .. }));
    assert!(matches!(told(&[block, &[7, 7][..]].concat()), BlocksError::Trailing { extra: 2, .. }));
    let no_transactions = [&block[..80], &[0]].concat();
    assert!(
        matches!(told(&no_transactions), BlocksError::Malformed { cause, .. } if cause.contains("no transaction"))
    );
    let sparse = folder(&[]);
    fs::File::create(sparse.path().join("huge")).unwrap().set_len(1 << 40).unwrap();
    assert!(matches!(error(sparse.path()), BlocksError::TooLarge { bytes: 0x100_0000_0000, .. }));
}
