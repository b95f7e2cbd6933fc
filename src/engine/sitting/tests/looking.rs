//! Looking before sleep, in virtual time: a look at the device takes a microsecond, and to send a packet 200.

use std::collections::VecDeque;

use super::*;
use crate::device::impair::Impair;
use crate::engine::seat::GLANCE;
use crate::engine::spin::Spin;
use crate::sim::link::LinkConfig;

const LOOK: Duration = Duration::from_micros(1);
const SEND: Duration = Duration::from_micros(200);

/// Nobody listens there: who is told so is sent a packet.
const NOBODY: u8 = 99;

/// What is to be done at a look.
type Deed = Box<dyn FnOnce() + Send>;

/// A device that moves the clock, and has packets come in when it is time.
struct Timed {
    pipe: Pipe,
    far: Pipe,
    clock: Arc<Clock>,
    script: Mutex<Script>,
}

#[derive(Default)]
struct Script {
    /// When packets come, and to which port.
    arrivals: VecDeque<(Instant, u8)>,
    looks: usize,
    sleeps: usize,
    /// At which look.
    deed: Option<(usize, Deed)>,
}

impl Timed {
    fn advance(&self, time: Duration) {
        self.clock.as_virtual().unwrap().advance(self.clock.now() + time);
    }

    /// Puts on the wire what has come by now.
    fn deliver(&self, script: &mut Script) {
        let now = self.clock.now();
        while let Some((_, port)) = script.arrivals.front().copied().filter(|(at, _)| *at <= now) {
            script.arrivals.pop_front();
            arrive_at(&self.far, port, 1);
        }
    }
}

impl Device for Arc<Timed> {
    fn recv(&self, now: Instant, frames: &mut Frames) -> io::Result<usize> {
        self.advance(LOOK);
        let mut script = self.script.lock().unwrap();
        script.looks += 1;
        self.deliver(&mut script);
        let looks = script.looks;
        let deed = script.deed.take_if(|(at, _)| *at == looks);
        drop(script);
        if let Some((_, deed)) = deed {
            deed();
        }
        self.pipe.recv(now, frames)
    }

    fn send(&self, _: Instant, _: &Datagram<'_>) -> io::Result<()> {
        self.advance(SEND);
        Ok(())
    }

    fn capabilities(&self) -> Capabilities {
        self.pipe.capabilities()
    }

    /// Somebody sleeps, until the next packet comes if there is one.
    fn readable(&self) -> BorrowedFd<'_> {
        let mut script = self.script.lock().unwrap();
        script.sleeps += 1;
        if let Some((at, _)) = script.arrivals.front() {
            self.clock.as_virtual().unwrap().advance(*at);
        }
        self.deliver(&mut script);
        drop(script);
        self.pipe.readable()
    }
}

/// A shard before such a device, with a socket.
struct Place {
    shard: Arc<Shard>,
    id: SocketId,
    device: Arc<Timed>,
}

impl Place {
    fn new(spin: Spin) -> Self {
        let (pipe, far) = Pipe::pair(1500).unwrap();
        let clock = Arc::new(Clock::start_virtual());
        let device = Arc::new(Timed { pipe, far, clock: Arc::clone(&clock), script: Mutex::default() });
        let stack = Stack::new(config(), [1; 32]);
        let shard = Shard::new(stack, Box::new(Arc::clone(&device)), clock, spin).unwrap();
        let bound = shard.call(|stack, _| {
            let id = stack.udp_socket(Family::V4);
            stack.bind(id, own())?;
            Ok(id)
        });
        shard.open_seat();
        Self { shard: Arc::new(shard), id: bound.unwrap(), device }
    }

    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.device.script.lock().unwrap()
    }

    /// Packets come so long from now, to a port each.
    fn expect(&self, arrivals: &[(Duration, u8)]) {
        let now = self.shard.clock.now();
        let mut script = self.script();
        script.arrivals = arrivals.iter().map(|(after, port)| (now + *after, *port)).collect();
        (script.looks, script.sleeps) = (0, 0);
    }

    fn at_look(&self, number: usize, deed: impl FnOnce() + Send + 'static) {
        let mut script = self.script();
        (script.looks, script.sleeps) = (0, 0);
        script.deed = Some((number, Box::new(deed)));
    }

    /// How often was looked, and slept, since something was expected.
    fn count(&self) -> (usize, usize) {
        let script = self.script();
        (script.looks, script.sleeps)
    }

    /// Waits for what comes after this time, and says the same of that.
    fn wait(&self, after: Duration) -> (usize, usize) {
        self.expect(&[(after, 7)]);
        self.receive();
        self.count()
    }

    fn receive(&self) {
        let waited =
            wait_until(&self.shard, self.id, Interest::Readable, None, |stack, _| take(stack, self.id));
        assert_eq!(waited.unwrap(), 1);
    }

    /// A poll that watches the socket.
    fn watcher(&self) -> Watcher {
        Watcher::before(&self.shard, self.id)
    }
}

