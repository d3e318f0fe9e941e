//! Bitcoin Core's files with zeros, halves and damage in them.

use super::*;

/// The blocks that are read from a file, and the notes.
fn told(file: &[u8]) -> (Vec<Block>, Vec<String>) {
    let trace = of(&[("blk00000.dat", file)], None);
    (
        trace.blocks,
        trace.notes.into_iter().map(|note| note.rsplit("dat: ").next().unwrap().to_owned()).collect(),
    )
}

fn regtest(order: &[usize]) -> Vec<u8> {
    records(Magic::REGTEST, pick(order))
}

/// What is passed over between two halves of a file, and told with its place and size.
fn between(junk: &[u8]) {
    let (first, rest) = (regtest(&[0, 1]), regtest(&[2, 3]));
    let (blocks, notes) = told(&[&first, junk, &rest].concat());
    assert_eq!(blocks, six()[..4]);
    let expected = format!("{} bytes from byte {} on are no whole record", junk.len(), first.len());
    assert!(notes[0].starts_with(&expected), "{notes:?}");
    // At the beginning of the file, and at its end.
    let (blocks, notes) = told(&[junk, &first, &rest].concat());
    assert_eq!(blocks, six()[..4]);
    assert!(notes[0].starts_with(&format!("{} bytes from byte 0 on", junk.len())), "{notes:?}");
    let (blocks, notes) = told(&[&first[..], &rest, junk].concat());
    assert_eq!(blocks, six()[..4]);
    assert_eq!(notes.len(), usize::from(junk.iter().any(|&byte| byte != 0)), "{notes:?}");
}

#[test]
fn zeros_and_junk_between_records_are_passed_over() {
    for zeros in [1, 7, 8, 5_000, (1 << 20) + 3] {
        between(&vec![0; zeros]);
    }
    between(b"abcdefgh");
    between(&[0xfa, 0xbf]);
    // The magic of another network, and records that no block fits.
    between(&Magic::BITCOIN.to_bytes()[..3]);
    for claimed in [0_u32, 80, 4_000_001, u32::MAX] {
        between(&[&Magic::REGTEST.to_bytes()[..], &claimed.to_le_bytes()].concat());
    }
}

#[test]
fn half_a_record_that_was_written_again_swallows_nothing() {
    let whole = regtest(&[1]);
    for cut in [4, 8, 40, 100, 500, whole.len() - 1] {
        let (blocks, notes) = told(&[&regtest(&[0])[..], &whole[..cut], &whole, &regtest(&[2])].concat());
        assert_eq!(blocks, six()[..3], "{cut}");
        assert!(notes[0].starts_with(&format!("{cut} bytes from byte")), "{notes:?}");
    }
    // A magic written twice.
    between(&Magic::REGTEST.to_bytes());
}

#[test]
fn a_record_of_zeros_is_no_block() {
    let zeros = records(Magic::REGTEST, [&[0; 300][..]]);
    between(&zeros);
    let alone = error(folder(&[("blk00000.dat", &zeros)]).path());
    assert!(matches!(alone, BlocksError::Malformed { .. }), "{alone}");
}

#[test]
fn a_damaged_block_leaves_a_gap_and_is_told() {
    let mut file = regtest(&[0, 1, 2, 3]);
    let second = regtest(&[0]).len();
    // Its transactions, beyond what tells where it belongs.
    file[second + 8 + 300..second + 8 + 1_500].fill(0xff);
    let trace = of(&[("blk00000.dat", &file)], None);
    assert_eq!(heights(&trace), [100, 102, 103]);
    assert!(trace.notes[0].starts_with("passed over a damaged block: "), "{:?}", trace.notes);
    assert!(trace.notes[0].contains(&format!("blk00000.dat, byte {}", second + 8)), "{:?}", trace.notes);
    assert_eq!(trace.notes[1], "no file holds the blocks of heights 101 to 101");
    // It was written again, whole.
    file.extend(regtest(&[1]));
    let trace = of(&[("blk00000.dat", &file)], None);
    assert_eq!(heights(&trace), [100, 101, 102, 103]);
}

