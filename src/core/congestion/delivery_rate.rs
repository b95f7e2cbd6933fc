//! How fast the network delivers (draft-ietf-ccwg-bbr §4.1): a sample for each acknowledgment of new data.
//!
//! ```text
//!  transmission            acknowledgment
//!  stamp() → Stamp ──────→ delivered(stamp)   each record acknowledged for the first time, by number or by SACK
//!           (kept with     lost(stamp)        each record deemed lost
//!            the record)   on_ack_end()       → RateSample
//! ```
//!
//! Counts are octets of text, never of bare ACKs. A record may stand for a whole burst (§4.1.3.1).

use alloc::boxed::Box;

use crate::time::{Duration, Instant, nanos};

/// What is remembered of a transmission, with the record of what was sent; of the last one, where it was sent again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// P.send_time.
    send_time: Instant,
    /// P.first_send_time.
    first_send_time: Instant,
    /// P.delivered_time.
    delivered_time: Instant,
    /// P.delivered.
    delivered: u64,
    /// P.lost.
    lost: u64,
    /// P.tx_in_flight.
    tx_in_flight: u32,
    /// P.is_app_limited.
    app_limited: bool,
}

impl Stamp {
    /// Something that was sent into an empty path.
    #[cfg(test)]
    pub(crate) fn at(now: Instant) -> Self {
        DeliveryRate::new().stamp(now, 0, true)
    }

    /// When it was sent.
    pub const fn sent(&self) -> Instant {
        self.send_time
    }

    /// It stands for `octets` more, which left at the same moment behind it.
    pub const fn follow(&mut self, octets: u32) {
        self.tx_in_flight = self.tx_in_flight.saturating_add(octets);
    }
}

/// What an acknowledgment of new data says of the path (§4.1.2.1.3, §2.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RateSample {
    /// RS.delivery_rate, octets a second; 0 where the interval is shorter than any round trip was, and says nothing.
    pub delivery_rate: u64,
    /// RS.interval.
    pub interval: Duration,
    /// RS.delivered: octets delivered in the interval.
    pub delivered: u32,
    /// RS.prior_delivered: octets delivered before the newest of what was acknowledged was sent.
    pub prior_delivered: u64,
    /// C.delivered: octets delivered in the life of the connection.
    pub total_delivered: u64,
    /// RS.is_app_limited: the program, not the network, may have limited the rate.
    pub is_app_limited: bool,
    /// RS.rtt of the newest of what was acknowledged, where it is unambiguous.
    pub rtt: Option<Duration>,
    /// RS.tx_in_flight: octets in flight when it had been sent, with it.
    pub tx_in_flight: u32,
    /// RS.lost: octets deemed lost since it was sent.
    pub lost: u32,
    /// RS.newly_acked: octets that this acknowledgment told of, by number or by SACK.
    pub newly_acked: u32,
    /// RS.newly_lost: octets deemed lost since the last sample.
    pub newly_lost: u32,
    /// C.inflight after the acknowledgment, octets.
    pub in_flight: u32,
    /// C.has_selective_acks: more than one loss can be seen in a round trip.
    pub selective: bool,
}

/// What is known of a transmission that is deemed lost (§5.5.10.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LostPacket {
    /// Octets of it.
    pub octets: u32,
    /// P.tx_in_flight: octets in flight when it had been sent, with it.
    pub tx_in_flight: u32,
    /// Octets deemed lost since it was sent, with it.
    pub lost: u32,
    /// P.delivered: octets delivered before it was sent.
    pub prior_delivered: u64,
    /// Whether the program, not the network, limited what was sent.
    pub is_app_limited: bool,
    /// C.delivered.
    pub total_delivered: u64,
}

/// What the caller knows when all of an acknowledgment has been told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AckEnd {
    /// Octets in flight now.
    pub in_flight: u32,
    /// The round trip of the newest of what was acknowledged, where it is unambiguous.
    pub rtt: Option<Duration>,
    /// The shortest round trip in the life of the connection.
    pub min_rtt: Option<Duration>,
    /// Selective acknowledgments are in use.
    pub selective: bool,
}

