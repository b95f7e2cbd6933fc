//! Loss recovery at its edges, on a connection of segments of 1000 octets whose round trip is 50 ms. Places are octets from
//! the first one.

use super::raw::{Raw, Sent};
use super::*;
use crate::config::{EcnFeedback, TcpConfig};
use crate::seq::{Seq, SeqRange};
use crate::tcp::congestion::Algorithm;
use crate::tcp::recovery::Phase;
use crate::tcp::timers::Timer;
use crate::wire::options::{Options, Timestamps};

mod taken_back;

const MSS: u32 = 1000;
const RTT: Duration = Duration::from_millis(50);

/// What both ends have agreed on.
#[derive(Clone, Copy, Default)]
struct Agreed {
    sack: bool,
    timestamps: bool,
    ecn: bool,
}

const SACK: Agreed = Agreed { sack: true, timestamps: false, ecn: false };

struct Talk {
    r: Raw,
    id: SocketId,
    start: u32,
    /// What the peer's ACKs echo.
    echo: u32,
    /// Beside ACK.
    flags: Flags,
}

impl Talk {
    fn new(agreed: Agreed) -> Self {
        Self::with(agreed, Algorithm::Reno)
    }

    fn with(agreed: Agreed, congestion: Algorithm) -> Self {
        let mut tcp = TcpConfig { congestion, ..TcpConfig::default() };
        tcp.ecn_incoming = EcnFeedback::Classic;
        let mut r = Raw::new(Config { tcp, ..Config::default() });
        r.syn.sack_permitted = agreed.sack;
        r.clock = agreed.timestamps.then_some(1);
        if agreed.timestamps {
            // Room for the option beside 1000 octets.
            r.syn.mss = Some(1012);
        }
        let listener = r.listen(8);
        let asks = if agreed.ecn { Flags::ECE | Flags::CWR } else { Flags::empty() };
        r.send(Flags::SYN | asks, b"");
        let out = r.sent();
        assert_eq!(out[0].is(Flags::ECE), agreed.ecn);
        r.ack = out[0].header.seq.get().wrapping_add(1);
        r.now += RTT;
        r.send(Flags::ACK, b"");
        let id = r.host.try_accept(listener).unwrap();
        let start = r.ack;
        let mut talk = Self { r, id, start, echo: 0, flags: Flags::empty() };
        // A round trip is known.
        assert_eq!(talk.write(2), [(0, 1000), (1000, 1000)]);
        talk.r.now += RTT;
        talk.ack(2000, &[]);
        talk.start = talk.start.wrapping_add(2000);
        talk
    }

    fn places(&self, out: &[Sent]) -> Vec<(u32, usize)> {
        let place = |s: &Sent| s.header.seq.get().wrapping_sub(self.start);
        out.iter()
            .filter(|s| !s.text.is_empty() || s.is(Flags::FIN))
            .map(|s| (place(s), s.text.len()))
            .collect()
    }

    fn sent(&mut self) -> Vec<(u32, usize)> {
        let out = self.r.sent();
        if let Some(stamp) = out.last().and_then(|s| s.options.timestamps) {
            self.echo = stamp.value;
        }
        self.places(&out)
    }

    /// So many segments are written: what leaves, as though its pace were over.
    fn write(&mut self, segments: u32) -> Vec<(u32, usize)> {
        self.r.host.config_mut().tcp.slow_start_pacing = false;
        self.r.write(self.id, &vec![7; (segments * MSS) as usize]);
        let sent = self.sent();
        self.r.host.config_mut().tcp.slow_start_pacing = true;
        sent
    }

    /// A whole window is written and leaves, and `more` segments wait for room.
    fn flight(&mut self, more: u32) {
        let window = self.cwnd() / MSS;
        let out = self.write(window + more);
        assert_eq!(out.len() as u32, window);
    }

    fn inject(&mut self, ack: u32, blocks: &[(u32, u32)], echo: u32) {
        let at = |n: u32| Seq::new(self.start.wrapping_add(n));
        let sack = blocks.iter().map(|&(a, b)| SeqRange::new(at(a), at(b))).collect();
        let timestamps = self.r.clock.map(|value| Timestamps { value, echo });
        let (seq, flags) = (self.r.seq, Flags::ACK | self.flags);
        self.r.ack = at(ack).get();
        self.r.inject(seq, self.r.ack, flags, b"", &Options { sack, timestamps, ..Options::default() });
    }

