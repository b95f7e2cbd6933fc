//! SYN cookies (RFC 4987 §3.6): what a connection request asks for lies in the answer to it, and comes back with the ACK, so
//! that a flood of requests takes no memory.
//!
//! ```text
//!              8 bits            24 bits
//!         +---------------+------------------------+
//! ISS  =  |    minute     |  F2(minute) + MSS index |  +  F1  +  IRS
//!         +---------------+------------------------+
//! ```
//!
//! F1 and F2 are a keyed hash of the quad and the peer's initial sequence number; F2 is one of the minute too. A guess is
//! right once in 2^28 or so. What else both sides agree on lies in the low six bits of our timestamp; a peer without
//! timestamps gets neither window scale nor SACK nor ECN.

use super::isn::Keys;
use super::seq::Seq;
use super::snd::LEAST_MSS;
use crate::addr::Quad;
use crate::time::{Duration, Instant};

/// How many minutes a cookie is good for, that in which it was made counted.
const MINUTES: u32 = 2;

/// No cookie is older when it comes back.
pub const LIFETIME: Duration = Duration::from_secs(60 * MINUTES as u64);

/// The first is the least that is ever sent, so that whatever a peer asks for there is one that is no larger: a table that began
/// with 536 would refuse a peer that says less, or send it more than it takes.
const IPV4: [u16; 6] = [LEAST_MSS, 256, 536, 1220, 1400, 1460];
const IPV6: [u16; 6] = [LEAST_MSS, 536, 1220, 1380, 1440, 8940];

const fn sizes(quad: &Quad) -> &'static [u16; 6] {
    if quad.remote.address.is_v4() { &IPV4 } else { &IPV6 }
}

const fn minute(now: Instant) -> u32 {
    (now.as_millis() / 60_000) as u32
}

/// The initial sequence number that answers a request with the sequence number `irs`, and the segment size that it stands
/// for: the largest that it can say, of those up to `mss`, or the least that there is.
//= https://www.rfc-editor.org/rfc/rfc4987#section-3.6
//= id=rfc4987-3.6-s2
pub fn make(keys: &Keys, quad: &Quad, irs: Seq, mss: u16, now: Instant) -> (Seq, u16) {
    let fits = sizes(quad).iter().enumerate().rev().find(|&(_, &size)| size <= mss);
    let (index, &size) = fits.unwrap_or((0, &LEAST_MSS));
    let minute = minute(now);
    let secret = keys.cookie(quad, irs, minute).wrapping_add(index as u32) & 0xff_ffff;
    let iss = irs.get().wrapping_add(keys.cookie_base(quad, irs)).wrapping_add(minute << 24 | secret);
    (Seq::new(iss), size)
}

/// The segment size that a cookie stands for, if it is one that we made for this peer, and lately.
pub fn check(keys: &Keys, quad: &Quad, irs: Seq, iss: Seq, now: Instant) -> Option<u16> {
    let rest = iss.get().wrapping_sub(irs.get()).wrapping_sub(keys.cookie_base(quad, irs));
    let now = minute(now);
    let age = now.wrapping_sub(rest >> 24) & 0xff;
    if age >= MINUTES {
        return None;
    }
    let index = rest.wrapping_sub(keys.cookie(quad, irs, now.wrapping_sub(age))) & 0xff_ffff;
    sizes(quad).get(index as usize).copied()
}

//= https://www.rfc-editor.org/rfc/rfc4987#section-3.6
//= id=rfc4987-3.6-s3
/// Six bits: window scale, SACK, ECN.
const BITS: u32 = 0x3f;
const SCALE: u32 = 0xf;
const NO_SCALE: u32 = 0xf;
const SACK: u32 = 1 << 4;
const ECN: u32 = 1 << 5;

/// What lies in the timestamp of a SYN,ACK with a cookie.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Told {
    /// The peer's window scale, up to 14, if windows are scaled.
    pub scale: Option<u8>,
    /// Both sides sent SACK-permitted.
    pub sack: bool,
    /// ECN as in RFC 3168 was agreed on.
    pub ecn: bool,
}

