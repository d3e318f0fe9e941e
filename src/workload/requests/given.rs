//! The user's requests.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};

use crate::files;
use crate::prose::{distinct, printable};
use crate::workload::host::View;

/// A view, and what it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub export: String,
    /// How often each of its requests comes.
    times: usize,
    source: Source,
}

/// Where requests are.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    One(Vec<u8>),
    File(PathBuf),
}

impl Asked {
    /// Takes apart what was typed: `EXPORT[*TIMES][=HEX|=@FILE]`. Without a request, it is an empty one.
    ///
    /// # Errors
    /// When a part is missing or none.
    pub fn parse(typed: OsString) -> Result<Self, String> {
        let bytes = typed.as_bytes();
        let at = bytes.iter().position(|byte| *byte == b'=');
        let (name, request) = bytes.split_at(at.unwrap_or(bytes.len()));
        let name = str::from_utf8(name).map_err(|_| "the name of an export is UTF-8".to_owned())?;
        let (export, times) = match name.rsplit_once('*') {
            Some((export, times)) => (export, times.parse().ok().filter(|times| *times > 0)),
            None => (name, Some(1)),
        };
        let times = times.ok_or_else(|| {
            format!("`{}`: behind the `*` belongs how often its requests come, from 1 on", printable(name))
        })?;
        if export.is_empty() {
            return Err("there is no export before the `=`: say EXPORT=HEX or EXPORT=@FILE".into());
        }
        let source = match request {
            [b'=', b'@'] => return Err("there is no file behind the `@`".into()),
            [b'=', b'@', file @ ..] => Source::File(OsString::from_vec(file.to_vec()).into()),
            [b'=', hex @ ..] => {
                let hex = OsStr::from_bytes(hex).to_string_lossy();
                let request = unhex(&hex);
                Source::One(request.map_err(|why| {
                    format!("{why}, where hex is the request; a file of requests is {export}=@FILE")
                })?)
            }
            _ => Source::One(Vec::new()),
        };
        Ok(Self { export: export.into(), times, source })
    }

    /// Its requests, each as often as it comes.
    fn requests(&self) -> Result<Vec<Vec<u8>>> {
        let requests = match &self.source {
            Source::One(request) => vec![request.clone()],
            Source::File(path) => {
                let shown = printable(&path.to_string_lossy());
                let bytes = files::read(path).context("--view")?;
                let requests = read(bytes).with_context(|| format!("--view: {shown}"))?;
                ensure!(!requests.is_empty(), "--view: {shown} holds no request");
                requests
            }
        };
        let all = requests.len().saturating_mul(self.times);
        ensure!(
            all <= MOST,
            "--view: `{}` is asked {} requests {} times, and a workload has {MOST} at most: each is run in every pass",
            printable(&self.export),
            requests.len(),
            self.times
        );
        Ok(requests.into_iter().cycle().take(all).collect())
    }
}

/// The most requests of a workload.
const MOST: usize = 4096;

/// A file of requests: where it is text, hex in lines, of which those that begin with `#` say something about them; else it is
/// one request.
fn read(bytes: Vec<u8>) -> Result<Vec<Vec<u8>>> {
    let is_text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    if !bytes.iter().all(is_text) {
        return Ok(vec![bytes]);
    }
    let text = String::from_utf8(bytes)?;
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let request = |(number, line): (usize, &str)| {
        unhex(line).map_err(|why| {
            anyhow::anyhow!("line {number}: {why}: a file of text has a request in hex on each line")
        })
    };
    lines.map(request).collect()
}

/// The bytes of hex, with `0x` before it or not.
fn unhex(text: &str) -> Result<Vec<u8>, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if let Some(other) = digits.chars().find(|c| !c.is_ascii_hexdigit()) {
        return Err(format!("`{}` is no hex digit", printable(&other.to_string())));
    }
    if !digits.len().is_multiple_of(2) {
        return Err(format!("{} hex digits are no whole bytes", digits.len()));
    }
    let digit = |digit: u8| char::from(digit).to_digit(16).unwrap_or_default() as u8;
    Ok(digits.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect())
}

/// The exports that are asked for, each once.
pub fn exports(asked: &[Asked]) -> Vec<String> {
    distinct(asked.iter().map(|asked| asked.export.clone()))
}

