use alloc::format;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::CongestionEvent::{Ecn, Idle, Loss, MssChanged, Timeout, Undo, Unused};
use super::*;
use crate::seq::Seq;
use crate::tcp::congestion::Hystart;
use crate::time::Duration;

const MSS: u32 = 1000;

fn cubic(settings: Settings) -> Cubic {
    Cubic::new(&Start::new(MSS, 10, settings))
}

fn plain() -> Settings {
    Settings { hystart: Hystart::Off, ..Settings::default() }
}

/// A connection over a path of one round-trip time, which acknowledges each segment.
struct Flow {
    cubic: Cubic,
    now: Instant,
    rtt: Duration,
}

impl Flow {
    fn new(rtt_ms: u64, settings: Settings) -> Self {
        let now = Instant::from_secs(1);
        Self { cubic: cubic(settings), now, rtt: Duration::from_millis(rtt_ms) }
    }

    fn sample(&self, acked: u32) -> AckSample {
        let (rtt, una, nxt) = (Some(self.rtt), Seq::new(1), Seq::new(2));
        AckSample { now: self.now, rtt, srtt: rtt, una, nxt, ..AckSample::of(acked) }
    }

    fn ack(&mut self, acked: u32) -> u32 {
        self.cubic.on_ack(&self.sample(acked));
        self.cubic.cwnd()
    }

    fn event(&mut self, event: CongestionEvent) -> (u32, u32) {
        self.cubic.on_event(event, self.cubic.cwnd());
        (self.cubic.cwnd(), self.cubic.ssthresh())
    }

    /// As many segments as the window holds are acknowledged, evenly over a round trip.
    fn round(&mut self) -> u32 {
        let segments = self.cubic.cwnd() / MSS;
        for _ in 0..segments {
            self.now += self.rtt / segments;
            self.ack(MSS);
        }
        self.cubic.cwnd()
    }

    /// In congestion avoidance after a loss at so many segments.
    fn after_loss(rtt_ms: u64, segments: u32) -> Self {
        let mut flow = Self::new(rtt_ms, plain());
        flow.cubic.window.cwnd = segments * MSS;
        flow.event(Loss);
        flow
    }
}

//= https://www.rfc-editor.org/rfc/rfc9438#section-4.6
//= type=test
//= id=rfc9438-4.6-1, rfc9438-4.6-2
//= https://www.rfc-editor.org/rfc/rfc9406#section-4.2
//= type=test
//= id=rfc9406-4.2-s6
#[test]
fn a_loss_takes_three_tenths_at_once() {
    let mut flow = Flow::new(100, plain());
    flow.cubic.window.cwnd = 100 * MSS;
    assert_eq!(flow.event(Loss), (70 * MSS, 70 * MSS));
    assert!(!flow.cubic.window.in_slow_start());
    assert_eq!((flow.cubic.path.w_max, flow.cubic.path.cwnd_prior), (Some(100 * MSS), 100 * MSS));
    flow.cubic.window.cwnd = 2 * MSS;
    assert_eq!(flow.event(Loss), (2 * MSS, 2 * MSS), "two segments at the least");
}

#[test]
fn an_overflow_goes_by_half_of_the_window_that_was() {
    let mut flow = Flow::new(100, plain());
    flow.cubic.on_overflow();
    assert_eq!(flow.cubic.ssthresh(), u32::MAX, "nothing was lost");
    flow.cubic.window.cwnd = 1000 * MSS;
    flow.event(Loss);
    flow.cubic.on_overflow();
    assert_eq!((flow.cubic.cwnd(), flow.cubic.ssthresh()), (350 * MSS, 350 * MSS));
    assert_eq!((flow.cubic.path.w_max, flow.cubic.path.cwnd_prior), (Some(500 * MSS), 500 * MSS));
    // More than cwnd_prior is again in the window, but less than was taken.
    flow.cubic.window.cwnd = 600 * MSS;
    assert_eq!(flow.event(Undo), (1000 * MSS, u32::MAX));
}

