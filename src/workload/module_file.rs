//! The user's module as a file: binary or text, packed or not, under whatever name.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use wat::Detect;

use super::host;
use super::packed::{self, Packing};

/// The most bytes that a module has, packed or unpacked: several times what engines compile in practice.
const MOST_BYTES: u64 = 256 << 20;

/// The most bytes of a file's name that become part of a workload's, which is shown and is part of other files' names.
const MOST_NAME: usize = 80;

/// Digits of the digest that tells shortened names apart.
const DIGEST: usize = 8;

/// Reads a module: WebAssembly as bytes or as text (`.wat`), as it is or packed with gzip, zstd or xz. What it is, its
/// content tells; text is translated.
///
/// # Errors
/// When the file cannot be read or unpacked, is larger than 256 MiB, is an archive, or is text that does not parse. Bytes of
/// any other kind are returned as they are: what they lack is said by [`super::user::valid`].
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let shown = shown(path);
    let bytes = contents(path).with_context(|| format!("cannot read the module {shown}"))?;
    ensure!(
        !bytes.is_empty(),
        "{shown} is not a WebAssembly module: the file is empty, build or copy it again"
    );
    if let Some(archive) = packed::archive(&bytes) {
        bail!("{shown} is {archive}: unpack it first, or pack the module with gzip, zstd or xz");
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let says_text = Path::new(Packing::bare(&path.to_string_lossy()))
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("wat"));
    let is_text = match Detect::from_bytes(text) {
        Detect::WasmText => true,
        Detect::WasmBinary => false,
        Detect::Unknown => says_text,
    };
    if !is_text {
        return Ok(bytes);
    }
    let translated = wat::Parser::new().parse_bytes(Some(path), text).map(Cow::into_owned);
    // The words of the parser span lines and show the place; what is invalid in other ways is said later.
    translated.with_context(|| format!("{shown} is not WebAssembly as text"))
}

/// The bytes of a file, unpacked.
fn contents(path: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.is_dir() {
        return Err(io::Error::other("it is a folder: give the file in it"));
    }
    let too_much = |what: &str| {
        io::Error::other(format!("{what} more than {} MiB, which no module has", MOST_BYTES >> 20))
    };
    // To the end and not to the length: a pipe has none.
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(too_much("it has"));
    }
    let Some(packing) = Packing::of(&bytes) else { return Ok(bytes) };
    let mut unpacked = Vec::new();
    match packing.unpack(&bytes[..], MOST_BYTES).and_then(|mut all| all.read_to_end(&mut unpacked)) {
        Ok(_) => Ok(unpacked),
        Err(error) if packed::limit_of(&error).is_some() => Err(too_much("it unpacks to")),
        Err(error) => Err(io::Error::other(format!("it cannot be unpacked: {error}"))),
    }
}

/// A workload's name for the module at `path`: `user/` and the file's name without its endings. Names that are too long, or
/// have characters that would break a line, a table or a path, are shortened and cleaned, and then end in `~` and a digest
/// of the whole name: the same file has the same name always, and another file another one.
pub fn name(path: &Path) -> String {
    let file = path.file_name().unwrap_or_default();
    let whole = file.to_string_lossy();
    let bare = Packing::bare(&whole);
    let stem = [".wasm", ".wat"].iter().find_map(|ending| {
        let at = bare.len().checked_sub(ending.len()).filter(|&at| at > 0)?;
        bare.get(at..).is_some_and(|end| end.eq_ignore_ascii_case(ending)).then(|| &bare[..at])
    });
    let stem = stem.or_else(|| Path::new(bare).file_stem()?.to_str()).unwrap_or("module");
    let mut clean: String = stem.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let mut end = clean.len().min(MOST_NAME);
    while !clean.is_char_boundary(end) {
        end -= 1;
    }
    clean.truncate(end);
    if clean.chars().all(|c| matches!(c, '.' | '_' | ' ')) || clean != clean.trim() {
        clean = format!("module{}", clean.trim());
    }
    if clean == stem && file.to_str().is_some() {
        return format!("user/{clean}");
    }
    let digest = host::hex(&Sha256::digest(file.as_encoded_bytes()));
    format!("user/{clean}~{}", &digest[..DIGEST])
}