    fn ack(&mut self, ack: u32, blocks: &[(u32, u32)]) -> Vec<(u32, usize)> {
        self.inject(ack, blocks, self.echo);
        self.sent()
    }

    /// Time passes until something leaves.
    fn until_sent(&mut self) -> Vec<(u32, usize)> {
        for _ in 0..100 {
            self.r.now = self.r.host.poll_timeout().unwrap();
            let out = self.r.sent();
            if !out.is_empty() {
                return self.places(&out);
            }
        }
        panic!("nothing leaves any more");
    }

    fn cwnd(&mut self) -> u32 {
        self.tcb().cwnd()
    }

    fn ssthresh(&mut self) -> u32 {
        self.tcb().congestion.ssthresh()
    }

    fn phase(&mut self) -> Phase {
        self.tcb().recovery.phase()
    }

    fn armed(&mut self, timer: Timer) -> bool {
        self.tcb().timers.is_armed(timer)
    }

    /// SND.NXT.
    fn nxt(&mut self) -> u32 {
        let start = Seq::new(self.start);
        self.tcb().snd.nxt.since(start)
    }

    fn tcb(&mut self) -> &mut Tcb {
        self.r.tcb(self.id)
    }
}

#[test]
fn what_the_reordering_timer_waited_for_came_and_a_probe_watches_over_the_rest() {
    let mut t = Talk::new(SACK);
    t.flight(0);
    t.r.now += RTT;
    t.ack(0, &[(1000, 2000)]);
    assert!(t.armed(Timer::Reordering) && !t.armed(Timer::Rto) && !t.armed(Timer::Tlp));
    t.ack(2000, &[]);
    assert!(!t.armed(Timer::Reordering) && !t.armed(Timer::Rto) && t.armed(Timer::Tlp));
}

/// The path reorders the first two segments of a flight; gives the timestamp that the flight bore too.
fn one_came_late(further: u32) -> (Talk, u32) {
    let mut t = Talk::new(Agreed { timestamps: true, ..SACK });
    t.flight(further);
    let original = t.echo;
    t.r.now += RTT;
    t.ack(0, &[(1000, 2000)]);
    t.ack(2000, &[]);
    (t, original)
}

/// An ACK that tells RACK nothing, as the original of what was sent again made it, does not end the wait for another.
#[test]
fn the_reordering_timer_outlasts_an_ack_that_is_no_news_to_it() {
    let (mut t, original) = one_came_late(0);
    assert_eq!(t.tcb().recovery.reorderings(), 1);
    let more = t.write(2);
    assert_eq!(more.len(), 2);
    t.r.now += RTT / 4 + Duration::from_millis(3);
    t.ack(2000, &[(3000, 4000)]);
    assert_eq!(t.until_sent(), [(2000, 1000)], "sent again by the timer or at once");
    t.ack(2000, &[(5000, 6000), (3000, 4000)]);
    let waits = t.armed(Timer::Reordering);
    t.r.now += Duration::from_millis(1);
    // The original of the third, not its retransmission; the fifth is still waited for.
    t.inject(4000, &[(5000, 6000)], original);
    assert_eq!((waits, t.armed(Timer::Reordering)), (true, true));
}

/// What was waited for came, by an ACK that is no news to RACK: the timer does not keep the others from being armed.
#[test]
fn the_reordering_timer_ends_with_an_ack_that_is_no_news_to_it() {
    let (mut t, original) = one_came_late(20);
    t.r.now += RTT / 4 + Duration::from_millis(3);
    t.ack(2000, &[(3000, 4000)]);
    assert_eq!(t.until_sent(), [(2000, 1000)]);
    t.r.now += Duration::from_millis(1);
    let before = t.nxt();
    t.ack(2000, &[(3000, 8000)]);
    let told = t.nxt();
    assert!(told > before, "new data behind what was sent again");
    t.r.now += RTT + Duration::from_millis(2);
    t.ack(2000, &[(3000, told - 1000)]);
    assert!(t.armed(Timer::Reordering), "{:?}", t.tcb().recovery);
    t.inject(told - 1000, &[], original);
    assert!(t.tcb().snd.outstanding() > 0);
    assert!(!t.armed(Timer::Reordering) && (t.armed(Timer::Rto) || t.armed(Timer::Tlp)));
}

