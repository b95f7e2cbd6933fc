//! Calls of another thread in virtual time.

use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use tunstack_core::addr::Prefix;
use tunstack_core::config::Config;
use tunstack_core::packet::{Datagram, Inbound, Received};
use tunstack_core::time::Instant;

use crate::bsd::abi::{
    AF_INET, EPOLL_CTL_ADD, SO_RCVTIMEO, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM, SOL_SOCKET,
};
use crate::bsd::{EpollEvent, EpollFlags, Errno, FdSet, PollFd, PollFlags, Sockets};
use crate::device::outbox::Outbox;
use crate::device::pipe::Pipe;
use crate::device::{Capabilities, Device, Frames};
use crate::engine::{Engine, Stepper};

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

fn engine() -> (Sockets, Stepper, Pipe) {
    let (device, other) = Pipe::pair(1500).unwrap();
    let (engine, stepper) = Engine::builder().device(device).seed([1; 32]).start_stepped().unwrap();
    (Sockets::new(&engine), stepper, other)
}

/// Runs `call` on another thread while the stepper steps to `limit`; gives what it gave and when.
fn meanwhile<T: Send + 'static>(
    stepper: &Stepper,
    limit: Instant,
    call: impl FnOnce() -> T + Send + 'static,
) -> (T, Instant) {
    let calls = stepper.calls();
    let (done, result) = channel();
    calls.begin();
    let thread = thread::spawn({
        let calls = calls.clone();
        move || {
            done.send((call(), calls.now())).unwrap();
            calls.end();
        }
    });
    stepper.settle();
    while stepper.step(limit) {}
    let result = result.try_recv().expect("the call has ended");
    thread.join().unwrap();
    result
}

#[test]
fn a_read_that_times_out_takes_an_hour_in_no_time() {
    let (sys, stepper, _other) = engine();
    let socket = sys.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
    let mut hour = [0; 16];
    hour[..8].copy_from_slice(&3600i64.to_ne_bytes());
    sys.setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &hour).unwrap();
    let reader = sys.clone();
    let read = meanwhile(&stepper, at(5000), move || reader.read(socket, &mut [0; 9]));
    assert_eq!(read, (Err(Errno::AGAIN), at(3600)));
    assert_eq!(stepper.now(), at(5000));
}

#[test]
fn a_wait_ends_when_something_comes_and_not_before() {
    let (sys, stepper, _other) = engine();
    let socket = sys.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
    sys.bind(socket, &"127.0.0.1:7".parse().unwrap()).unwrap();
    let epoll = sys.epoll_create1(0).unwrap();
    let watch = EpollEvent::new(EpollFlags::IN | EpollFlags::ET, 9);
    sys.epoll_ctl(epoll, EPOLL_CTL_ADD, socket, Some(watch)).unwrap();
    let second = Duration::from_secs(1);
    type Wait = Box<dyn FnOnce(Sockets) -> usize + Send>;
    let waits: [Wait; 3] = [
        Box::new(move |sys| sys.poll(&mut [PollFd::new(socket, PollFlags::IN)], 3000).unwrap()),
        Box::new(move |sys| sys.epoll_wait(epoll, &mut [EpollEvent::default()], 3000).unwrap()),
        Box::new(move |sys| {
            let (mut set, mut left) = (FdSet::new(), Duration::from_secs(3));
            set.insert(socket).unwrap();
            let found = sys.select(socket + 1, Some(&mut set), None, None, Some(&mut left)).unwrap();
            assert_eq!(set.contains(socket), found == 1);
            // All the time is gone, or all but the second after which the datagram came.
            assert!(left.is_zero() || left == second * 2, "{left:?}");
            found
        }),
    ];
    for wait in waits {
        let (sys2, sys3) = (sys.clone(), sys.clone());
        let began = stepper.now();
        let calls = stepper.calls();
        calls.begin();
        let sending = thread::spawn(move || {
            sys3.poll(&mut [], 1000).unwrap();
            let out = sys3.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
            let to = "127.0.0.1:7".parse().unwrap();
            sys3.sendto(out, b"x", crate::bsd::abi::MsgFlags::empty(), Some(&to)).unwrap();
            calls.end();
        });
        let found = meanwhile(&stepper, began + 10 * second, move || wait(sys2));
        assert_eq!(found, (1, began + second));
        sending.join().unwrap();
        assert_eq!(sys.read(socket, &mut [0; 9]), Ok(1));
    }
}

