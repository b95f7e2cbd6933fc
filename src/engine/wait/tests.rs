//! Waits that meet: one inside another, and one that ends for the others.

use std::net::{IpAddr, Ipv4Addr};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;
use std::time::Duration;

use tunstack_core::addr::{Endpoint, Family, Prefix};
use tunstack_core::config::Config;

use super::*;
use crate::device::pipe::Pipe;
use crate::engine::clock::Clock;

/// A stack without a reader.
fn shard() -> Arc<Shard> {
    let address = Prefix::new(IpAddr::V4(Ipv4Addr::new(10, 7, 0, 1)).into(), 24);
    let config = Config { addresses: vec![address], ..Config::default() };
    let (device, _) = Pipe::pair(1500).unwrap();
    Arc::new(
        Shard::new(Stack::new(config, [1; 32]), Box::new(device), Clock::start(), Duration::ZERO).unwrap(),
    )
}

/// A waker that does this.
struct Does<F>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for Does<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

fn waker(does: impl Fn() + Send + Sync + 'static) -> Waker {
    Waker::from(Arc::new(Does(does)))
}

fn receive(stack: &mut Stack, id: SocketId) -> Result<(), Error> {
    stack.try_receive_from(id, &mut [0], false).map(drop)
}

#[test]
fn a_waker_that_waits_takes_no_wake_up_from_the_wait_around_it() {
    let shard = shard();
    let own = Endpoint::new(IpAddr::V4(Ipv4Addr::new(10, 7, 0, 1)).into(), 7);
    let open = |stack: &mut Stack, _| Ok(stack.udp_socket(Family::V4));
    let (id, other) = (shard.open(open).unwrap(), shard.open(open).unwrap());
    shard.call(|stack, _| stack.bind(id, own)).unwrap();
    let inner = Arc::clone(&shard);
    let waits = waker(move || {
        // What the wait around this one is for, and then a wait in vain.
        inner.call(|stack, now| stack.try_send_to(other, b"x", Some(own), now)).unwrap();
        let deadline = Some(inner.clock.now());
        let waited =
            wait_until(&inner, other, Interest::Readable, deadline, |stack, _| receive(stack, other));
        assert_eq!(waited.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    });
    let mut held = shard.lock();
    let key = held.waiters.key();
    held.waiters.register_anything(key, &waits);
    held.release();
    let deadline = shard.clock.deadline(Some(Duration::from_secs(5)));
    let waited = wait_until(&shard, id, Interest::Readable, deadline, |stack, _| receive(stack, id));
    waited.unwrap();
}

/// Whoever finds the lock poisoned when its time is over wakes the others, as anyone does.
#[test]
fn the_end_of_a_wait_wakes_whom_it_concerns() {
    let shard = shard();
    let (woken, poisoned) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&shard));
    let poisons = waker(move || {
        let panics = catch_unwind(AssertUnwindSafe(|| {
            let _held = poisoned.lock();
            resume_unwind(Box::new(()));
        }));
        assert!(panics.is_err());
    });
    let waits = waker({
        let woken = Arc::clone(&woken);
        move || _ = woken.fetch_add(1, Ordering::Relaxed)
    });
    let ended = wait_for(&shard, Some(Instant::ZERO), |held| {
        for (waker, notified) in [(&poisons, true), (&waits, false)] {
            let key = held.waiters.key();
            held.waiters.register_anything(key, waker);
            if notified {
                held.waiters.notify_anything();
            }
        }
        false
    });
    assert_eq!((ended, woken.load(Ordering::Relaxed)), (false, 1));
}
