//! What ends a slow start that is paced, segment by segment: the repair does not wait, and what of it is no overflow.

use super::raw::{Raw, Sent, sack};
use super::*;
use crate::config::{EcnFeedback, MtuProbing, TcpConfig};
use crate::tcp::congestion::{Algorithm, Congestion};
use crate::tcp::recovery::Phase;
use crate::tcp::rtt::RttEstimator;
use crate::tcp::tcb::Is;
use crate::tcp::timers::Timer;

/// The shortest round trip of the path, and one that tells of a queue.
const TRIP: Duration = Duration::from_millis(100);
const LONGER: Duration = Duration::from_millis(130);

/// A connection in slow start, over a path of that round trip.
fn starting(tcp: TcpConfig) -> (Raw, SocketId) {
    let tcp = TcpConfig { congestion: Algorithm::Reno, ..tcp };
    let mut r = Raw::new(Config { tcp: tcp.clone(), ..Config::default() });
    r.syn.mss = Some(1460);
    (r.syn.sack_permitted, r.syn.window_scale) = (true, Some(7));
    // Accurate ECN is asked for by 7; 2 says that the SYN,ACK came without (RFC 9768 §3.1.1).
    let (asks, tells) = if tcp.ecn_incoming == EcnFeedback::Accurate { (7, 2) } else { (0, 0) };
    let listener = r.listen(8);
    r.send(Flags::SYN | Flags::from_ace(asks), b"");
    r.ack = r.sent()[0].header.seq.get().wrapping_add(1);
    r.send(Flags::ACK | Flags::from_ace(tells), b"");
    let id = r.host.try_accept(listener).unwrap();
    let now = r.now;
    let tcb = r.tcb(id);
    // That the handshake took no time is forgotten.
    tcb.rtt = RttEstimator::new(Duration::from_secs(1));
    tcb.rtt.sample(TRIP, Duration::ZERO, Duration::from_secs(120), 1);
    tcb.rtt.observe(TRIP, now);
    Arc::make_mut(&mut tcb.options).send_buffer = 1 << 20;
    (r, id)
}

/// Writes so much, which leaves as though its pace were over.
fn flight(r: &mut Raw, id: SocketId, len: usize) -> Vec<Sent> {
    r.host.config_mut().tcp.slow_start_pacing = false;
    r.write(id, &vec![7; len]);
    let sent = r.sent();
    r.host.config_mut().tcp.slow_start_pacing = true;
    sent
}

/// The range that a run of segments has.
fn range(sent: &[Sent]) -> (u32, u32) {
    let last = &sent[sent.len() - 1];
    (sent[0].header.seq.get(), last.header.seq.get().wrapping_add(last.text.len() as u32))
}

/// The peer has all of `sent` but those before the first, and those between, of these runs.
fn report(r: &mut Raw, runs: &[&[Sent]]) {
    report_with(r, Flags::ACK, runs);
}

fn report_with(r: &mut Raw, flags: Flags, runs: &[&[Sent]]) {
    let blocks: Vec<_> = runs.iter().map(|run| range(run)).collect();
    r.inject(r.seq, r.ack, flags, b"", &sack(&blocks));
}

/// A burst has left and the next has its time; a loss that shows meanwhile is repaired at once.
#[test]
fn a_repair_does_not_wait_for_the_pace_of_slow_start() {
    let (mut r, id) = starting(TcpConfig::default());
    r.write(id, &[7; 60_000]);
    let sent = r.sent();
    assert_eq!(sent.len(), 10);
    r.now += TRIP;
    r.acknowledge(&sent[..5]);
    let burst = r.sent();
    assert!(burst.len() < 10, "{} have left of ten that may", burst.len());
    let now = r.now;
    assert!(r.tcb(id).timers.deadline(Timer::Pacing) > Some(now), "the rest waits");
    report(&mut r, &[&sent[6..]]);
    let repair = r.sent();
    assert_eq!(repair.first().map(|s| s.header.seq), Some(sent[5].header.seq), "{repair:?}");
    assert_eq!(r.host.counters().tcp_fast_retrans, 1);
}

/// A window of 160 segments, of which 110 have left as one flight that begins with a probe of 1410 octets.
fn probing() -> (Raw, SocketId, Vec<Sent>) {
    probing_with(TcpConfig::default())
}

