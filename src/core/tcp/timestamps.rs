//! The timestamps option (RFC 7323 §3 to §5): TS.Recent, PAWS, and the clock we show the peer.

use super::seq::Seq;
use crate::time::{Duration, Instant};
use crate::wire::options;

/// TS.Recent means nothing after this long without news (RFC 7323 §5.5).
const RECENT_LIFETIME: Duration = Duration::from_secs(24 * 24 * 3600);

/// A connection's side of the timestamps option. Our clock ticks every millisecond from an offset that is
/// random for each connection (RFC 7323 §5.4).
#[derive(Clone, Copy, Debug)]
pub struct Timestamps {
    /// Added to the milliseconds of the stack's time.
    offset: u32,
    /// TS.Recent: the timestamp to echo.
    recent: u32,
    /// When TS.Recent was last taken, whole seconds of the stack's time.
    recent_at: u32,
    /// Both sides sent the option on their SYN.
    enabled: bool,
}

impl Timestamps {
    /// Not negotiated yet.
    pub const fn new(offset: u32) -> Self {
        //= https://www.rfc-editor.org/rfc/rfc7323#section-3.2
        //= id=rfc7323-3.2-1
        //# If the ACK bit is not set in the outgoing TCP header, the sender of that segment SHOULD set the
        //# TSecr field to zero.
        Self { offset, recent: 0, recent_at: 0, enabled: false }
    }

    /// Negotiated: the peer's SYN carried `value`.
    pub const fn enable(&mut self, value: u32, now: Instant) {
        //= https://www.rfc-editor.org/rfc/rfc7323#section-3.2
        //= id=rfc7323-3.2-6
        //# The TCP SHOULD remember this state by setting a flag, referred to as Snd.TS.OK, to one.
        self.enabled = true;
        self.set_recent(value, now);
    }

    /// Whether both sides use the option.
    pub const fn enabled(&self) -> bool {
        self.enabled
    }

    /// The value our clock shows.
    pub const fn clock(&self, now: Instant) -> u32 {
        //= https://www.rfc-editor.org/rfc/rfc7323#section-4.1
        //= id=rfc7323-4.1-1
        //# Values of this clock MUST be at least approximately proportional to real time, in order to measure
        //# actual RTT.
        //= https://www.rfc-editor.org/rfc/rfc7323#section-5.4
        //= id=rfc7323-5.4-1
        //# It MUST tick at least once for each 2^31 bytes sent.
        //= https://www.rfc-editor.org/rfc/rfc7323#section-5.4
        //= id=rfc7323-5.4-2
        //# In fact, in order to be useful to the sender for round-trip timing, the clock SHOULD tick at least
        //# once per window's worth of data, and even with the window extension defined in Section 2.2, 2^31
        //# bytes must be at least two windows.
        //= https://www.rfc-editor.org/rfc/rfc7323#section-5.4
        //= id=rfc7323-5.4-3
        //# The recycling time of the timestamp clock MUST be greater than MSL seconds.
        (now.as_millis() as u32).wrapping_add(self.offset)
    }

    /// TS.Recent.
    pub const fn recent(&self) -> u32 {
        self.recent
    }

    /// The option for a segment leaving now.
    pub const fn option(&self, now: Instant) -> options::Timestamps {
        //= https://www.rfc-editor.org/rfc/rfc7323#section-3.2
        //= id=rfc7323-3.2-2
        //# When the ACK bit is set in an outgoing segment, the sender MUST echo a recently received TSval sent
        //# by the remote TCP in the TSval field of a Timestamps option.
        //= https://www.rfc-editor.org/rfc/rfc7323#section-3.2
        //= id=rfc7323-3.2-3
        //# The exact rules on which TSval MUST be echoed are given in Section 4.3.
        options::Timestamps { value: self.clock(now), echo: self.recent }
    }

    const fn set_recent(&mut self, value: u32, now: Instant) {
        self.recent = value;
        self.recent_at = (now.as_millis() / 1000) as u32;
    }

