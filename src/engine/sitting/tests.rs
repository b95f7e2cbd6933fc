//! The seat, turn by turn.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context, Wake};
use std::time::Duration;

use rustix::thread::gettid;
use tunstack_core::addr::{Endpoint, Family, Prefix};
use tunstack_core::config::Config;
use tunstack_core::packet::{Checksum, Datagram};
use tunstack_core::stack::{Readiness, SocketId, Stack};

use super::*;
use crate::device::pipe::Pipe;
use crate::device::{Capabilities, Device};
use crate::engine::clock::Clock;
use crate::engine::passing::Sat;
use crate::engine::seat::GLANCE;
use crate::engine::wait::{poll_op, wait_until};
use crate::engine::waiters::{Interest, Observer, Place};
use crate::engine::{Engine, io_error};

mod looking;
mod replies;

impl<'a> Seated<'a> {
    /// The seat with these packets on it.
    pub(in crate::engine) fn with(shard: &'a Shard, frames: Frames) -> Self {
        let tools = Some(Box::new(Tools { frames, owners: Vec::new(), hang_ups: 0, luck: Luck::default() }));
        Self {
            shard,
            tools,
            next: Next::More,
            now: shard.clock.now(),
            ended: Ended::default(),
            also: Also::Unasked,
            passing: false,
        }
    }

    pub(in crate::engine) fn next(&self) -> Next {
        self.next
    }
}

/// A pipe that counts how often somebody sleeps with it, and who reads it.
struct Counted {
    pipe: Pipe,
    sleeps: Arc<AtomicUsize>,
    /// Who has read.
    threads: Arc<Mutex<BTreeSet<i32>>>,
    panics: bool,
}

impl Device for Counted {
    fn recv(&self, now: Instant, frames: &mut Frames) -> io::Result<usize> {
        self.threads.lock().unwrap().insert(gettid().as_raw_nonzero().get());
        assert!(!self.panics, "on purpose");
        self.pipe.recv(now, frames)
    }

    fn send(&self, now: Instant, datagram: &Datagram<'_>) -> io::Result<()> {
        self.pipe.send(now, datagram)
    }

    fn capabilities(&self) -> Capabilities {
        self.pipe.capabilities()
    }

    fn readable(&self) -> BorrowedFd<'_> {
        self.sleeps.fetch_add(1, Ordering::Relaxed);
        self.pipe.readable()
    }
}

fn own() -> Endpoint {
    Endpoint::new(IpAddr::V4(Ipv4Addr::new(10, 7, 0, 1)).into(), 7)
}

fn config() -> Config {
    Config { addresses: vec![Prefix::new(own().address, 24)], ..Config::default() }
}

/// A shard with a bound socket, whose reader is the test, and the far end.
struct World {
    shard: Arc<Shard>,
    id: SocketId,
    far: Pipe,
    sleeps: Arc<AtomicUsize>,
}

impl World {
    fn with(spin: Duration, panics: bool) -> Self {
        let (pipe, far) = Pipe::pair(1500).unwrap();
        let sleeps = Arc::default();
        let device = Counted { pipe, sleeps: Arc::clone(&sleeps), threads: Arc::default(), panics };
        let shard =
            Shard::new(Stack::new(config(), [1; 32]), Box::new(device), Clock::start(), spin).unwrap();
        let id = shard
            .call(|stack, _| {
                let id = stack.udp_socket(Family::V4);
                stack.bind(id, own())?;
                Ok(id)
            })
            .unwrap();
        shard.open_seat();
        Self { shard: Arc::new(shard), id, far, sleeps }
    }

    fn new() -> Self {
        Self::with(Duration::ZERO, false)
    }

    /// A datagram for the socket is on the wire.
    fn arrive(&self, octet: u8) {
        arrive(&self.far, octet);
    }

    fn receive(&self, timeout: Option<Duration>) -> io::Result<u8> {
        let deadline = self.shard.clock.deadline(timeout);
        wait_until(&self.shard, self.id, Interest::Readable, deadline, |stack, _| take(stack, self.id))
    }