#[test]
fn a_wait_that_nothing_ends_takes_its_time() {
    let (sys, stepper, _other) = engine();
    let socket = sys.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
    let waiting = sys.clone();
    let found =
        meanwhile(&stepper, at(9), move || waiting.poll(&mut [PollFd::new(socket, PollFlags::IN)], 2500));
    assert_eq!(found, (Ok(0), Instant::ZERO + Duration::from_millis(2500)));
}

#[test]
fn the_thread_that_steps_does_not_wait_for_itself() {
    let (sys, _stepper, _other) = engine();
    let socket = sys.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
    assert_eq!(sys.read(socket, &mut [0; 9]), Err(Errno::DEADLK));
    let poll = |timeout| sys.poll(&mut [PollFd::new(socket, PollFlags::IN)], timeout);
    assert_eq!([poll(0), poll(5), poll(-1)], [Ok(0), Err(Errno::DEADLK), Err(Errno::DEADLK)]);
}

#[test]
fn a_wait_ends_with_the_stepper() {
    let (sys, stepper, _other) = engine();
    let socket = sys.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
    let calls = stepper.calls();
    calls.begin();
    let (reader, waits) = (sys.clone(), calls.clone());
    let waiting = thread::spawn(move || {
        let result = reader.read(socket, &mut [0; 9]);
        waits.end();
        result
    });
    stepper.settle();
    drop(stepper);
    assert_eq!(waiting.join().unwrap(), Err(Errno::SHUTDOWN));
    assert_eq!(sys.read(socket, &mut [0; 9]), Err(Errno::SHUTDOWN));
}

#[test]
fn settings_change_while_it_runs() {
    let outbox = Outbox::new(1500).unwrap();
    let builder = Engine::builder().device(outbox.clone()).config(Config {
        addresses: vec![Prefix::new(IpAddr::from([10, 0, 0, 1]).into(), 24)],
        ..Config::default()
    });
    let (engine, _stepper) = builder.seed([1; 32]).start_stepped().unwrap();
    let sys = Sockets::new(&engine);
    // Octets of a SYN, over a header of IP and one of TCP.
    let options = || {
        let fd = sys.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0).unwrap();
        assert_eq!(sys.connect(fd, &"10.0.0.2:7".parse().unwrap()), Err(Errno::INPROGRESS));
        outbox.take().unwrap().packet.len() - 40
    };
    // MSS, SACK-permitted, timestamps, window scale; then the same without timestamps.
    assert_eq!(options(), 20);
    engine.configure(|config| config.tcp.timestamps = false);
    assert_eq!(options(), 12);
}

/// Remembers what it was told of joined segments.
struct Told(Arc<AtomicU16>, Outbox);

impl Device for Told {
    fn recv(&self, now: Instant, frames: &mut Frames) -> std::io::Result<usize> {
        self.1.recv(now, frames)
    }

    fn send(&self, now: Instant, datagram: &Datagram<'_>) -> std::io::Result<()> {
        self.1.send(now, datagram)
    }

    fn settled(&self, _: Instant, inbound: &Inbound<'_>, _: &Received) {
        self.0.store(inbound.gso_size, Ordering::Relaxed);
    }

    fn capabilities(&self) -> Capabilities {
        self.1.capabilities()
    }

    fn readable(&self) -> BorrowedFd<'_> {
        self.1.readable()
    }
}

#[test]
fn a_packet_that_was_joined_says_so() {
    let told = Arc::new(AtomicU16::new(9));
    let device = Told(Arc::clone(&told), Outbox::new(1500).unwrap());
    let (_engine, stepper) = Engine::builder().device(device).seed([1; 32]).start_stepped().unwrap();
    stepper.receive(&[0x45]);
    assert_eq!(told.load(Ordering::Relaxed), 0);
    stepper.receive_joined(&[0x45], 1000);
    assert_eq!(told.load(Ordering::Relaxed), 1000);
}