fn probing_with(tcp: TcpConfig) -> (Raw, SocketId, Vec<Sent>) {
    let (mut r, id) = starting(TcpConfig { mtu_probing: MtuProbing::Always, ..tcp });
    let config = TcpConfig::default();
    r.tcb(id).congestion = Congestion::new(Algorithm::Reno, 1360, 160, &config);
    let sent = flight(&mut r, id, 1410 + 109 * 1360);
    assert_eq!((sent.len(), sent[0].text.len()), (110, 1410));
    r.now += LONGER;
    (r, id, sent)
}

/// Reno's threshold for this flight, and for the half of the window that the path bore.
const HALF_FLIGHT: u32 = (1410 + 109 * 1360) / 2;
const HALF_BORNE: u32 = 160 * 1360 / 2 / 2;

/// With the probe two are lost, which is too little, or three.
#[test]
fn a_lost_probe_is_no_part_of_an_overflow() {
    for (beside, ssthresh) in [(2, HALF_FLIGHT), (3, HALF_BORNE)] {
        let (mut r, id, sent) = probing();
        report(&mut r, &[&sent[1 + beside..]]);
        assert_eq!(r.tcb(id).congestion.ssthresh(), ssthresh, "{beside} beside it");
        assert_eq!(r.host.counters().tcp_mtu_probe_failures, 0, "it was not lost alone");
    }
}

/// The same where the third shows later, when the text of the probe has been sent again.
#[test]
fn what_is_lost_after_a_probe_and_two_is_an_overflow() {
    let (mut r, id, sent) = probing();
    report(&mut r, &[&sent[3..20]]);
    assert_eq!(r.tcb(id).congestion.ssthresh(), HALF_FLIGHT);
    assert_eq!(r.sent()[0].header.seq, sent[0].header.seq);
    assert!(r.tcb(id).mtu.as_ref().is_some_and(|search| search.probe().is_none()), "it has no verdict");
    report(&mut r, &[&sent[21..], &sent[3..20]]);
    let tcb = r.tcb(id);
    assert_eq!((tcb.congestion.ssthresh(), tcb.is.contains(Is::SUSPECTS_OVERFLOW)), (HALF_BORNE, false));
}

/// Lost alone it changes nothing; what is lost behind it is answered by itself.
//= https://www.rfc-editor.org/rfc/rfc4821#section-4
//= type=test
//# If any other data loss is detected, standard congestion control MUST take place.
#[test]
fn a_loss_may_follow_a_probe_that_was_lost_alone() {
    for (beside, late) in [(1, false), (3, false), (1, true)] {
        let (mut r, id, sent) = probing();
        if late {
            // What a path that reorders is deemed to have lost shows later.
            report(&mut r, &[&sent[5..6]]);
            report(&mut r, &[&sent[3..4], &sent[5..6]]);
        }
        report(&mut r, &[&sent[1..20]]);
        let repair = if late { r.wait(TRIP / 2) } else { r.sent() };
        assert_eq!(repair[0].header.seq, sent[0].header.seq, "its text again");
        let mut cwnd = r.tcb(id).congestion.cwnd();
        assert!(cwnd >= 160 * 1360 && r.tcb(id).congestion.ssthresh() == u32::MAX, "{cwnd}");
        assert_eq!(r.host.counters().tcp_mtu_probe_failures, 1);
        report(&mut r, &[&sent[20 + beside..], &sent[1..20]]);
        if late {
            assert_eq!(r.tcb(id).congestion.ssthresh(), u32::MAX);
            cwnd = r.tcb(id).congestion.cwnd();
            assert!(r.tcb(id).timers.is_armed(Timer::Reordering));
            r.wait(TRIP / 2);
        }
        let ssthresh = if beside == 3 { cwnd / 2 / 2 } else { HALF_FLIGHT };
        assert_eq!(r.tcb(id).congestion.ssthresh(), ssthresh, "{beside} behind it, late: {late}");
    }
}