/// The estimator of a connection. It takes memory from the first transmission on.
#[derive(Clone, Debug, Default)]
pub struct DeliveryRate(Option<Box<Estimator>>);

#[derive(Clone, Debug)]
struct Estimator {
    /// C.delivered.
    delivered: u64,
    /// C.delivered_time.
    delivered_time: Instant,
    /// C.first_send_time.
    first_send_time: Instant,
    /// C.app_limited: where in `delivered` the bubble ends, or 0.
    app_limited: u64,
    /// C.lost.
    lost: u64,
    /// The newest record that the acknowledgment at hand tells of.
    newest: Option<Stamp>,
    acked: u32,
    newly_lost: u32,
    /// What a tool is shown: the last rate that the program did not limit, or a higher one that it did.
    shown: u64,
    shown_app_limited: bool,
}

impl DeliveryRate {
    /// Before anything was sent.
    pub const fn new() -> Self {
        Self(None)
    }

    /// Something with text leaves, for the first time or again. `in_flight` counts it; `nothing_outstanding` says that
    /// before it nothing was in flight (§4.1.2.2).
    pub fn stamp(&mut self, now: Instant, in_flight: u32, nothing_outstanding: bool) -> Stamp {
        let c = self.0.get_or_insert_with(|| {
            Box::new(Estimator {
                delivered: 0,
                delivered_time: now,
                first_send_time: now,
                app_limited: 0,
                lost: 0,
                newest: None,
                acked: 0,
                newly_lost: 0,
                shown: 0,
                shown_app_limited: false,
            })
        });
        if nothing_outstanding {
            // The interval of a sample begins with what fills an empty path.
            c.first_send_time = now;
            c.delivered_time = now;
        }
        Stamp {
            send_time: now,
            first_send_time: c.first_send_time,
            delivered_time: c.delivered_time,
            delivered: c.delivered,
            lost: c.lost,
            tx_in_flight: in_flight,
            app_limited: c.app_limited != 0,
        }
    }

    /// `octets` sent with `stamp` are acknowledged for the first time (UpdateRateSample, §4.1.2.3). Each octet is told
    /// of once, in whatever order.
    pub fn delivered(&mut self, stamp: &Stamp, octets: u32, now: Instant) {
        let Some(c) = &mut self.0 else { return };
        c.delivered = c.delivered.saturating_add(octets.into());
        c.delivered_time = now;
        c.acked = c.acked.saturating_add(octets);
        // Of what left at one moment, the later was sent into the fuller path.
        let order = |s: &Stamp| (s.send_time, s.tx_in_flight);
        if c.newest.is_none_or(|newest| order(stamp) > order(&newest)) {
            c.newest = Some(*stamp);
        }
    }

    /// `octets` sent with `stamp` are deemed lost.
    pub fn lost(&mut self, stamp: &Stamp, octets: u32) -> LostPacket {
        let (lost, total_delivered) = match &mut self.0 {
            Some(c) => {
                c.lost = c.lost.saturating_add(octets.into());
                c.newly_lost = c.newly_lost.saturating_add(octets);
                (narrow(c.lost.saturating_sub(stamp.lost)), c.delivered)
            }
            None => (octets, 0),
        };
        LostPacket {
            octets,
            tx_in_flight: stamp.tx_in_flight,
            lost,
            prior_delivered: stamp.delivered,
            is_app_limited: stamp.app_limited,
            total_delivered,
        }
    }

    /// The acknowledgment has told all (GenerateRateSample, §4.1.2.3). There is a sample if something was delivered.
    pub fn on_ack_end(&mut self, now: Instant, end: AckEnd) -> Option<RateSample> {
        let c = self.0.as_mut()?;
        c.end_bubble();
        let p = c.newest.take()?;
        let (delivered, interval, delivery_rate) = c.show(&p, now, end.min_rtt);
        Some(RateSample {
            delivery_rate,
            interval,
            delivered,
            prior_delivered: p.delivered,
            total_delivered: c.delivered,
            is_app_limited: p.app_limited,
            rtt: end.rtt,
            tx_in_flight: p.tx_in_flight,
            lost: narrow(c.lost.saturating_sub(p.lost)),
            newly_acked: core::mem::take(&mut c.acked),
            newly_lost: core::mem::take(&mut c.newly_lost),
            in_flight: end.in_flight,
            selective: end.selective,
        })
    }

