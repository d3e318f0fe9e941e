//! What people keep packed: gzip, zstd and xz, told by their first bytes and unpacked up to a limit.

use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::FrameDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use wasmparser::BinaryReader;

/// The most memory that a file may ask for to be unpacked: what `zstd --ultra -22` and `xz -9` need, and more.
const MOST_WINDOW: u64 = 256 << 20;

/// A way to pack a file that is unpacked here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    Gzip,
    Zstd,
    Xz,
}

/// The beginnings of archives and other packings that are not unpacked here, and their names.
const OTHERS: [(&[u8], &str); 7] = [
    (b"PK\x03\x04", "a zip archive"),
    (b"BZh", "packed with bzip2"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a rar archive"),
    (b"\x04\x22\x4d\x18", "packed with lz4"),
    (b"LZIP", "packed with lzip"),
    (b"!<arch>\n", "an ar archive"),
];

/// Where a tar archive says that it is one.
const TAR: (usize, &[u8]) = (257, b"ustar");

impl Packing {
    /// How a file that begins with `head` is packed, if it is.
    pub fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, 0x08, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            // A frame to be skipped, with which zstd may begin too.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            _ => None,
        }
    }

    /// The file name without the ending that goes with a packing, if it has one.
    pub fn bare(name: &str) -> &str {
        let lower = name.to_ascii_lowercase();
        let ending = [".gz", ".gzip", ".zst", ".zstd", ".xz"].into_iter().find(|end| lower.ends_with(end));
        // The endings are ASCII, so that this is a boundary.
        ending.map_or(name, |ending| &name[..name.len() - ending.len()])
    }

    /// Unpacks `source`, at most `limit` bytes: more is an error (see [`limit_of`]).
    ///
    /// # Errors
    /// When the source cannot be read, or asks for too much memory.
    pub fn unpack<'a>(self, mut source: impl BufRead + 'a, limit: u64) -> io::Result<Box<dyn Read + 'a>> {
        if self == Self::Xz && xz_window(source.fill_buf()?).is_some_and(|window| window > MOST_WINDOW) {
            return Err(io::Error::other(format!("it needs more than {} MiB to unpack", MOST_WINDOW >> 20)));
        }
        Ok(match self {
            Self::Gzip => Box::new(Limited::new(MultiGzDecoder::new(source), limit)),
            Self::Zstd => Box::new(Limited::new(Frames::new(source), limit)),
            Self::Xz => Box::new(Limited::new(XzReader::new(source, true), limit)),
        })
    }
}

/// The memory that the first block of an xz file asks for: its dictionary, from the properties of its LZMA2 filter. `None`
/// where `head` holds no such filter. Its numbers are LEB128, like those of wasm.
fn xz_window(head: &[u8]) -> Option<u64> {
    const STREAM_HEADER: usize = 12;
    const LZMA2: u64 = 0x21;
    let [size, flags, rest @ ..] = head.get(STREAM_HEADER..)? else { return None };
    let mut rest = BinaryReader::new(rest.get(..4 * usize::from(*size) + 2)?, 0);
    for size_is_given in [flags & 0x40 != 0, flags & 0x80 != 0] {
        if size_is_given {
            rest.read_var_u64().ok()?;
        }
    }
    for _ in 0..=flags & 3 {
        let (filter, length) = (rest.read_var_u64().ok()?, rest.read_var_u64().ok()?);
        let properties = rest.read_bytes(usize::try_from(length).ok()?).ok()?;
        if let (LZMA2, [bits @ 0..=40]) = (filter, properties) {
            return Some((2 | u64::from(bits & 1)) << (bits / 2 + 11));
        }
    }
    None
}

/// The name of a packing or archive that a file beginning with `head` is, and that is not unpacked here.
pub fn archive(head: &[u8]) -> Option<&'static str> {
    let is_tar = head.get(TAR.0..).is_some_and(|rest| rest.starts_with(TAR.1));
    let known = || OTHERS.iter().find(|(begin, _)| head.starts_with(begin)).map(|(_, name)| *name);
    if is_tar { Some("a tar archive") } else { known() }
}

/// The limit, if an error says that more came out than was allowed.
pub fn limit_of(error: &io::Error) -> Option<u64> {
    error.get_ref()?.downcast_ref().map(|Beyond { limit }| *limit)
}

/// More came out than was allowed.
#[derive(Debug, thiserror::Error)]
#[error("it has more than {limit} bytes")]
struct Beyond {
    limit: u64,
}

/// A reader that fails where it would give more bytes than its limit (see [`limit_of`]).
pub struct Limited<R> {
    inner: R,
    left: u64,
    limit: u64,
}

impl<R> Limited<R> {
    /// Gives `limit` bytes of `inner` at most.
    pub fn new(inner: R, limit: u64) -> Self {
        Self { inner, left: limit, limit }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        // One byte more than is left: whoever gives it has too many.
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX).saturating_add(1));
        let read = self.inner.read(&mut buffer[..wanted])?;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| io::Error::other(Beyond { limit: self.limit }))?;
        Ok(read)
    }
}

/// All frames of a zstd file one after the other, as `zstd -d` unpacks them.
struct Frames<R> {
    source: R,
    frame: FrameDecoder,
    /// Whether the frame has bytes left.
    open: bool,
}

