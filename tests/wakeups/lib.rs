//! The hunt for lost wake-ups.
//!
//! The engine's lock, the seat before its device and the reader, the table of waiters, the waits of threads and tasks
//! and the ready list of `poll` are compiled here from their own source files, with shuttle's locks, atomics and threads
//! in place of the standard library's. Shuttle runs a scenario again and again, chooses at each of their uses which
//! thread goes on, and finds that all sleep who should have been woken. The stack is the real one; the world it lives in
//! is one host that talks to itself, so that a datagram sent is one to be read, and has a wire for those that come by
//! the device.
//!
//! A scenario asks what must hold whatever the schedule. That the hunt would find something is shown by doing it to
//! [`broken`] copies of the protocol. Whoever changes the protocol can break the original and see. Each of these turns
//! scenarios red:
//!
//! | Broken | Red |
//! |---|---|
//! | `wait.rs`: the waiter is entered in a later hold of the lock than the look | nine |
//! | `wait.rs`: no second look after driving | `an_operation_wants_more_than_readiness_says` |
//! | `waiters`: a change wakes the first of those whom it concerns | `a_reader_times_out_while_it_is_woken` and others |
//! | `waiters`: a close wakes nobody | `close_while_others_wait` |
//! | `waiters`: whoever leaves stays in the table | `a_task_is_dropped_while_it_is_woken` |
//! | `waiters`: a thread is unparked before it is marked as woken | ten |
//! | `shard.rs`: a packet from another queue wakes tasks where it was found | `a_waker_of_the_other_waits_for_what_comes_here` |
//! | `shard.rs`: a task that such a packet is for is left to nobody | `a_packet_for_a_task_of_the_other` |
//! | `shard.rs`: what is not carried at once is left to nobody | `a_connection_of_the_other_to_accept` |
//! | `poll/ready.rs`: the poller sleeps though the list is not empty | `changes_while_one_polls` and others |
//! | `watch.rs`: who expects the reader sooner does not set the alarm anew | `alarms::brought_forward` and others |
//! | `watch.rs`: the reader that has set its alarm does not look again whether that is the last word | `alarms::put_off_and_brought_forward` and others |
//! | `watch.rs`: who has set the alarm does not look again whether the reader has meanwhile | `alarms::brought_forward_after_a_rest` |
//! | `sitting.rs`: a look before sleep takes a nudge and forgets it | seven |
//! | `idling.rs`: a call sleeps though it was woken since its look | four |
//! | `idling.rs`: a poller sleeps without what it is roused by | `before::comes_between_look_and_sleep` |
//!
//! Time goes on by being looked at, and a time that is near is over whenever somebody asks: a sleep that has one ends at
//! once, and an alarm rings. One that is far off does not come in a schedule, so that a sleep or an alarm that was set to it
//! by mistake is found. What is late by less is not: that an alarm rings when it is to, and a sleep ends when its timer is due,
//! is for the unit tests of `watch.rs` and `sitting.rs`.

use shuttle::Runner;
use shuttle::scheduler::{PctScheduler, RandomScheduler};

/// As the engine's modules see the crate they stand in.
mod device {
    pub(crate) use tunstack::device::{Device, Frames};
}

mod engine;

mod poll;

mod port;

mod world;

pub mod broken;

pub mod scenarios;

pub mod seats;

pub mod shards;

pub use engine::alarms;
pub use poll::before;
pub use poll::scenarios as ready;

/// Runs a scenario under some thousand schedules: ones that switch threads at random, and ones with few switches in
/// the worst places. A failure prints the schedule.
pub fn hunt(scenario: fn()) {
    let mut config = shuttle::Config::new();
    // The stack's calls are deeper than shuttle thinks of.
    config.stack_size = 512 << 10;
    Runner::new(RandomScheduler::new(2000), config.clone()).run(scenario);
    Runner::new(PctScheduler::new(3, 1000), config).run(scenario);
}
