//! The outputs that a generated trace has not spent yet, and what spending them looks like.
//!
//! Keys are hashes, not points on the curve, and signatures are random bytes: everything has the right shape,
//! nothing would verify. An output and the key that spends it do belong together, so histories by address
//! come out right.

use bitcoin::hashes::{Hash, HashEngine, sha256};
use bitcoin::opcodes::all as op;
use bitcoin::script::{Builder, PushBytes, PushBytesBuf, ScriptBuf};
use bitcoin::{OutPoint, PubkeyHash, ScriptHash, WPubkeyHash, WScriptHash, Witness};
use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};

use super::mix::{Locks, Permille, Spread};

/// Chance, in whole numbers only.
///
/// `ChaCha8`'s stream is fixed by its specification. The draws are made here and not by `rand`'s
/// distributions, which may change between versions: a trace is named by its seed, and its digest is pinned.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        Dice(ChaCha8Rng::from_seed(key))
    }

    /// A number below `n`; 0 if `n` is 0. Multiply and shift: the bias is below n / 2^64, which nobody will
    /// see.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        let product = u128::from(self.0.next_u64()) * u128::from(n);
        (product >> 64) as u64
    }

    /// A place in a list of `len`; 0 if it is empty.
    pub(super) fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    pub(super) fn chance(&mut self, share: Permille) -> bool {
        self.below(1000) < u64::from(share)
    }

    /// Which of `weights` comes up; `None` if they are all 0.
    pub(super) fn pick(&mut self, weights: impl Iterator<Item = u32> + Clone) -> Option<usize> {
        let total: u64 = weights.clone().map(u64::from).sum();
        let mut left = self.below(total);
        for (i, weight) in weights.enumerate() {
            let weight = u64::from(weight);
            if left < weight {
                return Some(i);
            }
            left -= weight;
        }
        None
    }

    /// A number of `spread`; 0 if it has no bracket with a weight.
    pub(super) fn draw(&mut self, spread: &Spread) -> usize {
        let Some(i) = self.pick(spread.0.iter().map(|(_, weight)| *weight)) else {
            return 0;
        };
        let (low, high) = (u64::from(*spread.0[i].0.start()), u64::from(*spread.0[i].0.end()));
        (low + self.below(high.saturating_sub(low) + 1)) as usize
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    pub(super) fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}

/// How an output is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lock {
    P2pkh,
    P2sh,
    P2wpkh,
    P2wsh,
    P2tr,
}

impl Lock {
    fn draw(dice: &mut Dice, locks: &Locks) -> Self {
        let kinds = [
            (Lock::P2pkh, locks.p2pkh),
            (Lock::P2sh, locks.p2sh),
            (Lock::P2wpkh, locks.p2wpkh),
            (Lock::P2wsh, locks.p2wsh),
            (Lock::P2tr, locks.p2tr),
        ];
        dice.pick(kinds.iter().map(|(_, weight)| *weight)).map_or(Lock::P2wpkh, |i| kinds[i].0)
    }
}

/// An output that can be spent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coin {
    pub(super) outpoint: OutPoint,
    /// Satoshis.
    pub(super) value: u64,
    /// Index of whoever holds the key.
    pub(super) owner: usize,
    /// Whether it is from the block in the making.
    pub(super) fresh: bool,
}

/// All coins of a trace, and their owners.
pub(super) struct Wallet {
    seed: u64,
    /// How each owner locks outputs: an owner is one script.
    owners: Vec<Lock>,
    /// Coins from earlier blocks.
    old: Vec<Coin>,
    /// Coins from the block in the making.
    new: Vec<Coin>,
}