/// Inputs at a height, for these [exports]. Requests of several views are mixed evenly: each view's are as far from each other as
/// they can be.
///
/// # Errors
/// When a file cannot be read, or what is in it is no hex.
pub fn given(asked: &[Asked], height: u32) -> Result<Vec<Arc<[u8]>>> {
    let exports = exports(asked);
    let mut placed = Vec::new();
    for asked in asked {
        let number = exports.iter().position(|export| *export == asked.export).unwrap_or_default();
        let number = u8::try_from(number).context("--view: a module has 256 views at most")?;
        let requests = asked.requests()?;
        let apart = 1.0 / requests.len() as f64;
        for (at, request) in requests.iter().enumerate() {
            let input: Arc<[u8]> = View::request(number, height, request).into();
            placed.push((apart * (at as f64 + 0.5), input));
        }
    }
    ensure!(
        placed.len() <= MOST,
        "--view: these are {} requests, and a workload has {MOST} at most",
        placed.len()
    );
    placed.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    Ok(placed.into_iter().map(|(_, input)| input).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(typed: &str) -> Asked {
        Asked::parse(typed.into()).unwrap()
    }

    #[test]
    fn more_requests_than_a_pass_has_room_for_are_refused() {
        for typed in [&["v*4097=00"][..], &["v*4000000000=00"], &["v*4000=00", "w*97=00"]] {
            let asked: Vec<_> = typed.iter().map(|typed| asked(typed)).collect();
            let error = given(&asked, 1).unwrap_err().to_string();
            assert!(error.contains("4096 at most"), "{typed:?}: {error}");
        }
        assert_eq!(given(&[asked("v*4096=00")], 1).unwrap().len(), 4096);
    }

    #[test]
    fn a_view_is_asked_hex_a_file_or_nothing() {
        let one = |export: &str, times, request: &[u8]| Asked {
            export: export.into(),
            times,
            source: Source::One(request.into()),
        };
        assert_eq!(asked("balance=00fF"), one("balance", 1, &[0, 0xff]));
        assert_eq!(asked("balance*12=0x00"), one("balance", 12, &[0]));
        assert_eq!(asked("balance"), one("balance", 1, &[]));
        assert_eq!(asked("balance*3="), one("balance", 3, &[]));
        let file = asked("a=@b=c*2");
        assert_eq!((file.export.as_str(), file.source), ("a", Source::File("b=c*2".into())));
    }

    #[test]
    fn what_is_no_view_is_told_why() {
        for (typed, why) in [
            ("", "no export before"),
            ("=00", "no export before"),
            ("a=@", "no file behind"),
            ("a*0=00", "how often"),
            ("a*x=00", "how often"),
            ("a=0", "1 hex digits are no whole bytes"),
            ("a=file.hex", "`i` is no hex digit, where hex is the request; a file of requests is a=@FILE"),
        ] {
            let error = Asked::parse(typed.into()).unwrap_err();
            assert!(error.contains(why), "{typed}: {error}");
        }
    }

    #[test]
    fn a_file_of_text_has_a_request_on_each_line_and_any_other_is_one() {
        let lines = b"# two\r\n00 \n\n0x\n# and\n ffee";
        assert_eq!(read(lines.to_vec()).unwrap(), [vec![0], vec![], vec![0xff, 0xee]]);
        assert_eq!(read(vec![b'0', b'0', 0]).unwrap(), [vec![b'0', b'0', 0]]);
        assert!(read(b"# none\n".to_vec()).unwrap().is_empty());
        let error = read(b"00\n0g\n".to_vec()).unwrap_err().to_string();
        assert!(error.starts_with("line 2: `g` is no hex digit"), "{error}");
    }

    #[test]
    fn requests_of_several_views_are_mixed_evenly() {
        let all = [asked("often*4=aa"), asked("rarely=bb"), asked("often=cc")];
        assert_eq!(exports(&all), ["often", "rarely"]);
        let told: Vec<_> =
            given(&all, 7).unwrap().iter().map(|input| (input[0], input[1], input[5])).collect();
        let [a, b, c] = [(0, 7, 0xaa), (1, 7, 0xbb), (0, 7, 0xcc)];
        assert_eq!(told, [a, a, b, c, a, a]);
    }
}
