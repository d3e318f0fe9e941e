//! Blocks as hex digits and white space, each with or without `0x` before it.
//!
//! A line that begins with `#` says something about the blocks. A line of at least 162 digits (a header and a count of
//! transactions; real blocks have more) is a block of its own. When the first line that is not blank is shorter than
//! that, the file is one block, wrapped over lines the way `xxd -p` does it.

use std::io::BufRead;
use std::path::Path;

use super::MAX_BLOCK_BYTES;
use super::error::{BlocksError, Place, Position, Take};

/// Digits of a header and a one-byte count of transactions.
const LEAST_DIGITS: usize = 2 * (80 + 1);

/// The block in the making, digit by digit.
#[derive(Default)]
struct Digits {
    bytes: Vec<u8>,
    /// The first digit of a pair whose second is still to come.
    half: Option<u8>,
    /// Whether `0x` stood before the first digit.
    marked: bool,
}

impl Digits {
    fn count(&self) -> usize {
        2 * self.bytes.len() + usize::from(self.half.is_some())
    }

    /// Takes a digit, or the `x` of a `0x`; whether it could.
    fn push(&mut self, byte: u8) -> bool {
        if matches!(byte, b'x' | b'X') && self.bytes.is_empty() && self.half == Some(0) && !self.marked {
            (self.half, self.marked) = (None, true);
            return true;
        }
        let Some(digit) = char::from(byte).to_digit(16) else { return false };
        match self.half.take() {
            None => self.half = Some(digit as u8),
            Some(high) => self.bytes.push(high << 4 | digit as u8),
        }
        true
    }

    /// The bytes, of which there may be none.
    fn finish(&mut self, at: &Place) -> Result<Vec<u8>, BlocksError> {
        let Digits { bytes, half, .. } = std::mem::take(self);
        match half {
            Some(_) => Err(BlocksError::OddHex { at: at.clone(), digits: 2 * bytes.len() + 1 }),
            None => Ok(bytes),
        }
    }
}

/// Whether a word is hex, and long enough to be a block.
pub(super) fn is_long(text: &str) -> bool {
    let digits = text.trim();
    let digits = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")).unwrap_or(digits);
    digits.len() >= LEAST_DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The bytes that a word of hex stands for.
pub(super) fn decode(text: &str, at: &Place) -> Result<Vec<u8>, BlocksError> {
    let mut digits = Digits::default();
    for (column, byte) in text.trim().bytes().enumerate() {
        if !digits.push(byte) {
            let found = char::from(byte);
            return Err(BlocksError::NotHex { at: at.clone(), column: column + 1, found });
        }
        check_size(&digits, at)?;
    }
    digits.finish(at)
}

/// Hands over the blocks of hex that begins at `line`, until its end or until `take` wants no more.
pub(super) fn read(
    path: &Path,
    mut text: impl BufRead,
    mut line: usize,
    take: Take,
) -> Result<(), BlocksError> {
    let mut digits = Digits::default();
    let (mut column, mut comment) = (0, false);
    let mut at = Position::Line(line).of(path);
    // Known at the end of the first line that is not blank.
    let mut wrapped = None;
    loop {
        let chunk = text.fill_buf().map_err(|error| BlocksError::io(path, error))?;
        let read = chunk.len();
        if read == 0 {
            let bytes = digits.finish(&at)?;
            return if bytes.is_empty() { Ok(()) } else { take(at, bytes).map(|_| ()) };
        }
        for &byte in chunk {
            if byte == b'\n' {
                if digits.count() > 0 && !*wrapped.get_or_insert(digits.count() < LEAST_DIGITS) {
                    let bytes = digits.finish(&at)?;
                    if !take(at.clone(), bytes)? {
                        return Ok(());
                    }
                }
                (line, column, comment) = (line + 1, 0, false);
                continue;
            }
            column += 1;
            comment |= byte == b'#' && column == 1;
            if byte.is_ascii_whitespace() || comment {
                continue;
            }
            if digits.count() == 0 && !digits.marked {
                at = Position::Line(line).of(path);
            }
            if !digits.push(byte) {
                let at = Position::Line(line).of(path);
                return Err(BlocksError::NotHex { at, column, found: char::from(byte) });
            }
            check_size(&digits, &at)?;
        }
        text.consume(read);
    }
}

fn check_size(digits: &Digits, at: &Place) -> Result<(), BlocksError> {
    let bytes = digits.bytes.len();
    match bytes > MAX_BLOCK_BYTES {
        true => Err(BlocksError::TooLarge { at: at.clone(), bytes: bytes as u64 }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Result<Vec<Vec<u8>>, BlocksError> {
        let mut blocks = Vec::new();
        read(Path::new("a.hex"), text.as_bytes(), 1, &mut |_, bytes| {
            blocks.push(bytes);
            Ok(true)
        })?;
        Ok(blocks)
    }

    #[test]
    fn every_line_may_begin_with_0x() {
        let block = "ab".repeat(81);
        let text = format!("0x{block}\r\n\n  0X{}\n{block}", block.to_uppercase());
        assert_eq!(found(&text).unwrap(), vec![vec![0xab; 81]; 3]);
        assert_eq!(found(&format!("0x{}\n{}", &block[..60], &block[60..])).unwrap(), [vec![0xab; 81]]);
        assert_eq!(found("0x").unwrap(), Vec::<Vec<u8>>::new());
        assert_eq!(found(&format!("# height 7\n{block}\n#\n{block}")).unwrap(), vec![vec![0xab; 81]; 2]);
    }

    #[test]
    fn an_x_elsewhere_is_no_digit() {
        for (text, at) in [("x00", 1), ("00x0", 3), ("0x0x00", 4), ("0xx", 3), ("1x", 2)] {
            let error = found(text).unwrap_err();
            assert!(
                matches!(error, BlocksError::NotHex { column, found: 'x', .. } if column == at),
                "{error}"
            );
        }
    }

    #[test]
    fn words_of_hex() {
        let block = "ab".repeat(81);
        assert!(is_long(&block) && is_long(&format!(" 0x{block}\n")));
        assert!(!is_long(&block[2..]) && !is_long(&format!("{block}g")));
        let at = Position::Whole.of(Path::new("a"));
        assert_eq!(decode(&format!("0X{block}"), &at).unwrap(), vec![0xab; 81]);
        assert!(matches!(decode("abc", &at), Err(BlocksError::OddHex { digits: 3, .. })));
    }
}
