//! Waiting by the kernel's own calls: `poll`, `select`, `epoll`, and event loops that know nothing of us.
//!
//! Each test is a process of its own, and runs on its first thread: descriptors are counted, limits lowered and
//! signals sent without another test seeing it.

#[path = "../common/alone.rs"]
mod alone;
mod descriptors;
mod epoll;
mod loops;
mod mixed;
mod net;
mod renewed;
mod signals;

fn main() -> std::process::ExitCode {
    alone::main(&[
        ("descriptors_are_given_back", descriptors::are_given_back),
        ("numbers_are_the_lowest_free", descriptors::are_the_lowest_free),
        ("a_process_out_of_descriptors_hears_of_it_in_time", descriptors::run_out),
        ("select_reaches_a_thousand_sockets", descriptors::a_thousand_for_select),
        ("poll_over_all_sorts", mixed::poll),
        ("select_over_all_sorts", mixed::select),
        ("select_says_what_is_wrong", mixed::select_errors),
        ("epoll_over_all_sorts", mixed::epoll),
        ("who_waits_is_woken", mixed::woken),
        ("level_and_edge", epoll::level_and_edge),
        ("one_shot", epoll::one_shot),
        ("exclusive", epoll::exclusive),
        ("nested", epoll::nested),
        ("half_close_and_urgent_data", epoll::half_close_and_urgent),
        ("epoll_says_what_is_wrong", epoll::errors),
        ("epoll_forgets_what_is_closed", epoll::closed),
        ("a_renewed_descriptor_is_watched_on", renewed::watched_on),
        ("tokio_watches_a_renewed_descriptor_on", renewed::by_tokio),
        ("a_signal_interrupts", signals::interrupt),
        ("tokio_echoes_through_async_fd", loops::tokio),
        ("an_epoll_loop_echoes", loops::kernel_epoll),
    ])
}