#[test]
fn a_probe_that_was_reported_to_come_twice_reduces_nothing() {
    for reported in [true, false] {
        let mut t = Talk::new(SACK);
        t.write(3);
        assert_eq!(t.until_sent(), [(2000, 1000)]);
        let cwnd = t.cwnd();
        t.ack(3000, if reported { &[(2000, 3000)] } else { &[] });
        t.write(1);
        t.r.now += RTT;
        t.ack(4000, &[]);
        assert_eq!((t.ssthresh() == u32::MAX, t.cwnd() >= cwnd), (reported, reported));
    }
}

/// All was acknowledged in the moment between the timer and the next segment: what is written later is not preceded by a
/// probe, nor followed.
#[test]
fn a_probe_that_was_not_needed_any_more_is_forgotten() {
    let mut t = Talk::new(SACK);
    t.write(3);
    while t.r.host.counters().tcp_loss_probes == 0 {
        let next = t.r.host.poll_timeout().unwrap();
        t.r.now = t.r.now.max(next);
        t.r.host.handle_timeout(next);
    }
    assert_eq!(t.ack(3000, &[]), []);
    assert_eq!(t.write(1), [(3000, 1000)]);
}

/// What was in flight is lost in fast recovery, and the window has come down to less than a segment: one may leave all the
/// same (RFC 9937 §6.2), or nothing would happen before the retransmission timer.
#[test]
fn with_nothing_in_flight_a_segment_leaves_whatever_the_window() {
    let mut t = Talk::new(SACK);
    t.flight(0);
    t.r.now += RTT;
    assert_eq!(t.ack(0, &[(1000, 4000)])[0], (0, 1000));
    t.tcb().recovery.starve(MSS / 2);
    assert_eq!((t.phase(), t.tcb().in_flight(), t.cwnd()), (Phase::Recovery, 0, MSS / 2));
    t.r.now += Duration::from_millis(1);
    // An ACK that tells of nothing.
    assert_eq!(t.ack(0, &[(1000, 4000)]), [(0, 1000)]);
}

/// Found by what was sent after it and arrived. As in Linux the window comes down no further in fast recovery.
#[test]
fn a_lost_retransmission_is_sent_again() {
    let mut t = Talk::new(SACK);
    t.flight(10);
    t.r.now += RTT;
    let first = t.ack(0, &[(1000, 4000)]);
    assert_eq!((first[0], t.ssthresh()), ((0, 1000), 5 * MSS));
    t.r.now += RTT;
    let second = t.ack(0, &[(1000, 10_000)]);
    assert!(second.iter().all(|&(at, _)| at >= 10_000), "new data: {second:?}");
    assert_eq!((t.phase(), t.ssthresh()), (Phase::Recovery, 5 * MSS));
    t.r.now += RTT + Duration::from_millis(1);
    let end = 10_000 + 1000 * second.len() as u32;
    let third = t.ack(0, &[(1000, end)]);
    assert_eq!((third[0], t.phase()), ((0, 1000), Phase::Recovery));
    let nxt = t.nxt();
    t.ack(nxt, &[]);
    assert_eq!((t.phase(), t.ssthresh()), (Phase::Open, 5 * MSS));
}

/// The peer threw away what it had reported: at the time-out that is sent again too, and the connection goes on.
#[test]
fn what_the_peer_threw_away_is_sent_again_after_the_timer() {
    let mut t = Talk::new(SACK);
    t.flight(0);
    t.r.now += RTT;
    t.ack(0, &[(1000, 4000)]);
    t.r.now += RTT;
    let before = t.r.now;
    assert_eq!(t.ack(1000, &[]), [], "it may only be late");
    assert_eq!(t.until_sent(), [(1000, 1000)]);
    let waited = t.r.now.saturating_since(before);
    assert!(waited <= RTT, "{waited:?} and not the whole time-out");
    assert_eq!(t.r.host.counters().tcp_sack_reneging, 1);
    let mut seen = Vec::new();
    for n in 2..=10 {
        t.r.now += RTT;
        seen.extend(t.ack(n * MSS, &[]));
    }
    for at in [2000, 3000] {
        assert!(seen.contains(&(at, 1000)), "{at}: {seen:?}");
    }
    assert_eq!((t.phase(), t.tcb().recovery.board().iter().count()), (Phase::Open, 0));
}