    /// PAWS, R1: whether a segment with this TSval is older than what we have seen (RFC 7323 §5.3).
    pub const fn is_old(&self, value: u32, now: Instant) -> bool {
        let before = before(value, self.recent);
        let age = ((now.as_millis() / 1000) as u32).wrapping_sub(self.recent_at);
        before && (age as u64) < RECENT_LIFETIME.as_secs()
    }

    /// Takes TSval from a segment that spans the last acknowledgment we sent (RFC 7323 §4.3).
    pub fn update(&mut self, value: u32, seq: Seq, last_ack_sent: Seq, now: Instant) {
        //= https://www.rfc-editor.org/rfc/rfc7323#section-4.3
        //= id=rfc7323-4.3-1
        //# Thus, when delayed ACKs are in use, the receiver SHOULD reply with the TSval field from the earliest
        //# unacknowledged segment.
        //= https://www.rfc-editor.org/rfc/rfc7323#section-4.3
        //= id=rfc7323-4.3-2
        //# An <ACK> for an out-of-order segment SHOULD, therefore, contain the timestamp from the most recent
        //# segment that advanced RCV.NXT.
        //= https://www.rfc-editor.org/rfc/rfc7323#section-4.3
        //= id=rfc7323-4.3-3
        //# Thus, the timestamp from the latest segment (which filled the hole) MUST be echoed.
        //= https://www.rfc-editor.org/rfc/rfc7323#section-5.2
        //= id=rfc7323-5.2-1
        //# The choice of incoming timestamps to be saved for this comparison MUST guarantee a value that is
        //# monotonically non-decreasing.
        if seq.at_or_before(last_ack_sent) && !self.is_old(value, now) {
            self.set_recent(value, now);
        }
    }

    /// Whether an echo is one of what our clock has shown since `then`, as exactly as its ticks tell.
    pub fn has_shown_since(&self, echo: u32, then: Instant, now: Instant) -> bool {
        let earliest = self.clock(then);
        echo.wrapping_sub(earliest) <= self.clock(now).wrapping_sub(earliest)
    }

    /// The round trip that an echo of our clock shows, or `None` where the echo is none of ours.
    pub fn round_trip(&self, echo: u32, now: Instant) -> Option<Duration> {
        let millis = self.clock(now).wrapping_sub(echo);
        // A plausible echo is younger than the largest time-out could make it.
        (echo != 0 && millis < 1 << 24).then(|| Duration::from_millis(u64::from(millis.max(1))))
    }
}

/// Whether one value of a clock of timestamps is older than another, around the circle (RFC 7323 §5.2).
pub const fn before(value: u32, other: u32) -> bool {
    (value.wrapping_sub(other) as i32) < 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_is_of_what_was_shown() {
        let at = |millis: u64| Instant::from_nanos(millis * 1_000_000);
        for offset in [0, u32::MAX - 1005] {
            let ts = Timestamps::new(offset);
            let shown = |millis: u32| ts.has_shown_since(offset.wrapping_add(millis), at(1000), at(1010));
            assert!(shown(1000) && shown(1005) && shown(1010), "{offset}");
            assert!(!shown(999) && !shown(1011) && !shown(1000 + (1 << 31)), "{offset}");
        }
    }

    #[test]
    fn paws_compares_around_the_circle_and_forgets_after_24_days() {
        let mut ts = Timestamps::new(0);
        ts.enable(5, Instant::from_secs(1));
        let now = Instant::from_secs(2);
        assert!(ts.is_old(4, now) && ts.is_old(u32::MAX, now));
        assert!(!ts.is_old(5, now) && !ts.is_old(0x7fff_ffff, now));
        assert!(!ts.is_old(4, Instant::from_secs(24 * 24 * 3600 + 2)));
    }

    #[test]
    fn the_earliest_unacknowledged_segment_is_echoed() {
        let now = Instant::from_secs(1);
        let mut ts = Timestamps::new(0);
        ts.enable(10, now);
        let last = Seq::new(100);
        ts.update(11, Seq::new(100), last, now);
        assert_eq!(ts.recent(), 11);
        ts.update(12, Seq::new(200), last, now);
        assert_eq!(ts.recent(), 11, "beyond the last acknowledgment sent");
        ts.update(9, Seq::new(100), last, now);
        assert_eq!(ts.recent(), 11, "never backwards");
    }
}
