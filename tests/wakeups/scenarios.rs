//! Threads and tasks that wait for a socket while others change it.

use std::io;
use std::sync::Arc;
use std::task::{Context, Waker};

use shuttle::thread::{JoinHandle, spawn};
use tunstack_core::addr::{Address, Endpoint, Family};
use tunstack_core::error::Error;
use tunstack_core::stack::{Readiness, Stack};
use tunstack_core::time::Instant;

use crate::engine::Failure;
use crate::engine::clock::LOOK;
use crate::engine::sync::Mutex;
use crate::engine::wait::{wait_for, wait_until};
use crate::engine::waiters::{Interest, Observer, Place};
use crate::world::{Task, World, block_on, take};

const EBADF: Option<i32> = Some(9);
pub(crate) const ESHUTDOWN: Option<i32> = Some(108);

pub(crate) fn join<T>(thread: JoinHandle<T>) -> T {
    thread.join().expect("a panic has ended the schedule before")
}

impl World {
    pub(crate) fn with<T: Send + 'static>(
        &self,
        act: impl FnOnce(Self) -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let world = self.clone();
        spawn(move || act(world))
    }

    /// Some looks at the clock from now.
    pub(crate) fn soon(&self) -> Option<Instant> {
        self.shard.clock.deadline(Some(LOOK * 6))
    }
}

/// Two readers and one writer: each gets a datagram, whoever is woken first.
pub fn two_readers_and_a_writer() {
    let world = World::new();
    let readers = [0, 1].map(|_| world.with(|world| world.receive(None).expect("nothing breaks")));
    world.send(1);
    world.send(2);
    let mut got = readers.map(join);
    got.sort_unstable();
    assert_eq!(got, [1, 2]);
}

/// A thread and two tasks, one with a place and one without, and a writer each for two of them.
pub fn a_thread_two_tasks_and_two_writers() {
    let world = World::new();
    let thread = world.with(|world| world.receive(None));
    let place = world.with(|world| {
        let place = Place::default();
        let got = block_on(&Task::new(), |cx| world.poll_receive(Some(&place), cx));
        assert!(place.is_free(), "who is done waits no more");
        got
    });
    let keyless = world.with(|world| block_on(&Task::new(), |cx| world.poll_receive(None, cx)));
    let writer = world.with(|world| world.send(1));
    world.send(2);
    world.send(3);
    join(writer);
    let mut got = [thread, place, keyless].map(|reader| join(reader).expect("nothing breaks"));
    got.sort_unstable();
    assert_eq!(got, [1, 2, 3]);
}

/// A reader whose time is over while it is being woken takes nobody's datagram with it.
pub fn a_reader_times_out_while_it_is_woken() {
    let world = World::new();
    let patient = world.with(|world| world.receive(None));
    let hurried = world.with(|world| world.receive(world.soon()));
    world.send(1);
    match join(hurried) {
        Ok(_) => world.send(2),
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
    }
    join(patient).expect("a datagram is left for it");
}

/// A socket is closed while threads and a task wait for it: all hear that it is gone.
pub fn close_while_others_wait() {
    let world = World::new();
    let waits = world.with(|world| world.receive(None));
    let hurried = world.with(|world| world.receive(world.soon()));
    let polls = world.with(|world| {
        let task = Task::new();
        (block_on(&task, |cx| world.poll_receive(None, cx)), task)
    });
    world.shard.close(world.id);
    assert_eq!(join(waits).expect_err("it is gone").raw_os_error(), EBADF);
    let (polled, task) = join(polls);
    assert_eq!(polled.expect_err("it is gone").raw_os_error(), EBADF);
    let error = join(hurried).expect_err("it is gone");
    assert!(error.raw_os_error() == EBADF || error.kind() == io::ErrorKind::WouldBlock, "{error}");
    assert_eq!(Arc::strong_count(&task), 1, "nothing is left of who waited");
}

/// The engine ends while others wait, for a socket and for anything.
pub fn the_engine_ends_while_others_wait() {
    let world = World::new();
    let waits = world.with(|world| world.receive(None));
    let polls = world.with(|world| block_on(&Task::new(), |cx| world.poll_receive(None, cx)));
    let anything = world.with(|world| wait_for(&world.shard, None, |_| false));
    world.shard.fail(Failure::Stopped);
    for error in [join(waits), join(polls)].map(|ended| ended.expect_err("it has ended")) {
        assert_eq!(error.raw_os_error(), ESHUTDOWN);
    }
    assert!(join(anything));
}

/// A task that is woken and dropped at once leaves the datagram to the next, and nothing of itself.
pub fn a_task_is_dropped_while_it_is_woken() {
    let world = World::new();
    let patient = world.with(|world| world.receive(None));
    let dropped = world.with(|world| {
        let (task, place) = (Task::new(), Place::default());
        let waker = Waker::from(Arc::clone(&task));
        let got = world.poll_receive(Some(&place), &mut Context::from_waker(&waker));
        world.leave(&place);
        assert!(place.is_free());
        (task, got.is_ready())
    });
    world.send(1);
    let (task, had_it) = join(dropped);
    if had_it {
        world.send(2);
    }
    join(patient).expect("a datagram is left for it");
    assert_eq!(Arc::strong_count(&task), 1, "nothing is left of who waited");
}