    fn poll(&self, place: &Place, waker: &Waker) -> bool {
        let cx = &mut Context::from_waker(waker);
        let take = |stack: &mut Stack, _| take(stack, self.id);
        poll_op(&self.shard, self.id, Interest::Readable.mask(), Some(place), cx, take).is_ready()
    }

    fn is_empty(&self) -> bool {
        self.shard.lock().seat.is_empty()
    }

    /// When the reader looks, from now, and no more after this.
    fn alarm(&self) -> Option<Duration> {
        let alarm = self.shard.watch.due();
        self.shard.watch.rest();
        (alarm < Instant::FAR_FUTURE).then(|| alarm.saturating_since(self.shard.clock.now()))
    }

    /// A call that does not wait, a while after somebody has looked.
    fn look_in_passing(&self) {
        self.shard.lock().seat.left = Instant::ZERO;
        while self.shard.clock.now() < Instant::ZERO + GLANCE {}
        self.shard.call_of(self.id, |_, _| Ok(())).unwrap();
    }

    fn make_quick(&self) {
        let mut held = self.shard.lock();
        for _ in 0..8 {
            held.seat.pace.went(Instant::ZERO);
            held.seat.pace.came(Instant::ZERO);
        }
        assert!(held.seat.pace.is_quick());
        held.seat.passed = None;
    }
}

fn take(stack: &mut Stack, id: SocketId) -> Result<u8, tunstack_core::error::Error> {
    let mut octet = [0];
    stack.try_receive_from(id, &mut octet, false).map(|_| octet[0])
}

fn arrive(far: &Pipe, octet: u8) {
    arrive_at(far, 7, octet);
}

fn arrive_at(far: &Pipe, port: u8, octet: u8) {
    let mut head = vec![0x45, 0, 0, 29, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 7, 0, 2, 10, 7, 0, 1];
    let sum: u32 = head.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum();
    let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
    head[10..12].copy_from_slice(&checksum.to_be_bytes());
    // From port 9, without a checksum.
    head.extend([0, 9, 0, port, 0, 9, 0, 0, octet]);
    let body = tunstack_core::packet::Body::EMPTY;
    let datagram = Datagram { head: &head, body, gso_size: 0, checksum: Checksum::Complete, event: None };
    far.send(Instant::ZERO, &datagram).unwrap();
}

#[test]
fn a_call_reads_for_itself_and_the_reader_is_called_only_later() {
    let world = World::new();
    world.make_quick();
    assert_eq!(world.alarm(), Some(Duration::ZERO), "who opens the seat has the reader look");
    world.arrive(5);
    assert_eq!(world.receive(None).unwrap(), 5);
    assert!(world.is_empty());
    let alarm = world.alarm().unwrap();
    assert!(alarm <= PATIENCE, "{alarm:?}");
    let held = world.shard.lock();
    assert_eq!(held.seat.patience(), held.seat.left + PATIENCE);
    held.release();
}

#[test]
fn after_callers_that_come_back_late_the_reader_is_called_at_once() {
    let world = World::new();
    world.alarm();
    world.arrive(5);
    world.receive(None).unwrap();
    assert_eq!(world.alarm(), Some(Duration::ZERO));
    let held = world.shard.lock();
    assert_eq!(held.seat.patience(), held.seat.left);
    held.release();
}

#[test]
fn a_time_that_is_over_leaves_the_seat() {
    let world = World::new();
    world.alarm();
    let error = world.receive(Some(Duration::from_millis(1))).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    assert!(world.is_empty() && world.alarm().is_some());
    assert_eq!(world.sleeps.load(Ordering::Relaxed), 1, "one sleep is enough for that");
}

/// A seat that was used a moment ago is left to those who use it; one that was not is taken.
#[test]
fn the_reader_sits_when_nobody_has_for_a_while() {
    let world = World::new();
    world.make_quick();
    world.shard.watch.wait(&world.shard.clock).unwrap();
    world.alarm();
    let mut held = world.shard.lock();
    let tools = held.seat.tools.take().unwrap();
    let now = world.shard.clock.now();
    world.shard.leave(&mut held, tools, now, now);
    held.release();
    let seated = world.shard.stand_by().unwrap().unwrap();
    assert!(world.shard.clock.now() >= now + PATIENCE);
    assert!(!world.shard.lock().seat.pace.is_quick(), "it is noted that nobody came back");
    drop(seated);
    assert!(world.is_empty());
}