/// An ACK for every second or every eighth segment: what leaves is the same share of what was delivered, and at the end the
/// window is the threshold.
#[test]
fn the_window_comes_down_in_proportion_however_often_the_peer_acknowledges() {
    for every in [1, 2, 8] {
        let mut t = Talk::new(SACK);
        while t.cwnd() < 20 * MSS {
            t.flight(0);
            t.r.now += RTT;
            let nxt = t.nxt();
            t.ack(nxt, &[]);
        }
        t.start = t.r.ack;
        let window = t.cwnd() / MSS;
        t.flight(200);
        t.r.now += RTT;
        let (mut sent, mut end) = (Vec::new(), 1);
        while end < window {
            end = (end + every).min(window);
            let new = t.ack(0, &[(MSS, end * MSS)]);
            sent.extend(new);
            if end > 3 {
                let delivered = end - 1;
                let share = delivered / 2;
                let out = sent.iter().filter(|&&(at, _)| at == 0 || at >= window * MSS).count() as u32;
                assert!(out.abs_diff(share) <= every.max(3), "{every}: {out} of {delivered}");
            }
        }
        assert_eq!(t.phase(), Phase::Recovery);
        let threshold = t.ssthresh();
        assert_eq!(threshold, window * MSS / 2);
        let in_flight = t.tcb().in_flight();
        assert!(in_flight <= threshold && in_flight + 2 * MSS > threshold, "{in_flight} of {threshold}");
        t.r.now += RTT;
        let (start, recover) = (t.start, t.tcb().recovery.recover().get());
        t.ack(recover.wrapping_sub(start), &[]);
        assert_eq!((t.phase(), t.cwnd()), (Phase::Open, threshold));
    }
}

/// RecoveryPoint is the last octet that was sent: the ACK of all of it ends recovery, one of an octet less does not.
#[test]
fn the_ack_of_the_recovery_point_ends_recovery() {
    for sack in [true, false] {
        let mut t = Talk::new(Agreed { sack, ..Agreed::default() });
        t.flight(0);
        t.r.now += RTT;
        for n in 2..=4 {
            t.ack(0, if sack { &[(1000, 4000)] } else { &[] });
            let _ = n;
        }
        assert_eq!(t.phase(), Phase::Recovery);
        t.r.now += RTT;
        t.ack(9_999, &[]);
        assert_eq!(t.phase(), Phase::Recovery);
        t.ack(10_000, &[]);
        assert_eq!((t.phase(), t.cwnd()), (Phase::Open, 5 * MSS));
    }
}

/// The first reports let new data out, the third means a loss; what they let out is in flight, and is part of the episode.
//= https://www.rfc-editor.org/rfc/rfc5681#section-3.2
//= type=test
//= id=rfc5681-3.2-6
#[test]
fn limited_transmit_goes_over_into_recovery() {
    let mut t = Talk::new(SACK);
    t.flight(10);
    t.r.now += RTT;
    assert_eq!(t.ack(0, &[(1000, 2000)]), [(10_000, 1000)]);
    assert_eq!(t.ack(0, &[(1000, 3000)]), [(11_000, 1000)]);
    assert_eq!(t.phase(), Phase::Disorder);
    assert_eq!(t.ack(0, &[(1000, 3000)]), [], "nothing new is told");
    let again = t.ack(0, &[(1000, 4000)]);
    assert_eq!((again[0], t.phase()), ((0, 1000), Phase::Recovery));
    assert_eq!(t.ssthresh(), 5 * MSS, "half of ten, not of twelve");
    assert!(!t.armed(Timer::Reordering));
    t.r.now += RTT;
    t.ack(10_000, &[]);
    assert_eq!(t.phase(), Phase::Recovery, "what limited transmit sent is outstanding");
    t.ack(12_000, &[]);
    assert_eq!((t.phase(), t.r.host.counters().tcp_retrans_segs), (Phase::Open, 1));
}

