//! What is given back of a reduction, and what a mark has to do with it.

use super::*;

/// A mark was answered when the loss showed: nothing more is taken, and nothing of it given back.
#[test]
fn what_a_mark_took_is_not_given_back() {
    let mut t = Talk::new(Agreed { ecn: true, ..SACK });
    t.flight(0);
    t.r.now += RTT;
    t.flags = Flags::ECE;
    t.ack(1000, &[]);
    t.flags = Flags::empty();
    let reduced = t.ssthresh();
    assert_eq!((t.phase(), reduced), (Phase::Cwr, 8 * MSS), "0.8 of ten");
    let out = t.ack(1000, &[(2000, 5000)]);
    assert_eq!((out[0], t.phase(), t.ssthresh()), ((1000, 1000), Phase::Recovery, reduced));
    // It was only late.
    t.r.now += RTT;
    t.ack(10_000, &[(1000, 2000)]);
    t.ack(10_000, &[(1000, 2000)]);
    assert_eq!((t.phase(), t.ssthresh(), t.cwnd()), (Phase::Open, reduced, reduced));
}

/// Whether an episode in which the second segment was sent again is undone by a report of what came twice.
fn undoes(report: (u32, u32)) -> bool {
    let mut t = Talk::new(SACK);
    t.flight(0);
    t.r.now += RTT;
    t.ack(1000, &[]);
    assert_eq!(t.ack(1000, &[(2000, 5000)]), [(1000, 1000)]);
    let reduced = t.ssthresh();
    t.r.now += RTT;
    t.ack(10_000, &[report]);
    t.ack(10_000, &[]);
    assert_eq!(t.phase(), Phase::Open, "{report:?}");
    t.ssthresh() > reduced
}

/// A report of what came twice speaks of this episode only as far as it lies in it.
#[test]
fn a_report_of_what_was_sent_before_the_episode_undoes_nothing() {
    assert_eq!([(500, 1000), (500, 1500), (1000, 2000)].map(undoes), [false, false, true]);
}

/// What the network doubled was never sent again: that what was sent again was not needed it does not say (RFC 3708 §2).
#[test]
fn a_report_of_what_was_not_sent_again_undoes_nothing() {
    assert_eq!([(3000, 4000), (1000, 2000)].map(undoes), [false, true]);
}

/// Below the ACK all has come, above it the octet that it asks for has not: a report of both is none (RFC 2883 §4).
#[test]
fn a_report_that_straddles_the_ack_is_none() {
    let mut t = Talk::new(SACK);
    t.flight(0);
    t.r.now += RTT;
    t.ack(2000, &[(1000, 3000)]);
    let counters = t.r.host.counters();
    assert_eq!((counters.tcp_dsack_recv, counters.tcp_sack_discard), (0, 1));
    assert_eq!((t.tcb().recovery.widening(), t.tcb().recovery.segments()[0]), ((1, None), 0));
    t.ack(2000, &[(1000, 2000)]);
    assert_eq!(t.r.host.counters().tcp_dsack_recv, 1);
}

/// Left where it is, the end of the round would seem to lie ahead again after 2³¹ octets.
#[test]
fn the_round_of_a_report_ends_without_another_report() {
    let mut t = Talk::new(SACK);
    t.flight(0);
    t.ack(1000, &[(0, 1000)]);
    let nxt = t.tcb().snd.nxt;
    assert_eq!(t.tcb().recovery.widening(), (2, Some(nxt)));
    t.ack(2000, &[(0, 1000)]);
    assert_eq!(t.tcb().recovery.widening().0, 2, "once a round trip");
    t.ack(10_000, &[]);
    assert_eq!(t.tcb().recovery.widening(), (2, None));
}

/// What the probe repaired was a loss: the window comes down, and with ECN the peer is told so as after any reduction
/// (RFC 3168 §6.1.2).
#[test]
fn a_loss_that_a_probe_repaired_is_told_with_cwr() {
    let mut t = Talk::new(Agreed { ecn: true, ..SACK });
    t.write(3);
    assert_eq!(t.until_sent(), [(2000, 1000)]);
    t.ack(3000, &[]);
    t.write(1);
    t.ack(4000, &[]);
    assert_ne!(t.ssthresh(), u32::MAX);
    let (id, text) = (t.id, [7; 1000]);
    t.r.write(id, &text);
    assert!(t.r.sent()[0].is(Flags::CWR));
}

