//! The kernel's TCP, UDP and ICMP as the peer, over a TUN, each test in a network namespace of its own.
//!
//! Scripts for two ends of a connection run with ours as client and as server, over IPv4 and IPv6, and with
//! the kernel at both ends: what the kernel does with itself is what it must do with us.

#[path = "../common/namespace.rs"]
mod namespace;

mod host;

mod forward;

mod gate;

mod ends;

mod bulk;

mod close;

mod reset;

mod stall;

mod urgent;

mod timeout;

mod datagram;

mod udp_options;

mod options;

mod router;

mod again;

mod backlog;

mod many;

mod offload;

mod shrink;

#[cfg(feature = "cli")]
#[path = "../common/tshark.rs"]
mod tshark;

#[cfg(feature = "cli")]
mod program;

#[cfg(feature = "cli")]
mod http;

#[cfg(feature = "cli")]
mod netcat;

#[cfg(feature = "cli")]
mod capture;

use std::process::ExitCode;

fn main() -> ExitCode {
    namespace::main(&[
        ("a_full_accept_queue_turns_clients_away", backlog::full_queue),
        ("a_full_accept_queue_of_the_kernel_does_so_too", backlog::full_queue_of_the_kernel),
        ("a_burst_of_clients_is_handed_out_whole", backlog::burst),
        ("bulk_both_ways_at_once", bulk::both_ways_at_once),
        ("bulk_of_small_writes", bulk::small_writes),
        ("half_close_with_data_still_to_come", close::half_close),
        ("both_close_at_once", close::both_at_once),
        ("a_close_delivers_what_was_written", close::delivers_what_was_written),
        ("refused_at_once", reset::refused),
        ("unread_data_resets", reset::unread_data),
        ("a_reset_is_no_end_of_file", reset::abort),
        ("data_for_a_closed_end_resets", reset::data_after_close),
        ("a_peer_that_stops_reading_and_resumes", stall::stops_reading_and_resumes),
        ("a_black_hole_times_out", timeout::black_hole),
        ("datagrams_both_ways", datagram::both_ways),
        ("datagrams_several_in_one_call", datagram::several_in_one_call),
        ("datagrams_to_nobody_are_refused", datagram::refused),
        ("pings_both_ways", datagram::pings),
        ("whatever_is_negotiated", options::negotiated),
        ("a_bad_link", options::bad_link),
        ("sizes_of_packets", options::sizes_of_packets),
        ("the_kernel_as_router_tells_the_path_mtu", router::path_mtu),
        ("time_wait_is_reused", again::time_wait_is_reused),
        ("both_open_at_once", again::both_open_at_once),
        ("urgent_data_is_read_in_line", urgent::read_in_line),
        ("a_full_accept_queue", again::full_accept_queue),
        ("a_thousand_connections", many::a_thousand),
        ("bulk_with_offload", offload::both_ways_at_once),
        ("a_bad_link_before_a_device_with_offload", offload::a_bad_link_before_it),
        ("a_capture_of_a_device_with_offload", offload::captured),
        ("a_path_shrinks_under_a_transfer", shrink::under_a_transfer),
        #[cfg(feature = "cli")]
        ("serve_a_hundred_megabytes_each_way", http::fetched_and_sent),
        #[cfg(feature = "cli")]
        ("serve_under_load", http::load),
        #[cfg(feature = "cli")]
        ("netcats_end_as_between_two_kernels", netcat::dialogues),
        #[cfg(feature = "cli")]
        ("netcat_against_echo", netcat::echo),
        #[cfg(feature = "cli")]
        ("a_capture_of_a_run", capture::judged_by_tshark),
        #[cfg(feature = "cli")]
        ("only_the_kernel_may_write_ffff", capture::only_the_kernel_may_write_ffff),
    ])
}