impl<R: BufRead> Frames<R> {
    fn new(source: R) -> Self {
        let mut frame = FrameDecoder::new();
        frame.set_max_window_size(MOST_WINDOW);
        Self { source, frame, open: false }
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use ruzstd::decoding::BlockDecodingStrategy::UptoBlocks;
        loop {
            while self.open && self.frame.can_collect() == 0 && !self.frame.is_finished() {
                self.frame.decode_blocks(&mut self.source, UptoBlocks(1)).map_err(io::Error::other)?;
            }
            if self.open && self.frame.can_collect() > 0 {
                return self.frame.read(buffer);
            }
            self.open = false;
            if self.source.fill_buf()?.is_empty() {
                return Ok(0);
            }
            match self.frame.reset(&mut self.source) {
                Ok(()) => self.open = true,
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    io::copy(&mut self.source.by_ref().take(length.into()), &mut io::sink())?;
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
    }

    /// `printf 'hello, block\n' | xz`.
    #[rustfmt::skip]
    const XZ: [u8; 72] = [
        0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00, 0x04, 0xe6, 0xd6, 0xb4, 0x46, 0x02, 0x00, 0x21, 0x01,
        0x16, 0x00, 0x00, 0x00, 0x74, 0x2f, 0xe5, 0xa3, 0x01, 0x00, 0x0c, 0x68, 0x65, 0x6c, 0x6c, 0x6f,
        0x2c, 0x20, 0x62, 0x6c, 0x6f, 0x63, 0x6b, 0x0a, 0x00, 0x00, 0x00, 0x00, 0x52, 0xfe, 0x81, 0x97,
        0x97, 0x4b, 0x6f, 0x1a, 0x00, 0x01, 0x25, 0x0d, 0x71, 0x19, 0xc4, 0xb6, 0x1f, 0xb6, 0xf3, 0x7d,
        0x01, 0x00, 0x00, 0x00, 0x00, 0x04, 0x59, 0x5a,
    ];

    fn unpacked(bytes: &[u8], limit: u64) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        let packing = Packing::of(bytes).expect("a packing");
        packing.unpack(bytes, limit)?.read_to_end(&mut out).map(|_| out)
    }

    #[test]
    fn members_and_frames_are_unpacked_one_after_the_other() {
        for pack in [gzip, zstd] {
            let two = [pack(b"one "), pack(b""), pack(b"two")].concat();
            assert_eq!(unpacked(&two, 7).unwrap(), b"one two");
        }
        let skipped = [&b"\x53\x2a\x4d\x18\x03\0\0\0abc"[..], &zstd(b"seen")].concat();
        assert_eq!(unpacked(&skipped, 4).unwrap(), b"seen");
    }

    #[test]
    fn streams_of_xz_are_unpacked_one_after_the_other() {
        assert_eq!(unpacked(&[XZ, XZ].concat(), 26).unwrap(), b"hello, block\nhello, block\n");
        assert!(limit_of(&unpacked(&XZ, 12).unwrap_err()).is_some());
        for cut in 6..XZ.len() - 1 {
            assert!(unpacked(&XZ[..cut], 100).is_err(), "{cut}");
        }
    }

    #[test]
    fn what_asks_for_too_much_memory_is_refused() {
        assert_eq!(xz_window(&XZ), Some(8 << 20));
        let mut greedy = XZ;
        let properties = XZ.windows(3).position(|bytes| bytes == [0x21, 1, 0x16]).unwrap() + 2;
        greedy[properties] = 37;
        assert_eq!(xz_window(&greedy), Some(3 << 29));
        assert!(unpacked(&greedy, 100).unwrap_err().to_string().contains("256 MiB"));
        for cut in 0..XZ.len() {
            assert!(xz_window(&XZ[..cut]).is_none_or(|window| window == 8 << 20));
        }
    }

    #[test]
    fn what_unpacks_to_more_than_the_limit_is_an_error() {
        let bomb = vec![0; 1 << 20];
        for packed in [gzip(&bomb), zstd(&bomb)] {
            assert_eq!(unpacked(&packed, 1 << 20).unwrap().len(), 1 << 20);
            let error = unpacked(&packed, (1 << 20) - 1).unwrap_err();
            assert_eq!(limit_of(&error), Some((1 << 20) - 1), "{error}");
        }
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        for packed in [gzip(&[7; 1000]), zstd(&[7; 1000])] {
            for cut in 5..packed.len() - 1 {
                let error = unpacked(&packed[..cut], 10_000);
                assert!(error.is_err_and(|error| limit_of(&error).is_none()), "{cut}");
            }
        }
    }

    #[test]
    fn names_lose_the_ending_of_their_packing() {
        for (name, bare) in [("a.wasm.gz", "a.wasm"), ("A.HEX.XZ", "A.HEX"), ("b.zst", "b"), ("gz", "gz")] {
            assert_eq!(Packing::bare(name), bare);
        }
    }

    #[test]
    fn archives_are_known_by_their_first_bytes() {
        assert_eq!(archive(b"PK\x03\x04..."), Some("a zip archive"));
        let mut tar = [0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        assert_eq!(archive(&tar), Some("a tar archive"));
        assert_eq!(archive(b"\0asm\x01\0\0\0"), None);
    }
}