/// With timestamps alone, the echo tells that the original arrived.
#[test]
fn a_time_out_is_undone_by_the_echo_without_sack() {
    for (late, undone) in [(true, true), (false, false)] {
        let mut t = Talk::new(Agreed { timestamps: true, ..Agreed::default() });
        t.flight(0);
        let original = t.echo;
        let cwnd = t.cwnd();
        t.r.now += Duration::from_millis(1);
        assert_eq!(t.until_sent(), [(0, 1000)]);
        assert_eq!((t.phase(), t.cwnd()), (Phase::Loss, MSS));
        let again = t.tcb().recovery.doubts().0.unwrap();
        t.inject(1000, &[], if late { original } else { again });
        assert_eq!(t.phase() == Phase::Open, undone);
        assert_eq!((t.cwnd() >= cwnd, t.ssthresh() == u32::MAX), (undone, undone));
    }
}

/// The ACK tells of a mark too: the time-out was needless, but the window stays where it is.
//= https://www.rfc-editor.org/rfc/rfc4015#section-3.4
//= type=test
//= id=rfc4015-3.4-1
#[test]
fn a_mark_in_the_ack_that_shows_a_needless_time_out_keeps_the_window_down() {
    for marked in [false, true] {
        let mut t = Talk::new(Agreed { timestamps: true, ecn: true, ..SACK });
        t.flight(0);
        let original = t.echo;
        // A probe may leave before it.
        while t.phase() != Phase::Loss {
            t.until_sent();
        }
        t.flags = if marked { Flags::ECE } else { Flags::empty() };
        t.inject(1000, &[], original);
        assert_eq!((t.phase(), t.tcb().recovery.next_lost()), (Phase::Open, None));
        assert_eq!((t.cwnd() >= 10 * MSS, t.ssthresh() == u32::MAX), (!marked, !marked));
        // Nothing is said of a reduction that was taken back.
        t.flags = Flags::empty();
        t.ack(10_000, &[]);
        let (id, text) = (t.id, [7; 1000]);
        t.r.write(id, &text);
        assert_eq!(t.r.sent()[0].is(Flags::CWR), marked);
    }
}

/// What a mark is answered with is no recovery: a loss in the same window is repaired by fast retransmit without SACK too,
/// and the window comes down once.
#[test]
fn after_a_mark_a_loss_is_found_by_duplicates() {
    let mut t = Talk::new(Agreed { ecn: true, ..Agreed::default() });
    t.flight(0);
    t.r.now += RTT;
    t.flags = Flags::ECE;
    t.ack(1000, &[]);
    t.flags = Flags::empty();
    let reduced = t.ssthresh();
    assert_eq!((t.phase(), reduced), (Phase::Cwr, 8 * MSS));
    assert_eq!([t.ack(1000, &[]), t.ack(1000, &[])], [[], []]);
    assert_eq!(t.ack(1000, &[]), [(1000, 1000)]);
    assert_eq!((t.phase(), t.ssthresh()), (Phase::Recovery, reduced));
    t.r.now += RTT;
    t.ack(10_000, &[]);
    assert_eq!((t.phase(), t.cwnd()), (Phase::Open, reduced));
    // And one right behind what was in flight at the mark.
    let mut t = Talk::new(Agreed { ecn: true, ..Agreed::default() });
    t.flight(4);
    t.r.now += RTT;
    t.flags = Flags::ECE;
    t.ack(1000, &[]);
    t.flags = Flags::empty();
    t.r.now += RTT;
    assert!(!t.ack(10_000, &[]).is_empty());
    assert_eq!(t.phase(), Phase::Open);
    t.r.now += RTT;
    t.ack(10_000, &[]);
    t.ack(10_000, &[]);
    assert_eq!(t.ack(10_000, &[]), [(10_000, 1000)]);
}

/// A report beyond SND.UNA counts as well, where what it tells of was sent again: here another hole is still open.
#[test]
fn reports_beyond_a_gap_undo_too() {
    let mut t = Talk::new(SACK);
    t.flight(0);
    t.r.now += RTT;
    let again = t.ack(0, &[(1000, 2000), (3000, 6000)]);
    assert_eq!(again[0], (0, 1000));
    let mut out = again;
    while out.len() < 2 {
        t.r.now += Duration::from_millis(1);
        let end = 7000 + 1000 * out.len() as u32;
        out.extend(t.ack(0, &[(3000, end), (1000, 2000)]));
        assert!(end < 10_000, "{out:?}");
    }
    assert_eq!(out[1], (2000, 1000));
    let reduced = t.ssthresh();
    // Both were only late: the second comes first, then its copy, while the first is still on its way.
    t.ack(0, &[(1000, 10_000)]);
    t.ack(0, &[(2000, 3000), (1000, 10_000)]);
    t.ack(10_000, &[]);
    t.ack(10_000, &[(0, 1000)]);
    assert!(t.ssthresh() > reduced);
}

