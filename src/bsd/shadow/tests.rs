use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use proptest::prelude::*;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::*;

const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
const READABLE: Readiness = Readiness::READABLE;
const WRITABLE: Readiness = Readiness::WRITABLE;
const READ_CLOSED: Readiness = Readiness::READ_CLOSED;
const HANG_UP: Readiness = Readiness::HANG_UP;
const ERROR: Readiness = Readiness::ERROR;
const URGENT: Readiness = Readiness::URGENT;
const NOTHING: Readiness = Readiness::empty();

/// What the kernel's poll says.
fn seen(fd: &OwnedFd) -> PollFlags {
    let all = PollFlags::IN | PollFlags::OUT | PollFlags::PRI | PollFlags::RDHUP;
    let mut fds = [PollFd::new(fd, all)];
    poll(&mut fds, Some(&NOW)).unwrap();
    fds[0].revents()
}

/// What it has to say.
fn meant(bits: Readiness) -> PollFlags {
    let mut flags = PollFlags::empty();
    // An urgent octet lies in the queue.
    flags.set(PollFlags::IN, bits.intersects(READABLE | URGENT));
    flags.set(PollFlags::OUT, bits.contains(WRITABLE));
    flags.set(PollFlags::RDHUP, bits.contains(READ_CLOSED));
    flags.set(PollFlags::HUP, bits.contains(HANG_UP));
    flags.set(PollFlags::ERR, bits.contains(ERROR));
    flags.set(PollFlags::PRI, bits.contains(URGENT));
    flags
}

/// The same as epoll says it.
fn event(bits: Readiness) -> EventFlags {
    EventFlags::from_bits_retain(meant(bits).bits().into())
}

/// A socket as the stack may report it: what was random is bent to what occurs.
#[derive(Default)]
struct Life {
    bits: Readiness,
    failed: bool,
}

impl Life {
    fn stream(&mut self, random: u8) -> Readiness {
        let mut bits = Readiness::from_bits_truncate(random);
        // An end is rarer than the rest, and for good.
        if random & 0xc0 != 0xc0 {
            bits -= READ_CLOSED | HANG_UP | ERROR;
        }
        bits |= self.bits & (READ_CLOSED | HANG_UP);
        if self.bits.contains(READ_CLOSED) {
            bits -= URGENT - self.bits;
        }
        if self.failed {
            // An error is told once, and there is none after the end.
            bits -= ERROR - self.bits;
        }
        if bits.contains(ERROR) {
            self.failed = true;
            bits |= HANG_UP;
            bits -= URGENT - self.bits;
        }
        if bits.contains(HANG_UP) {
            bits |= READ_CLOSED | WRITABLE;
        }
        if bits.contains(READ_CLOSED) {
            bits |= READABLE;
        }
        self.bits = bits;
        bits
    }

    fn datagram(&mut self, random: u8) -> Readiness {
        let mut bits = (Readiness::from_bits_truncate(random) - URGENT) | WRITABLE;
        if random & 0xc0 != 0xc0 {
            bits -= READ_CLOSED | HANG_UP;
        }
        bits |= self.bits & (READ_CLOSED | HANG_UP);
        if bits.contains(HANG_UP) {
            bits |= READ_CLOSED;
            // An error of a socket that is shut down both ways is shown once.
            if self.failed {
                bits -= ERROR - self.bits;
            }
            self.failed |= bits.contains(ERROR);
        }
        if bits.contains(READ_CLOSED) {
            bits |= READABLE;
        }
        self.bits = bits;
        bits
    }
}

/// The number stands for another file now, as `renumber` does it.
fn renumbered(fd: &mut OwnedFd, renewed: Renewed) {
    rustix::io::dup3(&renewed.fd, fd, rustix::io::DupFlags::CLOEXEC).unwrap();
}

/// What the kernel has no bit for.
const UNSHOWN: Readiness = Readiness::URGENT_AHEAD.union(Readiness::SOFT_ERROR);

