//! The calls of the BSD family against the kernel's sockets and against ours: the same rows, the same answers.
//!
//! See README.md beside this file.

#[path = "../common/namespace.rs"]
#[allow(dead_code)] // whose `main` is for tests that wait less
mod namespace;

mod sys;

mod kernel;

mod ours;

mod lab;

mod departures;

mod table;

mod scene;

mod tcp_states;

mod tcp_calls;

mod udp_states;

mod udp_calls;

mod binding;

mod options;

mod descriptors;

mod families;

mod accepting;

mod waiting;

mod urgent;

mod segments;

mod scenarios;

use std::process::ExitCode;

use tunstack::core::addr::{Address, Prefix};
use tunstack::device::netlink;
use tunstack::device::setup::{TunConfig, bring_up};

use table::Table;

fn main() -> ExitCode {
    namespace::main_waiting(&[
        ("the_judge", table::judges),
        ("tcp", || run("tcp", 2600, |t| scene::product(t, &tcp_states::STATES, &tcp_calls::CALLS))),
        ("udp", || run("udp", 1000, |t| scene::product(t, &udp_states::STATES, &udp_calls::CALLS))),
        ("binding", || run("binding", 1500, binding::rows)),
        ("options", || run("options", 2500, options::rows)),
        ("descriptors", || run("descriptors", 120, descriptors::rows)),
        ("families", || run("families", 180, families::rows)),
        ("accepting", || run("accepting", 30, accepting::rows)),
        ("waiting", || run("waiting", 50, waiting::rows)),
        ("urgent", || run("urgent", 250, urgent::rows)),
        ("segments", || run("segments", 350, segments::rows)),
        ("scenarios", scenarios::run),
        ("partings", scenarios::partings),
    ])
}

/// Runs a table in this namespace, which is made ready: a loopback, and a link behind which nobody is.
fn run(name: &'static str, least: usize, fill: fn(&mut Table)) {
    netlink::set_up("lo", true).unwrap();
    let _silence = bring_up(&TunConfig::default()).unwrap();
    // As with our stack, all that is not here is there.
    for default in [Prefix::new(Address::UNSPECIFIED_V4, 0), Prefix::new(Address::UNSPECIFIED, 0)] {
        netlink::add_route("tun0", default).unwrap();
    }
    let mut table = Table::new(name);
    fill(&mut table);
    table.run(least);
}
