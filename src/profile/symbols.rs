//! Names of frames: of the guest, of the host and of the kernel.
//!
//! A name says whose it is by its end, as the scripts around perf have it and flame graphs colour it: `_[j]` for code that was
//! compiled at run time, which is the guest's, and `_[k]` for the kernel's.

use std::collections::HashMap;
use std::sync::Arc;

use rustc_demangle::demangle;

use super::image::Mapped;
use super::names::Names;

/// How the names of the guest's frames end.
pub const GUEST: &str = "_[j]";

/// How the names of the kernel's frames end.
pub const KERNEL: &str = "_[k]";

/// Names the frames of one process.
#[derive(Debug)]
pub struct Symbols {
    kernel: Arc<Names>,
    guest: Names,
    mapped: Vec<Mapped>,
    known: HashMap<(bool, u64), Arc<str>>,
}

impl Symbols {
    /// Knows the kernel's functions, the guest's, and what is mapped besides.
    pub fn new(kernel: Arc<Names>, guest: Names, mapped: Vec<Mapped>) -> Self {
        Self { kernel, guest, mapped, known: HashMap::new() }
    }

    /// What a frame of the kernel is called.
    pub fn of_kernel(&mut self, address: u64) -> Arc<str> {
        let kernel = &self.kernel;
        let name = || format!("{}{KERNEL}", kernel.at(address).map_or_else(|| "kernel".into(), tidy)).into();
        self.known.entry((true, address)).or_insert_with(name).clone()
    }

    /// What a frame outside the kernel is called.
    pub fn of_process(&mut self, address: u64) -> Arc<str> {
        let (guest, mapped) = (&self.guest, &self.mapped);
        self.known.entry((false, address)).or_insert_with(|| named(guest, mapped, address).into()).clone()
    }
}

fn named(guest: &Names, mapped: &[Mapped], address: u64) -> String {
    if let Some(name) = guest.at(address) {
        return format!("{}{GUEST}", tidy(name));
    }
    let Some(Mapped { image, bias, .. }) = mapped.iter().find(|mapped| mapped.range.contains(&address))
    else {
        return "unknown code".into();
    };
    match image.names.at(address.wrapping_sub(*bias)) {
        // Without the hash at its end.
        Some(name) => tidy(&format!("{:#}", demangle(name))),
        None => format!("[{}]", tidy(&image.name)),
    }
}

/// A name that can be between semicolons, in a line that ends with a number.
fn tidy(name: &str) -> String {
    name.chars().map(|c| if c == ';' || c.is_control() { ':' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_says_whose_it_is() {
        let kernel = Arc::new(Names::of_kernel("ffffffff81000000 T do_wp_page\n"));
        let guest = Names::of_map("1000 10 wasm function 12\n1010 10 a;b\n");
        let mut symbols = Symbols::new(kernel, guest, Vec::new());
        assert_eq!(&*symbols.of_kernel(0xffff_ffff_8100_0004), "do_wp_page_[k]");
        assert_eq!(&*symbols.of_process(0x1004), "wasm function 12_[j]");
        assert_eq!(&*symbols.of_process(0x1014), "a:b_[j]");
        assert_eq!(&*symbols.of_process(0x5000), "unknown code");
        let mut hidden = Symbols::new(Arc::default(), Names::default(), Vec::new());
        assert_eq!(&*hidden.of_kernel(0xffff_ffff_8100_0004), "kernel_[k]");
    }
}
