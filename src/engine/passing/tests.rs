//! Calls that do not wait, on a connection over a device that cuts large packets.

use std::sync::Arc;

use tunstack_core::addr::{Endpoint, Family, Prefix};
use tunstack_core::config::{Config, Offload, TcpConfig};
use tunstack_core::error::Error;
use tunstack_core::sockopt::SocketOptions;
use tunstack_core::stack::Stack;

use super::*;
use crate::device::pipe::Pipe;
use crate::device::{Device, Frames};
use crate::engine::clock::Clock;
use crate::engine::sleep::PATIENCE;
use crate::engine::waiters::Observer;

const NEAR: &str = "10.7.0.1:0";
const FAR: &str = "10.7.0.2:80";

fn endpoint(text: &str) -> Endpoint {
    text.parse::<std::net::SocketAddr>().unwrap().into()
}

fn stack(at: &str) -> Stack {
    let addresses = vec![Prefix::new(endpoint(at).address, 24)];
    let offload = Offload { checksum: true, segmentation: 65_535 };
    let tcp = TcpConfig { initial_window: 200, ..TcpConfig::default() };
    Stack::new(Config { addresses, offload, tcp, mtu: 1500, ..Config::default() }, [1; 32])
}

/// A shard whose reader is the test, with a connection, and the stack at the other end.
struct World {
    shard: Arc<Shard>,
    id: SocketId,
    far: Stack,
    far_id: SocketId,
    line: Pipe,
    frames: Frames,
}

impl World {
    fn new() -> Self {
        Self::by(Clock::start())
    }

    fn by(clock: Clock) -> Self {
        let (pipe, line) = Pipe::offloading(1500).unwrap();
        let shard = Shard::new(stack(NEAR), Box::new(pipe), clock, Duration::ZERO).unwrap();
        let mut far = stack(FAR);
        let listener = far.tcp_socket(Family::V4);
        far.bind(listener, endpoint(FAR)).unwrap();
        far.listen(listener, 1).unwrap();
        let id = shard.open(|stack, _| Ok(stack.tcp_socket(Family::V4))).unwrap();
        shard.open_seat();
        let mut world =
            Self { shard: Arc::new(shard), id, far, far_id: listener, line, frames: Frames::new(64, 65_535) };
        let begun = world.shard.call(|stack, now| match stack.connect(id, endpoint(FAR), now) {
            Err(Error::InProgress) => Ok(()),
            other => other,
        });
        begun.unwrap();
        for _ in 0..3 {
            world.exchange();
        }
        world.far_id = world.far.try_accept(listener).unwrap();
        let undelayed = |stack: &mut Stack, id, now| {
            let options = SocketOptions { nodelay: true, ..stack.options(id)? };
            stack.set_options(id, options, now)
        };
        undelayed(&mut world.far, world.far_id, world.shard.clock.now()).unwrap();
        world.shard.call(|stack, now| undelayed(stack, id, now)).unwrap();
        // The windows open.
        for _ in 0..8 {
            world.write(100_000);
            (0..20).for_each(|_| drop(world.exchange()));
        }
        assert_eq!(world.unsent(), 0);
        world
    }

    /// What is on the line is taken in at both ends; all that the near end holds back leaves.
    fn exchange(&mut self) -> Vec<usize> {
        let now = self.shard.clock.now();
        let mut lens = Vec::new();
        self.frames.clear();
        self.line.recv(now, &mut self.frames).unwrap();
        for inbound in self.frames.iter() {
            lens.push(inbound.packet.len());
            self.far.receive(now, inbound);
        }
        while matches!(self.far.try_read(self.far_id, &mut [0; 65_536]), Ok(1..)) {}
        while let Some(datagram) = self.far.poll_transmit(now) {
            self.line.send(now, &datagram).unwrap();
        }
        let sat = self.shard.sit(&mut self.shard.lock(), now, true);
        let mut seated = sat.unwrap();
        seated.turn(None).unwrap();
        drop(seated);
        lens
    }

    /// A write as the engine's sockets do it, of a program that calls again and again.
    fn write(&self, octets: usize) {
        self.make_quick();
        let data = vec![7; octets];
        let written = self.shard.call_of(self.id, |stack, now| stack.try_write(self.id, &data, now));
        assert_eq!(written.unwrap(), octets);
    }