//= https://www.rfc-editor.org/rfc/rfc9438#section-4.6
//= type=test
//= id=rfc9438-4.6-5
#[test]
fn a_mark_takes_less_and_goes_down_to_one_segment() {
    let mut flow = Flow::new(100, plain());
    flow.cubic.window.cwnd = 100 * MSS;
    assert_eq!(flow.event(Ecn), (85 * MSS, 85 * MSS));
    for _ in 0..40 {
        flow.event(Ecn);
    }
    assert_eq!((flow.cubic.cwnd(), flow.cubic.ssthresh()), (MSS, 2 * MSS));
    let mut flow = Flow::new(100, Settings { abe: false, ..plain() });
    flow.cubic.window.cwnd = 100 * MSS;
    assert_eq!(flow.event(Ecn), (70 * MSS, 70 * MSS), "as a loss");
}

//= https://www.rfc-editor.org/rfc/rfc9438#section-4.7
//= type=test
//= id=rfc9438-4.7-1, rfc9438-4.7-2
#[test]
fn fast_convergence_lowers_the_plateau() {
    for (fast_convergence, w_max) in [(true, 68), (false, 80)] {
        let mut flow = Flow::new(100, Settings { fast_convergence, ..plain() });
        flow.cubic.window.cwnd = 100 * MSS;
        flow.event(Loss);
        flow.cubic.window.cwnd = 80 * MSS;
        assert_eq!(flow.event(Loss), (56 * MSS, 56 * MSS));
        assert_eq!(flow.cubic.path.w_max, Some(w_max * MSS));
        flow.cubic.window.cwnd = 90 * MSS;
        flow.event(Loss);
        assert_eq!(flow.cubic.path.w_max, Some(90 * MSS), "above it there is nothing to release");
    }
}

/// The window at the end of each second of a path of 100 ms after a loss at 1000 segments: W_cubic(t) itself, by the formula
/// (K = 9.0856 s), within what a round trip changes.
//= https://www.rfc-editor.org/rfc/rfc9438#section-4.4
//= type=test
//= id=rfc9438-4.4-1
//= https://www.rfc-editor.org/rfc/rfc9438#section-4.5
//= type=test
//= id=rfc9438-4.5-1
#[test]
fn concave_to_the_plateau_and_convex_beyond() {
    let mut flow = Flow::after_loss(100, 1000);
    let epoch = flow.now;
    let mut windows = Vec::new();
    for second in 1..=18 {
        while flow.now < epoch + Duration::from_secs(second) {
            flow.round();
        }
        let t = (flow.now.saturating_since(epoch)).as_secs_f64();
        let formula = |t: f64| 0.4 * (t - 9.0856).powi(3) + 1000.0;
        let window = f64::from(flow.cubic.cwnd()) / 1000.0;
        let (low, high) = (formula(t - 0.1) - 1.0, formula(t + 0.2) + 1.0);
        assert!((low..high).contains(&window), "{window} after {t}, not {low} to {high}");
        windows.push(window);
    }
    let steps: Vec<f64> = windows.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(steps[..7].windows(2).all(|pair| pair[1] < pair[0]), "concave: {steps:?}");
    assert!(steps[9..].windows(2).all(|pair| pair[1] > pair[0]), "convex: {steps:?}");
}

#[test]
fn however_much_an_acknowledgment_covers_the_window_grows_as_fast() {
    let windows = [1, 2, 10].map(|each| {
        let mut flow = Flow::after_loss(100, 1000);
        for _ in 0..20 {
            let acks = flow.cubic.cwnd() / MSS / each;
            for _ in 0..acks {
                flow.now += flow.rtt / acks;
                flow.ack(each * MSS);
            }
        }
        flow.cubic.cwnd() / MSS
    });
    assert!(windows.iter().all(|window| window.abs_diff(windows[0]) <= 4), "{windows:?}");
}

/// A target far ahead: 1.5·cwnd is the most (§4.2), half a segment for each acknowledged.
//= https://www.rfc-editor.org/rfc/rfc9438#section-4.2
//= type=test
//= id=rfc9438-4.2-s1
#[test]
fn growth_is_slower_than_in_slow_start() {
    let mut flow = Flow::after_loss(100, 1000);
    flow.ack(MSS);
    flow.now += Duration::from_secs(100);
    let before = flow.cubic.cwnd();
    assert_eq!(flow.ack(10 * MSS) - before, 5 * MSS);
}

