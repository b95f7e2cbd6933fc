//! A shard without its reader: what a program's thread does alone.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use tunstack_core::addr::{Endpoint, Family, Prefix};
use tunstack_core::config::Config;
use tunstack_core::packet::{Datagram, Inbound, Received};
use tunstack_core::stack::Readiness;

use super::*;
use crate::device::{Capabilities, Frames};
use crate::engine::sitting::{Seated, Turn};
use crate::engine::waiters::Observer;

/// Takes the first `room` packets, refuses the rest, gives none.
#[derive(Clone)]
struct Sink {
    sent: Arc<AtomicUsize>,
    room: usize,
    fd: Arc<OwnedFd>,
    /// When it was last called.
    last: Arc<Mutex<Instant>>,
}

impl Sink {
    fn called(&self, now: Instant) {
        let last = std::mem::replace(&mut *self.last.lock().unwrap(), now);
        assert!(now >= last, "time went back from {last:?} to {now:?}");
    }
}

impl Device for Sink {
    fn recv(&self, _: Instant, _: &mut Frames) -> io::Result<usize> {
        Ok(0)
    }

    fn send(&self, now: Instant, _: &Datagram<'_>) -> io::Result<()> {
        self.called(now);
        if self.sent.load(Ordering::Relaxed) == self.room {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.sent.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn settled(&self, now: Instant, _: &Inbound<'_>, _: &Received) {
        self.called(now);
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { mtu: 1500, checksum_offload: false, max_gso: 0 }
    }

    fn readable(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn shard(room: usize) -> (Shard, Sink) {
    let address = Prefix::new(IpAddr::V4(Ipv4Addr::new(10, 7, 0, 1)).into(), 24);
    let config = Config { addresses: vec![address], ..Config::default() };
    let fd = Arc::new(eventfd(0, EventfdFlags::empty()).unwrap());
    let sink = Sink { sent: Arc::default(), room, fd, last: Arc::new(Mutex::new(Instant::ZERO)) };
    let stack = Stack::new(config, [1; 32]);
    (Shard::new(stack, Box::new(sink.clone()), Clock::start(), Duration::ZERO).unwrap(), sink)
}

fn peer() -> Endpoint {
    Endpoint::new(IpAddr::V4(Ipv4Addr::new(10, 7, 0, 2)).into(), 7)
}

/// Sends `count` datagrams in one hold of the lock.
fn send(shard: &Shard, count: usize) {
    let sent = shard.call(|stack, now| {
        let id = stack.udp_socket(Family::V4);
        (0..count).try_for_each(|_| stack.try_send_to(id, b"x", Some(peer()), now).map(drop))
    });
    sent.unwrap();
}

#[test]
fn a_program_sends_in_its_own_context() {
    let (shard, sink) = shard(usize::MAX);
    send(&shard, 3 * BURST + 1);
    assert_eq!(sink.sent.load(Ordering::Relaxed), 3 * BURST + 1);
    assert!(!shard.nudge.take(), "there is nothing for the reader to do");
}

#[test]
fn a_reader_at_the_door_takes_over_after_one_burst() {
    let (shard, sink) = shard(usize::MAX);
    shard.seated_waits.store(1, Ordering::Relaxed);
    send(&shard, BURST + 10);
    assert_eq!(sink.sent.load(Ordering::Relaxed), BURST);
    let mut seated = Seated::with(&shard, Frames::new(1, 1500));
    assert_eq!(seated.arrived(None), Turn::Stays);
    assert!(matches!(seated.next(), Next::Sleep(_)));
    assert_eq!(sink.sent.load(Ordering::Relaxed), BURST + 10);
}

#[test]
fn time_does_not_go_back_for_a_reader_that_had_to_wait() {
    let (shard, sink) = shard(usize::MAX);
    let mut frames = Frames::new(1, 1500);
    frames.fill(|_| io::Result::Ok(Some(1))).unwrap();
    thread::scope(|scope| {
        let mut held = shard.lock();
        scope.spawn(|| Seated::with(&shard, frames).arrived(None));
        while shard.seated_waits.load(Ordering::Acquire) == 0 {
            thread::yield_now();
        }
        let now = shard.clock.now();
        let id = held.stack.udp_socket(Family::V4);
        held.stack.try_send_to(id, b"x", Some(peer()), now).unwrap();
        shard.finish(held, now);
    });
    // The sink has looked at the times; it was called by both.
    assert_eq!(sink.sent.load(Ordering::Relaxed), 1);
    assert!(*sink.last.lock().unwrap() > Instant::ZERO);
}

#[test]
fn each_who_waits_as_seated_counts() {
    let (shard, _) = shard(0);
    let (took, taken) = std::sync::mpsc::channel();
    let (goes_on, may_go_on) = std::sync::mpsc::channel();
    let may_go_on = Mutex::new(may_go_on);
    let waiting = |number| {
        while shard.seated_waits.load(Ordering::Acquire) != number {
            thread::yield_now();
        }
    };
    thread::scope(|scope| {
        let held = shard.lock();
        for _ in 0..2 {
            let took = took.clone();
            scope.spawn(|| {
                let took = took;
                let held = shard.lock_seated();
                took.send(()).unwrap();
                may_go_on.lock().unwrap().recv().unwrap();
                held.release();
            });
        }
        waiting(2);
        held.release();
        taken.recv().unwrap();
        // One has it, the other is at the door still.
        assert_eq!(shard.seated_waits.load(Ordering::Acquire), 1);
        (0..2).for_each(|_| goes_on.send(()).unwrap());
    });
    assert_eq!(shard.seated_waits.load(Ordering::Acquire), 0);
}

#[test]
fn a_readers_hold_is_bounded_too() {
    let (shard, sink) = shard(usize::MAX);
    shard.seated_waits.store(1, Ordering::Relaxed);
    send(&shard, 2 * BURST + 1);
    let mut seated = Seated::with(&shard, Frames::new(1, 1500));
    seated.arrived(None);
    assert_eq!(seated.next(), Next::More);
    assert_eq!(sink.sent.load(Ordering::Relaxed), 2 * BURST);
    seated.arrived(None);
    assert!(matches!(seated.next(), Next::Sleep(_)));
}

/// Where nobody sits an alarm does instead, and wakes nobody before.
#[test]
fn without_one_who_sits_an_earlier_deadline_sets_the_alarm() {
    let (shard, _sink) = shard(usize::MAX);
    shard.open_seat();
    shard.watch.wait(&shard.clock).unwrap();
    shard.lock().seat.alarm = Instant::FAR_FUTURE;
    let begun = shard.open(|stack, now| {
        let id = stack.tcp_socket(Family::V4);
        assert_eq!(stack.connect(id, peer(), now), Err(Error::InProgress));
        Ok(())
    });
    begun.unwrap();
    assert!(!shard.nudge.take(), "nobody sleeps there");
    let held = shard.lock();
    assert_eq!(shard.watch.due(), held.stack.poll_timeout().unwrap());
    held.release();
}

/// Of large ones fewer are sent in a hold.
#[test]
fn a_hold_is_bounded_in_octets() {
    let (shard, sink) = shard(usize::MAX);
    shard.lock().stack.config_mut().mtu = u16::MAX;
    shard.seated_waits.store(1, Ordering::Relaxed);
    let sent = shard.call(|stack, now| {
        let id = stack.udp_socket(Family::V4);
        (0..24).try_for_each(|_| stack.try_send_to(id, &[0; 60_000], Some(peer()), now).map(drop))
    });
    sent.unwrap();
    assert_eq!(sink.sent.load(Ordering::Relaxed), BURST_OCTETS.div_ceil(60_028));
}

#[test]
fn only_an_earlier_deadline_nudges() {
    let (shard, _sink) = shard(usize::MAX);
    let connect = || {
        let begun = shard.call(|stack, now| {
            let id = stack.tcp_socket(Family::V4);
            match stack.connect(id, peer(), now) {
                Err(Error::InProgress) => Ok(()),
                other => other,
            }
        });
        begun.unwrap();
    };
    connect();
    assert!(shard.nudge.take(), "the retransmission of the SYN comes before never");
    connect();
    assert!(!shard.nudge.take(), "that of the second comes later than that of the first");
}

#[test]
fn what_the_device_refuses_is_counted() {
    let (shard, sink) = shard(2);
    send(&shard, 5);
    assert_eq!(sink.sent.load(Ordering::Relaxed), 2);
    assert_eq!(shard.lock().refused, 3);
}

#[test]
fn after_a_failure_calls_give_it_and_nothing_is_sent() {
    let (shard, sink) = shard(usize::MAX);
    shard.fail(Failure::device(&io::Error::from_raw_os_error(19)));
    shard.fail(Failure::Stopped);
    let error = shard.call(|stack, _| Ok(stack.udp_socket(Family::V4))).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(19), "the first cause is the one that counts");
    assert_eq!(Seated::with(&shard, Frames::new(1, 1500)).arrived(None), Turn::End);
    assert_eq!(sink.sent.load(Ordering::Relaxed), 0);
}

#[test]
fn nothing_is_opened_while_it_closes() {
    let (shard, _sink) = shard(usize::MAX);
    let id = shard.open(|stack, _| Ok(stack.udp_socket(Family::V4))).unwrap();
    shard.lock().closing = true;
    assert!(shard.open(|stack, _| Ok(stack.udp_socket(Family::V4))).is_err());
    shard.query(|stack| stack.options(id)).unwrap();
    shard.close(id);
    let error = shard.query(|stack| stack.options(id).map(drop)).unwrap_err();
    assert_eq!(error.raw_os_error(), Failure::Stopped.to_io().raw_os_error(), "not a bad descriptor");
}

/// A program's own panic drops its sockets, and is no affair of the engine's.
#[test]
fn a_panic_outside_calls_nobody() {
    struct Closes<'a>(&'a Shard, SocketId);
    impl Drop for Closes<'_> {
        fn drop(&mut self) {
            self.0.close(self.1);
        }
    }
    let (shard, _sink) = shard(usize::MAX);
    let id = shard.open(|stack, _| Ok(stack.udp_socket(Family::V4))).unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _closes = Closes(&shard, id);
        panic!("on purpose");
    }));
    assert!(panicked.is_err() && !shard.watch.is_called());
    assert_eq!(shard.lock().failure.as_ref().map(|_| ()), None);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        _ = shard.query(|_| -> Result<(), Error> { panic!("on purpose") });
    }));
    assert!(panicked.is_err() && shard.watch.is_called(), "the stack is not to be trusted");
}

