//! Queues that say early that they grow: a step that marks, and CoDel (RFC 8289).
//!
//! The queue is served in order at a known rate, so that the time a packet will have waited is known when it comes; what is
//! decided when it leaves, is decided then. One thing is not: how much will be waiting behind it. Where CoDel spares a queue of
//! less than a packet, what waits before it when it comes is looked at instead.

use tunstack_core::time::{Duration, Instant};
use tunstack_core::wire::ip::Ecn;

/// How a queue is managed, beside its limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aqm {
    /// What has waited for longer is marked, where it is ECN-capable: the step of RFC 8257 §3.1 and of RFC 9332 for L4S.
    Step {
        /// So long.
        over: Duration,
    },
    /// RFC 8289.
    CoDel {
        /// What a queue may keep packets waiting (5 ms).
        target: Duration,
        /// For how long it may be more: about a round trip (100 ms).
        interval: Duration,
        /// What is ECN-capable is marked in the place of being dropped.
        marks: bool,
    },
}

/// What is to become of a packet that leaves the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judgement {
    /// It goes as it is.
    Pass,
    /// It goes with CE.
    Mark,
    /// It does not go.
    Drop,
}

/// RFC 8289 §5: the variables of CoDel.
#[derive(Clone, Copy, Debug, Default)]
pub struct State {
    first_above: Option<Instant>,
    drop_next: Instant,
    count: u32,
    last_count: u32,
    dropping: bool,
}

impl State {
    /// A packet leaves the queue at `now`, where it has waited for `sojourn` behind `backlog` octets.
    pub fn judge(&mut self, aqm: Aqm, now: Instant, sojourn: Duration, backlog: u64, ecn: Ecn) -> Judgement {
        let capable = ecn != Ecn::NotEct;
        match aqm {
            Aqm::Step { over } if sojourn > over && capable => Judgement::Mark,
            Aqm::Step { .. } => Judgement::Pass,
            Aqm::CoDel { target, interval, marks } => {
                match self.signals(target, interval, now, sojourn, backlog) {
                    true if marks && capable => Judgement::Mark,
                    true => Judgement::Drop,
                    false => Judgement::Pass,
                }
            }
        }
    }

    fn signals(
        &mut self,
        target: Duration,
        interval: Duration,
        now: Instant,
        sojourn: Duration,
        backlog: u64,
    ) -> bool {
        let high = sojourn >= target && backlog > 1500;
        let first_above = if high { Some(self.first_above.unwrap_or(now + interval)) } else { None };
        self.first_above = first_above;
        let ok_to_drop = first_above.is_some_and(|at| now >= at);
        if !ok_to_drop {
            self.dropping = false;
            return false;
        }
        if self.dropping {
            if now < self.drop_next {
                return false;
            }
            self.count += 1;
            self.drop_next += control_law(interval, self.count);
            return true;
        }
        self.dropping = true;
        // The rate that held the queue the last time is where it begins, if that was not long ago.
        let delta = self.count - self.last_count;
        let lately = now.saturating_since(self.drop_next) < interval * 16;
        self.count = if delta > 1 && lately { delta } else { 1 };
        self.last_count = self.count;
        self.drop_next = now + control_law(interval, self.count);
        true
    }
}

/// The next comes sooner by the square root of how many there were.
fn control_law(interval: Duration, count: u32) -> Duration {
    interval.div_f64(f64::from(count.max(1)).sqrt())
}

