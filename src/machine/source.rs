//! Where facts are read: `/proc` and `/sys` behind the [`Files`] seam, so that every parser can be tested on
//! the literal text of a machine that is not at hand.

use std::collections::BTreeMap;
use std::io;

/// The files that describe a machine.
pub(crate) trait Files {
    /// The whole text of the file at an absolute path.
    fn text(&self, path: &str) -> io::Result<String>;
    /// The names in a directory, sorted.
    fn names(&self, dir: &str) -> io::Result<Vec<String>>;
}

impl dyn Files + '_ {
    /// What a file says, if it can be read and says it.
    pub fn parsed<T>(&self, path: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        parse(&self.text(path).ok()?)
    }
}

/// The files of the running system.
pub(crate) struct System;

impl Files for System {
    fn text(&self, path: &str) -> io::Result<String> {
        // Vulnerability files and DMI strings are ASCII in practice; a stray byte should cost a character,
        // not a fact.
        std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn names(&self, dir: &str) -> io::Result<Vec<String>> {
        let mut names = std::fs::read_dir(dir)?
            .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }
}

/// Reads facts and writes down why those that are missing are missing.
pub(crate) struct Facts<'a> {
    pub files: &'a dyn Files,
    /// The field, in dotted form as in the JSON, and the reason for its absence.
    pub absent: BTreeMap<String, String>,
}

impl<'a> Facts<'a> {
    pub fn new(files: &'a dyn Files) -> Self {
        Self { files, absent: BTreeMap::new() }
    }

    /// Reads `path` and parses it, or notes under `field` that the file is missing or odd.
    pub fn read<T>(&mut self, field: &str, path: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        match self.files.text(path) {
            Ok(text) => {
                let value = parse(&text);
                if value.is_none() {
                    self.miss(field, format!("{path} does not say ({})", excerpt(&text)));
                }
                value
            }
            Err(error) => {
                self.miss(field, format!("{path}: {error}"));
                None
            }
        }
    }

    /// Notes why `field` is absent. The first reason stays: it is the one nearest to the cause.
    pub fn miss(&mut self, field: &str, why: impl Into<String>) {
        self.absent.entry(field.to_owned()).or_insert_with(|| why.into());
    }
}

/// The first line of a file, short enough for a message.
fn excerpt(text: &str) -> String {
    const LONGEST: usize = 60;
    let line = text.trim().lines().next().unwrap_or_default();
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("`{}...`", &line[..end]),
        None if line.is_empty() => "it is empty".to_owned(),
        None => format!("`{line}`"),
    }
}

/// The whole text as one number, as most sysctl and sysfs files hold it.
pub(crate) fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.trim().parse().ok()
}

/// The whole text as a switch: 0 or 1.
pub(crate) fn switch(text: &str) -> Option<bool> {
    match text.trim() {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

/// The whole text as one word or line; `None` when it is blank.
pub(crate) fn line(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The value in bytes of a line `Key:   123 kB`, the form of `/proc/meminfo`, `/proc/PID/status` and
/// `/proc/PID/smaps_rollup` (proc(5); "kB" there means 1,024 bytes). `None` when the key is missing or the
/// line odd.
pub(crate) fn kib(text: &str, key: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    let mut words = value.split_whitespace();
    let number: u64 = words.next()?.parse().ok()?;
    match words.next() {
        Some("kB") => number.checked_mul(1024),
        _ => None,
    }
}

/// The value of a line `key 123`, the form of `/proc/vmstat` and of `memory.stat` and its like in control groups.
pub(crate) fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')).and_then(number)
}

/// The chosen word of a sysfs switch such as `always [madvise] never`.
pub(crate) fn chosen(text: &str) -> Option<String> {
    let word = text.split_whitespace().find_map(|word| word.strip_prefix('[')?.strip_suffix(']'))?;
    Some(word.to_owned())
}

#[cfg(test)]
pub(crate) mod literal {
    //! A machine made of literal text.

    use std::collections::BTreeSet;
    use std::io;

    use super::Files;

    /// Paths and their texts; directories follow from the paths.
    #[derive(Default, Clone)]
    pub struct Literal(pub Vec<(&'static str, &'static str)>);

    impl Files for Literal {
        fn text(&self, path: &str) -> io::Result<String> {
            let found = self.0.iter().find(|(at, _)| *at == path);
            found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
        }

        fn names(&self, dir: &str) -> io::Result<Vec<String>> {
            let names: BTreeSet<String> = self
                .0
                .iter()
                .filter_map(|(path, _)| path.strip_prefix(dir)?.strip_prefix('/')?.split('/').next())
                .map(str::to_owned)
                .collect();
            if names.is_empty() {
                Err(io::ErrorKind::NotFound.into())
            } else {
                Ok(names.into_iter().collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::literal::Literal;
    use super::*;

    #[test]
    fn a_key_in_kib_is_read_in_bytes_and_only_under_its_whole_name() {
        let text = "VmHWMx:\t   7 kB\nVmHWM:\t    1724 kB\nThreads:\t1\n";
        assert_eq!(kib(text, "VmHWM"), Some(1724 * 1024));
        assert_eq!(kib(text, "VmHW"), None);
        assert_eq!(kib(text, "Threads"), None, "no unit, so not a size");
    }

    #[test]
    fn odd_sizes_are_none_and_not_a_panic() {
        for text in
            ["VmRSS: lots kB", "VmRSS:", "VmRSS: -1 kB", "VmRSS: 18446744073709551615 kB", "\u{fffd}", ""]
        {
            assert_eq!(kib(text, "VmRSS"), None, "{text:?}");
        }
    }

    #[test]
    fn the_bracketed_word_is_the_choice() {
        assert_eq!(chosen("always [madvise] never\n").as_deref(), Some("madvise"));
        assert_eq!(chosen("always defer defer+madvise [madvise] never").as_deref(), Some("madvise"));
        assert_eq!(chosen("always madvise never"), None);
        assert_eq!(chosen("[broken"), None);
    }

    #[test]
    fn what_is_missing_is_noted_with_its_file_once() {
        let files = Literal(vec![("/odd", "not a number\n"), ("/empty", "")]);
        let mut facts = Facts::new(&files);
        assert_eq!(facts.read::<u64>("a", "/none", number), None);
        assert_eq!(facts.read::<u64>("b", "/odd", number), None);
        assert_eq!(facts.read::<u64>("c", "/empty", number), None);
        facts.miss("a", "a later reason");
        assert_eq!(facts.absent["a"], "/none: entity not found");
        assert_eq!(facts.absent["b"], "/odd does not say (`not a number`)");
        assert_eq!(facts.absent["c"], "/empty does not say (it is empty)");
    }

    #[test]
    fn a_long_line_is_cut_at_a_character() {
        let long = "ä".repeat(100);
        assert_eq!(excerpt(&long), format!("`{}...`", "ä".repeat(60)));
    }

    #[test]
    fn this_system_has_a_proc() {
        assert!(System.text("/proc/meminfo").is_ok());
        assert!(System.names("/proc/self").expect("this process has files").contains(&"status".to_owned()));
    }
}
