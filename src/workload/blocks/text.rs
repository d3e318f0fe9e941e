//! Blocks as text: hex digits, or JSON with such in it.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::error::{BlocksError, Take};
use super::{hex, json};

const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";
/// How Windows' PowerShell marks what `>` writes: UTF-16, little-endian.
const UTF16_MARK: &[u8] = b"\xff\xfe";

/// Whether a file that begins with `head` is text. Raw blocks never are: a block's version has a zero byte.
pub(super) fn is_text(head: &[u8]) -> bool {
    let narrow = |byte: &u8| !byte.is_ascii_control() || byte.is_ascii_whitespace();
    head.starts_with(UTF16_MARK) || head.iter().all(narrow)
}

/// Hands over the blocks of a file one by one, until its end or until `take` wants no more.
pub(super) fn read(path: &Path, bytes: impl Read, take: Take) -> Result<(), BlocksError> {
    let failed = |error| BlocksError::io(path, error);
    let mut bytes = BufReader::with_capacity(1 << 16, bytes);
    let head = bytes.fill_buf().map_err(failed)?;
    if head.starts_with(UTF16_MARK) {
        bytes.consume(UTF16_MARK.len());
        return parse(path, BufReader::new(Narrow(bytes)), take);
    }
    let mark = if head.starts_with(UTF8_MARK) { UTF8_MARK.len() } else { 0 };
    bytes.consume(mark);
    parse(path, bytes, take)
}

fn parse(path: &Path, mut text: impl BufRead, take: Take) -> Result<(), BlocksError> {
    let mut line = 1;
    let first = loop {
        let chunk = text.fill_buf().map_err(|error| BlocksError::io(path, error))?;
        let blank = chunk.iter().take_while(|byte| byte.is_ascii_whitespace());
        line += blank.clone().filter(|byte| **byte == b'\n').count();
        let (blank, length) = (blank.count(), chunk.len());
        let first = chunk.get(blank).copied();
        text.consume(blank);
        if first.is_some() || length == 0 {
            break first;
        }
    };
    let mut none = true;
    let mut take = |at, bytes| {
        none = false;
        take(at, bytes)
    };
    match first {
        Some(b'{' | b'[' | b'"') => json::read(path, text, &mut take)?,
        _ => hex::read(path, text, line, &mut take)?,
    }
    if none { Err(BlocksError::EmptyFile { path: path.to_owned() }) } else { Ok(()) }
}

/// UTF-16 text as single bytes; what is not ASCII in it becomes a question mark, which is no hex digit.
struct Narrow<R>(R);

impl<R: Read> Read for Narrow<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut wide = Vec::new();
        self.0.by_ref().take(2 * buffer.len() as u64).read_to_end(&mut wide)?;
        let units = wide.chunks(2).map(|unit| if let [byte, 0] = unit { *byte } else { b'?' });
        Ok(buffer.iter_mut().zip(units).map(|(to, byte)| *to = byte).count())
    }
}
