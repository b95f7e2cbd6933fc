//! The engine's source is compiled for shuttle's scheduler here: without its unit tests, which are for real threads.

fn main() {
    println!("cargo::rustc-cfg=shuttle");
    println!("cargo::rerun-if-changed=build.rs");
}