/// Calls that wait beside the one who sits: the one that is woken alone twice is to sit itself.
#[test]
fn who_is_woken_alone_time_and_again_gets_the_seat() {
    let world = World::new();
    world.make_quick();
    let mut seated = world.shard.sit(&mut world.shard.lock(), Instant::ZERO, false).unwrap();
    let (said, heard) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| (0..2).for_each(|_| said.send(world.receive(None).unwrap()).unwrap()));
        for turn in [Turn::Stays, Turn::Left] {
            while world.shard.lock().waiters.count(world.id) == 0 {
                std::thread::yield_now();
            }
            // However long the other was about it.
            world.make_quick();
            world.arrive(1);
            assert_eq!(seated.turn(None).unwrap(), turn);
            assert_eq!(heard.recv().unwrap(), 1);
        }
    });
    assert!(world.is_empty());
}

/// A waker that does this.
struct Does<F>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for Does<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

/// What a task's waker does is not ours: it may wait, and then it is the one who sits.
#[test]
fn a_waker_that_waits_has_the_seat_for_itself() {
    let world = Arc::new(World::new());
    let inner = Arc::downgrade(&world);
    let waker = Waker::from(Arc::new(Does(move || {
        let world = inner.upgrade().unwrap();
        assert!(world.is_empty());
        assert_eq!(world.receive(None).unwrap(), 1);
        world.arrive(2);
        assert_eq!(world.receive(Some(Duration::from_secs(60))).unwrap(), 2);
        world.arrive(3);
    })));
    let place = Place::default();
    assert!(!world.poll(&place, &waker));
    world.arrive(1);
    // Woken with the waker, and served after it.
    assert_eq!(world.receive(Some(Duration::from_secs(60))).unwrap(), 3);
}

/// The same where it was a call in passing that took in what the task waited for.
#[test]
fn a_waker_that_waits_has_the_seat_of_who_looked_in_passing() {
    let world = Arc::new(World::new());
    let inner = Arc::downgrade(&world);
    let waker = Waker::from(Arc::new(Does(move || {
        let world = inner.upgrade().unwrap();
        assert_eq!(world.receive(None).unwrap(), 1);
        world.arrive(2);
        assert_eq!(world.receive(Some(Duration::from_secs(60))).unwrap(), 2);
    })));
    assert!(!world.poll(&Place::default(), &waker));
    drop(waker);
    world.arrive(1);
    world.look_in_passing();
    assert!(world.is_empty());
}

/// The same while the caller has nothing for itself: it sits down again.
#[test]
fn who_wakes_a_task_sits_down_again() {
    let world = World::new();
    let other = world.shard.call(|stack, _| Ok(stack.udp_socket(Family::V4))).unwrap();
    let woken = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&woken);
    let waker = Waker::from(Arc::new(Does(move || _ = counts.fetch_add(1, Ordering::Relaxed))));
    let place = Place::default();
    assert!(!world.poll(&place, &waker));
    world.arrive(1);
    let deadline = world.shard.clock.deadline(Some(Duration::from_millis(5)));
    let waits = wait_until(&world.shard, other, Interest::Readable, deadline, |stack, _| take(stack, other));
    assert_eq!(waits.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert_eq!(woken.load(Ordering::Relaxed), 1);
    assert_eq!(world.sleeps.load(Ordering::Relaxed), 2, "once until the packet, and once until the end");
}

#[test]
fn a_device_that_panics_ends_the_engine_whoever_reads() {
    let world = World::with(Duration::ZERO, true);
    world.arrive(1);
    let panics = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.receive(None)));
    assert!(panics.is_err());
    assert_eq!(world.receive(None).unwrap_err().to_string(), Failure::Poisoned.to_io().to_string());
    assert!(world.shard.stand_by().unwrap().is_none(), "the reader ends");
}