/// α = 9/17 below cwnd_prior, 1 from there on: 17/9 and 1 windows of acknowledged octets for a segment.
//= https://www.rfc-editor.org/rfc/rfc9438#section-4.3
//= type=test
//= id=rfc9438-4.3-1, rfc9438-4.3-2
#[test]
fn reno_friendly_over_short_paths() {
    let mut flow = Flow::after_loss(1, 100);
    let mut rounds = |from: u32, to: u32| {
        assert!(flow.cubic.cwnd() < from * MSS + MSS, "{}", flow.cubic.cwnd());
        (0..).take_while(|_| flow.cubic.cwnd() < from * MSS || flow.round() < to * MSS).count()
    };
    // 30 segments at 9/17 each round, and 30 at 1.
    let slow = rounds(70, 100);
    assert!((55..=58).contains(&slow), "{slow}");
    let fast = rounds(100, 130);
    assert!((29..=31).contains(&fast), "{fast}");
}

//= https://www.rfc-editor.org/rfc/rfc9438#section-4.8
//= type=test
//= id=rfc9438-4.8-1, rfc9438-4.8-s1
#[test]
fn after_a_timeout_the_curve_begins_where_slow_start_ends() {
    let mut flow = Flow::new(100, plain());
    flow.cubic.window.cwnd = 100 * MSS;
    assert_eq!(flow.event(Timeout { first: true }), (MSS, 70 * MSS));
    assert_eq!(flow.event(Timeout { first: false }), (MSS, 70 * MSS), "the threshold is held");
    assert_eq!(flow.ack(69 * MSS), 70 * MSS);
    assert!(flow.cubic.path.stage.is_none(), "slow start up to there");
    flow.ack(MSS);
    let stage = flow.cubic.path.stage.unwrap();
    assert_eq!(stage.curve, Curve::new(70 * MSS, 70 * MSS, MSS), "K = 0");
    assert_eq!(stage.w_est >> FRACTION, u64::from(70 * MSS) + u64::from(MSS) * 9 / 17 / 70);
}

//= https://www.rfc-editor.org/rfc/rfc9438#section-4.9.2
//= type=test
//= id=rfc9438-4.9.2-1, rfc9438-4.9.2-s1
#[test]
fn a_spurious_reduction_is_given_back_whole() {
    let state = |flow: &Flow| format!("{:?} {:?}", flow.cubic.window, flow.cubic.path);
    for event in [Loss, Ecn, Timeout { first: true }] {
        let mut flow = Flow::after_loss(100, 1000);
        for _ in 0..30 {
            flow.round();
        }
        let before = state(&flow);
        flow.event(event);
        flow.event(Timeout { first: false });
        assert_ne!(state(&flow), before);
        flow.event(Undo);
        assert_eq!(state(&flow), before, "{event:?}");
        flow.event(Undo);
        assert_eq!(state(&flow), before, "once");
    }
    let mut flow = Flow::after_loss(100, 1000);
    flow.cubic.window.cwnd = 1001 * MSS;
    let before = state(&flow);
    flow.event(Undo);
    assert_eq!(state(&flow), before, "long after");
}

//= https://www.rfc-editor.org/rfc/rfc9438#section-4.2
//= type=test
//= id=rfc9438-4.2-1
#[test]
fn time_without_use_of_the_window_does_not_count() {
    let run = |pause: fn(&mut Flow)| {
        let mut flow = Flow::after_loss(100, 1000);
        for _ in 0..20 {
            flow.round();
        }
        pause(&mut flow);
        for _ in 0..20 {
            flow.round();
        }
        flow.cubic.cwnd() / MSS
    };
    let steady = run(|_| ());
    let limited_by_the_program = run(|flow| {
        let before = flow.cubic.cwnd();
        for _ in 0..1000 {
            flow.now += Duration::from_millis(100);
            flow.cubic.on_ack(&AckSample { cwnd_limited: false, ..flow.sample(MSS) });
        }
        assert_eq!(flow.cubic.cwnd(), before);
    });
    let silent = run(|flow| {
        let all = AckSample { una: Seq::new(2), ..flow.sample(MSS) };
        flow.cubic.on_ack(&all);
        flow.now += Duration::from_secs(60);
    });
    assert!(steady.abs_diff(limited_by_the_program) <= 1, "{steady} {limited_by_the_program}");
    // The round trip before the first acknowledgment counts.
    assert!(steady.abs_diff(silent) <= 3, "{steady} {silent}");
    let busy = run(|flow| flow.now += Duration::from_secs(10));
    assert!(busy > steady + 50, "{busy}: with something underway it does");
}