    fn make_quick(&self) {
        let mut held = self.shard.lock();
        held.seat.pace = super::super::pace::Pace::default();
        for _ in 0..8 {
            held.seat.pace.went(Instant::ZERO);
            held.seat.pace.came(Instant::ZERO);
        }
        held.release();
    }

    /// Somebody sits down, and up again after a turn.
    fn sit_down(&self) {
        let seated = self.shard.sit(&mut self.shard.lock(), self.shard.clock.now(), false);
        let mut seated = seated.unwrap();
        assert_eq!(seated.next, Next::More, "it drives before it sleeps");
        seated.turn(None).unwrap();
    }

    fn unsent(&self) -> usize {
        self.shard.query(|stack| stack.unsent(self.id)).unwrap()
    }
}

const RUN: usize = 65_535 - 40 - 12 - (65_535 - 40 - 12) % 1448;

#[test]
fn the_rest_of_a_large_write_waits_for_the_next_call() {
    let world = World::new();
    world.write(RUN + 1000);
    assert_eq!(world.unsent(), 1000);
    world.write(RUN - 1000);
    assert_eq!(world.unsent(), 0, "the next write has filled it up");
    world.write(RUN + 900);
    assert_eq!(world.unsent(), 900);
    // Any call whatsoever.
    world.shard.call(|_, _| Ok(())).unwrap();
    assert_eq!(world.unsent(), 0);
}

#[test]
fn who_sits_down_sends_it() {
    let mut world = World::new();
    world.exchange();
    world.write(RUN + 1000);
    assert_eq!(world.unsent(), 1000);
    world.sit_down();
    assert_eq!(world.unsent(), 0);
    assert_eq!(world.exchange(), [RUN + 52, 1000 + 52]);
}

#[test]
fn the_reader_sends_it_where_nobody_calls() {
    let world = World::new();
    world.shard.watch.rest();
    world.write(RUN + 1000);
    let due = world.shard.watch.due();
    assert!(due <= world.shard.clock.now() + PATIENCE, "the reader is told to look");
    drop(world.shard.stand_by().unwrap());
    assert_eq!(world.unsent(), 0);
}

/// Where nobody is expected to call again, or somebody sits and may sleep long, all of it leaves at once.
#[test]
fn nothing_waits_where_nobody_comes_back() {
    let world = World::new();
    let write = || {
        let data = [7; RUN + 1000];
        let written = world.shard.call_of(world.id, |stack, now| stack.try_write(world.id, &data, now));
        assert_eq!(written.unwrap(), data.len());
    };
    world.shard.lock().seat.pace = super::super::pace::Pace::default();
    write();
    assert_eq!(world.unsent(), 0);
    world.make_quick();
    let seated = world.shard.sit(&mut world.shard.lock(), world.shard.clock.now(), false).unwrap();
    write();
    assert_eq!(world.unsent(), 0);
    drop(seated);
}

/// Whoever is expected back does it.
#[test]
fn the_reader_is_not_woken_for_what_is_due_before_it_would_look() {
    let world = World::new();
    world.write(10);
    let mut held = world.shard.lock();
    let deadline = world.shard.deadline(&held);
    assert!(deadline < Instant::FAR_FUTURE, "it waits for an acknowledgment");
    held.seat.alarm = Instant::FAR_FUTURE;
    let mut due = |left| {
        held.seat.left = left;
        world.shard.ring(&held, deadline);
        world.shard.watch.due()
    };
    assert_eq!((due(deadline), due(Instant::ZERO)), (deadline + PATIENCE, deadline));
    held.seat.pace = super::super::pace::Pace::default();
    held.seat.left = deadline;
    world.shard.ring(&held, deadline);
    assert_eq!(world.shard.watch.due(), deadline, "nobody is");
    held.release();
}

impl Shard {
    /// As if replies waited for others.
    pub(crate) fn leave_unsent(&self) {
        self.lock().seat.unsent = true;
    }

    pub(crate) fn has_unsent(&self) -> bool {
        self.lock().seat.unsent
    }
}

/// Keeps how its socket stood last.
#[derive(Default)]
struct Level(std::sync::Mutex<Readiness>);

