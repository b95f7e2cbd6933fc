//! Acknowledgments that wait for the program's reply, with a peer behind the device, in virtual time: it goes on only while
//! somebody sleeps.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tunstack_core::error::Error;
use tunstack_core::sockopt::Shutdown;

use super::*;

/// What passes while somebody sleeps before a device that has nothing.
const NAP: Duration = Duration::from_millis(1);

/// What a peer does whenever it has a turn.
type Conduct = fn(&mut Peer, Instant);

struct Peer {
    stack: Stack,
    id: SocketId,
    conduct: Conduct,
    /// How far it is.
    step: usize,
    /// Octets that it was sent.
    read: usize,
    /// Packets that it was sent.
    packets: usize,
}

impl Peer {
    fn write(&mut self, text: &[u8], now: Instant) {
        assert_eq!(self.stack.try_write(self.id, text, now), Ok(text.len()));
    }

    fn take_turn(&mut self, far: &Pipe, now: Instant) {
        let mut frames = Frames::new(BATCH, 1500);
        while far.recv(now, &mut frames).unwrap() > 0 {
            for inbound in frames.iter() {
                self.packets += 1;
                self.stack.receive(now, inbound);
            }
            frames.clear();
        }
        while let Ok(n @ 1..) = self.stack.try_read(self.id, &mut [0; 99]) {
            self.read += n;
        }
        // What it does in two steps is not one segment.
        for _ in 0..2 {
            (self.conduct)(self, now);
            self.stack.handle_timeout(now);
            while let Some(datagram) = self.stack.poll_transmit(now) {
                far.send(now, &datagram).unwrap();
            }
        }
    }
}

/// A device with a peer behind it, which has a turn whenever somebody looks.
struct Line {
    pipe: Pipe,
    far: Pipe,
    clock: Arc<Clock>,
    peer: Mutex<Peer>,
}

impl Line {
    fn look(&self) {
        self.peer.lock().unwrap().take_turn(&self.far, self.clock.now());
    }
}

impl Device for Arc<Line> {
    fn recv(&self, now: Instant, frames: &mut Frames) -> io::Result<usize> {
        self.look();
        self.pipe.recv(now, frames)
    }

    fn send(&self, now: Instant, datagram: &Datagram<'_>) -> io::Result<()> {
        self.pipe.send(now, datagram)
    }

    fn capabilities(&self) -> Capabilities {
        self.pipe.capabilities()
    }

    /// Somebody sleeps, if there is nothing on the wire.
    fn readable(&self) -> BorrowedFd<'_> {
        self.look();
        let mut ready = [PollFd::from_borrowed_fd(self.pipe.readable(), PollFlags::IN)];
        if poll(&mut ready, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 0 {
            self.clock.as_virtual().unwrap().advance(self.clock.now() + NAP);
            self.look();
        }
        self.pipe.readable()
    }
}

/// A server, and what it is connected with.
struct Served {
    shard: Arc<Shard>,
    id: SocketId,
    line: Arc<Line>,
    start: Instant,
}

impl Served {
    /// A connection that was accepted a moment ago.
    fn with(conduct: Conduct) -> Self {
        let (pipe, far) = Pipe::pair(1500).unwrap();
        let clock = Arc::new(Clock::start_virtual());
        clock.as_virtual().unwrap().advance(Instant::from_secs(1));
        let now = clock.now();
        let other = Endpoint::new(IpAddr::V4(Ipv4Addr::new(10, 7, 0, 2)).into(), 9);
        let addresses = vec![Prefix::new(other.address, 24)];
        let mut stack = Stack::new(Config { addresses, ..Config::default() }, [2; 32]);
        let id = stack.tcp_socket(Family::V4);
        stack.bind(id, other).unwrap();
        assert_eq!(stack.connect(id, own(), now), Err(Error::InProgress));
        let peer = Peer { stack, id, conduct: |_, _| {}, step: 0, read: 0, packets: 0 };
        let line = Arc::new(Line { pipe, far, clock: Arc::clone(&clock), peer: Mutex::new(peer) });
        let stack = Stack::new(config(), [1; 32]);
        let shard = Shard::new(stack, Box::new(Arc::clone(&line)), clock, Duration::ZERO).unwrap();
        let listener = shard.call(|stack, _| {
            let id = stack.tcp_socket(Family::V4);
            stack.bind(id, own())?;
            stack.listen(id, 8)?;
            Ok(id)
        });
        shard.open_seat();
        let listener = listener.unwrap();
        let id =
            wait_until(&shard, listener, Interest::Readable, None, |stack, _| stack.try_accept(listener));
        let start = shard.clock.now();
        let served = Self { shard: Arc::new(shard), id: id.unwrap(), line, start };
        served.make_quick();
        let mut peer = served.peer();
        (peer.conduct, peer.packets) = (conduct, 0);
        drop(peer);
        served
    }