/// What is new: what was not shown, and some of what was.
fn edges(was: Readiness, bits: Readiness, random: u8) -> Readiness {
    let again = READABLE | WRITABLE | URGENT;
    (bits - was) | (bits & again & Readiness::from_bits_truncate(random))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn a_stream_shows_what_it_is_told(steps in prop::collection::vec(any::<(u8, u8)>(), 1..60)) {
        let (mut fd, shadow) = Shadow::fresh(true).unwrap();
        prop_assert_eq!(seen(&fd), PollFlags::OUT | PollFlags::HUP);
        let number = fd.as_raw_fd();
        let mut watched = Edges::of(&fd, ALL);
        let mut life = Life::default();
        for (step, news) in steps {
            if shadow.is_fresh() || life.bits.contains(HANG_UP) && step % 4 == 0 {
                if let Some(renewed) = shadow.engage(shadow.prepare().unwrap()).unwrap() {
                    renumbered(&mut fd, renewed);
                    watched = Edges::of(&fd, ALL);
                }
                life = Life::default();
                prop_assert_eq!(seen(&fd), PollFlags::empty(), "engaged");
            } else if step == 5 {
                renumbered(&mut fd, shadow.renew().unwrap());
                watched = Edges::of(&fd, ALL);
                life = Life::default();
                prop_assert_eq!(seen(&fd), PollFlags::OUT | PollFlags::HUP, "renewed");
                continue;
            }
            watched.next();
            let was = life.bits;
            let bits = life.stream(step);
            let edges = edges(was, bits, news);
            shadow.changed(bits, edges);
            prop_assert_eq!(seen(&fd), meant(bits), "{:?} after {:?}", bits, was);
            let told = if (edges - UNSHOWN).is_empty() { NO_EDGE } else { event(bits) };
            prop_assert_eq!(watched.next(), told, "{:?} after {:?}, {:?} new", bits, was, edges);
        }
        prop_assert_eq!(fd.as_raw_fd(), number);
    }

    #[test]
    fn a_datagram_socket_shows_what_it_is_told(steps in prop::collection::vec(any::<(u8, u8)>(), 1..60)) {
        let (fd, shadow) = Shadow::datagram(true).unwrap();
        prop_assert_eq!(seen(&fd), PollFlags::OUT);
        let watched = Edges::of(&fd, ALL);
        let mut life = Life { bits: WRITABLE, failed: false };
        for (step, news) in steps {
            watched.next();
            let was = life.bits;
            let bits = life.datagram(step);
            let edges = edges(was, bits, news);
            shadow.changed(bits, edges);
            prop_assert_eq!(seen(&fd), meant(bits), "{:?} after {:?}", bits, was);
            // An error that stands is raised anew around a read.
            if !(was & bits).contains(ERROR) {
                let told = if (edges - UNSHOWN).is_empty() { NO_EDGE } else { event(bits) };
                prop_assert_eq!(watched.next(), told, "{:?} after {:?}, {:?} new", bits, was, edges);
            }
        }
    }
}

/// Watches one descriptor for edges.
struct Edges(OwnedFd);

impl Edges {
    fn of(fd: &OwnedFd, flags: EventFlags) -> Self {
        let epoll = epoll::create(CreateFlags::CLOEXEC).unwrap();
        epoll::add(&epoll, fd, EventData::new_u64(1), flags | EventFlags::ET).unwrap();
        Self(epoll)
    }

    /// What came since last asked.
    fn next(&self) -> EventFlags {
        let mut events = [const { std::mem::MaybeUninit::uninit() }; 4];
        let (found, _) = epoll::wait(self.0.as_fd(), &mut events, Some(&NOW)).unwrap();
        found.iter().fold(EventFlags::empty(), |all, event| all | event.flags)
    }
}

