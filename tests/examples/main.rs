//! The examples as they are started by hand, with the kernel and the programs of others at the other end of the
//! device. Each test runs in a network namespace of its own.

#[path = "../common/namespace.rs"]
mod namespace;

#[path = "../common/example.rs"]
mod example;

#[path = "../kernel/host.rs"]
#[allow(dead_code)] // its engine is for tests that drive one themselves
mod host;

#[path = "../kernel/program.rs"]
#[allow(dead_code)]
mod program;

fn main() {}