#[test]
fn a_device_that_fails_ends_the_engine_whoever_reads() {
    let World { shard, id, far, sleeps: _ } = World::new();
    drop(far);
    let waits = wait_until(&shard, id, Interest::Readable, None, |stack, _| take(stack, id));
    assert_eq!(waits.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert!(shard.stand_by().unwrap().is_none(), "the reader ends");
}

/// What comes within the time is had without sleeping, and after it sleeps.
#[test]
fn it_looks_for_a_while_before_it_sleeps() {
    let world = World::with(Duration::from_secs(60), false);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| world.receive(None));
        world.arrive(3);
        assert_eq!(waits.join().unwrap().unwrap(), 3);
    });
    assert_eq!(world.sleeps.load(Ordering::Relaxed), 0);
    // Another thread's doing ends that, too.
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| world.receive(None));
        while world.is_empty() {
            std::thread::yield_now();
        }
        let sent = world.shard.call(|stack, now| stack.try_send_to(world.id, &[4], Some(own()), now));
        assert_eq!(sent.unwrap(), 1);
        assert_eq!(waits.join().unwrap().unwrap(), 4);
    });
    let world = World::with(Duration::from_micros(10), false);
    let error = world.receive(Some(Duration::from_millis(1))).unwrap_err();
    assert_eq!(error.kind(), io_error(tunstack_core::error::Error::WouldBlock).kind());
    assert_eq!(world.sleeps.load(Ordering::Relaxed), 1);
}

/// How often these threads have slept but for this one, which may have read in passing.
fn naps(threads: &Mutex<BTreeSet<i32>>) -> usize {
    let mut threads = threads.lock().unwrap();
    threads.remove(&gettid().as_raw_nonzero().get());
    let texts = threads.iter().map(|id| std::fs::read_to_string(format!("/proc/self/task/{id}/status")));
    // One that has ended sleeps no more.
    let naps = texts.filter_map(Result::ok).map(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.unwrap().trim().parse::<usize>().unwrap()
    });
    naps.sum()
}

/// With a call that waits and without one: nobody looks at anything until something happens.
#[test]
fn an_idle_engine_sleeps() {
    let (pipe, far) = Pipe::pair(1500).unwrap();
    let (sleeps, threads) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<BTreeSet<i32>>>::default());
    let (count, who) = (Arc::clone(&sleeps), Arc::clone(&threads));
    let device = Counted { pipe, sleeps: count, threads: who, panics: false };
    let engine = Engine::builder().device(device).config(config()).start().unwrap();
    let socket = engine.bind_udp("10.7.0.1:7").unwrap();
    let counts = || (sleeps.load(Ordering::Relaxed), naps(&threads));
    // On a busy machine the last things to be done may take their time.
    let is_quiet = || {
        let quiet = (0..100).any(|_| {
            let before = counts();
            std::thread::sleep(PATIENCE * 100);
            counts() == before
        });
        assert!(quiet);
    };
    is_quiet();
    std::thread::scope(|scope| {
        // A small stack is enough to read the device on.
        let small = std::thread::Builder::new().stack_size(64 << 10);
        let receive = || (0..30).for_each(|_| _ = socket.recv_from(&mut [0]).unwrap());
        let waits = small.spawn_scoped(scope, receive).unwrap();
        for _ in 0..29 {
            arrive(&far, 1);
            std::thread::sleep(PATIENCE / 4);
        }
        is_quiet();
        arrive(&far, 1);
        waits.join().unwrap();
    });
    is_quiet();
}

/// A poller that is roused by what arrives for a socket, and has a descriptor besides.
struct Watcher {
    roused: Arc<AtomicBool>,
    several: bool,
    descriptor: OwnedFd,
}

struct Rouses(Arc<AtomicBool>);

impl Observer for Rouses {
    fn changed(&self, _: Readiness, edges: Readiness) -> Option<usize> {
        let arrived = edges.contains(Readiness::READABLE);
        self.0.fetch_or(arrived, Ordering::Relaxed);
        arrived.then_some(7)
    }
}

