//! The examples as they are started by hand, with the kernel and the programs of others at the other end of the
//! device. Each test runs in a network namespace of its own.

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

mod flags;

mod udp;

mod tcp_echo;

mod dns;

mod https;

mod resolve;

use std::process::ExitCode;

fn main() -> ExitCode {
    namespace::main_with(&[
        (("flags_that_make_no_sense", flags::refused), &[]),
        (("a_device_that_cannot_be_had", flags::no_device), &[]),
        (("udp_echo_of_a_thousand_datagrams", udp::echo), &[]),
        (("tokio_echoes_a_thousand_connections", tcp_echo::tokio), &[]),
        (("threads_echo_a_thousand_connections", tcp_echo::threads), &[]),
        (("a_pool_echoes_a_thousand_connections", tcp_echo::pool), &[]),
        (("select_echoes_a_thousand_connections", tcp_echo::select), &[]),
        (("poll_echoes_a_thousand_connections", tcp_echo::poll), &[]),
        (("epoll_echoes_a_thousand_connections", tcp_echo::epoll_level), &[]),
        (("edges_of_epoll_echo_a_thousand_connections", tcp_echo::epoll_edge), &[]),
        (("a_ring_echoes_a_thousand_connections", tcp_echo::ring), &[]),
        (("a_loop_of_its_own_echoes_a_thousand_connections", tcp_echo::own_loop), &[]),
        (("dns_asked_by_dig", dns::asked_by_dig), &["dig"]),
        (("dns_with_large_answers", dns::large_answers), &["dig"]),
        (("dns_asked_nonsense", dns::nonsense), &["dig"]),
        (("https_with_megabytes_each_way", https::fetched_by_curl), &["curl"]),
        (("https_with_a_certificate_that_is_verified", https::certificate_is_verified), &["curl"]),
        (("resolve_by_our_dns_server_and_fetch", resolve::by_our_dns_server), &[]),
        (("resolve_by_a_server_that_loses_and_lies", resolve::by_a_server_that_loses_and_lies), &[]),
    ])
}
