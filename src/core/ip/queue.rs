//! Datagrams that wait to be read: what UDP sockets and ping sockets have in common.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use crate::addr::Endpoint;
use crate::error::Error;
use crate::sockopt::Shutdown;
use crate::wire::ip::Header;

/// A datagram taken from a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReceivedDatagram {
    /// Octets written to the caller's buffer.
    pub copied: usize,
    /// Octets the datagram had; more than `copied` when the buffer was too short and the rest is lost.
    pub len: usize,
    /// Not 0: these are several datagrams of one sender in a row, with so many octets each, the last of them perhaps
    /// with fewer (`UDP_GRO`). 0: one.
    pub segment_size: u16,
    /// Who sent it.
    pub from: Endpoint,
    /// Which of our addresses it came to.
    pub to: Endpoint,
    /// What its IP header said beside (`IP_RECVTTL`, `IP_RECVTOS` and their twins of IPv6).
    pub labels: Labels,
}

impl ReceivedDatagram {
    /// Nothing from nowhere: what a socket gives that is shut down for reading.
    pub const NONE: Self = Self {
        copied: 0,
        len: 0,
        segment_size: 0,
        from: Endpoint::UNSPECIFIED,
        to: Endpoint::UNSPECIFIED,
        labels: Labels { hop_limit: 0, traffic_class: 0 },
    };
}

/// What the IP header of a datagram said beside its addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Labels {
    /// TTL or hop limit left on arrival.
    pub hop_limit: u8,
    /// Type of service or traffic class: DSCP in the upper six bits, ECN in the lower two.
    pub traffic_class: u8,
}

impl Labels {
    /// Those of a header.
    //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.6
    //= id=rfc1122-3.2.1.6-2
    //# The IP layer SHOULD pass received TOS values up to the transport layer.
    pub const fn of(header: &Header) -> Self {
        Self { hop_limit: header.hop_limit, traffic_class: header.traffic_class }
    }
}

/// The queue has no room: the datagram is dropped, for the caller to count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("receive queue full")]
pub struct Full;

/// One datagram, or several that the device joined.
#[derive(Clone, Debug)]
struct Queued {
    from: Endpoint,
    to: Endpoint,
    labels: Labels,
    /// Octets of each datagram but the last; 0: there is one.
    segment_size: u16,
    /// Octets of those that have been read.
    read: u32,
    payload: Box<[u8]>,
}

impl Queued {
    /// What is read next, and the size of its parts: all that is left where datagrams may be `joined`, and else one
    /// of them.
    fn next(&self, joined: bool) -> (&[u8], u16) {
        let left = self.payload.get(self.read as usize..).unwrap_or_default();
        let size = usize::from(self.segment_size);
        if size == 0 || left.len() <= size {
            (left, 0)
        } else if joined {
            (left, self.segment_size)
        } else {
            (left.get(..size).unwrap_or_default(), 0)
        }
    }
}

/// Datagrams in the order of their arrival, bounded in memory.
#[derive(Clone, Debug, Default)]
pub struct DatagramQueue {
    datagrams: VecDeque<Queued>,
    charged: usize,
}

impl DatagramQueue {
    /// What a datagram costs beside its payload, octets: its place in the queue and the allocator's share.
    /// Without it a flood of empty datagrams would cost nothing and fill the memory.
    pub const OVERHEAD: usize = 64;

    /// Places that a drained queue keeps.
    const KEPT: usize = 16;

    /// An empty queue, which holds no memory.
    pub const fn new() -> Self {
        Self { datagrams: VecDeque::new(), charged: 0 }
    }

    /// Appends a copy, if the queue then holds at most `limit` octets. An empty queue takes any datagram, so
    /// that a small limit slows a socket down but does not silence it.
    pub fn push(
        &mut self,
        ends: (Endpoint, Endpoint),
        labels: Labels,
        payload: &[u8],
        limit: usize,
    ) -> Result<(), Full> {
        match self.push_joined(ends, labels, payload, 0, limit) {
            0 => Err(Full),
            _ => Ok(()),
        }
    }