/// Nothing but the FIN is missing: a probe sends it again, and where that is lost too the timer.
#[test]
fn the_fin_alone_is_sent_again() {
    for sack in [true, false] {
        let mut t = Talk::new(Agreed { sack, ..Agreed::default() });
        t.write(2);
        let (id, now) = (t.id, t.r.now);
        t.r.host.shutdown(id, Shutdown::Write, now).unwrap();
        assert_eq!(t.sent(), [(2000, 0)]);
        t.r.now += RTT;
        assert_eq!(t.ack(2000, &[]), []);
        assert_eq!(t.armed(Timer::Tlp), sack);
        for n in 0..3 {
            assert_eq!(t.until_sent(), [(2000, 0)], "{n}");
        }
        t.ack(2001, &[]);
        assert_eq!(t.r.state(id), State::FinWait2);
        assert_eq!((t.phase(), t.tcb().timers.is_armed(Timer::Rto)), (Phase::Open, false));
    }
}

/// The window closes in the middle of fast recovery: nothing is sent into it but probes, no time-out counts, and when it
/// opens what is missing is sent again.
#[test]
fn a_window_that_closes_in_recovery_is_probed_and_recovery_ends_when_it_opens() {
    let mut t = Talk::new(SACK);
    t.flight(0);
    t.r.now += RTT;
    let again = t.ack(0, &[(2000, 5000)]);
    assert_eq!((again[0], t.phase()), ((0, 1000), Phase::Recovery));
    assert!(t.armed(Timer::Rto));
    t.r.window = 0;
    t.ack(0, &[(2000, 5000)]);
    assert!(t.armed(Timer::Persist));
    assert!(!t.armed(Timer::Rto) && !t.armed(Timer::Reordering) && !t.armed(Timer::Tlp));
    t.r.now += RTT;
    assert_eq!(t.ack(1000, &[(2000, 5000)]), []);
    for _ in 0..3 {
        assert_eq!(t.until_sent(), [(1000, 1)]);
        assert_eq!(t.ack(1000, &[(2000, 5000)]), []);
    }
    assert_eq!(t.r.host.counters().tcp_timeouts, 0);
    t.r.window = 60_000;
    assert_eq!(t.ack(1000, &[(2000, 5000)])[0], (1000, 1000));
    for _ in 0..20 {
        t.r.now += RTT;
        let una = t.r.ack.wrapping_sub(t.start);
        let next = if una < 2000 { 5000 } else { (una + MSS).min(10_000) };
        t.ack(next, &[]);
    }
    assert_eq!((t.phase(), t.nxt(), t.tcb().recovery.board().iter().count()), (Phase::Open, 10_000, 0));
}

/// `recover` follows SND.UNA, though no two ACKs of new data come without a duplicate between them: left behind by 2³¹
/// octets it would forbid fast retransmit.
#[test]
fn recover_follows_though_the_path_reorders_all_the_time() {
    for sack in [true, false] {
        let mut t = Talk::new(Agreed { sack, ..Agreed::default() });
        t.flight(0);
        for n in 0..4 {
            let at = n * 2 * MSS;
            let block = [(at + 1000, at + 2000)];
            t.ack(at, if sack { &block } else { &[] });
            assert_eq!(t.phase(), Phase::Disorder);
            t.ack(at + 2 * MSS, &[]);
            let tcb = t.tcb();
            assert_eq!(tcb.recovery.recover(), tcb.snd.una.sub(1), "after {n}");
        }
    }
}

/// The first ACK after a time-out covers only part of what was sent again: that proves nothing (RFC 5682 §2.1, step 2a), and
/// with SACK it is waited for the rest (§3.1, step 2).
#[test]
fn an_ack_of_part_of_what_was_sent_again_begins_no_new_data() {
    for sack in [true, false] {
        let mut t = Talk::new(Agreed { sack, ..Agreed::default() });
        t.flight(10);
        while t.phase() != Phase::Loss {
            t.until_sent();
        }
        let out = t.ack(400, &[]);
        assert!(out.iter().all(|&(at, _)| at < 10_000), "{out:?}");
        assert_eq!(t.tcb().recovery.doubts().1, sack);
    }
}
