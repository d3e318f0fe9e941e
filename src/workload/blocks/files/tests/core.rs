//! Bitcoin Core's files.

use super::*;

#[test]
fn core_blocks_are_put_in_order_with_the_heights_they_state() {
    let files = [
        ("blk00000.dat", records(Magic::BITCOIN, pick(&[2, 0, 5]))),
        ("blk00001.dat", records(Magic::BITCOIN, pick(&[4, 3, 1]))),
    ];
    let dir = folder(&[(files[0].0, &files[0].1), (files[1].0, &files[1].1), ("rev00000.dat", b"undo")]);
    assert_eq!(read(dir.path(), Some(100), None).unwrap(), stated(six()));
    let trace = read(dir.path(), None, Some(2)).unwrap();
    assert_eq!(trace.blocks, six()[..2]);
    assert_eq!((trace.found, trace.notes.len()), (6, 0));
    let trace = read(dir.path(), Some(103), Some(2)).unwrap();
    assert_eq!(trace.blocks, six()[3..5]);
    assert_eq!(trace.notes, ["3 blocks below height 103 left out"]);
    let trace = read(dir.path(), Some(0), Some(2)).unwrap();
    assert_eq!((heights(&trace), trace.known), (vec![0, 1], Some(Known::Given)));
    assert!(trace.notes[0].contains("though coinbases state 100 (BIP 34)"), "{:?}", trace.notes);
}

#[test]
fn core_blocks_from_before_bip34_count_from_the_start_height() {
    let mut parent = None;
    let old: Vec<Vec<u8>> = six()[..4]
        .iter()
        .map(|block| {
            let mut block: bitcoin::Block = deserialize(&block.bytes).unwrap();
            block.header.version = bitcoin::block::Version::ONE;
            block.header.prev_blockhash = parent.unwrap_or(block.header.prev_blockhash);
            parent = Some(block.block_hash());
            serialize(&block)
        })
        .collect();
    let file = records(Magic::BITCOIN, [3, 1, 0, 2].map(|i| &old[i][..]));
    let dir = folder(&[("blk00000.dat", &file)]);
    let trace = read(dir.path(), Some(7), None).unwrap();
    assert_eq!((heights(&trace), trace.notes.len()), (vec![7, 8, 9, 10], 0));
    assert!(trace.blocks.iter().zip(&old).all(|(block, bytes)| *block.bytes == bytes[..]));
    let trace = read(dir.path(), Some(u32::MAX - 1), Some(2)).unwrap();
    assert_eq!(heights(&trace), [u32::MAX - 1, u32::MAX]);
    assert!(matches!(read(dir.path(), Some(u32::MAX - 1), None), Err(BlocksError::Height { .. })));
}

#[test]
fn every_network_has_its_magic() {
    for magic in [Magic::BITCOIN, Magic::TESTNET3, Magic::TESTNET4, Magic::SIGNET, Magic::REGTEST] {
        // Known by its content, whatever its name.
        let dir = folder(&[("bootstrap.dat", &records(magic, pick(&[0, 1])))]);
        assert_eq!(read(dir.path(), Some(100), None).unwrap().blocks, six()[..2], "{magic}");
    }
}

#[test]
fn space_reserved_at_the_end_is_skipped() {
    for zeros in [1, 7, 8, 100_000] {
        let mut file = records(Magic::REGTEST, pick(&[0, 1]));
        file.resize(file.len() + zeros, 0);
        let trace = of(&[("blk00000.dat", &file), ("blk00001.dat", &[0; 64])], Some(100));
        assert_eq!(trace.blocks, six()[..2]);
        assert!(trace.notes[0].ends_with("blk00001.dat: holds no whole block"), "{:?}", trace.notes);
    }
    assert!(matches!(error(folder(&[("blk00000.dat", &[0; 64])]).path()), BlocksError::EmptyFile { .. }));
}

