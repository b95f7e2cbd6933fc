//! A browser over the device: headless Chromium loads pages that the stack carries, and its screenshots are
//! looked at. Each test runs in a network namespace of its own, from which no way leads out.

#[path = "../common/namespace.rs"]
#[allow(dead_code)] // whose `main` is for tests that need no programs
mod namespace;

#[path = "../kernel/host.rs"]
#[allow(dead_code)] // its engine is for tests that drive one themselves
mod host;

#[path = "../kernel/program.rs"]
#[allow(dead_code)]
mod program;

#[path = "../common/example.rs"]
mod example;

mod picture;

mod chromium;

mod demo;

mod https;

use std::process::ExitCode;

fn main() -> ExitCode {
    const CHROMIUM: &[&str] = &["chromium"];
    namespace::main_with(&[
        (("the_page_of_the_demo", demo::is_shown), CHROMIUM),
        (("the_page_of_the_https_server", https::is_shown), CHROMIUM),
        (("what_is_not_the_page", demo::something_else_is_not_it), CHROMIUM),
    ])
}