/// What the probe carried counts for nothing once it has been sent again either: behind it, or beside it and later, two are
/// lost, which is too little.
#[test]
fn a_probe_that_is_sent_again_is_no_part_of_an_overflow() {
    for (beside, behind) in [(0, 2), (1, 1)] {
        let (mut r, id, sent) = probing();
        report(&mut r, &[&sent[1 + beside..20]]);
        assert_eq!(r.sent()[0].header.seq, sent[0].header.seq, "its text again");
        report(&mut r, &[&sent[20 + behind..], &sent[1 + beside..20]]);
        assert_eq!(r.tcb(id).recovery.phase(), Phase::Recovery);
        assert_eq!(r.tcb(id).congestion.ssthresh(), HALF_FLIGHT, "{beside} beside it, {behind} behind");
    }
}

/// A window of 160 segments, of which a small one and 109 full ones have left as one flight.
fn flying() -> (Raw, SocketId, Vec<Sent>) {
    let (mut r, id) = starting(TcpConfig::default());
    r.tcb(id).congestion = Congestion::new(Algorithm::Reno, 1460, 160, &TcpConfig::default());
    let mut sent = flight(&mut r, id, 500);
    sent.extend(flight(&mut r, id, 109 * 1460));
    assert_eq!(sent.len(), 110);
    r.now += LONGER;
    let now = r.now;
    r.tcb(id).rtt.observe(LONGER, now);
    (r, id, sent)
}

/// What did not fit the path and is sent again for that was lost to no congestion: one that is lost beside is no overflow, three
/// are none either of so many, but four.
#[test]
fn what_did_not_fit_the_path_is_no_part_of_an_overflow() {
    for (beside, overflows) in [(1, false), (2, false), (4, true)] {
        let (mut r, id, _) = flying();
        let now = r.now;
        r.tcb(id).path_mss(1300, now);
        r.write(id, &[8; 100]);
        let again = r.sent();
        assert!(again.len() > 100, "{}", again.len());
        let tcb = r.tcb(id);
        assert_eq!((tcb.recovery.phase(), tcb.is.contains(Is::UNREDUCED)), (Phase::Loss, true));
        let (cwnd, half) = (tcb.congestion.cwnd(), tcb.snd.outstanding() / 2);
        r.now += LONGER;
        report(&mut r, &[&again[beside..beside + 6]]);
        let tcb = r.tcb(id);
        assert_eq!(tcb.recovery.phase(), Phase::Recovery);
        let ssthresh = if overflows { cwnd / 2 / 2 } else { half };
        assert_eq!(tcb.congestion.ssthresh(), ssthresh, "{beside} beside it");
    }
}

/// A mark that is told of while the text of a probe is sent again is answered, and what is lost then is not answered once more.
//= https://www.rfc-editor.org/rfc/rfc4821#section-4
//= type=test
//# Normal congestion control algorithms MUST remain in effect under all conditions except when only an
//# isolated probe packet is detected as lost.
#[test]
fn a_mark_may_follow_a_probe_that_was_lost_alone() {
    let (mut r, id, sent) =
        probing_with(TcpConfig { ecn_incoming: EcnFeedback::Accurate, ..TcpConfig::default() });
    // The count of marks begins with 5; an ACK of more than it can count would make it doubtful.
    let [none, one] = [5, 6].map(|ace| Flags::ACK | Flags::from_ace(ace));
    report_with(&mut r, none, &[&sent[1..7]]);
    r.sent();
    let cwnd = r.tcb(id).cwnd();
    assert!(cwnd >= 160 * 1360 && r.tcb(id).congestion.ssthresh() == u32::MAX, "{cwnd}");
    report_with(&mut r, one, &[&sent[1..9]]);
    let tcb = r.tcb(id);
    let (reduced, ssthresh) = (tcb.cwnd(), tcb.congestion.ssthresh());
    assert!(reduced < cwnd && reduced == ssthresh, "{reduced}, {ssthresh}");
    assert_eq!(tcb.recovery.phase(), Phase::Loss, "its text is on its way yet");
    report_with(&mut r, one, &[&sent[12..17], &sent[1..9]]);
    assert_eq!(r.tcb(id).recovery.board().lost(), 1410 + 3 * 1360);
    assert_eq!(r.tcb(id).congestion.ssthresh(), ssthresh, "once for this window");
}