    /// The same where nobody asks for the sample: what a tool is shown is all that it leaves.
    pub fn on_ack_end_unasked(&mut self, now: Instant, min_rtt: Option<Duration>) {
        let Some(c) = &mut self.0 else { return };
        c.end_bubble();
        if let Some(p) = c.newest.take() {
            c.show(&p, now, min_rtt);
            (c.acked, c.newly_lost) = (0, 0);
        }
    }

    /// What is in flight, and what follows until it is delivered, says less of the path than it could: the program has
    /// nothing to send though the windows let it (MarkConnectionAppLimited, §4.1.2.4).
    pub fn mark_app_limited(&mut self, in_flight: u32) {
        if let Some(c) = &mut self.0 {
            c.app_limited = c.delivered.saturating_add(in_flight.into()).max(1);
        }
    }

    /// C.app_limited: what was sent lately is limited by the program.
    pub fn is_app_limited(&self) -> bool {
        self.0.as_ref().is_some_and(|c| c.app_limited != 0)
    }

    /// C.delivered: octets delivered in the life of the connection.
    pub fn total(&self) -> u64 {
        self.0.as_ref().map_or(0, |c| c.delivered)
    }

    /// C.lost: octets deemed lost in the life of the connection, by congestion.
    #[cfg(test)]
    pub(crate) fn total_lost(&self) -> u64 {
        self.0.as_ref().map_or(0, |c| c.lost)
    }

    /// The last rate that the program did not limit, or a higher one that it did, octets a second; and whether it
    /// did: what `tcpi_delivery_rate` shows.
    pub fn shown(&self) -> (u64, bool) {
        self.0.as_ref().map_or((0, false), |c| (c.shown, c.shown_app_limited))
    }
}

impl Estimator {
    /// The bubble may have been acknowledged, and be gone.
    const fn end_bubble(&mut self) {
        if self.app_limited != 0 && self.delivered > self.app_limited {
            self.app_limited = 0;
        }
    }

    /// The newest of what is acknowledged left with `p`. Gives what was delivered in which time, and the rate, which is shown
    /// from here on if it says something.
    #[inline]
    fn show(&mut self, p: &Stamp, now: Instant, min_rtt: Option<Duration>) -> (u32, Duration, u64) {
        self.first_send_time = p.send_time;
        let delivered = narrow(self.delivered.saturating_sub(p.delivered));
        let send_elapsed = p.send_time.nanos_since(p.first_send_time);
        let ack_elapsed = now.nanos_since(p.delivered_time);
        let interval = send_elapsed.max(ack_elapsed);
        // What was sent again may have been acknowledged for the first time it was sent.
        let plausible = min_rtt.is_none_or(|least| interval >= nanos(least));
        let delivery_rate = if plausible { rate(delivered, interval) } else { 0 };
        if delivery_rate > 0 && (!p.app_limited || delivery_rate >= self.shown) {
            self.shown = delivery_rate;
            self.shown_app_limited = p.app_limited;
        }
        (delivered, Duration::from_nanos(interval), delivery_rate)
    }
}

fn narrow(octets: u64) -> u32 {
    u32::try_from(octets).unwrap_or(u32::MAX)
}

/// Octets a second, delivered in so many nanoseconds; at least 1 where something was delivered in some time.
fn rate(octets: u32, nanos: u64) -> u64 {
    // 2³² · 10⁹ fits 64 bits.
    match (u64::from(octets) * 1_000_000_000).checked_div(nanos) {
        Some(rate) if octets > 0 => rate.max(1),
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
