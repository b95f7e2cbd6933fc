//! Sequence numbers: the one file in which arithmetic wraps (RFC 9293 §3.4).

use core::fmt;

/// A sequence number. Comparisons are modulo 2³², so there is no `Ord`: an order over more than half of
/// the space does not exist.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Seq(u32);

impl Seq {
    /// From the 32 bits of a header, in host order.
    pub const fn new(n: u32) -> Self {
        Self(n)
    }

    /// The 32 bits, in host order.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// `n` numbers later.
    #[must_use]
    pub const fn add(self, n: u32) -> Self {
        Self(self.0.wrapping_add(n))
    }

    /// `n` numbers earlier.
    #[must_use]
    pub const fn sub(self, n: u32) -> Self {
        Self(self.0.wrapping_sub(n))
    }

    /// `self < other` on the circle. Two numbers exactly 2³¹ apart are each before the other's opposite:
    /// `before` says true one way only by convention of the sign bit, so never compare that far apart.
    pub const fn before(self, other: Self) -> bool {
        (self.0.wrapping_sub(other.0) as i32) < 0
    }

    /// `self > other` on the circle.
    pub const fn after(self, other: Self) -> bool {
        other.before(self)
    }

    /// `self =< other` on the circle.
    pub const fn at_or_before(self, other: Self) -> bool {
        !other.before(self)
    }

    /// `self >= other` on the circle.
    pub const fn at_or_after(self, other: Self) -> bool {
        !self.before(other)
    }