    /// Appends a copy of the datagrams that `payload` was joined from, `segment_size` octets each and the last perhaps
    /// shorter, as far as the queue then holds at most `limit` octets. Says how many it took: of those that came
    /// together the last are lost first. 0 for the size: it is one.
    ///
    /// They are charged as one, since they lie in one piece.
    pub fn push_joined(
        &mut self,
        (from, to): (Endpoint, Endpoint),
        labels: Labels,
        payload: &[u8],
        segment_size: u16,
        limit: usize,
    ) -> usize {
        let size =
            if segment_size == 0 { payload.len() } else { usize::from(segment_size).min(payload.len()) };
        let room = limit.saturating_sub(self.charged).saturating_sub(Self::OVERHEAD);
        let (taken, count) = if payload.len() <= room || size == payload.len() {
            (payload.len(), payload.len().div_ceil(size.max(1)).max(1))
        } else {
            // An empty queue takes the first in any case.
            let fit = (room / size).max(usize::from(self.datagrams.is_empty()));
            (fit.saturating_mul(size), fit)
        };
        let charge = taken.saturating_add(Self::OVERHEAD);
        let refused = !self.datagrams.is_empty() && self.charged.saturating_add(charge) > limit;
        let (Some(payload), 1.., false) = (payload.get(..taken), count, refused) else { return 0 };
        self.charged = self.charged.saturating_add(charge);
        let segment_size = if count > 1 { segment_size } else { 0 };
        self.datagrams.push_back(Queued { from, to, labels, segment_size, read: 0, payload: payload.into() });
        count
    }

    /// Copies the oldest into `buf` as far as it fits, and takes it off unless `peek`. An empty datagram is
    /// one too. Those that came joined are given so where `joined` says that the reader can take them apart.
    pub fn receive(&mut self, buf: &mut [u8], peek: bool, joined: bool) -> Option<ReceivedDatagram> {
        let queued = self.datagrams.front_mut()?;
        let (text, segment_size) = queued.next(joined);
        let len = text.len();
        let copied = len.min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..copied), text.get(..copied)) {
            to.copy_from_slice(from);
        }
        let (from, to, labels) = (queued.from, queued.to, queued.labels);
        let received = ReceivedDatagram { copied, len, segment_size, from, to, labels };
        if peek {
            return Some(received);
        }
        queued.read = queued.read.saturating_add(len as u32);
        let whole = queued.payload.len();
        if queued.read as usize >= whole {
            self.charged = self.charged.saturating_sub(whole.saturating_add(Self::OVERHEAD));
            self.datagrams.pop_front();
            if self.datagrams.is_empty() && self.datagrams.capacity() > Self::KEPT {
                // A burst must not hold its places for ever.
                self.datagrams = VecDeque::new();
            }
        }
        Some(received)
    }

    /// How many datagrams wait, those that came joined counted as one.
    pub fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// Octets of the oldest datagram, 0 without one; of all of those that came joined where they may be read so.
    pub fn next_len(&self, joined: bool) -> usize {
        self.datagrams.front().map_or(0, |d| d.next(joined).0.len())
    }

    /// Octets charged against the limit: payloads and overhead.
    pub const fn charged(&self) -> usize {
        self.charged
    }
}

/// The receiving side of a datagram socket, its pending error and what has been shut down.
#[derive(Clone, Debug, Default)]
pub struct Inbox {
    queue: DatagramQueue,
    error: Option<Error>,
    read_closed: bool,
    write_closed: bool,
}

impl Inbox {
    /// Nothing has come, and nothing is shut down.
    pub const fn new() -> Self {
        Self { queue: DatagramQueue::new(), error: None, read_closed: false, write_closed: false }
    }

    /// Appends a copy, as [`DatagramQueue::push`] does.
    pub fn push(
        &mut self,
        ends: (Endpoint, Endpoint),
        labels: Labels,
        payload: &[u8],
        limit: usize,
    ) -> Result<(), Full> {
        self.queue.push(ends, labels, payload, limit)
    }

    /// Appends a copy of joined datagrams, as [`DatagramQueue::push_joined`] does: says of how many.
    pub fn push_joined(
        &mut self,
        ends: (Endpoint, Endpoint),
        labels: Labels,
        payload: &[u8],
        segment_size: u16,
        limit: usize,
    ) -> usize {
        self.queue.push_joined(ends, labels, payload, segment_size, limit)
    }

