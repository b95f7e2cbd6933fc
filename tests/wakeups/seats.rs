//! Threads that read the device for themselves and for others, and the reader beside them.

use std::io;
use std::sync::Arc;
use std::task::{Context, Waker};

use shuttle::thread::spawn;

use crate::engine::Failure;
use crate::engine::sleep::{Fault, break_it};
use crate::engine::sync::{Condvar, Mutex};
use crate::scenarios::{ESHUTDOWN, join};
use crate::world::{Task, World, block_on};

/// Does something while the reader runs, and ends it: that ends, too.
fn with_reader(world: &World, act: impl FnOnce()) {
    let reader = world.read();
    act();
    world.shard.stop();
    join(reader);
}

/// Two threads wait and two packets come: whoever sits has the other woken, and whoever leaves is followed.
pub fn two_callers_and_two_packets() {
    let world = World::new();
    with_reader(&world, || {
        let readers = [0, 1].map(|_| world.with(|world| world.receive(None).expect("nothing breaks")));
        world.arrive(1);
        world.arrive(2);
        let mut got = readers.map(join);
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
    });
}

/// One that sits is woken by what another thread does.
pub fn woken_by_another_thread_while_it_sits() {
    let world = World::new();
    with_reader(&world, || {
        let waits = world.with(|world| world.receive(None).expect("nothing breaks"));
        world.send(1);
        assert_eq!(join(waits), 1);
    });
}

/// One that sits gives up when its time is over, and another who waits does not notice.
pub fn the_one_who_sits_times_out() {
    let world = World::new();
    with_reader(&world, || {
        let hurried = world.with(|world| world.receive(world.soon()));
        let patient = world.with(|world| world.receive(None));
        world.arrive(1);
        match join(hurried) {
            Ok(_) => world.arrive(2),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
        join(patient).expect("a datagram is left for it");
    });
}

/// One that had its packet works on and does not come back; another, and a task, wait for theirs.
pub fn the_one_who_sat_does_not_come_back() {
    let world = World::new();
    with_reader(&world, || {
        let threads = [0, 1].map(|_| world.with(|world| world.receive(None)));
        let task = world.with(|world| block_on(&Task::new(), |cx| world.poll_receive(None, cx)));
        world.arrive(1);
        world.arrive(2);
        world.arrive(3);
        threads.map(join).into_iter().for_each(|got| _ = got.expect("nothing breaks"));
        join(task).expect("nothing breaks");
    });
}

/// Callers that come back soon are relied on: no packet is lost between them.
pub fn callers_come_back_soon() {
    let world = World::new();
    with_reader(&world, || {
        let reader = world.with(|world| {
            for _ in 0..6 {
                world.receive(None).expect("nothing breaks");
            }
        });
        let other = world.with(|world| world.receive(None).expect("nothing breaks"));
        (0..7).for_each(|n| world.arrive(n));
        join(reader);
        join(other);
    });
}

/// The engine ends while one sits and others wait.
pub fn the_engine_ends_while_one_sits() {
    let world = World::new();
    let reader = world.read();
    let waits = [0, 1].map(|_| world.with(|world| world.receive(None)));
    world.shard.stop();
    join(reader);
    for ended in waits.map(join) {
        assert_eq!(ended.expect_err("it has ended").raw_os_error(), ESHUTDOWN);
    }
}

/// The device fails under the one who sits, be that the reader: all hear of it, and the reader ends.
pub fn the_device_fails_under_the_one_who_sits() {
    let world = World::new();
    let reader = world.read();
    let waits = [0, 1].map(|_| world.with(|world| world.receive(None)));
    world.shard.nudge.cut();
    for ended in waits.map(join) {
        assert_eq!(ended.expect_err("it is cut").kind(), io::ErrorKind::NetworkDown);
    }
    join(reader);
}

/// The engine fails by another's doing while one sits.
pub fn another_fails_the_engine_while_one_sits() {
    let world = World::new();
    let reader = world.read();
    let waits = world.with(|world| world.receive(None));
    let fails = world.with(|world| world.shard.fail(Failure::Poisoned));
    assert!(join(waits).is_err());
    join(fails);
    // It has its next turn, or it stands by and is called.
    world.arrive(1);
    join(reader);
}

/// A waker that waits itself: where the one who sits runs it, the seat is free for it.
pub fn a_waker_that_waits_is_woken() {
    let world = World::new();
    with_reader(&world, || {
        let through = Arc::new((Mutex::new(false), Condvar::new()));
        let (inner, tells) = (world.clone(), Arc::clone(&through));
        let waits = Waker::from(Arc::new(Does(move || {
            let (inner, tells) = (inner.clone(), Arc::clone(&tells));
            let on_reader = inner.shard.on_reader();
            let receive = move || {
                inner.receive(None).expect("nothing breaks");
                *tells.0.lock().expect("no thread panics with it") = true;
                tells.1.notify_all();
            };
            // The reader must not wait for itself.
            if on_reader { drop(spawn(receive)) } else { receive() }
        })));
        let entered = world.poll_receive(None, &mut Context::from_waker(&waits)).is_pending();
        assert!(entered, "nothing has come");
        drop(waits);
        let thread = world.with(|world| world.receive(None).expect("nothing breaks"));
        world.arrive(1);
        world.arrive(2);
        join(thread);
        let mut is_through = through.0.lock().expect("no thread panics with it");
        while !*is_through {
            is_through = through.1.wait(is_through).expect("no thread panics with it");
        }
    });
}

/// A waker that does this.
pub(crate) struct Does<F>(pub(crate) F);

impl<F: Fn() + Send + Sync + 'static> std::task::Wake for Does<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

/// Left without an alarm the device goes unread.
pub fn broken_no_alarm() {
    let world = World::new();
    break_it(Fault::NoAlarm);
    let reader = world.read();
    let worker = spawn({
        let world = world.clone();
        move || {
            for _ in 0..8 {
                world.receive(None).expect("nothing breaks");
            }
        }
    });
    (0..8).for_each(|n| world.arrive(n));
    join(worker);
    // Nobody calls any more, and a task is not heard.
    let task = world.with(|world| block_on(&Task::new(), |cx| world.poll_receive(None, cx)));
    world.arrive(9);
    join(task).expect("nothing breaks");
    world.shard.stop();
    join(reader);
}

/// The same in order.
pub fn nobody_comes_back() {
    let world = World::new();
    with_reader(&world, || {
        let worker = world.with(|world| {
            for _ in 0..8 {
                world.receive(None).expect("nothing breaks");
            }
        });
        (0..8).for_each(|n| world.arrive(n));
        join(worker);
        let task = world.with(|world| block_on(&Task::new(), |cx| world.poll_receive(None, cx)));
        world.arrive(9);
        join(task).expect("nothing breaks");
    });
}

/// One that sits does not hear what other threads do.
pub fn broken_no_nudge() {
    let world = World::new();
    break_it(Fault::NoNudge);
    let reader = world.read();
    let waits = world.with(|world| world.receive(None).expect("nothing breaks"));
    world.arrive(1);
    join(waits);
    let waits = world.with(|world| world.receive(None).expect("nothing breaks"));
    world.send(1);
    join(waits);
    world.shard.stop();
    world.arrive(1);
    join(reader);
}