    /// Those who come back soon are relied on.
    fn make_quick(&self) {
        let mut held = self.shard.lock();
        for _ in 0..8 {
            held.seat.pace.went(Instant::ZERO);
            held.seat.pace.came(Instant::ZERO);
        }
        held.release();
    }

    fn peer(&self) -> std::sync::MutexGuard<'_, Peer> {
        self.line.peer.lock().unwrap()
    }

    /// What the peer was sent so far, counted by it.
    fn packets(&self) -> usize {
        self.line.look();
        self.peer().packets
    }

    fn since_start(&self) -> Duration {
        self.shard.clock.now().saturating_since(self.start)
    }

    /// Whether acknowledgments wait.
    fn holds(&self) -> bool {
        self.shard.lock().stack.holds_acks()
    }

    fn read(&self) -> Result<usize, io::ErrorKind> {
        self.shard.call_of(self.id, |stack, _| stack.try_read(self.id, &mut [0; 99])).map_err(|e| e.kind())
    }

    fn read_waiting(&self) -> usize {
        wait_until(&self.shard, self.id, Interest::Readable, None, |stack, _| {
            stack.try_read(self.id, &mut [0; 99])
        })
        .unwrap()
    }

    fn write(&self, text: &[u8]) {
        self.shard.call_of(self.id, |stack, now| stack.try_write(self.id, text, now)).unwrap();
    }

    /// Polls for the socket.
    fn poll(&self, watcher: &Watcher) {
        watcher.roused.store(false, Ordering::Relaxed);
        assert!(matches!(self.shard.sit_for(watcher, None), Sat::Through(_)));
        assert!(watcher.is_roused());
    }
}

/// Asks once, and ends when it has the reply.
fn asks_once(peer: &mut Peer, now: Instant) {
    match peer.step {
        0 => peer.write(b"asked", now),
        1 if peer.read == 5 => peer.stack.shutdown(peer.id, Shutdown::Write, now).unwrap(),
        _ => return,
    }
    peer.step += 1;
}

/// Writes twice before it reads: by Nagle's algorithm the second write leaves when the first is acknowledged.
fn asks_in_two(peer: &mut Peer, now: Instant) {
    match peer.step {
        0 => peer.write(b"as", now),
        1 => peer.write(b"ked", now),
        _ => return,
    }
    peer.step += 1;
}

/// The reply and the end, and none beside.
#[test]
fn a_poller_replies_with_one_packet_and_closes_with_another() {
    let served = Served::with(asks_once);
    let watcher = Watcher::before(&served.shard, served.id);
    served.poll(&watcher);
    assert!(served.holds());
    assert_eq!(served.read(), Ok(5));
    served.write(b"reply");
    assert_eq!(served.packets(), 1);
    served.poll(&watcher);
    assert_eq!(served.read(), Ok(0));
    served.shard.close(served.id);
    assert_eq!((served.packets(), served.since_start()), (2, Duration::ZERO));
}

#[test]
fn so_does_a_thread_that_waits_for_its_socket() {
    let served = Served::with(asks_once);
    assert_eq!(served.read_waiting(), 5);
    assert!(served.holds());
    served.write(b"reply");
    assert_eq!(served.read_waiting(), 0);
    served.shard.close(served.id);
    assert_eq!((served.packets(), served.since_start()), (2, Duration::ZERO));
}

#[test]
fn who_polls_for_more_acknowledges_before_it_sleeps() {
    let served = Served::with(asks_in_two);
    let watcher = Watcher::before(&served.shard, served.id);
    for octets in [2, 3] {
        served.poll(&watcher);
        assert_eq!(served.read(), Ok(octets));
    }
    assert_eq!(served.since_start(), Duration::ZERO);
}

#[test]
fn who_waits_for_more_does_so_too() {
    let served = Served::with(asks_in_two);
    assert_eq!([served.read_waiting(), served.read_waiting()], [2, 3]);
    assert_eq!(served.since_start(), Duration::ZERO);
}

