//! Which function an address is in.

use std::fs;

use rustc_demangle::demangle;

/// Functions by their addresses.
#[derive(Clone, Debug, Default)]
pub struct Names(Vec<Function>);

#[derive(Clone, Debug)]
struct Function {
    address: u64,
    /// 0 where it is not stated: then it ends where the next one begins.
    size: u64,
    name: String,
}

impl Names {
    /// Takes functions in any order, each with its address and its size, 0 where that is not known. Of those that begin at the
    /// same place, the longest counts.
    pub fn new(functions: impl IntoIterator<Item = (u64, u64, String)>) -> Self {
        let named = |(address, size, name)| Function { address, size, name };
        let mut functions: Vec<_> = functions.into_iter().map(named).collect();
        functions.sort_by_key(|function| (function.address, std::cmp::Reverse(function.size)));
        functions.dedup_by_key(|function| function.address);
        Self(functions)
    }

    /// The functions of a map in the form of perf's: start and length in hex, and the name.
    pub fn of_map(text: &str) -> Self {
        let hex = |word: &str| u64::from_str_radix(word, 16).ok();
        let line = |line: &str| {
            let mut words = line.splitn(3, ' ');
            Some((hex(words.next()?)?, hex(words.next()?)?, words.next()?.to_owned()))
        };
        Self::new(text.lines().filter_map(line))
    }

    /// The functions of the kernel, by `/proc/kallsyms`; none where it hides their addresses.
    pub fn of_kernel(text: &str) -> Self {
        let line = |line: &str| {
            let mut words = line.split_ascii_whitespace();
            let address = u64::from_str_radix(words.next()?, 16).ok().filter(|&address| address > 0)?;
            let is_code = words.next().is_some_and(|kind| matches!(kind, "t" | "T" | "w" | "W"));
            Some((address, 0, words.next()?.to_owned())).filter(|_| is_code)
        };
        Self::new(text.lines().filter_map(line))
    }

    /// Those of the running kernel.
    pub fn of_this_kernel() -> Self {
        fs::read_to_string("/proc/kallsyms").map_or_else(|_| Self::default(), |text| Self::of_kernel(&text))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them has this in its name, as it was written and not as compilers write it.
    pub fn any_has(&self, path: &str) -> bool {
        let last = path.rsplit("::").next().unwrap_or(path);
        let written = |function: &&Function| function.name.contains(last);
        self.0.iter().filter(written).any(|function| format!("{:#}", demangle(&function.name)).contains(path))
    }

    /// The function that an address is in.
    pub fn at(&self, address: u64) -> Option<&str> {
        let after = self.0.partition_point(|function| function.address <= address);
        let function = &self.0[after.checked_sub(1)?];
        let ends = function.size > 0 && address >= function.address + function.size;
        (!ends).then_some(&*function.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_the_function_that_begins_before_it_and_has_not_ended() {
        let names = Names::of_map("1000 10 main\n1010 8 wasm function 12\nnot a line\n2000 0 open\n");
        let at = |address| names.at(address);
        assert_eq!((at(0xfff), at(0x1000), at(0x100f)), (None, Some("main"), Some("main")));
        assert_eq!((at(0x1017), at(0x1018)), (Some("wasm function 12"), None));
        assert_eq!(at(0x9999), Some("open"));
    }

    #[test]
    fn mangled_names_are_found_as_they_were_written() {
        let mangled = "_ZN10resetbench4cell7anchors7execute17h0123456789abcdefE";
        let names = Names::new([(1, 1, mangled.to_owned()), (9, 1, "main".to_owned())]);
        assert!(names.any_has("cell::anchors::execute"));
        assert!(!names.any_has("cell::anchors::reset") && !Names::default().any_has("main"));
    }

    #[test]
    fn of_the_kernel_functions_count_and_hidden_addresses_do_not() {
        let names = Names::of_kernel(
            "ffffffff81000000 T _stext\nffffffff81000100 d data\nffffffff81000200 t leaf [module]\n",
        );
        assert_eq!(names.at(0xffff_ffff_8100_0150), Some("_stext"));
        assert_eq!(names.at(0xffff_ffff_8100_0250), Some("leaf"));
        assert!(Names::of_kernel("0000000000000000 T _stext\n").is_empty());
    }
}
