//! What generated blocks are made of, as data: counts, shares, and a few presets by name.

use std::ops::RangeInclusive;

/// A share in thousandths; more than 1000 counts as 1000.
pub type Permille = u16;

/// A distribution of whole numbers: brackets, each with the weight of being drawn; within a bracket all are
/// as likely.
///
/// Brackets and not a formula, because they can be read off real blocks, and because whole-number arithmetic
/// gives the same blocks on every machine, which logarithms do not promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spread(pub Vec<(RangeInclusive<u32>, u32)>);

impl Spread {
    /// Always `n`.
    #[must_use]
    pub fn fixed(n: u32) -> Self {
        Spread(vec![(n..=n, 1)])
    }

    /// Any number of `range`, all as likely.
    #[must_use]
    pub fn even(range: RangeInclusive<u32>) -> Self {
        Spread(vec![(range, 1)])
    }
}

/// How new outputs are locked: a weight for each kind of script. With no weight at all, every output is
/// P2WPKH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Locks {
    /// Spent with a signature and a key in the script: no witness.
    pub p2pkh: u32,
    /// P2WPKH inside P2SH: half script, half witness.
    pub p2sh: u32,
    pub p2wpkh: u32,
    /// 2-of-3 multisig: the widest everyday witness.
    pub p2wsh: u32,
    /// Taproot: one signature, or the reveal of an inscription.
    pub p2tr: u32,
}

/// What blocks are made of. Any value is accepted: what cannot be had (more inputs than there is room or
/// money for) is drawn smaller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix {
    /// The serialised size to fill, in bytes: blocks end within one small transaction below it, or where they
    /// reach the consensus limit of 4,000,000 weight units. What is less than a coinbase needs gives blocks
    /// of a coinbase alone.
    pub bytes: usize,
    /// Outputs that the first block creates, for the later ones to spend; below this stock, batch payouts
    /// replenish it. At most 16,000, which fit in one block.
    pub stock: usize,
    /// Inputs per transaction, at least 1.
    pub inputs: Spread,
    /// Outputs per transaction, at least 1, its `OP_RETURN` not counted.
    pub outputs: Spread,
    pub locks: Locks,
    /// Share of inputs that spend an output of the same block.
    pub chained: Permille,
    /// Share of outputs that pay to a script paid before.
    pub reuse: Permille,
    /// Share of transactions with one `OP_RETURN` output, of 4 to 80 bytes of data.
    pub op_return: Permille,
    /// Share of transactions that reveal an inscription: a large witness in the first input. Such a
    /// transaction looks for a Taproot output to spend and, finding none in a few draws, is an ordinary one.
    pub inscription: Permille,
    /// Bytes of an inscription's content.
    pub content: Spread,
}

impl Mix {
    /// The names that [`Mix::named`] knows.
    pub const NAMES: [&str; 5] = ["empty", "payments", "consolidation", "inscriptions", "tokens"];

    /// A preset by its name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "empty" => Mix::empty(),
            "payments" => Mix::payments(),
            "consolidation" => Mix::consolidation(),
            "inscriptions" => Mix::inscriptions(),
            "tokens" => Mix::tokens(),
            _ => return None,
        })
    }

    /// A coinbase and nothing else: the least an indexer does for a block.
    #[must_use]
    pub fn empty() -> Self {
        Mix { bytes: 0, stock: 1, ..Mix::payments() }
    }

    /// An ordinary full block of 1.38 MB: about 3,000 transactions.
    ///
    /// The counts of inputs and outputs are those of mainnet block 702,861, in brackets; of its 6,517 inputs
    /// 327 spend the same block. Its kinds of scripts are moved towards Taproot, which activated 6,771 blocks
    /// later. Reuse is a guess: one block shows only its own (4 %).
    #[must_use]
    pub fn payments() -> Self {
        Mix {
            bytes: 1_380_000,
            stock: 10_000,
            inputs: Spread(vec![
                (1..=1, 1893),
                (2..=2, 354),
                (3..=3, 100),
                (4..=5, 80),
                (6..=10, 36),
                (11..=20, 15),
                (21..=50, 11),
                (51..=100, 6),
                (201..=500, 4),
            ]),
            outputs: Spread(vec![
                (1..=1, 406),
                (2..=2, 1979),
                (3..=3, 34),
                (4..=5, 37),
                (6..=10, 8),
                (11..=20, 8),
                (21..=50, 24),
                (51..=100, 1),
                (101..=300, 2),
            ]),
            locks: Locks { p2pkh: 150, p2sh: 150, p2wpkh: 420, p2wsh: 30, p2tr: 250 },
            chained: 50,
            reuse: 200,
            op_return: 9,
            inscription: 0,
            content: Spread::fixed(0),
        }
    }

    /// Many inputs into one output, fed by batch payouts: the most lookups of earlier outputs per byte.
    #[must_use]
    pub fn consolidation() -> Self {
        Mix {
            inputs: Spread::even(20..=200),
            outputs: Spread::fixed(1),
            chained: 0,
            reuse: 500,
            op_return: 0,
            ..Mix::payments()
        }
    }

    /// Few transactions with large witnesses: a block of 3 MB, most of it content of 1 to 100 kB.
    #[must_use]
    pub fn inscriptions() -> Self {
        Mix {
            bytes: 3_000_000,
            stock: 2_000,
            inputs: Spread(vec![(1..=1, 9), (2..=3, 1)]),
            outputs: Spread::even(1..=2),
            locks: Locks { p2pkh: 0, p2sh: 0, p2wpkh: 100, p2wsh: 0, p2tr: 900 },
            chained: 500,
            op_return: 0,
            inscription: 600,
            content: Spread(vec![(100..=1_000, 40), (1_001..=20_000, 55), (20_001..=100_000, 5)]),
            ..Mix::payments()
        }
    }

    /// Small transactions that nearly all carry an `OP_RETURN`, the way token protocols write: the most
    /// outputs that an indexer must look into.
    #[must_use]
    pub fn tokens() -> Self {
        Mix {
            inputs: Spread(vec![(1..=1, 3), (2..=3, 6), (4..=6, 1)]),
            outputs: Spread(vec![(1..=2, 2), (3..=4, 8)]),
            locks: Locks { p2pkh: 20, p2sh: 40, p2wpkh: 340, p2wsh: 0, p2tr: 600 },
            chained: 300,
            reuse: 400,
            op_return: 950,
            ..Mix::payments()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_preset_and_no_two_are_the_same() {
        let presets: Vec<Mix> = Mix::NAMES.iter().map(|name| Mix::named(name).expect("a preset")).collect();
        for (i, preset) in presets.iter().enumerate() {
            assert!(!presets[..i].contains(preset), "{} repeats another", Mix::NAMES[i]);
        }
        assert_eq!(Mix::named("Payments"), None);
    }
}