/// Whoever is about to wait, for whatever.
#[test]
fn so_does_whoever_else_waits() {
    let told = || {
        let served = Served::with(asks_in_two);
        let watcher = Watcher::before(&served.shard, served.id);
        served.poll(&watcher);
        assert!(served.holds() && served.packets() == 0);
        served
    };
    let now = |served: &Served| Some(served.shard.clock.now());
    let acknowledged = |served: &Served| !served.holds() && served.packets() == 1;

    let served = told();
    let other = served.shard.call(|stack, _| Ok(stack.udp_socket(Family::V4))).unwrap();
    let waits =
        wait_until(&served.shard, other, Interest::Readable, now(&served), |stack, _| take(stack, other));
    assert_eq!(waits.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert!(acknowledged(&served), "a call");

    let served = told();
    let cx = &mut Context::from_waker(Waker::noop());
    let waits = poll_op(&served.shard, served.id, Readiness::HANG_UP, None, cx, |_, _| {
        Err::<(), _>(Error::WouldBlock)
    });
    assert!(waits.is_pending() && acknowledged(&served), "a task");

    let served = told();
    assert!(!crate::engine::wait::wait_for(&served.shard, now(&served), |_| false));
    assert!(acknowledged(&served), "who waits for anything");

    let served = told();
    let watcher = Watcher::before(&served.shard, served.id);
    assert_eq!(served.shard.sit_for(&watcher, now(&served)), Sat::Through(Also::Unasked));
    assert!(acknowledged(&served), "another poll");

    let served = told();
    served.shard.watch.call();
    served.line.clock.as_virtual().unwrap().advance(served.shard.clock.now() + PATIENCE);
    drop(served.shard.stand_by().unwrap().unwrap());
    assert!(acknowledged(&served), "the reader, in place of those who do not come back");
}

/// It comes back for what came meanwhile: what it was told of before it has worked on.
#[test]
fn a_poll_that_need_not_wait_acknowledges_what_it_was_told_of_before() {
    let served = Served::with(asks_in_two);
    let watcher = Watcher::before(&served.shard, served.id);
    served.poll(&watcher);
    served.shard.send_unsent();
    assert!(served.holds() && served.packets() == 0);
    served.shard.send_unsent();
    assert!(!served.holds() && served.packets() == 1);
    assert_eq!(served.read(), Ok(2));
    served.poll(&watcher);
    assert_eq!(served.since_start(), Duration::ZERO);
}

/// Neither waits nor replies: then the time is over.
#[test]
fn who_works_on_and_on_acknowledges_within_a_millisecond() {
    let served = Served::with(asks_in_two);
    assert_eq!(served.read_waiting(), 2);
    for _ in 0..20 {
        assert_eq!(served.read(), Err(io::ErrorKind::WouldBlock));
    }
    assert_eq!(served.packets(), 0);
    served.line.clock.as_virtual().unwrap().advance(served.shard.clock.now() + PATIENCE);
    assert_eq!(served.read(), Err(io::ErrorKind::WouldBlock));
    assert_eq!(served.packets(), 2, "what it was told of, and what came for that");
}

/// What comes for others than the one who sits leaves nobody who is known to work on it.
#[test]
fn what_nobody_was_told_of_is_acknowledged_at_once() {
    let served = Served::with(asks_in_two);
    let other = served.shard.call(|stack, _| Ok(stack.udp_socket(Family::V4))).unwrap();
    let watcher = Watcher::before(&served.shard, other);
    let deadline = served.shard.clock.now() + NAP;
    assert_eq!(served.shard.sit_for(&watcher, Some(deadline)), Sat::Through(Also::Nothing));
    assert!(!served.holds() && served.packets() == 2, "each of its writes");
    assert_eq!(served.read(), Ok(5));
}

/// Both ends in one stack, and a program that was told of something a moment ago.
#[test]
fn over_loopback_a_second_write_does_not_wait() {
    let served = Served::with(asks_once);
    let shard = &served.shard;
    assert_eq!(served.read_waiting(), 5);
    let [listener, client] = [8, 0].map(|port| {
        let end = Endpoint::new(own().address, port);
        shard
            .call(|stack, _| {
                let id = stack.tcp_socket(Family::V4);
                stack.bind(id, end)?;
                if port > 0 { stack.listen(id, 8).map(|()| id) } else { Ok(id) }
            })
            .unwrap()
    });
    let to = Endpoint::new(own().address, 8);
    let begun = shard.call_of(client, |stack, now| stack.connect(client, to, now));
    assert_eq!(begun.unwrap_err().raw_os_error(), Some(Errno::INPROGRESS.raw_os_error()));
    let server = shard.call_of(listener, |stack, _| stack.try_accept(listener)).unwrap();
    for text in [b"as", b"ke"] {
        shard.call_of(client, |stack, now| stack.try_write(client, text, now)).unwrap();
    }
    assert_eq!(shard.call_of(server, |stack, _| stack.try_read(server, &mut [0; 9])).unwrap(), 4);
}