impl Watcher {
    fn of(world: &World) -> Self {
        Self::before(&world.shard, world.id)
    }

    fn before(shard: &Shard, id: SocketId) -> Self {
        let roused = Arc::<AtomicBool>::default();
        let mut held = shard.lock();
        let key = held.waiters.key();
        held.waiters.observe(id, key, Arc::new(Rouses(Arc::clone(&roused))));
        held.release();
        let descriptor = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).unwrap();
        Self { roused, several: false, descriptor }
    }
}

impl Poller for Watcher {
    fn is_roused(&self) -> bool {
        self.roused.load(Ordering::Relaxed)
    }

    fn has_several(&self) -> bool {
        self.several
    }

    fn readable(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

#[test]
fn a_poller_sits_until_what_it_watches_changes() {
    let world = World::new();
    let watcher = Watcher::of(&world);
    world.make_quick();
    world.alarm();
    world.arrive(1);
    assert_eq!(world.shard.sit_for(&watcher, None), Sat::Through(Also::Unasked));
    assert!(watcher.is_roused() && world.is_empty());
    assert!(world.alarm().unwrap() > Duration::ZERO, "it is expected back");
    watcher.roused.store(false, Ordering::Relaxed);
    rustix::io::write(&watcher.descriptor, &1u64.to_ne_bytes()).unwrap();
    assert_eq!(world.shard.sit_for(&watcher, None), Sat::Through(Also::Something));
    assert!(!watcher.is_roused() && world.is_empty());
}

/// From when it leaves with several sockets to look after until it waits again.
#[test]
fn a_poller_with_several_sockets_to_look_after_is_in_a_rush() {
    let world = World::new();
    let mut watcher = Watcher::of(&world);
    let mut rush_after_one = |several| {
        watcher.several = several;
        world.make_quick();
        world.arrive(1);
        watcher.roused.store(false, Ordering::Relaxed);
        world.shard.lock().seat.rush = true;
        assert_eq!(world.shard.sit_for(&watcher, None), Sat::Through(Also::Unasked));
        let held = world.shard.lock();
        assert!(!held.seat.unsent);
        held.seat.rush
    };
    assert!(rush_after_one(true));
    assert!(!rush_after_one(false));
    let (seat, now) = (&mut world.shard.lock().seat, Instant::ZERO);
    (seat.rush, seat.left) = (true, now);
    assert!(seat.is_in_rush(now) && !seat.is_in_rush(now + GLANCE));
    seat.rush = false;
    assert!(!seat.is_in_rush(now));
}

#[test]
fn a_poller_waits_elsewhere_where_somebody_sits_and_until_its_time_is_over() {
    let world = World::new();
    let watcher = Watcher::of(&world);
    let deadline = world.shard.clock.deadline(Some(Duration::from_millis(1)));
    assert_eq!(world.shard.sit_for(&watcher, deadline), Sat::Through(Also::Nothing));
    assert!(world.is_empty() && world.shard.clock.now() >= deadline.unwrap());
    let seated = world.shard.sit(&mut world.shard.lock(), Instant::ZERO, false).unwrap();
    assert_eq!(world.shard.sit_for(&watcher, None), Sat::Elsewhere);
    drop(seated);
}

/// Whoever calls and never waits takes in what has come; the reader makes room for it.
#[test]
fn a_call_looks_at_the_device_in_passing() {
    let world = World::new();
    let readable = || world.shard.query(|stack| Ok(stack.readiness(world.id).contains(Readiness::READABLE)));
    world.arrive(1);
    assert!(!readable().unwrap());
    world.look_in_passing();
    assert!(readable().unwrap() && world.is_empty());
    world.make_quick();
    let mut seated = world.shard.sit(&mut world.shard.lock(), Instant::ZERO, false).unwrap();
    world.arrive(2);
    assert_eq!(seated.turn(None).unwrap(), Turn::Stays, "nobody has called");
    world.arrive(3);
    // However long this thread was about it.
    world.shard.lock().seat.passed = Some(Instant::FAR_FUTURE);
    assert_eq!(seated.turn(None).unwrap(), Turn::Left);
    assert!(world.is_empty());
}