/// A report that the last recovery was needless does not give back what was taken for another reason since: a loss that a
/// probe repaired, a mark.
#[test]
fn a_late_report_gives_back_nothing_that_was_taken_since() {
    for mark in [true, false] {
        let mut t = Talk::new(Agreed { ecn: mark, ..SACK });
        t.flight(0);
        t.r.now += RTT;
        assert_eq!(t.ack(0, &[(1000, 4000)])[0], (0, 1000));
        t.r.now += RTT;
        t.ack(10_000, &[]);
        let before = t.ssthresh();
        assert_eq!((t.phase(), before), (Phase::Open, 5 * MSS));
        if mark {
            t.write(4);
            t.flags = Flags::ECE;
            t.ack(14_000, &[]);
            t.flags = Flags::empty();
            t.ack(14_000, &[(0, 1000)]);
        } else {
            t.write(3);
            assert_eq!(t.until_sent(), [(12_000, 1000)]);
            t.ack(13_000, &[]);
            t.write(1);
            t.ack(14_000, &[(0, 1000)]);
        }
        assert!(t.ssthresh() < before, "{mark}: {}", t.ssthresh());
    }
}

/// The network doubled what lies between two retransmissions, and was never sent again: a report of it is none of the
/// second's (RFC 3708 §2).
#[test]
fn a_report_of_what_lies_between_two_retransmissions_undoes_nothing() {
    for (second, undone) in [((1000, 2000), false), ((3000, 4000), true)] {
        let mut t = Talk::new(SACK);
        t.flight(0);
        t.r.now += RTT;
        let mut out = t.ack(0, &[(1000, 3000), (4000, 7000)]);
        let mut end = 7000;
        while out.len() < 2 {
            t.r.now += Duration::from_millis(1);
            end += MSS;
            assert!(end <= 10_000, "{out:?}");
            out.extend(t.ack(0, &[(4000, end), (1000, 3000)]));
        }
        assert_eq!(out, [(0, 1000), (3000, 1000)]);
        let reduced = t.ssthresh();
        t.r.now += RTT;
        t.ack(10_000, &[(0, 1000)]);
        t.ack(10_000, &[second]);
        t.ack(10_000, &[]);
        assert_eq!((t.phase(), t.ssthresh() > reduced), (Phase::Open, undone), "{second:?}");
    }
}

/// What was sent again is remembered for an undo that may come, and no longer: else each probe would add to it.
#[test]
fn what_is_sent_again_without_an_episode_is_not_remembered() {
    let mut t = Talk::new(SACK);
    t.flight(0);
    t.r.now += RTT;
    t.ack(0, &[(1000, 4000)]);
    assert_eq!(t.tcb().recovery.undo_ranges(), 1);
    t.r.now += RTT;
    t.ack(10_000, &[]);
    for n in 0..40 {
        t.write(3);
        let again = t.until_sent();
        assert_eq!(again.len(), 1, "a probe");
        let end = t.nxt();
        t.ack(end, &[(end - 1000, end)]);
        let kept = t.tcb().recovery.undo_ranges();
        assert!(n < 2 || kept == 0, "{kept} after {n}");
    }
}

/// BBR answers a time-out with a window of one segment, and has it back with the ACK that shows the original.
#[test]
fn a_time_out_that_was_none_takes_nothing_from_bbr() {
    for needless in [true, false] {
        let mut t = Talk::with(Agreed { timestamps: true, ..SACK }, Algorithm::Bbr);
        assert_eq!(t.write(8).len(), 8);
        let (original, window) = (t.echo, t.cwnd());
        while t.phase() != Phase::Loss {
            t.until_sent();
        }
        assert_eq!(t.cwnd(), MSS);
        let again = t.tcb().recovery.doubts().0.unwrap();
        let echo = if needless { original } else { again };
        t.r.now += RTT;
        t.inject(1000, &[], echo);
        assert_eq!((t.phase() == Phase::Open, t.cwnd() >= window), (needless, needless));
        assert_eq!(t.r.host.counters().tcp_undo, u64::from(needless));
    }
}
