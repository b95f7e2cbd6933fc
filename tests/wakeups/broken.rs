//! The protocol with one thing done wrong in each copy. A hunt that does not find these finds nothing.

use std::io;
use std::sync::Arc;
use std::task::Waker;

use shuttle::thread::spawn;
use tunstack_core::error::Error;
use tunstack_core::stack::Stack;
use tunstack_core::time::Instant;

use crate::engine::waiters::{Interest, Parker, Place};
use crate::scenarios::{arrival, neighbour};
use crate::world::{World, take};

/// What is left out of a wait.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// The waiter is entered in a second hold of the lock, after the look that found nothing.
    Late,
    /// There is no second look after driving.
    NoSecondLook,
    /// There is none.
    None,
}

/// `engine::wait::wait_until` in short, with a fault.
fn wait_wrongly<T>(
    world: &World,
    interest: Interest,
    fault: Fault,
    mut op: impl FnMut(&mut Stack, Instant) -> Result<T, Error>,
) -> io::Result<T> {
    let (shard, id) = (&world.shard, world.id);
    let parker = Parker::current();
    let (waker, place) = (Waker::from(Arc::clone(&parker)), Place::default());
    loop {
        let mut held = shard.lock_working()?;
        let now = shard.clock.now();
        let mut result = op(&mut held.stack, now);
        if matches!(result, Err(Error::WouldBlock)) {
            if fault == Fault::Late {
                shard.finish(held, now);
                held = shard.lock_working()?;
            }
            held.waiters.enter(id, interest.mask(), &place, &waker);
            shard.drive(&mut held, now);
            let ready = held.stack.readiness(id).intersects(interest.mask());
            if fault == Fault::None && ready {
                result = op(&mut held.stack, now);
            }
        }
        let done = match result {
            Err(Error::WouldBlock) => None,
            Err(error) => Some(Err(held.error(error))),
            Ok(value) => Some(Ok(value)),
        };
        if done.is_some() {
            held.waiters.leave(id, &place);
        }
        shard.finish(held, now);
        match done {
            Some(done) => return done,
            None => assert!(parker.wait(&shard.clock, None)),
        }
    }
}

fn a_datagram_comes(fault: Fault) {
    let world = World::new();
    let reader = spawn({
        let world = world.clone();
        move || wait_wrongly(&world, Interest::Readable, fault, |stack, _| take(stack, world.id))
    });
    world.send(1);
    let got = reader.join().expect("a panic has ended the schedule before");
    assert_eq!(got.expect("nothing breaks"), 1);
}

fn a_datagram_leaves(fault: Fault) {
    let world = World::new();
    let arrives = arrival(&world, neighbour(&world));
    wait_wrongly(&world, Interest::Writable, fault, arrives).expect("nothing breaks");
}

/// A datagram that comes between the look and the entry wakes nobody.
pub fn entered_after_the_unlock() {
    a_datagram_comes(Fault::Late);
}

/// What driving brings about, and no event tells of, is not seen.
pub fn no_second_look() {
    a_datagram_leaves(Fault::NoSecondLook);
}

/// The copy itself is in order.
pub fn nothing() {
    a_datagram_comes(Fault::None);
    a_datagram_leaves(Fault::None);
}