/// A task that moves to another thread and polls there is woken there.
pub fn a_task_moves_while_it_is_woken() {
    let world = World::new();
    let place = Arc::new(Place::default());
    let first = world.with({
        let place = Arc::clone(&place);
        move |world| {
            let waker = Waker::from(Task::new());
            world.poll_receive(Some(&place), &mut Context::from_waker(&waker)).is_ready()
        }
    });
    let writer = world.with(|world| world.send(1));
    if !join(first) {
        let got = block_on(&Task::new(), |cx| world.poll_receive(Some(&place), cx));
        assert_eq!(got.expect("nothing breaks"), 1);
    }
    join(writer);
}

/// How a socket stands, as an observer was told.
struct Seen(Mutex<Vec<(Readiness, Readiness)>>);

impl Observer for Seen {
    fn changed(&self, readiness: Readiness, edges: Readiness) -> Option<usize> {
        self.0.lock().expect("no thread panics with it").push((readiness, edges));
        None
    }
}

impl Seen {
    fn last(&self) -> (Readiness, Readiness) {
        *self.0.lock().expect("no thread panics with it").last().expect("it is told when it is entered")
    }
}

/// An observer that is entered while something changes knows how the socket stands, and one that was taken back is
/// told no more.
pub fn an_observer_comes_and_goes_while_something_changes() {
    let world = World::new();
    let seen = Arc::new(Seen(Mutex::new(Vec::new())));
    let entering = world.with({
        let seen = Arc::clone(&seen);
        move |world| {
            let mut held = world.shard.lock();
            let key = held.waiters.key();
            let readiness = held.stack.readiness(world.id);
            seen.changed(readiness, readiness);
            held.waiters.observe(world.id, key, seen);
            held.release();
            key
        }
    });
    let writer = world.with(|world| world.send(1));
    let key = join(entering);
    join(writer);
    let (level, edges) = seen.last();
    assert_eq!(level, world.readiness());
    assert!(edges.contains(Readiness::READABLE));

    let leaving = world.with({
        let seen = Arc::clone(&seen);
        move |world| {
            let mut held = world.shard.lock();
            held.waiters.unobserve(world.id, key);
            held.release();
            assert_eq!(Arc::strong_count(&seen), 2, "the table let go of it");
            seen.0.lock().expect("no thread panics with it").clear();
        }
    });
    world.receive(None).expect("the datagram is there");
    join(leaving);
    let told = seen.0.lock().expect("no thread panics with it").len();
    assert_eq!(told, 0, "it is told no more");
}

/// An operation that wants three datagrams at once is done although each that comes is less than that.
pub fn an_operation_wants_more_than_one_change_brings() {
    let world = World::new();
    let all = world.with(|world| {
        let mut got = Vec::new();
        let done = wait_until(&world.shard, world.id, Interest::Readable, None, |stack, _| {
            while let Ok(octet) = take(stack, world.id) {
                got.push(octet);
            }
            if got.len() == 3 { Ok(()) } else { Err(Error::WouldBlock) }
        });
        done.map(|()| got).expect("nothing breaks")
    });
    let writer = world.with(|world| world.send(1));
    world.send(2);
    world.send(3);
    join(writer);
    let mut got = join(all);
    got.sort_unstable();
    assert_eq!(got, [1, 2, 3]);
}

/// An operation that would block on a socket that counts as ready: what ends the wait is no event of that socket, but
/// is brought about by driving the stack. Here: that a datagram it sent has come to the neighbour.
pub fn an_operation_wants_more_than_readiness_says() {
    let world = World::new();
    let neighbour = neighbour(&world);
    let arrives = arrival(&world, neighbour);
    let other = world.with(|world| world.send(1));
    wait_until(&world.shard, world.id, Interest::Writable, None, arrives).expect("nothing breaks");
    join(other);
}

/// Another socket of the host.
pub(crate) fn neighbour(world: &World) -> Endpoint {
    let at = Endpoint::new(Address::from_v4_octets([10, 7, 0, 1]), 8);
    let made = world.shard.call(|stack, _| {
        let id = stack.udp_socket(Family::V4);
        stack.bind(id, at)
    });
    made.expect("the port is free");
    at
}

/// Sends a datagram there, once, and would block until it has left the queue of packets.
pub(crate) fn arrival(
    world: &World,
    to: Endpoint,
) -> impl FnMut(&mut Stack, Instant) -> Result<(), Error> + use<> {
    let id = world.id;
    let mut expected = None;
    move |stack, now| {
        let arrived = stack.counters().udp_in_datagrams;
        match expected {
            None => {
                stack.try_send_to(id, &[0; 100], Some(to), now)?;
                // Whatever else is under way has left before.
                expected = Some(arrived + 1);
                Err(Error::WouldBlock)
            }
            Some(expected) if arrived < expected => Err(Error::WouldBlock),
            Some(_) => Ok(()),
        }
    }
}

/// Tasks without a place wait side by side, and one that is dropped while it is woken costs nobody anything.
pub fn keyless_tasks_wait_side_by_side() {
    let world = World::new();
    let readers =
        [0, 1].map(|_| world.with(|world| block_on(&Task::new(), |cx| world.poll_receive(None, cx))));
    let dropped = world.with(|world| {
        let waker = Waker::from(Task::new());
        world.poll_receive(None, &mut Context::from_waker(&waker)).is_ready()
    });
    world.send(1);
    world.send(2);
    if join(dropped) {
        world.send(3);
    }
    for reader in readers {
        join(reader).expect("a datagram is left for it");
    }
}
