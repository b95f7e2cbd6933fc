//! Each scenario under some thousand schedules; see the library beside this.

use tunstack_wakeups::{alarms, before, broken, hunt, ready, scenarios, seats, shards};

macro_rules! hunts {
    ($($module:ident: $($name:ident),+;)+) => {$($(
        #[test]
        fn $name() {
            hunt($module::$name);
        }
    )+)+};
}

hunts! {
    scenarios:
        two_readers_and_a_writer,
        a_thread_two_tasks_and_two_writers,
        a_reader_times_out_while_it_is_woken,
        close_while_others_wait,
        the_engine_ends_while_others_wait,
        a_task_is_dropped_while_it_is_woken,
        a_task_moves_while_it_is_woken,
        keyless_tasks_wait_side_by_side,
        an_observer_comes_and_goes_while_something_changes,
        an_operation_wants_more_than_one_change_brings,
        an_operation_wants_more_than_readiness_says;
    seats:
        two_callers_and_two_packets,
        woken_by_another_thread_while_it_sits,
        the_one_who_sits_times_out,
        the_one_who_sat_does_not_come_back,
        callers_come_back_soon,
        the_engine_ends_while_one_sits,
        the_device_fails_under_the_one_who_sits,
        another_fails_the_engine_while_one_sits,
        a_waker_that_waits_is_woken,
        nobody_comes_back;
    alarms:
        brought_forward,
        put_off_and_brought_forward,
        brought_forward_after_a_rest,
        brought_forward_for_who_looks_again,
        called;
    shards:
        packets_for_the_other_at_both,
        a_packet_for_a_task_of_the_other,
        a_waker_of_the_other_waits_for_what_comes_here,
        a_connection_of_the_other_to_accept;
    before:
        comes_between_look_and_sleep;
    ready:
        changes_while_one_polls,
        modified_while_one_polls,
        removed_while_one_polls,
        a_waker_is_dropped_after_the_wake;
}

#[test]
fn the_broken_copy_without_a_fault_is_in_order() {
    hunt(broken::nothing);
}

#[test]
fn the_careless_neighbour_without_a_fault_is_in_order() {
    hunt(shards::nothing);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_packet_at_anothers_queue_that_wakes_nobody_is_found() {
    hunt(shards::broken_wake);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_task_of_another_shard_that_is_left_to_nobody_is_found() {
    hunt(shards::broken_ring);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_waker_of_another_shard_that_runs_here_is_found() {
    hunt(shards::broken_place);
}

#[test]
#[should_panic(expected = "deadlock")]
fn entering_after_the_unlock_is_found() {
    hunt(broken::entered_after_the_unlock);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_missing_second_look_is_found() {
    hunt(broken::no_second_look);
}

#[test]
#[should_panic(expected = "deadlock")]
fn sleeping_without_asking_is_found() {
    hunt(ready::broken_sleep);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_poller_that_sits_and_is_not_roused_is_found() {
    hunt(before::broken_no_rousing);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_seat_left_without_an_alarm_is_found() {
    hunt(seats::broken_no_alarm);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_sleeper_who_is_not_nudged_is_found() {
    hunt(seats::broken_no_nudge);
}