const ALL: EventFlags = BOTH.union(EventFlags::PRI);
const BOTH: EventFlags = EventFlags::IN.union(EventFlags::OUT).union(EventFlags::RDHUP);
const NO_EDGE: EventFlags = EventFlags::empty();

#[test]
fn a_fresh_socket_that_begins_to_connect_gives_no_edge() {
    let (fd, shadow) = Shadow::fresh(true).unwrap();
    let edges = Edges::of(&fd, BOTH);
    assert_eq!(edges.next(), EventFlags::OUT | EventFlags::HUP);
    assert!(shadow.engage(shadow.prepare().unwrap()).unwrap().is_none(), "it stays the same file");
    assert_eq!(edges.next(), NO_EDGE);
    shadow.changed(NOTHING, NOTHING);
    assert_eq!(edges.next(), NO_EDGE);
    shadow.changed(WRITABLE, WRITABLE);
    assert_eq!(edges.next(), EventFlags::OUT, "connected");
    assert_eq!(edges.next(), NO_EDGE);
}

#[test]
fn data_gives_an_edge_each_time_it_comes_and_not_else() {
    for (fd, shadow) in [Shadow::connected(true).unwrap(), Shadow::datagram(true).unwrap()] {
        let edges = Edges::of(&fd, EventFlags::IN);
        assert_eq!(edges.next(), NO_EDGE);
        shadow.changed(READABLE | WRITABLE, READABLE);
        assert_eq!(edges.next(), EventFlags::IN);
        assert_eq!(edges.next(), NO_EDGE, "nothing new");
        // More came while some was there.
        for _ in 0..1000 {
            shadow.changed(READABLE | WRITABLE, READABLE);
            assert_eq!(edges.next(), EventFlags::IN);
            assert_eq!(edges.next(), NO_EDGE);
        }
        shadow.changed(WRITABLE, NOTHING);
        assert_eq!(edges.next(), NO_EDGE, "drained");
        shadow.changed(READABLE | WRITABLE, READABLE);
        assert_eq!(edges.next(), EventFlags::IN, "filled again");
        shadow.changed(READABLE | WRITABLE | READ_CLOSED, READABLE | READ_CLOSED);
        assert_eq!(edges.next(), EventFlags::IN);
        shadow.changed(READABLE | WRITABLE | READ_CLOSED, READABLE | READ_CLOSED);
        assert_eq!(edges.next(), EventFlags::IN, "data for a socket that is shut down for reading");
    }
}

#[test]
fn room_gives_an_edge_when_it_comes() {
    let (fd, shadow) = Shadow::connected(true).unwrap();
    let edges = Edges::of(&fd, EventFlags::OUT);
    assert_eq!(edges.next(), EventFlags::OUT);
    for _ in 0..100 {
        shadow.changed(NOTHING, NOTHING);
        assert_eq!(edges.next(), NO_EDGE);
        shadow.changed(WRITABLE, WRITABLE);
        assert_eq!(edges.next(), EventFlags::OUT);
        // Data is no news for a writer.
        shadow.changed(READABLE | WRITABLE, READABLE);
        shadow.changed(READABLE | WRITABLE, READABLE);
        shadow.changed(WRITABLE, NOTHING);
        assert_eq!(edges.next(), NO_EDGE);
        shadow.changed(WRITABLE, WRITABLE);
        assert_eq!(edges.next(), EventFlags::OUT, "there was no room for a moment");
    }
}

#[test]
fn urgent_data_gives_edges_while_more_comes() {
    let (fd, shadow) = Shadow::connected(true).unwrap();
    let edges = Edges::of(&fd, EventFlags::IN | EventFlags::PRI);
    let urgent = READABLE | WRITABLE | URGENT;
    // Far beyond what a queue holds.
    for _ in 0..2000 {
        shadow.changed(urgent, READABLE | URGENT);
        assert_eq!(edges.next(), EventFlags::IN | EventFlags::PRI);
        assert_eq!(edges.next(), NO_EDGE);
    }
    shadow.changed(READABLE | WRITABLE, READABLE);
    assert_eq!(seen(&fd), PollFlags::IN | PollFlags::OUT);
    shadow.changed(WRITABLE, NOTHING);
    assert_eq!(seen(&fd), PollFlags::OUT);
    shadow.changed(URGENT, URGENT);
    shadow.changed(NOTHING, NOTHING);
    assert_eq!(seen(&fd), PollFlags::empty());
}