#[test]
fn bytes_after_a_block_within_its_record_are_passed_over() {
    let longer = [&six()[1].bytes, &[7; 5][..]].concat();
    let file = [regtest(&[0]), records(Magic::REGTEST, [&longer[..]]), regtest(&[2])].concat();
    let (blocks, notes) = told(&file);
    assert_eq!(blocks, six()[..3]);
    assert!(notes[0].contains("5 bytes after the block in its record"), "{notes:?}");
}

#[test]
fn scrambled_files_have_gaps_as_well() {
    let key = [1, 2, 3, 4, 5, 6, 7, 0x88];
    let (first, rest) = (regtest(&[0, 1]), regtest(&[2, 3]));
    let mut file = [&first[..], &[0; 4_096], &rest].concat();
    xor(&mut file, key);
    file[first.len()..first.len() + 4_096].fill(0);
    let trace = of(&[("blk00000.dat", &file), ("xor.dat", &key)], None);
    assert_eq!(trace.blocks, six()[..4]);
    assert!(trace.notes[0].contains(": 4096 bytes from byte"), "{:?}", trace.notes);
    // Unscrambled by somebody who left the key.
    let dir = folder(&[("blk00000.dat", &first), ("xor.dat", &key)]);
    assert_eq!(read(dir.path(), None, None).unwrap(), stated(&six()[..2]));
}

#[test]
fn a_file_of_nothing_but_damage_is_told_beside_whole_ones() {
    let trace = of(&[("blk00000.dat", &regtest(&[0, 1])), ("blk00001.dat", b"damage\0\0\0\0\0")], None);
    assert_eq!(trace.blocks, six()[..2]);
    assert!(trace.notes[0].contains("blk00001.dat: 11 bytes from byte 0 on"), "{:?}", trace.notes);
}

#[test]
fn a_first_file_without_a_block_says_what_is_wrong_with_it() {
    let told = |file: &[u8]| error(folder(&[("blk00000.dat", file)]).path());
    let magic = Magic::BITCOIN.to_bytes();
    let record = |length: u32| [&magic[..], &length.to_le_bytes(), &[1; 100]].concat();
    let here = |at: &Place| at.position == Position::Byte(0);
    assert!(matches!(told(b"abcdefgh"), BlocksError::Magic { at, .. } if here(&at)));
    assert!(matches!(told(&magic), BlocksError::RecordTruncated { at, needs: 8, left: 4 } if here(&at)));
    assert!(
        matches!(told(&record(101)), BlocksError::RecordTruncated { at, needs: 109, left: 108 } if here(&at))
    );
    for claimed in [0, 80, 4_000_001, u32::MAX] {
        assert!(matches!(told(&record(claimed)), BlocksError::RecordSize { claimed: c, .. } if c == claimed));
    }
    assert!(matches!(
        told(&[&[0; 70_000][..], b"x"].concat()),
        BlocksError::Magic { found: [0, 0, 0, 0], .. }
    ));
}

#[test]
fn other_chains_and_networks_are_named() {
    for (magic, chain) in [([0xfb, 0xc0, 0xb6, 0xdb], "Litecoin"), ([0xc0; 4], "Dogecoin")] {
        for name in ["blk00000.dat", "bootstrap.dat"] {
            let error = error(folder(&[(name, &records(Magic::from_bytes(magic), pick(&[0])))]).path());
            let expected = format!("these are {chain} blocks, not Bitcoin's");
            assert!(error.to_string().contains(&expected), "{error}");
        }
    }
    let (one, other) = (regtest(&[0]), records(Magic::SIGNET, pick(&[1])));
    let error = error(folder(&[("blk00000.dat", &one), ("blk00001.dat", &other)]).path());
    assert!(error.to_string().contains("blocks of signet beside those of regtest"), "{error}");
    // A signet of one's own.
    let own = records(Magic::from_bytes([0xa5, 0xdf, 0x2d, 0xcb]), pick(&[0, 1]));
    let trace = of(&[("blk00000.dat", &own)], None);
    assert_eq!(trace.blocks, six()[..2]);
    assert!(trace.notes[0].contains("the magic a5df2dcb"), "{:?}", trace.notes);
}
