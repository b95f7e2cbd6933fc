//! The program, run as a user runs it, each test in a network namespace of its own, with the kernel and the
//! tools of the host as its peers.

#[path = "common/namespace.rs"]
#[allow(dead_code)] // whose `main` is for tests that wait less
mod namespace;

#[path = "cli/program.rs"]
mod program;

#[path = "cli/bad_input.rs"]
mod bad_input;

#[path = "cli/bench.rs"]
mod bench;

#[path = "cli/drill.rs"]
mod drill;

#[path = "cli/http.rs"]
mod http;

#[path = "cli/netcat.rs"]
mod netcat;

#[path = "cli/race.rs"]
mod race;

#[path = "cli/services.rs"]
mod services;

#[path = "cli/gro.rs"]
mod gro;
#[path = "cli/steer.rs"]
mod steer;

use std::process::{Command, ExitCode, Stdio};

/// Tests and the tools that they cannot do without.
const TESTS: &[(&[&str], namespace::Test)] = &[
    (&["curl"], ("demo_answers_curl_and_leaves_nothing", http::demo_answers_curl_and_leaves_nothing)),
    (&["curl"], ("demo_shows_its_own_connection", http::demo_shows_its_own_connection)),
    (&["curl"], ("serve_gives_files_whole_and_in_parts", http::serve_gives_files_whole_and_in_parts)),
    (&["curl"], ("serve_takes_uploads", http::serve_takes_uploads)),
    (&[], ("serve_keeps_connections", http::serve_keeps_connections)),
    (&[], ("serve_lets_nobody_out", http::serve_lets_nobody_out)),
    (&[], ("a_broken_upload_leaves_nothing", http::a_broken_upload_leaves_nothing)),
    (&[], ("an_answer_under_way_is_ended", http::an_answer_under_way_is_ended)),
    (&[], ("get_fetches", http::get_fetches)),
    (&[], ("nc_half_closes_towards_the_host", netcat::nc_half_closes_towards_the_host)),
    (&[], ("nc_hears_a_half_close_of_the_host", netcat::nc_hears_a_half_close_of_the_host)),
    (&[], ("nc_against_itself", netcat::nc_against_itself)),
    (&[], ("nc_without_half_close_stays", netcat::nc_without_half_close_stays)),
    (&[], ("nc_carries_datagrams", netcat::nc_carries_datagrams)),
    (&[], ("nc_gives_up_in_time", netcat::nc_gives_up_in_time)),
    (&[], ("echo_serves_over_tcp", services::echo_serves_over_tcp)),
    (&[], ("echo_serves_over_udp", services::echo_serves_over_udp)),
    (&[], ("a_thousand_connections_at_once", services::a_thousand_connections_at_once)),
    (&["ping"], ("the_stack_answers_ping", services::the_stack_answers_ping)),
    (&[], ("ping_asks_the_host", services::ping_asks_the_host)),
    (&["ping"], ("an_impaired_link_is_late", services::an_impaired_link_is_late)),
    (&["setpriv"], ("up_and_down", services::up_and_down)),
    (&[], ("a_capture_is_whole", services::a_capture_is_whole)),
    (&[], ("the_kernel_joins_where_it_is_told", services::the_kernel_joins_where_it_is_told)),
    (&[], ("a_second_signal_ends_at_once", services::a_second_signal_ends_at_once)),
    #[cfg(feature = "uring")]
    (&[], ("no_io_uring_is_made_where_it_is_forbidden", services::no_io_uring_is_made_where_it_is_forbidden)),
    (&[], ("scripts_are_run_and_reported", drill::scripts_are_run_and_reported)),
    (&[], ("symbols_of_the_addresses_are_defined", drill::symbols_of_the_addresses_are_defined)),
    (&[], ("a_report_that_is_lost_is_told", drill::a_report_that_is_lost_is_told)),
    (&[], ("algorithms_are_raced_and_drawn", race::algorithms_are_raced_and_drawn)),
    (&[], ("a_legend_tells_of_what_is_drawn", race::a_legend_tells_of_what_is_drawn)),
    (&[], ("the_plots_are_the_committed_ones", race::the_plots_are_the_committed_ones)),
    (
        &[],
        (
            "slow_start_is_paced_unless_that_is_not_wanted",
            race::slow_start_is_paced_unless_that_is_not_wanted,
        ),
    ),
    (&["unshare"], ("the_kernel_is_raced", race::the_kernel_is_raced)),
    (&["unshare"], ("a_benchmark_measures_both", bench::a_benchmark_measures_both)),
    (&["unshare"], ("many_idle_connections_are_measured", bench::many_idle_connections_are_measured)),
    (&["unshare"], ("a_benchmark_leaves_nothing_behind", bench::a_benchmark_leaves_nothing_behind)),
    (&["unshare"], ("a_peer_of_a_benchmark_fails", bench::a_peer_of_a_benchmark_fails)),
    (&["unshare", "mount"], ("a_benchmark_wants_a_driver", bench::a_benchmark_wants_a_driver)),
    (
        &["unshare", "mount", "nsenter", steer::HOSTS_ROOT],
        ("flows_are_steered_where_that_is_asked_for", steer::flows_are_steered_where_that_is_asked_for),
    ),
    (
        &["unshare", "mount", "nsenter", "setpriv", steer::HOSTS_ROOT],
        ("a_device_that_stays_is_steered_for_its_user", steer::a_device_that_stays_is_steered_for_its_user),
    ),
    (
        &["unshare", "mount", "nsenter", steer::HOSTS_ROOT],
        ("nothing_of_another_namespace_is_steered", steer::nothing_of_another_namespace_is_steered),
    ),
    (
        &["unshare", "mount", "nsenter", steer::HOSTS_ROOT],
        ("a_benchmark_steers_its_device", steer::a_benchmark_steers_its_device),
    ),
    (
        &["unshare", "mount", "nsenter", "setpriv", steer::HOSTS_ROOT],
        ("a_device_that_stays_has_gro_for_its_user", gro::a_device_that_stays_has_gro_for_its_user),
    ),
    (
        &["unshare", "mount", "nsenter", steer::HOSTS_ROOT],
        ("nothing_of_another_namespace_is_changed", gro::nothing_of_another_namespace_is_changed),
    ),
    (
        &["unshare", "mount", "nsenter", steer::HOSTS_ROOT],
        ("a_benchmark_has_gro_on_its_device", gro::a_benchmark_has_gro_on_its_device),
    ),
    (&[], ("help_and_version", services::help_and_version)),
    (&[], ("a_closed_pipe_is_no_panic", services::a_closed_pipe_is_no_panic)),
    (&[], ("bad_input_is_told_in_one_line", bad_input::bad_input_is_told_in_one_line)),
    (&["setpriv"], ("missing_rights_are_told", bad_input::missing_rights_are_told)),
    (&[], ("what_is_in_use_is_told", bad_input::what_is_in_use_is_told)),
    (&[], ("a_full_disk_is_told_at_the_end", bad_input::a_full_disk_is_told_at_the_end)),
    (&[], ("a_device_that_vanishes_is_told", bad_input::a_device_that_vanishes_is_told)),
];

fn main() -> ExitCode {
    let mut tests = Vec::new();
    for (tools, test) in TESTS {
        match tools.iter().find(|tool| !is_there(tool)) {
            Some(tool) => eprintln!("skipped, for want of {tool}: {}", test.0),
            None => tests.push(*test),
        }
    }
    namespace::main_waiting(&tests)
}

fn is_there(tool: &str) -> bool {
    if tool == steer::HOSTS_ROOT {
        return steer::is_hosts_root();
    }
    let find = ["-c", "command -v \"$0\"", tool];
    let found = Command::new("sh").args(find).stdout(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}