#[test]
fn a_restart_and_decay_keep_the_plateau() {
    let mut flow = Flow::after_loss(100, 100);
    flow.ack(MSS);
    let (cwnd, _) = flow.event(Idle);
    assert_eq!((cwnd, flow.cubic.ssthresh()), (10 * MSS, 70 * MSS));
    assert!(flow.cubic.path.stage.is_none());
    assert_eq!(flow.cubic.path.w_max, Some(100 * MSS));
    flow.cubic.window.cwnd = 70 * MSS;
    flow.cubic.on_event(Unused, 20 * MSS);
    assert_eq!((flow.cubic.cwnd(), flow.cubic.ssthresh()), (45 * MSS, 70 * MSS));
}

//= https://www.rfc-editor.org/rfc/rfc9438#section-4.10
//= type=test
//= id=rfc9438-4.10-1, rfc9438-4.10-2, rfc9438-4.10-s1
//= https://www.rfc-editor.org/rfc/rfc9406#section-4.3
//= type=test
//= id=rfc9406-4.3-5
//= https://www.rfc-editor.org/rfc/rfc9406#section-4.2
//= type=test
//= id=rfc9406-4.2-s5
#[test]
fn hystart_ends_the_first_slow_start_and_no_other() {
    let mut flow = Flow::new(50, Settings::default());
    let mut now_nxt = 10u32;
    let mut una = 0u32;
    let mut conservative = 0;
    while flow.cubic.ssthresh() == u32::MAX && una < 2000 {
        una += 1;
        // The queue grows with the window: 50 ms of path for 40 segments.
        flow.rtt = Duration::from_millis(u64::from(flow.cubic.cwnd() / MSS).max(40) * 50 / 40);
        flow.now += Duration::from_millis(1);
        let sample = AckSample { una: Seq::new(una), nxt: Seq::new(now_nxt), ..flow.sample(MSS) };
        let before = flow.cubic.cwnd();
        flow.cubic.on_ack(&sample);
        conservative += u32::from(flow.cubic.cwnd() - before == MSS / 4);
        now_nxt = una + flow.cubic.cwnd() / MSS;
    }
    assert!(conservative > 100, "Conservative Slow Start grows by a quarter");
    let (cwnd, ssthresh) = (flow.cubic.cwnd(), flow.cubic.ssthresh());
    assert!(ssthresh < 300 * MSS && cwnd == ssthresh, "{cwnd} {ssthresh}");
    assert_eq!((flow.cubic.path.w_max, flow.cubic.path.cwnd_prior), (None, ssthresh));

    flow.event(Timeout { first: true });
    for rtt in [50, 500] {
        flow.rtt = Duration::from_millis(rtt);
        for _ in 0..20 {
            let before = flow.cubic.cwnd();
            assert_eq!(flow.ack(MSS), before + MSS);
        }
    }
}

#[test]
fn smaller_segments_scale_what_is_remembered() {
    let mut flow = Flow::after_loss(100, 100);
    flow.ack(MSS);
    flow.event(MssChanged(500));
    assert_eq!(
        (flow.cubic.cwnd() / 1000, flow.cubic.path.w_max, flow.cubic.path.cwnd_prior),
        (35, Some(50_000), 50_000)
    );
    flow.event(Undo);
    assert_eq!(flow.cubic.cwnd() / 1000, 35, "what was of another size is not given back");
    let mut fresh = cubic(plain());
    fresh.set_mss(1460);
    assert_eq!(fresh.cwnd(), 14_600);
}

