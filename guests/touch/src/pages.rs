//! Which pages of the arena one block touches.

const CONTIGUOUS: u32 = 0;
const EVERY_SECOND: u32 = 1;
const RANDOM: u32 = 2;

const FIXED: u32 = 0;
const ROTATING: u32 = 1;

pub struct Params {
    pub dirty: u32,
    pub shape: u32,
    pub motion: u32,
    pub span: u32,
    pub seed: u32,
}

/// The pages in the order in which they are touched; no page twice.
pub struct Pages {
    next: u32,
    dirty: u32,
    span: u32,
    order: Order,
}

enum Order {
    Strided { start: u64, stride: u64 },
    Shuffled(Permutation),
}

impl Pages {
    /// `None` if the parameters ask for more distinct pages than there are, or for a pattern that doesn't
    /// exist.
    pub fn new(params: &Params, height: u32) -> Option<Self> {
        let Params { dirty, shape, motion, span, seed } = *params;
        let moved = match motion {
            FIXED => 0,
            ROTATING => height,
            _ => return None,
        };
        let stride = match shape {
            CONTIGUOUS | RANDOM => 1,
            EVERY_SECOND => 2,
            _ => return None,
        };
        let footprint = u64::from(dirty) * stride;
        if footprint > u64::from(span) {
            return None;
        }
        let order = if shape == RANDOM {
            Order::Shuffled(Permutation::new(span, seed, moved))
        } else {
            // An empty arena has no pages to start at; it isn't asked for any, either.
            let start = u64::from(moved) * footprint % u64::from(span.max(1));
            Order::Strided { start, stride }
        };
        Some(Pages { next: 0, dirty, span, order })
    }
}

impl Iterator for Pages {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.next == self.dirty {
            return None;
        }
        let i = self.next;
        self.next += 1;
        Some(match &self.order {
            Order::Strided { start, stride } => {
                ((start + u64::from(i) * stride) % u64::from(self.span)) as u32
            }
            Order::Shuffled(permutation) => permutation.at(i),
        })
    }
}

/// A permutation of `0..span`, computed and not stored: storing it would dirty pages of its own.
///
/// Multiplying by an odd number, adding, and folding the upper bits down are bijections of the smallest power
/// of two that holds the span. What falls outside of the span goes round again until it falls inside, and as
/// every page has exactly one predecessor on the way, no two pages end in the same place.
struct Permutation {
    span: u32,
    bits: u32,
    rounds: [(u32, u32); 3],
}

impl Permutation {
    fn new(span: u32, seed: u32, variant: u32) -> Self {
        let mut state = u64::from(seed) << 32 | u64::from(variant);
        let rounds = core::array::from_fn(|_| {
            let random = split_mix(&mut state);
            (random as u32 | 1, (random >> 32) as u32)
        });
        // At least two bits, so that there is something to fold.
        let bits = (u32::BITS - span.saturating_sub(1).leading_zeros()).max(2);
        Permutation { span, bits, rounds }
    }

    fn at(&self, i: u32) -> u32 {
        let mut page = i;
        loop {
            page = self.mix(page);
            if page < self.span {
                return page;
            }
        }
    }

    fn mix(&self, page: u32) -> u32 {
        let mask = u32::MAX >> (u32::BITS - self.bits);
        self.rounds.iter().fold(page, |page, &(factor, offset)| {
            let page = page.wrapping_mul(factor).wrapping_add(offset) & mask;
            page ^ page >> self.bits.div_ceil(2)
        })
    }
}

/// SplitMix64: turns seeds that differ in one bit into numbers that have nothing in common.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}
