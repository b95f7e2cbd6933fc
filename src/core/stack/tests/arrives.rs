//! SEGMENT ARRIVES, step by step (RFC 9293 §3.10.7).

use super::raw::{Raw, Sent};
use super::*;
use crate::wire::options::Options;

fn raw() -> Raw {
    Raw::new(Config::default())
}

/// One segment left, with these flags and numbers.
#[track_caller]
fn is_one(out: &[Sent], flags: Flags, seq: u32, ack: u32) {
    assert_eq!(out.len(), 1, "{out:?}");
    assert_eq!(out[0].header.flags, flags, "{out:?}");
    assert_eq!((out[0].header.seq.get(), out[0].header.ack.get()), (seq, ack), "{out:?}");
    assert!(out[0].text.is_empty());
}

fn read(r: &mut Raw, id: SocketId) -> Result<Vec<u8>, Error> {
    let mut buf = [0; 100];
    r.host.try_read(id, &mut buf).map(|n| buf[..n].to_vec())
}

fn shut(r: &mut Raw, id: SocketId) -> Vec<Sent> {
    let now = r.now;
    r.host.shutdown(id, Shutdown::Write, now).unwrap();
    r.sent()
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.1
//= type=test
//= id=STEP-3.10.7.1-1, STEP-3.10.7.1-2, STEP-3.10.7.1-3, STEP-3.10.7.1-4, STEP-3.10.7.1-5
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
//= type=test
//= id=STEP-3.10.7.4-33
#[test]
fn closed_answers_all_but_a_reset() {
    let mut r = raw();
    r.inject(5000, 7, Flags::RST, b"", &Options::default());
    r.inject(5000, 7, Flags::RST | Flags::ACK, b"", &Options::default());
    assert!(r.sent().is_empty());
    r.inject(5000, 7, Flags::FIN, b"abc", &Options::default());
    is_one(&r.sent(), Flags::RST | Flags::ACK, 0, 5004);
    r.inject(5000, 777, Flags::ACK, b"abc", &Options::default());
    is_one(&r.sent(), Flags::RST, 777, 0);
    assert_eq!(r.host.slots(), 0);
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.2
//= type=test
//= id=STEP-3.10.7.2-1, STEP-3.10.7.2-2, STEP-3.10.7.2-6, STEP-3.10.7.2-4
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
//= type=test
//= id=STEP-3.10.7.4-14
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
//= type=test
//= id=STEP-3.10.7.4-33
#[test]
fn listen_takes_a_syn_alone() {
    let mut r = raw();
    let listener = r.listen(8);
    r.send(Flags::RST, b"");
    r.send(Flags::RST | Flags::ACK, b"");
    assert!(r.sent().is_empty(), "first, a reset");
    r.inject(1000, 777, Flags::ACK, b"", &Options::default());
    is_one(&r.sent(), Flags::RST, 777, 0);
    r.inject(1000, 777, Flags::SYN | Flags::ACK, b"", &Options::default());
    is_one(&r.sent(), Flags::RST, 777, 0);
    r.inject(1000, 0, Flags::FIN, b"abc", &Options::default());
    assert!(r.sent().is_empty(), "fourth, other data or control");
    assert_eq!(r.host.slots(), 1);
    r.send(Flags::SYN, b"");
    let out = r.sent();
    let iss = out[0].header.seq.get();
    is_one(&out, Flags::SYN | Flags::ACK, iss, 1001);
    r.ack = iss.wrapping_add(1);
    r.send(Flags::ACK, b"");
    let id = r.host.try_accept(listener).unwrap();
    let tcb = r.tcb(id);
    assert_eq!((tcb.snd.nxt.get(), tcb.snd.una.get()), (iss.wrapping_add(1), iss.wrapping_add(1)));
    assert_eq!((tcb.rcv.irs.get(), tcb.rcv.nxt.get()), (1000, 1001));
    assert_eq!((tcb.snd.wnd, tcb.snd.wl1.get(), tcb.snd.wl2.get()), (60_000, 1001, iss.wrapping_add(1)));
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.3
//= type=test
//= id=STEP-3.10.7.3-1, STEP-3.10.7.3-3, STEP-3.10.7.3-8, STEP-3.10.7.3-4, STEP-3.10.7.3-5
//= https://www.rfc-editor.org/rfc/rfc5961#section-3.2
//= type=test
//= id=rfc5961-3.2-6

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
//= type=test
//= id=STEP-3.10.7.4-33
#[test]
fn syn_sent_believes_only_what_acknowledges_its_syn() {
    let mut r = raw();
    let (id, syn) = r.connect();
    let iss = syn.header.seq.get();
    for bad in [iss, iss.wrapping_add(2)] {
        r.inject(1000, bad, Flags::SYN | Flags::ACK, b"", &Options::default());
        is_one(&r.sent(), Flags::RST, bad, 0);
        r.inject(1000, bad, Flags::RST | Flags::ACK, b"", &Options::default());
        assert!(r.sent().is_empty());
    }
    r.inject(1000, 0, Flags::RST, b"", &Options::default());
    r.inject(1000, iss.wrapping_add(1), Flags::ACK, b"", &Options::default());
    r.inject(1000, 0, Flags::FIN, b"", &Options::default());
    assert!(r.sent().is_empty());
    assert_eq!(r.state(id), State::SynSent);
    r.send(Flags::SYN | Flags::ACK, b"");
    assert_eq!(r.state(id), State::Established);
    is_one(&r.sent(), Flags::ACK, iss.wrapping_add(1), 1001);
    let tcb = r.tcb(id);
    assert_eq!((tcb.rcv.irs.get(), tcb.rcv.nxt.get()), (1000, 1001));
}

#[test]
fn syn_sent_is_refused_by_a_reset_that_acknowledges_its_syn() {
    let mut r = raw();
    let (id, _) = r.connect();
    r.send(Flags::RST | Flags::ACK, b"");
    assert_eq!(r.state(id), State::Closed);
    assert_eq!(r.host.take_error(id), Some(Error::Refused));
    assert!(r.wait(Duration::from_secs(300)).is_empty());
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.3
//= type=test
//= id=STEP-3.10.7.3-6
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
//= type=test
//= id=STEP-3.10.7.4-8, STEP-3.10.7.4-15
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.5
//= type=test
//= id=MUST-11
#[test]
fn syn_sent_that_meets_a_syn_is_syn_received() {
    let mut r = raw();
    let (id, syn) = r.connect();
    let iss = syn.header.seq.get();
    r.ack = 0;
    r.send(Flags::SYN, b"early");
    assert_eq!(r.state(id), State::SynReceived);
    is_one(&r.sent(), Flags::SYN | Flags::ACK, iss, 1001);
    // An ACK of what was never sent is refused, and the SYN is still open.
    r.inject(1001, iss.wrapping_add(9), Flags::ACK, b"", &Options::default());
    is_one(&r.sent(), Flags::RST, iss.wrapping_add(9), 0);
    assert_eq!(r.state(id), State::SynReceived);
    r.inject(1001, iss.wrapping_add(1), Flags::RST, b"", &Options::default());
    assert_eq!(r.state(id), State::Closed);
    assert_eq!(r.host.take_error(id), Some(Error::Refused));
    assert!(r.wait(Duration::from_secs(300)).is_empty());
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
//= type=test
//= id=STEP-3.10.7.4-7
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.5
//= type=test
//= id=MUST-11
#[test]
fn a_reset_in_syn_received_leaves_the_listener() {
    let mut r = raw();
    let listener = r.listen(8);
    r.send(Flags::SYN, b"");
    let out = r.sent();
    r.ack = out[0].header.seq.get().wrapping_add(1);
    r.inject(1001, r.ack, Flags::RST, b"", &Options::default());
    assert!(r.wait(Duration::from_secs(100)).is_empty(), "the SYN,ACK is not sent again");
    assert_eq!(r.host.try_accept(listener), Err(Error::WouldBlock));
    assert_eq!((r.state(listener), r.host.slots()), (State::Listen, 1));
    r.seq = 9000;
    r.handshake();
    assert!(r.host.try_accept(listener).is_ok());
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
//= type=test
//= id=STEP-3.10.7.4-4, STEP-3.10.7.4-5
#[test]
fn what_is_not_acceptable_is_acknowledged_and_dropped() {
    let mut r = raw();
    let id = r.accepted();
    let (seq, ack) = (r.seq, r.ack);
    for (at, flags, text) in [
        (seq - 10, Flags::ACK, &b"old"[..]),
        (seq.wrapping_add(1 << 20), Flags::ACK, b"new"),
        (seq - 1, Flags::ACK, b""),
        (seq - 10, Flags::ACK | Flags::FIN, b""),
    ] {
        r.inject(at, ack, flags, text, &Options::default());
        is_one(&r.sent(), Flags::ACK, ack, seq);
        r.inject(at, ack, flags | Flags::RST, text, &Options::default());
        assert!(r.sent().is_empty());
    }
    assert_eq!(read(&mut r, id), Err(Error::WouldBlock));
    assert_eq!((r.state(id), r.tcb(id).rcv.nxt.get()), (State::Established, seq));
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
//= type=test
//= id=STEP-3.10.7.4-1, STEP-3.10.7.4-28
#[test]
fn only_the_new_part_of_a_segment_is_taken() {
    let mut r = raw();
    let id = r.accepted();
    r.send(Flags::ACK, b"abc");
    r.sent();
    let (seq, ack) = (r.seq, r.ack);
    r.inject(seq - 2, ack, Flags::ACK, b"XYdef", &Options::default());
    is_one(&r.sent(), Flags::ACK, ack, seq + 3);
    assert_eq!(read(&mut r, id).unwrap(), b"abcdef");
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
//= type=test
//= id=SHLD-31, MAY-13
//= https://www.rfc-editor.org/rfc/rfc5681#section-3.2
//= type=test
//= id=rfc5681-3.2-1, rfc5681-3.2-2
//= https://www.rfc-editor.org/rfc/rfc5681#section-4.2
//= type=test
//= id=rfc5681-4.2-5, rfc5681-4.2-6, rfc5681-4.2-7
#[test]
fn later_segments_are_held_until_the_gap_is_filled() {
    let mut r = raw();
    let id = r.accepted();
    let (seq, ack) = (r.seq, r.ack);
    r.inject(seq + 3, ack, Flags::ACK, b"def", &Options::default());
    is_one(&r.sent(), Flags::ACK, ack, seq);
    assert_eq!(read(&mut r, id), Err(Error::WouldBlock));
    r.inject(seq, ack, Flags::ACK, b"abc", &Options::default());
    is_one(&r.sent(), Flags::ACK, ack, seq + 6);
    assert_eq!(read(&mut r, id).unwrap(), b"abcdef");
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
//= type=test
//= id=STEP-3.10.7.4-3
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.4
//= type=test
//= id=MUST-66
#[test]
fn a_closed_window_lets_control_through() {
    for flags in [Flags::ACK, Flags::ACK | Flags::URG, Flags::RST] {
        let mut r = raw();
        let id = r.accepted();
        r.write(id, b"waits");
        let out = r.sent();
        while r.tcb(id).rcv.wnd > 0 {
            let n = r.tcb(id).rcv.wnd.min(1400) as usize;
            r.send(Flags::ACK, &vec![7; n]);
            r.sent();
        }
        let (seq, ack) = (r.seq, r.ack);
        let end = ack.wrapping_add(out[0].text.len() as u32);
        r.urgent = 1;
        r.inject(seq, end, flags, if flags == Flags::RST { b"" } else { b"x" }, &Options::default());
        if flags == Flags::RST {
            assert_eq!(r.state(id), State::Closed);
            continue;
        }
        is_one(&r.sent(), Flags::ACK, end, seq);
        assert_eq!(r.tcb(id).snd.una.get(), end, "its ACK counts");
        assert_eq!(r.tcb(id).before_urgent_mark().is_some(), flags.contains(Flags::URG));
    }
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
//= type=test
//= id=STEP-3.10.7.4-6, rfc9293-3.10.7.4-2, rfc9293-3.10.7.4-3, rfc9293-3.10.7.4-1, STEP-3.10.7.4-9
//= https://www.rfc-editor.org/rfc/rfc5961#section-1.1
//= type=test
//= id=rfc5961-1.1-1
//= https://www.rfc-editor.org/rfc/rfc5961#section-3.2
//= type=test
//= id=rfc5961-3.2-1, rfc5961-3.2-2, rfc5961-3.2-3, rfc5961-3.2-4, rfc5961-3.2-5
//= https://www.rfc-editor.org/rfc/rfc5961#section-4.2
//= type=test
//= id=rfc5961-4.2-4
#[test]
fn a_reset_has_to_be_exact() {
    let mut r = raw();
    let id = r.accepted();
    let (seq, ack) = (r.seq, r.ack);
    for outside in [seq - 1, seq.wrapping_add(1 << 20)] {
        r.inject(outside, ack, Flags::RST, b"", &Options::default());
        assert!(r.sent().is_empty());
    }
    r.inject(seq + 1, ack, Flags::RST, b"", &Options::default());
    is_one(&r.sent(), Flags::ACK, ack, seq);
    assert_eq!(r.state(id), State::Established);
    r.write(id, b"unsent");
    r.inject(seq, ack, Flags::RST, b"", &Options::default());
    assert_eq!(r.state(id), State::Closed);
    assert!(r.sent().is_empty(), "nothing of the queue leaves");
    assert_eq!(read(&mut r, id), Err(Error::Reset));
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
//= type=test
//= id=rfc9293-3.10.7.4-4, rfc9293-3.10.7.4-5
//= https://www.rfc-editor.org/rfc/rfc5961#section-1.1
//= type=test
//= id=rfc5961-1.1-1
//= https://www.rfc-editor.org/rfc/rfc5961#section-4.2
//= type=test
//= id=rfc5961-4.2-1, rfc5961-4.2-2, rfc5961-4.2-3
#[test]
fn a_syn_in_a_connection_is_challenged() {
    let mut r = raw();
    let id = r.accepted();
    let (seq, ack) = (r.seq, r.ack);
    for at in [seq, seq + 100, seq - 100, seq.wrapping_add(1 << 20)] {
        r.inject(at, ack, Flags::SYN | Flags::ACK, b"text", &Options::default());
        is_one(&r.sent(), Flags::ACK, ack, seq);
    }
    assert_eq!((r.state(id), r.tcb(id).rcv.nxt.get()), (State::Established, seq));
    assert_eq!(read(&mut r, id), Err(Error::WouldBlock));
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
//= type=test
//= id=STEP-3.10.7.4-13
#[test]
fn text_without_ack_is_dropped() {
    let mut r = raw();
    let id = r.accepted();
    r.inject(r.seq, r.ack, Flags::empty(), b"text", &Options::default());
    assert!(r.sent().is_empty());
    assert_eq!(read(&mut r, id), Err(Error::WouldBlock));
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
//= type=test
//= id=STEP-3.10.7.4-19, MAY-12, rfc9293-3.10.7.4-6, rfc9293-3.10.7.4-7
//= https://www.rfc-editor.org/rfc/rfc5961#section-1.1
//= type=test
//= id=rfc5961-1.1-1
//= https://www.rfc-editor.org/rfc/rfc5961#section-5.2
//= type=test
//= id=rfc5961-5.2-1, rfc5961-5.2-2

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
//= type=test
//= id=STEP-3.10.7.4-18
#[test]
fn acks_from_too_far_back_or_of_what_was_not_sent_are_answered_and_dropped() {
    let mut r = raw();
    let id = r.accepted();
    let (seq, ack) = (r.seq, r.ack);
    for bad in [ack.wrapping_add(1), ack.wrapping_sub(60_001)] {
        r.inject(seq, bad, Flags::ACK, b"text", &Options::default());
        is_one(&r.sent(), Flags::ACK, ack, seq);
        assert_eq!(read(&mut r, id), Err(Error::WouldBlock));
    }
    // As far back as the largest window the peer ever had is a late duplicate, whose text counts.
    r.inject(seq, ack.wrapping_sub(60_000), Flags::ACK, b"text", &Options::default());
    assert_eq!(read(&mut r, id).unwrap(), b"text");
    assert_eq!(r.tcb(id).snd.una.get(), ack, "and whose ACK is ignored");
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
//= type=test
//= id=STEP-3.10.7.4-16, STEP-3.10.7.4-17
#[test]
fn an_ack_moves_snd_una_and_frees_what_it_covers() {
    let mut r = raw();
    let id = r.accepted();
    r.write(id, &[1; 1500]);
    let out = r.sent();
    assert_eq!(out.len(), 2);
    let una = r.ack;
    r.acknowledge(&out[..1]);
    assert_eq!(r.tcb(id).snd.una.get(), una.wrapping_add(1000));
    assert_eq!(r.tcb(id).send_buffer.len(), 500);
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
//= type=test
//= id=STEP-3.10.7.4-20
#[test]
fn an_older_segment_does_not_change_the_window() {
    let mut r = raw();
    let id = r.accepted();
    let (seq, ack) = (r.seq, r.ack);
    r.inject(seq + 10, ack, Flags::ACK, b"later", &Options::default());
    r.window = 5000;
    r.inject(seq, ack, Flags::ACK, b"x", &Options::default());
    assert_eq!(r.tcb(id).snd.wnd, 60_000, "SND.WL1 > SEG.SEQ");
    r.inject(seq + 10, ack, Flags::ACK, b"later", &Options::default());
    let tcb = r.tcb(id);
    assert_eq!((tcb.snd.wnd, tcb.snd.wl1.get(), tcb.snd.wl2.get()), (5000, seq + 10, ack));
}

/// The peer has sent beyond the edge that our window was shrunk to, and from there come its ACKs: what acknowledges more is not old.
#[test]
fn the_window_of_news_is_taken_from_any_sequence_number() {
    let mut r = raw();
    let id = r.accepted();
    r.write(id, &[1; 1500]);
    r.sent();
    let (seq, ack) = (r.seq, r.ack);
    r.inject(seq + 10, ack, Flags::ACK, b"", &Options::default());
    for (seq, ack, window) in [(seq, ack + 1000, 0), (seq, ack + 1000, 3000), (seq, ack + 1500, 2000)] {
        r.window = window;
        r.inject(seq, ack, Flags::ACK, b"", &Options::default());
        assert_eq!(r.tcb(id).snd.wnd, window.into());
    }
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
//= type=test
//= id=STEP-3.10.7.4-23, STEP-3.10.7.4-26, STEP-3.10.7.4-32, STEP-3.10.7.4-34, STEP-3.10.7.4-35
#[test]
fn close_wait_and_last_ack() {
    let mut r = raw();
    let id = r.accepted();
    r.send(Flags::FIN | Flags::ACK, b"last");
    is_one(&r.wait(Duration::from_millis(500)), Flags::ACK, r.ack, r.seq);
    assert_eq!(r.state(id), State::CloseWait);
    assert_eq!(read(&mut r, id).unwrap(), b"last");
    assert_eq!(read(&mut r, id).unwrap(), b"");
    r.urgent = 1;
    r.send(Flags::ACK | Flags::URG, b"behind");
    r.seq -= 6;
    assert_eq!(read(&mut r, id).unwrap(), b"");
    assert_eq!(r.tcb(id).before_urgent_mark(), None);
    r.sent();
    let now = r.now;
    r.host.close(id, now).unwrap();
    let fin = r.sent();
    assert!(fin.len() == 1 && fin[0].is(Flags::FIN));
    assert_eq!(r.host.slots(), 2);
    r.acknowledge(&fin);
    assert_eq!(r.host.slots(), 1, "the listener alone");
    assert!(r.wait(Duration::from_secs(300)).is_empty());
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
//= type=test
//= id=STEP-3.10.7.4-21, STEP-3.10.7.4-22, STEP-3.10.7.4-36, STEP-3.10.7.4-37
#[test]
fn fin_wait_1_ends_in_fin_wait_2_or_closing() {
    let mut r = raw();
    let id = r.accepted();
    let fin = shut(&mut r, id);
    assert_eq!(r.state(id), State::FinWait1);
    r.acknowledge(&fin);
    assert_eq!(r.state(id), State::FinWait2);
    r.send(Flags::FIN | Flags::ACK, b"");
    assert_eq!(r.state(id), State::TimeWait);

    let mut r = raw();
    let id = r.accepted();
    let fin = shut(&mut r, id);
    r.send(Flags::FIN | Flags::ACK, b"");
    assert_eq!(r.state(id), State::Closing);
    r.sent();
    r.send(Flags::ACK, b"");
    assert_eq!(r.state(id), State::Closing, "not ours");
    r.acknowledge(&fin);
    assert_eq!(r.state(id), State::TimeWait);

    let mut r = raw();
    let id = r.accepted();
    let fin = shut(&mut r, id);
    r.ack = fin[0].header.seq.get().wrapping_add(1);
    r.send(Flags::FIN | Flags::ACK, b"");
    assert_eq!(r.state(id), State::TimeWait, "acknowledged in this segment");
    assert!(r.wait(Duration::from_secs(1)).iter().all(|s| !s.is(Flags::FIN)), "no timer but one");
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
//= type=test
//= id=STEP-3.10.7.4-24, STEP-3.10.7.4-38
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.8
//= type=test
//= id=STEP-3.10.8-3
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.6.1
//= type=test
//= id=MUST-13
#[test]
fn time_wait_lasts_two_msl_from_the_last_fin() {
    let mut r = raw();
    let id = r.accepted();
    let now = r.now;
    r.host.close(id, now).unwrap();
    let fin = r.sent();
    r.acknowledge(&fin);
    r.send(Flags::FIN | Flags::ACK, b"");
    r.sent();
    let two_msl = Config::default().tcp.msl.saturating_mul(2);
    r.wait(two_msl - Duration::from_secs(1));
    assert_eq!(r.host.time_waits.len(), 1);
    let (seq, ack) = (r.seq, r.ack);
    r.inject(seq - 1, ack, Flags::FIN | Flags::ACK, b"", &Options::default());
    is_one(&r.sent(), Flags::ACK, ack, seq);
    r.wait(two_msl - Duration::from_secs(1));
    assert_eq!(r.host.time_waits.len(), 1, "it began anew");
    r.wait(Duration::from_secs(2));
    assert_eq!((r.host.time_waits.len(), r.host.slots()), (0, 1));
}

/// The offered window never takes back what it promised, however much lies unread and however little room a
/// program leaves for more.
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
//= type=test
//= id=STEP-3.10.7.4-30
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6
//= type=test
//= id=SHLD-14
#[test]
fn the_right_edge_never_moves_left() {
    let mut r = raw();
    let id = r.accepted();
    let mut edge = 0;
    for n in 0..200 {
        if n == 50 {
            let options = r.host.options(id).unwrap();
            let options = crate::sockopt::SocketOptions { receive_buffer: 30_000, ..options };
            let now = r.now;
            r.host.set_options(id, options, now).unwrap();
        }
        r.send(Flags::ACK, &[7; 400]);
        for s in r.sent() {
            let window = u32::from(s.header.window);
            let now = s.header.ack.get() + window;
            assert!(now >= edge, "{now} < {edge}");
            edge = now;
        }
        if n % 10 == 9 {
            let _ = read(&mut r, id);
        }
        if r.tcb(id).rcv.wnd < 400 {
            break;
        }
    }
    assert!(edge > 0);
}