impl Observer for Level {
    fn changed(&self, readiness: Readiness, _: Readiness) -> Option<usize> {
        *self.0.lock().unwrap() = readiness;
        None
    }
}

#[test]
fn a_call_that_leaves_nothing_to_do_tells_and_does_not_drive() {
    let clock = Clock::start_virtual();
    clock.as_virtual().unwrap().advance(Instant::from_secs(1));
    let mut world = World::by(clock);
    let now = world.shard.clock.now();
    world.far.try_write(world.far_id, b"x", now).unwrap();
    world.exchange();
    world.exchange();
    let level = Arc::new(Level::default());
    let mut held = world.shard.lock();
    let (key, stands) = (held.waiters.key(), held.stack.readiness(world.id));
    level.changed(stands, stands);
    held.waiters.observe(world.id, key, level.clone());
    held.release();
    // Whether it drove at that.
    let drives = |op: &dyn Fn(&mut Stack, Instant)| {
        let mut held = world.shard.lock();
        (held.seat.left, held.now) = (Instant::FAR_FUTURE, Instant::ZERO);
        held.release();
        let call = |stack: &mut Stack, now| {
            op(stack, now);
            Ok(())
        };
        world.shard.call_of(world.id, call).unwrap();
        world.shard.lock().now > Instant::ZERO
    };
    assert!(level.0.lock().unwrap().contains(Readiness::READABLE));
    assert!(!drives(&|stack, _| assert_eq!(stack.try_read(world.id, &mut [0; 9]), Ok(1))));
    assert!(!level.0.lock().unwrap().contains(Readiness::READABLE));
    assert!(!drives(&|stack, _| assert_eq!(stack.try_read(world.id, &mut [0; 9]), Err(Error::WouldBlock))));
    assert!(drives(&|stack, now| assert_eq!(stack.try_write(world.id, b"x", now), Ok(1))));
    assert!(!drives(&|_, _| {}));
    // What is due is done in time by whoever calls.
    let due = world.shard.query(|stack| Ok(stack.poll_timeout())).unwrap().unwrap();
    assert!(!drives(&|_, _| {}));
    world.shard.clock.as_virtual().unwrap().advance(due);
    assert!(drives(&|_, _| {}));
}

impl World {
    /// A small write of one who has several sockets to look after, and was there a moment ago.
    fn write_in_rush(&self) {
        let mut held = self.shard.lock();
        (held.seat.rush, held.seat.left) = (true, Instant::FAR_FUTURE);
        held.release();
        self.write(10);
    }
}

#[test]
fn replies_on_several_sockets_leave_together() {
    let world = World::new();
    world.write_in_rush();
    world.write_in_rush();
    assert_eq!(world.unsent(), 20);
    // However long after that.
    world.shard.lock().seat.left = Instant::ZERO;
    world.write(10);
    assert_eq!(world.unsent(), 0);
    world.write_in_rush();
    world.shard.call(|_, _| Ok(())).unwrap();
    assert_eq!(world.unsent(), 0, "any other call");
    world.write_in_rush();
    world.shard.lock().seat.left = Instant::FAR_FUTURE;
    world.write(RUN);
    assert!(world.unsent() < RUN, "that is no reply");
}

#[test]
fn who_sits_down_or_the_reader_sends_replies_that_wait() {
    let world = World::new();
    world.write_in_rush();
    world.sit_down();
    assert_eq!(world.unsent(), 0);
    let due = world.shard.watch.due();
    assert!(due <= world.shard.clock.now() + PATIENCE, "the reader is told to look, whoever calls");
    world.write_in_rush();
    assert!(world.shard.watch.due() <= due);
    world.shard.lock().seat.left = Instant::ZERO;
    drop(world.shard.stand_by().unwrap());
    assert_eq!(world.unsent(), 0);
}

