//! How large a receive buffer has to be, and how much of it is offered: dynamic right-sizing (Fisk and Feng, 2001), with
//! the rules of Linux.
//!
//! A window keeps a sender back when it is less than what goes out in a round trip. How much that is the receiver sees by
//! what its program reads: once a round trip that is counted, and the buffer is to hold twice as much. Who reads slowly has
//! a small buffer; who reads fast is never what a transfer waits for. And what is offered begins small and grows with what
//! arrives, so that a buffer is promised to nobody who does not fill it.

use crate::seq::Seq;
use crate::time::{Duration, Instant};

/// Shorter text takes more memory than it has octets where it is held apart: half of each run counts as lost.
const SHORT: u32 = 256;

/// Segments that are lost, or read late, beside what a round trip brings.
const CUSHION: u32 = 16;

/// Segments that a program is taken to read in the round trip before the first: an initial window (RFC 6928).
const FIRST: u32 = 10;

/// What one connection has measured. There is none before text has arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RightSizing {
    /// The largest window to offer (Linux's `rcv_ssthresh`), octets.
    threshold: u32,
    /// The most octets that the program has read in a round trip.
    space: u32,
    /// What it had read when the present one began.
    read: Seq,
    /// When that was.
    since: Instant,
    /// The round trip, in eighths of a microsecond; 0 before the first sample.
    rtt: u32,
    /// Where the window ended when one began to be timed.
    edge: Seq,
    /// When that was.
    edge_since: Instant,
    /// The echo of the timestamp that gave the last sample.
    echo: u32,
}

impl RightSizing {
    /// The first text is here: `read` is what had been read before it, `edge` where the window ends, `threshold` the window
    /// that was offered.
    pub const fn new(threshold: u32, mss: u32, read: Seq, edge: Seq, now: Instant) -> Self {
        // A sender that fills a small window reaches no more than that window: half of it is not yet fast.
        let (first, half) = (mss.saturating_mul(FIRST), threshold / 2);
        Self {
            threshold,
            space: if first < half { first } else { half },
            read,
            since: now,
            rtt: 0,
            edge,
            edge_since: now,
            echo: 0,
        }
    }

    /// The largest window to offer, octets.
    pub const fn threshold(&self) -> u32 {
        self.threshold
    }

    /// The most octets that the program has read in a round trip; at first what an initial window has.
    pub const fn space(&self) -> u32 {
        self.space
    }

    /// The round trip as the receiver sees it, once there is a sample.
    pub fn rtt(&self) -> Option<Duration> {
        (self.rtt > 0).then(|| Duration::from_micros(u64::from(self.rtt / 8)))
    }

    /// Whether this echo has been taken: each counts once.
    pub const fn has_heard(&self, echo: u32) -> bool {
        echo == self.echo
    }

    /// A full segment echoes `echo`, which our clock showed one round trip ago. Of the segments that echo the same the first
    /// alone counts: the others are later for no other reason than that they are behind it.
    pub fn echoed(&mut self, echo: u32, round_trip: Duration) {
        if echo == self.echo {
            return;
        }
        self.echo = echo;
        let eighths = eighths(round_trip);
        self.rtt = if self.rtt == 0 { eighths } else { (self.rtt - self.rtt / 8 + eighths / 8).max(1) };
    }

    /// Text arrived up to `nxt`, and the window ends at `edge`. What lies beyond the edge of a window was sent in answer to
    /// what we sent since: that took a round trip or longer, so it can only bring the estimate down.
    pub fn arrived(&mut self, nxt: Seq, edge: Seq, now: Instant) {
        if !nxt.after(self.edge) {
            return;
        }
        let eighths = eighths(now.saturating_since(self.edge_since));
        self.rtt = if self.rtt == 0 { eighths } else { self.rtt.min(eighths) };
        (self.edge, self.edge_since) = (edge, now);
    }

    /// The program has read all before `read`. Once a round trip that gives the size that a buffer should have, octets,
    /// where it read more than in any before.
    pub fn measure(&mut self, read: Seq, mss: u32, now: Instant) -> Option<u32> {
        // Each segment asks: nanoseconds, without a division.
        let passed = now.as_nanos().saturating_sub(self.since.as_nanos());
        if self.rtt == 0 || passed < u64::from(self.rtt / 8) * 1000 {
            return None;
        }
        let copied = read.saturating_since(self.read);
        (self.read, self.since) = (read, now);
        let before = self.space;
        self.space = before.max(copied);
        (copied > before).then(|| {
            let (copied, before) = (u64::from(copied), u64::from(before.max(1)));
            let steady = 2 * copied + u64::from(CUSHION) * u64::from(mss);
            // A sender in slow start has twice as much the next time, before anything can be measured again.
            let more = steady.saturating_mul(2 * (copied - before)) / before;
            u32::try_from(steady.saturating_add(more)).unwrap_or(u32::MAX)
        })
    }