#[test]
fn in_recovery_and_unused_it_stays() {
    let mut flow = Flow::after_loss(100, 100);
    for _ in 0..100 {
        flow.now += Duration::from_secs(1);
        flow.cubic.on_ack(&AckSample { reducing: true, ..flow.sample(MSS) });
    }
    assert_eq!(flow.cubic.cwnd(), 70 * MSS);
    assert!(flow.cubic.path.stage.is_none(), "the stage begins afterwards");
}

/// The target is W_cubic(t + SRTT), a round trip ahead.
#[test]
fn it_looks_a_smoothed_round_trip_ahead() {
    let grown = [100, 2000].map(|srtt| {
        let mut flow = Flow::new(100, plain());
        flow.cubic.window.cwnd = 1000 * MSS;
        flow.event(Loss);
        flow.ack(1);
        flow.now += Duration::from_secs(1);
        flow.rtt = Duration::from_millis(srtt);
        let before = flow.cubic.cwnd();
        (flow.ack(100 * MSS) - before) / MSS
    });
    // W(1 + 0.1) = 796.3 and W(1 + 2) = 909.8: (W − 700)·100/700.
    assert_eq!(grown, [13, 29]);
}

/// Windows that the deterministic loss model of §5 gives: each 1/p segments one is lost.
fn average(rtt_ms: u64, every: u64, cycles: u64) -> f64 {
    let mut flow = Flow::new(rtt_ms, plain());
    flow.cubic.window.cwnd = 2 * MSS;
    flow.cubic.window.ssthresh = 2 * MSS;
    let (mut segments, mut time) = (0.0, 0.0);
    for cycle in 0..cycles {
        let begun = flow.now;
        for _ in 0..every {
            // A window of segments is acknowledged in each round trip.
            flow.now += flow.rtt * MSS / flow.cubic.cwnd();
            flow.ack(MSS);
        }
        if cycle >= cycles / 2 {
            segments += every as f64;
            time += flow.now.saturating_since(begun).as_secs_f64();
        }
        flow.event(Loss);
    }
    segments / (time / flow.rtt.as_secs_f64())
}

/// Tables 1 and 2 of §5.1, with C = 0.4: within a tenth.
#[test]
fn the_average_window_is_that_of_the_rfc() {
    for (rtt_ms, every, expected) in [
        (100, 100, 12.0),
        (100, 1_000, 38.0),
        (100, 10_000, 187.0),
        (100, 100_000, 1054.0),
        (10, 100, 12.0),
        (10, 1_000, 38.0),
        (10, 10_000, 120.0),
    ] {
        let found = average(rtt_ms, every, 30);
        assert!(
            (found / expected - 1.0).abs() < 0.1,
            "RTT {rtt_ms} ms, p = 1/{every}: {found}, not {expected}"
        );
    }
}

proptest! {
    #[test]
    fn any_acknowledgments_and_events_leave_room_for_a_segment(
        mss: u32,
        ops in proptest::collection::vec((0..8u8, any::<u32>(), any::<u32>(), any::<[bool; 3]>()), 0..60),
    ) {
        let mut c = Cubic::new(&Start::new(mss, 10, Settings::default()));
        let mut now = Instant::ZERO;
        for (op, n, m, [a, b, d]) in ops {
            now += Duration::from_micros(u64::from(m));
            match op {
                0..=2 => c.on_ack(&AckSample {
                    now,
                    rtt: a.then(|| Duration::from_micros(m.into())),
                    srtt: Some(Duration::from_micros(n.into())),
                    cwnd_limited: b,
                    reducing: d,
                    una: Seq::new(n),
                    nxt: Seq::new(n.wrapping_add(m % 3)),
                    ..AckSample::of(n)
                }),
                3 => c.on_event(if a { Loss } else { Ecn }, n),
                4 => c.on_event(Timeout { first: a }, n),
                5 => c.on_event(if a { Idle } else { Unused }, n),
                6 => c.on_event(MssChanged(n), m),
                _ => c.on_event(Undo, n),
            }
            prop_assert!(c.cwnd() >= c.window.mss && c.ssthresh() >= 2);
        }
    }
}
