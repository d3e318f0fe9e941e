//! Whatever the bytes: no panic, and an error or whole blocks.

use proptest::prelude::*;

use super::super::super::real::mainnet;
use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), named in 0..3_usize) {
        let name = ["a.bin", "a.hex", "blk00000.dat"][named];
        let trace = read(folder(&[(name, &bytes)]).path(), Some(0), None);
        prop_assert!(trace.is_err(), "600 random bytes are no block");
    }

    #[test]
    fn random_text_never_panics(text in "[0-9a-f \n]{0,600}") {
        prop_assert!(read(folder(&[("a.hex", text.as_bytes())]).path(), None, None).is_err());
    }

    #[test]
    fn a_block_cut_anywhere_is_truncated(cut in 1..1_900_usize) {
        let error = error(folder(&[("a.bin", &six()[1].bytes[..cut])]).path());
        let truncated = matches!(error, BlocksError::Truncated { bytes, .. } if bytes == cut);
        prop_assert!(truncated, "{}", error);
    }

    #[test]
    fn a_block_file_cut_anywhere_keeps_its_whole_records_and_says_so(cut in 1..4_000_usize) {
        let file = records(Magic::BITCOIN, pick(&[0, 1, 2]));
        let end = |n: &usize| six()[..*n].iter().map(|block| 8 + block.bytes.len()).sum::<usize>();
        let trace = read(folder(&[("blk00000.dat", &file[..cut])]).path(), Some(100), None);
        match (1..=3).rev().find(|n| end(n) <= cut) {
            Some(whole) => {
                let trace = trace.unwrap();
                prop_assert_eq!(&trace.blocks, &six()[..whole]);
                let passed = format!(": {} bytes from byte {} on are no whole record", cut - end(&whole), end(&whole));
                let told = trace.notes.iter().any(|note| note.contains(&passed));
                prop_assert_eq!(told, cut > end(&whole), "{:?}", trace.notes);
            }
            None => {
                let truncated = matches!(trace, Err(BlocksError::RecordTruncated { .. } | BlocksError::Magic { .. }));
                prop_assert!(truncated, "{:?}", trace);
            }
        }
    }

    #[test]
    fn changed_records_never_panic(
        changes in prop::collection::vec((0..6_000_usize, any::<u8>()), 1..8),
        key: [u8; 8],
    ) {
        let mut file = records(Magic::BITCOIN, pick(&[2, 0, 1]));
        let length = file.len();
        for (at, byte) in changes {
            file[at % length] = byte;
        }
        xor(&mut file, key);
        let dir = folder(&[("blk00000.dat", &file), ("xor.dat", &key)]);
        // Whatever comes of it, all that is returned decodes and ascends.
        if let Ok(trace) = read(dir.path(), Some(0), None) {
            prop_assert!(trace.blocks.is_sorted_by(|a, b| a.height < b.height));
            prop_assert!(trace.blocks.iter().all(|b| deserialize::<bitcoin::Block>(&b.bytes).is_ok()));
        }
    }
}

proptest! {
    // The real block is large, so few cases; where it matters, at its beginning, half of them.
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn the_real_block_changed_never_panics(
        at in prop_oneof![0..300_usize, 0..1_381_836_usize],
        bit in 0..8_u8,
    ) {
        let mut bytes = mainnet()[0].bytes.to_vec();
        bytes[at] ^= 1 << bit;
        match read(folder(&[("a.bin", &bytes)]).path(), Some(702_861), None) {
            Ok(trace) => prop_assert_eq!(&trace.blocks[0].bytes[..], &bytes[..]),
            Err(error) => prop_assert!(error.to_string().contains("a.bin"), "{}", error),
        }
    }
}