#[test]
fn scrambled_files_are_read_with_the_key_beside_them() {
    // The second key makes zeros of the magic's first bytes, which must not pass for reserved space.
    for key in [[1, 2, 3, 4, 5, 6, 7, 0x88], [0xfa, 0xbf, 0xb5, 0, 0, 0, 0, 0], [0; 8]] {
        for scramble_zeros in [false, true] {
            let mut file = records(Magic::REGTEST, pick(&[1, 0, 2]));
            let end = file.len();
            file.resize(end + 1_000, 0);
            let scrambled = if scramble_zeros { file.len() } else { end };
            xor(&mut file[..scrambled], key);
            let dir = folder(&[("blk00000.dat", &file), ("xor.dat", &key)]);
            let expected = stated(&six()[..3]);
            assert_eq!(read(dir.path(), Some(100), None).unwrap(), expected, "the folder");
            assert_eq!(
                read(&dir.path().join("blk00000.dat"), Some(100), None).unwrap(),
                expected,
                "the file alone"
            );
        }
    }
}

#[test]
fn a_key_that_is_missing_wrong_or_of_the_wrong_length() {
    let mut file = records(Magic::BITCOIN, pick(&[0]));
    xor(&mut file, [1, 2, 3, 4, 5, 6, 7, 8]);
    let missing = error(folder(&[("blk00000.dat", &file)]).path());
    assert!(
        matches!(missing, BlocksError::Magic { found: [0xf8, 0xbc, 0xb7, 0xdd], keyed: false, .. }),
        "{missing}"
    );
    let wrong = error(folder(&[("blk00000.dat", &file), ("xor.dat", &[9; 8])]).path());
    assert!(matches!(wrong, BlocksError::Magic { keyed: true, .. }), "{wrong}");
    for key in [&[][..], &[1; 7], &[1; 9]] {
        let length = key.len() as u64;
        let error = error(folder(&[("blk00000.dat", &file), ("xor.dat", key)]).path());
        assert!(matches!(error, BlocksError::XorKey { bytes, .. } if bytes == length), "{error}");
    }
}

#[test]
fn stale_blocks_and_repeated_ones_are_left_out() {
    let stale = sibling(&six()[3]);
    let blocks = pick(&[0, 1, 2, 3, 4, 2, 0]).collect::<Vec<_>>();
    let file = [records(Magic::BITCOIN, [&stale[..]]), records(Magic::BITCOIN, blocks)].concat();
    let trace = of(&[("blk00000.dat", &file)], Some(100));
    assert_eq!(trace.blocks, six()[..5]);
    assert_eq!(trace.notes, ["1 stale block left out: not on the branch with the most work"]);
}

#[test]
fn core_files_and_others_do_not_mix() {
    let dir = folder(&[("blk00000.dat", &records(Magic::BITCOIN, pick(&[0]))), ("1.bin", &six()[1].bytes)]);
    let error = error(dir.path());
    assert!(
        matches!(&error, BlocksError::Mixed { core, other } if core.ends_with("blk00000.dat") && other.ends_with("1.bin"))
    );
}

#[test]
fn pieces_keep_their_heights_and_gaps_are_told() {
    let file = records(Magic::BITCOIN, pick(&[5, 0, 3, 1]));
    let trace = of(&[("blk00000.dat", &file)], Some(100));
    assert_eq!(heights(&trace), [100, 101, 103, 105]);
    assert_eq!(
        trace.notes,
        ["no file holds the blocks of heights 102 to 102", "no file holds the blocks of heights 104 to 104"]
    );
}

#[test]
fn the_real_block_from_a_block_file() {
    let real = super::super::super::real::mainnet();
    let mut file = records(Magic::BITCOIN, [&real[0].bytes[..]]);
    xor(&mut file, *b"\x01resetb\xff");
    let dir = folder(&[("blk00000.dat", &file), ("xor.dat", b"\x01resetb\xff")]);
    assert_eq!(read(dir.path(), Some(702_861), None).unwrap(), stated(&real));
}