    /// Copies the oldest datagram into `buf`, as much of it as fits; the rest is lost. `peek` leaves it, and `joined` takes
    /// several that came together as one.
    ///
    /// A pending error comes first. After a shutdown for reading, what had come is still read, and then an
    /// empty datagram from nowhere ([`Endpoint::UNSPECIFIED`]) says that nothing will. Errors:
    /// [`Error::WouldBlock`], and whatever is pending.
    pub fn try_receive(
        &mut self,
        buf: &mut [u8],
        peek: bool,
        joined: bool,
    ) -> Result<ReceivedDatagram, Error> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        match self.queue.receive(buf, peek, joined) {
            Some(received) => Ok(received),
            None if self.read_closed => Ok(ReceivedDatagram::NONE),
            None => Err(Error::WouldBlock),
        }
    }

    /// Whether something may be sent. Errors: a pending one, and [`Error::BrokenPipe`] after a shutdown for
    /// writing.
    pub fn check_send(&mut self) -> Result<(), Error> {
        match self.error.take() {
            Some(error) => Err(error),
            None if self.write_closed => Err(Error::BrokenPipe),
            None => Ok(()),
        }
    }

    /// An error waits for the next call.
    pub const fn set_error(&mut self, error: Option<Error>) {
        self.error = error;
    }

    /// The pending error, which is then forgotten (`SO_ERROR`).
    pub const fn take_error(&mut self) -> Option<Error> {
        self.error.take()
    }

    /// Whether an error is pending.
    pub const fn has_error(&self) -> bool {
        self.error.is_some()
    }

    /// Whether reading gives a datagram or the end. A pending error is no data: `poll` of Linux says `POLLERR`
    /// alone.
    pub fn is_readable(&self) -> bool {
        !self.queue.is_empty() || self.read_closed
    }

    /// Whether it was shut down for reading.
    pub const fn is_read_closed(&self) -> bool {
        self.read_closed
    }

    /// Whether it was shut down for writing.
    pub const fn is_write_closed(&self) -> bool {
        self.write_closed
    }

    /// Shuts one direction or both.
    pub const fn shutdown(&mut self, how: Shutdown) {
        self.read_closed |= matches!(how, Shutdown::Read | Shutdown::Both);
        self.write_closed |= matches!(how, Shutdown::Write | Shutdown::Both);
    }

    /// Octets of the next datagram, 0 without one: see [`DatagramQueue::next_len`].
    pub fn next_len(&self, joined: bool) -> usize {
        self.queue.next_len(joined)
    }

    /// Octets that wait, charged with their overhead.
    pub const fn charged(&self) -> usize {
        self.queue.charged()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use core::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;
    use crate::addr::Address;

    fn end(port: u16) -> Endpoint {
        Endpoint::new(Address::v4(Ipv4Addr::new(10, 7, 0, 1)), port)
    }

    #[test]
    fn overhead_covers_the_place_in_the_queue() {
        assert!(core::mem::size_of::<Queued>() <= DatagramQueue::OVERHEAD);
    }

    #[test]
    fn truncates_and_says_so() {
        let mut queue = DatagramQueue::default();
        queue.push((end(1), end(2)), Labels { hop_limit: 9, traffic_class: 8 }, b"hello", 1000).unwrap();
        let mut buf = [0; 3];
        let labels = Labels { hop_limit: 9, traffic_class: 8 };
        let whole = ReceivedDatagram { copied: 3, len: 5, segment_size: 0, from: end(1), to: end(2), labels };
        assert_eq!(queue.receive(&mut buf, true, false), Some(whole));
        assert_eq!(queue.receive(&mut buf, false, false), Some(whole));
        assert_eq!(&buf, b"hel");
        assert_eq!(queue.receive(&mut buf, false, false), None);
        assert_eq!(queue.charged(), 0);
    }

    #[test]
    fn empty_datagrams_count() {
        let mut queue = DatagramQueue::default();
        queue.push((end(1), end(2)), Labels::default(), b"", 128).unwrap();
        queue.push((end(1), end(2)), Labels::default(), b"", 128).unwrap();
        assert_eq!(queue.push((end(1), end(2)), Labels::default(), b"", 128), Err(Full));
        assert_eq!(queue.receive(&mut [0; 8], false, false).unwrap().len, 0);
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn a_burst_gives_its_places_back() {
        let mut queue = DatagramQueue::default();
        for _ in 0..1000 {
            queue.push((end(1), end(2)), Labels::default(), b"x", usize::MAX).unwrap();
        }
        while queue.receive(&mut [], false, false).is_some() {}
        assert!(queue.datagrams.capacity() <= DatagramQueue::KEPT);
    }

    proptest! {
        #[test]
        fn first_in_first_out_within_the_limit(
            steps in prop::collection::vec(prop::option::of(0usize..300), 0..80),
            limit in 0usize..1000,
        ) {
            let mut queue = DatagramQueue::default();
            let mut model = VecDeque::new();
            for (i, step) in steps.into_iter().enumerate() {
                match step {
                    Some(len) => {
                        let room = model.is_empty()
                            || model.iter().map(|&(_, l)| l + 64).sum::<usize>() + len + 64 <= limit;
                        let payload = std::vec![0; len];
                        prop_assert_eq!(queue.push((end(i as u16), end(0)), Labels::default(), &payload, limit).is_ok(), room);
                        if room {
                            model.push_back((i as u16, len));
                        }
                    }
                    None => {
                        let got = queue.receive(&mut [0; 300], false, false).map(|r| (r.from.port, r.copied));
                        prop_assert_eq!(got, model.pop_front());
                    }
                }
                prop_assert_eq!(queue.charged(), model.iter().map(|&(_, l)| l + 64).sum::<usize>());
                prop_assert_eq!(queue.len(), model.len());
            }
        }
    }
}