/// A queue of datagrams has room for so many, and no program is told that it is full.
#[test]
fn no_datagram_waits_for_others() {
    let world = World::new();
    let udp = world.shard.open(|stack, _| Ok(stack.udp_socket(Family::V4))).unwrap();
    let mut held = world.shard.lock();
    (held.seat.rush, held.seat.left) = (true, Instant::FAR_FUTURE);
    held.release();
    let before = world.shard.query(|stack| Ok(stack.counters().ip_out_requests)).unwrap();
    let to = Some(endpoint(FAR));
    world.shard.call_of(udp, |stack, now| stack.try_send_to(udp, b"at once", to, now)).unwrap();
    let after = world.shard.query(|stack| Ok(stack.counters().ip_out_requests)).unwrap();
    assert_eq!((after, world.shard.lock().seat.unsent), (before + 1, false));
}

#[test]
fn a_poll_that_comes_back_at_once_sends_replies_that_wait() {
    let world = World::new();
    world.write_in_rush();
    assert_eq!(world.unsent(), 10);
    world.shard.send_unsent();
    assert_eq!(world.unsent(), 0);
    let left = world.shard.lock().seat.left;
    world.shard.send_unsent();
    assert_eq!(world.shard.lock().seat.left, left, "there was nothing to do");
}

/// However long somebody has the lock, the reader looks when it is free.
#[test]
fn the_reader_looks_when_the_lock_is_free() {
    let world = World::new();
    world.write(10);
    let held = world.shard.lock();
    let until = world.shard.clock.now() + 3 * PATIENCE;
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| drop(world.shard.stand_by().unwrap().unwrap()));
        while world.shard.clock.now() < until {
            assert!(!reader.is_finished());
            std::thread::yield_now();
        }
        held.release();
        reader.join().unwrap();
    });
}

/// Where nobody is expected to call again, or somebody sits and may sleep long.
#[test]
fn no_reply_waits_where_nobody_comes_back() {
    let world = World::new();
    let seated = world.shard.sit(&mut world.shard.lock(), world.shard.clock.now(), false).unwrap();
    world.write_in_rush();
    assert_eq!(world.unsent(), 0);
    drop(seated);
    let mut held = world.shard.lock();
    (held.seat.rush, held.seat.left) = (true, Instant::FAR_FUTURE);
    held.seat.pace = super::super::pace::Pace::default();
    held.release();
    let written = world.shard.call_of(world.id, |stack, now| stack.try_write(world.id, &[7; 10], now));
    assert_eq!((written.unwrap(), world.unsent()), (10, 0));
}

/// A program that has something to read is left to read it.
#[test]
fn what_is_unread_is_read_before_more_is_taken_in() {
    let mut world = World::new();
    let now = world.shard.clock.now();
    let arrive = |world: &mut World| {
        let far_id = world.far_id;
        world.far.try_write(far_id, &[9; 1000], now).unwrap();
        while let Some(datagram) = world.far.poll_transmit(now) {
            world.line.send(now, &datagram).unwrap();
        }
    };
    let unread = |world: &World| world.shard.query(|stack| stack.unread(world.id)).unwrap();
    let call_after = |world: &World, time: Duration| {
        world.make_quick();
        // Its clock is the machine's: as long ago as that, and not as long as it may have taken beyond.
        let mut held = world.shard.lock();
        let left = world.shard.clock.now();
        held.seat.left = left;
        held.release();
        while world.shard.clock.now() < left + time {}
        world.shard.call_of(world.id, |_, _| Ok(())).unwrap();
    };
    arrive(&mut world);
    call_after(&world, GLANCE);
    assert_eq!(unread(&world), 1000, "nothing was unread");
    arrive(&mut world);
    world.shard.lock().seat.left = Instant::FAR_FUTURE;
    world.shard.call_of(world.id, |_, _| Ok(())).unwrap();
    assert_eq!(unread(&world), 1000);
    call_after(&world, BEHIND);
    assert_eq!(unread(&world), 2000, "but others wait, too");
}

#[test]
fn how_long_the_device_goes_unread() {
    let (glance, behind) = (Instant::ZERO + GLANCE, Instant::ZERO + BEHIND);
    assert!(!is_time(Instant::ZERO, || false) && !is_time(Instant::ZERO, || true));
    assert!(is_time(glance, || false) && !is_time(glance, || true));
    assert!(is_time(behind, || true));

    fn is_time(now: Instant, unread: impl FnOnce() -> bool) -> bool {
        super::is_time(Instant::ZERO, now, unread)
    }
}