/// Sets CE in the IP header of a packet.
pub fn set_ce(packet: &mut [u8]) {
    match packet.first().map(|octet| octet >> 4) {
        Some(4) => {
            let words = usize::from(packet[0] & 15) * 2;
            let Some(header) = packet.get_mut(..words * 2).filter(|header| header.len() >= 20) else {
                return;
            };
            header[1] |= 3;
            header[10..12].fill(0);
            let mut sum: u32 =
                header.chunks_exact(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum();
            while sum > 0xffff {
                sum = (sum >> 16) + (sum & 0xffff);
            }
            header[10..12].copy_from_slice(&(!(sum as u16)).to_be_bytes());
        }
        Some(6) if packet.len() >= 40 => packet[1] |= 0x30,
        _ => {}
    }
}

/// The ECN field of a packet.
pub fn ecn_of(packet: &[u8]) -> Ecn {
    match packet {
        [first, second, ..] if first >> 4 == 4 => Ecn::from_bits(*second),
        [first, second, ..] if first >> 4 == 6 => Ecn::from_bits(second >> 4),
        _ => Ecn::NotEct,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tunstack_core::addr::Address;
    use tunstack_core::wire::ip::{self, Header};

    const CODEL: Aqm =
        Aqm::CoDel { target: Duration::from_millis(5), interval: Duration::from_millis(100), marks: true };

    #[test]
    fn a_step_marks_what_is_capable() {
        let aqm = Aqm::Step { over: Duration::from_millis(1) };
        let judge = |micros, ecn| {
            State::default().judge(aqm, Instant::ZERO, Duration::from_micros(micros), 9000, ecn)
        };
        for ecn in [Ecn::Ect0, Ecn::Ect1, Ecn::Ce] {
            assert_eq!(judge(1000, ecn), Judgement::Pass);
            assert_eq!(judge(1001, ecn), Judgement::Mark);
        }
        assert_eq!(judge(900_000, Ecn::NotEct), Judgement::Pass);
    }

    /// RFC 8289 §5.4 by hand: the first after an interval above the target, then after 100 ms, 100/√2, 100/√3 ….
    #[test]
    fn codel_signals_ever_sooner() {
        let mut state = State::default();
        let mut at = Vec::new();
        for ms in 0..600 {
            let now = Instant::from_millis(ms);
            if state.judge(CODEL, now, Duration::from_millis(20), 30_000, Ecn::Ect0) == Judgement::Mark {
                at.push(ms);
            }
        }
        assert_eq!(at, [100, 200, 271, 329, 379, 424, 464, 502, 538, 571]);
        // A single packet in time ends it, and the next time it begins where it was.
        let calm = state.judge(CODEL, Instant::from_millis(600), Duration::from_millis(1), 30_000, Ecn::Ect0);
        assert_eq!(calm, Judgement::Pass);
        let mut at = Vec::new();
        for ms in 601..760 {
            let now = Instant::from_millis(ms);
            if state.judge(CODEL, now, Duration::from_millis(20), 30_000, Ecn::NotEct) == Judgement::Drop {
                at.push(ms);
            }
        }
        assert_eq!(at, [701, 735], "after an interval, and a ninth's root later");
    }

    #[test]
    fn codel_spares_short_queues_and_drops_what_it_may_not_mark() {
        let always = |sojourn, backlog, ecn, aqm| {
            let mut state = State::default();
            (0..300)
                .map(|ms| state.judge(aqm, Instant::from_millis(ms), sojourn, backlog, ecn))
                .max_by_key(|j| *j as u8)
        };
        let long = Duration::from_millis(20);
        assert_eq!(always(long, 1500, Ecn::Ect0, CODEL), Some(Judgement::Pass));
        assert_eq!(always(Duration::from_millis(4), 30_000, Ecn::Ect0, CODEL), Some(Judgement::Pass));
        assert_eq!(always(long, 1501, Ecn::Ect1, CODEL), Some(Judgement::Mark));
        assert_eq!(always(long, 1501, Ecn::NotEct, CODEL), Some(Judgement::Drop));
        let Aqm::CoDel { target, interval, .. } = CODEL else { unreachable!() };
        let drops = Aqm::CoDel { target, interval, marks: false };
        assert_eq!(always(long, 1501, Ecn::Ect1, drops), Some(Judgement::Drop));
    }

    #[test]
    fn a_mark_leaves_the_header_sound() {
        for (src, dst) in [
            (Address::from_v4_octets([10, 0, 0, 1]), Address::from_v4_octets([10, 0, 0, 2])),
            (Address::from_octets([9; 16]), Address::from_octets([8; 16])),
        ] {
            for class in [0xb9, 0xba, 0x01] {
                let header = Header {
                    src,
                    dst,
                    protocol: 6,
                    hop_limit: 64,
                    traffic_class: class,
                    flow_label: if src.is_v4() { 0 } else { 0xabcde },
                    dont_fragment: true,
                    fragment: None,
                };
                let mut packet = Vec::new();
                header.emit(4, 7, &mut packet).unwrap();
                packet.extend_from_slice(&[1, 2, 3, 4]);
                assert_eq!(ecn_of(&packet), Ecn::from_bits(class));
                set_ce(&mut packet);
                let parsed = ip::parse(&packet).unwrap();
                assert_eq!(parsed.header, Header { traffic_class: class | 3, ..header });
                assert_eq!((ecn_of(&packet), parsed.payload), (Ecn::Ce, &[1, 2, 3, 4][..]));
            }
        }
        for short in [&[][..], &[0x45; 19], &[0x4f; 59], &[0x60; 39], &[0x12; 60]] {
            let mut packet = short.to_vec();
            set_ce(&mut packet);
            assert_eq!(packet, short);
        }
    }
}