    /// A run of `text` octets arrived in order, where a buffer of `size` octets has room for `room` more: twice as much may
    /// be offered beyond what was. Runs that are short do not fill a buffer but with what surrounds them, and get no more
    /// than their part of it.
    pub fn grow(&mut self, text: u32, room: u32, size: u32) {
        let part = match text {
            SHORT.. => size,
            _ => (u64::from(size) * u64::from(text) / u64::from(SHORT)) as u32,
        };
        let left = room.min(part).saturating_sub(self.threshold);
        self.threshold += left.min(text.saturating_mul(2));
    }
}

/// A time in eighths of a microsecond, and never none.
fn eighths(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX).clamp(1, u32::MAX / 8) * 8
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::from_secs(9);

    fn at(millis: u64) -> Instant {
        START + Duration::from_millis(millis)
    }

    fn millis(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// A window of 60 000 octets from `base` on, in segments of 1000.
    fn fresh(base: Seq) -> RightSizing {
        RightSizing::new(60_000, 1000, base, base.add(60_000), START)
    }

    #[test]
    fn a_window_that_was_filled_is_no_round_trip_but_what_follows_it_is() {
        for base in [Seq::new(5), Seq::new(u32::MAX - 30_000)] {
            let mut s = fresh(base);
            s.arrived(base.add(60_000), base.add(60_000), START);
            assert_eq!(s.rtt(), None, "all of it may have been sent at once");
            s.arrived(base.add(61_000), base.add(120_000), at(80));
            assert_eq!(s.rtt(), Some(millis(80)));
            s.arrived(base.add(121_000), base.add(180_000), at(280));
            assert_eq!(s.rtt(), Some(millis(80)), "it took longer than a round trip");
            s.arrived(base.add(181_000), base.add(240_000), at(330));
            assert_eq!(s.rtt(), Some(millis(50)));
        }
    }

    #[test]
    fn echoes_are_averaged_and_each_counts_once() {
        let mut s = fresh(Seq::new(0));
        s.echoed(1, millis(100));
        s.echoed(1, millis(900));
        assert_eq!(s.rtt(), Some(millis(100)));
        s.echoed(2, millis(180));
        assert_eq!(s.rtt(), Some(millis(110)));
        for echo in 3..100 {
            s.echoed(echo, Duration::MAX);
        }
        assert!(s.rtt().unwrap() > Duration::from_secs(500), "no time is too long");
    }

    #[test]
    fn once_a_round_trip_a_size_is_wanted_where_more_was_read() {
        let base = Seq::new(u32::MAX - 5);
        let mut s = fresh(base);
        assert_eq!(s.measure(base.add(50_000), 1000, at(500)), None, "no round trip is known");
        s.echoed(1, millis(100));
        assert_eq!(s.measure(base.add(50_000), 1000, at(99)), None, "it is not over");
        // Five times the ten segments of the first: 116 000 and eight times as much.
        assert_eq!(s.measure(base.add(50_000), 1000, at(100)), Some(116_000 * 9));
        assert_eq!(s.space(), 50_000);
        assert_eq!(s.measure(base.add(100_000), 1000, at(200)), None, "no more than before");
        assert_eq!(s.measure(base.add(155_000), 1000, at(300)), Some(126_000 + 25_200));
        assert_eq!(s.measure(base.add(156_000), 1000, at(400)), None);
        assert_eq!(s.space(), 55_000, "the most there was");
    }

    #[test]
    fn a_size_is_never_too_large_to_count() {
        let mut s = RightSizing::new(0, 0, Seq::new(0), Seq::new(0), START);
        s.echoed(1, millis(1));
        assert_eq!(s.measure(Seq::new(1 << 30), u32::MAX, at(10)), Some(u32::MAX));
        s.grow(u32::MAX, u32::MAX, u32::MAX);
        assert_eq!(s.threshold(), u32::MAX);
    }

    #[test]
    fn the_threshold_grows_by_twice_what_arrives_into_the_room_there_is() {
        let mut s = fresh(Seq::new(0));
        s.grow(1000, 100_000, 100_000);
        assert_eq!(s.threshold(), 62_000);
        s.grow(1000, 62_500, 100_000);
        assert_eq!(s.threshold(), 62_500);
        s.grow(1000, 10, 100_000);
        assert_eq!(s.threshold(), 62_500, "it never shrinks");
        s.grow(128, 1 << 20, 125_100);
        assert_eq!(s.threshold(), 62_550, "a half for half of what a run costs");
        s.grow(1, 1 << 20, u32::MAX);
        assert_eq!(s.threshold(), 62_552);
    }
}
