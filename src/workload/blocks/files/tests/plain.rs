//! Raw and hex blocks, and folders.

use super::super::super::real::mainnet;
use super::*;

#[test]
fn a_raw_file_is_one_block_with_the_height_given() {
    let [real] = &mainnet()[..] else { panic!("one block") };
    let dir = folder(&[("702861.bin", &real.bytes)]);
    let trace = read(&dir.path().join("702861.bin"), 702_861, None).unwrap();
    assert_eq!(trace, Trace { blocks: vec![real.clone()], notes: vec![] });
}

#[test]
fn a_note_tells_when_the_coinbase_states_another_height() {
    let dir = folder(&[("a.bin", &six()[0].bytes), ("b.bin", &six()[1].bytes)]);
    let trace = read(dir.path(), 7, None).unwrap();
    assert_eq!(heights(&trace), [7, 8]);
    let [note] = &trace.notes[..] else { panic!("{:?}", trace.notes) };
    assert!(note.contains("a.bin: given height 7, though its coinbase states 100"), "{note}");
    assert!(note.ends_with("(and 1 more like it)"), "{note}");
}

#[test]
fn a_note_tells_when_the_merkle_root_is_wrong() {
    let mut block: bitcoin::Block = deserialize(&six()[0].bytes).unwrap();
    block.txdata[0].lock_time = bitcoin::absolute::LockTime::from_consensus(1);
    let dir = folder(&[("a.bin", &serialize(&block))]);
    let trace = read(dir.path(), 100, None).unwrap();
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
    let trace = read(dir.path(), 100, None).unwrap();
    assert_eq!(trace, Trace { blocks: six()[..3].to_vec(), notes: vec![] });
}

#[test]
fn the_limit_stops_before_what_is_broken() {
    let dir = folder(&[("1", &six()[0].bytes), ("2", &six()[1].bytes), ("3", b"\0 no block")]);
    assert_eq!(read(dir.path(), 100, Some(2)).unwrap().blocks, six()[..2]);
    assert_eq!(read(dir.path(), 100, Some(0)).unwrap().blocks, []);
    assert!(matches!(read(dir.path(), 100, Some(3)), Err(BlocksError::Truncated { .. })));
    let lines = format!("{}\n{}\nno block\n", hex_of(&six()[0].bytes), hex_of(&six()[1].bytes));
    let dir = folder(&[("1.hex", lines.as_bytes())]);
    assert_eq!(read(dir.path(), 100, Some(1)).unwrap().blocks, six()[..1]);
}

#[test]
fn what_a_folder_may_hold_beside_blocks() {
    let dir = folder(&[("1", &six()[0].bytes), (".hidden", b"x"), ("README.txt", b"x"), ("notes.md", b"x")]);
    fs::create_dir(dir.path().join("old")).unwrap();
    fs::create_dir(dir.path().join("index")).unwrap();
    let trace = read(dir.path(), 100, None).unwrap();
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
    assert_eq!(read(links.path(), 100, None).unwrap().blocks, six()[..1]);
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
    let trace = read(&dir.path().join("blocks.txt"), 100, None).unwrap();
    assert_eq!(trace, Trace { blocks: six()[..3].to_vec(), notes: vec![] });
}

#[test]
fn hex_wrapped_over_lines() {
    let hex = hex_of(&six()[0].bytes);
    for width in [1, 60, 161] {
        let lines: Vec<&str> =
            (0..hex.len()).step_by(width).map(|i| &hex[i..hex.len().min(i + width)]).collect();
        let dir = folder(&[("block.hex", (lines.join("\n") + "\n").as_bytes())]);
        assert_eq!(read(dir.path(), 100, None).unwrap().blocks, six()[..1], "{width}");
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
    assert!(matches!(told(format!("{good}\n{}\n", &good[..200])), BlocksError::Truncated { at, bytes: 100 }
        if at.position == Position::Line(2)));
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