/// An acknowledgment tells of a mark and of the end of the repair, and behind that a loss shows: all of one window.
#[test]
fn a_mark_and_a_loss_behind_the_repair_of_a_probe_are_one_congestion() {
    let (mut r, id, sent) =
        probing_with(TcpConfig { ecn_incoming: EcnFeedback::Accurate, ..TcpConfig::default() });
    let [none, one] = [5, 6].map(|ace| Flags::ACK | Flags::from_ace(ace));
    report_with(&mut r, none, &[&sent[1..7]]);
    r.sent();
    r.write(id, &[8; 20 * 1360]);
    let late = r.sent();
    assert_eq!(late.len(), 20);
    let flight = r.tcb(id).snd.outstanding();
    r.now += LONGER;
    r.ack = range(&sent).1;
    report_with(&mut r, one, &[&late[3..]]);
    r.wait(LONGER + Duration::from_millis(10));
    let tcb = r.tcb(id);
    assert_eq!(tcb.recovery.board().lost(), 3 * 1360);
    let ssthresh = tcb.congestion.ssthresh();
    assert!((flight / 2..flight).contains(&ssthresh), "{ssthresh} of {flight}: twice, or not at all");
}

/// The timer runs out while the text of a probe is sent again: the window has come down then, and what is lost beside is no news.
#[test]
fn a_timeout_while_a_probe_is_repaired_answers_what_is_lost_then() {
    let (mut r, id, sent) = probing();
    report(&mut r, &[&sent[1..20]]);
    r.sent();
    assert!(r.tcb(id).is.contains(Is::UNREDUCED));
    // What leaves only lately is not deemed lost with the rest.
    let now = r.now;
    let timeout = r.tcb(id).timers.deadline(Timer::Rto).unwrap();
    r.wait(timeout.saturating_since(now) - TRIP / 2);
    r.write(id, &[8; 10 * 1360]);
    let late = r.sent();
    assert_eq!(late.len(), 10);
    r.wait(TRIP / 2 + Duration::from_millis(10));
    let tcb = r.tcb(id);
    assert_eq!((tcb.recovery.timeouts(), tcb.recovery.phase()), (1, Phase::Loss));
    let (ssthresh, lost) = (tcb.congestion.ssthresh(), tcb.recovery.board().lost());
    r.now += TRIP;
    report(&mut r, &[&late[5..]]);
    let tcb = r.tcb(id);
    assert_eq!(tcb.recovery.board().lost(), lost + 5 * 1360);
    assert_eq!((tcb.recovery.phase(), tcb.congestion.ssthresh()), (Phase::Loss, ssthresh));
}

/// In the midst of a recovery it shows that the path takes only smaller packets: the window has come down already for what is
/// lost then.
#[test]
fn a_smaller_path_in_a_recovery_reduces_nothing_again() {
    let (mut r, id) = starting(TcpConfig::default());
    r.tcb(id).congestion = Congestion::new(Algorithm::Reno, 1460, 160, &TcpConfig::default());
    Arc::make_mut(&mut r.tcb(id).options).nodelay = true;
    let mut sent = flight(&mut r, id, 60 * 1460);
    for _ in 0..10 {
        sent.extend(flight(&mut r, id, 500));
    }
    assert_eq!(sent.len(), 70);
    r.now += LONGER;
    report(&mut r, &[&sent[1..30]]);
    assert_eq!(r.sent()[0].header.seq, sent[0].header.seq);
    let ssthresh = r.tcb(id).congestion.ssthresh();
    assert_eq!((r.tcb(id).recovery.phase(), ssthresh), (Phase::Recovery, (60 * 1460 + 10 * 500) / 2));
    let now = r.now;
    r.tcb(id).path_mss(1300, now);
    r.sent();
    let tcb = r.tcb(id);
    let lost = tcb.recovery.board().lost();
    assert_eq!((tcb.recovery.phase(), lost), (Phase::Loss, 31 * 1460));
    report(&mut r, &[&sent[65..], &sent[1..30]]);
    let tcb = r.tcb(id);
    assert_eq!(tcb.recovery.board().lost(), lost + 5 * 500, "what was small enough, but did not arrive");
    assert_eq!((tcb.recovery.phase(), tcb.congestion.ssthresh()), (Phase::Loss, ssthresh));
}