impl Told {
    /// The last value of the clock, not after `clock`, that says this: the clock must not run backwards.
    pub const fn stamp(self, clock: u32) -> u32 {
        let scale = match self.scale {
            Some(scale) if scale < NO_SCALE as u8 => scale as u32,
            _ => NO_SCALE,
        };
        let bits = scale | if self.sack { SACK } else { 0 } | if self.ecn { ECN } else { 0 };
        let value = clock & !BITS | bits;
        if bits > clock & BITS { value.wrapping_sub(BITS + 1) } else { value }
    }

    /// What an echo of it says.
    pub const fn read(echo: u32) -> Self {
        let scale = echo & SCALE;
        Self {
            scale: if scale == NO_SCALE { None } else { Some(scale as u8) },
            sack: echo & SACK != 0,
            ecn: echo & ECN != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use core::net::{Ipv4Addr, Ipv6Addr};

    use rand::SeedableRng;
    use rand::rngs::ChaCha12Rng;

    use super::*;
    use crate::addr::{Address, Endpoint};

    fn keys(seed: u64) -> Keys {
        Keys::new(&mut ChaCha12Rng::seed_from_u64(seed))
    }

    fn quads() -> [Quad; 2] {
        let of = |address| Quad { local: Endpoint::new(address, 80), remote: Endpoint::new(address, 5000) };
        [of(Address::v4(Ipv4Addr::new(10, 0, 0, 1))), of(Address::v6(Ipv6Addr::LOCALHOST))]
    }

    #[test]
    fn a_cookie_says_the_largest_size_that_fits() {
        let (keys, irs, now) = (keys(1), Seq::new(77), Instant::from_secs(1000));
        for (quad, sizes) in quads().iter().zip([IPV4, IPV6]) {
            for mss in 1..9100 {
                let want = sizes.into_iter().filter(|&size| size <= mss.max(LEAST_MSS)).max();
                let (iss, size) = make(&keys, quad, irs, mss, now);
                assert_eq!(Some(size), want, "{mss}");
                assert_eq!(check(&keys, quad, irs, iss, now), want);
            }
        }
    }

    #[test]
    fn it_is_good_for_a_minute_at_least_and_two_at_the_most() {
        let (keys, [quad, _], irs) = (keys(1), quads(), Seq::new(u32::MAX));
        // The counter goes round in 256 minutes.
        for start in [0, 59, 60, 255 * 60 - 1, 256 * 60 + 7, 1_000_000_007] {
            let (iss, size) = make(&keys, &quad, irs, 1460, Instant::from_secs(start));
            let at = |later| check(&keys, &quad, irs, iss, Instant::from_secs(start + later));
            assert_eq!((at(0), at(60)), (Some(size), Some(size)), "{start}");
            assert_eq!(at(LIFETIME.as_secs()), None, "{start}");
        }
    }

    #[test]
    fn it_is_good_for_one_request_alone() {
        let (now, [quad, _], irs) = (Instant::from_secs(1000), quads(), Seq::new(9));
        let (iss, _) = make(&keys(1), &quad, irs, 1460, now);
        let other = Quad { remote: Endpoint::new(quad.remote.address, 5001), ..quad };
        assert_eq!(check(&keys(2), &quad, irs, iss, now), None);
        assert_eq!(check(&keys(1), &other, irs, iss, now), None);
        assert_eq!(check(&keys(1), &quad, irs.add(1), iss, now), None);
        // The neighbours by the index of the size alone are as good.
        let good = (0..1 << 20).filter(|&n| check(&keys(1), &quad, irs, Seq::new(n << 12), now).is_some());
        assert!(good.count() <= 6);
    }

    #[test]
    fn a_stamp_says_what_was_agreed_and_is_never_ahead_of_the_clock() {
        for scale in (0..15).map(Some).chain([None]) {
            for (sack, ecn) in [(false, false), (true, false), (false, true), (true, true)] {
                let told = Told { scale, sack, ecn };
                for clock in (0..200).chain(u32::MAX - 100..=u32::MAX) {
                    let value = told.stamp(clock);
                    assert_eq!(Told::read(value), told);
                    assert!(clock.wrapping_sub(value) < 64, "{clock} {value}");
                }
            }
        }
    }
}
