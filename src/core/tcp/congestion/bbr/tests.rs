//! Step by step, each acknowledgment by hand; over a link, in [`path`].

mod anything;
mod between_probes;
mod lost;
mod path;
mod recovery;
mod round_trips;
mod sim;

use super::*;
use crate::tcp::congestion::Settings;

const MSS: u32 = 1000;

/// A flow whose acknowledgments are made up: each ends a round trip of 100 ms, and tells of one segment.
struct Flow {
    bbr: Bbr,
    now: Instant,
    delivered: u64,
}

fn bbr(mss: u32, segments: u32) -> Bbr {
    Bbr::new(&Start::new(mss, segments, Settings::default()))
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Flow {
    fn new() -> Self {
        Self { bbr: bbr(MSS, 10), now: Instant::from_secs(1), delivered: 0 }
    }

    /// A round trip of 100 ms at `rate` octets a second is over, with `rate` / 10 octets in flight.
    fn round(&mut self, rate: u64) {
        self.ack(rate, |_| ());
    }

    fn ack(&mut self, rate: u64, change: impl FnOnce(&mut AckSample)) {
        self.now += ms(100);
        let octets = (rate / 10) as u32;
        let prior_delivered = self.delivered;
        self.delivered += u64::from(octets);
        let rs = RateSample {
            delivery_rate: rate,
            interval: ms(100),
            delivered: octets,
            prior_delivered,
            total_delivered: self.delivered,
            is_app_limited: false,
            rtt: Some(ms(100)),
            tx_in_flight: octets,
            lost: 0,
            newly_acked: MSS,
            newly_lost: 0,
            in_flight: octets,
            selective: true,
        };
        let mut sample = AckSample {
            now: self.now,
            rtt: Some(ms(100)),
            srtt: Some(ms(100)),
            rate: Some(rs),
            cwnd_limited: false,
            una: Seq::new(77),
            ..AckSample::of(octets)
        };
        change(&mut sample);
        if let (0, Some(rs)) = (sample.in_flight, sample.rate) {
            // Nothing was deemed lost by it.
            sample.in_flight = rs.in_flight.saturating_add(rs.newly_acked);
        }
        self.bbr.on_ack(&sample);
    }

    fn lose(&mut self, start: u32, octets: u32, tx_in_flight: u32, lost: u32) {
        self.lose_of(self.delivered, start, octets, tx_in_flight, lost);
    }

    /// It was sent when so much had been delivered.
    fn lose_of(&mut self, prior_delivered: u64, start: u32, octets: u32, tx_in_flight: u32, lost: u32) {
        let start = Seq::new(start);
        let packet = LostPacket {
            octets,
            tx_in_flight,
            lost,
            prior_delivered,
            is_app_limited: false,
            total_delivered: self.delivered,
        };
        self.bbr.on_lost(&packet, SeqRange::new(start, start.add(octets)));
    }

    fn event(&mut self, event: CongestionEvent) {
        let in_flight = self.bbr.in_flight;
        self.bbr.on_event(event, in_flight, self.now);
    }

    /// A time-out, after which so much is not deemed lost.
    fn time_out(&mut self, first: bool, in_flight: u32) {
        self.bbr.on_event(CongestionEvent::Timeout { first }, in_flight, self.now);
    }

    /// In Cruise, at a million octets a second: a BDP of 100 segments, and a window of two and one segment, which is the
    /// aggregation that is seen.
    fn cruising() -> Self {
        let mut flow = Self::new();
        flow.bbr.cwnd = 250_000;
        for _ in 0..4 {
            flow.round(1_000_000);
        }
        // There is no queue to drain.
        assert_eq!((flow.bbr.phase, flow.bbr.cwnd()), (Phase::Cruise, 201_000));
        flow
    }

    /// In Up.
    fn probing() -> Self {
        let mut flow = Self::cruising();
        flow.until(Phase::Up);
        flow
    }

    fn until(&mut self, phase: Phase) {
        for _ in 0..100 {
            if self.bbr.phase == phase {
                return;
            }
            self.ack(1_000_000, |s| rs(s).in_flight = 50_000);
        }
        panic!("{:?} is never left for {phase:?}", self.bbr.phase);
    }
}

fn rs(sample: &mut AckSample) -> &mut RateSample {
    sample.rate.as_mut().unwrap()
}

#[test]
fn the_first_rate_is_that_of_the_initial_window() {
    let mut flow = Flow::new();
    assert_eq!((flow.bbr.cwnd(), flow.bbr.pacing_rate()), (10_000, 27_700_000), "over 1 ms");
    assert_eq!(flow.bbr.send_quantum(), 27_700);
    flow.round(10_000);
    assert_eq!(flow.bbr.pacing_rate(), 277_000, "over the first round trip");
    flow.round(1000);
    assert_eq!(flow.bbr.pacing_rate(), 277_000, "before the pipe was full only upwards");
    flow.round(200_000);
    assert_eq!(flow.bbr.pacing_rate(), 200_000 * 277 / 100 * 99 / 100);
}

#[test]
fn startup_ends_after_three_rounds_that_grow_by_less_than_a_quarter() {
    let mut flow = Flow::new();
    for rate in [100_000, 200_000, 250_000, 312_499, 390_000] {
        flow.round(rate);
    }
    assert_eq!((flow.bbr.full_bw_count, flow.bbr.full_bw), (0, 390_000), "against the rate it grew to last");
    flow.round(480_000);
    flow.ack(10_000, |s| rs(s).is_app_limited = true);
    // Not the end of a round.
    flow.ack(10_000, |s| rs(s).prior_delivered = 0);
    assert_eq!(flow.bbr.full_bw_count, 1);
    flow.round(480_000);
    assert_eq!(flow.bbr.phase, Phase::Startup);
    flow.ack(480_000, |s| rs(s).in_flight = 200_000);
    assert_eq!(flow.bbr.phase, Phase::Drain);
    assert_eq!(flow.bbr.pacing_rate(), 480_000 / 2 * 99 / 100);
}

#[test]
fn drain_ends_with_the_queue_or_after_three_rounds() {
    for in_flight in [100_000, 100_001] {
        let mut flow = Flow::new();
        let some = |s: &mut AckSample| rs(s).in_flight = in_flight;
        for _ in 0..4 {
            flow.ack(1_000_000, |s| rs(s).in_flight = 200_000);
        }
        assert_eq!(flow.bbr.phase, Phase::Drain);
        for _ in 0..3 {
            flow.ack(1_000_000, some);
            let left = if in_flight == 100_000 { Phase::Cruise } else { Phase::Drain };
            assert_eq!(flow.bbr.phase, left);
        }
        flow.ack(1_000_000, some);
        assert_ne!(flow.bbr.phase, Phase::Drain);
    }
}

/// Six ranges in a round of recovery, and more than 2 %.
#[test]
fn startup_ends_where_too_much_is_lost_in_many_places() {
    let lossy = |ranges: u32, lost: u32, recovering: bool| {
        let mut flow = Flow::new();
        flow.round(100_000);
        flow.round(1_000_000);
        for i in 0..ranges {
            flow.lose(i * 10_000, 1000, 100_000, 1000 * (i + 1));
            // What follows directly is of the same range.
            flow.lose(i * 10_000 + 1000, 1000, 100_000, 1000 * (i + 1));
        }
        flow.event(CongestionEvent::Loss);
        flow.ack(1_500_000, |s| {
            s.reducing = recovering;
            rs(s).lost = lost;
        });
        flow
    };
    let flow = lossy(6, 3001, true);
    assert_eq!(flow.bbr.phase, Phase::Drain);
    assert_eq!(flow.bbr.inflight_longterm, Some(150_000), "what was delivered in the round");
    assert_eq!(lossy(5, 3001, true).bbr.phase, Phase::Startup);
    assert_eq!(lossy(6, 3000, true).bbr.phase, Phase::Startup, "2 % of 150 000");
    assert_eq!(lossy(6, 3001, false).bbr.phase, Phase::Startup);
    // The loss was none.
    let mut flow = lossy(6, 3001, true);
    flow.event(CongestionEvent::Undo);
    assert_eq!((flow.bbr.phase, flow.bbr.inflight_longterm), (Phase::Startup, None));
    assert!(!flow.bbr.full_bw_reached());
    // Where one loss a round trip is all that can be seen, one is enough.
    let mut flow = Flow::new();
    flow.round(1_000_000);
    flow.lose(0, 1000, 100_000, 1000);
    flow.event(CongestionEvent::Loss);
    flow.ack(1_500_000, |s| {
        s.reducing = true;
        rs(s).selective = false;
    });
    assert_eq!(flow.bbr.phase, Phase::Drain);
}

#[test]
fn the_cycle_has_its_gains() {
    let mut flow = Flow::cruising();
    let rate = |gain: u64| 10_000 * gain * 99 / 100;
    assert_eq!(flow.bbr.pacing_rate(), rate(100));
    assert_eq!(flow.bbr.cwnd(), 201_000);
    flow.until(Phase::Refill);
    assert_eq!(flow.bbr.pacing_rate(), rate(100));
    flow.round(1_000_000);
    assert_eq!((flow.bbr.phase, flow.bbr.pacing_rate()), (Phase::Up, rate(125)));
    flow.ack(1_000_000, |s| rs(s).newly_acked = 0);
    flow.bbr.cwnd = 400_000;
    flow.round(1_000_000);
    assert_eq!(flow.bbr.cwnd(), 225_000 + 3 * MSS);
    flow.ack(1_000_000, |s| rs(s).in_flight = 200_000);
    assert_eq!((flow.bbr.phase, flow.bbr.pacing_rate()), (Phase::Down, rate(90)));
    flow.ack(1_000_000, |s| rs(s).in_flight = 100_001);
    assert_eq!(flow.bbr.phase, Phase::Down, "the queue is still there");
    flow.round(1_000_000);
    assert_eq!(flow.bbr.phase, Phase::Cruise);
}

#[test]
fn probes_wait_two_to_three_seconds_or_as_many_rounds_as_reno_would() {
    let mut flow = Flow::cruising();
    let mut waits = alloc::vec::Vec::new();
    for _ in 0..1000 {
        flow.bbr.pick_probe_wait();
        waits.push((flow.bbr.bw_probe_wait, flow.bbr.rounds_since_probe_up));
    }
    assert!(waits.iter().all(|(wait, rounds)| *wait >= ms(2000) && *wait < ms(3000) && *rounds < 2));
    for (share, at_least) in [(ms(2250), 200), (ms(2500), 400), (ms(2750), 600)] {
        assert!(waits.iter().filter(|(wait, _)| *wait < share).count() > at_least);
    }
    assert!((400..600).contains(&waits.iter().filter(|(_, rounds)| *rounds == 1).count()));
    // Not all flows together.
    let mut other = Flow::new();
    other.ack(1_000_000, |s| s.una = Seq::new(78));
    other.bbr.pick_probe_wait();
    assert_ne!(other.bbr.bw_probe_wait, waits[0].0);

    let begun = flow.now;
    flow.bbr.rounds_since_probe_up = 0;
    flow.bbr.cycle_stamp = begun;
    flow.until(Phase::Refill);
    let waited = flow.now.saturating_since(begun);
    assert!(waited > flow.bbr.bw_probe_wait && waited <= flow.bbr.bw_probe_wait + ms(100));
    // A BDP of five segments: five rounds.
    let mut flow = Flow::new();
    for _ in 0..6 {
        flow.round(50_000);
    }
    assert_eq!(flow.bbr.phase, Phase::Cruise);
    flow.bbr.rounds_since_probe_up = 0;
    for _ in 0..4 {
        flow.round(50_000);
    }
    assert_eq!(flow.bbr.phase, Phase::Cruise);
    flow.round(50_000);
    assert_eq!(flow.bbr.phase, Phase::Refill);
}

#[test]
fn losses_above_two_per_cent_end_a_probe_and_bound_what_is_in_flight() {
    let mut flow = Flow::probing();
    flow.lose(0, 2400, 120_000, 2400);
    assert_eq!((flow.bbr.phase, flow.bbr.inflight_longterm), (Phase::Up, None), "2 % is tolerated");
    flow.lose(2400, 1000, 120_000, 3400);
    assert_eq!(flow.bbr.phase, Phase::Down);
    // 2 % of 119 000 is 2380, and 2400 had been lost before.
    assert_eq!(flow.bbr.inflight_longterm, Some(119_000));
    // Once a probe.
    flow.lose(3400, 46_600, 120_000, 50_000);
    assert_eq!(flow.bbr.inflight_longterm, Some(119_000));
    flow.event(CongestionEvent::Loss);
    flow.event(CongestionEvent::Undo);
    assert_eq!((flow.bbr.phase, flow.bbr.inflight_longterm), (Phase::Refill, None), "it was none");
}

#[test]
fn a_probe_that_lost_too_much_is_followed_by_a_cautious_one() {
    let mut flow = Flow::probing();
    flow.lose(0, 6000, 120_000, 6000);
    let bound = flow.bbr.inflight_longterm.unwrap();
    // (0.02 · 114 000 − 0) / 0.98 = 2326.
    assert_eq!(bound, 116_326);
    flow.until(Phase::Up);
    assert!(flow.bbr.is.contains(Is::PREV_PROBE_TOO_HIGH));
    // As soon as the bound is reached it is over: before the segment was acknowledged that is known of now, and as closely as
    // segments can reach it.
    flow.ack(1_000_000, |s| rs(s).in_flight = bound - 2 * MSS);
    assert_eq!(flow.bbr.phase, Phase::Up);
    flow.ack(1_000_000, |s| rs(s).in_flight = bound - 2 * MSS + 1);
    assert_eq!(flow.bbr.phase, Phase::Down);
    assert!(flow.bbr.is.contains(Is::PREV_PROBE_PRECAUTIONARY));
    flow.round(1_000_000);
    assert_eq!(flow.bbr.phase, Phase::Refill, "nothing was lost: at once again");
    flow.round(1_000_000);
    flow.ack(1_000_000, |s| rs(s).in_flight = bound);
    assert_eq!(flow.bbr.phase, Phase::Up, "and this time it stays");
}

/// By 1, 2, 4 ... segments a round trip.
#[test]
fn the_bound_is_raised_slowly_at_first() {
    let mut flow = Flow::probing();
    flow.bbr.inflight_longterm = Some(100_000);
    let mut growth = alloc::vec::Vec::new();
    flow.bbr.cwnd = 100_000;
    flow.bbr.probe_up_acked_per_inc = Some(100_000);
    for _ in 0..5 {
        let before = flow.bbr.inflight_longterm.unwrap();
        flow.bbr.probe_rtt_min_stamp = flow.now;
        for _ in 0..10 {
            let newly_acked = flow.bbr.cwnd.div_ceil(10);
            flow.ack(1_000_000, |s| {
                let rs = rs(s);
                rs.newly_acked = newly_acked;
                rs.prior_delivered = 0;
                s.cwnd_limited = true;
            });
        }
        flow.bbr.next_round_delivered = 0;
        flow.ack(1_000_000, |s| {
            rs(s).newly_acked = 0;
            s.cwnd_limited = true;
        });
        growth.push((flow.bbr.inflight_longterm.unwrap() - before) / MSS);
    }
    assert_eq!(growth[..4], [1, 2, 4, 8]);
    assert!((16..=17).contains(&growth[4]), "{growth:?}");
    let bound = flow.bbr.inflight_longterm.unwrap();
    flow.ack(1_000_000, |s| rs(s).prior_delivered = 0);
    assert_eq!(flow.bbr.inflight_longterm, Some(bound), "it was not what limited");
    flow.ack(1_000_000, |s| rs(s).tx_in_flight = bound + 7);
    assert_eq!(flow.bbr.inflight_longterm, Some(bound + 7), "so much went well");
}

#[test]
fn some_of_the_bound_is_left_to_others() {
    let mut flow = Flow::cruising();
    flow.bbr.inflight_longterm = Some(100_000);
    flow.ack(1_000_000, |s| rs(s).tx_in_flight = 0);
    assert_eq!(flow.bbr.cwnd(), 85_000);
    flow.bbr.inflight_longterm = Some(5000);
    flow.ack(1_000_000, |s| rs(s).tx_in_flight = 0);
    assert_eq!(flow.bbr.cwnd(), 4 * MSS, "at least one segment, down to four");
}

#[test]
fn a_loss_while_cruising_brings_rate_and_volume_to_what_was_delivered() {
    let mut flow = Flow::cruising();
    flow.lose(0, 1000, 100_000, 1000);
    flow.event(CongestionEvent::Loss);
    flow.ack(900_000, |s| s.reducing = true);
    assert_eq!((flow.bbr.bw_shortterm, flow.bbr.inflight_shortterm), (Some(1_000_000), Some(140_700)));
    flow.lose(1000, 1000, 100_000, 1000);
    flow.ack(900_000, |s| s.reducing = true);
    assert_eq!((flow.bbr.bw_shortterm, flow.bbr.inflight_shortterm), (Some(900_000), Some(98_490)));
    assert_eq!((flow.bbr.bandwidth(), flow.bbr.pacing_rate()), (900_000, 891_000));
    // By no more than to Beta a round.
    flow.round(100_000);
    flow.lose(2000, 1000, 100_000, 1000);
    flow.round(100_000);
    flow.round(100_000);
    assert_eq!(flow.bbr.bw_shortterm, Some(630_000));
    flow.until(Phase::Refill);
    assert_eq!((flow.bbr.bw_shortterm, flow.bbr.inflight_shortterm), (None, None), "forgotten");
}

#[test]
fn a_time_out_leaves_one_segment_and_its_end_gives_the_window_back() {
    let mut flow = Flow::cruising();
    let before = flow.bbr.cwnd();
    flow.time_out(true, 0);
    assert_eq!((flow.bbr.cwnd(), flow.bbr.prior_cwnd), (MSS, before));
    flow.ack(1_000_000, |s| {
        s.after_timeout = true;
        rs(s).newly_acked = MSS;
    });
    assert_eq!(flow.bbr.cwnd(), 4 * MSS);
    flow.time_out(false, 0);
    assert_eq!(flow.bbr.cwnd(), MSS);
    flow.round(1_000_000);
    // By Reno's measure a window of one segment is to be probed after one round trip (§5.3.3.8).
    assert_eq!((flow.bbr.phase, flow.bbr.cwnd()), (Phase::Up, before + MSS));
    let before = flow.bbr.cwnd();
    // Where it was none, at once.
    flow.time_out(true, 30_000);
    assert_eq!(flow.bbr.cwnd(), 30_000 + MSS, "beside what is still on its way");
    flow.event(CongestionEvent::Undo);
    assert_eq!(flow.bbr.cwnd(), before);
    let short = flow.bbr.bw_shortterm;
    flow.event(CongestionEvent::Undo);
    assert_eq!((flow.bbr.cwnd(), flow.bbr.bw_shortterm), (before, short), "there is nothing more to give");
}

#[test]
fn fast_recovery_leaves_the_window_to_the_model() {
    let mut flow = Flow::cruising();
    let before = flow.bbr.cwnd();
    flow.event(CongestionEvent::Loss);
    assert_eq!(flow.bbr.cwnd(), before);
    let congestion = super::super::Congestion::Bbr(alloc::boxed::Box::new(flow.bbr));
    assert!(congestion.sizes_own_window() && congestion.ssthresh() == u32::MAX);
}

/// §3.7.
#[test]
fn a_mark_counts_as_a_loss() {
    let mut flow = Flow::new();
    flow.round(1_000_000);
    flow.event(CongestionEvent::Ecn);
    flow.round(1_500_000);
    assert_eq!(flow.bbr.phase, Phase::Drain);
    let mut flow = Flow::probing();
    flow.bbr.in_flight = 110_000;
    flow.event(CongestionEvent::Ecn);
    assert_eq!((flow.bbr.phase, flow.bbr.inflight_longterm), (Phase::Down, Some(110_000)));
    let mut flow = Flow::cruising();
    flow.event(CongestionEvent::Ecn);
    flow.round(900_000);
    flow.round(900_000);
    assert!(flow.bbr.bw_shortterm.is_some());
}

/// §5.3.4.2.
#[test]
fn every_five_seconds_the_round_trip_is_looked_for() {
    let mut flow = Flow::cruising();
    let slower = |s: &mut AckSample| rs(s).rtt = Some(ms(101));
    let since = flow.bbr.probe_rtt_min_stamp;
    while flow.bbr.phase != Phase::ProbeRtt {
        flow.ack(1_000_000, slower);
    }
    assert_eq!(flow.now.saturating_since(since), ms(5100), "the first acknowledgment after 5 s");
    assert_eq!(flow.bbr.min_rtt(), Some(ms(100)), "the older is remembered for 10 s");
    assert_eq!(flow.bbr.cwnd(), 50_000, "half a BDP");
    assert!(flow.bbr.ignores_rates());
    flow.ack(1_000_000, slower);
    assert_eq!(flow.bbr.probe_rtt_done_stamp, None, "still too much in flight");
    let little = |s: &mut AckSample| {
        let rs = rs(s);
        rs.in_flight = 50_000;
        rs.is_app_limited = true;
        rs.delivery_rate = 500_000;
    };
    flow.ack(1_000_000, little);
    for _ in 0..2 {
        flow.ack(1_000_000, little);
        assert_eq!(flow.bbr.phase, Phase::ProbeRtt);
    }
    flow.ack(1_000_000, little);
    assert_eq!(flow.bbr.phase, Phase::Cruise, "after 200 ms and a round trip");
    assert_eq!(flow.bbr.bandwidth(), 1_000_000);
    assert!(flow.bbr.cwnd() >= 200_000);
}

#[test]
fn a_longer_path_is_believed_after_ten_seconds() {
    let mut flow = Flow::cruising();
    let first = flow.bbr.min_rtt_stamp;
    loop {
        flow.ack(1_000_000, |s| {
            let rs = rs(s);
            rs.rtt = Some(ms(150));
            rs.in_flight = rs.in_flight.min(50_000);
        });
        let age = flow.now.saturating_since(first);
        if flow.bbr.min_rtt() == Some(ms(150)) {
            assert!(age > ms(10_000) && age <= ms(10_300), "{age:?}");
            return;
        }
        assert!(age < ms(11_000));
    }
}

#[test]
fn after_a_silence_it_sends_at_the_rate_it_knows() {
    let mut flow = Flow::probing();
    assert_eq!(flow.bbr.pacing_rate(), 1_000_000 * 125 / 100 * 99 / 100);
    let cwnd = flow.bbr.cwnd();
    flow.now += Duration::from_secs(7);
    flow.event(CongestionEvent::Idle);
    flow.bbr.on_idle_restart(flow.now);
    assert_eq!((flow.bbr.cwnd(), flow.bbr.pacing_rate()), (cwnd, 990_000));
    flow.round(1_000_000);
    assert_ne!(flow.bbr.phase, Phase::ProbeRtt, "silence has drained the queue already");
    // One that began while little was in flight ends there.
    let mut flow = Flow::cruising();
    while flow.bbr.probe_rtt_done_stamp.is_none() {
        flow.ack(1_000_000, |s| {
            let rs = rs(s);
            rs.rtt = Some(ms(101));
            rs.in_flight = 10_000;
        });
    }
    flow.bbr.on_idle_restart(flow.now + ms(199));
    assert_eq!(flow.bbr.phase, Phase::ProbeRtt);
    flow.bbr.on_idle_restart(flow.now + ms(201));
    assert_eq!((flow.bbr.phase, flow.bbr.cwnd()), (Phase::Cruise, 201_000));
}

#[test]
fn acknowledgments_that_come_in_bulk_widen_the_window() {
    let mut flow = Flow::cruising();
    flow.ack(1_000_000, |s| rs(s).newly_acked = 150_000);
    let widened = flow.bbr.cwnd();
    assert_eq!(widened, 350_000);
    for _ in 0..9 {
        flow.round(1_000_000);
        assert_eq!(flow.bbr.extra_acked(), 150_000);
    }
    flow.round(1_000_000);
    assert_eq!(flow.bbr.extra_acked(), 51_000, "for ten round trips; in the next so much was still ahead");
    flow.round(1_000_000);
    assert_eq!(flow.bbr.extra_acked(), MSS);
}

#[test]
fn another_segment_size() {
    let mut bbr = bbr(536, 10);
    bbr.set_mss(1460);
    assert_eq!((bbr.cwnd(), bbr.pacing_rate()), (14_600, 14_600_000 * 277 / 100));
    bbr.set_mss(9000);
    assert_eq!((bbr.cwnd(), bbr.send_quantum()), (18_000, 49_860));
    let mut flow = Flow::cruising();
    flow.event(CongestionEvent::MssChanged(500));
    assert_eq!((flow.bbr.cwnd(), flow.bbr.mss), (201_000, 500));
    flow.event(CongestionEvent::MssChanged(0));
    flow.time_out(true, 0);
    assert_eq!(flow.bbr.cwnd(), 1);
}

#[test]
fn without_a_sample_nothing_changes() {
    let mut flow = Flow::cruising();
    let before = alloc::format!("{:?}", flow.bbr);
    flow.ack(1_000_000, |s| s.rate = None);
    assert_eq!(alloc::format!("{:?}", flow.bbr), before);
}