#[test]
fn the_ends_give_edges() {
    let (fd, shadow) = Shadow::connected(true).unwrap();
    let edges = Edges::of(&fd, BOTH);
    assert_eq!(edges.next(), EventFlags::OUT);
    let half = WRITABLE | READABLE | READ_CLOSED;
    shadow.changed(half, READABLE | READ_CLOSED);
    assert_eq!(edges.next(), EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP);
    assert_eq!(edges.next(), NO_EDGE);
    shadow.changed(half | HANG_UP, HANG_UP);
    assert_eq!(edges.next(), BOTH | EventFlags::HUP);
    assert_eq!(edges.next(), NO_EDGE);
    shadow.changed(half | HANG_UP | ERROR, ERROR);
    assert_eq!(edges.next(), BOTH | EventFlags::HUP | EventFlags::ERR);
    assert_eq!(edges.next(), NO_EDGE);
    shadow.changed(half | HANG_UP, NOTHING);
    assert_eq!((edges.next(), seen(&fd)), (NO_EDGE, meant(half | HANG_UP)), "an error that was taken");
}

#[test]
fn each_error_of_a_datagram_socket_gives_an_edge() {
    let (fd, shadow) = Shadow::datagram(true).unwrap();
    let edges = Edges::of(&fd, EventFlags::IN);
    for _ in 0..10 {
        shadow.changed(WRITABLE | ERROR, ERROR);
        assert_eq!(edges.next(), EventFlags::ERR);
        shadow.changed(WRITABLE | ERROR, ERROR);
        assert_eq!(edges.next(), EventFlags::ERR, "another");
        shadow.changed(WRITABLE | READABLE | ERROR, READABLE);
        assert_eq!(edges.next(), EventFlags::IN | EventFlags::ERR);
        shadow.changed(WRITABLE | ERROR, NOTHING);
        assert_eq!(seen(&fd), PollFlags::OUT | PollFlags::ERR, "the data was read, not the error");
        edges.next();
        shadow.changed(WRITABLE, NOTHING);
        assert_eq!((edges.next(), seen(&fd)), (NO_EDGE, PollFlags::OUT));
    }
}

#[test]
fn a_closed_socket_shows_nothing_more_and_nobody_watches_it() {
    let (fd, shadow) = Shadow::connected(true).unwrap();
    let edges = Edges::of(&fd, BOTH);
    assert_eq!(edges.next(), EventFlags::OUT);
    drop(fd);
    shadow.changed(READABLE, READABLE);
    assert_ne!(edges.next(), NO_EDGE, "while it is ours it is the same file");
    shadow.retire();
    shadow.changed(Readiness::all(), Readiness::all());
    assert_eq!(edges.next(), NO_EDGE);
    assert_eq!(shadow.prepare().unwrap_err(), Errno::BADF);
}

/// Who waited for a listener learns that it is none any more.
#[test]
fn who_waits_for_the_old_file_is_woken_by_the_new_one() {
    let (mut fd, shadow) = Shadow::fresh(true).unwrap();
    assert!(shadow.engage(shadow.prepare().unwrap()).unwrap().is_none());
    let old = rustix::io::fcntl_dupfd_cloexec(&fd, 0).unwrap();
    let edges = Edges::of(&old, EventFlags::IN);
    renumbered(&mut fd, shadow.renew().unwrap());
    assert_eq!(edges.next(), EventFlags::IN | EventFlags::HUP);
    assert_eq!(seen(&fd), PollFlags::OUT | PollFlags::HUP);
}