/// Whether a character can be shown and be part of a pattern, a path and a table as it is.
fn is_plain(c: char) -> bool {
    let splits = matches!(c, '/' | '\\' | '|' | '`' | '"' | '\'' | '*' | '?' | '<' | '>' | '\u{fffd}');
    !(c.is_control() || splits || turns(c) || c.is_whitespace() && c != ' ')
}

/// Whether a character turns or hides the text around it.
fn turns(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A path as it is shown: on one line, and without characters that turn the text around them.
pub fn shown(path: &Path) -> String {
    let sign = |c: char| if c.is_control() || turns(c) { '\u{fffd}' } else { c };
    path.to_string_lossy().chars().map(sign).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn named(name: &str) -> String {
        super::name(Path::new(name))
    }

    #[test]
    fn plain_names_are_kept() {
        for (file, workload) in [
            ("indexer.wasm", "user/indexer"),
            ("a/b/my indexer-2.wat", "user/my indexer-2"),
            ("alkanes.wasm.gz", "user/alkanes"),
            ("v1.2.wasm", "user/v1.2"),
            ("-rf.wasm", "user/-rf"),
            ("ordinäl.wasm", "user/ordinäl"),
            ("module", "user/module"),
            ("module.bin", "user/module"),
        ] {
            assert_eq!(named(file), workload);
        }
    }

    #[test]
    fn odd_names_are_cleaned_and_stay_apart() {
        let long = "x".repeat(250);
        let odd: Vec<String> =
            ["a\nb", "a\tb", "a\u{1b}[31m", "..", ".", "...", "a|b", "\u{202e}x", "*", " a", "a "]
                .iter()
                .map(|stem| format!("{stem}.wasm"))
                .chain([format!("{long}1"), format!("{long}2"), "日本語".repeat(28)])
                .collect();
        let names: BTreeSet<String> = odd.iter().map(|name| named(name)).collect();
        assert_eq!(names.len(), odd.len(), "{names:?}");
        for name in names {
            assert!(name.len() <= "user/".len() + "module".len() + MOST_NAME + 1 + DIGEST, "{name}");
            assert!(name.chars().skip("user/".len()).all(is_plain), "{name:?}");
            assert!(name.contains('~'), "{name}");
        }
        let not_utf8 = |byte| super::name(Path::new(OsStr::from_bytes(&[b'a', byte, b'.', b'w'])));
        assert_ne!(not_utf8(0xff), not_utf8(0xfe));
    }

    #[test]
    fn paths_are_shown_on_one_line() {
        assert_eq!(shown(Path::new("a\nb/\u{202e}c")), "a\u{fffd}b/\u{fffd}c");
        assert_eq!(shown(Path::new("dir/ä b.wasm")), "dir/ä b.wasm");
    }

    #[test]
    fn text_is_translated_and_other_bytes_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            path
        };
        for text in ["(module)", "\u{feff};; a comment\n(module)"] {
            assert_eq!(read(&file("a.wasm", text.as_bytes())).unwrap(), b"\0asm\x01\0\0\0");
        }
        // Fields alone are a module too, where the name says that they are text.
        assert!(read(&file("fields.WAT", b"(memory 1)")).unwrap().starts_with(b"\0asm"));
        assert_eq!(read(&file("hello.wasm", b"hello")).unwrap(), b"hello");
        let error = format!("{:#}", read(&file("wrong.wat", b"(module (func $f)")).unwrap_err());
        assert!(error.contains("wrong.wat is not WebAssembly as text"), "{error}");
        assert!(read(&file("empty.wasm", b"")).unwrap_err().to_string().contains("the file is empty"));
    }
}