impl Wallet {
    pub(super) fn new(seed: u64) -> Self {
        Wallet { seed, owners: Vec::new(), old: Vec::new(), new: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.old.len() + self.new.len()
    }

    /// Takes in a coin, be it new or one that was taken out and not spent.
    pub(super) fn put(&mut self, coin: Coin) {
        let pool = if coin.fresh { &mut self.new } else { &mut self.old };
        pool.push(coin);
    }

    /// The block in the making is done.
    pub(super) fn next_block(&mut self) {
        self.old.extend(self.new.drain(..).map(|coin| Coin { fresh: false, ..coin }));
    }

    /// Takes out a coin; with a chance of `chained` one from the block in the making.
    pub(super) fn take(&mut self, dice: &mut Dice, chained: Permille) -> Option<Coin> {
        let from_new = dice.chance(chained);
        let pool = if self.old.is_empty() || (from_new && !self.new.is_empty()) {
            &mut self.new
        } else {
            &mut self.old
        };
        let i = dice.index(pool.len());
        (i < pool.len()).then(|| pool.swap_remove(i))
    }

    /// Takes out the first Taproot coin of up to 16 drawn ones.
    pub(super) fn take_taproot(&mut self, dice: &mut Dice, chained: Permille) -> Option<Coin> {
        for _ in 0..16 {
            let coin = self.take(dice, chained)?;
            if self.is_taproot(&coin) {
                return Some(coin);
            }
            self.put(coin);
        }
        None
    }

    /// Takes out the coin with the most money, of the earlier blocks' if there are any.
    pub(super) fn take_richest(&mut self) -> Option<Coin> {
        let pool = if self.old.is_empty() { &mut self.new } else { &mut self.old };
        let (richest, _) = pool.iter().enumerate().max_by_key(|(_, coin)| coin.value)?;
        Some(pool.swap_remove(richest))
    }

    pub(super) fn is_taproot(&self, coin: &Coin) -> bool {
        self.owners.get(coin.owner) == Some(&Lock::P2tr)
    }

    /// Whom to pay: with a chance of `reuse` somebody paid before.
    pub(super) fn payee(&mut self, dice: &mut Dice, locks: &Locks, reuse: Permille) -> usize {
        if dice.chance(reuse) && !self.owners.is_empty() {
            return dice.index(self.owners.len());
        }
        self.owners.push(Lock::draw(dice, locks));
        self.owners.len() - 1
    }

    /// 32 bytes that belong to `owner`; `which` tells several apart.
    fn secret(&self, owner: usize, which: u8) -> [u8; 32] {
        let mut engine = sha256::HashEngine::default();
        engine.input(&self.seed.to_le_bytes());
        engine.input(&(owner as u64).to_le_bytes());
        engine.input(&[which]);
        sha256::Hash::from_engine(engine).to_byte_array()
    }

    /// A compressed public key by its looks.
    fn key(&self, owner: usize, which: u8) -> [u8; 33] {
        let x = self.secret(owner, which);
        let mut key = [0x02 | (x[31] & 1); 33];
        key[1..].copy_from_slice(&x);
        key
    }

    /// P2WPKH of the owner: the program itself, or what its P2SH wraps.
    fn p2wpkh(&self, owner: usize) -> ScriptBuf {
        ScriptBuf::new_p2wpkh(&WPubkeyHash::hash(&self.key(owner, 0)))
    }

    fn multisig(&self, owner: usize) -> ScriptBuf {
        let keys = (0..3).map(|which| self.key(owner, which));
        keys.fold(Builder::new().push_opcode(op::OP_PUSHNUM_2), Builder::push_slice)
            .push_opcode(op::OP_PUSHNUM_3)
            .push_opcode(op::OP_CHECKMULTISIG)
            .into_script()
    }

    /// The script that pays to `owner`.
    pub(super) fn script_pubkey(&self, owner: usize) -> ScriptBuf {
        match self.owners[owner] {
            Lock::P2pkh => ScriptBuf::new_p2pkh(&PubkeyHash::hash(&self.key(owner, 0))),
            Lock::P2sh => ScriptBuf::new_p2sh(&ScriptHash::hash(self.p2wpkh(owner).as_bytes())),
            Lock::P2wpkh => self.p2wpkh(owner),
            Lock::P2wsh => ScriptBuf::new_p2wsh(&WScriptHash::hash(self.multisig(owner).as_bytes())),
            Lock::P2tr => {
                Builder::new().push_opcode(op::OP_PUSHNUM_1).push_slice(self.secret(owner, 0)).into_script()
            }
        }
    }

    /// What spends an output of `owner`: the input's script and its witness.
    pub(super) fn unlock(&self, owner: usize, dice: &mut Dice) -> (ScriptBuf, Witness) {
        let key = self.key(owner, 0);
        match self.owners[owner] {
            Lock::P2pkh => {
                let script = Builder::new().push_slice(ecdsa(dice)).push_slice(key).into_script();
                (script, Witness::new())
            }
            Lock::P2sh => {
                let wrapped =
                    PushBytesBuf::try_from(self.p2wpkh(owner).into_bytes()).expect("22 bytes are a push");
                (
                    Builder::new().push_slice(wrapped).into_script(),
                    Witness::from_slice(&[&ecdsa(dice)[..], &key]),
                )
            }
            Lock::P2wpkh => (ScriptBuf::new(), Witness::from_slice(&[&ecdsa(dice)[..], &key])),
            Lock::P2wsh => {
                let (first, second) = (ecdsa(dice), ecdsa(dice));
                let script = self.multisig(owner);
                (ScriptBuf::new(), Witness::from_slice(&[&[], &first[..], &second, script.as_bytes()]))
            }
            Lock::P2tr => (ScriptBuf::new(), Witness::from_slice(&[dice.bytes::<64>()])),
        }
    }

    /// What spends a Taproot output of `owner` by its script, with an inscription of `content` bytes in it: a
    /// signature, the script, and a control block with no further leaves.
    pub(super) fn reveal(&self, owner: usize, content: usize, dice: &mut Dice) -> Witness {
        let mut body = vec![0; content];
        dice.fill(&mut body);
        let mut script = Builder::new()
            .push_slice(self.secret(owner, 1))
            .push_opcode(op::OP_CHECKSIG)
            .push_opcode(op::OP_PUSHBYTES_0)
            .push_opcode(op::OP_IF)
            .push_slice(b"ord")
            .push_slice([1])
            .push_slice(b"application/octet-stream")
            .push_opcode(op::OP_PUSHBYTES_0);
        // Consensus allows 520 bytes per push, so content comes in pieces.
        for piece in body.chunks(520) {
            script = script.push_slice(<&PushBytes>::try_from(piece).expect("520 bytes are a push"));
        }
        let script = script.push_opcode(op::OP_ENDIF).into_script();
        let mut control = [0xc0; 33];
        control[1..].copy_from_slice(&self.secret(owner, 2));
        Witness::from_slice(&[&dice.bytes::<64>()[..], script.as_bytes(), &control])
    }
}

/// 71 bytes that look like an ECDSA signature with `SIGHASH_ALL`: strict DER, both numbers positive and of 32
/// bytes.
fn ecdsa(dice: &mut Dice) -> [u8; 71] {
    let mut signature = dice.bytes::<71>();
    signature[..4].copy_from_slice(&[0x30, 68, 0x02, 32]);
    signature[36..38].copy_from_slice(&[0x02, 32]);
    // The top byte of either number: not 0, which DER would shorten, and below 0x7f, for a low s.
    signature[4] = 0x40 | (signature[4] & 0x1f);
    signature[38] = 0x40 | (signature[38] & 0x1f);
    signature[70] = 1;
    signature
}