/// Counts how often it is told.
#[derive(Default)]
struct Told(AtomicUsize);

impl Observer for Told {
    fn changed(&self, _: Readiness, _: Readiness) -> Option<usize> {
        self.0.fetch_add(1, Ordering::Relaxed);
        None
    }
}

/// Each later hold of the lock finds it poisoned, as when a program closes a million sockets: what tells all who wait is done
/// once, and again for who comes after it.
#[test]
fn a_panic_is_told_once() {
    let (shard, _) = shard(0);
    let id = shard.call(|stack, _| Ok(stack.udp_socket(Family::V4))).unwrap();
    let watch = || {
        let told = Arc::new(Told::default());
        let mut held = shard.lock();
        let key = held.waiters.key();
        held.waiters.observe(id, key, Arc::clone(&told) as Arc<dyn Observer>);
        held.release();
        told
    };
    let first = watch();
    let times = |told: &Told| told.0.load(Ordering::Relaxed);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        _ = shard.query(|_| -> Result<(), Error> { panic!("on purpose") });
    }));
    assert!(panicked.is_err());
    (0..5).for_each(|_| shard.lock().release());
    assert_eq!(times(&first), 1);
    let late = watch();
    (0..5).for_each(|_| shard.lock().release());
    assert_eq!((times(&first), times(&late)), (2, 1));
}
