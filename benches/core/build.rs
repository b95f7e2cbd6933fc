//! Tells the program by which compiler it was made: another one makes other instructions.

use std::env;
use std::process::Command;

fn main() {
    let rustc = env::var_os("RUSTC").expect("cargo names the compiler");
    let version = Command::new(rustc).arg("--version").output().expect("it runs");
    println!("cargo::rustc-env=TUNSTACK_RUSTC={}", String::from_utf8_lossy(&version.stdout).trim());
    println!("cargo::rerun-if-changed=build.rs");
}