const SOON: Duration = Duration::from_micros(10);
const LATE: Duration = Duration::from_millis(1);

#[test]
fn who_waits_looks_and_gives_it_up_where_nothing_comes() {
    let place = Place::new(Spin::default());
    for _ in 0..100 {
        assert_eq!(place.wait(SOON), (10, 0));
    }
    let mut looked = Vec::new();
    for wait in 0..300 {
        let (looks, sleeps) = place.wait(LATE);
        assert_eq!(sleeps, 1);
        match looks {
            // That which takes in what the sleep was for.
            1 => {}
            _ => looked.push((wait, looks)),
        }
    }
    let tried = [0, 1, 2, 3, 5, 9, 17, 33, 65, 129, 257];
    assert_eq!(looked, tried.map(|wait| (wait, 52)), "as long as 50 us each");
    // As soon as it finds something again, it is done each time.
    let found = (300..600).position(|_| place.wait(SOON).1 == 0);
    assert_eq!(found, Some(513 - 300));
    assert_eq!(place.wait(SOON), (10, 0));
}

#[test]
fn as_long_as_is_told_is_looked_each_time() {
    let place = Place::new(Duration::from_micros(20).into());
    for _ in 0..50 {
        assert_eq!(place.wait(LATE), (22, 1));
    }
    assert_eq!(Place::new(Duration::ZERO.into()).wait(SOON), (1, 1));
}

/// What is sent before a look does not count as part of it.
#[test]
fn to_drive_takes_nothing_from_the_look() {
    let place = Place::new(Spin::default());
    place.expect(&[(SOON, NOBODY), (SOON + SEND + 3 * SOON, 7)]);
    place.receive();
    assert_eq!(place.count().1, 0);
}

/// What our own write has brought about is there: a poller finds that however little looking has brought.
#[test]
fn a_poll_looks_once_before_it_sleeps() {
    let place = Place::new(Duration::ZERO.into());
    let watcher = place.watcher();
    place.expect(&[(Duration::ZERO, 7)]);
    assert_eq!(place.shard.sit_for(&watcher, None), Sat::Through(Also::Unasked));
    assert_eq!(place.count(), (1, 0));
}

/// To take in what has come, and to answer that, is not time that the program was away.
#[test]
fn who_has_looked_in_passing_is_away_from_then() {
    let place = Place::new(Spin::default());
    place.device.advance(GLANCE);
    place.expect(&[(Duration::ZERO, NOBODY)]);
    place.shard.call_of(place.id, |_, _| Ok(())).unwrap();
    let (held, now) = (place.shard.lock(), place.shard.clock.now());
    assert!(held.seat.is_empty() && now > Instant::ZERO + SEND);
    assert_eq!((held.seat.left, place.count()), (now, (1, 0)));
}

/// Whoever has an earlier timer, a task to be woken or the end of the engine to tell nudges.
#[test]
fn a_nudge_ends_the_look() {
    let place = Place::new(Duration::from_secs(1).into());
    let nudge = Arc::clone(&place.shard.nudge);
    place.at_look(5, move || nudge.nudge());
    let seated = place.shard.sit(&mut place.shard.lock(), Instant::ZERO, false);
    assert_eq!(seated.unwrap().turn(None).unwrap(), Turn::Stays);
    assert_eq!(place.count(), (6, 0));
}

/// A timer that a call sets meanwhile is kept.
#[test]
fn a_timer_that_is_set_meanwhile_ends_the_look() {
    let place = Place::new(Duration::from_secs(1).into());
    let shard = Arc::downgrade(&place.shard);
    let far = Endpoint::new(IpAddr::V4(Ipv4Addr::new(10, 7, 0, 2)).into(), 7);
    place.at_look(5, move || {
        let begun = shard.upgrade().unwrap().call(|stack, now| {
            let id = stack.tcp_socket(Family::V4);
            Ok(stack.connect(id, far, now))
        });
        assert_eq!(begun.unwrap(), Err(tunstack_core::error::Error::InProgress));
    });
    let mut seated = place.shard.sit(&mut place.shard.lock(), Instant::ZERO, false).unwrap();
    assert_eq!(seated.next, Next::Sleep(Instant::FAR_FUTURE));
    seated.turn(None).unwrap();
    let due = place.shard.lock().stack.poll_timeout().unwrap();
    assert_eq!((seated.next, place.count()), (Next::Sleep(due), (6, 0)));
}