    /// How far `self` lies after `earlier`, counted around the circle.
    pub const fn since(self, earlier: Self) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }

    /// How far `self` lies after `earlier`, or 0 when it lies before it.
    pub const fn saturating_since(self, earlier: Self) -> u32 {
        if self.before(earlier) { 0 } else { self.since(earlier) }
    }

    /// The later of two.
    #[must_use]
    pub const fn max(self, other: Self) -> Self {
        if self.before(other) { other } else { self }
    }

    /// The earlier of two.
    #[must_use]
    pub const fn min(self, other: Self) -> Self {
        if self.before(other) { self } else { other }
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A run of sequence numbers, `start` included and `end` not. May be empty.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SeqRange {
    /// The first number of the run.
    pub start: Seq,
    /// The number after the last.
    pub end: Seq,
}

impl SeqRange {
    /// From `start` up to but not including `end`.
    pub const fn new(start: Seq, end: Seq) -> Self {
        Self { start, end }
    }

    /// `len` numbers from `start`.
    pub const fn with_len(start: Seq, len: u32) -> Self {
        Self { start, end: start.add(len) }
    }

    /// How many numbers; 0 when `end` is before `start`.
    pub const fn len(&self) -> u32 {
        self.end.saturating_since(self.start)
    }

    /// Whether no number is in it.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether `seq` is in it.
    pub const fn contains(&self, seq: Seq) -> bool {
        seq.since(self.start) < self.len()
    }

    /// Whether every number of `other` is in it.
    pub const fn covers(&self, other: &Self) -> bool {
        self.start.at_or_before(other.start) && self.end.at_or_after(other.end)
    }

    /// Whether the two share a number or touch.
    pub const fn touches(&self, other: &Self) -> bool {
        self.start.at_or_before(other.end) && other.start.at_or_before(self.end)
    }

    /// The numbers in both.
    #[must_use]
    pub const fn intersection(&self, other: &Self) -> Self {
        Self { start: self.start.max(other.start), end: self.end.min(other.end) }
    }
}

impl fmt::Debug for SeqRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

/// How far a window field is shifted (RFC 7323 §2): 0 to 14 by construction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct WindowScale(u8);

impl WindowScale {
    /// No scaling.
    pub const ZERO: Self = Self(0);
    /// The largest shift (RFC 7323 §2.3).
    pub const MAX: Self = Self(14);

    /// A shift as an option carries it; more than 14 is taken as 14 (RFC 7323 §2.3).
    //= https://www.rfc-editor.org/rfc/rfc7323#section-2.3
    //= id=rfc7323-2.3-6
    //# Thus, the shift count MUST be limited to 14 (which allows windows of 2^30 = 1 GiB).
    //= https://www.rfc-editor.org/rfc/rfc7323#section-2.3
    //= id=rfc7323-2.3-7
    //# If a Window Scale option is received with a shift.cnt value larger than 14, the TCP SHOULD log the
    //# error but MUST use 14 instead of the specified value.
    pub const fn new(shift: u8) -> Self {
        if shift > 14 { Self::MAX } else { Self(shift) }
    }

    /// The smallest shift that lets `window` octets be told in 16 bits.
    pub const fn for_window(window: u32) -> Self {
        let mut shift = 0;
        while shift < 14 && (window >> shift) > 0xffff {
            shift += 1;
        }
        Self(shift)
    }

    /// The shift, 0 to 14.
    pub const fn shift(self) -> u8 {
        self.0
    }

    /// What a window field means in octets.
    pub const fn octets(self, field: u16) -> u32 {
        (field as u32) << self.0
    }

    /// The field that tells `octets`, rounded down, at most 0xffff.
    pub const fn field(self, octets: u32) -> u16 {
        let f = octets >> self.0;
        if f > 0xffff { 0xffff } else { f as u16 }
    }

    /// `octets` rounded up to what a field can tell.
    pub const fn round_up(self, octets: u32) -> u32 {
        let mask = (1u32 << self.0) - 1;
        octets.saturating_add(mask) & !mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn order_is_that_of_nearby_integers(base: u32, d in 0..0x7fff_ffffu32) {
            let (a, b) = (Seq::new(base), Seq::new(base).add(d));
            prop_assert_eq!(a.before(b), d != 0);
            prop_assert!(a.at_or_before(b) && b.at_or_after(a));
            prop_assert_eq!(b.since(a), d);
            prop_assert_eq!(a.saturating_since(b), 0);
            prop_assert_eq!(a.max(b), b);
            prop_assert_eq!(a.min(b), a);
            prop_assert_eq!(b.sub(d), a);
        }

        #[test]
        fn exactly_one_of_before_equal_after(a: u32, b: u32) {
            prop_assume!(a.wrapping_sub(b) != 1 << 31);
            let (a, b) = (Seq::new(a), Seq::new(b));
            prop_assert_eq!(u8::from(a.before(b)) + u8::from(a == b) + u8::from(a.after(b)), 1);
        }

        #[test]
        fn intersection_is_membership_in_both(base: u32, s1 in 0..200u32, l1 in 0..200u32, s2 in 0..200u32, l2 in 0..200u32, at in 0..500u32) {
            let base = Seq::new(base);
            let (x, y) = (SeqRange::with_len(base.add(s1), l1), SeqRange::with_len(base.add(s2), l2));
            let n = base.add(at);
            prop_assert_eq!(x.intersection(&y).contains(n), x.contains(n) && y.contains(n));
            prop_assert_eq!(x.contains(n), at >= s1 && at < s1 + l1);
        }

        #[test]
        fn scaling_never_promises_more_than_it_has(shift in 0..20u8, octets in 0..(1u32 << 30)) {
            let s = WindowScale::new(shift);
            prop_assert!(s.octets(s.field(octets)) <= octets);
            prop_assert!(s.round_up(octets) >= octets);
            prop_assert_eq!(s.round_up(octets) & ((1 << s.shift()) - 1), 0);
        }
    }

    #[test]
    fn a_scale_fits_its_window() {
        assert_eq!(WindowScale::for_window(65_535).shift(), 0);
        assert_eq!(WindowScale::for_window(65_536).shift(), 1);
        assert_eq!(WindowScale::for_window(u32::MAX).shift(), 14);
    }
}
