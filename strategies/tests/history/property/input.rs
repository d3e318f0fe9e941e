//! What bytes say: every input is a history, and a change of a byte changes little of it.

use arbitrary::{Result, Unstructured};

/// The most rounds of a history, repetitions included: an execution stays short.
const ROUNDS: usize = 28;

/// The most steps of a block, and after one.
const STEPS: u8 = 8;

/// Wasm pages that a memory grows by.
const GROWTH: [u32; 8] = [1, 1, 2, 5, 16, 20, 33, 96];

/// Bytes that are written in one go.
const LENGTHS: [u32; 8] = [1, 4, 64, 4096, 4097, 1 << 14, 1 << 16, 1 << 18];

/// Sessions of one process, and what happens to them in turn.
#[derive(Clone, Debug)]
pub struct History {
    pub shape: Shape,
    pub sessions: Vec<Kept>,
    pub rounds: Vec<Round>,
    /// Whether the crate's own looker looks beyond the memories at last: it is compiled for it, which takes time.
    pub edges: bool,
}

/// Which module runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    pub two_memories: bool,
    /// Whether the first memory begins with more than a huge page, most of which is not blank.
    pub large: bool,
}

/// How a session is made.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// Counts among the strategies.
    pub strategy: u8,
    /// Counts among the commit policies, if there is to be one.
    pub policy: Option<u8>,
    /// What it commits.
    pub mebibytes: u64,
}

/// Blocks of all sessions, then their resets.
#[derive(Clone, Debug)]
pub struct Round {
    /// One for each session; a session without one is neither executed nor reset.
    pub blocks: Vec<Option<Block>>,
    /// Which session is executed first, and which is reset first.
    pub first: [usize; 2],
    /// Whether the state is looked at after the reset. Looking touches pages, so that it may hide what it looks for.
    pub look: bool,
}

/// What happens from a reset to the next.
#[derive(Clone, Debug)]
pub struct Block {
    /// The host's steps that come first are made before the guest is called.
    pub steps: Vec<Step>,
    pub end: End,
    /// Made by the host when the guest has ended.
    pub after: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Return,
    Unreachable,
    OutOfBounds,
    HostError,
}

/// One step; places are reduced to the memory's size when they are used.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub memory: u8,
    pub does: Does,
    pub at: u32,
    pub bytes: u32,
    pub value: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// Writes a run of bytes.
    Fill,
    /// Writes a byte of each page.
    Touch,
    /// Reads a byte of each page.
    Read,
    /// Grows by so many wasm pages, expects zeros if the value is odd, and writes a byte of each new page if it is not 0.
    Grow { pages: u32 },
    /// Copies within the memory.
    Copy { from: u32 },
    /// Copies from the first memory to the second.
    Across { from: u32 },
    /// The host writes a run of bytes.
    HostFill,
    /// The host advises the kernel, page by page.
    Advise { advice: i32, stride: u32 },
    /// The host makes a huge page.
    Collapse,
}

impl Step {
    pub fn is_host(&self) -> bool {
        matches!(self.does, Does::HostFill | Does::Advise { .. } | Does::Collapse)
    }

    fn decode([kind, low, high, length, value]: [u8; 5]) -> Self {
        let page = u32::from(u16::from_le_bytes([low, high])) << 12;
        let within = u32::from(length >> 3) * 131;
        let run = LENGTHS[usize::from(length & 7)];
        let pages = (u32::from(length) + 1) << 12;
        let (does, at, bytes, value) = match kind & 0x0f {
            0 => (Does::Fill, page + within, run, value),
            1 | 2 => (Does::Touch, page, pages, value),
            3 => (Does::Read, page, pages, value),
            4 | 5 => (Does::Grow { pages: GROWTH[usize::from(low & 7)] }, 0, 0, value),
            // Zeros are what an optimisation most likely takes for nothing.
            6 | 7 => (Does::Fill, page, pages, 0),
            8 => (Does::Fill, page, pages, value),
            9 => (Does::Copy { from: u32::from(value) << 14 }, page + within, run, 0),
            10 => (Does::Across { from: u32::from(value) << 14 }, page + within, run, 0),
            11 => (Does::HostFill, page + within, run, value),
            12 => (Does::Collapse, page, 0, 0),
            13 => {
                (Does::Advise { advice: libc::MADV_COLD, stride: 1 + u32::from(value & 7) }, page, pages, 0)
            }
            14 => (
                Does::Advise { advice: libc::MADV_PAGEOUT, stride: 1 + u32::from(value & 7) },
                page,
                pages,
                0,
            ),
            _ => (Does::Advise { advice: libc::MADV_HUGEPAGE, stride: 1 }, page, pages, 0),
        };
        Self { memory: kind >> 7, does, at, bytes, value }
    }
}

impl History {
    /// Decodes any bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let u = &mut Unstructured::new(bytes);
        let [head, many]: [u8; 2] = u.arbitrary()?;
        let shape = Shape { two_memories: head & 1 != 0, large: head & 2 != 0 };
        let alike = head & 4 != 0;
        let mut sessions = Vec::new();
        for _ in 0..1 + many % 3 {
            let [strategy, policy, size]: [u8; 3] = u.arbitrary()?;
            let strategy = sessions.first().filter(|_| alike).map_or(strategy, |first: &Kept| first.strategy);
            let policy = policy.checked_sub(64);
            sessions.push(Kept { strategy, policy, mebibytes: 4 + u64::from(size % 4) * 4 });
        }
        let mut rounds = Vec::new();
        while rounds.len() < ROUNDS && !u.is_empty() {
            let [many, order]: [u8; 2] = u.arbitrary()?;
            let blocks = sessions.iter().map(|_| Block::decode(u)).collect::<Result<Vec<_>>>()?;
            let first = [usize::from(order & 3), usize::from(order >> 2 & 3)];
            let round = Round { blocks, first, look: many & 8 != 0 };
            let times = (1 + usize::from(many & 7)).min(ROUNDS - rounds.len());
            rounds.extend(std::iter::repeat_n(round, times));
        }
        Ok(Self { shape, sessions, rounds, edges: head & 0x38 == 0x38 })
    }
}

impl Block {
    fn decode(u: &mut Unstructured<'_>) -> Result<Option<Self>> {
        let [steps, end]: [u8; 2] = u.arbitrary()?;
        if steps == 0 {
            return Ok(None);
        }
        let mut several = |many: u8| -> Result<Vec<_>> {
            (0..many % (STEPS + 1)).map(|_| u.arbitrary().map(Step::decode)).collect()
        };
        let steps = several(steps)?;
        let after = several(if end & 0x10 == 0 { 0 } else { end >> 5 })?;
        let end = match end & 0x0f {
            0 => End::Unreachable,
            1 => End::OutOfBounds,
            2 => End::HostError,
            _ => End::Return,
        };
        Ok(Some(Self { steps, end, after }))
    }
}
