//! Blocks as text: hex digits and white space.
//!
//! A line of at least 162 digits (a header and a count of transactions; real blocks have more) is a block of
//! its own. When the first line that is not blank is shorter than that, the file is one block, wrapped over
//! lines the way `xxd -p` does it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use super::MAX_BLOCK_BYTES;
use super::error::{BlocksError, Place};
use super::trace::Collector;

/// Digits of a header and a one-byte count of transactions.
const LEAST_DIGITS: usize = 2 * (80 + 1);

/// Whether a file that begins with `head` is text. Raw blocks never are: a block's version has a zero byte.
pub(super) fn is_text(head: &[u8]) -> bool {
    head.iter().all(|byte| !byte.is_ascii_control() || byte.is_ascii_whitespace())
}

/// The block in the making, digit by digit.
#[derive(Default)]
struct Digits {
    bytes: Vec<u8>,
    /// The first digit of a pair whose second is still to come.
    half: Option<u8>,
    /// The line of the first digit.
    line: usize,
}

impl Digits {
    fn count(&self) -> usize {
        2 * self.bytes.len() + usize::from(self.half.is_some())
    }

    fn push(&mut self, digit: u8, line: usize) {
        if self.count() == 0 {
            self.line = line;
        }
        match self.half.take() {
            None => self.half = Some(digit),
            Some(high) => self.bytes.push(high << 4 | digit),
        }
    }

    /// Hands over the block, if there is a digit of one.
    fn finish(&mut self, path: &Path, into: &mut Collector) -> Result<(), BlocksError> {
        let Digits { bytes, half, line } = std::mem::take(self);
        let at = Place::line(path, line);
        if half.is_some() {
            return Err(BlocksError::OddHex { at, digits: 2 * bytes.len() + 1 });
        }
        if bytes.is_empty() { Ok(()) } else { into.push_next(bytes, &at) }
    }
}

/// Reads the hex file at `path` until its end or until the trace is full. Holds one block at a time, however
/// long the file is.
pub(super) fn read(path: &Path, into: &mut Collector) -> Result<(), BlocksError> {
    let file = File::open(path).map_err(|error| BlocksError::io(path, error))?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut digits = Digits::default();
    let (mut line, mut column) = (1, 0);
    // Known at the end of the first line that is not blank.
    let mut wrapped = None;
    let before = into.len();
    loop {
        let chunk = reader.fill_buf().map_err(|error| BlocksError::io(path, error))?;
        let read = chunk.len();
        if read == 0 {
            break;
        }
        for &byte in chunk {
            if byte == b'\n' {
                if digits.count() > 0 && !*wrapped.get_or_insert(digits.count() < LEAST_DIGITS) {
                    digits.finish(path, into)?;
                    if into.is_full() {
                        return Ok(());
                    }
                }
                (line, column) = (line + 1, 0);
                continue;
            }
            column += 1;
            if byte.is_ascii_whitespace() {
                continue;
            }
            let Some(digit) = char::from(byte).to_digit(16) else {
                return Err(BlocksError::NotHex {
                    at: Place::line(path, line),
                    column,
                    found: char::from(byte),
                });
            };
            digits.push(digit as u8, line);
            if digits.bytes.len() > MAX_BLOCK_BYTES {
                let bytes = digits.bytes.len() as u64;
                return Err(BlocksError::TooLarge { at: Place::line(path, digits.line), bytes });
            }
        }
        reader.consume(read);
    }
    digits.finish(path, into)?;
    if into.len() == before {
        return Err(BlocksError::EmptyFile { path: path.to_owned() });
    }
    Ok(())
}
