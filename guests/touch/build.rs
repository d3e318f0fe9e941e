//! A small stack leaves small memories to the arena: with the usual 1 MiB no memory could be smaller than
//! that.

fn main() {
    println!("cargo::rustc-link-arg=-zstack-size=16384");
    println!("cargo::rerun-if-changed=build.rs");
}