/// A shard behind a link that takes ten milliseconds inward, in real time, with a socket that has a packet on the wire.
fn behind_a_link(spin: Duration) -> (Shard, SocketId, Pipe) {
    let (pipe, far) = Pipe::pair(1500).unwrap();
    let device = Impair::new(pipe, LinkConfig::PERFECT, "10ms".parse().unwrap(), 1);
    let shard = Shard::new(Stack::new(config(), [1; 32]), Box::new(device), Clock::start(), spin).unwrap();
    let bound = shard.call(|stack, _| {
        let id = stack.udp_socket(Family::V4);
        stack.bind(id, own())?;
        Ok(id)
    });
    shard.open_seat();
    arrive_at(&far, 7, 1);
    (shard, bound.unwrap(), far)
}

/// The look takes it off the wire, and it is due later: nothing but its time ends the sleep.
#[test]
fn what_the_device_holds_back_since_the_look_ends_the_sleep() {
    let most = Duration::from_secs(20);
    let (shard, id, _far) = behind_a_link(Duration::ZERO);
    let (begin, watcher) = (shard.clock.now(), Watcher::before(&shard, id));
    assert_eq!(shard.sit_for(&watcher, Some(begin + most)), Sat::Through(Also::Nothing));
    assert!(shard.clock.now() < begin + most / 2);

    let (shard, id, _far) = behind_a_link(LATE);
    let begin = shard.clock.now();
    let deadline = Some(begin + most);
    let waited = wait_until(&shard, id, Interest::Readable, deadline, |stack, _| take(stack, id));
    assert_eq!(waited.unwrap(), 1);
    assert!(shard.clock.now() < begin + most / 2);
}

#[test]
fn what_else_a_poll_waits_for_ends_the_look() {
    let place = Place::new(Duration::from_secs(1).into());
    let watcher = place.watcher();
    let descriptor = watcher.descriptor.try_clone().unwrap();
    place.at_look(5, move || assert_eq!(rustix::io::write(&descriptor, &1u64.to_ne_bytes()), Ok(8)));
    assert_eq!(place.shard.sit_for(&watcher, None), Sat::Through(Also::Something));
    let (looks, sleeps) = place.count();
    assert!(looks <= 6 && sleeps == 0, "{looks} looks, {sleeps} sleeps");
}

/// It has slept until something came that is not for it, and has been told that there is nothing else; but that was then.
#[test]
fn a_look_that_finds_packets_says_nothing_of_what_else_there_is() {
    let place = Place::new(Spin::default());
    let watcher = place.watcher();
    place.expect(&[(LATE, NOBODY), (LATE + SEND + SOON, 7)]);
    assert_eq!(place.shard.sit_for(&watcher, None), Sat::Through(Also::Unasked));
    assert_eq!(place.count().1, 1);
}

/// Packets for others come as fast as they are read; a descriptor of the poll has something to tell.
#[test]
fn packets_for_others_do_not_hide_what_else_a_poll_waits_for() {
    for spin in [Duration::ZERO.into(), Spin::default()] {
        let place = Place::new(spin);
        let watcher = place.watcher();
        let bound = place.shard.call(|stack, _| {
            let id = stack.udp_socket(Family::V4);
            stack.bind(id, Endpoint { port: 8, ..own() })
        });
        bound.unwrap();
        let descriptor = watcher.descriptor.try_clone().unwrap();
        let arrivals: Vec<_> = (1..=5000).map(|n| (LOOK * n, 8)).collect();
        place.expect(&arrivals);
        place.at_look(5, move || assert_eq!(rustix::io::write(&descriptor, &1u64.to_ne_bytes()), Ok(8)));
        // Who was not told asks.
        assert!(matches!(place.shard.sit_for(&watcher, None), Sat::Through(Also::Something | Also::Unasked)));
        let left = place.script().arrivals.len();
        assert!(left > 4000, "{spin:?}: told after {} of 5000 packets, {:?}", 5000 - left, place.count());
    }
}
